r"""Meshes for a wanted error: how many elements, where, and with which patches, from the shares of the elements.

An element of length h whose share of the error is E, divided into n, leaves :math:`E\,n^{-(q + 1/2)}` to each of its
parts, with q = 2s+1 where the solution is smooth and q = 1 where raising the order does not help. The cheapest mesh
gives all new elements the same share.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from inntd.axes import Axis, CHiDeNNBasis
from inntd.axes.remesh import on_nodes, remeshed
from inntd.solvers.discretisation import AxisError

Array = npt.NDArray[np.float64]

#: Elements are divided by at most this, and grow by no more than the other, from one mesh to the next.
MOST_PARTS, LEAST_PARTS = 6.0, 0.5
#: An axis gets at most so many times its elements: on a coarse mesh the error has not yet found its place.
MOST_GROWTH = 2.5
#: Decays of differences with the patch size at which a function counts as smooth, and as rough.
SMOOTH, ROUGH = 0.3, 0.9
#: Patches for smooth functions, by how many hops they grow at most, and how much that must save.
LARGEST_PATCH, MOST_HOPS, WORTH = 6, 2, 0.85
#: Equal elements are kept while they are no more than this many times as many.
EVEN = 1.3
#: An axis that must get better gets at least this many times its elements.
LEAST_GROWTH = 1.15


def refined_axes(errors: Sequence[AxisError], goal: float) -> list[Axis]:
    """Return other meshes for the axes that carry an error too large for a goal of all axes together.

    Parameters
    ----------
    errors
        Of all axes, by element.
    goal
        Relative L2 error. Axes whose part is small keep their mesh; the others share what is left evenly.

    Examples
    --------
    >>> import numpy as np, inntd as it
    >>> from inntd.solvers.discretisation import axis_errors
    >>> x, y = it.Axis("x", 0, 1, elements=10), it.Axis("y", 0, 1, elements=10, s=1)
    >>> u = it.CPModel.from_factors([x, y], [np.sin(x.nodes)[:, None], np.sin(5 * y.nodes)[:, None]])
    >>> refined_axes(axis_errors(u, by_element=True), 1e-4)
    [Axis('y', 0.0, 1.0, elements=25, s=1)]
    """
    share = part_of_each(errors, goal)
    return [refined_axis(each, share) for each in errors if each.error > share and not each.axis.discrete]


def part_of_each(errors: Sequence[AxisError], goal: float) -> float:
    """Return the error that each axis may have when those below it keep what they have."""
    sizes = sorted(each.error for each in errors)
    left = goal**2
    for k, size in enumerate(sizes):
        part = math.sqrt(left / (len(sizes) - k))
        if size > part:
            return part
        left -= size**2
    return math.inf


def refined_axis(error: AxisError, goal: float) -> Axis:
    """Return another mesh of an axis, and other patches if they save elements, for a goal of its own error."""
    axis = error.axis
    if not error.elements.any():
        error = replace(error, elements=np.full(axis.elements, error.error / math.sqrt(axis.elements)))
    s = best_patch(error, goal)
    own = _patch(axis)
    shares = error.elements * _gain(error.decay) ** (s - own)
    basis = None if s == own else CHiDeNNBasis(s=s)
    parts = _parts(axis, shares, _orders(error.decays, s), goal)
    least = 1.0 if s > own else LEAST_GROWTH
    if parts.sum() < least * axis.elements:
        parts = parts * (least * axis.elements / parts.sum())
    found = remeshed(axis, np.diff(axis.nodes) / parts, basis)
    if found.key == axis.key:  # of nodes that were given one by one none was due for division: the worst are
        worst = error.elements >= np.quantile(error.elements, 0.5)
        found = remeshed(axis, np.diff(axis.nodes) / np.where(worst, 2.0, 1.0), basis)
    return found


def best_patch(error: AxisError, goal: float) -> int:
    """Return the patch size with which the goal takes the least work, elements times neighbours.

    Only where the basis was left to the library and the solution is smooth; patches must fit on the mesh as it is.
    """
    axis, own = error.axis, _patch(error.axis)
    if axis._basis_given or own < 1 or error.decay > SMOOTH:
        return own

    def work(s: int) -> float:
        shares = error.elements * _gain(error.decay) ** (s - own)
        return float(_parts(axis, shares, _orders(error.decays, s), goal, limited=False).sum()) * (2 * s + 1)

    best, least = own, WORTH * work(own)
    for s in range(own + 1, min(own + MOST_HOPS, LARGEST_PATCH) + 1):
        if _fits(axis, s) and work(s) < least:
            best, least = s, WORTH * work(s)
    return best


def _gain(decay: float) -> float:
    """Return by what an error falls when patches grow by one hop: what was seen, taken with caution."""
    return float(max(decay, 0.02) ** 0.8)


def _fits(axis: Axis, s: int) -> bool:
    try:
        on_nodes(axis, axis.nodes, CHiDeNNBasis(s=s))
    except ValueError:
        return False
    return True


def _patch(axis: Axis) -> int:
    """Return the largest patch size of an axis, 0 of linear functions."""
    return int(np.max(axis.basis.s)) if isinstance(axis.basis, CHiDeNNBasis) else 0


def _orders(decays: Array, s: int) -> Array:
    """Return the order to expect on each element."""
    with np.errstate(divide="ignore"):
        rough = np.clip(np.log(decays / SMOOTH) / math.log(ROUGH / SMOOTH), 0.0, 1.0)
    smooth = max(2.0 * s + 1.0, 2.0)
    return np.asarray(smooth + (1.0 - smooth) * rough)


def _parts(axis: Axis, shares: Array, orders: Array, goal: float, *, limited: bool = True) -> Array:
    """Return into how many parts each element is to be divided, less than one to join it with others."""
    shares = np.maximum(shares, 1e-300)
    most, growth = (MOST_PARTS, MOST_GROWTH) if limited else (math.inf, math.inf)
    parts = _equal_shares(shares, orders, goal, most, growth)
    steps = np.diff(axis.nodes)
    if np.ptp(steps) > 0.2 * steps.mean() or axis._nodes_given:
        return parts
    even = np.full(axis.elements, _equal_parts(shares, orders, goal, growth))
    enough = max(goal, 1.05 * _left(shares, orders, parts))
    return even if even.sum() <= EVEN * parts.sum() and _left(shares, orders, even) <= enough else parts


def _left(shares: Array, orders: Array, parts: Array) -> float:
    """Return the error to expect when elements are divided."""
    return math.sqrt(float(np.sum((shares * parts**-orders) ** 2)))


def _equal_shares(shares: Array, orders: Array, goal: float, most: float, growth: float) -> Array:
    """Bisect for the share of every new element."""

    def parts(log_share: float) -> Array:
        wanted = np.minimum((np.log(shares) - log_share) / (orders + 0.5), 700.0)
        return np.clip(np.exp(wanted), LEAST_PARTS, most)

    low, high = math.log(goal) - 60.0, math.log(float(shares.max())) + 5.0
    for _ in range(60):
        middle = 0.5 * (low + high)
        tried = parts(middle)
        enough = _left(shares, orders, tried) <= goal or tried.sum() > growth * len(shares)
        low, high = (middle, high) if enough else (low, middle)
    return parts(high)


def _equal_parts(shares: Array, orders: Array, goal: float, most: float) -> float:
    """Bisect for the number of parts that all elements are divided into."""
    low, high = math.log(LEAST_PARTS), math.log(min(most, 1e6))
    for _ in range(50):
        middle = 0.5 * (low + high)
        enough = _left(shares, orders, np.full(len(shares), math.exp(middle))) <= goal
        low, high = (low, middle) if enough else (middle, high)
    return math.exp(high)
