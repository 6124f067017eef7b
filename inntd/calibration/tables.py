"""Columns of numbers from what users hold tables in: mappings, data frames, structured arrays, arrays with names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from inntd import _checks
from inntd.calibration.units import split_header

Array = npt.NDArray[np.float64]


def columns_of(data: Any, names: Sequence[str] | None = None) -> tuple[dict[str, Array], dict[str, str]]:
    """Return columns by name without their units, and the units that headers such as ``"x [mm]"`` state.

    Examples
    --------
    >>> columns_of({"x [mm]": [1, 2], "u": [0.5, 0.7]})[1]
    {'x': 'mm'}
    """
    columns: dict[str, Array] = {}
    units: dict[str, str] = {}
    for header, column in _raw(data, names).items():
        name, unit = split_header(str(header))
        columns[name] = _checks.real_array(f"column {name!r}", column)
        if columns[name].ndim > 1:
            raise ValueError(f"column {name!r} must be a vector or a number, got shape {columns[name].shape}")
        if unit is not None:
            units[name] = unit
    sizes = {name: len(column) for name, column in columns.items() if column.ndim == 1}
    if len(set(sizes.values())) > 1:
        told = ", ".join(f"{name}: {size}" for name, size in sizes.items())
        raise ValueError(f"columns must have one length, got {told}")
    count = next(iter(sizes.values()), 1)
    return {name: np.broadcast_to(column, (count,)) for name, column in columns.items()}, units


def _raw(data: Any, names: Sequence[str] | None) -> dict[str, Any]:
    if isinstance(data, Mapping):
        return dict(data)
    if hasattr(data, "columns") and hasattr(data, "__getitem__"):  # a data frame
        return {name: np.asarray(data[name]) for name in data.columns}
    array = np.asarray(data)
    if array.dtype.names:
        return {name: array[name] for name in array.dtype.names}
    if names is None:
        raise TypeError(f"a table must be a mapping of names to columns, a data frame, or an array with names=[...], "
                        f"got {type(data).__name__}")  # fmt: skip
    if array.ndim != 2 or array.shape[1] != len(names):
        raise ValueError(f"names must name the {array.shape[-1] if array.ndim else 0} columns of an array (K, C), "
                         f"got {len(names)} names for shape {array.shape}")  # fmt: skip
    return dict(zip(names, array.T, strict=True))
