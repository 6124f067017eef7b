"""Indicators that never switch, parameters that nothing depends on, breaks that do not fit on the mesh."""

from __future__ import annotations

import pytest
import sympy
from doubtful import K, X, Y, diffusion, parameters, silence

import inntd as it


@pytest.mark.parametrize(
    ("relation", "message"),
    [
        (X > 5, r"indicator\(x > 5\) is constant on the axis x from 0 to 1: its break at 5 lies outside"),
        ((X > -1) & (X < 2), r"constant on the axis x from 0 to 1: its breaks at (-1, 2|2, -1) lie outside"),
        ((X > 5) & (Y > 0.5), "constant on the axis x from 0 to 1"),
        (sympy.exp(X) > 5, "it has no break there; mend the relation, or the axis"),
    ],
)
def test_indicators_that_never_switch_are_told(relation, message):
    with pytest.warns(it.StabilityWarning, match=message):
        diffusion(1 + it.indicator(relation))


@pytest.mark.parametrize(
    "relation",
    [X > 0.5, (X > 0.9) & (X < 1.1), X >= 0, X < 1, sympy.sin(sympy.pi * X) > 0, (X + Y > 1) & (X < 7), X + Y < 9],
)
def test_indicators_that_switch_or_end_at_an_end_are_not(relation):
    u, v = it.unknown("u", X, Y), it.test_function()
    found = it.indicator(relation)
    with silence():
        from inntd.problems.omissions import idle_indicators

        assert list(idle_indicators(u.axes, [found * v._sympy_()])) == []


def test_parameters_that_appear_nowhere_are_refused():
    with pytest.raises(ValueError, match="the parameter axis k appears in no coefficient, source or given value"):
        diffusion(1, K)
    with pytest.raises(ValueError, match=r"the parameter axes z\[0\], z\[1\] appear in no"):
        diffusion(1, *parameters(2))
    u = it.unknown("u", X, K)
    with silence():  # in the given values alone
        it.Problem(strong=-it.laplacian(u), conditions=[u.on(X.start) == 0, u.on(X.end) == K])


def test_breaks_that_the_mesh_is_too_coarse_for_are_told():
    x = it.Axis("x", 0, 1, elements=8)
    u = it.unknown("u", x)
    bars = it.indicator(x > 0.3) + it.indicator(x > 0.45) + it.indicator(x > 0.6)
    with pytest.warns(
        it.StabilityWarning, match=r"3 breaks are too many for its 8 elements: patches cross them, jumps included"
    ):
        it.Problem(strong=-it.div((1 + bars) * it.grad(u)) - 1, conditions=[u.on(x) == 0])
