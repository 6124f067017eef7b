"""Where a search begins: points spread over the box, the best of them far from each other."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy.stats import qmc

Array = npt.NDArray[np.float64]

STARTS = 64  # points of the box at which the misfit is looked at
REFINED = 4  # of them from which a search begins
APART = 0.1  # of the box, between two of those


def spread(unknowns: int, count: int, seed: int) -> Array:
    """Return scrambled Sobol' points (count, P) in the unit box, rounded up to a power of two, the first of them."""
    power = max(0, int(np.ceil(np.log2(count))))
    return np.asarray(qmc.Sobol(unknowns, seed=seed).random_base2(power)[:count])


def best_apart(points: Array, misfit: Array, most: int) -> Array:
    """Return at most so many finite points, the best first, each at a distance from the better ones.

    Examples
    --------
    >>> best_apart(np.array([[0.1], [0.12], [0.9]]), np.array([2.0, 1.0, 3.0]), 2)
    array([[0.12],
           [0.9 ]])
    """
    chosen: list[Array] = []
    for i in np.argsort(misfit, kind="stable"):
        if len(chosen) == most or not np.isfinite(misfit[i]):
            break
        if all(np.abs(points[i] - other).max() > APART for other in chosen):
            chosen.append(points[i])
    return np.array(chosen).reshape(-1, points.shape[1])


def evaluate_in_blocks(misfit: Callable[[Array], Array], points: Array, rows: int) -> Array:
    """Return the misfit at many points, of `rows` residuals each, without much memory."""
    step = max(1, (1 << 22) // max(1, rows))
    return np.concatenate([misfit(points[i : i + step]) for i in range(0, len(points), step)])
