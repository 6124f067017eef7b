"""The PINN mode against independent solutions, its orders of convergence, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import sympy
from scipy.integrate import solve_ivp
from sympy import cos, exp, pi, sin

import inntd as it
from inntd.pinn.discretisation import Discretisation

Array = np.ndarray[Any, np.dtype[np.float64]]


def error(model: Any, exact: sympy.Expr, count: int = 41) -> float:
    """Return the relative error on a grid that shares nothing with the model's."""
    vectors = {axis.name: np.linspace(*axis.domain, count + 3 * d) for d, axis in enumerate(model.axes)}
    found = model.grid(vectors).numpy()
    mesh = np.meshgrid(*vectors.values(), indexing="ij")
    values = sympy.lambdify([axis._sympy_() for axis in model.axes], exact)(*mesh)
    return float(np.linalg.norm(found - values) / np.linalg.norm(values))


def time(elements: int, stop: float = 1.0, **options: Any) -> it.Axis:
    return it.Axis("t", 0, stop, elements=elements, kind="time", **options)


def test_a_pendulum_swings_as_by_runge_kutta() -> None:
    t = time(120, 10.0)
    u = it.unknown("u", t)
    problem = it.Problem(strong=it.dt(it.dt(u)) + sin(u), conditions=[u.at(t=0) == 2, it.dt(u).at(t=0) == 0])
    answer = it.pinn.solve(problem)
    places = np.linspace(0, 10, 101)
    oracle = solve_ivp(lambda _, y: [y[1], -np.sin(y[0])], (0, 10), [2, 0], t_eval=places, rtol=1e-11, atol=1e-12)
    difference = answer.model.grid(t=places).numpy() - oracle.y[0]
    assert answer.converged
    assert np.linalg.norm(difference) / np.linalg.norm(oracle.y[0]) < 1e-6
    assert np.linalg.norm(difference) / np.linalg.norm(oracle.y[0]) < answer.error_estimate.total < 1e-3


def test_predator_and_prey_are_two_unknowns() -> None:
    t = time(100, 8.0)
    a, b = it.unknown("a", t), it.unknown("b", t)
    problem = it.Problem(
        strong=[it.dt(a) - a + a * b, it.dt(b) + b - a * b], conditions=[a.at(t=0) == 2, b.at(t=0) == 1]
    )
    answer = it.pinn.solve(problem, start=lambda t: np.stack([1 + 0 * t, 1 + 0 * t]))
    places = np.linspace(0, 8, 81)
    oracle = solve_ivp(
        lambda _, y: [y[0] - y[0] * y[1], y[0] * y[1] - y[1]], (0, 8), [2, 1], t_eval=places, rtol=1e-11, atol=1e-12
    )
    for k, name in enumerate("ab"):
        assert answer.fields[name].grid(t=places).numpy() == pytest.approx(oracle.y[k], rel=1e-5)


def heat(elements: int, s: int) -> tuple[it.Problem, sympy.Expr]:
    """A nonlinear heat equation with a manufactured solution."""
    x, t = it.Axis("x", 0, 1, elements=elements, s=s), time(elements, s=s)
    u = it.unknown("u", x, t)
    exact = 1 + exp(-t) * sin(pi * x) + x * t
    flow = it.div((1 + u**2) * it.grad(u)) - it.dt(u)
    source = sympy.diff((1 + exact**2) * sympy.diff(exact, x), x) - sympy.diff(exact, t)
    conditions = [u.on(x) == exact, u.at(t=0) == exact.subs(t._sympy_(), 0)]
    return it.Problem(strong=flow - source, conditions=conditions), exact


@pytest.mark.parametrize(("s", "order"), [(2, 3.5), (3, 5.5)])
def test_errors_fall_with_the_order_of_the_basis(s: int, order: float) -> None:
    errors = []
    for elements in (12, 24):
        problem, exact = heat(elements, s)
        answer = it.pinn.solve(problem)
        errors.append(error(answer.model, exact))
        assert answer.converged
        assert errors[-1] < answer.error_estimate.total
    assert np.log2(errors[0] / errors[1]) > order


