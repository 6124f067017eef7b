"""Weak and strong forms against integrals computed by SymPy, manufactured sources, and the language itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st
from sympy import pi, sin

import inntd as it
from inntd.problems.algebra import COORDINATE, Algebra
from inntd.problems.separate import AxisForm, AxisFunction, LoadForm

X_AXIS, Y_AXIS = it.Axis("x", 0, 1, elements=4), it.Axis("y", 0, 1, elements=4)
T_AXIS = it.Axis("t", 0, 1, elements=4, kind="time")
X, Y, T = (axis._sympy_() for axis in (X_AXIS, Y_AXIS, T_AXIS))
SYMBOLS = (X, Y)
U, V = it.unknown("u", X_AXIS, Y_AXIS), it.test_function()


def integral(term: Any, trial: sympy.Expr | None, test: sympy.Expr, symbols: tuple[sympy.Symbol, ...]) -> sympy.Expr:
    """Integrate one separated term over the unit box, for a trial and a test function that are polynomials."""
    integrand = sympy.nsimplify(term.coefficient)
    factors = [test] if trial is None else [trial, test]
    for symbol, form in zip(symbols, term.forms, strict=True):
        orders = [form.test] if trial is None else [form.trial, form.test]
        factors = [sympy.diff(f, symbol, order) for f, order in zip(factors, orders, strict=True)]
        if form.weight is not None:
            integrand *= form.weight.expression.xreplace({COORDINATE: symbol})
    return over_box(integrand * sympy.Mul(*factors), symbols)


def over_box(integrand: sympy.Expr, symbols: tuple[sympy.Symbol, ...]) -> sympy.Expr:
    """Integrate a polynomial over the unit box, monomial by monomial."""
    terms = sympy.Poly(integrand, *symbols).terms()
    return sum(c / sympy.Mul(*(power + 1 for power in powers)) for powers, c in terms)


def residual(problem: it.Problem, trial: sympy.Expr, test: sympy.Expr) -> sympy.Expr:
    """Return a(trial, test) - l(test)."""
    symbols = tuple(axis._sympy_() for axis in problem.axes)
    bilinear = sum(integral(term, trial, test, symbols) for term in problem.operator)
    return bilinear - sum(integral(term, None, test, symbols) for term in problem.load)


coefficients = st.sampled_from([sympy.S.One, 1 + X, 2 + X * Y, (1 + X) ** 2 * (3 - Y), X**2 + Y])
polynomials = st.builds(
    lambda a, b, c: a + b * X * Y**2 + c * X**2 * Y, st.integers(-2, 2), st.integers(1, 3), st.integers(-2, 2)
)
BUBBLE = X * (1 - X) * Y * (1 - Y)  # vanishes on the boundary, so integration by parts has no boundary terms

STRONG = {
    "laplacian": (lambda u, k: -it.laplacian(u), lambda u, k: -sympy.diff(u, X, 2) - sympy.diff(u, Y, 2)),
    "scaled laplacian": (lambda u, k: k * it.laplacian(u), lambda u, k: k * (u.diff(X, 2) + u.diff(Y, 2))),
    "diffusion": (
        lambda u, k: -it.div(k * it.grad(u)),
        lambda u, k: -(k * u.diff(X)).diff(X) - (k * u.diff(Y)).diff(Y),
    ),
    "second derivative": (lambda u, k: k * it.diff(u, X_AXIS, 2), lambda u, k: k * u.diff(X, 2)),
    "mixed derivative": (lambda u, k: k * it.diff(it.diff(u, X_AXIS), Y_AXIS), lambda u, k: k * u.diff(X, Y)),
    "product rule": (lambda u, k: it.diff(k * it.diff(u, Y_AXIS), Y_AXIS), lambda u, k: (k * u.diff(Y)).diff(Y)),
    "advection": (lambda u, k: it.dot([k, 2], it.grad(u)), lambda u, k: k * u.diff(X) + 2 * u.diff(Y)),
    "conservative advection": (
        lambda u, k: it.div([k * u, X * u]),
        lambda u, k: (k * u).diff(X) + (X * u).diff(Y),
    ),
    "flux by components": (
        lambda u, k: it.div([k * it.diff(u, X_AXIS), it.diff(u, Y_AXIS)]),
        lambda u, k: (k * u.diff(X)).diff(X) + u.diff(Y, 2),
    ),
    "reaction": (lambda u, k: it.laplacian(u) + k * u, lambda u, k: u.diff(X, 2) + u.diff(Y, 2) + k * u),
    "laplacian of a product": (
        lambda u, k: it.laplacian(k * u + X),
        lambda u, k: (k * u).diff(X, 2) + (k * u).diff(Y, 2),
    ),
}


@pytest.mark.filterwarnings("ignore:the flow leaves through:inntd.StabilityWarning")
@pytest.mark.parametrize("name", STRONG)
@settings(max_examples=15)
@given(coefficient=coefficients, trial=polynomials, source=polynomials)
def test_strong_forms_agree_with_calculus(
    name: str, coefficient: sympy.Expr, trial: sympy.Expr, source: sympy.Expr
) -> None:
    """For a test function that vanishes on the boundary: ∫ v L u - ∫ v f = a(u, v) - l(v), L applied by SymPy."""
    ours, calculus = STRONG[name]
    given = {"second derivative": [X_AXIS], "product rule": [Y_AXIS]}
    faces = [X_AXIS.start, Y_AXIS.start] if "advection" in name else given.get(name, [X_AXIS, Y_AXIS])
    problem = it.Problem(strong=ours(U, coefficient) - source, conditions=[U.on(*faces) == 0])
    expected = over_box(BUBBLE * (calculus(trial, coefficient) - source), SYMBOLS)
    assert float(residual(problem, trial, BUBBLE) - expected) == pytest.approx(0, abs=1e-12)


@given(coefficient=coefficients)
def test_strong_and_weak_give_the_same_terms(coefficient: sympy.Expr) -> None:
    source = sympy.exp(-(X**2) - Y**2) * coefficient
    strong = it.Problem(strong=-it.div(coefficient * it.grad(U)) + 3 * U - source)
    weak = it.Problem(weak=coefficient * it.dot(it.grad(U), it.grad(V)) + 3 * U * V - source * V)
    assert set(strong.operator) == set(weak.operator)
    assert set(strong.load) == set(weak.load)


def test_natural_conditions_are_those_of_the_flux() -> None:
    """a(u, v) of div(k grad u) keeps no boundary term: with v = 1 only the flux through the boundary would remain."""
    problem = it.Problem(strong=it.div((1 + X) * it.grad(U)))
    assert residual(problem, X**2 * Y, sympy.S.One) == 0
    mixed = it.Problem(strong=it.diff(it.diff(U, X_AXIS), Y_AXIS), conditions=[U.on(X_AXIS, Y_AXIS) == 0])
    assert {(t.coefficient, t.forms) for t in mixed.operator} == {
        (-0.5, (AxisForm(1, 0), AxisForm(0, 1))),
        (-0.5, (AxisForm(0, 1), AxisForm(1, 0))),
    }


def test_discontinuous_coefficients_go_through_div() -> None:
    k = 1 + 9 * it.indicator(X >= 0.5)
    problem = it.Problem(strong=-it.div(k * it.grad(U)) - 1)
    weights = {form.weight for term in problem.operator for form in term.forms if form.weight is not None}
    assert {weight.breaks for weight in weights} == {(0.5,)}
    with pytest.raises(ValueError, match=r"strong: the factor .*indicator.* is differentiated in x, but it jumps"):
        it.Problem(strong=k * it.laplacian(U))


def sines(dimension: int, stop: float = 1.0) -> tuple[tuple[it.Axis, ...], sympy.Expr, sympy.Expr]:
    axes = tuple(it.Axis(f"x[{i}]", 0, stop, elements=31) for i in range(1, dimension + 1))
    return axes, sum(sin(pi / 2 * x) for x in axes), sympy.Mul(*(sin(pi * x) for x in axes))


@pytest.mark.parametrize("dimension", [2, 5, 10])
def test_manufactured_source_of_a_sum_of_sines(dimension: int) -> None:
    axes, exact, _ = sines(dimension)
    u = it.unknown("u", *axes)
    problem = it.Problem(strong=it.laplacian(u) - it.laplacian(exact), conditions=[u.on("boundary") == exact])
    wave = AxisFunction(sin(pi * COORDINATE / 2))
    assert {t.coefficient for t in problem.operator} == {-1.0}
    assert [t.coefficient for t in problem.load] == pytest.approx([-(np.pi**2) / 4] * dimension)
    for i in range(dimension):
        ones = [LoadForm()] * dimension
        ones[i] = LoadForm(0, wave)
        assert tuple(ones) in {t.forms for t in problem.load}
    assert len(problem.conditions[0].faces) == 2 * dimension
    assert problem.conditions[0].value.rank == dimension


@pytest.mark.parametrize("dimension", [2, 5, 100])
def test_manufactured_source_of_a_product_of_sines_is_one_term(dimension: int) -> None:
    axes, _, exact = sines(dimension)
    u = it.unknown("u", *axes)
    problem = it.Problem(strong=-it.laplacian(u) + it.laplacian(exact), exact=exact)
    (term,) = problem.load
    assert term.coefficient == pytest.approx(dimension * np.pi**2)
    assert set(term.forms) == {LoadForm(0, AxisFunction(sin(pi * COORDINATE)))}


def test_manufactured_source_of_helmholtz() -> None:
    k = 3
    exact = sin(pi * X) * sin(4 * pi * Y)
    problem = it.Problem(strong=it.laplacian(U) + k**2 * U - (it.laplacian(exact) + k**2 * exact))
    (term,) = problem.load
    assert term.coefficient == pytest.approx(-(k**2 - 17 * np.pi**2) * -1)
    assert {t.coefficient for t in problem.operator} == {-1.0, 9.0}


def test_the_heat_equation_over_space_parameters_and_time() -> None:
    x, y, z = (it.Axis(name, 0, 1, elements=4) for name in "xyz")
    k, p = it.Axis("k", 1, 4, elements=4, kind="parameter"), it.Axis("P", 100, 200, elements=4, kind="parameter")
    t = it.Axis("t", 0, 0.04, elements=8, kind="time", grading=2)
    u, v = it.unknown("u", x, y, z, k, p, t), it.test_function()
    c = [0.2, 0.4, 0.6, 0.8]
    bumps = sum(p * sympy.exp(-2 * ((x - a) ** 2 + (y - b) ** 2) / 0.05**2) for a in c for b in c)
    problem = it.Problem(
        weak=v * it.dt(u) + k * it.dot(it.grad(v), it.grad(u)) - v * bumps * it.indicator(z >= 0.5),
        conditions=[u.on(x, y, z) == 0, u.at(t=0) == 0],
    )
    assert len(problem.operator) == 4
    (load,) = problem.load  # the lattice of sources is one product
    assert load.forms[2].weight is not None
    assert load.forms[2].weight.breaks == (0.5,)
    (condition,) = problem.conditions  # both are zero
    assert condition.homogeneous
    assert len(condition.faces) == 7


@pytest.mark.parametrize("kind", ["sum", "product"])
def test_separation_takes_steps_linear_in_the_axes(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted in products of two terms, which is where an explosion would show."""

    def steps(dimension: int) -> int:
        count = 0
        multiply = Algebra._pair

        def counted(self: Algebra, *arguments: Any) -> Any:
            nonlocal count
            count += 1
            return multiply(self, *arguments)

        axes, total, product = sines(dimension)
        exact = total if kind == "sum" else product
        u = it.unknown("u", *axes)
        with monkeypatch.context() as patch:
            patch.setattr(Algebra, "_pair", counted)
            problem = it.Problem(strong=-it.laplacian(u) + it.laplacian(exact), conditions=[u.on("boundary") == exact])
        assert len(problem.operator) == dimension
        assert problem.setup_seconds > 0
        return count

    few, many = steps(10), steps(40)
    assert few >= 10
    assert many <= 4.5 * few


