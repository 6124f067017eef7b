"""Dirichlet and initial conditions on whole faces, and whether they agree where faces meet."""

from __future__ import annotations

import abc
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import sympy

from inntd.axes import Axis, Face
from inntd.problems.algebra import SeparationError, is_coupled
from inntd.problems.assembler import Assembler
from inntd.problems.expand import Separator
from inntd.problems.fields import FieldSymbol, Unknown, VectorUnknown, expression_of, fields_in
from inntd.problems.indicator import Indicator
from inntd.problems.pieces import jump_along
from inntd.problems.separate import Array, BilinearTerm, SeparatedFunction
from inntd.problems.setting import Setting
from inntd.problems.tensor import Tensor, operand
from inntd.problems.text import shorten

#: Values of two conditions may differ by this much, relative to their size, where their faces meet.
TOLERANCE = 1e-9
_SAMPLES = 8
_CHUNK = 2_000_000  # numbers held at once while conditions are compared


@dataclass(frozen=True)
class Dirichlet:
    """The unknown, or one component of it, equals a separated function on some faces.

    Parameters
    ----------
    faces
        Whole faces of the box.
    value
        A function of all axes, constant along the component axis.
    component
        Which component, counted over all unknowns; None for all of them.
    continued
        Whether it takes the end of an earlier solution instead of its value, see `inntd.problems.continuation`.
    """

    faces: tuple[Face, ...]
    value: SeparatedFunction
    component: int | None = None
    continued: bool = False

    @property
    def homogeneous(self) -> bool:
        """Tell whether the value is zero."""
        return not self.value.terms


@dataclass(frozen=True, eq=False)
class Condition:
    """`u.on(...) == value` as written; :class:`inntd.Problem` checks and separates it.

    `values` holds one expression, for a scalar, for one component or for all of them, or one per component.
    `continued`: an earlier solution goes on there, whatever the values say.
    """

    unknown: Unknown
    faces: tuple[Face, ...]
    values: tuple[sympy.Expr, ...]
    component: int | None = None
    continued: bool = False

    @property
    def name(self) -> str:
        """The unknown or its component."""
        return self.unknown.name if self.component is None else f"{self.unknown.name}[{self.component}]"

    def __str__(self) -> str:
        shown = [shorten(value) for value in self.values]
        value = shown[0] if len(shown) == 1 else f"({', '.join(shown)})"
        return f"{self.name} = {value} on {shown_faces(self.faces)}"

    def __bool__(self) -> bool:
        raise TypeError(f"the condition {self} has no truth value; put it into Problem(conditions=[...])")


@dataclass(frozen=True, eq=False)
class Flux(Condition):
    """`u.flux(...) == value` as written; the value may contain the unknowns."""

    def __str__(self) -> str:
        return f"flux of {super().__str__()}"


@dataclass(frozen=True, eq=False)
class Slope(Condition):
    """`diff(u, t).at(t=0) == value` as written: the derivative along the axis of its faces is given."""

    def __str__(self) -> str:
        return f"slope of {super().__str__()}"


class _Restriction(abc.ABC):
    """An unknown, or one component, on whole faces."""

    __hash__ = None  # type: ignore[assignment]
    __array_ufunc__ = None

    def __init__(self, unknown: Unknown, faces: tuple[Face, ...], component: int | None = None) -> None:
        self.unknown, self.faces, self.component = unknown, faces, component

    def __eq__(self, value: object) -> Condition:  # type: ignore[override]
        return self.equals(value)

    @abc.abstractmethod
    def equals(self, value: object) -> Condition:
        """Return the condition that it equals a value."""

    def __ne__(self, value: object) -> bool:
        raise TypeError(f"a condition is written {self!r} == value, not !=")

    def _listed(self, value: Any) -> Sequence[object]:
        count = self.unknown.components
        if count is None or self.component is not None:
            raise TypeError(f"the value of {self!r} must be a number or a SymPy expression, got the list {value!r}")
        if len(value) != count:
            raise ValueError(f"the value of {self!r} must have {count} components, got {len(value)}: {value!r}")
        return list(value)

    def _expression(self, value: object) -> sympy.Expr:
        expression = expression_of(value, f"the value of {self!r}")
        if expression.has(sympy.nan, sympy.oo, -sympy.oo, sympy.zoo):
            raise ValueError(f"the value of {self!r} must be finite, got {expression}")
        return expression

    def __repr__(self) -> str:
        name = self.unknown.name if self.component is None else f"{self.unknown.name}[{self.component}]"
        return f"{name} on {shown_faces(self.faces)}"


