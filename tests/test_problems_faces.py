"""Face integrals: Neumann and Robin conditions in weak and strong forms, against calculus and closed solutions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import sympy
from sympy import cos, exp, sin

import inntd as it
from inntd.problems.separate import AxisForm, LoadForm
from inntd.solvers.operator import assemble

X_AXIS, Y_AXIS = it.Axis("x", 0, 1, elements=16), it.Axis("y", -1, 1, elements=16)
K_AXIS = it.Axis("k", 1, 3, elements=20, kind="parameter")
T_AXIS = it.Axis("t", 0, 1, elements=8, kind="time")
P_AXIS = it.Axis("p", 0, 1, elements=12, periodic=True)
C_AXIS = it.Axis.discrete("c", 2)
X, Y, K = (axis._sympy_() for axis in (X_AXIS, Y_AXIS, K_AXIS))
U, V = it.unknown("u", X_AXIS, Y_AXIS), it.test_function()
W = it.unknown("w", C_AXIS, X_AXIS, Y_AXIS)
A = it.dot(it.grad(U), it.grad(V))


def error(problem: it.Problem, exact: sympy.Expr, tolerance: float = 1e-9) -> float:
    answer = it.solve(problem, tolerance=tolerance)
    rng = np.random.default_rng(0)
    bounds = np.array([axis.domain for axis in problem.axes])
    points = bounds[:, 0] + (bounds[:, 1] - bounds[:, 0]) * rng.random((200, len(bounds)))
    function = sympy.lambdify([axis._sympy_() for axis in problem.axes], exact)
    values = function(*points.T)
    return float(np.abs(np.asarray(answer.model(points).detach()) - values).max() / np.abs(values).max())


EXACT = sin(X + 1) * exp(Y / 2) + X


def source(k: sympy.Expr) -> sympy.Expr:
    return -(k * EXACT.diff(X)).diff(X) - (k * EXACT.diff(Y)).diff(Y)


def test_a_given_flux_in_a_weak_form() -> None:
    k = 2 + X * Y
    g = (k * EXACT.diff(X)).subs(X, 1)
    problem = it.Problem(
        weak=k * A - source(k) * V - it.on(X_AXIS.end, g * V),
        conditions=[U.on(X_AXIS.start, Y_AXIS) == EXACT],
    )
    assert error(problem, EXACT) < 1e-7
    text = problem.describe()
    assert "on(x.end" in text
    assert "v on x.end" in text
    assert "natural" not in text


@pytest.mark.parametrize("sign", [-1, 1])
def test_flux_conditions_mean_k_du_dn_whichever_sign_the_equation_has(sign: int) -> None:
    k = 2 + X
    problem = it.Problem(
        strong=sign * (it.div(k * it.grad(U)) + source(k)),
        conditions=[
            U.on(X_AXIS.start, Y_AXIS.start) == EXACT,
            U.flux(X_AXIS.end) == (k * EXACT.diff(X)).subs(X, 1),
            U.flux(Y_AXIS.end) == (k * EXACT.diff(Y)).subs(Y, 1),
        ],
    )
    assert error(problem, EXACT) < 1e-7
    assert "flux of u = " in problem.describe()
    assert "natural" not in problem.describe()


def test_robin_conditions_in_strong_and_weak_form_are_the_same_terms() -> None:
    h, outside = 3 + Y, 20
    strong = it.Problem(
        strong=-it.laplacian(U) - X,
        conditions=[U.on(X_AXIS.start) == 0, U.flux(X_AXIS.end, Y_AXIS.start) == h * (outside - U)],
    )
    weak = it.Problem(
        weak=A - X * V + it.on(X_AXIS.end, Y_AXIS.start, h * (U - outside) * V),
        conditions=[U.on(X_AXIS.start) == 0],
    )
    assert set(strong.operator) == set(weak.operator)
    assert set(strong.load) == set(weak.load)
    places = {term.forms[1].place for term in strong.operator} | {term.forms[0].place for term in strong.operator}
    assert places == {None, "end", "start"}


def test_robin_conditions_are_fulfilled() -> None:
    """A rod with exchange of heat at one end, for every heat transfer coefficient at once: -u'' = 0, u(0) = 1."""
    u = it.unknown("u", X_AXIS, K_AXIS)
    problem = it.Problem(
        strong=-it.laplacian(u), conditions=[u.on(X_AXIS.start) == 1, u.flux(X_AXIS.end) == K_AXIS * (3 - u)]
    )
    exact = 1 + 2 * K * X / (1 + K)
    assert error(problem, exact, 1e-10) < 1e-7


def test_the_whole_boundary_and_coefficients_at_the_face() -> None:
    """∮ (x + y) v with v = 1 over all four faces of the box, through the assembled vectors."""
    problem = it.Problem(weak=U * V - it.on("boundary", (X + Y**2) * V))
    system = assemble(problem)
    total = 0.0
    for sign, log, places in zip(system.load_signs, system.load_logs, system.load_terms, strict=True):
        total += sign * np.exp(log) * np.prod([v[:, j].sum() for v, j in zip(system.vectors, places, strict=True)])
    assert total == pytest.approx(2 / 3 + (2 / 3 + 2) + 2 * 1.5)


def test_the_forms_of_a_face() -> None:
    problem = it.Problem(weak=A + it.on(X_AXIS.end, X * U * it.diff(V, Y_AXIS)) - X_AXIS * it.on(Y_AXIS.start, Y * V))
    assert (AxisForm(place="end"), AxisForm(0, 1)) in {term.forms for term in problem.operator}
    (load,) = problem.load
    assert load.coefficient == -1  # y there
    assert load.forms[1] == LoadForm(place="start")


def test_weakly_imposed_values() -> None:
    """Nitsche's method: derivatives on faces are assembled, too."""
    n = 200
    boundary = it.on(X_AXIS.end, n * (U - EXACT) * V - it.diff(U, X_AXIS) * V - (U - EXACT) * it.diff(V, X_AXIS))
    problem = it.Problem(
        weak=A - source(sympy.S.One) * V + boundary, conditions=[U.on(X_AXIS.start, Y_AXIS.start, Y_AXIS.end) == EXACT]
    )
    assert error(problem, EXACT) < 1e-6


