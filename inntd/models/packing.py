"""Numbers in the header of a model's file: long lists as tensors, axes of the size of their factors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from inntd.axes import Axis
from inntd.models.factors import DTYPES

LARGEST_DEPTH = 32
LONG = 64  # numbers in a list from which on it becomes a tensor
MOST_AXES = 10_000

Tensors = dict[str, torch.Tensor]


class Malformed(Exception):
    """A file that is not what it should be, in words that follow 'it is no readable model:'."""


def stored(numbers: Mapping[str, torch.Tensor]) -> Tensors:
    """Return tensors as a file takes them."""
    return {name: tensor.detach().cpu().contiguous() for name, tensor in numbers.items()}


def packed(value: Any, name: str, tensors: Tensors) -> Any:
    """Return JSON-able fields with long lists of numbers moved into tensors."""
    if isinstance(value, dict):
        return {key: packed(entry, f"{name}.{key}", tensors) for key, entry in value.items()}
    if not isinstance(value, list | tuple) or len(value) < LONG:
        return value
    kind = np.int64 if all(isinstance(entry, int) for entry in value) else np.float64
    tensors[name] = torch.from_numpy(np.array(value, dtype=kind))
    return {"tensor": name}


def unpacked(value: Any, tensors: Tensors, depth: int = 0) -> Any:
    """Undo `packed`."""
    if depth > LARGEST_DEPTH:
        raise Malformed("its header is nested too deeply")
    if not isinstance(value, dict):
        return value
    if set(value) != {"tensor"}:
        return {key: unpacked(entry, tensors, depth + 1) for key, entry in value.items()}
    tensor = tensors.get(value["tensor"]) if isinstance(value["tensor"], str) else None
    if tensor is None or tensor.ndim != 1 or tensor.dtype not in (torch.float64, torch.int64):
        raise Malformed(f"its tensor {short(value['tensor'])} is missing, or no vector of numbers")
    return tensor.tolist()


def short(value: Any) -> str:
    """Return a value in at most 60 characters."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def axes_and_factors(fields: dict[str, Any], tensors: Tensors) -> tuple[list[Axis], list[torch.Tensor]]:
    """Return the axes of a separated model, and its factors."""
    described = fields["axes"]
    if not isinstance(described, list) or not 0 < len(described) <= MOST_AXES:
        raise Malformed("its axes are no list")
    factors = [_factor(d, tensors) for d in range(len(described))]
    axes = [axis_of(unpacked(entry, tensors), factor) for entry, factor in zip(described, factors, strict=True)]
    return axes, factors


def check_dtypes(numbers: Sequence[torch.Tensor]) -> None:
    """Refuse factors of several or strange types."""
    found = {tensor.dtype for tensor in numbers}
    if len(found) > 1 or not found <= set(DTYPES):
        raise Malformed(f"its factors have dtypes {', '.join(sorted(map(str, found)))}")


def _factor(d: int, tensors: Tensors) -> torch.Tensor:
    factor = tensors.get(f"factors.{d}")
    if factor is None or factor.ndim != 2:
        raise Malformed(f"factor {d} is missing, or no matrix")
    return factor


def axis_of(fields: Any, factor: torch.Tensor) -> Axis:
    """Return an axis of the factor's size."""
    return Axis.from_dict(limited(fields, factor.shape[0]))


def limited(fields: Any, size: int) -> Any:
    """Return the fields of an axis of at most so many functions; no larger mesh is even made."""
    if isinstance(fields, dict):
        for name, extra in (("elements", 0), ("size", 0), ("nodes", 1)):
            value = fields.get(name, 0)
            count = len(value) if isinstance(value, list) else value
            if isinstance(count, int) and count > size + extra:
                raise Malformed(f"an axis has {name} for {count} functions, its factor has {size}")
    return fields
