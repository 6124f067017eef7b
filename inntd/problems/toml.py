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

A vector has `[unknown] components = 3`, or an axis `[axes.c] components = 3` among its own; `u[0]` is a component, and
a condition with `component = 0` or a list as its value is about components. Several unknowns are several tables
`[[unknown]]` with a name each; `strong` is then a list of equations, and every condition names its `unknown`. In weak
forms, their test functions are `v_` and the name unless `test = ...` says otherwise. Conditions with `flux = ["x.end"]`
are those of Neumann and Robin; weak forms write `on(x.end, g*v)`:

>>> text = '''
... axes = {x = {domain = [0, 1], elements = 8}, y = {domain = [0, 1], elements = 8}}
... unknown = {components = 2}
... [problem]
... strong = "-div(3*tr(strain)*identity() + 2*strain) - [0, x]"
... where = {strain = "sym(grad(u))"}
... [[conditions]]
... on = "x.start"
... value = [0, "x*y"]
... [[conditions]]
... flux = ["x.end"]
... component = 1
... value = "5*(1 - u[1])"
... '''
>>> [str(condition) for condition in inntd.problems.toml.parse_problem(text).problem.written_conditions]
['u = (0, x*y) on x.start', 'flux of u[1] = 5 - 5*u[1] on x.end']
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
from inntd.problems.attached import read_coefficients
from inntd.problems.conditions import Condition, FluxTrace, Trace
from inntd.problems.declarations import file_symbols, read_unknowns
from inntd.problems.fields import Unknown
from inntd.problems.parser import Parser
from inntd.problems.problem import Problem
from inntd.problems.separate import SeparatedFunction
from inntd.problems.whitelist import RESERVED, Budget, Value

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MAX_BYTES = 1_000_000
_SEPARATION = ("separation_tolerance", "separation_rank")
_METHODS = "a string, the name of a method"
_TABLES = ("title", "exact", "axes", "unknown", "coefficients", "problem", "conditions", "solve")


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
        A TOML file of at most 1 MB, with the tables and keys of the examples in `examples/`.

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
        return _Reader(place, data, path).read()
    except RecursionError:
        raise ValueError(f"{place}: the expressions are nested too deeply") from None


class _Reader:
    """Builds the problem from the tables of one file."""

    def __init__(self, place: str, data: dict[str, Any], path: Path | None) -> None:
        self.place, self.data, self.path, self.budget = place, data, path, Budget()
        tables.check_keys(place, "the file", data, _TABLES)
        self.axes = tables.read_axes(place, tables.table(place, data, "axes"))
        self.unknowns, self.tests = read_unknowns(place, data.get("unknown", {}), self.axes)
        self.names = _Names(self._parser, file_symbols(self.axes, self.unknowns, self.tests))

    def _read_coefficients(self) -> None:
        entries = tables.table(self.place, self.data, "coefficients", required=False)
        folder = None if self.path is None else self.path.parent
        for name, value, place in read_coefficients(self.place, entries, self.axes, folder):
            self.names.give(name, value, place)

    def read(self) -> ProblemFile:
        """Return what the file says."""
        self._read_coefficients()
        problem_table = tables.table(self.place, self.data, "problem")
        tables.check_keys(self.place, "[problem]", problem_table, ("strong", "weak", "where", "align", *_SEPARATION))
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
            separation = {key: problem_table[key] for key in _SEPARATION if key in problem_table}
            align = problem_table.get("align", True)
            problem = Problem(**forms, conditions=conditions, title=title, exact=exact, align=align, **separation)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{self.place}: {error}") from None
        return ProblemFile(problem, problem.exact, options, self.path)

    def _parser(self, place: str) -> Parser:
        return Parser(place, self.names, self.names.known(), self.budget)

    def _form(self, key: str, text: Any) -> Any:
        place = f"{self.place}: [problem] {key}"
        if key == "strong" and isinstance(text, list) and all(isinstance(part, str) for part in text):
            return [self._parser(f"{place}[{i}]").parse_any(part) for i, part in enumerate(text)]
        if not isinstance(text, str):
            raise ValueError(f"{place} must be a string{' or a list of them' * (key == 'strong')}, got {text!r}")
        return self._parser(place).parse_any(text) if key == "strong" else self._parser(place).parse(text)

    def _value(self, value: Any, place: str) -> Any:
        if isinstance(value, str):
            return self._parser(place).parse_any(value)
        if isinstance(value, list):
            return [self._value(part, f"{place}[{i}]") for i, part in enumerate(value)]
        return sympy.sympify(tables.number(place, value))

    def _read_conditions(self) -> list[Condition]:
        entries = self.data.get("conditions", [])
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise ValueError(f"{self.place}: conditions must be tables [[conditions]], got {entries!r}")
        return [self._condition(f"{self.place}: conditions[{i}]", entry) for i, entry in enumerate(entries)]

    def _condition(self, place: str, entry: dict[str, Any]) -> Condition:
        tables.check_keys(place, "the condition", entry, ("on", "at", "flux", "value", "unknown", "component"))
        if sum(key in entry for key in ("on", "at", "flux")) != 1 or "value" not in entry:
            raise ValueError(f"{place} needs a value and one of on, at and flux, got {', '.join(entry) or 'nothing'}")
        unknown, component = self._subject(place, entry)
        value = self._value(entry["value"], f"{place} value")
        if entry["value"] == "exact" and isinstance(value, tuple):
            value = self._own_part(place, value, unknown, component)
        try:
            return self._trace(unknown if component is None else unknown[component], entry).equals(value)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{place}: {error}") from None

    def _subject(self, place: str, entry: Mapping[str, Any]) -> tuple[Unknown, int | None]:
        """Return the unknown and the component that a condition is about."""
        names = [unknown.name for unknown in self.unknowns]
        name = entry.get("unknown", names[0] if len(names) == 1 else None)
        if name not in names:
            raise ValueError(f"{place}: unknown must be one of {', '.join(names)}, got {name!r}")
        unknown, component = self.unknowns[names.index(name)], entry.get("component")
        if component is not None:
            count = unknown.components
            if count is None:
                raise ValueError(f"{place}: component is given, but {name} is a scalar")
            if isinstance(component, bool) or not isinstance(component, int) or not 0 <= component < count:
                raise ValueError(f"{place}: component must be an integer from 0 to {count - 1}, got {component!r}")
        return unknown, component

    def _own_part(self, place: str, exact: tuple[Any, ...], unknown: Unknown, component: int | None) -> Any:
        """Return the components of the exact solution that belong to one unknown."""
        counts = [each.components or 1 for each in self.unknowns]
        if len(exact) != sum(counts):
            raise ValueError(f"{place}: exact must have {sum(counts)} components, got {len(exact)}")
        first = sum(counts[: self.unknowns.index(unknown)])
        if unknown.components is None:
            return exact[first]
        return exact[first + component] if component is not None else exact[first : first + unknown.components]

    def _trace(self, subject: Any, entry: Mapping[str, Any]) -> Trace | FluxTrace:
        for key in ("on", "flux"):
            if key in entry:
                return getattr(subject, key)(*tables.faces(self.axes, entry[key], key))  # type: ignore[no-any-return]
        if not isinstance(entry["at"], dict):
            raise ValueError(f"at must be a table such as {{t = 0}}, got {entry['at']!r}")
        return subject.at(entry["at"])  # type: ignore[no-any-return]

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


