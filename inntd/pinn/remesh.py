"""Meshes that follow the solution: nodes by the root mean square of its gradient."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from inntd.axes import Axis

Array = npt.NDArray[np.float64]

#: Share of the nodes that are spread evenly, relative to those that follow the gradient.
EVEN = 0.5
#: Neighbouring elements differ by this factor at most, about.
GROWTH = 1.25


def monitor(axis: Axis, values: Array, place: int) -> Array:
    """Return how many nodes each element asks for (elements,): by its slope, and by how much that changes.

    Both in the root mean square over all other axes and components, relative to their means. The change, of which the
    square root counts, finds kinks; in layers both are large.

    Parameters
    ----------
    axis
        Along which.
    values
        Nodal values (components, n_1, ..., n_D).
    place
        The position of the axis among the D.
    """
    nodes = np.moveaxis(values, place + 1, 0).reshape(axis.size, -1)
    if axis.periodic:
        nodes = np.concatenate([nodes, nodes[:1]])
    slopes = np.diff(nodes, axis=0) / np.diff(axis.nodes)[:, None]
    lengths = np.diff(axis.nodes)
    before, after = (slopes[-1:], slopes[:1]) if axis.periodic else (slopes[:1], slopes[-1:])
    padded = np.concatenate([before, slopes, after])
    change = np.abs(np.diff(padded, axis=0))
    curvature = np.sqrt(np.mean((change[1:] + change[:-1]) ** 2, axis=1)) / lengths
    return _relative(np.sqrt(np.mean(slopes**2, axis=1)), lengths) + _relative(np.sqrt(curvature), lengths)


def _relative(density: Array, lengths: Array) -> Array:
    mean = float(density @ lengths / lengths.sum())
    return density / mean if mean > 0 else np.zeros_like(density)


def remeshed(axis: Axis, density: Array) -> Axis:
    """Return the axis with as many elements, of which each holds as much of a density.

    Parameters
    ----------
    axis
        Without breaks.
    density
        On each element, from :func:`monitor`.

    Examples
    --------
    >>> import inntd as it, numpy as np
    >>> x = it.Axis("x", -1, 1, elements=40)
    >>> new = remeshed(x, monitor(x, np.tanh(20 * x.nodes)[None], 0))
    >>> lengths = np.diff(new.nodes)
    >>> new.domain, new.elements, bool(lengths.min() < 0.02), bool(lengths.max() > 0.08)
    ((-1.0, 1.0), 40, True, True)
    """
    old = axis.nodes
    lengths = np.diff(old)
    if not density.any() or axis.breaks:
        return axis
    density = _graded(EVEN + density, lengths, axis.periodic)
    total = np.concatenate([[0.0], np.cumsum(density * lengths)])
    nodes = np.interp(np.linspace(0, total[-1], axis.elements + 1), total, old)
    nodes[0], nodes[-1] = old[0], old[-1]
    return Axis(
        axis.name, nodes=nodes, periodic=axis.periodic, kind=axis.kind, unit=axis.unit,
        basis=axis.basis,
    )  # fmt: skip


def _graded(density: Array, lengths: Array, periodic: bool) -> Array:
    """Raise the density beside its peaks, so that it falls by no more than a factor per new element."""
    count = len(density)
    per_length = density / float(density @ lengths) * count  # new elements per length
    for _ in range(2 if periodic else 1):
        for order in (range(1, count), range(count - 2, -1, -1)):
            step = 1 if order.step > 0 else -1
            for e in order:
                before = per_length[e - step]
                # Over n elements of density ρ, that falls like 1 / (1/ρ + x log g): sizes then grow by g per element.
                distance = 0.5 * (lengths[e] + lengths[e - step])
                least = 1.0 / (1.0 / before + distance * np.log(GROWTH))
                per_length[e] = max(per_length[e], least)
        if periodic:
            per_length = np.roll(per_length, count // 2)
            lengths = np.roll(lengths, count // 2)
    if periodic and 2 * (count // 2) != count:
        per_length = np.roll(per_length, 1)
    return per_length
