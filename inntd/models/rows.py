"""One axis at points: its basis functions as an autograd function of their own, and the modes' functions."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch

from inntd import _kernels
from inntd.axes import Axis
from inntd.models.points import check_coordinates

Tensor = torch.Tensor

_first: WeakKeyDictionary[Axis, Tensor] = WeakKeyDictionary()


class _BasisRows(torch.autograd.Function):
    """Derivatives of the basis functions at points, and their indices."""

    @staticmethod
    def forward(x: Tensor, axis: Axis, order: int) -> tuple[Tensor, Tensor]:
        """Tabulate (K, width) values and indices."""
        return _tabulate(x.detach(), axis, order)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Axis, int], output: tuple[Tensor, Tensor]) -> None:
        """Keep the points; indices are not differentiable."""
        x, ctx.axis, ctx.order = inputs
        ctx.save_for_backward(x)
        ctx.save_for_forward(x)
        ctx.mark_non_differentiable(output[1])
        ctx.set_materialize_grads(False)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor | None, None, None]:
        """Multiply with the functions of the next order."""
        if gradients[0] is None:
            return None, None, None
        (x,) = ctx.saved_tensors
        return (gradients[0] * basis_rows(x, ctx.axis, ctx.order + 1)[0]).sum(-1), None, None

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> tuple[Tensor | None, None]:
        """Multiply with the functions of the next order."""
        if tangents[0] is None:
            return None, None
        (x,) = ctx.saved_tensors
        return tangents[0].unsqueeze(-1) * basis_rows(x, ctx.axis, ctx.order + 1)[0], None

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[int | None, ...], x: Tensor, axis: Axis, order: int
    ) -> tuple[tuple[Tensor, Tensor], tuple[int, int]]:
        """Treat a batch of vectors of points as one long vector."""
        assert in_dims[0] is not None
        x = x.movedim(in_dims[0], 0)
        values, index = basis_rows(x.reshape(-1), axis, order)
        shape = (*x.shape, values.shape[-1])
        return (values.reshape(shape), index.reshape(shape)), (0, 0)


def basis_rows(x: Tensor, axis: Axis, order: int = 0) -> tuple[Tensor, Tensor]:
    """Return the basis functions that do not vanish at points, and which ones they are.

    Parameters
    ----------
    x : tensor (K,)
        Inside the axis; float32 or float64, on any device.
    axis : Axis
    order : int, default 0
        Order of the derivative. At a node the derivative is that of the element on the right.

    Returns
    -------
    values : tensor (K, width)
        Differentiable with respect to `x`, any number of times.
    index : tensor (K, width) of int64

    Examples
    --------
    >>> import inntd as it, torch
    >>> axis = it.Axis("x", 0, 4, elements=4, basis=it.LinearBasis())
    >>> basis_rows(torch.tensor([1.25]), axis)
    (tensor([[0.7500, 0.2500]]), tensor([[1, 2]]))
    """
    values, index = _BasisRows.apply(x, axis, order)  # type: ignore[no-untyped-call]
    return values, index


def _tabulate(x: Tensor, axis: Axis, order: int) -> tuple[Tensor, Tensor]:
    check_coordinates(x.reshape(-1), axis)  # here, for points under torch.func's transformations are seen only here
    table = axis.table
    points = x.cpu().contiguous()
    piece = torch.empty(points.shape, dtype=torch.int64)
    values = torch.empty((*points.shape, table.width), dtype=points.dtype)
    _kernels.core.tabulate(table, points, piece, values, order)
    index = _first_functions(axis)[piece].unsqueeze(-1) + torch.arange(table.width)
    if axis.periodic:
        index %= axis.size
    return values.to(x.device), index.to(x.device)


def _first_functions(axis: Axis) -> Tensor:
    """Return the first basis function of every piece; the core hands out copies, which are long on long axes."""
    first = _first.get(axis)
    if first is None:
        first = _first[axis] = torch.from_numpy(np.asarray(axis.table.first))
    return first


def contract(axis: Axis, factor: Tensor, x: Tensor, order: int = 0) -> Tensor:
    """Return every mode's function of one axis, or its derivative, at points: (K, M)."""
    values, index = basis_rows(x, axis, order)
    return (values.unsqueeze(-2) @ factor[index]).squeeze(-2)