def test_initial_values_may_be_imposed_weakly() -> None:
    """Time begins at a face, too: (u - g) v there stands for the initial condition, as between slabs of time."""
    u = it.unknown("u", X_AXIS, T_AXIS)
    t = T_AXIS._sympy_()
    exact = exp(-t) * sin(X) + 1
    form = it.dt(u) * V + it.dot(it.grad(u), it.grad(V)) - it.on(X_AXIS.end, exp(-t) * cos(X) * V)
    start = it.on(T_AXIS.start, (u - exact) * V)
    problem = it.Problem(weak=form + start, conditions=[u.on(X_AXIS.start) == 1])
    assert error(problem, exact) < 1e-6


def test_tractions_on_an_elastic_body() -> None:
    exact = [X * cos(Y), X**2 + Y]

    def stress(w: Any) -> Any:
        strain = it.sym(it.grad(w))
        return 2 * it.tr(strain) * it.identity() + 2 * strain

    def by_hand(i: int, j: int) -> sympy.Expr:
        strain = (exact[i].diff((X, Y)[j]) + exact[j].diff((X, Y)[i])) / 2
        return 2 * strain + (2 * (exact[0].diff(X) + exact[1].diff(Y)) if i == j else 0)

    traction = [by_hand(i, 0).subs(X, 1) for i in (0, 1)]
    strong = it.Problem(
        strong=-it.div(stress(W)) + it.div(stress(exact)),
        conditions=[W.on(X_AXIS.start, Y_AXIS) == exact, W.flux(X_AXIS.end) == traction],
        exact=exact,
    )
    answer = it.solve(strong, rank=10)
    assert answer.model.error(strong.exact) < 1e-6
    weak = it.Problem(
        weak=it.inner(stress(W), it.sym(it.grad(V))) + it.dot(it.div(stress(exact)), V)
        - it.on(X_AXIS.end, it.dot(traction, V)),
        conditions=[W.on(X_AXIS.start, Y_AXIS) == exact],
    )  # fmt: skip
    assert set(strong.operator) == set(weak.operator)
    assert {term.forms for term in strong.load} == {term.forms for term in weak.load}


def test_springs_on_a_face_of_a_body() -> None:
    """A vector in the value of a flux: every component is held back by its own displacement."""
    equation = -it.div(it.grad(W)) - [1, X]
    springs = it.Problem(strong=equation, conditions=[W.on(X_AXIS.start) == 0, W.flux(X_AXIS.end) == -K_SPRING * W])
    single = it.Problem(
        strong=equation,
        conditions=[W.on(X_AXIS.start) == 0, *(W[i].flux(X_AXIS.end) == -K_SPRING * W[i] for i in (0, 1))],
    )
    assert set(springs.operator) == set(single.operator)
    assert sum(term.forms[1].place == "end" for term in springs.operator) == 2


K_SPRING = 7

