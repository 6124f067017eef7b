"""From nodal values on a full grid to a model: the best sum of products, or a core with bases of its axes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from inntd.axes import Axis
from inntd.models import CPModel, TuckerModel

Array = npt.NDArray[np.float64]


def compressed(axes: Sequence[Axis], values: Array, tolerance: float) -> tuple[CPModel | TuckerModel, int, float]:
    """Return a model of nodal values with the fewest modes that keep a relative L2 error, their number, and the error.

    Parameters
    ----------
    axes
        D of them.
    values
        Nodal values (n_1, ..., n_D).
    tolerance
        Relative L2 error, in the trapezoidal rule on the nodes.

    Returns
    -------
    model
        A `CPModel` for one or two axes, else a `TuckerModel`.
    modes
        Its rank, or the largest of its ranks.
    error
        Relative L2 error of the compression, a bound for more than two axes.

    Examples
    --------
    >>> import inntd as it
    >>> x, y = it.Axis("x", 0, 1, elements=8), it.Axis("y", 0, 2, elements=8)
    >>> compressed([x, y], np.add.outer(x.nodes, y.nodes**2), 1e-10)[1]
    2
    """
    if len(axes) == 1:
        return CPModel.from_factors(axes, [values[:, None]]), 1, 0.0
    scales = [np.sqrt(_trapezoid(axis)) for axis in axes]
    weighted = values.copy()
    for d, scale in enumerate(scales):
        weighted *= scale.reshape([-1 if place == d else 1 for place in range(len(axes))])
    size = float(np.linalg.norm(weighted))
    if size == 0.0:
        return CPModel.from_factors(axes, [np.zeros((axis.size, 1)) for axis in axes]), 1, 0.0
    allowed = tolerance * size / np.sqrt(max(1, len(axes) - (len(axes) == 2)))
    if len(axes) == 2:
        left, sizes, right = np.linalg.svd(weighted, full_matrices=False)
        rank, lost = _rank(sizes, allowed)
        factors = [left[:, :rank] * np.sqrt(sizes[:rank]), right[:rank].T * np.sqrt(sizes[:rank])]
        factors = [factor / scale[:, None] for factor, scale in zip(factors, scales, strict=True)]
        return CPModel.from_factors(axes, factors), rank, lost / size
    core, bases, squares = weighted, [], 0.0
    for d in range(len(axes)):
        unfolded = np.moveaxis(core, d, 0).reshape(core.shape[d], -1)
        left, sizes, _ = np.linalg.svd(unfolded, full_matrices=False)
        rank, lost = _rank(sizes, allowed)
        squares += lost**2
        bases.append(left[:, :rank])
        core = np.moveaxis(np.tensordot(left[:, :rank].T, core, (1, d)), 0, d)
    factors = [basis / scale[:, None] for basis, scale in zip(bases, scales, strict=True)]
    return TuckerModel.from_factors(axes, core, factors), max(core.shape), float(np.sqrt(squares)) / size


def _rank(sizes: Array, allowed: float) -> tuple[int, float]:
    """Return how many singular values must stay, and the norm of the others."""
    tails = np.sqrt(np.cumsum(sizes[::-1] ** 2))[::-1]  # tails[k]: of all from k on
    rank = max(1, int(np.count_nonzero(tails > allowed)))
    return rank, float(tails[rank]) if rank < len(sizes) else 0.0


def _trapezoid(axis: Axis) -> Array:
    """Return positive weights of the nodes."""
    if axis.discrete:
        return np.ones(axis.size)
    lengths = np.diff(axis.nodes)
    weights = np.zeros(len(axis.nodes))
    weights[:-1] += lengths / 2
    weights[1:] += lengths / 2
    if axis.periodic:
        weights[0] += weights[-1]
        weights = weights[:-1]
    return weights