def test_plain_sympy_derivatives_of_fields_are_not_zero() -> None:
    assert sympy.diff(U, X) == it.diff(U, X_AXIS) == U.diff(X_AXIS)
    assert sympy.diff(X * U, X) == it.diff(X * U, X_AXIS)
    assert sympy.diff(U, X, 2) == it.diff(U, X_AXIS, 2) == it.diff(it.diff(U, X_AXIS), X_AXIS)
    assert sympy.diff(X * V, X) == X * it.diff(V, X_AXIS) + V
    assert it.diff(2 * V, X_AXIS) == it.diff(V + V, X_AXIS) == 2 * it.diff(V, X_AXIS)
    assert sympy.diff(U, X, Y) == sympy.diff(U, Y, X)
    # Chain rule, seen through an operator.
    assert sympy.diff(it.laplacian(U) * X, X).has(it.laplacian(U))
    zero = [U.on(X_AXIS, Y_AXIS) == 0]
    problem = it.Problem(strong=sympy.diff(it.dot([X, Y], it.grad(U)), X), conditions=zero)
    same = it.Problem(strong=it.diff(X * it.diff(U, X_AXIS) + Y * it.diff(U, Y_AXIS), X_AXIS), conditions=zero)
    assert set(problem.operator) == set(same.operator)


