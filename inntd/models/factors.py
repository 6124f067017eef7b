"""Axes and factors of a CP model: what fits together, and what a new model starts from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from inntd import _checks
from inntd.axes import Axis

MOST_NOISE = 0.5


def check_axes(axes: Sequence[Axis]) -> tuple[Axis, ...]:
    """Return at least one axis, all of different names, as a tuple."""
    if isinstance(axes, Axis) or not isinstance(axes, Sequence) or not all(isinstance(a, Axis) for a in axes):
        raise TypeError(f"axes must be a sequence of Axis, got {axes!r}")
    names = [axis.name for axis in axes]
    if not names:
        raise ValueError("axes must hold at least one Axis, got none")
    if len(set(names)) < len(names):
        raise ValueError(f"axes must have different names, got {', '.join(names)}")
    return tuple(axes)


def check_factors(axes: Sequence[Axis], factors: Sequence[Any], rank: int | None) -> list[torch.Tensor]:
    """Return copies of factors as finite tensors of fitting shapes, all on one device."""
    if len(factors) != len(axes):
        raise ValueError(f"factors must hold one array per axis ({len(axes)}), got {len(factors)}")
    found: list[torch.Tensor] = []
    for axis, factor in zip(axes, factors, strict=True):
        tensor = factor.detach().clone() if isinstance(factor, torch.Tensor) else torch.tensor(np.asarray(factor))
        if tensor.is_complex() or tensor.dtype == torch.bool:
            raise TypeError(f"the factor of axis {axis.name!r} must be real numbers, got {tensor.dtype}")
        if tensor.ndim == 2 and rank is None:
            rank = _checks.positive_int(f"the number of columns of the factor of axis {axis.name!r}", tensor.shape[1])
        if tensor.ndim != 2 or tensor.shape != (axis.size, rank):
            expected = f"({axis.size}, {'M' if rank is None else rank})"
            raise ValueError(f"the factor of axis {axis.name!r} must have shape {expected}, got {tuple(tensor.shape)}")
        if not bool(torch.isfinite(tensor).all()):
            raise ValueError(f"the factor of axis {axis.name!r} must be finite, got NaN or infinity")
        if found and tensor.device != found[0].device:
            raise ValueError(f"factors must be on one device, got {found[0].device} and {tensor.device}")
        found.append(tensor.contiguous())
    return found


def random_factors(axes: Sequence[Axis], rank: int, seed: int) -> list[torch.Tensor]:
    """Return random factors whose model is of order one, however many axes there are."""
    generator = torch.Generator().manual_seed(_checks.positive_int("seed", seed, minimum=0))
    level = rank ** (-1.0 / len(axes))
    noise = min(0.5, len(axes) ** -0.5)  # of the product over all axes about 0.5, however many these are
    return [
        level * (1 + noise * torch.randn(axis.size, rank, generator=generator, dtype=torch.float64)) for axis in axes
    ]


def check_comparable(own: Sequence[Axis], others: Sequence[Axis], *, same_mesh: bool = False) -> None:
    """Raise unless two models have axes of the same names, order and intervals, and on request of the same basis."""
    names = [[axis.name for axis in axes] for axes in (own, others)]
    if names[0] != names[1]:
        raise ValueError(f"models must have the same axes in the same order, got {names[0]} and {names[1]}")
    for axis, other in zip(own, others, strict=True):
        if (axis.domain, axis.discrete) != (other.domain, other.discrete):
            raise ValueError(f"models must have the same interval on axis {axis.name!r}, got {axis!r} and {other!r}")
        if same_mesh and axis.key != other.key:
            raise ValueError(
                f"models must have the same mesh and basis on axis {axis.name!r} to be added, got {axis!r} "
                f"and {other!r}"
            )