class Trace(_Restriction):
    """The values of an unknown, or of one component, on whole faces; `trace == value` makes a Dirichlet condition."""

    def equals(self, value: object) -> Condition:
        """Return the condition that the unknown equals a value on these faces.

        Parameters
        ----------
        value
            A number or a SymPy expression, of a vector for all components; or a list with one per component.
        """
        values = self._listed(value) if isinstance(value, (list, tuple, np.ndarray)) else [value]
        return Condition(self.unknown, self.faces, tuple(map(self._known, values)), self.component)

    def _known(self, value: object) -> sympy.Expr:
        expression = self._expression(value)
        if fields_in(expression):
            raise ValueError(f"the value of {self!r} must not contain unknowns or test functions, got {expression}; "
                             "conditions of Robin are fluxes, u.flux(face) == h * (outside - u)")  # fmt: skip
        return expression


class SlopeTrace(Trace):
    """The derivative of an unknown, or of one component, along the axis of the faces; for the strong form's solver."""

    def equals(self, value: object) -> Slope:
        """Return the condition that the derivative equals a value on these faces; see :meth:`Trace.equals`."""
        given = super().equals(value)
        return Slope(given.unknown, given.faces, given.values, given.component)


class FluxTrace(_Restriction):
    """The flux of an unknown, or of one component, out of whole faces; `flux == value` makes a condition."""

    def equals(self, value: object) -> Flux:
        """Return the condition that the flux equals a value, which may contain the unknowns.

        Parameters
        ----------
        value
            A number or a SymPy expression, of a vector for all components; a vector, or a list with one per component.
        """
        if isinstance(value, (Tensor, VectorUnknown)):
            if self.unknown.components is None or self.component is not None:
                raise TypeError(f"the flux of {self!r} must be a scalar, got the vector {value!r}")
            values: tuple[sympy.Expr, ...] = (operand(value, f"the flux of {self!r}"),)
        else:
            listed = self._listed(value) if isinstance(value, (list, tuple, np.ndarray)) else [value]
            values = tuple(map(self._expression, listed))
        for symbol in (symbol for expression in values for symbol in fields_in(expression)):
            if not isinstance(symbol.field, Unknown):
                raise ValueError(f"the flux of {self!r} must not contain test functions, got {symbol}")
        return Flux(self.unknown, self.faces, values, self.component)


def shown_faces(faces: Sequence[Face]) -> str:
    """Return the names of faces; many are summarised."""
    names = [f"{face.axis.name}.{face.side}" for face in faces]
    return ", ".join(names if len(names) <= 8 else [*names[:3], f"… ({len(names)} faces in all)", names[-1]])


def faces_of(unknown: Unknown, where: Sequence[Any], method: str = "on") -> tuple[Face, ...]:
    """Return the faces named by axes, faces or `"boundary"`."""
    if not where:
        raise ValueError(f"{unknown.name}.{method}() needs axes, faces such as x.start, or 'boundary', got nothing")
    faces: dict[tuple[int, str], Face] = {}
    for item in where:
        for face in _named(unknown, item):
            faces.setdefault((id(face.axis), face.side), face)
    return tuple(faces.values())


