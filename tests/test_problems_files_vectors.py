"""Vectors, several unknowns and face terms in problem files: the same problems as in Python, and refusals."""

from __future__ import annotations

import time
from typing import Any

import pytest
import sympy
from sympy import pi, sin

import inntd as it
from inntd.problems.toml import parse_problem

AXES = """
[axes.x]
domain = [0, 1]
elements = 6
[axes.y]
domain = [0, 2]
elements = 6
"""
VECTOR = AXES + "[axes.c]\ncomponents = 2\n[unknown]\naxes = ['c', 'x', 'y']\n"
X_AXIS, Y_AXIS, C_AXIS = it.Axis("x", 0, 1, elements=6), it.Axis("y", 0, 2, elements=6), it.Axis.discrete("c", 2)
X, Y = X_AXIS._sympy_(), Y_AXIS._sympy_()
U, V = it.unknown("u", C_AXIS, X_AXIS, Y_AXIS), it.test_function()


def same(file_text: str, problem: it.Problem) -> None:
    """Compare a problem file with a problem in Python, term by term."""
    read = parse_problem(file_text).problem
    assert set(read.operator) == set(problem.operator)
    assert set(read.load) == set(problem.load)
    assert [(c.component, c.value.terms, [str(f.side) + f.axis.name for f in c.faces]) for c in read.conditions] == [
        (c.component, c.value.terms, [str(f.side) + f.axis.name for f in c.faces]) for c in problem.conditions
    ]


def stress(w: Any) -> Any:
    strain = it.sym(it.grad(w))
    return 3 * it.tr(strain) * it.identity() + 2 * strain


ELASTICITY = (
    VECTOR
    + """
[problem]
strong = "-div(sigma) + div(sigma_exact)"
[problem.where]
strain = "sym(grad(u))"
sigma = "3*tr(strain)*identity() + 2*strain"
strain_exact = "sym(grad(exact))"
sigma_exact = "3*tr(strain_exact)*identity() + 2*strain_exact"
"""
)


def test_elasticity_with_an_exact_solution() -> None:
    text = "exact = ['x*(1 - x)*sin(pi*y)', 'x*y']\n" + ELASTICITY + "[[conditions]]\non='boundary'\nvalue='exact'\n"
    exact = [X * (1 - X) * sin(pi * Y), X * Y]
    problem = it.Problem(
        strong=-it.div(stress(U)) + it.div(stress(exact)), conditions=[U.on("boundary") == exact], exact=exact
    )
    same(text, problem)
    assert parse_problem(text).problem.exact.terms == problem.exact.terms


def test_a_list_of_equations_and_components_of_their_own() -> None:
    text = (
        VECTOR
        + """
[problem]
strong = ["-laplacian(u[0]) + x*u[1] - 1", "-div((1 + x)*grad(u[1])) - sin(y)"]
[[conditions]]
on = "x"
component = 1
value = "y"
[[conditions]]
on = ["y.start"]
value = [0, "x*0"]
[[conditions]]
flux = ["y.end"]
component = 0
value = "5*(2 - u[0])"
"""
    )
    problem = it.Problem(
        strong=[-it.laplacian(U[0]) + X * U[1] - 1, -it.div((1 + X) * it.grad(U[1])) - sin(Y)],
        conditions=[U[1].on(X_AXIS) == Y, U.on(Y_AXIS.start) == [0, 0], U[0].flux(Y_AXIS.end) == 5 * (2 - U[0])],
    )
    same(text, problem)


def test_weak_forms_with_face_terms() -> None:
    text = (
        VECTOR
        + """
[problem]
weak = "inner(sigma, sym(grad(v))) + dot(transpose(grad(u))[0] - [1, x], v) - faces"
[problem.where]
faces = "on(y.end, x.end, dot([1, y], v)) - on(y.start, 3*u[1]*v[1])"
sigma = "2*sym(grad(u))"
[[conditions]]
on = "x.start"
value = 0
"""
    )
    faces = it.on(Y_AXIS.end, X_AXIS.end, it.dot([1, Y], V)) - it.on(Y_AXIS.start, 3 * U[1] * V[1])
    problem = it.Problem(
        weak=it.inner(2 * it.sym(it.grad(U)), it.sym(it.grad(V))) + it.dot(it.grad(U).T[0] - [1, X], V) - faces,
        conditions=[U.on(X_AXIS.start) == 0],
    )
    same(text, problem)