def test_the_weak_form_is_more_accurate_on_the_same_nodes() -> None:
    errors = {}
    for optimizer in ("gauss_newton", "galerkin"):
        for elements in (8, 16):
            problem, exact = heat(elements, 2)
            answer = it.pinn.solve(problem, optimizer=optimizer, estimate=False)
            assert answer.converged
            errors[optimizer, elements] = error(answer.model, exact)
    assert all(errors["galerkin", n] < errors["gauss_newton", n] for n in (8, 16))
    assert np.log2(errors["galerkin", 8] / errors["galerkin", 16]) > 4


def test_weak_forms_have_no_flux_where_nothing_is_said() -> None:
    x = it.Axis("x", 0, 1, elements=16)
    u = it.unknown("u", x)
    exact = 1 + x**2 * (3 - 2 * x)  # no slope at either end
    source = exact**3 - 6 + 12 * x
    problem = it.Problem(strong=-it.laplacian(u) + u**3 - source)
    answer = it.pinn.solve(problem, optimizer="galerkin", start=lambda x: 1 + 0 * x)
    assert error(answer.model, exact) < 1e-10
    singular = it.pinn.solve(problem, optimizer="galerkin")  # at zero u³ has no slope, and constants are free
    assert (singular.status, "start=" in singular.message) == ("stagnated", True)
    slope = it.Problem(strong=-it.laplacian(u) + u**3, conditions=[u.on(x.start) == 1, it.diff(u, x).on(x.end) == 0])
    with pytest.raises(ValueError, match="cannot be given in weak form; use optimizer='gauss_newton'"):
        it.pinn.solve(slope, optimizer="galerkin")


def test_weak_forms_of_several_unknowns_with_breaks() -> None:
    """Two species that react, across a break at which patches stop."""
    x = it.Axis("x", 0, 1, elements=24, breaks=[0.5])
    u, w = it.unknown("u", x), it.unknown("w", x)
    first, second = 1 + sin(pi * x), 2 - x**2
    sources = [sympy.diff(f, x, 2) + (-1) ** k * first * second for k, f in enumerate((first, second))]
    problem = it.Problem(
        strong=[it.laplacian(u) + u * w - sources[0], it.laplacian(w) - u * w - sources[1]],
        conditions=[u.on(x) == 1, w.on(x) == second],
    )
    answer = it.pinn.solve(problem, optimizer="galerkin")
    assert error(answer.fields["u"], first) < 1e-8
    assert error(answer.fields["w"], second) < 1e-8


def many(count: int, power: int = 2) -> tuple[it.Problem, sympy.Expr, list[it.Axis]]:
    """−∇·((1+u²)∇u) = f with two terms."""
    axes = [it.Axis(f"x{i}", 0, 1, elements=10) for i in range(count)]
    u = it.unknown("u", *axes)
    one, two = (sympy.prod([sin((1 + k * (i % 2)) * pi * x) for i, x in enumerate(axes)]) for k in (0, 1))
    exact = one + two / 2
    source = -sum(sympy.diff((1 + exact**power) * sympy.diff(exact, x), x) for x in axes)
    strong = -it.div((1 + u**power) * it.grad(u)) - source
    return it.Problem(strong=strong, conditions=[u.on("boundary") == 0]), exact, axes


def test_four_axes_are_solved_by_factors() -> None:
    problem, exact, axes = many(4)
    answer = it.pinn.solve(problem)
    points = np.random.default_rng(0).random((500, 4))
    values = sympy.lambdify([axis._sympy_() for axis in axes], exact)(*points.T)
    difference = float(np.linalg.norm(answer.model(points).numpy() - values) / np.linalg.norm(values))
    assert (answer.status, answer.model.rank) == ("converged", 2)
    assert difference < 1e-4
    assert difference < answer.error_estimate.total < 1e-2
    assert "alternating" in answer.notes[0]
    assert it.pinn.solve(problem, rank=1, steps=3, estimate=False).status in ("max_rank", "stagnated")


