"""Vector unknowns and several unknowns: the language, the separated forms, and dense oracles of assembled systems."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sympy
from sympy import cos, exp, pi, sin

import inntd as it
from inntd.problems.algebra import COORDINATE
from inntd.solvers.operator import DiscreteSystem, assemble

C2, C3 = it.Axis.discrete("c", 2), it.Axis.discrete("c", 3)
X_AXIS, Y_AXIS = it.Axis("x", 0, 1, elements=6, s=2), it.Axis("y", 0, 2, elements=7, s=2)
X, Y = X_AXIS._sympy_(), Y_AXIS._sympy_()
K_, T = sympy.symbols("k t", real=True)
U, V = it.unknown("u", C2, X_AXIS, Y_AXIS), it.test_function()


def stress(w: Any, lam: Any = 2, mu: Any = 1) -> Any:
    strain = it.sym(it.grad(w))
    return lam * it.tr(strain) * it.identity() + 2 * mu * strain


def form_of(problem: it.Problem, trial: list[sympy.Expr], test: list[sympy.Expr]) -> sympy.Expr:
    """Return a(trial, test) - l(test) by SymPy, for one polynomial per component, from the separated terms."""
    assert problem.component is not None
    symbols = {d: axis._sympy_() for d, axis in enumerate(problem.axes) if d != problem.component}
    total = sympy.S.Zero
    for term in problem.operator:
        i, j = term.forms[problem.component].place
        total += _integral(problem, term, symbols, [(trial[j], "trial"), (test[i], "test")])
    for term in problem.load:
        total -= _integral(problem, term, symbols, [(test[term.forms[problem.component].place], "test")])
    return total


def _integral(problem: it.Problem, term: Any, symbols: dict[int, sympy.Symbol], fields: Any) -> sympy.Expr:
    integrand = sympy.nsimplify(term.coefficient)
    for field, order in fields:
        for d, symbol in symbols.items():
            field = sympy.diff(field, symbol, getattr(term.forms[d], order))
        integrand *= field
    for d, symbol in symbols.items():
        form = term.forms[d]
        if form.weight is not None:
            integrand *= form.weight.expression.xreplace({COORDINATE: symbol})
        start, end = (sympy.nsimplify(bound) for bound in problem.axes[d].domain)
        if form.place is None:
            integrand = sympy.integrate(sympy.expand(integrand), (symbol, start, end))
        else:
            integrand = integrand.xreplace({symbol: start if form.place == "start" else end})
    return sympy.expand(integrand)


def over_box(integrand: sympy.Expr) -> sympy.Expr:
    return sympy.integrate(sympy.expand(integrand), (X, 0, 1), (Y, 0, 2))


TRIAL = [X**2 * Y + Y**2, X * Y - 3 * X**2]
BUBBLE = X * (1 - X) * Y * (2 - Y)
TESTS = [BUBBLE * (1 + X), BUBBLE * (2 - Y * X)]


def gradient(w: list[sympy.Expr]) -> sympy.Matrix:
    return sympy.Matrix([[component.diff(X), component.diff(Y)] for component in w])


def contracted(a: sympy.Matrix, b: sympy.Matrix) -> sympy.Expr:
    return sum(p * q for p, q in zip(a, b, strict=True))


K = 1 + X * Y
VECTOR_FORMS: dict[str, tuple[Any, Any]] = {
    "reaction": (lambda u, v: K * it.dot(u, v), lambda u, v: K * (u[0] * v[0] + u[1] * v[1])),
    "components": (lambda u, v: u[0] * v[1] - X * u[1] * v[0], lambda u, v: u[0] * v[1] - X * u[1] * v[0]),
    "gradients": (
        lambda u, v: it.inner(K * it.grad(u), it.grad(v)),
        lambda u, v: K * contracted(gradient(u), gradient(v)),
    ),
    "symmetric parts": (
        lambda u, v: it.inner(it.sym(it.grad(u)), it.grad(v)),
        lambda u, v: contracted((gradient(u) + gradient(u).T) / 2, gradient(v)),
    ),
    "transposed": (
        lambda u, v: it.inner(it.grad(u).T, it.grad(v)),
        lambda u, v: contracted(gradient(u).T, gradient(v)),
    ),
    "divergences": (
        lambda u, v: it.div(u) * it.div(v),
        lambda u, v: gradient(u).trace() * gradient(v).trace(),
    ),
    "convection": (
        lambda u, v: it.dot(it.dot(it.grad(u), [Y, 1]), v),
        lambda u, v: (gradient(u) * sympy.Matrix([Y, 1])).dot(sympy.Matrix(v)),
    ),
    "entries": (
        lambda u, v: it.grad(u)[0, 1] * it.grad(v)[1, 0] + it.tr(it.grad(u)) * v[0],
        lambda u, v: u[0].diff(Y) * v[1].diff(X) + gradient(u).trace() * v[0],
    ),
    "vector sums": (
        lambda u, v: it.dot(2 * u - it.dot(it.grad(u), [1, 0]) + [X, 3], v) + it.dot(it.diff(u, X_AXIS), v),
        lambda u, v: (2 * u[0] + X) * v[0] + (2 * u[1] + 3) * v[1],
    ),
    "matrix products": (
        lambda u, v: it.inner(it.dot([[1, X], [0, 2]], it.grad(u)), it.grad(v)),
        lambda u, v: contracted(sympy.Matrix([[1, X], [0, 2]]) * gradient(u), gradient(v)),
    ),
}


@pytest.mark.filterwarnings("ignore:.*is carried along:inntd.StabilityWarning")  # forms without conditions
@pytest.mark.parametrize("name", VECTOR_FORMS)
def test_weak_forms_of_vectors_agree_with_calculus(name: str) -> None:
    ours, calculus = VECTOR_FORMS[name]
    reaction = it.dot(U, V)  # so that every component takes part
    inflow = [U.on(X_AXIS.start, Y_AXIS.start) == 0] if name in ("convection", "entries") else []
    problem = it.Problem(weak=ours(U, V) + reaction, conditions=inflow)
    plain = TRIAL[0] * TESTS[0] + TRIAL[1] * TESTS[1]
    assert sympy.simplify(form_of(problem, TRIAL, TESTS) - over_box(calculus(TRIAL, TESTS) + plain)) == 0


STRONG_FORMS: dict[str, tuple[Any, Any]] = {
    "laplacian": (lambda u: -it.laplacian(u) - [X, 1], lambda u: [-u[i].diff(X, 2) - u[i].diff(Y, 2) for i in (0, 1)]),
    "by components": (
        lambda u: [-it.laplacian(u[0]) + u[1] - X, -K * it.laplacian(u[1]) - 1],
        lambda u: [
            -u[0].diff(X, 2) - u[0].diff(Y, 2) + u[1],
            -K * (u[1].diff(X, 2) + u[1].diff(Y, 2)),
        ],
    ),
    "stress": (
        lambda u: -it.div(stress(u, K)) - [X, 1],
        lambda u: [-sum(_stress(u, K)[i, j].diff((X, Y)[j]) for j in (0, 1)) for i in (0, 1)],
    ),
    "scaled": (
        lambda u: K * it.div(it.grad(u)) + 2 * u - [X, 1],
        lambda u: [K * (u[i].diff(X, 2) + u[i].diff(Y, 2)) + 2 * u[i] for i in (0, 1)],
    ),
}


def _stress(u: list[sympy.Expr], lam: sympy.Expr) -> sympy.Matrix:
    strain = (gradient(u) + gradient(u).T) / 2
    return lam * strain.trace() * sympy.eye(2) + 2 * strain


@pytest.mark.parametrize("name", STRONG_FORMS)
def test_strong_forms_of_vectors_agree_with_calculus(name: str) -> None:
    """For a test vector that vanishes on the boundary: ∫ v·(L u - f) = a(u, v) - l(v), L applied by SymPy."""
    ours, calculus = STRONG_FORMS[name]
    problem = it.Problem(strong=ours(U), conditions=[U.on("boundary") == 0])
    source = [X, sympy.S.One]
    expected = over_box(sum((calculus(TRIAL)[i] - source[i]) * TESTS[i] for i in (0, 1)))
    assert sympy.simplify(form_of(problem, TRIAL, TESTS) - expected) == 0


def test_the_natural_condition_of_a_stress_is_a_free_surface() -> None:
    """Strong and weak elasticity are the same separated form, whole boundary terms included."""
    f = [X, exp(Y)]
    strong = it.Problem(strong=-it.div(stress(U)) - f, conditions=[U.on(X_AXIS.start) == 0])
    weak = it.Problem(weak=it.inner(stress(U), it.sym(it.grad(V))) - it.dot(f, V), conditions=[U.on(X_AXIS.start) == 0])
    assert set(strong.operator) == set(weak.operator)
    assert set(strong.load) == set(weak.load)


# ---------------------------------------------------------------------------------------------------- dense oracles


def dense(system: DiscreteSystem) -> tuple[np.ndarray, np.ndarray]:
    """Return the operator and the load on all nodes, as Kronecker products in the order of the axes."""
    size = int(np.prod([axis.size for axis in system.axes]))
    operator, load = np.zeros((size, size)), np.zeros(size)
    for coefficient, term in zip(system.coefficients, system.terms, strict=True):
        product = np.ones((1, 1))
        for matrices, place in zip(system.matrices, term, strict=True):
            product = np.kron(product, matrices[place].toarray())
        operator += coefficient * product
    for sign, log, term in zip(system.load_signs, system.load_logs, system.load_terms, strict=True):
        column = np.ones(1)
        for vectors, place in zip(system.vectors, term, strict=True):
            column = np.kron(column, vectors[:, place])
        load += sign * np.exp(log) * column
    return operator, load


def free_places(system: DiscreteSystem) -> np.ndarray:
    """Return which entries of the Kronecker vector are free."""
    sizes = [axis.size for axis in system.axes]
    free = np.ones(sizes, dtype=bool)
    for d, own in enumerate(system.free):
        inside = np.zeros(sizes[d], dtype=bool)
        inside[own] = True
        free &= inside.reshape([-1 if e == d else 1 for e in range(len(sizes))])
        fixed = system.fixed[d]
        if fixed is None:
            continue
        mask = np.zeros((sizes[d], fixed.shape[1]), dtype=bool)
        mask[own] = fixed
        shape = [sizes[d] if e == d else fixed.shape[1] if e == system.component else 1 for e in range(len(sizes))]
        free &= ~(mask if d < system.component else mask.T).reshape(shape)
    return free.reshape(-1)


def solved_densely(problem: it.Problem) -> np.ndarray:
    """Return nodal values by NumPy: the lifting plus the solution of the dense system on the free entries."""
    system = assemble(problem)
    operator, load = dense(system)
    free = free_places(system)
    values = np.zeros([axis.size for axis in system.axes]).reshape(-1)
    values[free] = np.linalg.solve(operator[np.ix_(free, free)], load[free])
    lifted = system.lifting.factors()
    for r in range(lifted[0].shape[1] if lifted else 0):
        column = np.ones(1)
        for factor in lifted:
            column = np.kron(column, factor[:, r])
        values += column
    return values.reshape([axis.size for axis in system.axes])


def nodal(problem: it.Problem, model: Any) -> np.ndarray:
    return np.asarray(model.grid({axis.name: axis.nodes[: axis.size] for axis in problem.axes}).detach())


def elasticity(conditions: list[it.problems.Condition]) -> it.Problem:
    return it.Problem(strong=-it.div(stress(U)) - [1 + X, sin(Y)], conditions=conditions)


def test_elasticity_is_solved_as_by_a_dense_solver() -> None:
    problem = elasticity([U.on("boundary") == [X * Y, 1 - X]])
    expected = solved_densely(problem)
    answer = it.solve(problem, tolerance=1e-9)
    assert answer.converged
    np.testing.assert_allclose(nodal(problem, answer.model), expected, atol=1e-7 * np.abs(expected).max())


def test_a_manufactured_displacement_comes_back() -> None:
    exact = [X * (X - 1) * sin(pi * Y / 2), cos(pi * X) * Y * (2 - Y)]
    x, y = (it.Axis(axis.name, *axis.domain, elements=16) for axis in (X_AXIS, Y_AXIS))
    u = it.unknown("u", C2, x, y)
    problem = it.Problem(
        strong=it.div(stress(u)) - it.div(stress(exact)), conditions=[u.on("boundary") == exact], exact=exact
    )
    answer = it.solve(problem, rank=12)
    assert answer.model.error(problem.exact) < 2e-6
    points = np.array([[0, 0.3, 1.1], [1, 0.3, 1.1]])
    values = [float(e.subs({X: 0.3, Y: 1.1})) for e in exact]
    np.testing.assert_allclose(problem.exact_function(points), values, rtol=1e-12)
    np.testing.assert_allclose(answer.model(points), values, atol=1e-5)


def test_components_may_have_conditions_of_their_own() -> None:
    """Rollers on two sides: the masks of the lifting and the dense solve keep what is prescribed, and nothing else."""
    problem = elasticity([U[0].on(X_AXIS) == Y, U[1].on(Y_AXIS.start) == 1 + X, U[1].on(X_AXIS.end) == 2])
    system = assemble(problem)
    assert system.component == 0
    assert system.fixed[0] is None
    assert system.fixed[1] is not None
    np.testing.assert_array_equal(system.fixed[1][0], [True, False])
    assert system.fixed[1].shape == (6, 2)
    values = solved_densely(problem)
    np.testing.assert_allclose(values[0, 0], Y_AXIS.nodes, atol=1e-12)
    np.testing.assert_allclose(values[0, -1], Y_AXIS.nodes, atol=1e-12)
    np.testing.assert_allclose(values[1, :, 0], 1 + X_AXIS.nodes, atol=1e-12)
    np.testing.assert_allclose(values[1, -1], 2, atol=1e-12)
    assert np.ptp(values[1, 0]) > 1e-3  # free there


def test_equal_conditions_of_all_components_are_one() -> None:
    problem = elasticity([U[0].on("boundary") == 0, U[1].on("boundary") == 0])
    (condition,) = problem.conditions
    assert condition.component is None


@pytest.mark.parametrize("coarse", [True, False])
def test_rigid_rotations_are_refused(coarse: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A brick between two smooth plates that may still turn about one edge: both other components are held there.

    On coarse meshes before anything is assembled, or by candidate motions where even those are too large.
    """
    if not coarse:
        monkeypatch.setattr("inntd.problems.determined._MOST", 0)
    x, y, z = (it.Axis(name, 0, 1, elements=4, s=1) for name in "xyz")
    u = it.unknown("u", C3, x, y, z)
    held = [u[0].on(x) == 0, u[1].on(z.start) == 0]
    turning = [*held, u[2].on(y.start) == 0]
    with pytest.raises(ValueError, match=r"not see the motion with .* z in u\[1\], .* y in u\[2\]"):
        it.solve(it.Problem(strong=-it.div(stress(u)) - [1, 0, 0], conditions=turning))
    firm = it.Problem(strong=-it.div(stress(u)) - [1, 0, 0], conditions=[*held, u[2].on(z.start) == 0])
    assert it.solve(firm, rank=6).model.norm() > 0


