"""How much error is left when modes stop being added: an extrapolation of the changes that growth steps made.

A growth step finds a part of the error only. Where Galerkin solutions grow by nearly orthogonal changes c_j, the error
before step k is the root of the sum of c_j^2 over j >= k; if the changes go on falling by a factor q per step, as they
did lately, it is :math:`c_k / \\sqrt{1 - q^2}`. It is Aitken's extrapolation for sums of squares.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

# What a step finds of the error at best: updates after it end early, and one of several modes that are left is found.
FOUND = 0.5
# Steps that tell the rate, at least and at most; the first one is the solution itself.
FEWEST, MOST = 4, 16
# A change so far below the trend is no part of it: the last mode that was missing has been found.
ABRUPT = 0.03


def remaining_error(changes: Sequence[float], modes: Sequence[int]) -> float:
    """Estimate the error before the last of some growth steps.

    Parameters
    ----------
    changes
        (K,) relative L2 changes of the whole solution by the growth steps so far.
    modes
        (K,) modes after each of them.

    Examples
    --------
    Changes that halve leave 1.15 times the last one, but a step is not sure to find more than half; those of a slow
    decay leave several times as much:

    >>> halves = [0.5**k for k in range(10)]
    >>> round(remaining_error(halves, range(1, 11)) / halves[-1], 2)
    2.0
    >>> slow = [k**-1.5 for k in range(1, 31)]
    >>> round(remaining_error(slow, range(1, 31)) / slow[-1], 1)
    3.3
    """
    last = changes[-1]
    trend = _trend(changes, modes)
    if trend is None or not 0 < last < np.inf:
        return last / FOUND
    expected, rate = trend
    if last < ABRUPT * expected:
        return last / FOUND
    # Of changes like a power of the modes, more is left than of a geometric series: their decay slows down. One slower
    # than that of errors like 1 / modes cannot be told from none.
    slowing = (modes[-1] - modes[-2]) / modes[-1]
    missed = max(1.0 - rate**2 - slowing, slowing)
    return max(last, min(expected, 3.0 * last)) * max(1.0 / FOUND, 1.0 / float(np.sqrt(missed)))


def _trend(changes: Sequence[float], modes: Sequence[int]) -> tuple[float, float] | None:
    """Return the last change by an exponential fit to the latest ones, and its rate per step; None for too few."""
    count = max(FEWEST, min(MOST, len(changes) // 2))
    known = [(m, c) for m, c in list(zip(modes, changes, strict=True))[1:] if 0 < c < np.inf][-count:]
    if len(known) < FEWEST:
        return None
    at, values = np.array([m for m, _ in known], dtype=float), np.log([c for _, c in known])
    centred = at - at.mean()
    spread = float(centred @ centred)
    slope = float(centred @ values) / spread if spread > 0 else 0.0
    expected = float(np.exp(values.mean() + slope * centred[-1]))
    return expected, float(np.exp(min(0.0, slope * (modes[-1] - modes[-2]))))
