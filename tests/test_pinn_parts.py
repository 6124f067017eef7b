"""The parts of the PINN mode: residuals and their derivatives, constraints, least squares, compression."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.linalg
import sympy
from hypothesis import given
from hypothesis import strategies as st

import inntd as it
from inntd.pinn.compress import compressed
from inntd.pinn.constraints import read_conditions
from inntd.pinn.discretisation import Discretisation
from inntd.pinn.least_squares import solve_by_rows, solve_normal
from inntd.pinn.ordering import order_nodes
from inntd.pinn.remesh import monitor, remeshed
from inntd.pinn.residual import Residual
from inntd.pinn.strong import Explicit
from inntd.pinn.tables import AxisPoints
from inntd.pinn.weighting import CausalWeight, MeshWeight
from inntd.problems.nodes import (
    Components,
    Divergence,
    Dot,
    Entry,
    Gradient,
    Inner,
    Symmetric,
    Trace,
    Transpose,
)

X, Y = it.Axis("x", 0, 1, elements=8), it.Axis("y", 0, 2, elements=9)
T = it.Axis("t", 0, 1, elements=8, kind="time")
C = it.Axis.discrete("c", 2)


def flow() -> it.Problem:
    """A nonlinear system: incompressible flow, with a coefficient that varies."""
    u, p = it.unknown("u", C, X, Y), it.unknown("p", X, Y)
    viscosity = 1 + X * Y
    momentum = it.dot(it.grad(u), u) + it.grad(p) - it.div(viscosity * 2 * it.sym(it.grad(u)))
    return it.Problem(strong=[momentum, it.div(u)], conditions=[u.on(X, Y) == [Y * X, 0]])


def test_operators_are_carried_out() -> None:
    """Against SymPy's own derivatives of given functions."""
    x, y = X._sympy_(), Y._sympy_()
    f = [sympy.sin(x) * y**2, sympy.exp(x * y)]
    explicit = Explicit((C, X, Y))
    vector = Components(*f)
    jacobian = [[part.diff(x), part.diff(y)] for part in f]
    assert explicit(Gradient(f[0])) == jacobian[0]
    assert explicit(Gradient(vector)) == jacobian
    assert explicit(Trace(Gradient(vector))) == explicit(Divergence(vector)) == jacobian[0][0] + jacobian[1][1]
    assert explicit(Symmetric(Gradient(vector)))[0][1] == (jacobian[0][1] + jacobian[1][0]) / 2
    assert explicit(Dot(Gradient(vector), vector))[1] == jacobian[1][0] * f[0] + jacobian[1][1] * f[1]
    assert explicit(Inner(vector, vector)) == f[0] ** 2 + f[1] ** 2
    assert explicit(Divergence(3 * Gradient(f[1]))) == 3 * f[1].diff(x, 2) + 3 * f[1].diff(y, 2)
    assert explicit(Entry(Transpose(Gradient(vector)), sympy.Integer(0))) == [jacobian[0][0], jacobian[1][0]]


def test_partial_derivatives_are_those_of_differences() -> None:
    residual = Residual(flow())
    random = np.random.default_rng(0)
    coordinates = [random.random(5), random.random(5)]
    values = [random.standard_normal(5) for _ in residual.derivatives]
    exact = residual.partial_derivatives(coordinates, values)
    assert exact.shape == (3, len(residual.derivatives), 5)
    for k in range(len(values)):
        steps = [residual.values(coordinates, [v + h * (i == k) for i, v in enumerate(values)]) for h in (1e-6, -1e-6)]
        assert exact[:, k] == pytest.approx((steps[0] - steps[1]) / 2e-6, abs=1e-8)
    assert not residual.linear


@pytest.mark.parametrize("periodic", [False, True])
def test_steps_solve_the_linearised_least_squares_problem(periodic: bool) -> None:
    """Against a dense Jacobian by differences of the residual in the free directions."""
    x = it.Axis("x", 0, 1, elements=9, s=2, periodic=periodic)
    t = it.Axis("t", 0, 1, elements=7, s=1, kind="time")
    u = it.unknown("u", x, t)
    conditions = [u.at(t=0) == sympy.sin(2 * sympy.pi * X), it.dt(u).at(t=0) == 1]
    if not periodic:
        conditions += [u.on(x.start) == 0, it.diff(u, x).on(x.end) == T]
    problem = it.Problem(strong=it.dt(it.dt(u)) - it.laplacian(u) + u**3, conditions=conditions)
    residual = Residual(problem)
    system = Discretisation(residual, read_conditions(problem, residual), residual.axes, [CausalWeight(1, 1.0)])
    values = np.random.default_rng(1).standard_normal(system.shape)
    system.constraints.impose(values)
    free = np.eye(values.size).reshape(-1, *values.shape)
    free = np.stack([np.stack([system._extended(part, k) for k, part in enumerate(d)]) for d in free])
    directions = scipy.linalg.orth(free.reshape(values.size, -1).T)
    columns = []
    for d in directions.T:
        shift = 1e-6 * d.reshape(values.shape)
        columns.append((system.residuals(values + shift) - system.residuals(values - shift)).ravel() / 2e-6)
    best = np.linalg.lstsq(np.stack(columns, axis=1), -system.residuals(values).ravel(), rcond=None)[0]
    assert system.step(values).ravel() == pytest.approx(directions @ best, rel=1e-4, abs=1e-5)