def test_waves_start_with_a_given_speed() -> None:
    x, t = it.Axis("x", 0, 1, elements=16), time(24)
    u = it.unknown("u", x, t)
    conditions = [u.on(x) == 0, u.at(t=0) == 0, it.diff(u, t).at(t=0) == pi * sin(pi * x)]
    problem = it.Problem(strong=it.dt(it.dt(u)) - it.laplacian(u), conditions=conditions)
    answer = it.pinn.solve(problem, tolerance=1e-13)
    assert error(answer.model, sin(pi * x) * sin(pi * t)) < 1e-6
    places = x.nodes
    points = np.stack([places, np.zeros(len(places))], axis=1)
    slopes = answer.model.jet(points)[1][:, 1].numpy()  # exact at the nodes, not in the mean
    assert slopes == pytest.approx(np.pi * np.sin(np.pi * places), abs=1e-10)


def test_rings_have_no_ends() -> None:
    x, t = it.Axis("x", 0, 2, elements=20, periodic=True), time(20)
    u = it.unknown("u", x, t)
    problem = it.Problem(strong=it.dt(u) + it.diff(u, x), conditions=[u.at(t=0) == sin(pi * x)])
    assert error(it.pinn.solve(problem).model, sin(pi * (x - t))) < 1e-6


def test_no_flux_is_a_condition_on_the_slope() -> None:
    x = it.Axis("x", 0, 1, elements=20)
    u = it.unknown("u", x)
    problem = it.Problem(strong=it.laplacian(u) + 2, conditions=[u.on(x.start) == 0, it.diff(u, x).on(x.end) == 0])
    assert error(it.pinn.solve(problem).model, 2 * x - x**2) < 1e-10


def test_a_mixed_system_of_first_order() -> None:
    """u_xx = f as q = u_x, q_x = f: also on axes with linear functions' continuity only."""
    x = it.Axis("x", 0, 1, elements=24, breaks=[0.5])
    u, q = it.unknown("u", x), it.unknown("q", x)
    strong = [it.diff(q, x) + pi**2 * sin(pi * x), q - it.diff(u, x)]  # in the order of the unknowns
    answer = it.pinn.solve(it.Problem(strong=strong, conditions=[u.on(x) == 0]))
    assert error(answer.fields["u"], sin(pi * x)) < 1e-7


def test_vectors_and_three_axes() -> None:
    """A rotating, decaying vector field."""
    c = it.Axis.discrete("c", 2)
    x, y, t = it.Axis("x", 0, 1, elements=6, s=2), it.Axis("y", 0, 1, elements=6, s=2), time(6, s=2)
    u = it.unknown("u", c, x, y, t)
    exact = [exp(-t) * sin(x + y), exp(-t) * cos(x - y)]
    strong = it.dt(u) - it.laplacian(u) - u
    conditions = [u.on(x, y) == exact, u.at(t=0) == [part.subs(t._sympy_(), 0) for part in exact]]
    answer = it.pinn.solve(it.Problem(strong=strong, conditions=conditions), estimate=False)
    for k, part in enumerate(exact):
        assert error(answer.model.at(c=k), part, 11) < 2e-4


def burgers(x: it.Axis, t: it.Axis, *more: it.Axis, nu: Any = 0.02) -> it.Problem:
    u = it.unknown("u", x, t, *more)
    strong = it.dt(u) + u * it.diff(u, x) - nu * it.diff(u, x, 2)
    return it.Problem(strong=strong, conditions=[u.on(x) == 0, u.at(t=0) == -sin(pi * x)])


