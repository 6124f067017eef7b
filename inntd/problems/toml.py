"""Problem files: axes, forms, conditions and solver options in TOML, read without evaluating anything.

Examples
--------
>>> import inntd.problems.toml
>>> text = '''
... title = "Poisson in two dimensions"
... exact = "sin(pi*x)*sin(pi*y)"
... axes = {x = {domain = [0, 1], elements = 8}, y = {domain = [0, 1], elements = 8}}
... problem = {strong = "laplacian(u) - laplacian(exact)"}
... conditions = [{on = "boundary", value = "exact"}]
... solve = {tolerance = 1e-8}
... '''
>>> file = inntd.problems.toml.parse_problem(text)
>>> file.solve, len(file.problem.operator)
({'tolerance': 1e-08}, 2)
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sympy

from inntd import _checks
from inntd.problems import tables
from inntd.problems.conditions import Condition, Trace
from inntd.problems.fields import TestFunction, Unknown, unknown
from inntd.problems.parser import Parser
from inntd.problems.problem import Problem
from inntd.problems.separate import SeparatedFunction
from inntd.problems.whitelist import RESERVED, Budget, Value

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MAX_BYTES = 1_000_000
_METHODS = "a string, the name of a method"
_TABLES = ("title", "exact", "axes", "unknown", "problem", "conditions", "solve")


@dataclass(frozen=True)
class ProblemFile:
    """What a problem file says.

    Parameters
    ----------
    problem
        The problem, checked and separated.
    exact
        The exact solution; None if the file gives none, or one that does not factor by axis (then
        `problem.exact_function` has its values).
    solve
        Keyword arguments of :func:`inntd.solve` from the table `[solve]`.
    path
        Where it was read from, None for a text.
    """

    problem: Problem
    exact: SeparatedFunction | None
    solve: dict[str, Any] = field(default_factory=dict)
    path: Path | None = None


def read_problem(path: str | os.PathLike[str]) -> ProblemFile:
    """Read a problem file.

    Parameters
    ----------
    path
        A TOML file of at most 1 MB; the format is described in the user guide.

    Returns
    -------
    ProblemFile

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        It is too large, no TOML, has unknown tables or keys, expressions beyond the whitelist, or states a problem that
        :class:`inntd.Problem` refuses; the message names the table, the key and the column.
    """
    path = Path(path)
    with path.open("rb") as stream:
        data = stream.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise ValueError(f"{path}: a problem file may have {MAX_BYTES} bytes, got more")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: a problem file must be UTF-8 text, got the byte {data[error.start]:#x}") from None
    return parse_problem(text, path=path)


def parse_problem(text: str, *, path: Path | None = None) -> ProblemFile:
    """Read a problem from the text of a problem file; see :func:`read_problem`."""
    place = str(path) if path is not None else "problem file"
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{place} is no valid TOML: {error}") from None
    except RecursionError:
        raise ValueError(f"{place} is nested too deeply") from None
    try:
        return _Reader(place, data).read(path)
    except RecursionError:
        raise ValueError(f"{place}: the expressions are nested too deeply") from None


class _Reader:
    """Builds the problem from the tables of one file."""

    def __init__(self, place: str, data: dict[str, Any]) -> None:
        self.place, self.data, self.budget = place, data, Budget()
        tables.check_keys(place, "the file", data, _TABLES)
        self.axes = tables.read_axes(place, tables.table(place, data, "axes"))
        self.unknown = self._read_unknown()
        self.test = TestFunction("v")
        self.names = _Names(self._parser, self._symbols())

    def read(self, path: Path | None) -> ProblemFile:
        problem_table = tables.table(self.place, self.data, "problem")
        tables.check_keys(self.place, "[problem]", problem_table, ("strong", "weak", "where"))
        where = tables.table(self.place, problem_table, "where", required=False)
        for name, text in where.items():
            self.names.define(name, text, f"{self.place}: [problem.where] {name}")
        if "exact" in self.data:
            self.names.define("exact", self.data["exact"], f"{self.place}: exact")
        forms = {key: self._form(key, problem_table[key]) for key in ("weak", "strong") if key in problem_table}
        if len(forms) != 1:
            raise ValueError(
                f"{self.place}: [problem] needs either weak or strong, got {' and '.join(forms) or 'none'}"
            )
        for name in where:  # a name that is never used must be right all the same
            self.names(name)
        title = self.data.get("title", "")
        if not isinstance(title, str):
            raise ValueError(f"{self.place}: title must be a string, got {title!r}")
        conditions = self._read_conditions()
        exact = self.names("exact")[0] if "exact" in self.data else None
        options = self._read_options()
        try:
            problem = Problem(**forms, conditions=conditions, title=title, exact=exact)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{self.place}: {error}") from None
        return ProblemFile(problem, problem.exact, options, path)

    def _symbols(self) -> dict[str, sympy.Expr]:
        symbols = {axis.name: axis._sympy_() for axis in self.axes.values()}
        return symbols | {self.unknown.name: self.unknown._sympy_(), "v": self.test._sympy_()}

    def _parser(self, place: str) -> Parser:
        return Parser(place, self.names, self.names.known(), self.budget)

    def _read_unknown(self) -> Unknown:
        entry = tables.table(self.place, self.data, "unknown", required=False)
        tables.check_keys(self.place, "[unknown]", entry, ("name", "axes"))
        name, listed = entry.get("name", "u"), entry.get("axes", list(self.axes))
        place = f"{self.place}: [unknown]"
        if not isinstance(name, str) or name in RESERVED or name in ("v", *self.axes):
            raise ValueError(f"{place} name must be a word that is not taken by v, an axis or a function, got {name!r}")
        if not isinstance(listed, list) or not all(isinstance(axis, str) for axis in listed):
            raise ValueError(f"{place} axes must be a list of names, got {listed!r}")
        chosen = [axis for entry in listed for axis in tables.axes_called(self.axes, entry, f"{place} axes")]
        try:
            return unknown(name, *chosen)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{place}: {error}") from None

    def _form(self, key: str, text: Any) -> sympy.Expr:
        place = f"{self.place}: [problem] {key}"
        if not isinstance(text, str):
            raise ValueError(f"{place} must be a string, got {text!r}")
        return self._parser(place).parse(text)

    def _value(self, value: Any, place: str) -> sympy.Expr:
        if isinstance(value, str):
            return self._parser(place).parse(value)
        return sympy.sympify(tables.number(place, value))

    def _read_conditions(self) -> list[Condition]:
        entries = self.data.get("conditions", [])
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise ValueError(f"{self.place}: conditions must be tables [[conditions]], got {entries!r}")
        return [self._condition(f"{self.place}: conditions[{i}]", entry) for i, entry in enumerate(entries)]

    def _condition(self, place: str, entry: dict[str, Any]) -> Condition:
        tables.check_keys(place, "the condition", entry, ("on", "at", "value"))
        if ("on" in entry) == ("at" in entry) or "value" not in entry:
            raise ValueError(f"{place} needs a value and one of on and at, got {', '.join(entry) or 'nothing'}")
        value = self._value(entry["value"], f"{place} value")
        try:
            return self._trace(entry).equals(value)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{place}: {error}") from None

    def _trace(self, entry: Mapping[str, Any]) -> Trace:
        if "on" in entry:
            return self.unknown.on(*tables.faces(self.axes, entry["on"]))
        if not isinstance(entry["at"], dict):
            raise ValueError(f"at must be a table such as {{t = 0}}, got {entry['at']!r}")
        return self.unknown.at(entry["at"])

    def _read_options(self) -> dict[str, Any]:
        entry = tables.table(self.place, self.data, "solve", required=False)
        tables.check_keys(self.place, "[solve]", entry, tuple(_OPTIONS))
        try:
            return {key: _OPTIONS[key](key, value) for key, value in entry.items()}
        except (TypeError, ValueError) as error:
            raise ValueError(f"{self.place}: [solve] {error}") from None


def _method(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{name} must be {_METHODS}, got {value!r}")
    return value


_OPTIONS: dict[str, Callable[[str, Any], Any]] = {
    "tolerance": lambda name, value: _checks.finite_float(name, tables.number(name, value), positive=True),
    "rank": _checks.positive_int,
    "seed": lambda name, value: _checks.positive_int(name, value, minimum=0),
    "method": _method,
    "threads": _checks.positive_int,
}


class _Names:
    """The names of a file: symbols, and expressions that are parsed when they are first needed."""

    def __init__(self, parser: Callable[[str], Parser], symbols: Mapping[str, sympy.Expr]) -> None:
        self._parser, self._values = parser, {name: (value, 0) for name, value in symbols.items()}
        self._texts: dict[str, tuple[Any, str]] = {}
        self._open: list[str] = []

    def known(self) -> list[str]:
        return [*self._values, *(name for name in self._texts if name not in self._values)]

    def define(self, name: str, value: Any, place: str) -> None:
        """Add a named expression, a string or a number."""
        if not name.isidentifier() or name.startswith("__"):
            raise ValueError(f"{place}: a name must be a word of letters, digits and underscores, got {name!r}")
        stems = {known.partition("[")[0] for known in self._values}
        if (name in RESERVED and name != "exact") or name in stems:
            raise ValueError(f"{place}: the name {name} is taken; choose another one")
        if not isinstance(value, str):
            value = tables.number(place, value)
        self._texts[name] = value, place

    def __call__(self, name: str) -> tuple[Value, int]:
        """Return a value and its size; names may refer to each other in any order, but not in a circle."""
        if name not in self._values:
            value, place = self._texts[name]
            if name in self._open:
                raise ValueError(
                    f"{place}: the names {' -> '.join([*self._open, name])} refer to each other in a circle"
                )
            self._open.append(name)
            parser = self._parser(place)
            before = parser.budget.left
            parsed = parser.parse(value) if isinstance(value, str) else sympy.sympify(value)
            self._values[name] = parsed, before - parser.budget.left
            self._open.pop()
        return self._values[name]
