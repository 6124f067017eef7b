"""The same problem on another time axis, where an earlier solution goes on: the statement of one time slab."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import sympy

from inntd._checks import StabilityWarning
from inntd.axes import Axis, Face
from inntd.problems.conditions import Condition
from inntd.problems.fields import FieldSymbol, Unknown, fields_in, unknown
from inntd.problems.problem import Problem
from inntd.problems.tensor import operand


def time_axis(problem: Problem) -> Axis:
    """Return the axis of kind time.

    Raises
    ------
    ValueError
        There is none, or it is periodic: nothing goes on from one part of it to the next.
    """
    found = [axis for axis in problem.axes if axis.kind == "time"]
    if not found:
        names = ", ".join(axis.name for axis in problem.axes)
        raise ValueError(f"slabs split the axis of kind 'time', but the problem has none, only {names}: leave them out")
    if found[0].periodic:
        raise ValueError(f"slabs need a start in time, but the axis {found[0].name} is periodic: leave them out")
    return found[0]


def initial_conditions(problem: Problem) -> list[Condition]:
    """Return the conditions, as written, that stand at the start of time.

    Raises
    ------
    ValueError
        There is none, or one stands at the end of time.
    """
    time = time_axis(problem)
    sides = {
        side: [c for c in problem.written_conditions if any(_at(face, time, side) for face in c.faces)]
        for side in ("start", "end")
    }
    if sides["end"]:
        raise ValueError(f"slabs go forward in time, but a condition stands at its end: {sides['end'][0]}")
    if not sides["start"]:
        raise ValueError(f"slabs need an initial condition: add {problem.unknown.name}.at({time.name}="
                         f"{time.domain[0]:g}) == value")  # fmt: skip
    return sides["start"]


def on_time_axis(
    problem: Problem, axis: Axis, *, continued: bool = True, separation_tolerance: float | None = None
) -> Problem:
    """Return a problem on another time axis, stated and separated anew there.

    Parameters
    ----------
    problem
        With an axis of kind time.
    axis
        Takes its place; the others stay, with the breaks that they have got.
    continued
        Whether an earlier solution takes the place of initial values.
    separation_tolerance
        That of the problem by default.

    Examples
    --------
    >>> import inntd as it
    >>> x, t = it.Axis("x", 0, 1, elements=8), it.Axis("t", 0, 1, elements=16, kind="time")
    >>> u = it.unknown("u", x, t)
    >>> heat = it.Problem(strong=it.dt(u) - it.laplacian(u) - 1, conditions=[u.on(x) == 0, u.at(t=0) == 0])
    >>> second = on_time_axis(heat, it.Axis("t", 0.5, 1, elements=8, kind="time"))
    >>> [(condition.continued, str(condition.faces[0])) for condition in second.conditions]
    [(False, 'x.start'), (True, 't.start')]
    """
    initial_conditions(problem)
    axes = {own.name: own for own in problem.axes} | {axis.name: axis}
    unknowns = {
        own: unknown(own.name, *(old if old.discrete else axes[old.name] for old in own.axes))
        for own in problem.unknowns
    }
    given = dict(problem._given)
    for name in ("weak", "strong"):
        form = given[name]
        if isinstance(form, list | tuple):
            given[name] = [_over(operand(part, name), unknowns) for part in form]
        elif form is not None:
            given[name] = _over(operand(form, name), unknowns)
    given["conditions"] = [
        part for condition in problem.written_conditions for part in _moved(condition, unknowns, axes, axis, continued)
    ]
    given["exact"] = None
    tolerance = problem.separation_tolerance if separation_tolerance is None else separation_tolerance
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StabilityWarning)  # it was said of the whole problem
        moved = Problem(**given, separation_tolerance=tolerance)
    for before, after in zip(problem.axes, moved.axes, strict=True):
        if after.kind != "time" and before.key != after.key:
            raise ValueError(
                f"between {axis.name}={axis.domain[0]:g} and {axis.domain[1]:g} functions break at other places of "
                f"{after.name} than before, which changes its mesh: give that axis breaks={after.breaks}"
            )
    return moved


def _over(expression: sympy.Expr, unknowns: Mapping[Unknown, Unknown]) -> sympy.Expr:
    """Return an expression in other unknowns."""
    changed: dict[Any, Any] = {}
    for symbol in fields_in(expression):
        if isinstance(symbol.field, Unknown):
            changed[symbol] = FieldSymbol(unknowns[symbol.field], symbol.index, symbol.anchor, symbol.component)
    return expression.xreplace(changed)


def _at(face: Face, axis: Axis, side: str) -> bool:
    return face.axis.name == axis.name and face.side == side


def _moved(
    condition: Condition,
    unknowns: Mapping[Unknown, Unknown],
    axes: Mapping[str, Axis],
    time: Axis,
    continued: bool,
) -> Iterator[Condition]:
    """Return a condition on the faces of other axes; what stands at the start of time may be continued."""

    def faces(chosen: list[Face]) -> tuple[Face, ...]:
        return tuple(getattr(axes[face.axis.name], face.side) for face in chosen)

    first = [face for face in condition.faces if _at(face, time, "start")]
    others = [face for face in condition.faces if not _at(face, time, "start")]
    values = tuple(_over(value, unknowns) for value in condition.values)
    own = replace(condition, unknown=unknowns[condition.unknown], values=values)
    if others:
        yield replace(own, faces=faces(others))
    if first:
        zero = tuple(sympy.S.Zero for _ in values)
        yield replace(own, faces=faces(first), values=zero if continued else values, continued=continued)