REFUSALS: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "no integrand": (lambda: it.on(X_AXIS.end), TypeError, "on needs faces and an integrand"),
    "vector": (lambda: it.on(X_AXIS.end, it.grad(U)), TypeError, "the integrand of on must be a scalar"),
    "no face": (lambda: it.on(3, V), TypeError, "on takes faces such as x.end"),
    "parameter": (lambda: it.on(K_AXIS.end, V), ValueError, "k.end is no face of the body, since k is a parameter"),
    "periodic": (lambda: it.on(P_AXIS, V), ValueError, "p.start is no face, since the axis p is periodic"),
    "discrete": (lambda: it.on(C_AXIS.end, V), ValueError, "c.end is no face, since the axis c is discrete"),
    "foreign": (lambda: it.Problem(weak=A - it.on(T_AXIS.end, V)), ValueError, "t must be one of the axes"),
    "no test function": (lambda: it.Problem(weak=A + it.on(X_AXIS.end, 3)), ValueError, "linear in the test function"),
    "nested": (
        lambda: it.Problem(weak=A - it.on(X_AXIS.end, it.on(X_AXIS.end, V))),
        ValueError,
        "inside of another",
    ),
    "differentiated": (
        lambda: it.Problem(weak=A - it.diff(it.on(X_AXIS.end, V), Y_AXIS)),
        ValueError,
        "a face integral cannot be differentiated",
    ),
    "strong": (
        lambda: it.Problem(strong=it.laplacian(U) + it.on(X_AXIS.end, 1)),
        ValueError,
        r"use a condition .*flux",
    ),
    "flux in a weak form": (
        lambda: it.Problem(weak=A - V, conditions=[U.flux(X_AXIS.end) == 1]),
        ValueError,
        "flux of u = 1 on x.end is for strong forms; in a weak form add a term",
    ),
    "flux and value": (
        lambda: it.Problem(strong=it.laplacian(U), conditions=[U.on(X_AXIS) == 0, U.flux(X_AXIS.end) == 1]),
        ValueError,
        "on x.end both a flux and its value of u are prescribed",
    ),
    "two fluxes": (
        lambda: it.Problem(strong=it.laplacian(U), conditions=[U.flux(X_AXIS) == 0, U.flux(X_AXIS.end) == 1]),
        ValueError,
        "on x.end both a flux and another flux of u",
    ),
    "face term and value": (
        lambda: it.Problem(weak=A - it.on(X_AXIS.end, V), conditions=[U.on(X_AXIS.end) == 0]),
        ValueError,
        "on x.end it has a face term with v, but u is prescribed there",
    ),
    "flux without second order": (
        lambda: it.Problem(strong=it.diff(U, X_AXIS) + U - 1, conditions=[U.flux(X_AXIS.end) == 1]),
        ValueError,
        "no second derivative of u in x, so there is no flux through x.end",
    ),
    "flux without direction": (
        lambda: it.Problem(strong=it.div(Y * it.grad(U)), conditions=[U.flux(X_AXIS.end) == 1]),
        ValueError,
        "changes its sign on x.end",
    ),
    "flux in time": (lambda: it.unknown("u", X_AXIS, T_AXIS).flux(T_AXIS.end), ValueError, "t.end is no face"),
    "flux in a parameter": (lambda: it.unknown("u", K_AXIS).flux(K_AXIS), ValueError, "k.start is no face"),
    "nonlinear flux": (
        lambda: it.solve(it.Problem(strong=it.laplacian(U), conditions=[U.flux(X_AXIS.end) == -(U**4)])),
        ValueError,
        r"linear in the unknown u, got the term u\*\*4; nonlinear problems are for the PINN mode, inntd.pinn",
    ),
    "flux with a test function": (lambda: U.flux(X_AXIS.end) == V, ValueError, "must not contain test functions"),
    "flux list of a scalar": (lambda: U.flux(X_AXIS.end) == [1, 2], TypeError, r"got the list \[1, 2\]"),
    "flux list too short": (lambda: W.flux(X_AXIS.end) == [1], ValueError, "must have 2 components, got 1"),
    "vector flux of a scalar": (
        lambda: U.flux(X_AXIS.end) == it.grad(U),
        TypeError,
        "must be a scalar, got the vector",
    ),
    "another unknown": (
        lambda: it.Problem(strong=it.laplacian(U), conditions=[U.flux(X_AXIS.end) == it.unknown("q", X_AXIS)]),
        ValueError,
        "q is no unknown of this problem",
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_nonsense_on_faces_is_refused(name: str) -> None:
    make, kind, message = REFUSALS[name]
    with pytest.raises(kind, match=message):
        make()
