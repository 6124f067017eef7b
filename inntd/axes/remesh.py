"""Another mesh for an axis: other nodes from a wanted length of elements, with everything that must stay."""

from __future__ import annotations

import itertools
import math
import warnings

import numpy as np
import numpy.typing as npt

from inntd._checks import StabilityWarning
from inntd.axes.axis import Axis
from inntd.axes.basis import Basis, CHiDeNNBasis

Array = npt.NDArray[np.float64]

#: Elements grow by at most about this share from one to the next: patches bear it.
GROWTH = 0.4
#: Points per new element, and most per old one, at which wanted lengths are integrated.
FINE, FINEST = 8, 1024


def on_nodes(axis: Axis, nodes: Array, basis: Basis | None) -> Axis:
    """Return an axis of the same name, kind and breaks on other nodes; without a basis it has the default one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StabilityWarning)  # whoever made the axis has been warned
        found = Axis(axis.name, nodes=nodes, breaks=axis.breaks, periodic=axis.periodic, kind=axis.kind, unit=axis.unit,
                     basis=basis)  # fmt: skip
    found._nodes_given, found._basis_given = axis._nodes_given, axis._basis_given
    return found


def remeshed(axis: Axis, lengths: Array, basis: Basis | None = None) -> Axis:
    """Return an axis whose elements have about the wanted lengths.

    Ends and breaks stay nodes. Of nodes that were given one by one all stay: elements are divided.

    Parameters
    ----------
    axis : Axis
        Not discrete.
    lengths : array (axis.elements,)
        Wanted length of the new elements within each old one. Shortened so that neighbours do not differ too much.
    basis : Basis, optional
        By default that of the axis, or with patch sizes of one's own those of the nodes nearest by.

    Examples
    --------
    >>> import numpy as np, inntd as it
    >>> x = it.Axis("x", 0, 1, elements=8)
    >>> remeshed(x, np.full(8, 0.1))
    Axis('x', 0.0, 1.0, elements=10, s=3)
    >>> fine = remeshed(x, np.where(np.arange(8) < 1, 0.01, 0.125))
    >>> steps = np.diff(fine.nodes)
    >>> bool(steps[0] < 0.012 and steps[-1] > 0.1 and (steps[1:] / steps[:-1]).max() < 1.6)
    True
    """
    wanted = graded(axis, lengths)
    nodes = _divided(axis, wanted) if axis._nodes_given else _spaced(axis, wanted)
    return on_nodes(axis, nodes, axis._basis_on(nodes) if basis is None else basis)


def graded(axis: Axis, lengths: Array) -> Array:
    """Return lengths that grow by a bounded share from one place to the next."""
    middle = 0.5 * (axis.nodes[:-1] + axis.nodes[1:])
    found = np.asarray(lengths, dtype=np.float64).copy()
    steps = GROWTH * np.diff(middle)
    for _ in range(2 if axis.periodic else 1):
        for k in range(1, found.size):
            found[k] = min(found[k], found[k - 1] + steps[k - 1])
        for k in range(found.size - 2, -1, -1):
            found[k] = min(found[k], found[k + 1] + steps[k])
        if axis.periodic:
            found[0] = found[-1] = min(found[0], found[-1])
    return np.asarray(found)


def _spaced(axis: Axis, lengths: Array) -> Array:
    """Place nodes by the integral of one over the wanted length, part by part between breaks."""
    middle, steps = 0.5 * (axis.nodes[:-1] + axis.nodes[1:]), np.diff(axis.nodes)
    fine = int(min(FINE * math.ceil(float((steps / lengths).max())), FINEST))
    x = np.append((axis.nodes[:-1, None] + steps[:, None] * np.arange(fine) / fine).reshape(-1),
                  axis.nodes[-1])  # fmt: skip
    density = 1.0 / np.interp(x, middle, lengths)
    bounds = [axis.nodes[0], *(point for point in axis.breaks if point > axis.nodes[0]), axis.nodes[-1]]
    fewest = _fewest(axis, len(bounds) - 1)
    parts = []
    for start, stop in itertools.pairwise(bounds):
        inside = (x >= start) & (x <= stop)
        own, rate = x[inside], density[inside]
        reached = np.append(0.0, np.cumsum(0.5 * (rate[1:] + rate[:-1]) * np.diff(own)))
        count = max(math.ceil(reached[-1] - 1e-9), fewest)
        if np.ptp(rate) <= 1e-9 * rate.max():
            parts.append(start + (stop - start) * (np.arange(count) / count))
        else:
            parts.append(np.interp(reached[-1] * np.arange(count) / count, reached, own))
        parts[-1][0] = start
    return np.append(np.concatenate(parts), axis.nodes[-1])


def _fewest(axis: Axis, parts: int) -> int:
    """Return how many elements a part between breaks has at least: the patches fit."""
    s = int(np.max(axis.basis.s)) if isinstance(axis.basis, CHiDeNNBasis) else 0
    return 2 * s + 2 if parts == 1 else 1


def _divided(axis: Axis, lengths: Array) -> Array:
    """Divide elements into equal parts."""
    steps = np.diff(axis.nodes)
    counts = np.maximum(np.ceil(steps / lengths - 1e-9), 1).astype(int)
    parts = [left + step * np.arange(count) / count for left, step, count in
             zip(axis.nodes[:-1], steps, counts, strict=True)]  # fmt: skip
    return np.append(np.concatenate(parts), axis.nodes[-1])
