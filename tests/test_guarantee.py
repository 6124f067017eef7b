"""Guaranteed bounds of separated answers against dense solutions of the same systems, and sums of exponentials."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st
from routes import bump, helmholtz, nodal_values, rotating
from sympy import cos, exp, pi, sin

import inntd as it
from inntd.solvers import guarantee
from inntd.solvers.exponential_sums import exponential_sum
from inntd.solvers.operator import DiscreteSystem, assemble

Array = np.ndarray[Any, np.dtype[np.float64]]


def line(name: str, elements: int = 8, **options: Any) -> it.Axis:
    return it.Axis(name, 0, 1, elements=elements, s=2, **options)


def number(name: str, start: float, stop: float) -> it.Axis:
    return it.Axis(name, start, stop, elements=4, s=1, kind="parameter")


def poisson(dimension: int = 3) -> it.Problem:
    axes = [line(name) for name in "xyzw"[:dimension]]
    u = it.unknown("u", *axes)
    source = 1 + bump(*axes, width=0.2)
    return it.Problem(strong=-it.laplacian(u) - source, conditions=[u.on(*axes) == 0])


def blocks(contrast: float = 9.0) -> it.Problem:
    """Two conductivities, one on each side; boundary values that are not zero."""
    x, y, a, b = line("x"), line("y"), number("a", 1, contrast), number("b", 1, contrast)
    u, v = it.unknown("u", x, y, a, b), it.test_function()
    k = a * it.indicator(x < 0.5) + b * it.indicator(x >= 0.5)
    conditions = [u.on(x.start) == 0, u.on(x.end) == y, u.on(y.start) == 0]
    return it.Problem(weak=k * it.dot(it.grad(v), it.grad(u)) - v, conditions=conditions)


def plate(sign: int = 1) -> it.Problem:
    """One conductivity and a reaction, of either sign; every axis is diagonalised."""
    x, y, a = line("x"), line("y"), number("a", 1, 5)
    u, v = it.unknown("u", x, y, a), it.test_function()
    form = a * it.dot(it.grad(v), it.grad(u)) + 2 * u * v - v * bump(x, y, width=0.2)
    return it.Problem(weak=sign * form, conditions=[u.on(x, y) == 0])


def random_coefficient() -> it.Problem:
    """A conductivity with terms of no sign."""
    x, y = line("x"), line("y")
    p, q = number("p", -1, 1), number("q", -1, 1)
    u, v = it.unknown("u", x, y, p, q), it.test_function()
    k = 1 + sympy.Rational(3, 10) * p * cos(pi * x) + sympy.Rational(1, 5) * q * sin(2 * pi * x)
    return it.Problem(weak=k * it.dot(it.grad(v), it.grad(u)) - v, conditions=[u.on(x, y) == 0])


def heat() -> it.Problem:
    x, t, a = line("x"), line("t", kind="time"), number("a", 1, 3)
    u, v = it.unknown("u", x, t, a), it.test_function()
    source = exp(-20 * (x._sympy_() - t._sympy_() / 2) ** 2)
    weak = v * it.dt(u) + a * it.dot(it.grad(v), it.grad(u)) - v * source
    return it.Problem(weak=weak, conditions=[u.on(x) == 0, u.at(t=0) == sin(pi * x._sympy_())])


def wind() -> it.Problem:
    x, y, a = line("x"), line("y"), number("a", 1, 3)
    u, v = it.unknown("u", x, y, a), it.test_function()
    weak = it.dot(it.grad(v), it.grad(u)) + 5 * a * v * it.diff(u, x) - 3 * v * it.diff(u, y) - v
    return it.Problem(weak=weak, conditions=[u.on(x, y) == 0])


PROBLEMS: dict[str, Callable[[], it.Problem]] = {
    "poisson": poisson,
    "poisson in four axes": functools.partial(poisson, 4),
    "blocks": blocks,
    "plate": plate,
    "negative plate": functools.partial(plate, -1),
    "random coefficient": random_coefficient,
    "heat": heat,
    "wind": wind,
    "rotating": functools.partial(rotating, 50, 12),
}


@functools.lru_cache
def problem_named(name: str) -> it.Problem:
    return PROBLEMS[name]()


@functools.lru_cache
def dense(name: str) -> tuple[Array, Array, Array]:
    """Operator and mass on the free nodes, and the solution on all of them."""
    return dense_parts(assemble(problem_named(name)))


def dense_parts(system: DiscreteSystem) -> tuple[Array, Array, Array]:
    keep = [np.arange(axis.size)[free] for axis, free in zip(system.axes, system.free, strict=True)]
    parts = [[m.toarray()[np.ix_(k, k)] for m in own] for own, k in zip(system.matrices, keep, strict=True)]
    mass = functools.reduce(np.kron, [own[0] for own in parts])
    operator = np.zeros_like(mass)
    for coefficient, term in zip(system.coefficients, system.terms, strict=True):
        operator += coefficient * functools.reduce(np.kron, [own[j] for own, j in zip(parts, term, strict=True)])
    load = np.zeros(len(mass))
    for sign, log, term in zip(system.load_signs, system.load_logs, system.load_terms, strict=True):
        vectors = [own[k, j] for own, k, j in zip(system.vectors, keep, term, strict=True)]
        load += sign * np.exp(log) * functools.reduce(np.kron, vectors)
    full = np.zeros([axis.size for axis in system.axes])
    for coefficient, place in system.lifting.terms:
        columns = [own[:, j] for own, j in zip(system.lifting.vectors, place, strict=True)]
        full += coefficient * functools.reduce(np.multiply.outer, columns)
    full[np.ix_(*keep)] += np.linalg.solve(operator, load).reshape([len(k) for k in keep])
    return operator, mass, full


def true_errors(name: str, model: Any) -> tuple[float, float, float]:
    """Energy norm and L2 norm of the error, and the latter over the solution's."""
    problem = problem_named(name)
    system = assemble(problem)
    operator, mass, full = dense(name)
    off = (nodal_values(model) - full)[tuple(system.free)].ravel()
    l2 = float(np.sqrt(off @ mass @ off))
    image = full
    for d, own in enumerate(system.matrices):
        image = np.moveaxis(np.tensordot(own[0].toarray(), image, axes=(1, d)), 0, d)
    energy = float(np.sqrt(abs(off @ (0.5 * (operator + operator.T)) @ off)))
    return energy, l2, l2 / float(np.sqrt(np.sum(full * image)))


