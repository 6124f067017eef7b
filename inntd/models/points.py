"""Validation of points: shape, type, place, numbers, and where they lie."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
import torch

from inntd import _checks
from inntd.axes import Axis

Extrapolate: TypeAlias = Literal["raise", "clamp"]


def as_tensor(name: str, value: Any, like: torch.Tensor) -> torch.Tensor:
    """Return numbers as a tensor of the dtype and device of `like`.

    Tensors must have both already: a silent copy would hide a loss of digits, or a transfer. NumPy arrays and
    sequences of numbers are converted.
    """
    if isinstance(value, torch.Tensor):
        if value.dtype != like.dtype:
            raise TypeError(
                f"{name} must have the model's dtype {like.dtype}, got {value.dtype}: convert with "
                f"{name}.to({like.dtype}), or the model with model.to({value.dtype})"
            )
        if value.device != like.device:
            raise ValueError(
                f"{name} must be on the model's device {like.device}, got {value.device}: move with "
                f"{name}.to({str(like.device)!r})"
            )
        return value
    try:
        array = np.asarray(value)
    except ValueError:
        raise ValueError(f"{name} must be an array of numbers, got rows of different lengths") from None
    if array.dtype.kind not in "fiu":
        raise TypeError(f"{name} must be real numbers, got dtype {array.dtype}")
    return torch.as_tensor(array.astype(np.float64, copy=False)).to(dtype=like.dtype, device=like.device)


def check_points(points: Any, axes: Sequence[Axis], like: torch.Tensor, extrapolate: Extrapolate) -> torch.Tensor:
    """Return points (K, D) as a tensor inside the mesh.

    Raises
    ------
    TypeError
        When the dtype is not the model's.
    ValueError
        When the shape or the device is wrong, a coordinate is NaN or infinite, or lies outside its axis while
        `extrapolate` is `"raise"`.
    """
    _checks.one_of("extrapolate", extrapolate, ("raise", "clamp"))
    points = as_tensor("points", points, like)
    if points.ndim != 2 or points.shape[1] != len(axes):
        names = ", ".join(axis.name for axis in axes[:6]) + (", …" if len(axes) > 6 else "")
        remedy = ": one point is a row, points[None, :]" if points.shape == (len(axes),) else ""
        raise ValueError(f"points must have shape (K, {len(axes)}), one column per axis ({names}), "
                         f"got {tuple(points.shape)}{remedy}")  # fmt: skip
    if points.shape[0] == 0 or inside(points, axes):
        return points
    _explain(points, axes, extrapolate)
    low, high = bounds(axes, points)
    return points.clamp(low, high)


def bounds(axes: Sequence[Axis], like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the ends of the axes, each (D,), rounded inward where the dtype cannot hold them."""
    ends = np.array([axis.domain for axis in axes])
    low, high = (torch.as_tensor(ends[:, i]).to(like.dtype) for i in (0, 1))
    return low.to(like.device), high.to(like.device)


def inside(points: torch.Tensor, axes: Sequence[Axis]) -> bool:
    """Return whether all points are finite and inside the mesh."""
    low, high = bounds(axes, points)
    smallest, largest = torch.aminmax(points.detach(), dim=0)
    return bool(((smallest >= low) & (largest <= high)).all())  # false for NaN


def _explain(points: torch.Tensor, axes: Sequence[Axis], extrapolate: Extrapolate) -> None:
    """Raise for what is wrong with the points; nothing is when they may be clamped."""
    low, high = bounds(axes, points)
    for d, axis in enumerate(axes):
        column = points[:, d].detach()
        finite = torch.isfinite(column)
        bad = int((~finite).sum())
        if bad:
            first = int((~finite).nonzero()[0, 0])
            raise ValueError(
                f"points must be finite, got {bad} NaN or infinite of {column.numel()} values on axis "
                f"{axis.name!r}, the first in row {first}"
            )
        outside = (column < low[d]) | (column > high[d])
        count = int(outside.sum())
        if count and extrapolate == "raise":
            first = int(outside.nonzero()[0, 0])
            raise ValueError(
                f"points must lie in [{axis.domain[0]:g}, {axis.domain[1]:g}] on axis {axis.name!r}, got {count} of "
                f"{column.numel()} outside, the first in row {first}: {float(column[first]):.17g}; "
                "extrapolate='clamp' moves them to the nearest end"
            )
