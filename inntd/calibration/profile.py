"""Profile likelihood: an interval of one unknown, all others chosen best at each of its values."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq

from inntd.calibration.objective import Objective
from inntd.calibration.solve import trust_region

Array = npt.NDArray[np.float64]

STEPS = 40
PRECISION = 1e-4  # of the distance between estimate and end


def profile_interval(
    objective: Objective, z: Array, misfit: float, i: int, step: float, rise: float
) -> tuple[float, float]:
    """Return both ends in unit coordinates, the box's where the misfit does not rise enough before it.

    Parameters
    ----------
    z, misfit
        Best unit coordinates (P,) and their misfit.
    i
        Which unknown.
    step
        First distance that is tried.
    rise
        Of the misfit at the ends.
    """
    return _end(objective, z, misfit, i, -step, rise), _end(objective, z, misfit, i, step, rise)


def _end(objective: Objective, z: Array, misfit: float, i: int, step: float, rise: float) -> float:
    bound = 0.0 if step < 0 else 1.0
    warm = z.copy()

    def excess(at: float) -> float:
        nonlocal warm
        found = trust_region(objective, warm, {i: at})
        if found.status == "interrupted":
            raise KeyboardInterrupt
        if np.isfinite(found.misfit):
            warm = found.z
        return min(found.misfit, 1e300) - misfit - rise

    inner = float(z[i])
    for _ in range(STEPS):
        outer = float(np.clip(inner + step, 0.0, 1.0))
        if excess(outer) > 0:
            break
        if outer == bound:
            return bound
        inner, step = outer, 2 * step
    else:
        return bound
    if inner == outer:
        return outer
    if inner == float(z[i]):
        return float(brentq(lambda at: -rise if at == inner else excess(at), inner, outer,
                            xtol=max(PRECISION * abs(outer - inner), 1e-15)))  # fmt: skip
    return float(brentq(excess, inner, outer, xtol=max(PRECISION * abs(outer - z[i]), 1e-15)))
