"""What a problem allows but likely goes wrong is told, with the place; what is sound is not."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import sympy

import inntd as it
from inntd.problems.toml import parse_problem

X, Y = it.Axis("x", 0, 1, elements=20), it.Axis("y", 0, 1, elements=20)
K = it.Axis("k", 0, 4, elements=10, kind="parameter")
T = it.Axis("t", 0, 1, elements=20, kind="time")


def diffusion(coefficient: Any, *more: it.Axis, extra: Any = 0, sign: int = 1, time: bool = False) -> it.Problem:
    """-div(coefficient grad u) + extra u = 1 on the unit square and along more axes."""
    u, v = it.unknown("u", X, Y, *more), it.test_function()
    form = coefficient * it.dot(it.grad(v), it.grad(u)) + extra * u * v - v
    conditions = [u.on(X, Y) == 0]
    if time:
        form, conditions = form + v * it.dt(u), [*conditions, u.at(t=0) == 0]
    return it.Problem(weak=sign * form, conditions=conditions)


@contextmanager
def silence() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


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


def parameters(count: int) -> list[it.Axis]:
    return [it.Axis(f"z[{j}]", -1, 1, elements=4, kind="parameter") for j in range(count)]


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


@pytest.mark.parametrize("sign", [1, -1])
def test_equations_that_run_backward_in_time_are_told(sign):
    u = it.unknown("u", X, T)
    backward = sign * (it.dt(u) + it.laplacian(u) - 1)
    with pytest.warns(
        it.StabilityWarning, match=r"given on t\.start, but .* the equation runs from t\.end: it amplifies"
    ):
        it.Problem(strong=backward, conditions=[u.on(X) == 0, u.at(t=0) == 0])
    with silence():  # an adjoint problem
        it.Problem(strong=backward, conditions=[u.on(X) == 0, u.at(t=1) == 0])


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


@pytest.mark.parametrize(
    ("relation", "message"),
    [
        (X > 5, r"indicator\(x > 5\) is constant on the axis x from 0 to 1: its break at 5 lies outside"),
        ((X > -1) & (X < 2), r"constant on the axis x from 0 to 1: its breaks at (-1, 2|2, -1) lie outside"),
        ((X > 5) & (Y > 0.5), "constant on the axis x from 0 to 1"),
        (sympy.exp(X) > 5, "it has no break there; mend the relation, or the axis"),
    ],
)
def test_indicators_that_never_switch_are_told(relation, message):
    with pytest.warns(it.StabilityWarning, match=message):
        diffusion(1 + it.indicator(relation))


@pytest.mark.parametrize(
    "relation",
    [X > 0.5, (X > 0.9) & (X < 1.1), X >= 0, X < 1, sympy.sin(sympy.pi * X) > 0, (X + Y > 1) & (X < 7), X + Y < 9],
)
def test_indicators_that_switch_or_end_at_an_end_are_not(relation):
    u, v = it.unknown("u", X, Y), it.test_function()
    found = it.indicator(relation)
    with silence():
        from inntd.problems.omissions import idle_indicators

        assert list(idle_indicators(u.axes, [found * v._sympy_()])) == []


def test_parameters_that_appear_nowhere_are_refused():
    with pytest.raises(ValueError, match="the parameter axis k appears in no coefficient, source or given value"):
        diffusion(1, K)
    with pytest.raises(ValueError, match=r"the parameter axes z\[0\], z\[1\] appear in no"):
        diffusion(1, *parameters(2))
    u = it.unknown("u", X, K)
    with silence():  # in the given values alone
        it.Problem(strong=-it.laplacian(u), conditions=[u.on(X.start) == 0, u.on(X.end) == K])


def test_a_time_axis_needs_an_initial_condition():
    u = it.unknown("u", X, T)
    with pytest.raises(ValueError, match=r"the time axis t needs an initial condition; add u\.at\(t=0\)"):
        it.Problem(strong=it.dt(u) - it.laplacian(u) - 1, conditions=[u.on(X) == 0])


@pytest.mark.parametrize("second", [0, 1])
def test_an_equation_of_first_order_takes_one_value_in_time(second):
    u = it.unknown("u", X, T)
    conditions = [u.on(X) == 0, u.at(t=0) == 0, u.at(t=1) == second * X._sympy_() * (1 - X._sympy_())]
    with pytest.raises(ValueError, match=r"u is given at both ends of the time axis t, .* takes one initial condition"):
        it.Problem(strong=it.dt(u) - it.laplacian(u) - 1, conditions=conditions)


def test_breaks_that_the_mesh_is_too_coarse_for_are_told():
    x = it.Axis("x", 0, 1, elements=8)
    u = it.unknown("u", x)
    bars = it.indicator(x > 0.3) + it.indicator(x > 0.45) + it.indicator(x > 0.6)
    with pytest.warns(
        it.StabilityWarning, match=r"3 breaks are too many for its 8 elements: patches cross them, jumps included"
    ):
        it.Problem(strong=-it.div((1 + bars) * it.grad(u)) - 1, conditions=[u.on(x) == 0])


@pytest.mark.parametrize(
    ("velocity", "given", "missing"),
    [
        (1, None, "x.start"),
        (1, "end", "x.start"),
        (-1, "start", "x.end"),
        (1, "start", None),
        (-1, "end", None),
        (0, None, None),
    ],
)
@pytest.mark.parametrize("sign", [1, -1])
def test_transport_without_a_value_where_the_flow_enters_is_refused(velocity, given, missing, sign) -> None:
    x, t = it.Axis("x", 0, 1, elements=8), it.Axis("t", 0, 1, elements=8, kind="time")
    u = it.unknown("u", x, t)
    speed = velocity if velocity else x - 0.5  # a sign that changes: nothing is known
    conditions = [u.at(t=0) == 0] + ([u.on(getattr(x, given)) == 0] if given else [])
    strong = sign * (it.dt(u) + speed * it.diff(u, x) - 1)
    if missing is None:
        it.Problem(strong=strong, conditions=conditions)
        return
    instead = f" instead of x.{given}, or" if given else ", or"
    message = rf"nothing is given on {missing}, where the flow enters: .*; give u on {missing}{instead}"
    with pytest.raises(ValueError, match=message):
        it.Problem(strong=strong, conditions=conditions)


def transport(strong: Any, unknown: Any, *faces: Any) -> it.Problem:
    return it.Problem(strong=strong, conditions=[unknown.on(*faces) == 0] if faces else [])


def test_stationary_transport_takes_one_end_of_every_streamline() -> None:
    u, w = it.unknown("u", X), it.unknown("w", X, Y)
    ahead = it.diff(u, X) + u - 1
    oblique = it.diff(w, X) + 0.5 * it.diff(w, Y) - 1
    for face in (X.start, X.end):
        transport(ahead, u, face)
    for faces in ((X.start, Y.start), (X.end, Y.end)):
        transport(oblique, w, *faces)
    with pytest.raises(ValueError, match=r"nothing is given on x.start, where the flow enters"):
        transport(ahead, u)
    with pytest.raises(ValueError, match=r"contradict the equation: .* values on x.end, where the flow leaves, follow"):
        transport(ahead, u, X)
    with pytest.raises(ValueError, match=r"carried along y .* nothing is given on y.start"):
        transport(oblique, w, X.start)
    with pytest.raises(ValueError, match=r"values on x.end, y.end, where the flow leaves, follow .* leave out"):
        transport(oblique, w, X, Y)
    with pytest.raises(ValueError, match=r"carried along [xy] without diffusion"):
        transport(oblique, w, X.start, Y.end)


def test_the_velocity_is_judged_at_the_faces() -> None:
    """Into a sink nothing needs to be given, out of a source at both ends; a radius that vanishes is no inflow."""
    u, r = it.unknown("u", X), it.Axis("r", 0, 1, elements=8)
    w = it.unknown("w", r)
    with silence():
        transport((X - 0.5) * it.diff(u, X) + 3 * u - 1, u)
        transport(-(X - 0.5) * it.diff(u, X) + u - 1, u, X)
        transport(r * it.diff(w, r) + w - 1, w)
    angle = it.Axis("a", -1, 1, elements=8, kind="parameter")
    z = it.unknown("z", X, T, angle)
    with pytest.warns(it.StabilityWarning, match=r"nothing is given on x.start, through which the flow seems to enter"):
        it.Problem(strong=it.dt(z) + angle * it.diff(z, X) - 1, conditions=[z.at(t=0) == 0, z.on(X.end) == 0])


def test_diffusion_across_tells_the_direction_of_a_march() -> None:
    """u_x = u_yy runs from x.start, u_x = -u_yy from x.end."""
    u = it.unknown("u", X, Y)
    for sign, right, wrong in ((1, X.start, X.end), (-1, X.end, X.start)):
        strong = it.diff(u, X) - sign * it.diff(u, Y, 2) - 1
        it.Problem(strong=strong, conditions=[u.on(Y) == 0, u.on(right) == 0])
        with pytest.raises(ValueError, match=rf"nothing is given on {right}, .*; give u on {right} instead of {wrong}"):
            it.Problem(strong=strong, conditions=[u.on(Y) == 0, u.on(wrong) == 0])


def test_values_along_axes_without_derivatives_are_refused() -> None:
    """What the equation says for each parameter, or for each instant, no condition can say once more."""
    z, w = it.unknown("z", X, K), it.unknown("w", X, T)
    pair = it.unknown("q", it.Axis.discrete("c", 2), X)
    for strong, conditions, message in (
        (-it.laplacian(z) - K, [z.on(X) == 0, z.on(K.start) == 0], "z is given on k.start, but no term .* along k"),
        (-it.laplacian(w) - T, [w.on(X) == 0, w.at(t=0) == 0], "w is given on t.start, but no term .* along t"),
        ([-it.laplacian(pair[0]) - 1, pair[1] - pair[0]], [pair.on(X) == [0, 0]], r"q\[1\] is given on x.start"),
    ):
        with pytest.raises(ValueError, match=f"conditions contradict the equation: {message}"):
            it.Problem(strong=strong, conditions=conditions)


def test_a_missing_inflow_value_leaves_the_matrix_singular() -> None:
    """Why it is refused: the smallest singular value falls exponentially with the elements, with a value as 1/n."""
    from inntd.axes import assembly

    smallest = []
    for elements in (8, 16, 32):
        axis = it.Axis("x", 0, 1, elements=elements)
        matrix = (assembly.matrix(axis, 1, 0) + assembly.matrix(axis)).toarray()
        smallest.append([np.linalg.svd(part, compute_uv=False)[-1] for part in (matrix, matrix[1:, 1:])])
    free, given = np.array(smallest).T
    assert (free[1:] < 0.02 * free[:-1]).all()
    assert (given[1:] > 0.3 * given[:-1]).all()