def _named(unknown: Unknown, item: Any) -> list[Face]:
    if isinstance(item, str):
        if item != "boundary":
            raise ValueError(f"a set of faces is called 'boundary'; got {item!r}, give axes or faces such as x.start")
        axes = [axis for axis in unknown.axes if axis.kind == "space" and not axis.periodic]
        if not axes:
            raise ValueError(f"{unknown.name} has no boundary: none of its axes is of kind 'space' and not periodic")
        return [face for axis in axes for face in (axis.start, axis.end)]
    if isinstance(item, Axis):
        _check_axis(unknown, item)
        return [item.start, item.end]
    if isinstance(item, Face):
        _check_axis(unknown, item.axis)
        return [item]
    raise TypeError(f"{unknown.name}.on() takes axes, faces such as x.start, or 'boundary', got {item!r}")


def face_at(unknown: Unknown, point: Mapping[str, Any]) -> Face:
    """Return the face named by `u.at(t=0)`."""
    shown = ", ".join(f"{name}={value}" for name, value in point.items())
    if not point:
        raise ValueError(f"{unknown.name}.at() needs one axis and one of its ends, such as t=0, got nothing")
    if len(point) > 1:
        raise ValueError(
            f"{unknown.name}.at({shown}) is a part of a face; conditions hold on whole faces: fix one axis only"
        )
    ((name, value),) = point.items()
    axes = {axis.name: axis for axis in unknown.axes}
    if name not in axes:
        raise ValueError(f"{unknown.name}.at({shown}): no axis is called {name!r}, the axes are {', '.join(axes)}")
    axis = axes[name]
    _check_axis(unknown, axis)
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{unknown.name}.at({shown}): {name} must be a number, got {value!r}") from None
    start, end = axis.domain
    small = 1e-12 * (end - start)
    for bound, face in ((start, axis.start), (end, axis.end)):
        if abs(number - bound) <= small:
            return face
    raise ValueError(
        f"{unknown.name}.at({shown}): {name} must be an end of its axis, {start:g} or {end:g}, got {number:g}"
    )


def slope_on(symbol: FieldSymbol, faces: tuple[Face, ...]) -> SlopeTrace:
    """Return the trace of a first derivative on faces of the axis in which it is taken."""
    assert isinstance(symbol.field, Unknown)
    along = {face.axis.name for face in faces}
    if {(name.name, order) for name, order in symbol.index} != {(name, 1) for name in along}:
        raise ValueError(
            f"a condition on {symbol} must stand on faces of the axis in which it is the first derivative, "
            f"got {shown_faces(faces)}"
        )
    return SlopeTrace(symbol.field, faces, symbol.component)


def _check_axis(unknown: Unknown, axis: Axis) -> None:
    if not any(axis is own for own in unknown.axes):
        names = ", ".join(own.name for own in unknown.axes)
        raise ValueError(f"the axis {axis.name} must be one of the axes of {unknown.name} ({names})")
    if axis.periodic:
        raise ValueError(f"the axis {axis.name} is periodic: it has no faces, so no condition can stand there")
    if axis.discrete:
        raise ValueError(f"the axis {axis.name} is discrete: it has no faces, so no condition can stand there")


def check_whole_faces(condition: Condition, separator: Separator) -> None:
    """Refuse values that switch with the position: they would hold on a part of a face."""
    for part in set[Indicator]().union(*(value.atoms(Indicator) for value in condition.values)):
        places = [i for i in separator.scope(part).axes if separator.axes[i].kind == "space"]
        if places:
            raise ValueError(
                f"the condition {condition} holds on a part of a face only, because of {part}; "
                "conditions hold on whole faces: make the value continuous"
            )
    for value, axis in itertools.product(condition.values, separator.axes):
        if axis.kind != "space" or not value.has(sympy.Piecewise) or axis._sympy_() not in value.free_symbols:
            continue
        place = jump_along(value, axis, separator.axes)
        if place is not None:
            raise ValueError(
                f"the condition {condition} jumps at {axis.name}={place:g}, but functions without jumps take its "
                "values at the nodes; make the value continuous"
            )