@functools.lru_cache
def answer_of(name: str, rank: int, method: Any = "alternating") -> Any:
    return it.solve(problem_named(name), rank=rank, method=method)


# ------------------------------------------------------------------------------------------------------- effectivity


@pytest.mark.parametrize("rank", [1, 3, 6])
@pytest.mark.parametrize("name", PROBLEMS)
def test_the_bound_is_never_below_the_error(name: str, rank: int) -> None:
    answer = answer_of(name, rank)
    bound = it.error_bound(problem_named(name), answer)
    energy, l2, relative = true_errors(name, answer.model)
    assert bound.reason == ""
    assert bound.energy is not None
    assert bound.l2 is not None
    assert bound.relative is not None
    for found, true in ((bound.energy, energy), (bound.l2, l2), (bound.relative, relative)):
        assert found >= true * (1 - 1e-6) - 1e-12
    if name not in ("heat", "wind", "rotating"):  # there the bound is of a norm with less than the energy
        assert bound.energy < 3.5 * energy + 1e-9
    assert bound.l2 < 40 * l2 + 1e-9


@pytest.mark.parametrize("name", ["poisson", "poisson in four axes"])
def test_it_is_the_error_itself_where_the_operator_is_a_sum_of_one_dimensional_ones(name: str) -> None:
    for rank in (1, 3, 6):
        answer = answer_of(name, rank)
        bound = it.error_bound(problem_named(name), answer)
        energy, l2, relative = true_errors(name, answer.model)
        assert bound.energy == pytest.approx(energy, rel=1e-6)
        assert bound.l2 == pytest.approx(l2, rel=1e-6)
        assert bound.relative == pytest.approx(relative, rel=2 * relative)