def cole_hopf(x: Array, t: Array, nu: float) -> Array:
    """Burgers' equation is a heat equation in disguise; by Gauss-Hermite quadrature."""
    nodes, weights = np.polynomial.hermite.hermgauss(120)
    places = x[:, None, None] - np.sqrt(4 * nu * t)[None, :, None] * nodes
    exponent = -np.cos(np.pi * places) / (2 * np.pi * nu)
    kernel = np.exp(exponent - exponent.max(axis=-1, keepdims=True)) * weights
    return -(np.sin(np.pi * places) * kernel).sum(-1) / kernel.sum(-1)


def burgers_error(model: Any, nu: float) -> float:
    x, t = np.linspace(-1, 1, 101), np.linspace(0, 1, 21)[1:]
    exact = cole_hopf(x, t, nu)
    return float(np.linalg.norm(model.grid(x=x, t=t).numpy() - exact) / np.linalg.norm(exact))


def test_meshes_follow_the_shock() -> None:
    axes = it.Axis("x", -1, 1, elements=40), time(20)
    fixed = it.pinn.solve(burgers(*axes), estimate=False)
    moved = it.pinn.solve(burgers(*axes), adapt=True)
    errors = [burgers_error(answer.model, 0.02) for answer in (fixed, moved)]
    assert errors[1] < errors[0] / 10
    assert errors[1] < moved.error_estimate.total
    assert len([note for note in moved.notes if "mesh" in note]) == 3


def test_slabs_and_all_of_time_at_once_agree() -> None:
    axes = it.Axis("x", -1, 1, elements=40), time(24)
    whole = it.pinn.solve(burgers(*axes, nu=0.1), estimate=False)
    slabs = it.pinn.solve(burgers(*axes, nu=0.1), estimate=False, slabs=3)
    assert max(burgers_error(answer.model, 0.1) for answer in (whole, slabs)) < 1e-5
    assert slabs.model.axes[1].breaks == pytest.approx((1 / 3, 2 / 3))


def test_slabs_hand_over_the_speed_of_waves() -> None:
    t = time(60)
    u = it.unknown("u", t)
    problem = it.Problem(strong=it.dt(it.dt(u)) + 400 * u, conditions=[u.at(t=0) == 1, it.dt(u).at(t=0) == 0])
    assert error(it.pinn.solve(problem, slabs=4, estimate=False).model, cos(20 * t), 201) < 1e-3


def test_parameters_are_solved_node_by_node() -> None:
    x, t = it.Axis("x", -1, 1, elements=24), time(16)
    nu = it.Axis("nu", 0.1, 0.2, elements=3, kind="parameter", s=1)
    answer = it.pinn.solve(burgers(x, t, nu, nu=nu))
    assert answer.converged
    assert isinstance(answer.model, it.TuckerModel)
    for value in nu.nodes[[0, 3]]:
        alone = it.pinn.solve(burgers(x, t, nu=float(value)), estimate=False).model
        together = answer.model.at(nu=float(value))
        assert burgers_error(together, value) == pytest.approx(burgers_error(alone, value), rel=1e-2)
    assert answer.error_estimate.by_axis.keys() == {"x", "t", "nu"}


def test_a_start_saves_steps_and_ctrl_c_keeps_the_best(monkeypatch: pytest.MonkeyPatch) -> None:
    axes = it.Axis("x", -1, 1, elements=16), time(12)
    problem = burgers(*axes, nu=0.1)
    first = it.pinn.solve(problem, estimate=False)
    again = it.pinn.solve(problem, start=first.model, estimate=False)
    assert len(again.history) < len(first.history)
    step, calls = Discretisation.step, []

    def interrupted(self: Discretisation, values: Array) -> Array:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return step(self, values)

    monkeypatch.setattr(Discretisation, "step", interrupted)
    stopped = it.pinn.solve(problem)
    assert stopped.status == "interrupted"
    assert "after 2 steps" in stopped.message
    assert burgers_error(stopped.model, 0.1) < 1.0


