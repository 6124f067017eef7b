"""Reduced models as explicit Tucker models: their coefficients at all nodes of the parameters, compressed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from inntd.axes import Axis
from inntd.models.memory import refuse_beyond
from inntd.models.sampling import sobol_points
from inntd.models.tucker import TuckerModel

if TYPE_CHECKING:
    from inntd.models.reduced import ReducedModel

Array = npt.NDArray[np.float64]

BATCH = 1 << 14  # parameters solved for at once
CHECKS = 64  # random parameters at which the result is compared
FIRST = 0.1  # share of the tolerance for the compression before the result is rounded in L2


def explicit_tucker(model: ReducedModel, tolerance: float) -> TuckerModel:
    """Return a reduced model in explicit form; see `ReducedModel.to_tucker`."""
    axes = model.parameter_axes
    sizes = [axis.size for axis in axes]
    count, functions = int(np.prod(sizes)), model.core.shape[-1]
    if functions == 0:  # the solution vanishes
        zero = TuckerModel.from_factors(
            model.axes, np.zeros([1] * len(model.axes)), [np.zeros((axis.size, 1)) for axis in model.axes]
        )
        zero.metadata |= model.metadata | {"separation_error": 0.0}
        return zero
    refuse_beyond(f"the coefficients at {' x '.join(map(str, sizes))} nodes", 8 * 3 * count * functions, None,
                  "hold some parameters still with at(...), or use coarser axes of parameters")  # fmt: skip
    values = np.empty((count, functions))
    for first, points in _batches(axes, count):
        with torch.no_grad():
            values[first : first + len(points)] = model._weights(torch.from_numpy(points)).numpy()
    root = _root(model._gram().numpy())
    tensor = (values @ root.T).reshape(*sizes, functions)  # whose Euclidean norm is the L2 norm in space
    core, bases = truncated(tensor, FIRST * tolerance)
    space = np.linalg.lstsq(root, bases[-1], rcond=None)[0]  # back to weights of the functions
    spatial = np.tensordot(model.core.numpy(), space, 1)
    full = np.tensordot(core, spatial, axes=([-1], [-1]))
    found = TuckerModel.from_factors([*axes, *model.merged], full, [*bases[:-1], *model.factors])
    found = _reordered(found, model.axes).round(tolerance=tolerance)
    found.metadata |= model.metadata | {"separation_error": _difference(model, found)}
    return found


def truncated(tensor: Array, tolerance: float) -> tuple[Array, list[Array]]:
    """Return core and orthonormal bases of a tensor within a relative Euclidean error, axis after axis (ST-HOSVD).

    Vannieuwenhoven, Vandebril and Meerbergen, SIAM J. Sci. Comput. 34, 2012.

    Examples
    --------
    >>> core, bases = truncated(np.multiply.outer(np.arange(3.0), np.ones(4)), 1e-12)
    >>> core.shape, [basis.shape for basis in bases]
    ((1, 1), [(3, 1), (4, 1)])
    """
    core, bases = tensor, []
    allowed = tolerance * float(np.linalg.norm(tensor)) / np.sqrt(tensor.ndim)
    for d in range(tensor.ndim):
        flat = np.moveaxis(core, d, 0).reshape(core.shape[d], -1)
        small = np.asarray(np.linalg.qr(flat.T, mode="r")).T if flat.shape[1] > flat.shape[0] else flat
        vectors, values, _ = np.linalg.svd(small, full_matrices=False)
        tails = np.sqrt(np.append(np.cumsum(values[::-1] ** 2)[::-1], 0.0))
        basis = vectors[:, : max(1, int(np.argmax(tails <= allowed)))]
        bases.append(np.ascontiguousarray(basis))
        core = np.moveaxis(np.tensordot(basis.T, core, axes=([1], [d])), 0, d)
    return core, bases


def _batches(axes: Sequence[Axis], count: int) -> Iterator[tuple[int, Array]]:
    nodes = [axis.nodes[: axis.size] for axis in axes]
    sizes = [len(own) for own in nodes]
    for first in range(0, count, BATCH):
        places = np.unravel_index(np.arange(first, min(count, first + BATCH)), sizes)
        yield first, np.stack([own[place] for own, place in zip(nodes, places, strict=True)], axis=1)


def _root(gram: Array) -> Array:
    """Return R with R^T R = gram, which may be singular: lifted values may depend on the functions."""
    values, vectors = np.linalg.eigh(gram)
    root: Array = np.sqrt(np.maximum(values, 0.0))[:, None] * vectors.T
    return root


def _reordered(model: TuckerModel, axes: Sequence[Axis]) -> TuckerModel:
    order = [model.axes.index(axis) for axis in axes]
    return TuckerModel.from_factors(axes, model.core.detach().permute(order), [model.factors[d] for d in order])


def _difference(model: ReducedModel, found: TuckerModel) -> float:
    """Return the relative L2 difference in space, over random parameters."""
    off, size = 0.0, 0.0
    for point in sobol_points(model.parameter_axes, CHECKS, seed=0):
        fixed = {axis.name: float(x) for axis, x in zip(model.parameter_axes, point, strict=True)}
        exact, other = model.at(fixed), found.at(fixed)
        if isinstance(exact, float):
            off, size = off + (exact - other) ** 2, size + exact**2
        else:
            off, size = off + exact.distance(other) ** 2, size + exact.norm() ** 2
    return float(np.sqrt(off / size)) if size > 0 else 0.0