@pytest.mark.parametrize("name", PROBLEMS)
def test_exponentials_give_the_same_from_above(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    answer, problem = answer_of(name, 3), problem_named(name)
    full = it.error_bound(problem, answer)
    monkeypatch.setattr(guarantee, "FULL_TENSOR", 0)
    by_sums = it.error_bound(problem, answer)
    for found, exact in ((by_sums.energy, full.energy), (by_sums.l2, full.l2)):
        assert found is not None
        assert exact is not None
        assert exact * (1 - 1e-9) <= found <= exact * 1.002


@pytest.mark.parametrize("full", [0, guarantee.FULL_TENSOR])
@pytest.mark.parametrize("name", ["poisson", "blocks", "plate"])
def test_tucker_answers_have_the_bound_of_the_same_function(
    name: str, full: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guarantee, "FULL_TENSOR", full)
    problem, model = problem_named(name), answer_of(name, 3).model
    cp, tucker = it.error_bound(problem, model), it.error_bound(problem, model.to_tucker())
    assert cp.energy is not None
    assert tucker.energy == pytest.approx(cp.energy, rel=1e-3 if full == 0 else 1e-7)  # sums are rounded up
    assert tucker.l2 == pytest.approx(cp.l2, rel=1e-3 if full == 0 else 1e-7)


def test_the_contrast_of_parameters_is_what_it_costs() -> None:
    found = []
    for contrast in (2.0, 30.0):
        problem = blocks(contrast)
        answer = it.solve(problem, rank=3, method="alternating")
        operator, _, full = dense_parts(system := assemble(problem))
        off = (nodal_values(answer.model) - full)[tuple(system.free)].ravel()
        energy = it.error_bound(problem, answer).energy
        assert energy is not None
        found.append(energy / float(np.sqrt(off @ operator @ off)))
    assert 1 <= found[0] <= np.sqrt(2.0)
    assert found[0] < found[1] <= np.sqrt(30.0)


def test_many_axes_and_small_errors() -> None:
    axes = [it.Axis(f"x[{i}]", 0, 1, elements=12) for i in range(1, 11)]
    u = it.unknown("u", *axes)
    solution = sympy.prod(sin(pi * a._sympy_()) for a in axes)
    problem = it.Problem(strong=-it.laplacian(u) - 10 * pi**2 * solution, conditions=[u.on("boundary") == 0])
    model = it.solve(problem, tolerance=1e-8).model
    other = it.CPModel.from_factors(axes, [1e-7 * model.factors[0].numpy(), *(f.numpy() for f in model.factors[1:])])
    bound = it.error_bound(problem, model + other)
    assert bound.relative == pytest.approx(1e-7, rel=5e-3)  # the model is the discrete solution times one and 1e-7


# ----------------------------------------------------------------------------------------------- where there is none


def _helmholtz() -> it.Problem:
    return helmholtz(200, 10)


def _natural() -> it.Problem:
    x, y = line("x"), line("y")
    u, v = it.unknown("u", x, y), it.test_function()
    return it.Problem(weak=it.dot(it.grad(v), it.grad(u)) - v * cos(pi * x) * cos(pi * y))


def _mixed() -> it.Problem:
    x, y = line("x"), line("y")
    u, v = it.unknown("u", x, y), it.test_function()
    mixed = it.diff(v, x) * it.diff(u, y) + it.diff(v, y) * it.diff(u, x)
    return it.Problem(weak=it.dot(it.grad(v), it.grad(u)) + mixed / 4 - v, conditions=[u.on(x, y) == 0])


def _steep_random() -> it.Problem:
    x, p = line("x"), number("p", -1, 1)
    u, v = it.unknown("u", x, p), it.test_function()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", it.StabilityWarning)
        return it.Problem(weak=(1 + 2 * p * cos(pi * x)) * it.diff(v, x) * it.diff(u, x) - v, conditions=[u.on(x) == 0])


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (_helmholtz, "cancel"),
        (_natural, "a constant is free"),
        (_mixed, "first-order derivatives"),
        (_steep_random, "too large for the positive ones"),
    ],
)
def test_no_bound_is_no_number_but_a_reason(make: Callable[[], it.Problem], reason: str) -> None:
    problem = make()
    model = it.CPModel(problem.axes, 2)
    bound = it.error_bound(problem, model)
    assert bound.energy is None
    assert bound.l2 is None
    assert bound.relative is None
    assert reason in bound.reason
    assert "no guaranteed bound" in str(bound)