def test_whole_axes_and_the_boundary_as_faces() -> None:
    text = AXES + "[problem]\nweak = 'dot(grad(u), grad(v)) - on(x, v) + on(boundary, u*v)'\n"
    u = it.unknown("u", X_AXIS, Y_AXIS)
    same(text, it.Problem(weak=it.dot(it.grad(u), it.grad(V)) - it.on(X_AXIS, V) + it.on("boundary", u * V)))


def test_several_unknowns() -> None:
    text = (
        AXES
        + """
[[unknown]]
name = "u"
components = 2
[[unknown]]
name = "p"
[problem]
strong = ["-div(2*sym(grad(u)) - p*identity()) - [1, x]", "div(u) + p"]
[[conditions]]
unknown = "u"
on = "boundary"
value = "exact"
[[conditions]]
unknown = "p"
on = "boundary"
value = "exact"
"""
    )
    u, p = it.unknown("u", C_AXIS, X_AXIS, Y_AXIS), it.unknown("p", X_AXIS, Y_AXIS)
    problem = it.Problem(
        strong=[-it.div(2 * it.sym(it.grad(u)) - p * it.identity()) - [1, X], it.div(u) + p],
        conditions=[u.on("boundary") == [Y, 0], p.on("boundary") == X],
    )
    same("exact = ['y', 0, 'x']\n" + text, problem)


def test_several_unknowns_in_a_weak_form() -> None:
    text = (
        AXES
        + """
[[unknown]]
name = "a"
[[unknown]]
name = "b"
test = "w"
[problem]
weak = "dot(grad(a), grad(v_a)) + b*v_a + dot(grad(b), grad(w)) - x*w"
[[conditions]]
unknown = "a"
on = "x"
value = 0
[[conditions]]
unknown = "b"
on = "x"
value = 0
"""
    )
    a, b = it.unknown("a", X_AXIS, Y_AXIS), it.unknown("b", X_AXIS, Y_AXIS)
    v, w = it.test_function("v"), it.test_function("w")
    weak = it.dot(it.grad(a), it.grad(v)) + b * v + it.dot(it.grad(b), it.grad(w)) - X * w
    same(text, it.Problem(weak=weak, conditions=[a.on(X_AXIS) == 0, b.on(X_AXIS) == 0]))


def test_parameters_and_time_in_a_file() -> None:
    text = (
        AXES
        + """
[axes.k]
domain = [1, 2]
elements = 4
kind = "parameter"
[axes.t]
domain = [0, 1]
elements = 4
kind = "time"
[unknown]
components = 2
[problem]
strong = "dt(u) - k*laplacian(u) + dot(grad(u), [1, k]) - [k, t]"
[[conditions]]
at = {t = 0}
value = ["k*x", 0]
[[conditions]]
on = "x.start"
value = ["0", "k*t"]
"""
    )
    k, t = it.Axis("k", 1, 2, elements=4, kind="parameter"), it.Axis("t", 0, 1, elements=4, kind="time")
    u = it.unknown("u", C_AXIS, X_AXIS, Y_AXIS, k, t)
    problem = it.Problem(
        strong=it.dt(u) - k * it.laplacian(u) + it.dot(it.grad(u), [1, k]) - [k, t],
        conditions=[u.at(t=0) == [k * X_AXIS, 0], u.on(X_AXIS.start) == [0, k * t]],
    )
    same(text, problem)


