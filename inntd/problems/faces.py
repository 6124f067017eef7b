"""Integrals over faces: terms of weak forms, and flux conditions of strong forms (Neumann, Robin)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import sympy

from inntd.axes import Axis, Face
from inntd.problems.algebra import Terms
from inntd.problems.assembler import Assembler
from inntd.problems.conditions import Dirichlet, Flux, shown_faces
from inntd.problems.expand import Separator
from inntd.problems.fields import FieldSymbol, has_unknown
from inntd.problems.nodes import Entry, FaceSymbol, OnFace, rank_of
from inntd.problems.separate import AxisForm, BilinearTerm, LinearTerm, LoadForm
from inntd.problems.setting import Setting
from inntd.problems.tensor import scalar_of

_SAMPLES = 64


def on(*arguments: Any) -> sympy.Expr:
    """Integrate over whole faces instead of the whole box: a term of a weak form.

    Over the axis of the face the integrand is taken at that end; over all other axes it is integrated.

    Parameters
    ----------
    *arguments
        Faces (`x.end`), axes (both of their faces), or `"boundary"` (all faces of the space axes), and last the
        integrand: `on(x.end, g * v)`.

    Raises
    ------
    TypeError
        The integrand is no scalar, or something is not a face.
    ValueError
        A face of a periodic, a discrete or a parameter axis.

    Examples
    --------
    A given flux g through one face, and exchange of heat with the surroundings at temperature 20 through another one:

    >>> import inntd as it
    >>> x = it.Axis("x", 0, 1, elements=4)
    >>> u, v = it.unknown("u", x), it.test_function()
    >>> g, h = 2, 5
    >>> it.dot(it.grad(u), it.grad(v)) - it.on(x.end, g * v) + it.on(x.start, h * (u - 20) * v)
    dot(grad(u), grad(v)) - on(x.end, 2*v) + on(x.start, v*(5*u - 100))
    """
    if len(arguments) < 2:
        raise TypeError(f"on needs faces and an integrand, such as on(x.end, g * v), got {arguments!r}")
    faces: list[FaceSymbol] = []
    for item in arguments[:-1]:
        faces += _face_symbols(item)
    integrand = scalar_of(arguments[-1], "the integrand of on")
    return OnFace(*dict.fromkeys(faces), integrand)


def _face_symbols(item: Any) -> list[FaceSymbol]:
    if isinstance(item, str) and item == "boundary":
        return [FaceSymbol(None)]
    faces = [item.start, item.end] if isinstance(item, Axis) else [item]
    for face in faces:
        if not isinstance(face, Face):
            raise TypeError(f"on takes faces such as x.end, axes or 'boundary' before the integrand, got {item!r}")
        check_face(face, "on(...)")
    return [FaceSymbol(face) for face in faces]


def check_face(face: Face, what: str) -> None:
    """Refuse the ends of axes that are no faces of the body."""
    axis = face.axis
    name = f"{axis.name}.{face.side}"
    if axis.periodic or axis.discrete:
        kind = "periodic" if axis.periodic else "discrete"
        raise ValueError(f"{what}: {name} is no face, since the axis {axis.name} is {kind}")
    if axis.kind == "parameter":
        raise ValueError(
            f"{what}: {name} is no face of the body, since {axis.name} is a parameter; the equation holds for each "
            "of its values"
        )


def flux_form(
    fluxes: Iterable[Flux], terms: Terms, setting: Setting, separator: Separator, assembler: Assembler
) -> sympy.Expr:
    """Return what flux conditions add to the weak form.

    Integration by parts of -(k u')' v leaves -k u' v on the face; the flux k ∂u/∂n is replaced there by its value.
    Its sign is that of the second-order term, so that k > 0 in the flux whichever way the equation is written.

    Parameters
    ----------
    fluxes
        The conditions.
    terms
        The weak form without them, separated.
    """
    parts = []
    for flux in fluxes:
        slot = setting.slots[flux.unknown]
        wanted = range(flux.unknown.components or 1) if flux.component is None else [flux.component]
        test = setting.tests[setting.unknowns.index(flux.unknown)]
        for face in flux.faces:
            for k in wanted:
                sign = _sign(face, slot.first + k, terms, setting, separator, assembler, flux)
                v = FieldSymbol(test, component=None if flux.unknown.components is None else k)
                number, value = _value(flux, k).as_coeff_Mul()
                parts.append(-sign * number * OnFace(FaceSymbol(face), value * v))
    return sympy.Add(*parts)


def _value(flux: Flux, component: int) -> sympy.Expr:
    if len(flux.values) > 1:
        return flux.values[component]
    value = flux.values[0]
    if not rank_of(value):
        return value
    return sympy.Add(*(_entry(part, component) for part in sympy.Add.make_args(value)))


def _entry(vector: sympy.Expr, component: int) -> sympy.Expr:
    """Return one component of a vector; of an undifferentiated unknown by its name u[0]."""
    plain = {s: FieldSymbol(s.field, component=component) for s in vector.atoms(FieldSymbol) if rank_of(s)}
    simple = vector.is_Mul or isinstance(vector, FieldSymbol)
    if simple and all(isinstance(factor, FieldSymbol) or rank_of(factor) == 0 for factor in vector.args):
        return vector.xreplace(plain)
    return Entry(vector, sympy.Integer(component))


def _sign(
    face: Face,
    component: int,
    terms: Terms,
    setting: Setting,
    separator: Separator,
    assembler: Assembler,
    flux: Flux,
) -> int:
    """Return the sign of the coefficient of u_d v_d on a face."""
    d = next(i for i, axis in enumerate(separator.axes) if axis is face.axis)
    chosen: list[Terms] = []
    for (trial, test, factors), number in terms.items():
        orders, tested = dict(trial or ()), dict(test or ())
        if setting.component is not None and trial is not None:
            same = orders.get(setting.component) == tested.get(setting.component) == component + 1
        else:
            same = trial is not None
        if same and orders.get(d) == 1 and tested.get(d) == 1:
            chosen.append({(None, None, factors): number})
    coefficient = assembler.separated(separator.add(chosen))
    start = np.array([axis.domain[0] for axis in separator.axes])
    end = np.array([axis.domain[1] for axis in separator.axes])
    points = start + (end - start) * np.random.default_rng(0).random((_SAMPLES, len(start)))
    points[:, d] = face.coordinate
    values = coefficient(points)
    if not values.any():
        raise ValueError(
            f"condition {flux}: the equation has no second derivative of {setting.names()[component]} in "
            f"{face.axis.name}, so there is no flux through {face.axis.name}.{face.side}; prescribe values there"
        )
    if (values < 0).any() and (values > 0).any():
        raise ValueError(
            f"condition {flux}: the coefficient of the second derivative in {face.axis.name} changes its sign on "
            f"{face.axis.name}.{face.side}, so the flux has no direction; use weak= with on(face, ...)"
        )
    return 1 if values.sum() > 0 else -1


def check_faces(
    operator: Sequence[BilinearTerm],
    load: Sequence[LinearTerm],
    conditions: Sequence[Dirichlet],
    fluxes: Sequence[Flux],
    setting: Setting,
) -> None:
    """Refuse fluxes where values are prescribed, two fluxes on one face, and face terms without any effect."""
    fixed: set[tuple[int, str, int]] = {
        (id(face.axis), face.side, k)
        for condition in conditions
        for face in condition.faces
        for k in (range(setting.components) if condition.component is None else [condition.component])
    }
    names = setting.names()
    seen: set[tuple[int, str, int]] = set()
    for flux in fluxes:
        first = setting.slots[flux.unknown].first
        wanted = range(flux.unknown.components or 1) if flux.component is None else [flux.component]
        for face, k in ((face, first + k) for face in flux.faces for k in wanted):
            place = id(face.axis), face.side, k
            if place in fixed or place in seen:
                other = "its value" if place in fixed else "another flux"
                raise ValueError(
                    f"conditions contradict each other: on {shown_faces([face])} both a flux and {other} of {names[k]} "
                    "are prescribed; keep one of them"
                )
            seen.add(place)
    terms: list[BilinearTerm | LinearTerm] = [*operator, *load]
    for term in terms:
        _check_effect(term.forms, fixed, setting)


def _check_effect(forms: Sequence[AxisForm | LoadForm], fixed: set[tuple[int, str, int]], setting: Setting) -> None:
    row = 0
    if setting.component is not None:
        place = forms[setting.component].place
        row = place[0] if isinstance(place, tuple) else int(place or 0)
    for axis, form in zip(setting.axes, forms, strict=True):
        if form.place in ("start", "end") and form.test == 0 and (id(axis), form.place, row) in fixed:
            raise ValueError(
                f"conditions contradict the form: on {axis.name}.{form.place} it has a face term with "
                f"{setting.names(tests=True)[row]}, but {setting.names()[row]} is prescribed there, so the term has no "
                "effect; keep one of them"
            )


def refuse_faces(equations: Iterable[sympy.Expr]) -> None:
    """Refuse face terms in strong forms."""
    for equation in equations:
        for found in equation.atoms(OnFace):
            raise ValueError(f"strong must not contain face terms, got {found}; use a condition such as "
                             "u.flux(x.end) == value, or weak=")  # fmt: skip


def check_flux_unknowns(flux: Flux, setting: Setting) -> None:
    """Refuse unknowns of other problems in the value of a flux."""
    for value in flux.values:
        for symbol in value.atoms(FieldSymbol):
            if has_unknown(symbol) and symbol.field not in setting.unknowns:
                raise ValueError(f"condition {flux}: {symbol.field.name} is no unknown of this problem")