def separate_condition(
    condition: Condition, setting: Setting, separator: Separator, assembler: Assembler
) -> list[Dirichlet]:
    """Return a condition with its values as separated functions, by component where these differ.

    A value that separates only once the fixed coordinate has its number, such as sqrt(x**2 + y**2) on x = 0, becomes
    one condition per face.
    """
    if len(condition.values) == 1:
        components = setting.component_of(condition.unknown, condition.component)
        pairs = [(k, condition.values[0]) for k in components]
    else:
        first = setting.slots[condition.unknown].first
        pairs = [(first + k, value) for k, value in enumerate(condition.values)]
    try:
        result = [part for k, value in pairs for part in _separated(condition.faces, value, k, separator, assembler)]
        for part in result:
            _check_ends(part.value)
    except ValueError as error:
        raise type(error)(f"condition {condition}: {error}") from None
    return [replace(part, continued=True) for part in result] if condition.continued else result


def _separated(
    faces: tuple[Face, ...], value: sympy.Expr, component: int | None, separator: Separator, assembler: Assembler
) -> list[Dirichlet]:
    try:
        terms = separator.terms(value)
        if not is_coupled(terms):
            return [Dirichlet(faces, assembler.separated(terms), component)]
    except SeparationError:
        pass
    return [_on_face(face, value, component, separator, assembler) for face in faces]


def join_equal(conditions: Iterable[Dirichlet], components: int = 1) -> tuple[Dirichlet, ...]:
    """Join conditions with the same value: fewer of them make a lifting of lower rank.

    First the faces of each component, then the components that agree on their faces if these are all of them.
    """
    faces: dict[tuple[tuple[SeparatedFunction, bool], int | None], dict[tuple[int, str], Face]] = {}
    for condition in conditions:
        known = faces.setdefault(((condition.value, condition.continued), condition.component), {})
        known.update({(id(face.axis), face.side): face for face in condition.faces})
    groups: dict[tuple[tuple[SeparatedFunction, bool], frozenset[tuple[int, str]]], list[int | None]] = {}
    for (what, component), group in faces.items():
        groups.setdefault((what, frozenset(group)), []).append(component)
    result = []
    for (what, _), listed in groups.items():
        ordered = tuple(faces[what, listed[0]].values())
        everywhere = None in listed or len(listed) == components
        result += [Dirichlet(ordered, what[0], k, what[1]) for k in ([None] if everywhere else listed)]
    return tuple(result)


def _check_ends(value: SeparatedFunction) -> None:
    """Values are taken at nodes, so unlike coefficients they must be finite at the ends of the axes, too."""
    for axis, function in {(a, f) for _, functions in value.terms for a, f in zip(value.axes, functions, strict=True)}:
        if function is not None:
            function(np.array(axis.domain))


def _on_face(
    face: Face, value: sympy.Expr, component: int | None, separator: Separator, assembler: Assembler
) -> Dirichlet:
    position = exact_number(face.coordinate)
    restricted = value.xreplace({s: position for s in value.free_symbols if s.name == face.axis.name})
    return Dirichlet((face,), assembler.separated(separator.terms(restricted)), component)


def exact_number(value: float) -> sympy.Expr:
    """Return a float as an integer where it is one."""
    return sympy.Integer(int(value)) if value.is_integer() else sympy.Float(value)