def test_reaction_and_springs_hold_a_body() -> None:
    """What acts on the values themselves leaves no motion free, prescribed values or not."""
    soft = it.Problem(strong=-it.div(stress(U)) + U - [1, X])
    springs = it.Problem(strong=-it.div(stress(U)) - [1, X], conditions=[U.flux(X_AXIS.end) == -3 * U])
    for problem in (soft, springs):
        answer = it.solve(problem, tolerance=1e-8)
        expected = solved_densely(problem)
        np.testing.assert_allclose(nodal(problem, answer.model), expected, atol=1e-6 * np.abs(expected).max())


@pytest.mark.parametrize("coarse", [True, False])
def test_rigid_translations_are_refused(coarse: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not coarse:
        monkeypatch.setattr("inntd.problems.determined._MOST", 0)
    with pytest.raises(ValueError, match=r"any constant may be added to u\[1\].*prescribe u\[1\] on a face"):
        it.solve(elasticity([U[0].on("boundary") == 0]))


# ------------------------------------------------------------------------------------------------ several unknowns


def coupled(elements: int = 8) -> tuple[it.Problem, list[sympy.Expr]]:
    """A reaction-diffusion system of two scalars with a known solution."""
    x, y = it.Axis("x", 0, 1, elements=elements), it.Axis("y", 0, 2, elements=elements)
    a, b = it.unknown("a", x, y), it.unknown("b", x, y)
    exact = [sin(pi * X) * Y * (2 - Y), X * exp(-Y)]

    def first(a: Any, b: Any) -> Any:
        return -it.laplacian(a) + 2 * b

    def second(a: Any, b: Any) -> Any:
        return -3 * it.laplacian(b) + it.dot([1, X], it.grad(b)) - X * a

    return it.Problem(
        strong=[first(a, b) - first(*exact), second(a, b) - second(*exact)],
        conditions=[a.on("boundary") == 0, b.on("boundary") == exact[1]],
        exact=exact,
    ), exact


def test_several_unknowns_are_components_of_one_model() -> None:
    problem, exact = coupled()
    assert [unknown.name for unknown in problem.unknowns] == ["a", "b"]
    assert [axis.name for axis in problem.axes] == ["component", "x", "y"]
    assert problem.component == 0
    answer = it.solve(problem, tolerance=1e-8)
    np.testing.assert_allclose(nodal(problem, answer.model), solved_densely(problem), atol=1e-6)
    points = np.random.default_rng(0).random((50, 2)) * [1, 2]
    for name, expected in zip(("a", "b"), exact, strict=True):
        field = answer.fields[name]
        assert [axis.name for axis in field.axes] == ["x", "y"]
        values = sympy.lambdify([X, Y], expected)(*points.T)
        np.testing.assert_allclose(field(points).detach(), values, atol=2e-4)


def test_the_single_unknown_is_a_field_too() -> None:
    problem = elasticity([U.on("boundary") == 0])
    answer = it.solve(problem, rank=2)
    assert answer.fields["u"] is answer.model
    assert answer.model.metadata["components"] == ["u[0]", "u[1]"]


def test_sums_of_vectors_begin_with_zero() -> None:
    total = sum(k * it.grad(U) for k in (X, Y, 2))
    assert str(total) == "x*grad(u) + y*grad(u) + 2*grad(u)"


def test_test_functions_belong_to_unknowns_in_the_order_of_declaration() -> None:
    problem, _ = coupled()
    a, b = (it.unknown(name, *problem.axes[1:]) for name in "ab")
    v, w = it.test_function("v"), it.test_function("w")
    weak = it.dot(it.grad(b), 3 * it.grad(w)) + it.dot([1, X], it.grad(b)) * w - X * a * w
    weak += it.dot(it.grad(a), it.grad(v)) + 2 * b * v
    same = it.Problem(weak=weak, conditions=[a.on("boundary") == 0, b.on("boundary") == 0])
    assert set(same.operator) == set(problem.operator)


def test_a_vector_and_a_scalar_over_the_same_axes() -> None:
    """Flow with a pressure: three components, the velocity's natural condition includes the pressure."""
    x, y = it.Axis("x", 0, 1, elements=6), it.Axis("y", 0, 2, elements=6)
    u, p = it.unknown("u", x, C2, y), it.unknown("p", x, y)
    v, q = it.test_function("v"), it.test_function("q")
    bump = it.indicator(X > 0.4)  # puts a break into the axis
    flow = 2 * it.sym(it.grad(u)) - p * it.identity()
    conditions = [u.on("boundary") == [Y, 0], p.on("boundary") == X]
    strong = it.Problem(strong=[-it.div(flow) - [bump, X], it.div(u) + p], conditions=conditions)
    weak = it.Problem(
        weak=it.inner(flow, it.sym(it.grad(v))) - it.dot([bump, X], v) + it.div(u) * q + p * q, conditions=conditions
    )
    assert set(strong.operator) == set(weak.operator)
    assert {term.forms[0].place for term in strong.load} == {0, 1}
    assert strong.setting.names() == ["u[0]", "u[1]", "p"]
    answer = it.solve(strong, tolerance=1e-7)
    dense_values = solved_densely(strong)
    scale = np.abs(dense_values).max()
    np.testing.assert_allclose(nodal(strong, answer.model), dense_values, atol=1e-4 * scale)
    velocity = answer.fields["u"]
    assert [axis.name for axis in velocity.axes] == ["x", "c", "y"]
    point = {"x": 0.3, "y": 1.1}
    assert velocity.at({**point, "c": 0}) == pytest.approx(answer.model.at({**point, "component": 0}), rel=1e-12)
    assert answer.fields["p"].at(point) == pytest.approx(answer.model.at({**point, "component": 2}), rel=1e-12)


# ------------------------------------------------------------------------ first-order terms, parameters everywhere


def test_parameters_in_operator_source_boundary_and_initial_data() -> None:
    """Convection, diffusion and reaction over time: five different matrices on one axis."""
    x, y = it.Axis("x", 0, 1, elements=12), it.Axis("y", 0, 1, elements=12)
    k, t = it.Axis("k", 1, 2, elements=6, kind="parameter"), it.Axis("t", 0, 1, elements=10, kind="time")
    u = it.unknown("u", x, y, k, t)
    exact = exp(-T / 2) * sin(X + K_) * (1 + Y**2) + K_ * X * Y

    def left(w: Any) -> Any:
        diffusion = it.div((1 + X * k) * it.grad(w))
        return it.dt(w) - diffusion + it.dot([k, Y], it.grad(w)) + exp(X) * w

    problem = it.Problem(
        strong=left(u) - left(exact),
        conditions=[u.on(x, y.end) == exact, u.at(t=0) == exact.subs(T, 0), u.on(y.start) == exact],
        exact=exact,
    )
    assert len({term.forms[0] for term in problem.operator}) >= 5
    answer = it.solve(problem, tolerance=1e-8)
    assert answer.model.error(problem.exact) < 1e-6


def test_a_boundary_value_and_an_initial_value_that_depend_on_a_parameter_are_kept_exactly() -> None:
    x = it.Axis("x", 0, 1, elements=8)
    k, t = it.Axis("k", 1, 2, elements=6, kind="parameter"), it.Axis("t", 0, 1, elements=8, kind="time")
    u = it.unknown("u", x, k, t)
    problem = it.Problem(
        strong=it.dt(u) - k * it.laplacian(u),
        conditions=[u.on(x.start) == k * (1 + t), u.at(t=0) == k * exp(X), u.on(x.end) == k * exp(1) + t],
    )
    model = it.solve(problem, tolerance=1e-6).model
    kk, xx, tt = k.nodes, x.nodes, t.nodes
    np.testing.assert_allclose(model.grid(x=0.0, k=kk, t=tt), kk[:, None] * (1 + tt), atol=1e-12)
    np.testing.assert_allclose(model.grid(x=xx, k=kk, t=0.0), kk * np.exp(xx[:, None]), atol=1e-12)


# -------------------------------------------------------------------------------------------------------- describe


def test_the_description_of_a_vector_problem_tells_everything() -> None:
    problem = it.Problem(
        strong=-it.div(stress(U)) - [1, X],
        conditions=[U.on(X_AXIS.start) == [Y / 2, Y], U[0].on(Y_AXIS.end) == 1, U.flux(X_AXIS.end) == [2, -3 * U[1]]],
    )
    text = problem.describe()
    for part in (
        "u(c, x, y)",
        "c: component, 2 discrete values",
        "strong form -(1, x) - div(2*sym(grad(u)) + 2*tr(sym(grad(u)))*identity()) = 0",
        "2*inner(sym(grad(u)), grad(v)) - 2*on(x.end, v[0]) + 3*on(x.end, u[1]*v[1]) + 2*tr(sym(grad(u)))*div(v)",
        "4 u[0]_x v[0]_x",
        "3 u[1] v[1] on x.end",
        "2 v[0] on x.end",
        "1 (x) v[1]",
        "u = (y/2, y) on x.start",
        "u[0] = 1 on y.end",
        "flux of u = (2, -3*u[1]) on x.end",
        "u[0] natural on y.start",
        "u[1] natural on y.start, y.end",
    ):
        assert part in text, text
    assert "a, b" in repr(coupled(4)[0])
    assert "unknowns    a(x, y)" in coupled(4)[0].describe()
