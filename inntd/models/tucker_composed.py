r"""Tucker models as compositions of torch's operations; see `inntd.models.composed`.

Every axis gives a row of r_d numbers at each point, and the core is contracted with one row after the other: about
:math:`2 \prod r_d` operations. The axis of the largest rank is taken first, which leaves the least behind.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from inntd.axes import Axis
from inntd.models.rows import contract

Tensor = torch.Tensor
Axes = Sequence[Axis]


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


def composed_jet(axes: Axes, core: Tensor, factors: Sequence[Tensor], points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the jet as a composition of torch's operations."""
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