def _merge(name: str, value: object) -> list[str]:
    if not isinstance(value, list) or not value or not all(isinstance(axis, str) for axis in value):
        raise TypeError(f'{name} must be a list of names of axes, such as ["x", "y"], got {value!r}')
    return value


def _slabs(name: str, value: object) -> int | str | list[float]:
    if isinstance(value, list):
        return [tables.number(f"{name}[{i}]", time) for i, time in enumerate(value)]
    if isinstance(value, str):
        return _checks.one_of(name, value, ("auto",))
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f'{name} must be a number of slabs, a list of times or "auto", got {value!r}')
    return _checks.positive_int(name, value)


_OPTIONS: dict[str, Callable[[str, Any], Any]] = {
    "tolerance": lambda name, value: _checks.relative_error(name, tables.number(name, value)),
    "rank": _checks.positive_int,
    "seed": lambda name, value: _checks.positive_int(name, value, minimum=0),
    "method": _method,
    "merge": _merge,
    "slabs": _slabs,
    "adapt": lambda name, value: _checks.one_of(name, value, ("mesh",)),
    "threads": _checks.positive_int,
}


class _Names:
    """The names of a file: symbols, and expressions that are parsed when they are first needed."""

    def __init__(self, parser: Callable[[str], Parser], symbols: Mapping[str, Value]) -> None:
        self._parser = parser
        self._values: dict[str, tuple[Value, int]] = {name: (value, 0) for name, value in symbols.items()}
        self._texts: dict[str, tuple[Any, str]] = {}
        self._open: list[str] = []

    def known(self) -> list[str]:
        values = [name for name in self._values if not name.endswith((".start", ".end"))]
        return [*values, *(name for name in self._texts if name not in self._values)]

    def define(self, name: str, value: Any, place: str) -> None:
        """Add a named expression, a string, a number or a list of these."""
        self._check(name, place)
        for part in value if isinstance(value, list) else [value]:
            if not isinstance(part, str):
                tables.number(place, part)
        self._texts[name] = value, place

    def give(self, name: str, value: Value, place: str) -> None:
        """Add a named value."""
        self._check(name, place)
        self._values[name] = value, 1

    def _check(self, name: str, place: str) -> None:
        if not name.isidentifier() or name.startswith("__"):
            raise ValueError(f"{place}: a name must be a word of letters, digits and underscores, got {name!r}")
        stems = {known.partition("[")[0] for known in self._values}
        if (name in RESERVED and name != "exact") or name in stems:
            raise ValueError(f"{place}: the name {name} is taken; choose another one")

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
            parsed = tuple(map(parser.part, value)) if isinstance(value, list) else parser.part(value)
            self._values[name] = parsed, before - parser.budget.left
            self._open.pop()
        return self._values[name]
