"""Bases: nodal, adding up to one, exact for polynomials, smooth; and equal to their definition in 60 digits."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from basis_oracle import KERNELS, values
from conformance import BasisConformance
from hypothesis import given
from hypothesis import strategies as st

import inntd as it
from inntd._kernels import core

RANDOM_NODES = np.cumsum(np.random.default_rng(3).uniform(0.5, 1.5, 24)) - 3.0


class TestLinear(BasisConformance):
    continuous = 0

    def make_axis(self):
        return it.Axis("x", -1, 2, elements=9, basis=it.LinearBasis())


class TestLinearPeriodic(BasisConformance):
    continuous, reproduced = 0, 0

    def make_axis(self):
        return it.Axis("x", nodes=RANDOM_NODES, periodic=True, basis=it.LinearBasis())


@pytest.mark.parametrize("s", [1, 2, 3, 4, 6])
class TestLagrangeUniform(BasisConformance):
    @pytest.fixture
    def axis(self, s):
        self.reproduced, self.tolerance = 2 * s, 1e-14 * 4**s
        return it.Axis("x", 0, 0.3, elements=20, s=s)


class TestLagrangeNonuniform(BasisConformance):
    reproduced, tolerance = 6, 1e-12

    def make_axis(self):
        return it.Axis("x", nodes=RANDOM_NODES)


class TestLagrangeGraded(BasisConformance):
    reproduced, tolerance = 4, 1e-12

    def make_axis(self):
        return it.Axis("t", 0, 0.04, elements=30, grading=2, kind="time", s=2)


class TestLagrangeNodewise(BasisConformance):
    reproduced, tolerance = 2, 1e-12

    def make_axis(self):
        return it.Axis("x", nodes=RANDOM_NODES, s=[1 + i % 4 for i in range(24)])


class TestLagrangeTruncated(BasisConformance):
    reproduced = 3  # a patch cut off at an end keeps s + 1 nodes

    def make_axis(self):
        return it.Axis("x", 0, 1, elements=20, basis=it.CHiDeNNBasis(s=3, ends="truncated"))


class TestLagrangePeriodic(BasisConformance):
    reproduced, tolerance = 0, 1e-12

    def make_axis(self):
        return it.Axis("x", nodes=RANDOM_NODES, periodic=True)


class TestLagrangeBreaks(BasisConformance):
    reproduced, tolerance = 4, 1e-12

    def make_axis(self):
        return it.Axis("x", 0, 3, elements=24, breaks=[1.0, 2.25], s=2)


class TestLagrangePeriodicBreaks(BasisConformance):
    reproduced, tolerance = 0, 1e-12

    def make_axis(self):
        return it.Axis("x", 0, 3, elements=24, breaks=[1.0, 2.25], s=3, periodic=True)


@pytest.mark.parametrize("kernel", ["cubic", "gaussian"])
@pytest.mark.parametrize(("s", "p", "a"), [(3, 1, 20.0), (2, 3, 1.3), (4, 1, 20.0), (3, 0, 3.0), (2, 4, 0.5)])
class TestRadial(BasisConformance):
    tolerance = 1e-13

    @pytest.fixture
    def axis(self, kernel, s, p, a):
        self.reproduced = p
        return it.Axis("x", 0, 2, elements=16, basis=it.CHiDeNNBasis(s=s, p=p, a=a, kernel=kernel))


@pytest.mark.parametrize("kernel", ["cubic", "gaussian"])
class TestRadialNodewise(BasisConformance):
    tolerance = 1e-12

    @pytest.fixture
    def axis(self, kernel):
        i = np.arange(24)
        basis = it.CHiDeNNBasis(s=1 + i % 3, p=1 + i % 2, a=2.0 + i % 5, kernel=kernel)
        return it.Axis("x", nodes=RANDOM_NODES, breaks=[RANDOM_NODES[9]], basis=basis)


@pytest.mark.parametrize("kernel", ["cubic", "gaussian"])
class TestRadialPeriodic(BasisConformance):
    reproduced, tolerance = 0, 1e-12

    @pytest.fixture
    def axis(self, kernel):
        return it.Axis("x", 0, 6, elements=16, periodic=True, basis=it.CHiDeNNBasis(kernel=kernel))


@st.composite
def meshes(draw):
    """Random nodes, node-wise random s, and a break somewhere at times."""
    count = draw(st.integers(8, 30))
    steps = draw(st.lists(st.floats(0.2, 1.0), min_size=count, max_size=count))
    start = draw(st.floats(-10, 10))
    nodes = start + np.concatenate([[0.0], np.cumsum(steps)])
    s = draw(st.lists(st.integers(1, 3), min_size=count + 1, max_size=count + 1))
    at = draw(st.integers(0, count))
    breaks = (float(nodes[at]),) if 7 <= at <= count - 7 else ()
    return nodes, tuple(s), breaks


@given(meshes(), st.sampled_from(["lagrange", "cubic", "gaussian"]), st.data())
def test_random_meshes_with_nodewise_orders(mesh, kernel, data):
    nodes, s, breaks = mesh
    p = tuple(2 * si if kernel == "lagrange" else data.draw(st.integers(0, 2 * si)) for si in s)
    axis = it.Axis("x", nodes=nodes, breaks=breaks, basis=it.CHiDeNNBasis(s=s, p=p, a=4.0, kernel=kernel))
    x = np.random.default_rng(0).uniform(nodes[0], nodes[-1], 60)
    basis = BasisConformance.dense(axis, x)
    size = max(np.abs(basis).max(), 1.0)
    np.testing.assert_allclose(BasisConformance.dense(axis, nodes), np.eye(len(nodes)), atol=1e-12 * size)
    np.testing.assert_allclose(basis.sum(axis=1), 1.0, atol=1e-12 * size)
    unit = lambda x: (2 * x - nodes[0] - nodes[-1]) / (nodes[-1] - nodes[0])  # noqa: E731
    for degree in range(min(p) + 1):
        np.testing.assert_allclose(basis @ unit(nodes) ** degree, unit(x) ** degree, atol=1e-11 * size)
    # Higher orders are reproduced on the elements whose two nodes both have them.
    element = np.clip(np.searchsorted(nodes, x, side="right") - 1, 0, len(nodes) - 2)
    order = np.minimum(np.array(p)[element], np.array(p)[element + 1])
    nodal = np.polynomial.Legendre.basis(int(order.max()))
    exact = x[order == order.max()]
    np.testing.assert_allclose(
        BasisConformance.dense(axis, exact) @ nodal(unit(nodes)), nodal(unit(exact)), atol=1e-10 * size
    )


def oracle_error(axis: it.Axis, x: float, *, s, p, a, kernel, breaks=()) -> list[float]:
    """Relative errors of values, first and second derivatives of all functions at x."""

    def exact(t):
        return values(axis.nodes, t, s=s, p=p, a=a, kernel=kernel, breaks=breaks, periodic=axis.periodic)

    step = mpmath.mpf(10) ** -11
    before, here, after = exact(mpmath.mpf(x) - step), exact(x), exact(mpmath.mpf(x) + step)
    expected = [
        here,
        [(c - b) / (2 * step) for b, c in zip(before, after, strict=True)],
        [(b - 2 * h + c) / step**2 for b, h, c in zip(before, here, after, strict=True)],
    ]
    errors = []
    for order, numbers in enumerate(expected):
        reference = np.array([float(v) for v in numbers])
        got = BasisConformance.dense(axis, np.array([x]), order)[0]
        errors.append(float(np.abs(got - reference).max() / np.abs(reference).max()))
    return errors


@pytest.mark.parametrize(
    ("kernel", "s", "p", "a"),
    [
        ("lagrange", 1, 2, 1.0),
        ("lagrange", 3, 6, 1.0),
        ("lagrange", 6, 12, 1.0),
        ("cubic", 3, 1, 20.0),
        ("cubic", 3, 2, 1.3),
        ("cubic", 2, 1, 0.5),
        ("gaussian", 2, 1, 20.0),
        ("gaussian", 3, 1, 20.0),
        ("gaussian", 4, 1, 20.0),
        ("gaussian", 3, 1, 0.5),
        ("gaussian", 3, 2, 100.0),
    ],
)
@pytest.mark.parametrize("uniform", [True, False])
def test_values_and_derivatives_equal_the_definition(kernel, s, p, a, uniform):
    nodes = np.linspace(0, 1, 15) if uniform else RANDOM_NODES[:15]
    axis = it.Axis("x", nodes=nodes, basis=it.CHiDeNNBasis(s=s, p=p, a=a, kernel=kernel))
    n = len(nodes)
    for x in (0.32 * nodes[0] + 0.68 * nodes[1], 0.45 * nodes[6] + 0.55 * nodes[7], 0.9 * nodes[-2] + 0.1 * nodes[-1]):
        errors = oracle_error(axis, float(x), s=[s] * n, p=[p] * n, a=[a] * n, kernel=kernel)
        assert errors[0] < 1e-14, errors
        assert errors[1] < 1e-13, errors
        assert errors[2] < 1e-12, errors


@pytest.mark.parametrize("kernel", ["lagrange", *KERNELS])
def test_periodic_and_broken_axes_equal_the_definition(kernel):
    nodes, n = RANDOM_NODES, len(RANDOM_NODES) - 1
    s, a = [1 + i % 3 for i in range(n)], [3.0 + i % 2 for i in range(n)]
    p = [2 * si if kernel == "lagrange" else 1 for si in s]
    basis = it.CHiDeNNBasis(s=s, p=p, a=a, kernel=kernel)
    for breaks in ((), (5, 14)):
        axis = it.Axis("x", nodes=nodes, periodic=True, breaks=[nodes[b] for b in breaks], basis=basis)
        for e in (0, 4, 5, 13, 14, n - 1):
            x = float(0.35 * nodes[e] + 0.65 * nodes[e + 1])
            assert oracle_error(axis, x, s=s, p=p, a=a, kernel=kernel, breaks=breaks)[0] < 1e-14


@pytest.mark.parametrize("kernel", ["lagrange", "cubic"])
def test_breaks_confine_patches(kernel):
    """Functions of one side vanish on the other, and values there do not depend on this side's mesh."""
    axis = it.Axis("x", 0, 2, elements=20, breaks=[1.0], basis=it.CHiDeNNBasis(kernel=kernel))
    left = BasisConformance.dense(axis, np.linspace(0, 0.999, 50))
    right = BasisConformance.dense(axis, np.linspace(1.0, 2.0, 50))
    assert not left[:, 11:].any()
    assert not right[:, :10].any()
    slope = [BasisConformance.dense(axis, np.array([x]), 1)[0, 10] for x in (np.nextafter(1.0, 0), 1.0)]
    assert abs(slope[0] - slope[1]) > 1.0  # the kink that a break is for
    half = it.Axis("x", nodes=axis.nodes[:11], basis=it.CHiDeNNBasis(kernel=kernel))
    alone = BasisConformance.dense(half, np.linspace(0, 0.999, 50))
    np.testing.assert_allclose(left[:, :11], alone, atol=1e-13)


