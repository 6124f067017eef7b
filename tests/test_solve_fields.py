"""Time axes and vector fields through the alternating solver, against dense solutions of the same systems."""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt
import pytest
from sympy import exp, sin, sympify

import inntd as it
from inntd.solvers.operator import DiscreteSystem, assemble

Array = npt.NDArray[np.float64]


def dense_solution(system: DiscreteSystem) -> Array:
    """Solve the Kronecker system on the free nodes; values fixed for single components are taken out."""
    kron = functools.partial(functools.reduce, np.kron)
    matrix = sum(
        c * kron([own[j].toarray()[f, f] for own, j, f in zip(system.matrices, places, system.free, strict=True)])
        for c, places in zip(system.coefficients, system.terms, strict=True)
    )
    load = sum(
        sign * np.exp(log) * kron([own[f, j] for own, j, f in zip(system.vectors, places, system.free, strict=True)])
        for sign, log, places in zip(system.load_signs, system.load_logs, system.load_terms, strict=True)
    )
    sizes = [f.stop - f.start for f in system.free]
    keep = np.ones(sizes, dtype=bool)
    for d, fixed in enumerate(system.fixed or []):
        if fixed is not None:
            marks = np.moveaxis(np.zeros(sizes, dtype=bool), (system.component, d), (-1, -2))
            marks |= fixed
            keep &= ~np.moveaxis(marks, (-1, -2), (system.component, d))
    solution = np.zeros(keep.size)
    rows = keep.ravel()
    solution[rows] = np.linalg.solve(matrix[np.ix_(rows, rows)], load[rows])
    return solution.reshape(sizes)


def nodal_values(model: it.CPModel, system: DiscreteSystem) -> Array:
    factors = [factor.detach().numpy()[free] for factor, free in zip(model.factors, system.free, strict=True)]
    letters = "abcdef"[: len(factors)]
    return np.einsum(",".join(f"{letter}z" for letter in letters) + "->" + letters, *factors)


def heat(*, moving: float) -> it.Problem:
    x = it.Axis("x", 0, 1, elements=24)
    t = it.Axis("t", 0, 0.2, elements=20, kind="time")
    u, v = it.unknown("u", x, t), it.test_function()
    source = exp(-20 * (x - 0.3 - moving * t) ** 2) * (1 + sin(9 * t) * x)
    weak = v * it.dt(u) + it.dot(it.grad(v), it.grad(u)) - v * source
    return it.Problem(weak=weak, conditions=[u.on(x) == 0, u.at(t=0) == 0])


@pytest.mark.parametrize("rank", [1, 2, 4, 14])
def test_few_modes_of_a_heat_problem_are_nearly_the_best_ones(rank: int) -> None:
    """The small matrices beside a time axis are not symmetric; half of them would give other modes altogether."""
    problem = heat(moving=0.0)
    system = assemble(problem)
    exact = dense_solution(system)
    singular = np.linalg.svd(exact, compute_uv=False)
    best = np.linalg.norm(singular[rank:]) / np.linalg.norm(singular)
    answer = it.solve(problem, rank=rank, method="alternating")
    error = np.linalg.norm(nodal_values(answer.model, system) - exact) / np.linalg.norm(exact)
    assert best * 0.99 < error < 1.5 * best + 1e-10
    assert answer.error_estimate.algebraic < 10 * error + 1e-11


@pytest.mark.parametrize("sides", ["all", "mixed"])
def test_elasticity_agrees_with_a_dense_solution(sides: str) -> None:
    """Conditions on single components: a plate on rollers, pulled by a body force."""
    c = it.Axis.discrete("c", 2)
    x, y = it.Axis("x", 0, 1, elements=9, s=2), it.Axis("y", 0, 2, elements=8, s=2)
    u, v = it.unknown("u", c, x, y), it.test_function()
    strain, virtual = it.sym(it.grad(u)), it.sym(it.grad(v))
    force = [exp(sympify(x)) * y, x * sin(3 * y)]
    rollers = [u[0].on(x.start) == 0, u[1].on(y.start, y.end) == 0]
    problem = it.Problem(
        weak=2 * it.inner(virtual, strain) + 0.7 * it.div(v) * it.div(u) - it.dot(v, force),
        conditions=[u.on("boundary") == 0] if sides == "all" else rollers,
    )
    system = assemble(problem)
    assert (system.fixed[1] is None) == (sides == "all")
    exact = dense_solution(system)
    answer = it.solve(problem, tolerance=1e-7)
    error = np.linalg.norm(nodal_values(answer.model, system) - exact) / np.linalg.norm(exact)
    assert answer.converged
    assert error < 1e-6
    each = answer.model.factors[0].detach().numpy() != 0
    assert (each.sum(axis=0) == 1).all(), "every mode belongs to one component"


