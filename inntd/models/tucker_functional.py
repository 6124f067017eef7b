r"""Evaluation of Tucker models as functions of tensors, differentiable any number of times.

The contract is that of `functional`, with a core (r_1, ..., r_D) and factors (axis.size, r_d). On the CPU the compiled
core computes values, their first derivatives, and jets (`inntd.models.tucker_fused`). For other derivatives, under
torch.func's transformations and on other devices every axis gives a row of r_d numbers at each point, and the core is
contracted with one row after the other: about :math:`2 \prod r_d` operations. The axis of the largest rank is taken
first, which leaves the least behind.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from inntd.axes import Axis
from inntd.models import tucker_fused
from inntd.models.functional import NUMBERS_AT_ONCE, contract, differentiable_by_core, watched

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
        return _composed_jet(axes, core, factors, points)
    if points.device.type == "cpu":
        return tucker_fused.plain_jet(axes, core, factors, points)
    parts = [_composed_jet(axes, core, factors, part) for part in _parts(core, points)]
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


def _ordered(core: Tensor) -> tuple[list[int], Tensor]:
    """Return the axes by increasing rank, and the core (∏ of all ranks but the largest, largest rank) in that order."""
    order = sorted(range(core.ndim), key=lambda d: core.shape[d])
    return order, core.permute(order).reshape(-1, core.shape[order[-1]])


def composed_values(axes: Axes, core: Tensor, factors: Sequence[Tensor], points: Tensor) -> Tensor:
    """Return the values (K,) as a composition of torch's operations: the oracle of the compiled kernels."""
    order, matrix = _ordered(core)
    rows = [contract(axis, factor, points[:, d]) for d, (axis, factor) in enumerate(zip(axes, factors, strict=True))]
    return _behind(matrix, [rows[d] for d in order])[0].squeeze(-1)


def _behind(matrix: Tensor, rows: Sequence[Tensor]) -> list[Tensor]:
    """Return the core contracted with all rows (K, r_e), e >= d: tensors (K, r_1 ··· r_{d-1}) for d = 1..D."""
    found = [rows[-1] @ matrix.T]
    for row in reversed(rows[:-1]):
        count, rank = row.shape
        block = found[-1].reshape(count, found[-1].shape[1] // rank, rank)
        found.append((block @ row.unsqueeze(-1)).squeeze(-1))
    return found[::-1]


def _composed_jet(axes: Axes, core: Tensor, factors: Sequence[Tensor], points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    order, matrix = _ordered(core)
    functions = [
        [contract(axis, factor, points[:, d], k) for k in (0, 1, 2)]
        for d, (axis, factor) in enumerate(zip(axes, factors, strict=True))
    ]
    behind = _behind(matrix, [functions[d][0] for d in order])
    before = torch.ones_like(points[:, :1])  # products (K, r_1 ··· r_{d-1}) of the rows of the axes before d
    gradient, second = [points] * len(order), [points] * len(order)
    for place, d in enumerate(order):
        f = functions[d]
        if place + 1 < len(order):
            after = behind[place + 1].reshape(*before.shape, f[0].shape[1])
            slope = (before.unsqueeze(-2) @ after).squeeze(-2)  # (K, r_d), by which the value depends on row d
        else:
            slope = before @ matrix
        gradient[d], second[d] = (slope * f[1]).sum(-1), (slope * f[2]).sum(-1)
        before = (before.unsqueeze(-1) * f[0].unsqueeze(-2)).flatten(1)
    return behind[0].squeeze(-1), torch.stack(gradient, -1), torch.stack(second, -1)
