"""Mistakes with vectors, components and several unknowns are refused by name, before anything is assembled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import sympy

import inntd as it

X_AXIS, Y_AXIS = it.Axis("x", 0, 1, elements=4), it.Axis("y", 0, 1, elements=4)
T_AXIS = it.Axis("t", 0, 1, elements=4, kind="time")
C_AXIS, D_AXIS = it.Axis.discrete("c", 2), it.Axis.discrete("d", 3)
X, Y = X_AXIS._sympy_(), Y_AXIS._sympy_()
U, V = it.unknown("u", C_AXIS, X_AXIS, Y_AXIS), it.test_function()
LONG = it.unknown("q", D_AXIS, X_AXIS, Y_AXIS)
W = it.unknown("w", C_AXIS, X_AXIS, Y_AXIS, T_AXIS)
S, P = it.unknown("s", X_AXIS, Y_AXIS), it.unknown("p", X_AXIS, Y_AXIS)
A = it.inner(it.grad(U), it.grad(V))


def weak(added: Any, conditions: Any = ()) -> it.Problem:
    return it.Problem(weak=A + added, conditions=conditions)


Case = tuple[Callable[[], Any], type[Exception], str]
SHAPES: dict[str, Case] = {
    "vector times vector": (lambda: U * U, TypeError, r"multiplied with dot\(a, b\), not with \*"),
    "vector times test function": (lambda: weak(U * V), TypeError, "a term added to a vector must be a vector"),
    "test function alone": (lambda: weak(3 * V), ValueError, r"a vector of 2 and a scalar cannot be added: 3\*v"),
    "test functions multiplied": (
        lambda: weak(V * it.dot(U, V)),
        ValueError,
        "linear in the test",
    ),
    "power": (lambda: U**2, TypeError, "has no power; use dot"),
    "division": (lambda: 1 / U, TypeError, "nothing can be divided by the vector u"),
    "vector plus number": (lambda: U + 1, TypeError, "must be a vector"),
    "vector plus matrix": (lambda: U + it.grad(U), TypeError, "must be a vector, got the matrix grad"),
    "vector plus test gradient": (
        lambda: weak(it.dot(it.grad(V), U)),
        ValueError,
        "a vector of 2 and a scalar cannot be added",
    ),
    "lists of different lengths": (
        lambda: weak(it.inner(it.grad(U) - [[1, 2, 3], [4, 5, 6]], it.grad(V))),
        ValueError,
        "same shape, got a 2 x 3 matrix and a 2 x 2 matrix",
    ),
    "dot of different lengths": (lambda: weak(it.dot([1, 2, 3], V)), ValueError, "must have 2 components.*got 3"),
    "dot of a scalar": (lambda: it.dot(S, V), TypeError, "first argument of dot must be a vector"),
    "inner of vector and matrix": (lambda: it.inner(U, it.grad(U)), TypeError, "inner needs two vectors or two"),
    "inner of test functions' shapes": (
        lambda: weak(it.inner(it.grad(U), V)),
        ValueError,
        "same shape, got a 2 x 2 matrix and a vector of 2",
    ),
    "trace of a vector": (lambda: it.tr(U), TypeError, "the argument of tr must be a matrix.*got the vector u"),
    "trace of a test vector's values": (lambda: it.tr(it.grad(V[0])), TypeError, "must be a matrix"),
    "symmetric part of a scalar's gradient": (lambda: it.sym(it.grad(S)), TypeError, "must be a matrix"),
    "not square": (
        lambda: it.Problem(weak=it.inner(it.sym(it.grad(LONG)), it.grad(V))),
        ValueError,
        "needs a square matrix, got a 3 x 2 matrix: the vector must have one component per space axis",
    ),
    "divergence of three components in the plane": (
        lambda: it.Problem(weak=it.inner(it.grad(LONG), it.grad(V)) + it.div(LONG) * V[0]),
        ValueError,
        r"must have 2 components, one per space axis \(x, y\), got 3",
    ),
    "divergence of a scalar": (lambda: it.div(S), TypeError, "the argument of div must be a vector"),
    "gradient of a gradient": (lambda: it.grad(it.grad(U)), TypeError, "must be a scalar, got the matrix"),
    "ragged matrix": (
        lambda: weak(it.inner([[1, 2], [3]], it.grad(V))),
        ValueError,
        "rows .* must have the same length",
    ),
    "mixed list": (
        lambda: it.dot([1, [2, 3]], V),
        TypeError,
        "must be a vector",
    ),
    "negative index": (lambda: it.grad(U)[-1], TypeError, "must be an integer, 0 or more, got -1"),
    "entry beyond the end": (lambda: weak(it.grad(U)[0, 2] * V[0]), ValueError, "index .* between 0 and 1, got 2"),
    "derivative along components": (lambda: it.diff(U, C_AXIS), ValueError, "the axis c is discrete"),
    "component axis as a coordinate": (lambda: weak(C_AXIS * V[0]), ValueError, "unknown symbol c"),
    "two component axes": (lambda: it.unknown("u", C_AXIS, D_AXIS), ValueError, "several axes of kind 'component'"),
}
COMPONENTS: dict[str, Case] = {
    "index beyond the end": (lambda: U[2], IndexError, "component of u must be between 0 and 1, got 2"),
    "negative": (lambda: U[-1], IndexError, "must be between 0 and 1, got -1"),
    "not a number": (lambda: U["x"], TypeError, "the component of u must be an integer, got 'x'"),
    "of a scalar": (lambda: S[0], TypeError, r"the unknown s is a scalar .*Axis.discrete\(name, size\)"),
    "of a test function": (lambda: weak(V[2]), ValueError, r"component of v must be between 0 and 1, got v\[2\]"),
    "of a scalar's test function": (
        lambda: it.Problem(weak=S * V[0]),
        ValueError,
        r"v\[0\] is a component of v, which belongs to a scalar",
    ),
    "iterating a test function": (lambda: list(V), TypeError, "not iterable"),
    "undetermined": (
        lambda: it.Problem(weak=U[0] * V[0] + U[0] * V[1]),
        ValueError,
        r"no term holds u\[1\]: the problem leaves it undetermined",
    ),
    "untested": (lambda: it.Problem(weak=it.div(U) * V[0]), ValueError, r"tested with v\[1\]"),
}
FORMS: dict[str, Case] = {
    "weak vector": (lambda: it.Problem(weak=it.grad(U)), TypeError, "weak must be a scalar, got the matrix"),
    "scalar for a vector": (
        lambda: it.Problem(strong=it.div(U)),
        TypeError,
        r"strong must be a vector with 2 components, as u is one, got the scalar div\(u\)",
    ),
    "matrix for a vector": (lambda: it.Problem(strong=it.grad(U)), TypeError, "got the matrix"),
    "too few equations": (
        lambda: it.Problem(strong=[U[0]]),
        ValueError,
        "a list of 2 equations, one per component of u, got 1",
    ),
    "vectors as equations": (lambda: it.Problem(strong=[U, U]), ValueError, r"strong\[0\] must be a scalar"),
    "one equation for two": (
        lambda: it.Problem(strong=S + P),
        ValueError,
        r"a list of 2 equations, one per unknown \(s, p\), got 1",
    ),
    "vector equation of a scalar": (
        lambda: it.Problem(strong=[it.grad(S), P]),
        TypeError,
        r"strong\[0\], the equation of s, must be a scalar expression",
    ),
    "one test function for two": (
        lambda: it.Problem(weak=S * V + P * V),
        ValueError,
        "2 test functions, one per unknown, got v",
    ),
    "different axes": (
        lambda: it.Problem(strong=[S, it.unknown("r", X_AXIS)]),
        ValueError,
        r"the same axes in the same order, got s\(x, y\) and r\(x\)",
    ),
    "equal names": (
        lambda: it.Problem(strong=[S, it.unknown("s", X_AXIS, Y_AXIS)]),
        ValueError,
        "need different names, got s, s",
    ),
    "nonlinear convection": (
        lambda: it.solve(it.Problem(strong=it.dot(it.grad(U), U) - it.laplacian(U))),
        ValueError,
        r"linear in the unknown u, got the term dot\(grad\(u\), u\).*PINN mode, inntd.pinn",
    ),
    "product of two unknowns": (
        lambda: it.solve(it.Problem(strong=[S * P, P])),
        ValueError,
        "linear in the unknown p and s, got the term .*; nonlinear problems are for the PINN mode",
    ),
    "exact of one component": (
        lambda: it.Problem(strong=U, exact=X),
        ValueError,
        r"exact must be a list of 2 expressions, one each for u\[0\], u\[1\], got x",
    ),
    "exact with unknowns": (lambda: it.Problem(strong=U, exact=[X, U[0]]), ValueError, "exact must not contain"),
    "exact with a stranger": (
        lambda: it.Problem(strong=U, exact=[X, sympy.Symbol("z")]),
        ValueError,
        "exact: unknown symbol z",
    ),
}
LAPLACE = it.laplacian(U)
CONDITIONS: dict[str, Case] = {
    "too many values": (lambda: U.on(X_AXIS) == [1, 2, 3], ValueError, "must have 2 components, got 3"),
    "list for a component": (lambda: U[0].on(X_AXIS) == [1, 2], TypeError, r"u\[0\] on x.start, x.end .* got the list"),
    "list for a scalar": (lambda: S.on(X_AXIS) == [1, 2], TypeError, "must be a number or a SymPy expression"),
    "condition on a derivative": (
        lambda: it.diff(U[0], X_AXIS).on(Y_AXIS),
        ValueError,
        r"on diff\(u\[0\], x\) must stand on faces of the axis in which it is the first derivative, got y.start",
    ),
    "condition on a test function": (lambda: V[0].on(X_AXIS), TypeError, "conditions are about unknowns"),
    "contradiction of one component": (
        lambda: it.Problem(strong=LAPLACE, conditions=[U.on(X_AXIS.start) == 0, U[1].on(Y_AXIS) == 1]),
        ValueError,
        r"contradict each other on x.start and y.start: at x=0, y=0 one demands u\[1\] = 0, the other 1",
    ),
    "another problem's unknown": (
        lambda: it.Problem(strong=LAPLACE, conditions=[S.on(X_AXIS) == 0]),
        ValueError,
        "about another unknown",
    ),
    "initial value of one component": (
        lambda: it.Problem(strong=it.dt(W) - it.laplacian(W), conditions=[W[0].at(t=0) == 0]),
        ValueError,
        r"needs an initial condition for w\[1\]; add w\[1\].at\(t=0\) == value",
    ),
}


@pytest.mark.parametrize("name", SHAPES)
def test_shapes(name: str) -> None:
    make, kind, message = SHAPES[name]
    with pytest.raises(kind, match=message):
        make()


@pytest.mark.parametrize("name", COMPONENTS)
def test_components(name: str) -> None:
    make, kind, message = COMPONENTS[name]
    with pytest.raises(kind, match=message):
        make()


@pytest.mark.parametrize("name", FORMS)
def test_forms(name: str) -> None:
    make, kind, message = FORMS[name]
    with pytest.raises(kind, match=message):
        make()


@pytest.mark.parametrize("name", CONDITIONS)
def test_conditions(name: str) -> None:
    make, kind, message = CONDITIONS[name]
    with pytest.raises(kind, match=message):
        make()


def test_a_component_that_does_not_evolve_needs_no_initial_value() -> None:
    """An algebraic equation beside an evolution equation."""
    problem = it.Problem(
        strong=[it.dt(W[0]) - it.laplacian(W[0]) - W[1], W[1] - X * W[0]], conditions=[W[0].at(t=0) == 0]
    )
    assert [condition.component for condition in problem.conditions] == [0]


def test_conditions_of_different_components_may_differ_where_faces_meet() -> None:
    problem = it.Problem(strong=LAPLACE, conditions=[U[0].on(X_AXIS.start) == 0, U[1].on(Y_AXIS) == 1])
    assert len(problem.conditions) == 2