def test_vectors_add_scale_and_print() -> None:
    g = it.grad(U)
    assert str(2 * g / 4) == str(g / 2)
    assert str(g) == "grad(u)"
    assert it.dot(np.float64(2.0) * g, it.grad(V)) == 2.0 * it.dot(g, it.grad(V))
    assert it.inner(g + g, it.grad(V)) == 2 * it.dot(g, it.grad(V))
    difference = it.Problem(weak=it.dot([1, X] - g, it.grad(V)) + it.dot(X_AXIS * g - g, it.grad(V)))
    same = it.Problem(weak=(X - 2) * it.dot(g, it.grad(V)) + it.diff(V, X_AXIS) + X * it.diff(V, Y_AXIS))
    assert set(difference.operator) == set(same.operator)
    assert set(difference.load) == set(same.load)


def test_symbols_made_by_hand_stand_for_the_axis_of_their_name() -> None:
    bare = sympy.Symbol("x")
    problem = it.Problem(weak=U * V - V * sin(bare) * X)
    same = it.Problem(weak=U * V - V * sin(X) * X)
    assert problem.load == same.load


def test_traces_name_faces() -> None:
    z = it.Axis("p", 0, 1, elements=12, periodic=True)
    u = it.unknown("u", X_AXIS, z, T_AXIS)
    assert [str(f) for f in u.on("boundary").faces] == ["x.start", "x.end"]
    assert [str(f) for f in u.on(X_AXIS, X_AXIS.end, T_AXIS.start).faces] == ["x.start", "x.end", "t.start"]
    assert str(u.at(t=1) == X * 2) == "u = 2*x on t.end"
    assert str(u.at({"t": 0}) == X_AXIS) == "u = x on t.start"


