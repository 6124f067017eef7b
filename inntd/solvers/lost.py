"""Where in the box of parameters an operator loses coercivity, as the functions of a reduced basis see it.

If the symmetric part of the reduced matrices has eigenvalues of both signs at a parameter, so has that of the full
ones: the finding is certain. The converse does not hold, for the functions are few.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from inntd.axes import Axis
from inntd.models.products import Products
from inntd.models.reduced_system import ReducedSystem

Array = npt.NDArray[np.float64]

ROUND_OFF = 1e-10  # of the largest eigenvalue


def indefinite_at(operator: Array, theta: Array) -> npt.NDArray[np.bool_]:
    """Return at which functions (K, Q) the matrices (Q, N, N), summed up, are indefinite or of the rarer sign.

    Examples
    --------
    >>> stiff_and_mass = np.array([np.diag([1.0, 4.0]), -np.eye(2)])
    >>> indefinite_at(stiff_and_mass, np.array([[1.0, 0.5], [1.0, 2.0], [1.0, 0.9]]))
    array([False,  True, False])
    """
    matrices = np.tensordot(theta, 0.5 * (operator + operator.transpose(0, 2, 1)), 1)
    values = np.linalg.eigvalsh(matrices)
    size = ROUND_OFF * np.abs(values).max(axis=1, initial=0.0)
    positive, negative = values[:, 0] > -size, values[:, -1] < size
    lost: npt.NDArray[np.bool_] = ~positive if positive.sum() >= negative.sum() else ~negative
    return lost


def told(system: ReducedSystem, products: Products, axes: Sequence[Axis], points: Array) -> str | None:
    """Say at which of some parameters (K, P) coercivity is lost, None where it is at none."""
    if system.size == 0 or system.coercivity is not None:
        return None
    with torch.no_grad():
        theta = products(torch.from_numpy(points)).numpy()[:, : len(system.operator)]
    lost = indefinite_at(system.operator, theta)
    if not lost.any():
        return None
    first = points[int(np.flatnonzero(lost)[0])]
    place = ", ".join(f"{axis.name} = {x:.4g}" for axis, x in zip(axes, first, strict=True))
    share = f"{lost.mean():.0%} of the parameters looked at" if not lost.all() else "all parameters looked at"
    return f"the operator is not coercive at {place}, and at {share}: solutions may grow without bound near such places"
