"""CP models as compositions of torch's operations, which differentiate themselves any number of times.

They serve where the compiled kernels do not: derivatives of derivatives, torch.func's transformations, other devices.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from inntd.axes import Axis
from inntd.models.rows import contract

Tensor = torch.Tensor


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