def test_a_value_may_separate_on_the_face_only() -> None:
    problem = it.Problem(strong=it.laplacian(U), conditions=[U.on(X_AXIS.start) == sympy.sqrt(X**2 + Y**2)])
    (condition,) = problem.conditions
    p = np.array([[0.0, 0.25], [0.0, 1.0]])
    np.testing.assert_allclose(condition.value(p), [0.25, 1.0])


def test_a_quasi_static_problem_needs_no_initial_condition() -> None:
    u = it.unknown("u", X_AXIS, T_AXIS)
    assert it.Problem(strong=it.laplacian(u) - T, conditions=[u.on(X_AXIS) == T]).conditions[0].value.rank == 1


def test_the_description_tells_everything() -> None:
    u = it.unknown("w", X_AXIS, Y_AXIS, T_AXIS)
    problem = it.Problem(
        strong=it.dt(u) - it.div((1 + X) * it.grad(u)) - 2 * sin(Y),
        conditions=[u.on(X_AXIS) == T * Y, u.at(t=0) == 0],
        title="Warm plate",
        exact=T * Y,
    )
    text = problem.describe()
    for part in (
        "Warm plate",
        "w(x, y, t)",
        "t: time, 0 to 1, 4 elements",
        "strong form",
        "weak form   -2*v*sin(y) + v*dt(w) + (x + 1)*dot(grad(v), grad(w)) = 0",
        "1 (x + 1) w_x v_x",
        "1 w_t v",
        "2 (sin(y)) v",
        "w = t*y on x.start, x.end",
        "natural on y.start, y.end",
    ):
        assert part in text
    assert "3 operator terms" in repr(problem)