def test_boundary_values_of_single_components_are_lifted() -> None:
    c = it.Axis.discrete("c", 2)
    x, y = it.Axis("x", 0, 1, elements=8, s=2), it.Axis("y", 0, 1, elements=8, s=2)
    u, v = it.unknown("u", c, x, y), it.test_function()
    problem = it.Problem(
        weak=it.inner(it.grad(v), it.grad(u)) + 0.3 * it.div(v) * it.div(u),
        conditions=[u[0].on(x.start) == 0, u[0].on(x.end) == sympify(y) ** 2, u[1].on(y) == 0],
    )
    answer = it.solve(problem, tolerance=1e-7)
    ends = answer.model.grid(c=[0], x=[1.0], y=[0.0, 0.37, 1.0]).numpy().ravel()
    np.testing.assert_allclose(ends, [0, 0.37**2, 1], atol=1e-12)
    assert abs(answer.model.grid(c=[1], x=[0.3], y=[0.0, 1.0]).numpy()).max() < 1e-12
    system = assemble(problem)
    lifted = it.CPModel.from_factors(system.axes, system.lifting.factors())
    exact = dense_solution(system) + nodal_values(lifted, system)
    assert np.linalg.norm(nodal_values(answer.model, system) - exact) < 1e-6 * np.linalg.norm(exact)


@pytest.mark.parametrize("method", ["auto", "alternating"])
def test_a_mixed_problem_whose_bases_do_not_fit_is_not_called_solved(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Velocity and pressure of equal order: pressures that no velocity sees, and a level that nothing fixes.

    Where coarse meshes are too large to show it, two runs from different starting values do.
    """
    x, y, c = it.Axis("x", 0, 1, elements=5, s=2), it.Axis("y", 0, 1, elements=5, s=2), it.Axis.discrete("c", 2)
    velocity, pressure = it.unknown("U", c, x, y), it.unknown("p", x, y)
    w, q = it.test_function("W"), it.test_function("q")
    weak = it.inner(it.grad(velocity), it.grad(w)) - pressure * it.div(w) - q * it.div(velocity) - w[0] * sympify(y)
    conditions = [velocity.on(x, y) == [0, 0]]
    with pytest.raises(ValueError, match=r"any constant may be added to p, .* bases of equal order for p"):
        it.Problem(weak=weak, conditions=conditions)
    monkeypatch.setattr("inntd.problems.determined._MOST", 0)
    answer = it.solve(it.Problem(weak=weak, conditions=conditions), method=method)  # type: ignore[arg-type]
    assert answer.status == "diverged"
    assert "singular or nearly so" in answer.message
    assert answer.error_estimate.algebraic > 1e-3


def test_a_mixed_problem_that_is_determined_is_solved() -> None:
    """Darcy's law: the pressure meets its own test function in no term, and all is well."""
    x, y = it.Axis("x", 0, 1, elements=6, s=2), it.Axis("y", 0, 1, elements=6, s=2)
    a, b, p = (it.unknown(name, x, y) for name in "abp")
    strong = [a + it.diff(p, x), b + it.diff(p, y), it.diff(a, x) + it.diff(b, y) - 1 - sympify(x)]
    problem = it.Problem(strong=strong, conditions=[p.on(x, y) == 0])
    answer = it.solve(problem)
    assert answer.status == "converged"
    system = assemble(problem)
    np.testing.assert_allclose(nodal_values(answer.model, system), dense_solution(system), atol=1e-6)
