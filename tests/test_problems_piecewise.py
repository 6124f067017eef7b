"""Piecewise coefficients, sources and values: SymPy's Piecewise in Python, piecewise(...) in problem files."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import sympy
from sympy import Piecewise, sin

import inntd as it
from inntd.axes import assembly
from inntd.problems.assembler import Assembler
from inntd.problems.expand import Separator
from inntd.problems.toml import parse_problem
from inntd.solvers.operator import assemble

X_AXIS, Y_AXIS = it.Axis("x", 0, 1, elements=20), it.Axis("y", 0, 1, elements=20)
T_AXIS = it.Axis("t", 0, 1, elements=20, kind="time")
X, Y, T = (axis._sympy_() for axis in (X_AXIS, Y_AXIS, T_AXIS))
U, V = it.unknown("u", X_AXIS, Y_AXIS), it.test_function()
W = it.unknown("w", X_AXIS)
JUMP = Piecewise((1, X < 0.37), (10, True))
KINK = Piecewise((1 + X, X < 0.37), (1.37, True))


def bar(strong: Any, **options: Any) -> it.Problem:
    return it.Problem(strong=strong, conditions=[W.on(X_AXIS) == 0], **options)


def test_a_coefficient_and_a_source_in_pieces_against_the_exact_solution() -> None:
    """-(k w')' = f with k = 1, 10 and f = 2, 0: w is a parabola, then a line, and w and k w' are continuous."""
    problem = bar(-it.div(JUMP * it.grad(W)) - Piecewise((2, X < 0.37), (0, True)))
    assert problem.axes[0].breaks == (0.37,)
    # w = q x - x^2 left of 0.37, and (q - 2 0.37) (x - 1) / 10 right of it
    a = 0.37
    q = (a**2 + 2 * a * (1 - a) / 10) / (a + (1 - a) / 10)
    x = np.linspace(0, 1, 201)
    exact = np.where(x < a, q * x - x**2, (q - 2 * a) * (x - 1) / 10)
    np.testing.assert_allclose(it.solve(problem, rank=1).model.grid(x=x), exact, atol=1e-13)


def test_quadrature_splits_elements_between_pieces() -> None:
    """Without aligned nodes the break lies inside an element; the loads add up to the integral of the source."""
    source = Piecewise((X**3, X < 0.371), (5 - X, X < 0.62), (0, True))
    problem = bar(-it.laplacian(W) - source, align=False)
    assert problem.axes[0].breaks == ()
    weight = problem.load[0].forms[0].weight
    assert weight is not None
    found = problem.load[0].coefficient * assembly.load(problem.axes[0], [weight]).sum()
    np.testing.assert_allclose(found, 0.371**4 / 4 + 5 * (0.62 - 0.371) - (0.62**2 - 0.371**2) / 2, rtol=1e-13)


PIECES: dict[str, tuple[sympy.Expr, Callable[[Any, Any], Any], int]] = {
    "value of the other axis": (
        Piecewise((X * Y, X < 0.37), (sin(Y), Y < 0.6), (0, True)),
        lambda x, y: np.select([x < 0.37, y < 0.6], [x * y, np.sin(y)], 0.0),
        2,
    ),
    "joined": (
        Piecewise((2, (X < 0.37) & (Y > 0.2) | (X > 0.9)), (3, sympy.Not((X > 0.5) | (Y < 0.1))), (1, True)),
        lambda x, y: np.select([(x < 0.37) & (y > 0.2) | (x > 0.9), ~((x > 0.5) | (y < 0.1))], [2.0, 3.0], 1.0),
        4,
    ),
    "nonlinear in one axis": (
        Piecewise((Y, X**2 < 0.25), (1, sympy.exp(Y) > 2), (0, True)),
        lambda x, y: np.select([x**2 < 0.25, np.exp(y) > 2], [y, 1.0], 0.0),
        2,
    ),
    "nested": (
        Piecewise((Piecewise((1, Y < 0.3), (X, True)), X < 0.5), (Piecewise((Y, X > 0.8), (4, True)), True)),
        lambda x, y: np.where(x < 0.5, np.where(y < 0.3, 1.0, x), np.where(x > 0.8, y, 4.0)),
        4,
    ),
    "a checkerboard": (
        Piecewise(
            *((1 + (i + j) % 2, ((i + 1) / 6 > X) & ((j + 1) / 6 > Y)) for i in range(6) for j in range(6)), (0, True)
        ),
        lambda x, y: 1.0 + (np.minimum(x * 6 // 1, 5) + np.minimum(y * 6 // 1, 5)) % 2,
        6,
    ),
    "corners": (
        Piecewise(*((i * X, (i / 30 > X) & (i / 40 > Y)) for i in range(1, 30)), (0, True)),
        lambda x, y: np.select([(x < i / 30) & (y < i / 40) for i in range(1, 30)], [i * x for i in range(1, 30)], 0.0),
        60,
    ),
}


@pytest.mark.parametrize("name", PIECES)
def test_pieces_of_two_axes_separate_into_few_products(name: str) -> None:
    expression, function, most = PIECES[name]
    axes = (X_AXIS, Y_AXIS)
    begin = time.process_time()
    found = Assembler(axes).separated(Separator(axes).terms(expression))
    assert time.process_time() - begin < 20
    assert found.rank <= most
    points = np.random.default_rng(1).random((400, 2))
    np.testing.assert_allclose(found(points), function(*points.T), rtol=1e-12, atol=1e-13)


def test_conditions_that_couple_axes_are_separated_numerically_or_refused() -> None:
    source = Piecewise((1, X + Y < 1), (2, True))
    with pytest.raises(ValueError, match=r"couples the axes x, y .* leave a relative error of .* jumps along a curve"):
        it.Problem(strong=-it.laplacian(U) - source, conditions=[U.on(X_AXIS, Y_AXIS) == 0])
    problem = it.Problem(
        strong=-it.laplacian(U) - source, conditions=[U.on(X_AXIS, Y_AXIS) == 0], separation_tolerance=0.1
    )
    assert 0.001 < problem.separations[0].error <= 0.1


def test_pieces_of_the_unknown_are_coefficients() -> None:
    pieces = bar(-it.laplacian(W) + Piecewise((W._sympy_(), X < 0.37), (3 * W._sympy_(), True)) - 1)
    coefficient = bar(-it.laplacian(W) + W * Piecewise((1, X < 0.37), (3, True)) - 1)
    systems = [assemble(problem) for problem in (pieces, coefficient)]
    whole = [
        sum(c * s.matrices[0][t[0]].toarray() for c, t in zip(s.coefficients, s.terms, strict=True)) for s in systems
    ]
    np.testing.assert_allclose(whole[0], whole[1], rtol=1e-12, atol=1e-12)


def test_kinks_may_be_differentiated() -> None:
    """-k w'' = -(k w')' + k' w', by diff, by laplacian, and with the derivative written out."""
    forms = [-KINK * it.laplacian(W), -KINK * it.diff(W, X_AXIS, 2), -it.div(KINK * it.grad(W)) + SLOPE * W.diff(X)]
    forms += [-it.diff(KINK * it.diff(W, X_AXIS), X_AXIS) + SLOPE * it.diff(W, X_AXIS)]
    x = np.linspace(0, 1, 50)
    found = [it.solve(bar(form - 1), rank=1).model.grid(x=x).numpy() for form in forms]
    for other in found[1:]:
        np.testing.assert_allclose(other, found[0], atol=1e-12)


SLOPE = Piecewise((1, X < 0.37), (0, True))
DIFFERENTIATED = r"Piecewise\(.*\) is differentiated in x, but it jumps .* write div\(k\*grad\(u\)\)"
REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "no value": (
        lambda: bar(-it.laplacian(W) - Piecewise((X, X < 0.37))),
        r"strong: Piecewise\(\(x, x < 0.37\)\) has no value at x=0\.\d+, where none of its conditions holds; end",
    ),
    "no value in a corner": (
        lambda: it.Problem(
            strong=-it.laplacian(U) - Piecewise((1, X < 0.9), (2, Y < 0.999)), conditions=[U.on(X_AXIS, Y_AXIS) == 0]
        ),
        r"has no value at x=0\.9\d*, y=0\.999\d*",
    ),
    "no value of a condition": (
        lambda: bar_with(Piecewise((0, Y < 0.5))),
        r"the value of u on x.start.*: Piecewise\(\(0, y < 0.5\)\) has no value at y=",
    ),
    "laplacian": (lambda: bar(-JUMP * it.laplacian(W) - 1), DIFFERENTIATED),
    "second derivative": (lambda: bar(-JUMP * it.diff(W, X_AXIS, 2) - 1), DIFFERENTIATED),
    "diff of a flux": (lambda: bar(-it.diff(JUMP * it.diff(W, X_AXIS), X_AXIS) - 1), DIFFERENTIATED),
    "laplacian of a kink": (lambda: bar(it.laplacian(W) - it.laplacian(KINK)), DIFFERENTIATED),
    "of several axes": (
        lambda: it.Problem(strong=it.laplacian(U) - it.diff(Piecewise((1, X + Y < 1), (2, True)), X_AXIS)),
        r"indicator\(x \+ y >= 1\) is differentiated in x, but it jumps",
    ),
    "value that jumps": (
        lambda: bar_with(Piecewise((1, Y < 0.37), (0, True))),
        r"u = Piecewise\(.*\) on x.start jumps at y=0.37, .* make the value continuous",
    ),
    "nonlinear condition": (
        lambda: it.solve(bar(-it.laplacian(W) - Piecewise((1, W._sympy_() < 0.37), (0, True)))),
        "linear in the unknown w, got the term Piecewise.* PINN mode, inntd.pinn",
    ),
    "nonlinear piece": (
        lambda: it.solve(bar(-it.laplacian(W) - Piecewise((W._sympy_() ** 2, X < 0.37), (0, True)))),
        r"linear in the unknown w, got the term w\*\*2.* PINN mode, inntd.pinn",
    ),
}


def bar_with(value: Any) -> it.Problem:
    return it.Problem(strong=-it.laplacian(U) - 1, conditions=[U.on(X_AXIS.start) == value])


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_meaning_is_refused(name: str) -> None:
    make, message = REFUSED[name]
    with pytest.raises(ValueError, match=message):
        make()


def test_pieces_that_cover_the_axis_need_no_last_one() -> None:
    bar(-it.laplacian(W) - Piecewise((X, X < 0.37), (2, X >= 0.37)))
    bar(-it.laplacian(W) - sympy.sinc(X - 0.5).rewrite(Piecewise))


def test_pieces_that_never_switch_are_told() -> None:
    with pytest.warns(
        it.StabilityWarning, match=r"condition x < 5 of a piecewise .* constant on the axis x .* at 5 lies"
    ):
        bar(-it.laplacian(W) - Piecewise((1, X < 5), (0, True)))


def test_values_may_have_kinks_in_space_and_jumps_in_time() -> None:
    hat = Piecewise((Y / 0.37, Y < 0.37), ((1 - Y) / 0.63, True))
    problem = it.Problem(strong=-it.laplacian(U), conditions=[U.on(X_AXIS.start) == hat, U.on(Y_AXIS) == 0])
    assert problem.axes[1].breaks == (0.37,)
    z = it.unknown("z", X_AXIS, T_AXIS)
    switched = Piecewise((0, T < 0.3), (1, True))
    heat = it.Problem(
        strong=it.dt(z) - it.laplacian(z), conditions=[z.on(X_AXIS.start) == switched * T, z.at(t=0) == 0]
    )
    assert heat.axes[1].breaks == (0.3,)


FILE = """
axes = {{x = {{domain = [0, 1], elements = 20}}, y = {{domain = [0, 1], elements = 20}}}}
[problem]
strong = "-div(k*grad(u)) - f"
where = {{k = "{k}", f = "{f}"}}
[[conditions]]
on = "x.start"
value = "{g}"
[[conditions]]
on = "y"
value = 0
"""


def test_problem_files_say_the_same() -> None:
    text = FILE.format(
        k="piecewise((1, x < 0.37), (10, True))",
        f="piecewise((y, 0.1 < x <= 0.37), (sin(y), x < 0.6 and y > 0.3), (0, True))",
        g="piecewise((y/0.37, y < 0.37), ((1 - y)/0.63, True))",
    )
    source = Piecewise((Y, (X > 0.1) & (X <= 0.37)), (sin(Y), (X < 0.6) & (Y > 0.3)), (0, True))
    hat = Piecewise((Y / 0.37, Y < 0.37), ((1 - Y) / 0.63, True))
    script = it.Problem(
        strong=-it.div(JUMP * it.grad(U)) - source, conditions=[U.on(X_AXIS.start) == hat, U.on(Y_AXIS) == 0]
    )
    problem = parse_problem(text).problem
    assert problem.axes[0].breaks == (0.1, 0.37, 0.6)
    assert problem.axes[1].breaks == (0.3, 0.37)
    assert problem.operator == script.operator
    assert problem.load == script.load
    assert [c.value.terms for c in problem.conditions] == [c.value.terms for c in script.conditions]
    answers = [it.solve(each, tolerance=1e-6).model for each in (problem, script)]
    assert float((answers[0] - answers[1]).norm()) <= 1e-12 * float(answers[0].norm())