def test_conditions_hold_at_the_nodes() -> None:
    problem = flow()
    residual = Residual(problem)
    system = Discretisation(residual, read_conditions(problem, residual), residual.axes)
    values = np.ones(system.shape)
    system.constraints.impose(values)
    step = system.step(values)
    assert values[0, 0] == pytest.approx(0 * Y.nodes)
    assert values[0, -1] == pytest.approx(Y.nodes)
    for d in (1, 2):
        assert np.take(step[:2], [0, -1], axis=d) == pytest.approx(0.0, abs=0.0)


@given(st.integers(0, 10_000), st.integers(2, 4), st.integers(4, 12))
def test_both_least_squares_solvers_agree_with_lapack(seed: int, width: int, elements: int) -> None:
    random = np.random.default_rng(seed)
    positions = np.arange(elements)[:, None] + np.arange(width)
    jacobian, right = random.standard_normal((elements, 3, width)), random.standard_normal((elements, 3))
    size = elements + width - 1
    dense = np.zeros((elements, 3, size))
    for e in range(elements):
        dense[e, :, positions[e]] = jacobian[e].T
    expected = np.linalg.lstsq(dense.reshape(-1, size), right.ravel(), rcond=None)[0]
    blocks = [(positions, jacobian, right)]
    assert solve_by_rows(blocks, size) == pytest.approx(expected, rel=1e-6, abs=1e-8)
    found, factor = solve_normal(blocks, size, width - 1)
    assert found == pytest.approx(expected, rel=1e-5, abs=1e-7)
    twice = solve_normal([(positions, jacobian, 2 * right)], size, width - 1, factor)[0]
    assert twice == pytest.approx(2 * found)


def test_a_band_that_does_not_fit_is_refused() -> None:
    with pytest.raises(MemoryError, match=r"GB; use fewer elements, or time slabs"):
        solve_normal([], 10**6, 10**4)


@given(st.integers(3, 12), st.integers(3, 12), st.integers(1, 3), st.booleans())
def test_orderings_are_permutations_with_the_promised_band(n: int, m: int, components: int, ring: bool) -> None:
    one = np.stack([np.arange(n), (np.arange(n) + 1) % n], axis=1)[: n if ring else n - 1]
    two = np.stack([np.arange(m - 1), np.arange(1, m)], axis=1)
    ordering = order_nodes([n, m], [[one], [two]], components)
    positions = ordering.positions(components)
    assert sorted(positions.ravel()) == list(range(n * m * components))
    for a in one:
        for b in two:
            together = positions[:, a][:, :, b]
            assert together.max() - together.min() <= ordering.half_bandwidth


def test_compression_keeps_its_error() -> None:
    values = 1 / (1 + np.add.outer(np.add.outer(X.nodes, Y.nodes), T.nodes))
    for tolerance in (1e-2, 1e-5):
        model, modes, lost = compressed([X, Y, T], values, tolerance)
        found = model.grid(x=X.nodes, y=Y.nodes, t=T.nodes).numpy()
        assert np.linalg.norm(found - values) / np.linalg.norm(values) < 3 * tolerance
        assert lost <= tolerance
        assert modes < 9
    zero = compressed([X, Y], np.zeros((X.size, Y.size)), 1e-8)
    assert (zero[1], float(zero[0].norm())) == (1, 0.0)


def test_weights_follow_mesh_and_time() -> None:
    x = it.Axis("x", nodes=[0, 1, 3, 7, 8, 9, 10, 11, 12])
    points = [AxisPoints(axis, 2, 0) for axis in (x, T)]
    coordinates = [points[0].points.reshape(-1, 1), points[1].points.reshape(1, -1)]
    assert MeshWeight(0)(coordinates, points)[::2, 0] == pytest.approx([0.25, 0.5, 1, *[0.25] * 5])
    causal = CausalWeight(1, 3.0)(coordinates, points)
    assert causal == pytest.approx(np.exp(-3 * coordinates[1]))


@pytest.mark.parametrize("periodic", [False, True])
def test_new_meshes_are_dense_in_layers_and_grow_slowly(periodic: bool) -> None:
    x = it.Axis("x", -1, 1, elements=60, periodic=periodic)
    for _ in range(3):
        nodes = x.nodes[: x.size]
        x = remeshed(x, monitor(x, np.tanh(60 * np.sin(np.pi * nodes))[None, :], 0))
    lengths = np.diff(x.nodes)
    assert (x.domain, x.elements, x.periodic) == ((-1.0, 1.0), 60, periodic)
    middle = np.argmin(np.abs(x.nodes))
    assert lengths[middle - 1 : middle + 1].max() < 0.012
    assert max(np.abs(np.diff(np.log(lengths)))) < np.log(2)


def test_a_constant_leaves_the_mesh() -> None:
    assert remeshed(X, monitor(X, np.ones((1, X.size)), 0)) is X


def test_condition_on_a_mixed_slope_is_refused() -> None:
    u: Any = it.unknown("u", X, T)
    with pytest.raises(ValueError, match="must stand on faces of the axis in which it is the first derivative"):
        it.diff(it.diff(u, X), T).at(t=0)
    with pytest.raises(ValueError, match=r"is for strong forms and inntd\.pinn\.solve"):
        it.Problem(weak=it.dt(u) * it.test_function(), conditions=[u.at(t=0) == 0, it.dt(u).at(t=0) == 0])