def test_highest_order_radial_is_lagrange():
    axes = [
        it.Axis("x", nodes=RANDOM_NODES, basis=basis)
        for basis in (it.CHiDeNNBasis(s=2), it.CHiDeNNBasis(s=2, p=4, a=3.0, kernel="gaussian"))
    ]
    x = np.linspace(RANDOM_NODES[0], RANDOM_NODES[-1], 101)
    np.testing.assert_allclose(*(BasisConformance.dense(axis, x) for axis in axes), atol=1e-13)


def test_uniform_meshes_share_kinds():
    axis = it.Axis("x", 0, 1, elements=100_000)
    assert len(axis.table.coefficients) == 7  # 3 elements differ at either end
    assert axis.table.uniform
    three = it.Axis("x", nodes=np.concatenate([np.linspace(0, 1, 50), np.linspace(1, 9, 50)[1:]]), breaks=[1.0])
    assert len(three.table.coefficients) < 20
    assert not three.table.uniform


def test_ill_conditioned_kernels_are_refused_with_condition_and_remedy():
    with pytest.raises(ValueError, match=r"axis 'x': .*cond\(G\) = .*smaller a \(got 20\) or s \(got 6\)"):
        it.Axis("x", 0, 1, elements=20, basis=it.CHiDeNNBasis(s=6, kernel="gaussian"))
    a = [1000.0 if i == 7 else 5.0 for i in range(21)]
    with pytest.raises(ValueError, match=r"at node 7 .*smaller a \(got 1000\)"):
        it.Axis("x", 0, 1, elements=20, basis=it.CHiDeNNBasis(s=3, a=a, kernel="gaussian"))