X, T = it.Axis("x", 0, 1, elements=10), time(10)
U = it.unknown("u", X, T)
HEAT = it.dt(U) - it.laplacian(U)
INITIAL = U.at(t=0) == 0
REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "third order": (
        lambda: it.pinn.solve(it.Problem(strong=it.dt(U) + U**2 + it.diff(U, X, 3), conditions=[INITIAL])),
        r"diff\(u, x, 3\) is of order 3, and the basis carries order 2: make an unknown of a lower derivative",
    ),
    "weak form": (
        lambda: it.pinn.solve(
            it.Problem(weak=it.test_function() * (it.dt(U) + U), conditions=[INITIAL]),
        ),
        "must be stated in strong form",
    ),
    "no condition at one end": (
        lambda: it.pinn.solve(it.Problem(strong=HEAT, conditions=[INITIAL, U.on(X.start) == 0])),
        r"order 2 in x, which takes 2 conditions on u, got 1; .* add u.on\(x.end\) == value or diff\(u, x\).on",
    ),
    "no speed at the start": (
        lambda: it.pinn.solve(it.Problem(strong=it.dt(it.dt(U)) + U**3, conditions=[INITIAL])),
        r"order 2 in t, which takes 2 conditions on u, got 1; .* add diff\(u, t\).at\(t=0\) == value",
    ),
    "flux": (
        lambda: it.pinn.solve(it.Problem(strong=HEAT, conditions=[INITIAL, U.flux(X) == 0])),
        r"for the strong form give the slope, diff\(u, x\).on",
    ),
    "logarithm of zero": (
        lambda: it.pinn.solve(
            it.Problem(strong=HEAT + sympy.log(U._sympy_()), conditions=[U.on(X) == 0, INITIAL]),
        ),
        r"not finite at the start: equation 0 at x=.*, t=.* \(.* residuals\); give a start",
    ),
    "breaks": (
        lambda: it.pinn.solve(it.Problem(strong=it.laplacian(V) + V**2, conditions=[V.on(B) == 0])),
        "the axis b has breaks, where second derivatives are infinite",
    ),
    "slabs without time": (
        lambda: it.pinn.solve(it.Problem(strong=it.diff(W, X) + W**2, conditions=[W.on(X.start) == 1]), slabs=2),
        "slabs must be 1 without a time axis",
    ),
    "too many slabs": (
        lambda: it.pinn.solve(it.Problem(strong=HEAT + U**2, conditions=[INITIAL, U.on(X) == 0]), slabs=2),
        "slabs must leave 7 elements of t for each, got 2 slabs of 10 elements",
    ),
    "start of another shape": (
        lambda: it.pinn.solve(
            it.Problem(strong=HEAT + U**2, conditions=[INITIAL, U.on(X) == 0]), start=lambda x, t: np.zeros(3)
        ),
        "start must give values of shape",
    ),
    "many axes, values": (
        lambda: it.pinn.solve(it.Problem(strong=HEAT + U**2, conditions=[U.on(X) == 1, U.at(t=0) == 1]), **FACTORS),
        "takes zero values on faces only, got another condition on x.start",
    ),
    "many axes, slabs": (
        lambda: it.pinn.solve(it.Problem(strong=HEAT + U**2, conditions=[U.on(X) == 0, INITIAL]), slabs=2, **FACTORS),
        "not for optimizer 'alternating'",
    ),
    "optimizer": (
        lambda: it.pinn.solve(it.Problem(strong=HEAT + U**2, conditions=[INITIAL, U.on(X) == 0]), optimizer="sgd"),
        "optimizer must be one of",
    ),
}
FACTORS: dict[str, Any] = {"optimizer": "alternating"}
B = it.Axis("b", 0, 1, elements=20, breaks=[0.5])
V = it.unknown("v", B)
W = it.unknown("w", X)


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_solved_is_refused_with_a_remedy(name: str) -> None:
    make, message = REFUSED[name]
    with pytest.raises(ValueError, match=message):
        make()
