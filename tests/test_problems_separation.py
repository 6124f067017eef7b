"""Exact separation: random separable expressions keep their values, inseparable ones are refused by name."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

import inntd as it
from inntd.problems.algebra import COORDINATE, MAX_TERMS
from inntd.problems.breaks import breaks
from inntd.problems.indicator import Indicator
from inntd.problems.separate import AxisFunction, PointFunction, SeparatedFunction

AXES = tuple(it.Axis(name, start, stop, elements=8) for name, start, stop in (("x", 0, 1), ("y", -1, 2), ("z", 1, 3)))
SYMBOLS = tuple(axis._sympy_() for axis in AXES)
X, Y, Z = SYMBOLS
U, V = it.unknown("u", *AXES), it.test_function()

Array = np.ndarray


def points(count: int = 40) -> Array:
    start, end = np.array([axis.domain for axis in AXES]).T
    return start + (end - start) * np.random.default_rng(3).random((count, len(AXES)))


def separated(expression: sympy.Expr) -> SeparatedFunction:
    problem = it.Problem(weak=it.dot(it.grad(U), it.grad(V)), exact=expression)
    assert problem.exact is not None, f"{expression} did not separate"
    return problem.exact


class Sample(NamedTuple):
    """A SymPy expression beside the same function written in NumPy, which is the oracle."""

    expression: sympy.Expr
    function: Callable[[Array], Array]


def one(axis: int, kind: str, number: int) -> Sample:
    s = SYMBOLS[axis]
    table: dict[str, tuple[sympy.Expr, Callable[[Array], Array]]] = {
        "linear": (s + number, lambda p: p[:, axis] + number),
        "square": (s**2, lambda p: p[:, axis] ** 2),
        "sine": (sympy.sin(number * s + 1), lambda p: np.sin(number * p[:, axis] + 1)),
        "bump": (sympy.exp(-((s - number) ** 2)), lambda p: np.exp(-((p[:, axis] - number) ** 2))),
        "fraction": (1 / (s + 4), lambda p: 1 / (p[:, axis] + 4)),
        "step": (it.indicator(s >= sympy.Rational(1, 2)), lambda p: (p[:, axis] >= 0.5).astype(float)),
    }
    return Sample(*table[kind])


leaves = st.builds(
    one,
    st.integers(0, 2),
    st.sampled_from(["linear", "square", "sine", "bump", "fraction", "step"]),
    st.integers(-2, 2),
)
linear_forms = st.lists(st.integers(-2, 2), min_size=3, max_size=3)


def wave(coefficients: list[int], kind: str) -> Sample:
    argument = sum((c * s for c, s in zip(coefficients, SYMBOLS, strict=True)), sympy.Rational(1, 3))
    symbolic = {"sin": sympy.sin, "cos": sympy.cos, "exp": sympy.exp, "sinh": sympy.sinh, "cosh": sympy.cosh}[kind]
    return Sample(symbolic(argument), lambda p: getattr(np, kind)(p @ np.array(coefficients, dtype=float) + 1 / 3))


waves = st.builds(wave, linear_forms, st.sampled_from(["sin", "cos", "exp", "sinh", "cosh"]))


def plus(a: Sample, b: Sample, number: int) -> Sample:
    return Sample(a.expression + number * b.expression, lambda p: a.function(p) + number * b.function(p))


def times(a: Sample, b: Sample) -> Sample:
    return Sample(a.expression * b.expression, lambda p: a.function(p) * b.function(p))


def squared(a: Sample) -> Sample:
    return Sample(a.expression**2, lambda p: a.function(p) ** 2)


samples = st.recursive(
    leaves | waves,
    lambda inner: (
        st.builds(plus, inner, inner, st.integers(-3, 3)) | st.builds(times, inner, inner) | inner.map(squared)
    ),
    max_leaves=6,
)


@given(samples)
def test_separated_expressions_keep_their_values(sample: Sample) -> None:
    p = points()
    expected = sample.function(p)
    scale = max(1.0, float(np.abs(expected).max()))
    # Addition theorems and merged terms cancel: errors are relative to the largest term, at most a few digits.
    found = separated(sample.expression)
    terms = max((abs(SeparatedFunction(found.axes, (term,))(p)).max() for term in found.terms), default=0.0)
    np.testing.assert_allclose(found(p), expected, atol=1e-13 * max(scale, terms), rtol=1e-11)


@given(samples)
def test_terms_that_differ_in_one_axis_only_are_merged(sample: Sample) -> None:
    rows = [functions for _, functions in separated(sample.expression).terms]
    for a, b in itertools.combinations(rows, 2):
        assert sum(f != g for f, g in zip(a, b, strict=True)) > 1


@pytest.mark.parametrize(
    ("expression", "rank"),
    [
        (sympy.exp(-((X - 1) ** 2) - (Y - 2) ** 2), 1),
        ((X + Y) ** 2, 3),
        (sympy.sin(X + Y), 2),
        (sympy.sin(X + 2 * Y - Z + 1), 3),
        (sympy.cosh(X + Y + Z), 2),
        (sympy.exp((X + Y) ** 2 - 2 * X * Y), 1),
        (2 ** (X + Y), 1),
        (sympy.sqrt((X + 2) * Z), 1),
        (sympy.log((X + 2) * Z**2), 2),
        (sympy.Abs(X * Y), 1),
        (it.indicator((X > 0.5) & (Y < 1)), 1),
        (sympy.Piecewise((X * Y, X < 0.3), (Y, True)), 1),
        (sum(sympy.exp(-((X - a) ** 2) - (Y - b) ** 2) for a in range(4) for b in range(4)), 1),
        ((1 + X) * (1 + Y) - 1 - X - Y - X * Y, 0),
        (sympy.exp((X + Y) ** 2 - X**2 - Y**2 - 2 * X * Y), 1),
    ],
)
def test_rank_after_expansion(expression: sympy.Expr, rank: int) -> None:
    found = separated(expression)
    assert found.rank == rank
    p = points()
    reference = sympy.lambdify(SYMBOLS, expression.replace(Indicator, _piecewise))(*p.T)
    np.testing.assert_allclose(found(p), np.broadcast_to(reference, len(p)), rtol=1e-12, atol=1e-12)


def _piecewise(relation: sympy.Basic) -> sympy.Expr:
    return sympy.Piecewise((1, relation), (0, True))


def test_sine_of_many_coordinates_has_one_term_per_axis() -> None:
    axes = [it.Axis(f"x[{i}]", 0, 1, elements=4) for i in range(10)]
    u = it.unknown("u", *axes)
    problem = it.Problem(strong=it.laplacian(u), exact=sympy.sin(sum(axes)))
    assert problem.exact is not None
    assert problem.exact.rank == 10
    p = np.random.default_rng(0).random((50, 10))
    np.testing.assert_allclose(problem.exact(p), np.sin(p.sum(axis=1)), atol=1e-13)


@pytest.mark.parametrize(
    ("expression", "factor"),
    [
        (sympy.Max(X, Y), r"Max\(x, y\) couples the axes x, y .* a relative error of .* has a kink along a curve"),
        (it.indicator(X + Y > 1), r"indicator\(x \+ y > 1\) couples .* jumps along a curve .* smooth the jump"),
        (X * it.indicator(X**2 + Y**2 < 1), r"indicator\(x\*\*2 \+ y\*\*2 < 1\) .* a relative error of"),
        (sympy.exp(-1e6 * (X - Y) ** 2), r"exp.* products.* leave a relative error .* other coordinates"),
        (Z + 3 * sympy.sqrt(X * Y), r"sqrt\(x\*y\) must be finite and real, but it is not at x = "),
        (1 / (X - Y), r"1/\(x - y\)"),
        (
            it.indicator(X + Y > 9),
            r"indicator\(x \+ y > 9\) is zero at all sample points of the axes x, y: leave it out",
        ),
    ],
)
def test_what_does_not_separate_is_refused_by_name(expression: sympy.Expr, factor: str) -> None:
    with pytest.raises(ValueError, match=f"weak: the factor {factor}"):
        it.Problem(weak=it.dot(it.grad(U), it.grad(V)) - V * expression)


def test_too_many_terms_are_refused_quickly() -> None:
    axes = [it.Axis(f"x[{i}]", 0, 1, elements=4) for i in range(12)]
    u, v = it.unknown("u", *axes), it.test_function()
    with pytest.raises(ValueError, match=f"more than {MAX_TERMS}"):
        it.Problem(weak=it.dot(it.grad(u), it.grad(v)) - v * sum(axes) ** 40)


def test_equal_functions_of_different_axes_are_one_object() -> None:
    found = separated(sympy.sin(X) + sympy.sin(Y))
    assert {f for _, row in found.terms for f in row if f is not None} == {AxisFunction(sympy.sin(COORDINATE))}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (it.indicator(X >= 0.25), (0.25,)),
        (it.indicator((X > 0.25) & (X < 0.75)), (0.25, 0.75)),
        (it.indicator(X > 3), ()),
        (sympy.Abs(2 * X - 1), (0.5,)),
        (sympy.Max(X, 1 - X), (0.5,)),
        (it.indicator(X**2 < 0.25), (0.5,)),
        (it.indicator(sympy.sin(20 * X) > 0), tuple(np.pi * np.arange(1, 7) / 20)),
        (sympy.Piecewise((0, X < 0.3), (X, True)), (0.3,)),
        (X**2, ()),
    ],
)
def test_breaks_are_found(expression: sympy.Expr, expected: tuple[float, ...]) -> None:
    found = breaks(expression.xreplace({X: COORDINATE}), (0.0, 1.0))
    np.testing.assert_allclose(found, expected, rtol=1e-14)


def test_an_axis_function_broadcasts_and_refuses_what_is_not_finite() -> None:
    assert AxisFunction(sympy.Integer(3))(np.zeros((2, 3))).shape == (2, 3)
    with pytest.raises(ValueError, match=r"log\(ξ\) must be finite and real .* ξ = -1.0"):
        AxisFunction(sympy.log(COORDINATE))(np.array([1.0, -1.0]))
    w = it.Axis("w", -1, 1, elements=4)
    u, v = it.unknown("u", w), it.test_function()
    with pytest.raises(ValueError, match=r"log\(w\) must be finite and real on the axis w from -1 to 1"):
        it.Problem(weak=u * v * sympy.log(w._sympy_()))


@given(st.floats(-1e6, 1e6, allow_nan=False))
def test_numbers_come_back_to_the_last_bit(number: float) -> None:
    assert AxisFunction(sympy.Float(number) * COORDINATE)(np.array(1.0)) == number


def test_an_exact_solution_that_does_not_factor_keeps_its_values() -> None:
    problem = it.Problem(weak=it.dot(it.grad(U), it.grad(V)), exact=sympy.exp(X * Y) + Z)
    assert problem.exact is None
    assert isinstance(problem.exact_function, PointFunction)
    p = points()
    np.testing.assert_allclose(problem.exact_function(p), np.exp(p[:, 0] * p[:, 1]) + p[:, 2], rtol=1e-15)
    assert "does not factor by axis" in problem.describe()


@pytest.mark.parametrize("function", [separated(X + Y), PointFunction(AXES, sympy.exp(X * Y))])
def test_points_of_the_wrong_shape_are_refused(function: SeparatedFunction | PointFunction) -> None:
    with pytest.raises(ValueError, match=r"points must have the shape \(K, 3\), got \(4, 2\)"):
        function(np.zeros((4, 2)))