def test_core_reports_the_condition_of_the_moment_matrix():
    n, s, a = 12, 3, 20.0
    nodes = np.linspace(0, 1, n + 1)
    one = np.ones(n + 1)
    _, condition, _, lost = core.build_stencil(
        nodes, (s * one).astype(np.int32), one.astype(np.int32), a * one, "gaussian", True, False, np.empty(0, np.int64)
    )
    r = np.arange(7)[:, None] - np.arange(7)
    moments = mpmath.zeros(9)
    for i in range(7):
        for j in range(7):
            moments[i, j] = mpmath.exp(-((mpmath.mpf(int(r[i, j])) / 20) ** 2))
        moments[i, 7] = moments[7, i] = 1
        moments[i, 8] = moments[8, i] = mpmath.mpf(i - 3) / 3
    exact = mpmath.mnorm(moments, 1) * mpmath.mnorm(moments**-1, 1)
    assert condition == pytest.approx(float(exact), rel=1e-6)
    assert lost < 1e-16


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"s": 0}, "s must be an integer from 1 to 16, got 0"),
        ({"s": 17}, "s must be an integer from 1 to 16, got 17"),
        ({"s": [1, 2, -1]}, r"s\[2\] must be an integer from 1 to 16, got -1"),
        ({"p": 5}, "p must be 2s = 6 with the Lagrange kernel, got p=5 at s=3: leave p out, or choose kernel='cubic'"),
        ({"p": 7, "kernel": "cubic"}, "p must be at most 2s = 6"),
        ({"p": -1, "kernel": "cubic"}, "p must be an integer from 0 to 32, got -1"),
        ({"a": 0.0}, "a must be a positive finite number"),
        ({"a": float("nan")}, "a must be a positive finite number"),
        ({"a": 0.1}, "a must be from 0.5 to 1e"),
        ({"kernel": "cosine"}, "kernel must be one of 'lagrange', 'cubic', 'gaussian', got 'cosine'"),
        ({"ends": "open"}, "ends must be one of"),
        ({"s": [1, 2], "p": [2, 4, 6]}, "one per basis function, got 2 and 3"),
    ],
)
def test_bases_refuse_bad_parameters(arguments, message):
    with pytest.raises(ValueError, match=message):
        it.CHiDeNNBasis(**arguments)


@pytest.mark.parametrize(("name", "value"), [("s", 2.5), ("s", "3"), ("s", True), ("p", 1.5), ("a", "wide")])
def test_bases_refuse_wrong_types(name, value):
    with pytest.raises(TypeError, match=f"^{name} must be"):
        it.CHiDeNNBasis(kernel="cubic", **{name: value})


def test_bases_know_equality():
    assert it.CHiDeNNBasis(s=[1, 2, 1]) == it.CHiDeNNBasis(s=np.array([1, 2, 1]))
    assert it.CHiDeNNBasis(a=5.0).key == it.CHiDeNNBasis().key  # the Lagrange kernel has no dilation
    assert it.CHiDeNNBasis(a=5.0, kernel="cubic").key != it.CHiDeNNBasis(kernel="cubic").key
