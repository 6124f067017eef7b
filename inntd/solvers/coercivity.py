"""The energy norm of a parametric operator, and a lower bound of its coercivity constant in it, where there is one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from inntd.axes import Axis
from inntd.models.reduced_system import Coercivity
from inntd.solvers.factorise import SingularError
from inntd.solvers.merged import MergedSpace, Operator

Array = npt.NDArray[np.float64]

VANISHING = 1e-9  # of its largest value: what a coefficient's function must stay above to carry coercivity


@dataclass(frozen=True)
class Norm:
    """An inner product, and the coercivity in it or why there is none that is certain.

    Attributes
    ----------
    lost
        Place in the training set where a positive term becomes negative, None where no single place is to blame.
    """

    inner: Operator
    coercivity: Coercivity | None
    lost: int | None = None

    def reason(self, axes: Sequence[Axis], points: Array) -> str:
        """Say why there is no bound of the coercivity constant."""
        if self.lost is None:
            return "the operator is no sum of terms of one sign, and skew ones, that is definite at all parameters"
        place = ", ".join(f"{axis.name} = {x:.4g}" for axis, x in zip(axes, points[self.lost], strict=True))
        return f"a term of the operator changes its sign, and is of the wrong one at {place}"


def energy_norm(space: MergedSpace, theta: Array) -> Norm:
    """Return the energy norm of an operator with functions (K, Q) of the training parameters.

    Terms whose symmetric part is positive (or negative, with a negative function) make the norm, with the geometric
    mean of their functions as weights; skew ones cost nothing, and positive ones that vanish somewhere are left out. If
    some term is of neither kind, or changes its sign, the norm is that of the space.
    """
    kinds = [space.definiteness(q) for q in range(theta.shape[1])]
    if "indefinite" in kinds:
        return Norm(space.norm, None)
    signs = np.array([{"zero": 0.0, "positive": 1.0, "negative": -1.0}[kind] for kind in kinds])
    energies = theta * signs  # of which sign the terms are at each parameter
    for energy in energies.T:
        if energy.min() < 0 < energy.max():
            fewer = 1.0 if (energy < 0).mean() < 0.5 else -1.0
            return Norm(space.norm, None, int(np.argmin(fewer * energy)))
    if energies.min() < 0 < energies.max():
        return Norm(space.norm, None)
    overall = -1.0 if energies.min() < 0 else 1.0
    sizes = np.abs(energies)
    used = np.flatnonzero(sizes.min(axis=0) > VANISHING * sizes.max(axis=0))
    weights = np.zeros(theta.shape[1])
    weights[used] = signs[used] * np.exp(np.log(sizes[:, used]).mean(axis=0))
    inner = space.energy(weights)
    try:
        inner.solve(np.zeros(space.size))
    except SingularError:
        return Norm(space.norm, None)
    return Norm(inner, Coercivity(used, overall * weights[used], overall * signs))
