"""Axes, factors and cores of models: what fits together, and what a new model starts from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from inntd import _checks
from inntd.axes import Axis

DTYPES = (torch.float32, torch.float64)
NOISE = 0.5


def check_axes(axes: Sequence[Axis]) -> tuple[Axis, ...]:
    """Return axes with different names, at least one, or raise."""
    if isinstance(axes, Axis) or not isinstance(axes, Sequence) or not all(isinstance(a, Axis) for a in axes):
        raise TypeError(f"axes must be a sequence of Axis, got {axes!r}")
    names = [axis.name for axis in axes]
    if not names:
        raise ValueError("axes must hold at least one Axis, got none")
    if len(set(names)) < len(names):
        raise ValueError(f"axes must have different names, got {', '.join(names)}")
    return tuple(axes)


def check_dtype(dtype: torch.dtype) -> torch.dtype:
    """Return the dtype of a model, or raise."""
    if dtype not in DTYPES:
        raise TypeError(f"dtype must be torch.float32 or torch.float64, got {dtype!r}")
    return dtype


def common_dtype(tensors: Sequence[torch.Tensor]) -> torch.dtype:
    """Return the dtype of a model made from tensors: float32 if all of them are, else float64."""
    return torch.float32 if all(tensor.dtype == torch.float32 for tensor in tensors) else torch.float64


def check_factors(axes: Sequence[Axis], factors: Sequence[Any], ranks: Sequence[int] | None) -> list[torch.Tensor]:
    """Return copies of factors as finite tensors of fitting shapes, all on one device.

    Parameters
    ----------
    axes : sequence of D Axis
    factors : sequence of D arrays or tensors
    ranks : sequence of D int, optional
        The numbers of columns; by default as many everywhere as in the first factor.
    """
    if len(factors) != len(axes):
        raise ValueError(f"factors must hold one array per axis ({len(axes)}), got {len(factors)}")
    found: list[torch.Tensor] = []
    for d, (axis, factor) in enumerate(zip(axes, factors, strict=True)):
        name = f"the factor of axis {axis.name!r}"
        tensor = _copied(name, factor)
        rank = ranks[d] if ranks is not None else found[0].shape[1] if found else None
        if tensor.ndim == 2 and rank is None:
            rank = _checks.positive_int(f"the number of columns of {name}", tensor.shape[1])
        if tensor.ndim != 2 or tensor.shape != (axis.size, rank):
            expected = f"({axis.size}, {'M' if rank is None else rank})"
            raise ValueError(f"{name} must have shape {expected}, got {tuple(tensor.shape)}")
        _check_finite(name, tensor)
        found.append(tensor.contiguous())
    check_one_device(found)
    return found


def check_ranks(axes: Sequence[Axis], rank: Any) -> tuple[int, ...]:
    """Return one rank per axis from an integer or a sequence of them."""
    if not isinstance(rank, Sequence):
        return (_checks.positive_int("rank", rank),) * len(axes)
    if len(rank) != len(axes):
        raise ValueError(f"rank must be one integer, or one per axis ({len(axes)}), got {len(rank)}")
    return tuple(_checks.positive_int(f"rank of axis {a.name!r}", r) for a, r in zip(axes, rank, strict=True))


def check_core(axes: Sequence[Axis], core: Any) -> torch.Tensor:
    """Return a copy of a core as a finite tensor with one index per axis."""
    tensor = _copied("core", core)
    if tensor.ndim != len(axes) or 0 in tensor.shape:
        names = ", ".join(f"r_{axis.name}" for axis in axes)
        raise ValueError(f"core must have shape ({names}), each at least 1, got {tuple(tensor.shape)}")
    _check_finite("core", tensor)
    return tensor.contiguous()


def check_one_device(tensors: Sequence[torch.Tensor]) -> None:
    """Raise unless all tensors are on one device."""
    for tensor in tensors:
        if tensor.device != tensors[0].device:
            raise ValueError(f"factors must be on one device, got {tensors[0].device} and {tensor.device}")


def _copied(name: str, value: Any) -> torch.Tensor:
    tensor = value.detach().clone() if isinstance(value, torch.Tensor) else torch.tensor(np.asarray(value))
    if tensor.is_complex() or tensor.dtype == torch.bool:
        raise TypeError(f"{name} must be real numbers, got {tensor.dtype}")
    return tensor


def _check_finite(name: str, tensor: torch.Tensor) -> None:
    if not bool(torch.isfinite(tensor).all()):
        raise ValueError(f"{name} must be finite, got NaN or infinity")


def random_factors(axes: Sequence[Axis], rank: int, seed: int) -> list[torch.Tensor]:
    """Return random factors (axis.size, rank) of a model that is about one everywhere, however many axes it has."""
    level = rank ** (-1.0 / len(axes))
    return [level * numbers for numbers in _around_one([(axis.size, rank) for axis in axes], seed, len(axes))]


def random_tucker(axes: Sequence[Axis], ranks: Sequence[int], seed: int) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Return a random core and random factors of a model that is about one everywhere."""
    shapes = [tuple(ranks), *((axis.size, rank) for axis, rank in zip(axes, ranks, strict=True))]
    core, *factors = _around_one(shapes, seed, len(axes))
    return core / math.prod(ranks), factors


def _around_one(shapes: Sequence[tuple[int, ...]], seed: int, count: int) -> list[torch.Tensor]:
    """Return random numbers whose products over `count` arrays scatter by `NOISE`."""
    generator = torch.Generator().manual_seed(_checks.positive_int("seed", seed, minimum=0))
    noise = NOISE * count**-0.5
    return [1 + noise * torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]


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