def test_work_beyond_reason_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guarantee, "FULL_TENSOR", 0)
    system, model = assemble(problem_named("blocks")), answer_of("blocks", 3).model
    for form in (model, model.to_tucker()):
        assert "operations" in guarantee.bound_of(system, form, most_work=1e3).reason


def test_sums_too_long_for_doubled_precision_are_rounded_up(monkeypatch: pytest.MonkeyPatch) -> None:
    problem, answer = problem_named("poisson"), it.solve(problem_named("poisson"), tolerance=1e-6)
    exact = it.error_bound(problem, answer).energy
    monkeypatch.setattr(guarantee, "FULL_TENSOR", 0)
    precise = it.error_bound(problem, answer).energy
    monkeypatch.setattr(guarantee, "PRECISE", 1e9)
    rough = it.error_bound(problem, answer).energy
    assert exact is not None
    assert precise == pytest.approx(exact, rel=2e-3)
    assert rough is not None
    assert exact < rough < 1e-4


def test_bounds_of_use_take_the_place_of_estimates() -> None:
    problem = problem_named("poisson")
    answer = it.solve(problem, tolerance=1e-5)
    bound = guarantee.bound_of(assemble(problem), answer.model)
    assert bound.relative is not None
    found = guarantee.certified(answer.error_estimate, bound, tolerance=1e-5)
    assert (found.algebraic, found.certainty) == (bound.relative, "guaranteed")
    loose = guarantee.ErrorBound(1.0, 1.0, 0.5)
    assert guarantee.certified(answer.error_estimate, loose, tolerance=1e-5) == answer.error_estimate
    none = guarantee.ErrorBound(None, None, None, "no reason")
    assert guarantee.certified(answer.error_estimate, none) == answer.error_estimate


def test_a_reduced_model_is_pointed_to_its_own_method() -> None:
    with pytest.raises(TypeError, match="its own method error_bound"):
        it.error_bound(poisson(), object())  # type: ignore[arg-type]


def test_an_answer_that_is_all_wrong_has_no_relative_bound() -> None:
    problem = poisson()
    factors = [np.zeros((axis.size, 1)) for axis in problem.axes]
    bound = it.error_bound(problem, it.CPModel.from_factors(problem.axes, factors))
    assert bound.relative == np.inf
    assert bound.l2 is not None
    assert bound.l2 > 0


# ------------------------------------------------------------------------------------------------ sums of exponentials


@given(
    st.floats(1e-3, 1e3), st.floats(1.0, 1e8), st.sampled_from([1e-1, 1e-3, 1e-6, 1e-10]), st.sampled_from([1, 2, 3])
)
def test_the_error_of_a_sum_of_exponentials_is_what_it_says(
    lowest: float, ratio: float, accuracy: float, power: int
) -> None:
    inverse = exponential_sum(lowest, lowest * ratio, accuracy, power)
    x = np.geomspace(lowest, lowest * ratio, 400)
    off = float(np.abs(inverse(x) * x**power - 1).max())
    assert off <= inverse.error + 1e-13
    assert inverse.error <= accuracy
    assert (inverse.weights > 0).all()
    assert len(inverse.weights) <= 4 * (1 + np.log(ratio) + np.log(1 / accuracy)) * max(1.0, np.log10(1 / accuracy))


@pytest.mark.parametrize(("lowest", "highest", "accuracy"), [(0, 1, 1e-3), (2, 1, 1e-3), (1, 2, 0.7), (1, 2, 1e-14)])
def test_arguments_of_exponential_sums_are_checked(lowest: float, highest: float, accuracy: float) -> None:
    with pytest.raises(ValueError, match="must"):
        exponential_sum(lowest, highest, accuracy)
