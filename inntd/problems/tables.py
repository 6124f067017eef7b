"""The tables of a problem file: keys, axes, faces."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from inntd.axes import Axis, Face
from inntd.problems.whitelist import RESERVED

MAX_AXES = 1000
MAX_COMPONENTS = 100
_AXIS_KEYS = (
    "domain",
    "elements",
    "nodes",
    "grading",
    "periodic",
    "breaks",
    "kind",
    "s",
    "p",
    "a",
    "unit",
    "components",
)
_FAMILY = re.compile(r"([^\W\d]\w*)\[(\d{1,9}):(\d{1,9})\]")


def check_keys(place: str, owner: str, table: Mapping[str, Any], known: Sequence[str]) -> None:
    """Refuse unknown keys with the nearest known one."""
    for key in table:
        if key not in known:
            close = difflib.get_close_matches(key, known, 1)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise ValueError(f"{place}: unknown key {key!r} in {owner}{hint} (known: {', '.join(known)})")


def table(place: str, data: Mapping[str, Any], key: str, *, required: bool = True) -> dict[str, Any]:
    """Return a table of the file, empty if it is missing and not required."""
    if required and key not in data:
        raise ValueError(f"{place}: the table [{key}] is missing")
    entry = data.get(key, {})
    if not isinstance(entry, dict):
        raise ValueError(f"{place}: [{key}] must be a table, got {entry!r}")
    return entry


def number(place: str, value: object) -> int | float:
    """Return a finite number of the file."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"{place} must be a number, got {value!r}")
    if not math.isfinite(value) or abs(value) > 1e300:
        raise ValueError(f"{place} must be a finite number, got {value!r}")
    return value


def read_axes(place: str, entries: Mapping[str, Any]) -> dict[str, Axis]:
    """Return the axes by name; `x[1:10]` stands for x[1] … x[10], all alike."""
    axes: dict[str, Axis] = {}
    for key, entry in entries.items():
        where = f"{place}: [axes.{key if key.isidentifier() else repr(key)}]"
        if not isinstance(entry, dict):
            raise ValueError(f"{where} must be a table, got {entry!r}")
        check_keys(place, where.removeprefix(f"{place}: "), entry, _AXIS_KEYS)
        for name in _names(where, key):
            if name in axes:
                raise ValueError(f"{where}: the axis {name} is given twice")
            if name.partition("[")[0] in RESERVED or name == "v":
                raise ValueError(f"{where}: the name {name} has a meaning of its own; choose another one")
            axes[name] = _axis(where, name, entry)
            if len(axes) > MAX_AXES:
                raise ValueError(f"{where}: a problem may have {MAX_AXES} axes, got more")
    if not axes:
        raise ValueError(f"{place}: [axes] must name at least one axis")
    return axes


def _names(where: str, key: str) -> list[str]:
    family = _FAMILY.fullmatch(key)
    if family is None:
        return [key]
    stem, first, last = family.group(1), int(family.group(2)), int(family.group(3))
    if not first <= last < first + MAX_AXES:
        raise ValueError(f"{where}: a family must have 1 to {MAX_AXES} axes, got {key}")
    return [f"{stem}[{i}]" for i in range(first, last + 1)]


def _axis(where: str, name: str, entry: Mapping[str, Any]) -> Axis:
    options = dict(entry)
    if "components" in options:
        return component_axis(where, name, options)
    bounds: list[float] = []
    if "domain" in options:
        domain = options.pop("domain")
        if not isinstance(domain, list) or len(domain) != 2:
            raise ValueError(f"{where}: domain must be two numbers [start, end], got {domain!r}")
        bounds = [number(f"{where}: domain", bound) for bound in domain]
    elif "nodes" not in options:
        raise ValueError(f"{where}: needs domain = [start, end] and elements, or nodes")
    try:
        return Axis(name, *bounds, **options)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}: {error}") from None


def component_axis(where: str, name: str, entry: Mapping[str, Any]) -> Axis:
    """Return the axis of `components = 3`: it counts the components of a vector."""
    check_keys(where, f"the axis {name}", entry, ("components", "unit"))
    count = entry["components"]
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= MAX_COMPONENTS:
        raise ValueError(f"{where}: components must be an integer from 1 to {MAX_COMPONENTS}, got {count!r}")
    try:
        return Axis.discrete(name, count, unit=entry.get("unit", ""))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}: {error}") from None


def axes_called(axes: Mapping[str, Axis], name: str, place: str) -> list[Axis]:
    """Return the axis of a name, or all axes of a family."""
    if name in axes:
        return [axes[name]]
    family = [axis for known, axis in axes.items() if known.partition("[")[0] == name]
    if not family:
        close = difflib.get_close_matches(name, list(axes), 1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise ValueError(f"{place}: no axis is called {name!r}{hint}")
    return family


def faces(axes: Mapping[str, Axis], on: Any, key: str = "on") -> list[Axis | Face | str]:
    """Return what `on = ...` names: `"boundary"`, axes, families, faces such as `"x.start"`."""
    if on == "boundary":
        return ["boundary"]
    listed = [on] if isinstance(on, str) else on
    if not isinstance(listed, list) or not listed or not all(isinstance(item, str) for item in listed):
        raise ValueError(f"{key} must be 'boundary', or a list of axes and faces such as ['x', 'y.start'], got {on!r}")
    result: list[Axis | Face | str] = []
    for item in listed:
        name, side = item, ""
        if item.endswith((".start", ".end")):
            name, _, side = item.rpartition(".")
        found = axes_called(axes, name, key)
        result += [getattr(axis, side) for axis in found] if side else found
    return result
