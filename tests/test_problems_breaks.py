"""Breaks of coefficients and sources reach the axes, and patches that stop there keep their order."""

from __future__ import annotations

import numpy as np
import pytest
import sympy

import inntd as it
from inntd.problems.toml import parse_problem

CONTRAST = 10


def interface(axis: it.Axis, at: float, *, align: bool = True) -> it.Problem:
    """-(k u')' = f with k and f jumping at a point; the flux k u' is cos 8x, plus 3 (x - at) on the right."""
    x, point = sympy.sympify(axis), sympy.Rational(str(at))
    u, v = it.unknown("u", axis), it.test_function()
    left = sympy.sin(8 * x) / 8
    right = left.subs(x, point) + (left - left.subs(x, point) + 3 * (x - point) ** 2 / 2) / CONTRAST
    before, after = it.indicator(x < point), it.indicator(x >= point)
    source = 8 * sympy.sin(8 * x) - 3 * after
    return it.Problem(
        weak=(before + CONTRAST * after) * it.diff(u, axis) * it.diff(v, axis) - source * v,
        conditions=[u.on(axis.start) == 0, u.on(axis.end) == right.subs(x, 1)],
        exact=before * left + after * right,
        align=align,
    )


def slope(s: int, meshes: tuple[int, ...], at: float, *, align: bool = True) -> float:
    errors = []
    for n in meshes:
        problem = interface(it.Axis("x", 0, 1, elements=n, s=s), at, align=align)
        errors.append(float(it.solve(problem, rank=1, progress=False).model.error(problem.exact)))
    return -float(np.polyfit(np.log(meshes), np.log(errors), 1)[0])


@pytest.mark.parametrize("at", [0.5, 0.3137])
@pytest.mark.parametrize(("s", "meshes"), [(1, (20, 40, 80)), (2, (32, 64, 128)), (3, (32, 44, 60)), (4, (36, 44, 52))])
def test_interfaces_keep_the_order(s, meshes, at):
    assert slope(s, meshes, at) >= 2 * s + 1


@pytest.mark.parametrize("s", [1, 4])
def test_patches_that_cross_an_interface_lose_it(s):
    assert slope(s, (20, 40, 80), 0.5, align=False) < 1.5


def test_a_break_at_a_node_changes_the_patches_only():
    axis = it.Axis("x", 0, 1, elements=20, unit="m")
    problem = interface(axis, 0.5)
    (new,) = problem.axes
    assert (new.name, new.kind, new.unit, new.breaks) == ("x", "space", "m", (0.5,))
    np.testing.assert_array_equal(new.nodes, axis.nodes)
    assert problem.unknown.axes == (axis,)
    assert axis.breaks == ()
    assert problem.notes == ("axis x: break at 0.5",)
    assert "20 elements, break at 0.5" in problem.describe()
    assert interface(axis, 0.5, align=False).axes == (axis,)
    broken = it.Axis("x", 0, 1, elements=20, breaks=[0.5])
    assert interface(broken, 0.5).axes == (broken,)  # nothing to do


def test_a_break_between_nodes_moves_nodes():
    axis = it.Axis("x", 0, 1, elements=20)
    problem = interface(axis, 0.3137)
    (new,) = problem.axes
    assert new.elements == 20
    assert 0.3137 in new.nodes
    assert np.abs(new.nodes - axis.nodes).max() < 0.5 / 20
    assert problem.notes == ("axis x: break at 0.3137, where the mesh had no node: nodes moved",)
    assert all(note in problem.describe() for note in problem.notes)
    model = it.solve(problem, rank=1, progress=False).model
    exact = problem.exact(np.array([[0.2]]))[0]
    assert float(model.at(x=0.2)) == pytest.approx(exact, rel=1e-4)
    assert float(model.mean(axis)) == pytest.approx(float(model.mean("x")))  # the user's axis still names it
    with pytest.raises(ValueError, match="axis must be one of x, got 'x'"):
        model.mean(it.Axis("x", 0, 2, elements=4))


