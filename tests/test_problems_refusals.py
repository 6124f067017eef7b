"""Nonsense is refused before anything is assembled, by name and with a remedy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import sympy
from sympy import sin

import inntd as it

X_AXIS, Y_AXIS = it.Axis("x", -1, 2, elements=4), it.Axis("y", 0, 1, elements=4)
T_AXIS = it.Axis("t", 0, 1, elements=4, kind="time")
P_AXIS = it.Axis("p", 0, 1, elements=12, periodic=True)
K_AXIS = it.Axis("k", 1, 4, elements=4, kind="parameter")
C_AXIS = it.Axis.discrete("c", 3)
X, Y, T = (axis._sympy_() for axis in (X_AXIS, Y_AXIS, T_AXIS))
U, V = it.unknown("u", X_AXIS, Y_AXIS), it.test_function()
W = it.unknown("w", X_AXIS, T_AXIS)
A = it.dot(it.grad(U), it.grad(V))
Q = sympy.Symbol("q")

FORMS: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "nothing": (lambda: it.Problem(), TypeError, "either weak or strong, got neither"),
    "both": (lambda: it.Problem(weak=A, strong=A), TypeError, "either weak or strong, got both"),
    "a string": (lambda: it.Problem(weak="u*v"), TypeError, "weak must be a number or a SymPy expression, got 'u.v'"),
    "a vector": (lambda: it.Problem(strong=it.grad(U)), TypeError, r"must be a scalar expression, got the vector"),
    "unknown symbol": (lambda: it.Problem(weak=A - Q * V), ValueError, "weak: unknown symbol q; the axes .* x, y"),
    "close symbol": (
        lambda: it.Problem(weak=A - sympy.Symbol("xx") * V),
        ValueError,
        r"unknown symbol xx; .*did you mean x\?",
    ),
    "foreign axis": (lambda: it.Problem(weak=A - K_AXIS * V), ValueError, "unknown symbol k"),
    "square": (lambda: it.Problem(weak=A - U**2 * V), ValueError, r"linear in the unknown u, got the term u\*\*2"),
    "product": (
        lambda: it.Problem(weak=A + U * it.diff(U, X_AXIS) * V),
        ValueError,
        r"linear in the unknown u, got the term .*u",
    ),
    "inside a function": (
        lambda: it.solve(it.Problem(strong=it.laplacian(U) + sin(U))),
        ValueError,
        r"got the term sin\(u\)",
    ),
    "function of the unknown": (
        lambda: it.Problem(strong=it.laplacian(U) - it.coefficient(np.sin, U)),
        ValueError,
        r"a function of unknown\('u', x, y\) makes the problem nonlinear; .* PINN mode, inntd.pinn",
    ),
    "value of the unknown": (
        lambda: it.Problem(strong=it.laplacian(U), conditions=[U.on(X_AXIS) == 3 * U]),
        ValueError,
        r"must not contain unknowns .*, got 3\*u; conditions of Robin are fluxes, u.flux",
    ),
    "coefficient": (
        lambda: it.solve(it.Problem(strong=it.div(U * it.grad(U)))),
        ValueError,
        "linear in the unknown u.*use inntd.pinn.solve",
    ),
    "test twice": (lambda: it.Problem(weak=A * V), ValueError, "linear in the test function v, got the term"),
    "test squared": (lambda: it.Problem(weak=A + U * V**2), ValueError, r"linear in the test function v.*v\*\*2"),
    "no test function": (lambda: it.Problem(weak=U), ValueError, "must contain a test function"),
    "one term without test": (lambda: it.Problem(weak=A - U), ValueError, "linear in the test function v.* -1 u"),
    "a bare number": (lambda: it.Problem(weak=A - 3), ValueError, "linear in the test function v.* -3"),
    "no unknown": (lambda: it.Problem(weak=X * V), ValueError, "must contain an unknown"),
    "unknown cancels": (lambda: it.Problem(weak=A - A + V), ValueError, "must contain an unknown"),
    "unknown cancels late": (
        lambda: it.Problem(weak=(X + Y) * U * V - X * U * V - Y * U * V + V),
        ValueError,
        "the unknown u cancels out",
    ),
    "two unknowns": (lambda: it.Problem(weak=A + W * V), ValueError, "2 test functions, one per unknown, got v"),
    "two test functions": (
        lambda: it.Problem(weak=A + U * it.test_function("w")),
        ValueError,
        "one test function, got v, w",
    ),
    "strong with v": (lambda: it.Problem(strong=it.laplacian(U) * V), ValueError, "must not contain a test function"),
    "second order weak": (
        lambda: it.Problem(weak=it.laplacian(U) * V),
        ValueError,
        "derivative of order 2 in the space axis x .*strong=",
    ),
    "second order time": (
        lambda: it.solve(it.Problem(strong=it.diff(W, T_AXIS, 2), conditions=[W.at(t=0) == 0])),
        ValueError,
        "order 2 in the time axis t is not supported; write the equation as one of first order",
    ),
    "second order parameter": (
        lambda: it.solve(it.Problem(strong=it.diff(it.unknown("u", X_AXIS, K_AXIS), K_AXIS, 2))),
        ValueError,
        "order 2 in the parameter axis k",
    ),
    "fourth order": (
        lambda: it.Problem(strong=it.laplacian(it.laplacian(U))),
        ValueError,
        "strong must be of second order in space at most, got a derivative of order 3",
    ),
    "derivative in a discrete axis": (
        lambda: it.Problem(weak=it.diff(it.unknown("u", X_AXIS, C_AXIS), C_AXIS) * V),
        ValueError,
        "the axis c is discrete",
    ),
    "no initial condition": (
        lambda: it.Problem(strong=it.dt(W) - it.laplacian(W), conditions=[W.on(X_AXIS) == 0]),
        ValueError,
        r"the time axis t needs an initial condition; add w.at\(t=0\) == value",
    ),
    "undefined function": (
        lambda: it.Problem(weak=A + sympy.Function("f")(X) * U * V),
        ValueError,
        r"f\(x\) is no function that can be computed",
    ),
    "not finite": (lambda: it.Problem(weak=A + sympy.log(X) * U * V), ValueError, r"log\(x\) must be finite and real"),
    "infinite number": (lambda: it.Problem(weak=A + sympy.oo * U * V), ValueError, "oo must be a finite number"),
    "complex number": (lambda: it.Problem(weak=A + sympy.I * U * V), ValueError, "I must be a real number"),
    "wrong components": (
        lambda: it.Problem(weak=A + it.dot([1, 2, 3], it.grad(U)) * V),
        ValueError,
        r"must have 2 components, one per space axis \(x, y\), got 3",
    ),
    "no time axis for v": (lambda: it.Problem(weak=A + it.dt(V)), ValueError, r"dt\(v\) needs an axis of kind 'time'"),
    "no space axis for v": (
        lambda: it.Problem(weak=it.unknown("u", K_AXIS) * V + it.laplacian(V)),
        ValueError,
        r"laplacian\(v\) needs axes of kind 'space'",
    ),
    "title": (lambda: it.Problem(weak=A, title=3), TypeError, "title must be a string, got 3"),
    "exact string": (lambda: it.Problem(weak=A, exact="x"), TypeError, "exact must be a number or a SymPy expression"),
    "exact with u": (lambda: it.Problem(weak=A, exact=U), ValueError, "exact must not contain unknowns"),
    "exact with q": (lambda: it.Problem(weak=A, exact=Q), ValueError, "exact: unknown symbol q"),
    "exact not finite": (lambda: it.Problem(weak=A, exact=sympy.log(X)), ValueError, r"exact: log\(x\) must be finite"),
}

LANGUAGE: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "no axis": (lambda: it.unknown("u"), ValueError, "needs at least one axis"),
    "axis twice": (lambda: it.unknown("u", X_AXIS, X_AXIS), ValueError, "different names, got x twice"),
    "same name": (lambda: it.unknown("u", X_AXIS, it.Axis("x", 0, 1, elements=4)), ValueError, "got x twice"),
    "named like an axis": (lambda: it.unknown("x", X_AXIS), ValueError, "both called 'x'"),
    "two times": (
        lambda: it.unknown("u", T_AXIS, it.Axis("s", 0, 1, elements=4, kind="time")),
        ValueError,
        "several axes of kind 'time'",
    ),
    "axis as string": (lambda: it.unknown("u", "x"), TypeError, "must be inntd.Axis objects, got 'x'"),
    "name as number": (lambda: it.unknown(3, X_AXIS), TypeError, "name must be a string, got 3"),
    "name no word": (lambda: it.test_function("a b"), ValueError, "name must be a word"),
    "dt without time": (lambda: it.dt(U), ValueError, r"dt needs an axis of kind 'time', but u has x \(space\)"),
    "grad without space": (lambda: it.grad(it.unknown("u", K_AXIS)), ValueError, "grad needs an axis of kind 'space'"),
    "foreign diff": (lambda: it.diff(U, T_AXIS), ValueError, r"one of the axes of u \(x, y\), got t"),
    "diff in a string": (lambda: it.diff(U, "x"), TypeError, "axis must be an inntd.Axis, got 'x'"),
    "order zero": (lambda: it.diff(U, X_AXIS, 0), ValueError, "order must be a positive integer, got 0"),
    "grad of grad": (lambda: it.grad(it.grad(U)), TypeError, "must be a scalar, got the vector"),
    "grad times grad": (lambda: it.grad(U) * it.grad(U), TypeError, r"with dot\(a, b\), not with \*"),
    "grad plus number": (lambda: it.grad(U) + 1, TypeError, "must be a vector"),
    "dot with scalar": (lambda: it.dot(3, it.grad(U)), TypeError, "first argument of dot must be a vector"),
    "mixed inner": (lambda: it.inner(U, it.grad(V)), TypeError, "two vectors or two scalars"),
    "indicator of bool": (lambda: it.indicator(X_AXIS == 3), TypeError, "must be a SymPy relation .* got False"),
    "indicator of number": (lambda: it.indicator(3), TypeError, "must be a SymPy relation"),
    "indicator of symbol": (lambda: it.indicator(X), TypeError, "must be a SymPy relation"),
    "indicator of equality": (lambda: it.indicator(sympy.Eq(X, 3)), ValueError, "built from <, <=, >, >="),
    "derivative of indicator": (lambda: it.diff(it.indicator(X > 0), X_AXIS), ValueError, "an indicator jumps"),
}

CONDITIONS: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "comparison": (lambda: [U == 0], TypeError, r"conditions\[0\] must be made by u.on\(...\) == value .* got False"),
    "no list": (lambda: 3, TypeError, r"conditions must be a list such as"),
    "another unknown": (lambda: [W.on(X_AXIS) == 0], ValueError, r"conditions\[0\] is about another unknown"),
    "contradiction": (
        lambda: [U.on(X_AXIS) == 0, U.on(Y_AXIS) == 1],
        ValueError,
        "contradict each other on x.start and y.start: .* one demands u = 0, the other 1; values must agree",
    ),
    "contradiction along an edge": (
        lambda: [U.on(X_AXIS.end) == Y, U.on(Y_AXIS.end) == X / 2 + 0.001],
        ValueError,
        "contradict each other on x.end and y.end: at x=2, y=1",
    ),
    "same face twice": (
        lambda: [U.on(X_AXIS.start) == 0, U.on(X_AXIS.start) == Y],
        ValueError,
        "contradict each other on x.start",
    ),
    "indicator": (
        lambda: [U.on(X_AXIS) == it.indicator(Y > 0.5)],
        ValueError,
        r"on a part of a face only, because of indicator\(y > 0.5\)",
    ),
    "corner": (lambda: [U.at(x=-1, y=0) == 0], ValueError, r"u.at\(x=-1, y=0\) is a part of a face"),
    "inside": (lambda: [U.at(x=0) == 0], ValueError, "x must be an end of its axis, -1 or 2, got 0"),
    "at nothing": (lambda: [U.at() == 0], ValueError, r"u.at\(\) needs one axis"),
    "at an unknown axis": (lambda: [U.at(q=0) == 0], ValueError, "no axis is called 'q', the axes are x, y"),
    "at a string": (lambda: [U.at(x="left") == 0], TypeError, "x must be a number, got 'left'"),
    "on nothing": (lambda: [U.on() == 0], ValueError, "needs axes, faces"),
    "on a word": (lambda: [U.on("top") == 0], ValueError, "a set of faces is called 'boundary'; got 'top'"),
    "on a foreign axis": (lambda: [U.on(T_AXIS) == 0], ValueError, r"axis t must be one of the axes of u \(x, y\)"),
    "on a number": (lambda: [U.on(3) == 0], TypeError, "takes axes, faces .* got 3"),
    "not equal": (lambda: [U.on(X_AXIS) != 0], TypeError, "written u on x.start, x.end == value, not !="),
    "value as string": (lambda: [U.on(X_AXIS) == "0"], TypeError, "must be a number or a SymPy expression, got '0'"),
    "value with u": (lambda: [U.on(X_AXIS) == U], ValueError, "must not contain unknowns"),
    "value not finite": (lambda: [U.on(X_AXIS) == np.nan], ValueError, "must be finite, got nan"),
    "value array": (lambda: [U.on(X_AXIS) == np.zeros(3)], TypeError, "must be a number or a SymPy expression"),
    "value infinite at a node": (lambda: [U.on(X_AXIS) == 1 / Y], ValueError, "condition u = 1/y .* finite"),
    "value with q": (lambda: [U.on(X_AXIS) == Q], ValueError, "the value of u on x.start, x.end: unknown symbol q"),
}


@pytest.mark.parametrize("name", FORMS)
def test_forms_are_refused(name: str) -> None:
    make, error, message = FORMS[name]
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize("name", LANGUAGE)
def test_words_of_the_language_are_refused(name: str) -> None:
    make, error, message = LANGUAGE[name]
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize("name", CONDITIONS)
def test_conditions_are_refused(name: str) -> None:
    make, error, message = CONDITIONS[name]
    with pytest.raises(error, match=message):
        it.Problem(weak=A, conditions=make())


def test_a_value_that_has_a_kink_along_a_curve_on_the_face_is_refused() -> None:
    u = it.unknown("u", X_AXIS, Y_AXIS, T_AXIS)
    value = sympy.Abs(Y - T)
    with pytest.raises(ValueError, match=r"condition u = Abs\(t - y\) .* the factor Abs\(.*\) couples the axes y, t"):
        it.Problem(strong=it.laplacian(u), conditions=[u.on(X_AXIS) == value])


@pytest.mark.parametrize("axis", [P_AXIS, C_AXIS])
def test_periodic_and_discrete_axes_have_no_faces(axis: it.Axis) -> None:
    u = it.unknown("u", X_AXIS, axis)
    with pytest.raises(ValueError, match=f"the axis {axis.name} is (periodic|discrete): it has no faces"):
        u.on(axis)


def test_a_problem_without_boundary_says_so() -> None:
    with pytest.raises(ValueError, match="has no boundary"):
        it.unknown("u", P_AXIS).on("boundary")


def test_values_that_agree_where_faces_meet_pass() -> None:
    conditions = [
        U.on(X_AXIS.start) == 0,
        U.on(X_AXIS.end) == 3 * Y,
        U.on(Y_AXIS.end) == X + 1,
        U.on(Y_AXIS.start) == 0,
    ]
    problem = it.Problem(weak=A, conditions=conditions)
    assert [len(condition.faces) for condition in problem.conditions] == [2, 1, 1]  # equal values are joined


def test_a_condition_has_no_truth_value() -> None:
    with pytest.raises(TypeError, match="no truth value"):
        bool(U.on(X_AXIS) == 0)
