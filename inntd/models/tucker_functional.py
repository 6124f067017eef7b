"""Evaluation of Tucker models as functions of tensors, differentiable any number of times.

The contract is that of `functional`, with a core (r_1, ..., r_D) and factors (axis.size, r_d). On the CPU the compiled
core computes values, their first derivatives, and jets (`inntd.models.tucker_fused`); for other derivatives, under
torch.func's transformations and on other devices they are compositions (`inntd.models.tucker_composed`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from inntd.axes import Axis
from inntd.models import tucker_fused
from inntd.models.functional import NUMBERS_AT_ONCE, differentiable_by_core, watched
from inntd.models.rows import contract
from inntd.models.tucker_composed import composed_jet, composed_values

Tensor = torch.Tensor
Axes = Sequence[Axis]


def values(axes: Axes, core: Tensor, factors: Sequence[Tensor], points: Tensor) -> Tensor:
    """Return the values (K,) at points (K, D).

    Derivatives follow with respect to core, factors and points, any number of times.
    """
    if watched([points, core, *factors]):
        if differentiable_by_core([points, core, *factors]):
            return tucker_fused.values(axes, core, factors, points)
        return composed_values(axes, core, factors, points)
    if points.device.type == "cpu":
        return tucker_fused.plain_values(axes, core, factors, points)
    return torch.cat([composed_values(axes, core, factors, part) for part in _parts(core, points)])


def jet(axes: Axes, core: Tensor, factors: Sequence[Tensor], points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return values (K,), gradients (K, D) and diagonal second derivatives (K, D) at points (K, D)."""
    if watched([points, core, *factors]):
        return composed_jet(axes, core, factors, points)
    if points.device.type == "cpu":
        return tucker_fused.plain_jet(axes, core, factors, points)
    parts = [composed_jet(axes, core, factors, part) for part in _parts(core, points)]
    u, gradient, second = (torch.cat(pieces) for pieces in zip(*parts, strict=True))
    return u, gradient, second


def grid(axes: Axes, core: Tensor, factors: Sequence[Tensor], vectors: Sequence[Tensor]) -> Tensor:
    """Return the values on the grid (K_1, ..., K_D) spanned by one vector of coordinates per axis.

    The core is multiplied by one matrix (K_d, r_d) after the other, those first that make it smaller.
    """
    found = core if watched([core, *factors, *vectors]) else core.detach()
    for d in _grid_order(core.shape, [len(x) for x in vectors]):
        rows = _rows(axes[d], factors[d], vectors[d])
        before, after = found.shape[:d], found.shape[d + 1 :]
        left, right = math.prod(before), math.prod(after)
        if right == 1:
            product = found.reshape(left, rows.shape[1]) @ rows.T
        else:
            product = rows @ found.reshape(left, rows.shape[1], right)
        found = product.reshape(*before, len(rows), *after)
    return found


def grid_bytes(ranks: Sequence[int], sizes: Sequence[int], itemsize: int) -> int:
    """Return the memory that a grid takes while it is computed."""
    shape, most = list(ranks), 0
    for d in _grid_order(ranks, sizes):
        before = math.prod(shape)
        shape[d] = sizes[d]
        most = max(most, before + math.prod(shape))
    return most * itemsize


def _grid_order(ranks: Sequence[int], sizes: Sequence[int]) -> list[int]:
    return sorted(range(len(ranks)), key=lambda d: (sizes[d] / ranks[d], d))


def _rows(axis: Axis, factor: Tensor, x: Tensor) -> Tensor:
    """Return the functions of one axis at coordinates: (K, r), a part of the points at a time."""
    if watched([factor, x]):
        return contract(axis, factor, x)
    step = max(1, NUMBERS_AT_ONCE // (axis.table.width * factor.shape[1]))
    return torch.cat([contract(axis, factor.detach(), part) for part in torch.split(x, step)])


def _parts(core: Tensor, points: Tensor) -> tuple[Tensor, ...]:
    """Return the points in parts for which what is left of the core after its largest axis is small."""
    left = core.numel() // max(core.shape)
    return torch.split(points, max(1, NUMBERS_AT_ONCE // left))
