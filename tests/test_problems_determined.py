"""Systems with conditions that are missing, too many or contradictory are refused before anything is assembled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import inntd as it
from inntd.problems.determined import coarse_kernels
from inntd.problems.toml import parse_problem

X, Y, Z = (it.Axis(name, 0, 1, elements=8) for name in "xyz")
T = it.Axis("t", 0, 1, elements=8, kind="time")
K = it.Axis("k", 1, 4, elements=6, kind="parameter")
C = it.Axis.discrete("c", 2)

U, P = it.unknown("U", C, X, Y), it.unknown("p", X, Y)
W, Q = it.test_function("W"), it.test_function("q")
A, B, H = (it.unknown(name, X, Y) for name in "abh")
S, D = it.unknown("s", X), it.unknown("d", X)
F, G = it.unknown("f", X, T), it.unknown("g", X, T)
M, N = it.unknown("m", T), it.unknown("n", T)
E, R = it.unknown("e", C, X, Y), it.test_function("r")
SK, DK = it.unknown("s", X, K), it.unknown("d", X, K)


def stokes(conditions: list[Any], extra: Any = 0) -> it.Problem:
    form = it.inner(it.grad(U), it.grad(W)) - P * it.div(W) - Q * it.div(U) - W[0] * Y
    return it.Problem(weak=form + extra, conditions=conditions)


def darcy(*conditions: Any) -> it.Problem:
    strong = [A + it.diff(H, X), B + it.diff(H, Y), it.diff(A, X) + it.diff(B, Y) - 1]
    return it.Problem(strong=strong, conditions=conditions)


def mixed(*conditions: Any) -> it.Problem:
    """s = d', -s' = 1."""
    return it.Problem(strong=[S - it.diff(D, X), -it.diff(S, X) - 1], conditions=conditions)


def waves(*conditions: Any) -> it.Problem:
    strong = [it.dt(F) + it.diff(G, X), it.dt(G) + it.diff(F, X)]
    return it.Problem(strong=strong, conditions=[F.at(t=0) == 0, G.at(t=0) == 0, *conditions])


def oscillator(*conditions: Any) -> it.Problem:
    return it.Problem(strong=[it.dt(M) - N, it.dt(N) + M], conditions=conditions)


def elastic(*conditions: Any) -> it.Problem:
    strain = it.sym(it.grad(E))
    form = it.inner(it.sym(it.grad(R)), it.tr(strain) * it.identity() + 2 * strain) - R[0]
    return it.Problem(weak=form, conditions=conditions)


def parametric(*conditions: Any) -> it.Problem:
    return it.Problem(strong=[SK - K * it.diff(DK, X), -it.diff(SK, X) - 1], conditions=conditions)


NO_SLIP = U.on(X, Y) == [0, 0]
OUTFLOW = U.on(X.start, Y) == [0, 0]
STABILISED = -1e-3 * it.dot(it.grad(P), it.grad(Q))
SOUND: dict[str, Callable[[], it.Problem]] = {
    "flow with an outlet": lambda: stokes([OUTFLOW], STABILISED),
    "flow with a pressure at the outlet": lambda: stokes([OUTFLOW, P.on(X.end) == 0]),
    "enclosed flow of a slightly compressible fluid": lambda: stokes([NO_SLIP], -1e-3 * P * Q),
    "pressure head given": lambda: darcy(H.on(X, Y) == 0),
    "head and flux": lambda: darcy(H.on(X) == 0, B.on(Y) == 0),
    "mixed, both values": lambda: mixed(D.on(X) == 0),
    "mixed, value and flux": lambda: mixed(D.on(X.start) == 0, S.on(X.end) == 0),
    "mixed, both at one end": lambda: mixed(D.on(X.start) == 0, S.on(X.start) == 0),
    "mixed, for all parameters": lambda: parametric(DK.on(X) == 0),
    "waves between walls": lambda: waves(F.on(X) == 0),
    "waves, one of each": lambda: waves(F.on(X.start) == 0, G.on(X.end) == 0),
    "oscillator": lambda: oscillator(M.at(t=0) == 1, N.at(t=0) == 0),
    "oscillator with a goal": lambda: oscillator(M.at(t=0) == 1, N.at(t=1) == 0),
    "clamped": lambda: elastic(E.on(X.start) == [0, 0]),
    "rollers": lambda: elastic(E[0].on(X.start) == 0, E[1].on(Y.start) == 0),
    "plate": lambda: it.Problem(
        strong=[-it.laplacian(A) - B, -it.laplacian(B) - 1], conditions=[A.on(X, Y) == 0, B.on(X, Y) == 0]
    ),
    "clamped plate": lambda: it.Problem(
        strong=[-it.laplacian(B) - 1, -it.laplacian(A) - B], conditions=[A.on(X, Y) == 0]
    ),
}
OPEN: dict[str, tuple[Callable[[], it.Problem], str]] = {
    "level of a pressure": (
        lambda: stokes([NO_SLIP], STABILISED),
        r"any constant may be added to p, .* prescribe p on a face, or add .* small multiple of p\*q$",
    ),
    "bases that do not fit": (
        lambda: stokes([OUTFLOW]),
        r"whole functions of p are open: .* bases of equal order for p .* multiple of dot\(grad\(p\), grad\(q\)\)",
    ),
    "both": (lambda: stokes([NO_SLIP]), "any constant may be added to p, .* bases of equal order for p"),
    "fluxes given all around": (lambda: darcy(A.on(X) == 0, B.on(Y) == 0), "any constant may be added to h"),
    "no condition": (darcy, "missing: .* first order in x for a, h and take 2 conditions on x.start and x.end .* none"),
    "one too few": (lambda: mixed(D.on(X.start) == 0), "for s, d and take 2 conditions .* got 1: d on x.start; add"),
    "fluxes only": (lambda: mixed(S.on(X) == 0), "any constant may be added to d"),
    "with a parameter": (parametric, "first order in x for s, d and take 2 conditions .* got none"),
    "waves without walls": (waves, "first order in x for f, g and take 2 conditions .* got none"),
    "waves with one wall": (lambda: waves(F.on(X.start) == 0), "got 1: f on x.start; add some"),
    "in the order of other unknowns": (
        lambda: it.Problem(strong=[it.diff(S, X) + 1, it.diff(D, X) - S], conditions=[D.on(X) == 0]),
        "have 1 solution with s, d; .* not listed in the order of their unknowns",
    ),
    "free rotation": (lambda: elastic(E[0].on(X.start) == 0), r"any constant may be added to e\[1\]"),
    "free body": (elastic, r"any constant may be added to e\[0\], e\[1\]"),
    "one equation twice": (
        lambda: it.Problem(strong=[it.laplacian(A) + B, it.laplacian(A) + B], conditions=[A.on(X, Y) == 0]),
        "whole functions of a, b are open: an equation follows from the others",
    ),
    "one algebraic equation twice": (lambda: it.Problem(strong=[A + B - 1, 2 * A + 2 * B]), "undetermined"),
}
CONTRADICTIONS: dict[str, tuple[Callable[[], it.Problem], str]] = {
    "head and flux at once": (
        lambda: darcy(H.on(X, Y) == 0, A.on(X.start) == 0),
        "take 2 conditions on x.start and x.end together, got 3: h on x.start, h on x.end, a on x.start; leave",
    ),
    "three of two": (lambda: mixed(D.on(X) == 0, S.on(X.start) == 0), "got 3: d on x.start"),
    "everything": (lambda: mixed(D.on(X) == 0, S.on(X) == 0), "take 2 conditions .* got 4"),
    "all of the waves": (lambda: waves(F.on(X) == 0, G.on(X) == 0), "first order in x for f, g .* got 4"),
    "initial and final": (
        lambda: oscillator(M.at(t=0) == 1, N.at(t=0) == 0, M.at(t=1) == 3),
        "first order in t for m, n and take 2 conditions on t.start and t.end together, got 3",
    ),
}


@pytest.mark.parametrize("name", SOUND)
def test_systems_with_the_right_conditions_are_accepted(name: str) -> None:
    SOUND[name]()


@pytest.mark.parametrize("name", OPEN)
def test_systems_with_missing_conditions_are_refused(name: str) -> None:
    make, message = OPEN[name]
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_systems_with_too_many_conditions_are_refused(name: str) -> None:
    make, message = CONTRADICTIONS[name]
    with pytest.raises(ValueError, match=f"conditions contradict each other: .*{message}"):
        make()


def test_the_dimension_of_the_kernel_is_that_of_the_homogeneous_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    """A free body in the plane has three rigid motions; -s' = 0, s = d' without conditions has the lines."""
    monkeypatch.setattr("inntd.problems.problem.check_determined", lambda *_: None)
    monkeypatch.setattr("inntd.problems.problem.check_counts", lambda *_: None)
    for problem, dimension in ((elastic(), 3), (elastic(E[0].on(X.start) == 0), 1), (mixed(), 2), (parametric(), 2)):
        kernels = coarse_kernels(problem.setting, problem.axes, problem.operator, problem.conditions)
        assert [kernel.dimension for kernel in kernels] == [dimension, dimension]
    for make in SOUND.values():
        problem = make()
        kernels = coarse_kernels(problem.setting, problem.axes, problem.operator, problem.conditions)
        assert not all(kernel.dimension for kernel in kernels)


def test_what_was_refused_is_solved_with_the_remedy() -> None:
    """The enclosed flow with a small multiple of the pressure: the velocity is that of the stabilised outlet's kind."""
    problem = stokes([NO_SLIP], STABILISED - 1e-6 * P * Q)
    answer = it.solve(problem, tolerance=1e-4, rank=40)
    assert answer.converged
    assert abs(float(answer.fields["p"].mean("x", "y"))) < 1e-6 * float(answer.fields["p"].norm())


def test_problem_files_name_what_is_missing() -> None:
    text = """
    axes = {x = {domain = [0, 1], elements = 8}}
    unknown = [{name = "s"}, {name = "d"}]
    problem = {strong = ["s - diff(d, x)", "-diff(s, x) - 1"]}
    conditions = [{unknown = "d", on = "x.start", value = 0}]
    """
    with pytest.raises(ValueError, match=r"^problem file: conditions are missing: .* take 2 .* got 1: d on x.start"):
        parse_problem(text)
    found = parse_problem(text.replace('"x.start"', '"x"')).problem
    x = np.linspace(0, 1, 11)
    fields = it.solve(found, tolerance=1e-8).fields
    np.testing.assert_allclose(fields["d"].grid(x=x), x * (1 - x) / 2, atol=1e-9)
