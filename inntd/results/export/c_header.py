"""Models as C99 headers without dependencies: a function and its gradient."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from inntd._version import __version__
from inntd.axes import Axis
from inntd.models.memory import refuse_beyond
from inntd.results.export.portable import Array, Portable, portable

# C99, C23 and C++ keywords: the header may meet any of their compilers; then names of the standard library.
TAKEN = (
    "auto break case char const continue default do double else enum extern float for goto if inline int long register "
    "restrict return short signed sizeof static struct switch typedef union unsigned void volatile while alignas "
    "alignof and and_eq asm bitand bitor bool catch char8_t char16_t char32_t class compl concept const_cast consteval "
    "constexpr constinit co_await co_return co_yield decltype delete dynamic_cast explicit export false friend mutable "
    "namespace new noexcept not not_eq nullptr operator or or_eq private protected public reinterpret_cast requires "
    "static_assert static_cast template this thread_local throw true try typeid typename typeof typeof_unqual using "
    "virtual wchar_t xor xor_eq main exp log sin cos tan sqrt pow floor ceil round gamma j0 j1 jn y0 y1 yn abs div"
)
LARGEST_GB = 0.5
LINE = 116


def contents(model: Any, path: Path, *, name: str = "u") -> dict[Path, bytes]:
    """Return the header by its name.

    Parameters
    ----------
    model : CPModel, TuckerModel or ExponentialModel
    path : Path
    name : str, default "u"
        The function's; all other names begin with it.

    Raises
    ------
    ValueError
        When `name` is no identifier of C, or one that C has taken.
    """
    name = check_identifier(name)
    given = portable(model, "c")
    count = sum(array.size for array in given.arrays().values())
    refuse_beyond("the C header's text", 40 * count, LARGEST_GB, "round the model, or export it as 'npz'")
    width = max(axis.table.width for axis in given.axes)
    values = {
        "EVALUATION": _resource("header_cp.h" if given.core is None else "header_tucker.h"),
        "TITLE": f"{name}({', '.join(axis.name for axis in given.axes)})" if len(given.axes) <= 8 else name,
        "AXES": "\n".join(f" * x[{d}]: {_described(axis)}" for d, axis in enumerate(given.axes)),
        "MATH": " but the C library's exp" if given.exponential else "",
        "INCLUDE": "#include <math.h>\n\n" if given.exponential else "",
        "DATA": _data(given),
        "CHAIN": f"  for (d = 0; d < {len(given.axes)}; ++d) g[d] *= exp(sum);\n" if given.exponential else "",
        "RESULT": "exp(sum)" if given.exponential else "sum",
        "D": str(len(given.axes)),
        "M": str(given.ranks[0]),
        "R": str(max(given.ranks)),
        "W": str(width),
        "VERSION": __version__,
        "UPPER": name.upper(),
        "NAME": name,
    }
    text = _resource("header.h")
    for token, value in values.items():  # in this order: earlier ones hold later ones
        text = text.replace(f"@{token}@", value)
    return {path: text.encode("ascii", "replace")}


def check_identifier(name: object) -> str:
    """Return the name of a C function.

    Examples
    --------
    >>> check_identifier("double")
    Traceback (most recent call last):
        ...
    ValueError: name must be an identifier of C that is not taken, such as 'u', got 'double'
    """
    if not isinstance(name, str):
        raise TypeError(f"name must be a string, got {name!r}")
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,50}", name) or "__" in name or name in TAKEN.split():
        raise ValueError(f"name must be an identifier of C that is not taken, such as 'u', got {name!r}")
    return name


def _resource(name: str) -> str:
    return resources.files("inntd.results.export").joinpath(name).read_text(encoding="utf-8")


def _described(axis: Axis) -> str:
    """Return one line for a comment, in which nothing can end it."""
    unit = f" [{re.sub(r'[^A-Za-z0-9 .,^%()+-]', '_', axis.unit.replace('/', ' per '))}]" if axis.unit else ""
    name = axis.name.encode("ascii", "backslashreplace").decode().replace("\\", "_")
    low, high = axis.domain
    return f"{name}{unit}, " + (f"whole numbers 0 to {axis.size - 1}" if axis.discrete else f"{low!r} to {high!r}")


def _data(given: Portable) -> str:
    """Return all arrays: equal axes share theirs."""
    lines, axes = [], []
    tables: dict[Any, int] = {}
    for d, (axis, factor) in enumerate(zip(given.axes, given.factors, strict=True)):
        table = axis.table
        shared = tables.setdefault(axis.key, d)
        if shared == d:
            lines += [
                _array("double", f"breaks_{d}", table.breaks),
                _array("int", f"kind_{d}", table.kind),
                _array("int", f"first_{d}", table.first),
                _array("double", f"coefficients_{d}", table.coefficients),
            ]
        lines.append(_array("double", f"factor_{d}", factor.T))
        numbers = ", ".join(map(str, (table.pieces, table.width, table.degree, *factor.shape)))
        pointers = ", ".join(f"@NAME@_{what}_{shared}" for what in ("breaks", "kind", "first", "coefficients"))
        axes.append(f"  {{{numbers}, {pointers}, @NAME@_factor_{d}}}")
    if given.core is not None:
        lines.append(_array("double", "core", given.core))
    return "\n".join([*lines, f"static const @NAME@_axis @NAME@_axes[{len(axes)}] = {{", ",\n".join(axes) + "};", ""])


def _array(kind: str, name: str, values: Any) -> str:
    numbers: Array = np.asarray(values).ravel()
    lines = [f"static const {kind} @NAME@_{name}[{numbers.size}] = {{"]
    line = " "
    for number in numbers.tolist():  # shortest decimals that read back to the bit
        word = f" {number!r},"
        if len(line) + len(word) > LINE:
            lines.append(line)
            line = " "
        line += word
    return "\n".join([*lines, line.rstrip(",") + "};"])