def check_agreement(conditions: Sequence[Dirichlet], names: Sequence[str] = ("",), slack: float = 0.0) -> None:
    """Refuse conditions with different values where their faces meet, found on sample points of the shared edges.

    Parameters
    ----------
    conditions
        Those of all components.
    names
        Of the components, for messages.
    slack
        The relative error that numerical separation leaves in values.

    Raises
    ------
    ValueError
        Two values differ; names the faces, the place and the values.
    """
    for one, two in itertools.combinations(conditions, 2):
        if one.component is not None and two.component is not None and one.component != two.component:
            continue
        if one.continued or two.continued:  # computed values agree with the others up to their error only
            continue
        value, other = one.value, two.value
        pairs = [(a, b) for a in one.faces for b in two.faces if a.axis is not b.axis or a.side == b.side]
        chunk = max(1, _CHUNK // (_SAMPLES * len(value.axes)))
        for first in range(0, len(pairs), chunk):
            name = names[one.component or two.component or 0]
            _compare(value, other, pairs[first : first + chunk], name, max(TOLERANCE, slack))


def check_initial(operator: Sequence[BilinearTerm], conditions: Sequence[Dirichlet], setting: Setting) -> None:
    """Refuse a time axis along which a component is differentiated without an initial condition, or with too many."""
    names = setting.names()
    for position, axis in enumerate(setting.axes):
        if axis.kind != "time" or axis.periodic:
            continue
        for k, name in enumerate(names):
            own = [term.forms[position] for term in operator if setting.trial_of(term) == k]
            evolves = any(form.trial for form in own)
            sides = {
                face.side
                for condition in conditions
                for face in condition.faces
                if face.axis is axis and condition.component in (None, k)
            }
            weakly = any(
                term.forms[position].place in ("start", "end") and setting.trial_of(term) == k for term in operator
            )
            if evolves and not sides and not weakly:
                whom = "" if setting.component is None else f" for {name}"
                raise ValueError(
                    f"conditions: the time axis {axis.name} needs an initial condition{whom}; "
                    f"add {name}.at({axis.name}={axis.domain[0]:g}) == value"
                )
            second = any(form.trial and form.test for form in own)
            if evolves and len(sides) == 2 and not second and setting.component is None:
                raise ValueError(
                    f"conditions contradict each other: {name} is given at both ends of the time axis {axis.name}, but "
                    "an equation of first order in time takes one initial condition; keep one of them"
                )


def _compare(
    value: SeparatedFunction,
    other: SeparatedFunction,
    pairs: Sequence[tuple[Face, Face]],
    name: str,
    tolerance: float,
) -> None:
    points = _edge_points(value.axes, pairs)
    left, right = value(points), other(points)
    # The size of the values over the whole box: on the edges sin(pi) may leave nothing but its round-off, 1e-16.
    everywhere = np.concatenate([points, _edge_points(value.axes, [()])])
    scale = max(1e-300, *(float(np.max(np.abs(each(everywhere)))) for each in (value, other)))
    worst = int(np.argmax(np.abs(left - right)))
    if abs(left[worst] - right[worst]) > tolerance * scale:
        a, b = pairs[worst // _SAMPLES]
        names = f"{a.axis.name}.{a.side} and {b.axis.name}.{b.side}" if a.axis is not b.axis else shown_faces([a])
        coordinates = zip(value.axes, points[worst], strict=True)
        where = ", ".join(f"{axis.name}={x:.6g}" for axis, x in coordinates if axis.kind != "component")
        raise ValueError(
            f"conditions contradict each other on {names}: at {shorten(where)} one demands {name} = {left[worst]:.6g}, "
            f"the other {right[worst]:.6g}; values must agree where faces meet"
        )


def _edge_points(axes: Sequence[Axis], pairs: Sequence[tuple[Face, ...]]) -> Array:
    """Return sample points on the intersections of pairs of faces, shape (pairs * samples, D)."""
    position = {id(axis): i for i, axis in enumerate(axes)}
    start = np.array([axis.domain[0] for axis in axes])
    end = np.array([axis.domain[1] for axis in axes])
    random = np.random.default_rng(0).random((_SAMPLES, len(axes)))
    points = np.tile(start + (end - start) * random, (len(pairs), 1))
    for i, pair in enumerate(pairs):
        for face in pair:
            points[i * _SAMPLES : (i + 1) * _SAMPLES, position[id(face.axis)]] = face.coordinate
    return points
