"""Robust losses of SciPy's names: outliers count less than their squares."""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Loss: TypeAlias = Literal["linear", "soft_l1", "huber", "cauchy", "arctan"]
LOSSES: tuple[Loss, ...] = ("linear", "soft_l1", "huber", "cauchy", "arctan")


def rho(loss: Loss, z: Array) -> Array:
    """Return the loss of squared standardised residuals and its first two derivatives, (3, n).

    Examples
    --------
    >>> rho("huber", np.array([0.25, 9.0]))[0]
    array([0.25, 5.  ])
    """
    one = np.ones_like(z)
    if loss == "soft_l1":
        t = 1 + z
        return np.stack([2 * (np.sqrt(t) - 1), t**-0.5, -0.5 * t**-1.5])
    if loss == "huber":
        inside = z <= 1
        safe = np.where(inside, 1.0, z)
        return np.stack([np.where(inside, z, 2 * np.sqrt(safe) - 1), safe**-0.5,
                         np.where(inside, 0.0, -0.5 * safe**-1.5)])  # fmt: skip
    if loss == "cauchy":
        return np.stack([np.log1p(z), 1 / (1 + z), -1 / (1 + z) ** 2])
    if loss == "arctan":
        t = 1 + z**2
        return np.stack([np.arctan(z), 1 / t, -2 * z / t**2])
    return np.stack([z, one, 0 * z])


def inflation(loss: Loss, r: Array, unknowns: int) -> float:
    """Return by what a robust estimate's covariance exceeds that of least squares on clean data (Huber, 1981).

    Parameters
    ----------
    r : array (K,)
        Residuals in standard deviations.
    unknowns : int
        Number of parameters.
    """
    if loss == "linear":
        return 1.0
    _, first, second = rho(loss, r**2)
    psi, slope = r * first, first + 2 * r**2 * second
    mean = float(slope.mean())
    return float((psi @ psi) / max(len(r) - unknowns, 1) / mean**2) if mean > 0 else float("inf")
