"""The unknowns of a problem file, and the names that expressions in it may use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from inntd.axes import Axis
from inntd.problems import tables
from inntd.problems.fields import FieldSymbol, TestFunction, Unknown, unknown
from inntd.problems.tensor import Tensor
from inntd.problems.whitelist import RESERVED, Value

_KEYS = ("name", "axes", "components", "test")
MAX_UNKNOWNS = 20


def read_unknowns(
    place: str, entries: Any, axes: Mapping[str, Axis]
) -> tuple[tuple[Unknown, ...], tuple[TestFunction, ...]]:
    """Return the unknowns and their test functions from `[unknown]` or several `[[unknown]]`.

    Parameters
    ----------
    place
        The file, for messages.
    entries
        One table or a list of tables with `name`, `axes` (all by default), `components` for a vector, and `test`, the
        name of the test function (`v`; of several unknowns `v_` and the name).
    axes
        The axes of the file.
    """
    several = isinstance(entries, list)
    listed = entries if several else [entries]
    if not listed or not all(isinstance(entry, dict) for entry in listed):
        raise ValueError(f"{place}: unknown must be a table [unknown] or tables [[unknown]], got {entries!r}")
    if len(listed) > MAX_UNKNOWNS:
        raise ValueError(f"{place}: a problem may have {MAX_UNKNOWNS} unknowns, got {len(listed)}")
    unknowns, tests = [], []
    taken = {*axes, *(axis.partition("[")[0] for axis in axes)}
    for i, entry in enumerate(listed):
        where = f"{place}: [[unknown]] {i}" if several else f"{place}: [unknown]"
        tables.check_keys(where, "the unknown", entry, _KEYS)
        chosen = entry.get("name", "u")
        default = "v" if len(listed) == 1 else f"v_{chosen}"
        name = _name(where, "name", chosen, taken if "test" in entry else {*taken, default})
        test = _name(where, "test", entry.get("test", default), taken | {name})
        taken |= {name, test}
        unknowns.append(_unknown(where, name, entry, axes, several=len(listed) > 1))
        tests.append(TestFunction(test))
    return tuple(unknowns), tuple(tests)


def _name(where: str, key: str, name: Any, taken: set[str]) -> str:
    if not isinstance(name, str) or not name.isidentifier() or name.startswith("__"):
        raise ValueError(f"{where} {key} must be a word of letters, digits and underscores, got {name!r}")
    if name in RESERVED or name in taken:
        raise ValueError(
            f"{where} {key} must be a word that is not taken by an unknown, a test function, an axis or a function, "
            f"got {name!r}"
        )
    return name


def _unknown(where: str, name: str, entry: Mapping[str, Any], axes: Mapping[str, Axis], *, several: bool) -> Unknown:
    default = [key for key, axis in axes.items() if not (several and axis.kind == "component")]
    listed = entry.get("axes", default)
    if not isinstance(listed, list) or not all(isinstance(axis, str) for axis in listed):
        raise ValueError(f"{where} axes must be a list of names, got {listed!r}")
    chosen = [axis for item in listed for axis in tables.axes_called(axes, item, f"{where} axes")]
    if "components" in entry:
        label = "component"
        while label in axes:
            label += "_"
        chosen.insert(0, tables.component_axis(where, label, {"components": entry["components"]}))
    try:
        return unknown(name, *chosen)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}: {error}") from None


def file_symbols(
    axes: Mapping[str, Axis], unknowns: Sequence[Unknown], tests: Sequence[TestFunction]
) -> dict[str, Value]:
    """Return what names stand for: axes, their faces, unknowns, test functions and their components."""
    symbols: dict[str, Value] = {}
    for axis in axes.values():
        symbols[axis.name] = axis._sympy_()
        symbols |= {f"{axis.name}.start": axis.start, f"{axis.name}.end": axis.end}
    for own, test in zip(unknowns, tests, strict=True):
        for field in (own, test):
            whole = FieldSymbol(field)
            symbols[field.name] = whole if own.components is None else Tensor(whole)
            for k in range(own.components or 0):
                symbols[f"{field.name}[{k}]"] = FieldSymbol(field, component=k)
    return symbols