def test_sources_periodic_seams_and_initial_values_break_axes_too():
    x = it.Axis("x", 0, 1, elements=20, periodic=True)
    t = it.Axis("t", 0, 1, elements=20, kind="time")
    u = it.unknown("u", x, t)
    tent = sympy.Abs(sympy.sympify(x) - sympy.Rational(2, 5))
    source = it.indicator(t < 0.3) * (1 + sympy.sympify(x))
    problem = it.Problem(strong=it.dt(u) - it.laplacian(u) - source, conditions=[u.at(t=0) == tent * (1 - tent)])
    assert [axis.breaks for axis in problem.axes] == [(0.0, 0.4), (0.3,)]
    (condition,) = problem.conditions
    assert condition.faces[0].axis is problem.axes[1]
    assert condition.value.axes == problem.axes
    assert it.solve(problem, tolerance=1e-4, progress=False).status == "converged"


def test_functions_with_very_many_breaks_are_left_to_the_quadrature():
    x = it.Axis("x", 0, 1, elements=30)
    u = it.unknown("u", x)
    wild = sympy.Abs(sympy.sin(60 * sympy.sympify(x)))
    problem = it.Problem(strong=-it.laplacian(u) - wild - it.indicator(x > 0.25), conditions=[u.on(x) == 0])
    assert problem.axes[0].breaks == (0.25,)
    assert "axis x: 19 breaks are too many for its 30 elements" in problem.notes[0]


@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("periodic", [False, True])
def test_meshes_with_breaks_keep_ends_old_breaks_and_order(given, periodic):
    random = np.random.default_rng(3)
    for _ in range(50):
        old = np.cumsum(0.2 + random.random(12))
        options = {"nodes": old} if given else {"start": old[0], "stop": old[-1], "elements": 11, "grading": 1.7}
        first = it.Axis("x", **options, periodic=periodic, s=[1 + i % 3 for i in range(12 - periodic)])
        axis = it.Axis("x", nodes=first.nodes, periodic=periodic, breaks=[first.nodes[4]], basis=first.basis)
        axis = axis if given else first.with_breaks([first.nodes[4]])
        points = np.sort(old[0] + (old[-1] - old[0]) * random.random(3))
        new = axis.with_breaks(points)
        assert new.domain == axis.domain
        assert set(points) | {first.nodes[4]} == set(new.breaks)
        assert np.all(np.diff(new.nodes) > 0)
        assert set(new.breaks) <= set(new.nodes)
        assert axis.elements <= new.elements <= axis.elements + 3
        if given:
            kept = np.isin(axis.nodes, new.nodes).sum()
            assert kept >= len(axis.nodes) - 3  # only the nearest move
        assert new.with_breaks(points) is new
        assert it.Axis.from_dict(new.to_dict()).key == new.key


def test_axes_refuse_breaks_that_cannot_be():
    with pytest.raises(ValueError, match=r"axis 'x': breaks must lie in \[0.0, 1.0\], got 1 outside"):
        it.Axis("x", 0, 1, elements=9).with_breaks([2.0])
    with pytest.raises(ValueError, match="'c' is discrete: it has no patches"):
        it.Axis.discrete("c", 3).with_breaks([1.0])
    with pytest.raises(TypeError, match="align must be True or False, got 1"):
        interface(it.Axis("x", 0, 1, elements=20), 0.5, align=1)


def test_problem_files_switch_it_off():
    text = """
    axes = {x = {domain = [0, 1], elements = 20}}
    problem = {strong = "-laplacian(u) - indicator(x > 0.33)"%s}
    conditions = [{on = "boundary", value = 0}]
    """
    assert parse_problem(text % "").problem.axes[0].breaks == (0.33,)
    assert parse_problem(text % ", align = false").problem.axes[0].breaks == ()
    with pytest.raises(ValueError, match="align must be True or False, got 'no'"):
        parse_problem(text % ', align = "no"')
