"""How far an answer is off: measured in the solution, never in the residual.

Near layers, and where errors grow in time, the same residual belongs to errors of any size. So the problem is solved
once more with patches one hop shorter on the same nodes, from the answer: what changes is about the error of that
coarser solution, which the answer's own does not exceed where refinement helps at all. Kinks, of which all patches know
equally little, are found by leaving out nodes.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import scipy.sparse

from inntd._checks import StabilityWarning
from inntd.axes import Axis, CHiDeNNBasis
from inntd.pinn.tables import AxisPoints

Array = npt.NDArray[np.float64]

_POINTS = 4


def shorter(axis: Axis) -> Axis:
    """Return the axis with patches one hop shorter, itself where they have one hop already.

    Examples
    --------
    >>> import inntd as it
    >>> shorter(it.Axis("x", 0, 1, elements=10))
    Axis('x', 0.0, 1.0, elements=10, s=2)
    """
    if axis.discrete or not isinstance(axis.basis, CHiDeNNBasis) or np.min(axis.basis.s) < 2:
        return axis
    sizes = np.asarray(axis.basis.s) - 1
    basis = CHiDeNNBasis(s=int(sizes) if sizes.ndim == 0 else tuple(map(int, sizes)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StabilityWarning)
        return Axis(
            axis.name, nodes=axis.nodes, periodic=axis.periodic, breaks=axis.breaks, kind=axis.kind, basis=basis
        )


def distance(axes: Sequence[Axis], values: Array, others: Sequence[Axis], other: Array) -> float:
    """Return the L2 distance of two functions, relative to the first, all components together.

    Parameters
    ----------
    axes, values
        Nodal values (components, n_1, ..., n_D) and their axes.
    others, other
        The same nodes with another basis.
    """
    left, right = _sampled(axes, values), _sampled(others, other)
    size = _norm(axes, left)
    return _norm(axes, left - right) / size if size else float(np.any(other))


def _sampled(axes: Sequence[Axis], values: Array, at: Sequence[Axis] | None = None) -> Array:
    """Return the function at Gauss points, of the axes `at` if given."""
    for d, axis in enumerate(axes):
        if axis.discrete:
            continue
        points = AxisPoints(axis if at is None else at[d], _POINTS, 0).points.reshape(-1)
        index, table = axis.tabulate(points)
        rows = np.repeat(np.arange(len(points)), index.shape[1])
        shape = len(points), axis.size
        matrix = scipy.sparse.coo_array((table.reshape(-1), (rows, index.reshape(-1))), shape=shape).tocsr()
        moved = np.moveaxis(values, d + 1, 0)
        flat = matrix @ moved.reshape(len(moved), -1)
        values = np.moveaxis(flat.reshape(-1, *moved.shape[1:]), 0, d + 1)
    return values


def interpolation_error(axes: Sequence[Axis], values: Array, d: int) -> float:
    """Return the relative L2 error of interpolation along one axis, from that on every other node and every fourth.

    Halving the elements has reduced the error by the ratio of the two distances, and will do so once more: by much
    where the function is smooth, by little at kinks and in layers that are not resolved.

    Examples
    --------
    >>> import inntd as it
    >>> x = it.Axis("x", 0, 1, elements=64)
    >>> smooth = interpolation_error([x], np.sin(3 * x.nodes)[None], 0)
    >>> kink = interpolation_error([x], np.abs(x.nodes - 0.5)[None], 0)
    >>> smooth < 1e-10, 1e-4 < kink < 1e-2
    (True, True)
    """
    coarse = [(every, _coarser(axes[d], every)) for every in (2, 4)]
    if any(axis is None for _, axis in coarse):
        return 0.0
    size = _norm(axes, _sampled(axes, values))
    if size == 0.0:
        return 0.0
    levels = [_sampled(axes, values)]
    for every, axis in coarse:
        assert axis is not None
        nodes = np.take(values, range(0, axes[d].size, every), axis=d + 1)
        here = [axis if i == d else own for i, own in enumerate(axes)]
        levels.append(_sampled(here, nodes, at=axes))
    one, two = (_norm(axes, a - b) / size for a, b in itertools.pairwise(levels))
    rate = min(max(two / one, 1.0), 4.0 ** np.max(getattr(axes[d].basis, "s", 1))) if one > 0 else 1.0
    return one / float(rate)


def _coarser(axis: Axis, every: int) -> Axis | None:
    """Return the axis on some of its nodes; None where these are too few, or do not end where it ends."""
    if axis.discrete or axis.breaks or axis.elements % every or not isinstance(axis.basis, CHiDeNNBasis):
        return None
    size = int(np.max(axis.basis.s))
    if axis.elements // every < 2 * size + 1:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StabilityWarning)
        return Axis(axis.name, nodes=axis.nodes[::every], periodic=axis.periodic, kind=axis.kind, s=size)


def _norm(axes: Sequence[Axis], sampled: Array) -> float:
    weights: Array = np.ones(())
    for axis in axes:
        own = np.ones(axis.size) if axis.discrete else AxisPoints(axis, _POINTS, 0).weights.reshape(-1)
        weights = np.multiply.outer(weights, own)
    return float(np.sqrt(np.sum(weights * sampled**2)))
