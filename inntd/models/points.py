"""Validation of points: shape, type, place, numbers, and where they lie."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from torch.autograd import forward_ad

from inntd import _checks
from inntd.axes import Axis

Extrapolate: TypeAlias = Literal["raise", "clamp"]
EXTRAPOLATE: tuple[Extrapolate, ...] = ("raise", "clamp")
MODEL_DTYPES = (torch.float32, torch.float64)
ROWS_AT_ONCE = 64
SLACK = 4  # units of rounding beyond an end that are forgiven


def as_tensor(name: str, value: Any, like: torch.Tensor) -> torch.Tensor:
    """Return numbers as a tensor of the dtype and device of `like`.

    Tensors must have both already: a silent copy would hide a loss of digits, or a transfer. NumPy arrays and
    sequences of numbers are converted.

    Raises
    ------
    TypeError
        When the dtype is not that of `like`, or the values are no real numbers.
    ValueError
        When the device is another one, or rows have different lengths.
    """
    if isinstance(value, torch.Tensor):
        if value.layout != torch.strided:
            raise TypeError(f"{name} must be a dense tensor, got a sparse one: convert with {name}.to_dense()")
        if value.dtype != like.dtype:
            other = f", or the model with model.to({value.dtype})" if value.dtype in MODEL_DTYPES else ""
            raise TypeError(
                f"{name} must have the model's dtype {like.dtype}, got {value.dtype}: convert with "
                f"{name}.to({like.dtype}){other}"
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
    if array.dtype.kind == "O" and hasattr(value, "toarray"):
        raise TypeError(f"{name} must be a dense array, got the sparse {type(value).__name__}: use {name}.toarray()")
    if array.dtype.kind not in "fiu":
        raise TypeError(f"{name} must be real numbers, got {type(value).__name__} of dtype {array.dtype}")
    return torch.as_tensor(array.astype(np.float64)).to(dtype=like.dtype, device=like.device)


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
    _checks.one_of("extrapolate", extrapolate, EXTRAPOLATE)
    if like.dtype not in MODEL_DTYPES:
        raise TypeError(f"the model must have dtype float32 or float64 to be evaluated, got {like.dtype}: use model.to")
    x = as_tensor("points", points, like)
    if x.ndim != 2 or x.shape[1] != len(axes):
        names = ", ".join(axis.name for axis in axes[:6]) + (", …" if len(axes) > 6 else "")
        remedy = "; one point is a row: points[None, :]" if x.shape == (len(axes),) else ""
        raise ValueError(
            f"points must have shape (K, {len(axes)}), one column per axis ({names}), got {tuple(x.shape)}{remedy}"
        )
    if is_transformed(x):  # whose numbers cannot be read here: basis_rows does, below the transformation
        return x.clamp(*_ends(axes, x)) if extrapolate == "clamp" else points
    if x.shape[0] == 0 or _inside(x, axes):
        return x
    for d, axis in enumerate(axes):
        check_coordinates(x[:, d], axis, extrapolate)
    return x.clamp(*_ends(axes, x))


def check_coordinates(x: torch.Tensor, axis: Axis, extrapolate: Extrapolate = "raise", name: str = "points") -> None:
    """Raise unless the coordinates (K,) of one axis are finite, inside it, and whole numbers on a discrete axis."""
    x = x.detach()
    low, high = (float(end) for end in _slack_ends(np.array([axis.domain]), x)[:, 0])
    if x.numel() == 0:
        return
    smallest, largest = (float(value) for value in torch.aminmax(x))
    if smallest >= low and largest <= high and not (axis.discrete and bool((x != x.round()).any())):
        return
    _raise_first(x, ~torch.isfinite(x), name, f"must be finite on axis {axis.name!r}, got {{}} NaN or infinite of {{}}")
    if extrapolate == "raise":
        start, stop = axis.domain
        _raise_first(
            x,
            (x < low) | (x > high),
            name,
            f"must lie in [{start:g}, {stop:g}] on axis {axis.name!r}, got {{}} outside of {{}}",
            "; extrapolate='clamp' moves them to the nearest end",
        )
    if axis.discrete:
        wrong = x != x.round()
        _raise_first(
            x, wrong, name, f"must be whole numbers on the discrete axis {axis.name!r}, got {{}} others of {{}}"
        )


def is_transformed(tensor: torch.Tensor) -> bool:
    """Return whether a tensor takes part in torch.func's transformations or in forward differentiation."""
    wrapped = getattr(torch._C._functorch, "is_functorch_wrapped_tensor", None)
    if wrapped is not None and wrapped(tensor):
        return True
    return getattr(forward_ad, "_current_level", 0) >= 0 and forward_ad.unpack_dual(tensor).tangent is not None  # type: ignore[no-untyped-call]


def _raise_first(x: torch.Tensor, wrong: torch.Tensor, name: str, message: str, remedy: str = "") -> None:
    rows = wrong.nonzero()
    if rows.numel():
        first = int(rows[0, 0])
        found = message.format(rows.shape[0], x.numel())
        raise ValueError(f"{name} {found}, the first in row {first}: {float(x[first]):.9g}{remedy}")


def _slack_ends(domains: np.ndarray[Any, np.dtype[np.float64]], like: torch.Tensor) -> Any:
    """Return the ends (2, D) of axes, moved outward by what rounding may do to them."""
    slack = SLACK * torch.finfo(like.dtype).eps * np.abs(domains).max(axis=1)
    return np.stack([domains[:, 0] - slack, domains[:, 1] + slack])


def _ends(axes: Sequence[Axis], like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    ends = torch.tensor([axis.domain for axis in axes], dtype=torch.float64).to(dtype=like.dtype, device=like.device)
    return ends[:, 0], ends[:, 1]


def _extremes(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the smallest and the largest number of each column, NaN if there is one.

    torch reduces narrow rows at a tenth of the speed of wide ones: many rows are seen as one.
    """
    count, columns = x.shape
    whole = count - count % ROWS_AT_ONCE if x.is_contiguous() else 0
    parts = [x[whole:]] if whole < count else []
    if whole:
        wide = x[:whole].view(-1, ROWS_AT_ONCE * columns)
        parts += [wide.amin(0).view(-1, columns), wide.amax(0).view(-1, columns)]
    rows = torch.cat(parts)
    smallest, largest = torch.aminmax(rows, dim=0)
    return smallest, largest


def _inside(points: torch.Tensor, axes: Sequence[Axis]) -> bool:
    low, high = torch.from_numpy(_slack_ends(np.array([axis.domain for axis in axes]), points)).to(points.device)
    smallest, largest = _extremes(points.detach())
    if not bool(((smallest >= low) & (largest <= high)).all()):  # nor with NaN
        return False
    return all(bool((points[:, d] == points[:, d].round()).all()) for d, axis in enumerate(axes) if axis.discrete)
