"""What a problem allows but likely goes wrong is told, with the place; what is sound is not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sympy
from doubtful import K, T, X, Y, diffusion, parameters, silence

import inntd as it
from inntd.problems.toml import parse_problem


@pytest.mark.parametrize("sign", [1, -1])
def test_a_coefficient_that_changes_its_sign_is_named_with_its_place(sign):
    value, need = ("-0.968", "positive") if sign > 0 else ("0.968", "negative")
    place = rf"is {value}\d* at x=0.98\d*: coercivity needs it {need}, as it is elsewhere"
    with pytest.warns(it.StabilityWarning, match=rf"\(2 - 3\*x\) of the second derivatives of u in x, y {place}"):
        diffusion(2 - 3 * X, sign=sign)


def test_places_are_found_across_axes_and_terms():
    # 2 + x y k is positive up to k = 4, 2 - x y k is not: only near one corner of the box.
    with silence():
        diffusion(2 + X * Y * K, K)
    with pytest.warns(it.StabilityWarning, match=r"is -1\.9\d* at x=0\.98\d*, y=0\.98\d*, k=4: coercivity"):
        diffusion(2 - X * Y * K, K)
    random = 1 + sum(sympy.sin((j + 1) * X) * z / 10 for j, z in enumerate(parameters(8)))
    with silence():
        diffusion(random, *parameters(8))


def test_zero_diffusion_is_told_unless_other_terms_hold_the_solution():
    with pytest.warns(it.StabilityWarning, match=r"is zero at k=0: coercivity needs it positive"):
        diffusion(K, K)
    with silence():
        diffusion(K, K, extra=1)
        diffusion(K, K, T, time=True)
        diffusion(1 + X, sign=-1)
    with pytest.warns(it.StabilityWarning, match=r"\(indicator\(1/2 < x\)\).* is zero at x=0\."):
        diffusion(it.indicator(sympy.Rational(1, 2) < X))


def test_sound_problems_are_left_in_peace():
    r, u, v = it.Axis("r", 0, 1, elements=20), None, it.test_function()
    u = it.unknown("u", r)
    with silence():
        it.Problem(weak=r * it.diff(u, r) * it.diff(v, r) - r * v, conditions=[u.on(r.end) == 0])  # the axis of a disc
        diffusion(1, extra=-200)  # Helmholtz: indefinite reaction
        w = it.unknown("w", X, T)  # a wave equation: time and space have opposite signs
        wave = it.diff(v, T) * it.diff(w, T) - it.diff(v, X) * it.diff(w, X)
        it.Problem(weak=wave, conditions=[w.on(X) == 0, w.at(t=0) == 0])


def test_positive_coefficients_are_expected_where_neither_sign_prevails():
    for coefficient in (X - 0.5, 0.5 - X, 1 - 2.1 * X):
        with pytest.warns(it.StabilityWarning, match=r"is -\d.* coercivity needs it positive"):
            diffusion(coefficient)


@pytest.mark.parametrize(
    ("form", "more", "kind", "told"),
    [
        ("-div((2 - 3*x)*grad(u)) - 1", "", "space", r"is -0.9\d* at x=0.9\d*: coercivity needs it positive"),
        ("-div(piecewise((1, x < 0.5), (0, True))*grad(u)) - 1", "", "space", r"is zero at x=0\.\d+: coercivity"),
        ("-y*laplacian(u) - 1", "", "parameter", "is zero at y=0: coercivity"),
        ("-laplacian(u) - indicator(x > 3)", "", "space", r"indicator\(x > 3\) is constant on the axis x from 0 to 1"),
        ("-laplacian(u) - piecewise((y, x > 3), (1, True))", "", "space", "condition x > 3 of a piecewise expression"),
        ("-0.001*laplacian(u) + diff(u, x) - 1", "", "space", "leaves through x.end, .* Péclet number"),
        ("-laplacian(u) - 1", "s = 12", "space", "patches of s=12 lose digits"),
        ("dt(u) + laplacian(u) - 1", "", "time", "runs from y.end: it amplifies every error"),
    ],
)
def test_problem_files_are_warned_of_as_scripts_are(form: str, more: str, kind: str, told: str) -> None:
    text = (
        f"[axes.x]\ndomain = [0, 1]\nelements = 40\n{more}\n[axes.y]\ndomain = [0, 1]\nelements = 10\nkind = '{kind}'\n"
        f'[problem]\nstrong = "{form}"\n[[conditions]]\non = "boundary"\nvalue = 0\n'
    )
    if kind == "time":
        text += "[[conditions]]\nat = {y = 0}\nvalue = 0\n"
    with pytest.warns(it.StabilityWarning, match=told):
        parse_problem(text)


def test_opposite_signs_in_two_directions_are_told():
    u, v = it.unknown("u", X, Y), it.test_function()
    with pytest.warns(it.StabilityWarning, match="second derivatives of u in y is -1: coercivity"):
        it.Problem(weak=it.diff(u, X) * it.diff(v, X) - it.diff(u, Y) * it.diff(v, Y) - v, conditions=[u.on(X, Y) == 0])

    with pytest.warns(it.StabilityWarning, match=r"u in y is -1\.98\d* at x=0\.98\d*: coercivity needs it positive"):
        it.Problem(
            weak=3 * it.diff(u, X) * it.diff(v, X) - (1 + X) * it.diff(u, Y) * it.diff(v, Y) - v,
            conditions=[u.on(X, Y) == 0],
        )


def test_vectors_are_checked_by_component():
    c = it.Axis.discrete("c", 2)
    u, v = it.unknown("u", c, X, Y), it.test_function()
    strain = it.inner(it.sym(it.grad(v)), it.sym(it.grad(u)))
    with silence():
        it.Problem(weak=2 * strain + it.div(v) * it.div(u) - v[0], conditions=[u.on("boundary") == 0])
    with pytest.warns(it.StabilityWarning) as told:
        it.Problem(weak=(1 - 3 * X) * strain - v[0], conditions=[u.on("boundary") == 0])
    assert {str(each.message).partition("second derivatives of ")[2][:9] for each in told} == {
        f"u[{i}] in {axis}" for i in (0, 1) for axis in "xy"
    }


def layer(axis: it.Axis, velocity: Any, eps: Any, *more: it.Axis, faces: Any = None) -> it.Problem:
    u = it.unknown("u", axis, *more)
    strong = -eps * it.diff(u, axis, 2) + velocity * it.diff(u, axis) - 1
    return it.Problem(strong=strong, conditions=[u.on(axis if faces is None else faces) == 0])


def test_layers_thinner_than_the_mesh_are_told_with_the_mesh_peclet_number():
    with silence():
        layer(X, 1, 0.025)  # 1 (1/20) / (2 0.025) = 1
        layer(X, 1, 0.001, faces=X.start)  # the flow leaves freely
        graded = it.Axis("x", nodes=1 - np.linspace(1, 0, 41) ** 4)
        layer(graded, 1, 0.001)
    for velocity, face in ((1, "x.end"), (-1, "x.start")):
        with pytest.warns(it.StabilityWarning, match=rf"leaves through {face}, .* mesh Péclet number of 2.5 .*shorter"):
            layer(X, velocity, 0.01)
    eps = it.Axis("e", 0.001, 1, elements=8, kind="parameter")
    with pytest.warns(it.StabilityWarning, match=r"Péclet number of 25 at e=0.001 "):
        layer(X, 1, eps, eps)
    u, v = it.unknown("u", X), it.test_function()  # the conservative form, integrated by parts
    with pytest.warns(it.StabilityWarning, match=r"leaves through x.end, .* number of 2.5"):
        it.Problem(weak=0.01 * it.diff(u, X) * it.diff(v, X) - u * it.diff(v, X) - v, conditions=[u.on(X) == 0])


def test_the_peclet_number_foretells_oscillations():
    """Below one the solution stays between its bounds, far above it does not: the warning is right about both."""
    overshoot = []
    for elements, told in ((60, False), (12, True)):
        axis = it.Axis("x", 0, 1, elements=elements)
        with pytest.warns(it.StabilityWarning) if told else silence():
            problem = layer(axis, 1, 0.01)
        values = it.solve(problem, rank=1, progress=False).model.grid(x=np.linspace(0, 1, 400)).numpy()
        overshoot.append(np.maximum(0, values - np.linspace(0, 1, 400)).max())
    assert overshoot[0] < 0.01 < 0.05 < overshoot[1]
