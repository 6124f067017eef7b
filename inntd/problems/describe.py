"""The text that says what a problem is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from inntd.axes import Axis
from inntd.problems.algebra import COORDINATE, Index, Key
from inntd.problems.conditions import shown_faces
from inntd.problems.expand import shorten
from inntd.problems.separate import AxisFunction, BilinearTerm, LinearTerm

if TYPE_CHECKING:
    from inntd.problems.problem import Problem

_MOST = 20
_INDENT = 12


def describe(problem: Problem) -> str:
    """Return the axes, the forms, the separated terms and the conditions of a problem as text."""
    u, v, axes = problem.unknown.name, problem.test.name, problem.axes
    rows: list[tuple[str, str]] = []
    if problem.title:
        rows.append(("title", problem.title))
    rows.append(("unknown", f"{u}({', '.join(axis.name for axis in axes)})"))
    rows += _labelled("axes", [_shown_axis(axis) for axis in axes])
    rows += _labelled("notes", problem.notes)
    if problem.is_strong:
        rows.append(("strong form", f"{shorten(problem.form, 2000)} = 0"))
    rows.append(("weak form", f"{shorten(problem.weak, 2000)} = 0"))
    rows += _counted("operator", [_shown_bilinear(term, axes, u, v) for term in problem.operator])
    rows += _counted("load", [_shown_linear(term, axes, v) for term in problem.load])
    rows += _labelled("conditions", [str(condition) for condition in problem.written_conditions] or ["none"])
    rows += _natural(problem)
    if problem.exact_expression is not None:
        rows.append(("exact", shorten(problem.exact_expression, 500)))
        if problem.exact is None:
            rows.append(("", "does not factor by axis: errors are computed at points only"))
    return "\n".join(f"{label:<{_INDENT}}{text}".rstrip() for label, text in rows)


def _shown_axis(axis: Axis) -> str:
    start, end = axis.domain
    notes = ["periodic"] if axis.periodic else []
    if axis.discrete:
        return ", ".join([f"{axis.name}: {axis.kind}, {len(axis.nodes)} discrete values", *notes])
    return ", ".join(
        [f"{axis.name}: {axis.kind}, {start:g} to {end:g}, {axis.elements} elements", *notes, *_shown_breaks(axis)]
    )


def _shown_breaks(axis: Axis) -> list[str]:
    if len(axis.breaks) > 6:
        return [f"{len(axis.breaks)} breaks"]
    return (
        [f"break{'s' * (len(axis.breaks) > 1)} at {' '.join(f'{at:g}' for at in axis.breaks)}"] if axis.breaks else []
    )


def _labelled(label: str, lines: Sequence[str]) -> list[tuple[str, str]]:
    shown = list(lines[:_MOST])
    if len(lines) > _MOST:
        shown.append(f"… and {len(lines) - _MOST} more")
    return [(label if i == 0 else "", line) for i, line in enumerate(shown)]


def _counted(label: str, lines: Sequence[str]) -> list[tuple[str, str]]:
    count = f"{len(lines)} term{'' if len(lines) == 1 else 's'}"
    return [(label, count), *_labelled("", lines)]


def _natural(problem: Problem) -> list[tuple[str, str]]:
    """Name the faces on which the natural condition holds: those of axes in which u is differentiated."""
    taken = {(id(face.axis), face.side) for condition in problem.conditions for face in condition.faces}
    free = [
        face
        for position, axis in enumerate(problem.axes)
        if axis.kind == "space" and not axis.periodic and any(term.forms[position].trial for term in problem.operator)
        for face in (axis.start, axis.end)
        if (id(axis), face.side) not in taken
    ]
    return [("", f"natural on {shown_faces(free)}")] if free else []


def _shown_bilinear(term: BilinearTerm, axes: Sequence[Axis], u: str, v: str) -> str:
    trial = tuple((i, form.trial) for i, form in enumerate(term.forms) if form.trial)
    test = tuple((i, form.test) for i, form in enumerate(term.forms) if form.test)
    fields = [_shown_field(u, trial, axes), _shown_field(v, test, axes)]
    return " ".join([f"{term.coefficient:g}", *_shown_weights([f.weight for f in term.forms], axes), *fields])


def _shown_linear(term: LinearTerm, axes: Sequence[Axis], v: str) -> str:
    test = tuple((i, form.test) for i, form in enumerate(term.forms) if form.test)
    weights = _shown_weights([form.weight for form in term.forms], axes)
    return " ".join([f"{term.coefficient:g}", *weights, _shown_field(v, test, axes)])


def _shown_weights(weights: Sequence[AxisFunction | None], axes: Sequence[Axis]) -> list[str]:
    shown = [f"({w.shown(axis)})" for axis, w in zip(axes, weights, strict=True) if w is not None]
    return shown if len(shown) <= _MOST else [*shown[:3], f"… ({len(shown)} factors)", shown[-1]]


def _shown_field(name: str, index: Index, axes: Sequence[Axis]) -> str:
    return name if not index else f"{name}_" + "".join(axes[i].name * order for i, order in index)


def shown_key(key: Key, number: float, axes: Sequence[Axis], u: str, v: str) -> str:
    """Return the text of one term of a separated sum."""
    trial, test, factors = key
    texts = [f"{number:g}"]
    texts += [
        f"({f.xreplace({COORDINATE: axes[i]._sympy_()})})" for i, f in sorted(factors, key=lambda entry: entry[0])
    ]
    texts += [_shown_field(name, index, axes) for name, index in ((u, trial), (v, test)) if index is not None]
    return " ".join(texts)
