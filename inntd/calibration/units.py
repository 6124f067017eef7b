"""Units of coordinates: the same, another SI prefix of the same, or a factor that the user gives."""

from __future__ import annotations

import re
from typing import Any

from inntd import _checks
from inntd.axes import Axis

PREFIXES = {"n": 1e-9, "u": 1e-6, "µ": 1e-6, "μ": 1e-6, "m": 1e-3, "c": 1e-2, "d": 1e-1, "": 1.0, "k": 1e3,
            "M": 1e6, "G": 1e9, "T": 1e12}  # fmt: skip
OTHERS = {("min", "s"): 60.0, ("h", "s"): 3600.0, ("d", "s"): 86400.0, ("h", "min"): 60.0, ("%", ""): 0.01}
HEADER = re.compile(r"^(.*\S)\s+\[([^\]]+)\]$")


def split_header(name: str) -> tuple[str, str | None]:
    """Return the name and the unit of a column's header; names such as x[1] have no unit.

    Examples
    --------
    >>> split_header("x [mm]"), split_header("x[1]")
    (('x', 'mm'), ('x[1]', None))
    """
    match = HEADER.match(name)
    return (match[1], match[2]) if match else (name, None)


def factor_to(axis: Axis, unit: Any) -> float:
    """Return by what coordinates in `unit`, a name or a factor, are multiplied to be in the unit of an axis.

    Examples
    --------
    >>> import inntd as it
    >>> x = it.Axis("x", 0, 1, elements=2, unit="m")
    >>> factor_to(x, "mm"), factor_to(x, 25.4e-3)
    (0.001, 0.0254)
    """
    if not isinstance(unit, str):
        return _checks.finite_float(f"the unit of {axis.name}", unit, positive=True)
    found = _ratio(unit.strip(), axis.unit)
    if found is None:
        has = f"the unit {axis.unit!r}" if axis.unit else "no unit"
        raise ValueError(
            f"axis {axis.name!r} has {has}, the observations {unit!r}, and no factor between them is known: give it as "
            f"a number, units={{{axis.name!r}: factor}}"
        )
    return found


def _ratio(unit: str, own: str) -> float | None:
    if unit == own:
        return 1.0
    if (unit, own) in OTHERS:
        return OTHERS[unit, own]
    if (own, unit) in OTHERS:
        return 1.0 / OTHERS[own, unit]
    for prefix, size in PREFIXES.items():
        for other, other_size in PREFIXES.items():
            base = unit.removeprefix(prefix)
            if base and base.isalpha() and unit == prefix + base and own == other + base:
                return size / other_size
    return None
