r"""Evaluation of CP models as functions of tensors, differentiable any number of times.

The contract with the compiled core: points are inside the mesh, factors have shape (axis.size, M). On the CPU the core
computes values, jets and their first derivatives (`inntd.models.fused`). For derivatives of derivatives, under
torch.func's transformations and on other devices they are compositions (`inntd.models.composed`) of

* `basis_rows` (`inntd.models.rows`), an autograd function of its own: the basis functions of derivative order r at
  points, whose derivative is the same function of order r + 1;
* torch's gathering, multiplication and summation, which differentiate themselves.

Both forms keep to CPU; points on another device visit it for their basis rows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from inntd.axes import Axis
from inntd.models import fused
from inntd.models.composed import composed_jet, composed_values
from inntd.models.points import is_transformed
from inntd.models.rows import contract

Tensor = torch.Tensor

POINTS_AT_ONCE = 1 << 16
NUMBERS_AT_ONCE = 1 << 22


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
