"""The text that says what a problem is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from inntd.axes import Axis, Face
from inntd.problems.algebra import COORDINATE, PLACES, Index, Key, axes_of
from inntd.problems.conditions import shown_faces
from inntd.problems.separate import AxisForm, AxisFunction, BilinearTerm, End, LinearTerm, LoadForm
from inntd.problems.setting import Setting
from inntd.problems.text import shorten

if TYPE_CHECKING:
    from inntd.problems.problem import Problem

_MOST = 20
_INDENT = 12
_ENDS = ("start", "end")


def describe(problem: Problem) -> str:
    """Return the axes, the forms, the separated terms and the conditions of a problem as text."""
    setting = problem.setting
    rows: list[tuple[str, str]] = []
    if problem.title:
        rows.append(("title", problem.title))
    shown = [f"{u.name}({', '.join(axis.name for axis in u.axes)})" for u in problem.unknowns]
    rows += _labelled("unknown" if len(shown) == 1 else "unknowns", shown)
    rows += _labelled("axes", [_shown_axis(axis) for axis in problem.axes])
    rows += _labelled("notes", problem.notes)
    rows += _labelled("strong form", [f"{shorten(equation, 2000)} = 0" for equation in problem.equations])
    if problem.beyond:
        rows.append(("for", f"inntd.pinn.solve: {problem.beyond}"))
    rows.append(("weak form", f"{shorten(problem.weak, 2000)} = 0"))
    rows += _counted("operator", [_shown_bilinear(term, setting) for term in problem.operator])
    rows += _labelled("separated", [str(separation) for separation in problem.separations])
    rows += _counted("load", [_shown_linear(term, setting) for term in problem.load])
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
    """Name the faces on which the natural condition holds: those of axes in which a component is differentiated."""
    names = problem.setting.names()
    free = [_free_faces(problem, k) for k in range(len(names))]
    if all(faces == free[0] for faces in free):
        return [("", f"natural on {shown_faces(free[0])}")] if free[0] else []
    return [("", f"{name} natural on {shown_faces(f)}") for name, f in zip(names, free, strict=True) if f]


def _free_faces(problem: Problem, component: int) -> list[Face]:
    taken = {
        (face.axis.name, face.side)
        for condition in problem.conditions
        if condition.component in (None, component)
        for face in condition.faces
    }
    for flux in problem.fluxes:
        slot = problem.setting.slots[flux.unknown]
        if flux.component in (None, component - slot.first) and 0 <= component - slot.first < (slot.count or 1):
            taken |= {(face.axis.name, face.side) for face in flux.faces}
    taken |= _face_terms(problem, component)
    terms = [term for term in problem.operator if problem.setting.trial_of(term) == component]
    return [
        face
        for position, axis in enumerate(problem.axes)
        if axis.kind == "space" and not axis.periodic and any(term.forms[position].trial for term in terms)
        for face in (axis.start, axis.end)
        if (axis.name, face.side) not in taken
    ]


def _face_terms(problem: Problem, component: int) -> set[tuple[str, End]]:
    """Return the faces on which the weak form has terms of its own for a component."""
    setting = problem.setting
    forms: list[tuple[int, Sequence[AxisForm | LoadForm]]] = [
        (_pair(term, setting)[0], term.forms) for term in problem.operator
    ]
    forms += [(_row(term, setting), term.forms) for term in problem.load]
    return {
        (axis.name, form.place)
        for row, own in forms
        if row == component
        for axis, form in zip(problem.axes, own, strict=True)
        if form.place == "start" or form.place == "end"
    }


def _shown_bilinear(term: BilinearTerm, setting: Setting) -> str:
    trial = tuple((i, form.trial) for i, form in enumerate(term.forms) if form.trial)
    test = tuple((i, form.test) for i, form in enumerate(term.forms) if form.test)
    i, j = _pair(term, setting)
    fields = [
        _shown_field(setting.names()[j], trial, setting.axes),
        _shown_field(setting.names(tests=True)[i], test, setting.axes),
    ]
    weights = _shown_weights([form.weight for form in term.forms], setting.axes)
    return " ".join([f"{term.coefficient:g}", *weights, *fields, *_shown_places(term.forms, setting)])


def _shown_linear(term: LinearTerm, setting: Setting) -> str:
    test = tuple((i, form.test) for i, form in enumerate(term.forms) if form.test)
    name = setting.names(tests=True)[_row(term, setting)]
    weights = _shown_weights([form.weight for form in term.forms], setting.axes)
    field = _shown_field(name, test, setting.axes)
    return " ".join([f"{term.coefficient:g}", *weights, field, *_shown_places(term.forms, setting)])


def _row(term: LinearTerm, setting: Setting) -> int:
    place = None if setting.component is None else term.forms[setting.component].place
    return place if isinstance(place, int) else 0


def _pair(term: BilinearTerm, setting: Setting) -> tuple[int, int]:
    place = None if setting.component is None else term.forms[setting.component].place
    return place if isinstance(place, tuple) else (0, 0)


def _shown_places(forms: Sequence[AxisForm | LoadForm], setting: Setting) -> list[str]:
    faces = [f"{axis.name}.{form.place}" for axis, form in zip(setting.axes, forms, strict=True) if form.place in _ENDS]
    return [f"on {' and '.join(faces)}"] if faces else []


def _shown_weights(weights: Sequence[AxisFunction | None], axes: Sequence[Axis]) -> list[str]:
    shown = [f"({w.shown(axis)})" for axis, w in zip(axes, weights, strict=True) if w is not None]
    return shown if len(shown) <= _MOST else [*shown[:3], f"… ({len(shown)} factors)", shown[-1]]


def _shown_field(name: str, index: Index, axes: Sequence[Axis]) -> str:
    return name if not index else f"{name}_" + "".join(axes[i].name * order for i, order in index)


def shown_key(key: Key, number: float, setting: Setting) -> str:
    """Return the text of one term of a separated sum."""
    trial, test, factors = key
    texts = [f"{number:g}"]
    for i, function in sorted(factors, key=lambda entry: axes_of(entry[0])):
        if isinstance(i, tuple):
            texts.append(f"({function})")
            continue
        shown = function.xreplace({COORDINATE: setting.axes[i]._sympy_()})
        texts.append(f"(on {setting.axes[i].name}.{function})" if function in PLACES else f"({shown})")
    for index, names in ((trial, setting.names()), (test, setting.names(tests=True))):
        if index is not None:
            orders = dict(index)
            component = 1 if setting.component is None else orders.pop(setting.component)
            texts.append(_shown_field(names[component - 1], tuple(orders.items()), setting.axes))
    return " ".join(texts)