REFUSALS = {
    "weak vector": (VECTOR + "[problem]\nweak='grad(u)'", r"a number or a scalar expression is expected, got a matrix"),
    "face": (VECTOR + "[problem]\nweak='x.end'", "is expected, got a face"),
    "no axis": (VECTOR + "[problem]\nweak='on(q.end, v[0])'", "q is no axis, so it has no face end"),
    "attribute": (VECTOR + "[problem]\nweak='u.T'", "attribute access is not allowed"),
    "index": (
        VECTOR + "[problem]\nstrong=['u[2]', 'u[0]']",
        r"unknown name u\[2\]; a member of the family is written u\[0\]|did you mean u\[.\]",
    ),
    "component": (
        VECTOR + "[problem]\nstrong='u'\n[[conditions]]\non='x'\ncomponent=2\nvalue=0",
        "component must be an integer from 0 to 1, got 2",
    ),
    "component of a scalar": (
        AXES + "[problem]\nstrong='laplacian(u)'\n[[conditions]]\non='x'\ncomponent=0\nvalue=0",
        "component is given, but u is a scalar",
    ),
    "length of a value": (
        VECTOR + "[problem]\nstrong='u'\n[[conditions]]\non='x'\nvalue=[0, 1, 2]",
        "must have 2 components, got 3",
    ),
    "two places": (
        AXES + "[problem]\nstrong='laplacian(u)'\n[[conditions]]\non='x'\nflux='x'\nvalue=0",
        "needs a value and one of on, at and flux",
    ),
    "whose condition": (
        AXES + "[[unknown]]\nname='a'\n[[unknown]]\nname='b'\n[problem]\nstrong=['a', 'b']\n"
        "[[conditions]]\non='x'\nvalue=0",
        "unknown must be one of a, b, got None",
    ),
    "number of equations": (VECTOR + "[problem]\nstrong=['u[0]']", "a list of 2 equations, one per component of u"),
    "scalar equation": (VECTOR + "[problem]\nstrong='div(u)'", "strong must be a vector with 2 components"),
    "components": (AXES + "[unknown]\ncomponents=1000", "components must be an integer from 1 to 100, got 1000"),
    "component axis with a mesh": (AXES + "[axes.c]\ncomponents=2\nelements=3", "unknown key 'elements'"),
    "taken name": (AXES + "[[unknown]]\nname='a'\n[[unknown]]\nname='a'", "name must be a word that is not taken"),
    "list plus number": (VECTOR + "[problem]\nstrong='[1, 2] + 3'", "take no arithmetic"),
    "list of vectors": (VECTOR + "[problem]\nstrong='[u, u]'", "a list holds scalars, or lists as rows"),
    "exact of the wrong length": (
        "exact=['x']\n" + VECTOR + "[problem]\nstrong='u'\n[[conditions]]\non='x'\nvalue='exact'",
        "exact must have 2 components, got 1",
    ),
    "nonlinear": (VECTOR + "[problem]\nweak='dot(dot(grad(u), u), v)'", "linear in the unknown u.*inntd.pinn"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_mistakes_in_files_are_refused(name: str) -> None:
    text, message = REFUSALS[name]
    with pytest.raises(ValueError, match=message):
        parse_problem(text)


@pytest.mark.parametrize(
    "expression",
    [
        "dot(" + "+".join(["grad(u[0])"] * 2000) + ", " + "+".join(["x*grad(v[0])", "grad(v[1])"] * 800) + ")",
        "dot(" * 70 + "u" + ", v)" * 70,
        "tr(" + "sym(" * 65 + "grad(u)" + ")" * 65 + ")*v[0]",
        "inner([" + ",".join(["[x, y]"] * 2000) + "], grad(v))",
    ],
)
def test_large_expressions_end_soon(expression: str) -> None:
    begin = time.process_time()
    with pytest.raises(ValueError, match=r"^problem file.{,4000}$"):
        parse_problem(VECTOR + f"[problem]\nweak = '{expression} + dot(u, v)'")
    assert time.process_time() - begin < 5


def test_sympy_knows_no_vectors_of_files() -> None:
    """Names of vectors stand for our own tensors, whose products are refused by name."""
    with pytest.raises(ValueError, match="two vectors are multiplied with dot"):
        parse_problem(VECTOR + "[problem]\nweak = 'u*u'")
    assert isinstance(U[0], sympy.Expr)
