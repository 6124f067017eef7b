r"""Evaluation of CP models as functions of tensors, differentiable any number of times.

The contract with the compiled core: points are inside the mesh, factors have shape (axis.size, M). On the CPU the core
computes values, jets and their first derivatives (`inntd.models.fused`). For derivatives of derivatives, under
torch.func's transformations and on other devices the functions here are compositions of

* `basis_rows`, an autograd function of its own: the basis functions of derivative order r at points, whose derivative
  is the same function of order r + 1;
* torch's gathering, multiplication and summation, which differentiate themselves.

Both forms keep to CPU; points on another device visit it for their basis rows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch

from inntd import _kernels
from inntd.axes import Axis
from inntd.models import fused
from inntd.models.points import check_coordinates, is_transformed

Tensor = torch.Tensor

POINTS_AT_ONCE = 1 << 16
NUMBERS_AT_ONCE = 1 << 22

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


def watched(tensors: Sequence[Tensor]) -> bool:
    """Return whether derivatives of what is computed from these tensors may be asked for, in any of torch's ways."""
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
        return True
    return any(is_transformed(tensor) for tensor in tensors)


def differentiable_by_core(tensors: Sequence[Tensor]) -> bool:
    """Return whether the compiled backward passes serve: on the CPU, outside of torch.func's transformations."""
    return all(tensor.device.type == "cpu" and not is_transformed(tensor) for tensor in tensors)


def values(axes: Sequence[Axis], factors: Sequence[Tensor], points: Tensor) -> Tensor:
    """Return the values (K,) at points (K, D).

    Derivatives follow with respect to factors and points, any number of times.
    """
    if watched([points, *factors]):
        if differentiable_by_core([points, *factors]):
            return fused.values(axes, factors, points)
        return composed_values(axes, factors, points)
    if points.device.type == "cpu":
        return fused.plain_values(axes, factors, points)
    parts = [composed_values(axes, factors, part) for part in torch.split(points, POINTS_AT_ONCE)]
    return torch.cat(parts)


def jet(axes: Sequence[Axis], factors: Sequence[Tensor], points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return values (K,), gradients (K, D) and diagonal second derivatives (K, D) at points (K, D)."""
    if watched([points, *factors]):
        if differentiable_by_core([points, *factors]):
            return fused.jet(axes, factors, points)
        return composed_jet(axes, factors, points)
    if points.device.type == "cpu":
        return fused.plain_jet(axes, factors, points)
    parts = [composed_jet(axes, factors, part) for part in torch.split(points, POINTS_AT_ONCE)]
    u, gradient, second = (torch.cat(pieces) for pieces in zip(*parts, strict=True))
    return u, gradient, second


def grid(axes: Sequence[Axis], factors: Sequence[Tensor], vectors: Sequence[Tensor]) -> Tensor:
    """Return the values on the grid (K_1, ..., K_D) spanned by one vector of coordinates per axis.

    A grid is one matrix product of two Khatri-Rao products, of the first and of the last axes. Large grids are halved
    along their longest axis until these products are small.
    """
    if watched([*vectors, *factors]):
        return _grid(axes, factors, vectors)
    out = factors[0].new_empty([len(x) for x in vectors])
    _fill(out, axes, [factor.detach() for factor in factors], list(vectors))
    return out


def grid_bytes(sizes: Sequence[int], itemsize: int) -> int:
    """Return the memory that a grid takes while it is computed."""
    count = math.prod(sizes)
    return (count + min(count, NUMBERS_AT_ONCE)) * itemsize


def _fill(out: Tensor, axes: Sequence[Axis], factors: Sequence[Tensor], vectors: list[Tensor]) -> None:
    sizes = [len(x) for x in vectors]
    widest = max(size * axis.table.width for size, axis in zip(sizes, axes, strict=True))
    work = max(widest, _cut(sizes)[1]) * factors[0].shape[1]
    longest = max(range(len(sizes)), key=sizes.__getitem__)
    if work <= NUMBERS_AT_ONCE or sizes[longest] == 1:
        if out.numel():
            out.copy_(_grid(axes, factors, vectors))
        return
    half = sizes[longest] // 2
    for part, x in ((slice(0, half), vectors[longest][:half]), (slice(half, None), vectors[longest][half:])):
        _fill(out[(slice(None),) * longest + (part,)], axes, factors, [*vectors[:longest], x, *vectors[longest + 1 :]])


def _grid(axes: Sequence[Axis], factors: Sequence[Tensor], vectors: Sequence[Tensor]) -> Tensor:
    rows = [contract(axis, factor, x) for axis, factor, x in zip(axes, factors, vectors, strict=True)]
    sizes = [len(x) for x in vectors]
    cut = _cut(sizes)[0]
    left, right = _khatri_rao(rows[:cut], rows[0]), _khatri_rao(rows[cut:], rows[0])
    return (left @ right.T).reshape(sizes)


def _cut(sizes: Sequence[int]) -> tuple[int, int]:
    """Return after how many axes to cut, and how many rows the two Khatri-Rao products then have together."""
    rows = {cut: math.prod(sizes[:cut]) + math.prod(sizes[cut:]) for cut in range(len(sizes))}
    cut = min(rows, key=rows.__getitem__)
    return cut, rows[cut]


def _khatri_rao(rows: Sequence[Tensor], like: Tensor) -> Tensor:
    product = like.new_ones((1, like.shape[1]))
    for row in rows:
        product = (product[:, None, :] * row[None, :, :]).reshape(-1, like.shape[1])
    return product


def composed_values(axes: Sequence[Axis], factors: Sequence[Tensor], points: Tensor) -> Tensor:
    """Return the values (K,) as a composition of torch's operations: the oracle of the compiled kernels."""
    product = contract(axes[0], factors[0], points[:, 0])
    for d in range(1, len(axes)):
        product = product * contract(axes[d], factors[d], points[:, d])
    return product.sum(-1)


def composed_jet(axes: Sequence[Axis], factors: Sequence[Tensor], points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the jet as a composition of torch's operations."""
    functions = [
        [contract(axis, factor, points[:, d], order) for order in (0, 1, 2)]
        for d, (axis, factor) in enumerate(zip(axes, factors, strict=True))
    ]
    after = [torch.ones_like(functions[0][0])]  # products of the axes after d, never a division
    for f in reversed(functions[1:]):
        after.append(after[-1] * f[0])
    gradient, second = [], []
    before = after[0]
    for f in functions:
        others = before * after.pop()
        gradient.append((others * f[1]).sum(-1))
        second.append((others * f[2]).sum(-1))
        before = before * f[0]
    return before.sum(-1), torch.stack(gradient, -1), torch.stack(second, -1)
