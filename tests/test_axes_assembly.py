"""Matrices and loads against quadrature, scikit-fem and closed forms; narrow and broken functions; banded algebra."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from math import erf, pi, sqrt

import numpy as np
import pytest
import skfem
from conformance import BasisConformance
from hypothesis import given
from hypothesis import strategies as st
from skfem.helpers import d as derivative

import inntd as it
from inntd.axes import (
    BandedMatrix,
    QuadratureWarning,
    advection,
    load,
    mass,
    matrix,
    quadrature_points,
    stiffness,
)
from inntd.axes.quadrature import gauss

NODES = np.cumsum(np.random.default_rng(5).uniform(0.3, 1.0, 21))

AXES = {
    "uniform": it.Axis("x", 0, 2, elements=20),
    "linear": it.Axis("x", nodes=NODES, basis=it.LinearBasis()),
    "nonuniform": it.Axis("x", nodes=NODES, s=[1 + i % 3 for i in range(21)]),
    "periodic": it.Axis("x", nodes=NODES, periodic=True, s=2),
    "small ring": it.Axis("x", 0, 1, elements=8, periodic=True, s=3),  # several bands fall on one column
    "breaks": it.Axis("x", 0, 2, elements=20, breaks=[0.8], s=3),
    "cubic": it.Axis("x", nodes=NODES, basis=it.CHiDeNNBasis(s=2, a=2.0, kernel="cubic")),
    "gaussian": it.Axis("x", nodes=NODES, basis=it.CHiDeNNBasis(s=2, a=2.0, kernel="gaussian")),
}


def weight(x):
    return 1.5 + np.sin(3 * x) / (1 + x**2)


def dense_oracle(axis, trial, test, function=np.ones_like):
    """Quadrature with many points on many parts of every piece, as one dense product."""
    xi, w = np.polynomial.legendre.leggauss(30)
    breaks = axis.table.breaks
    half = 0.5 * np.diff(breaks)
    x = (0.5 * (breaks[:-1] + breaks[1:])[:, None] + half[:, None] * xi).ravel()
    weights = (half[:, None] * w).ravel() * function(x)
    rows, columns = (BasisConformance.dense(axis, x, order) for order in (test, trial))
    return rows.T @ (weights[:, None] * columns)


@pytest.mark.parametrize("name", AXES)
@pytest.mark.parametrize(("trial", "test"), [(0, 0), (1, 1), (1, 0), (0, 1), (2, 0), (2, 2)])
def test_matrices_equal_dense_quadrature(name, trial, test):
    axis = AXES[name]
    for function, expected in (
        (None, dense_oracle(axis, trial, test)),
        (weight, dense_oracle(axis, trial, test, weight)),
    ):
        got = matrix(axis, trial, test, function)
        np.testing.assert_allclose(got.toarray(), expected, atol=1e-13 * np.abs(expected).max() + 1e-15)
        if trial == test:
            assert got.symmetric
        np.testing.assert_array_equal(got.T.toarray(), got.toarray().T)


@pytest.mark.parametrize("name", AXES)
@pytest.mark.parametrize("test", [0, 1])
def test_loads_equal_dense_quadrature(name, test):
    axis = AXES[name]
    functions = [weight, np.cos, lambda x: 2.0]
    expected = np.stack(
        [dense_oracle(axis, 0, test, f).sum(axis=1) for f in (weight, np.cos, lambda x: np.full_like(x, 2.0))], axis=1
    )
    got = load(axis, functions, test)
    np.testing.assert_allclose(got, expected, atol=1e-13 * np.abs(expected).max())
    np.testing.assert_array_equal(load(axis, np.cos, test), got[:, [1]])


@pytest.mark.parametrize("name", AXES)
def test_stiffness_and_advection_annihilate_constants(name):
    axis = AXES[name]
    one = np.ones(axis.size)
    K, C = stiffness(axis), advection(axis)
    np.testing.assert_allclose(K @ one, 0.0, atol=1e-13 * np.abs(K.band).max())
    np.testing.assert_allclose(C @ one, 0.0, atol=1e-13)
    ends = np.zeros((axis.size, axis.size))
    if not axis.periodic:
        ends[0, 0], ends[-1, -1] = -1.0, 1.0
    np.testing.assert_allclose(C.toarray() + C.toarray().T, ends, atol=1e-13)  # integration by parts
    assert (mass(axis) @ one).sum() == pytest.approx(axis.domain[1] - axis.domain[0], rel=1e-14)


@pytest.mark.parametrize("weighted", [False, True])
def test_linear_elements_equal_scikit_fem(weighted):
    axis = AXES["linear"]
    basis = skfem.Basis(skfem.MeshLine(axis.nodes), skfem.ElementLineP1(), intorder=20)
    order = np.argsort(basis.doflocs[0])
    factor = weight if weighted else np.ones_like
    forms = {
        (0, 0): skfem.BilinearForm(lambda u, v, w: factor(w.x[0]) * u * v),
        (1, 1): skfem.BilinearForm(lambda u, v, w: factor(w.x[0]) * derivative(u)[0] * derivative(v)[0]),
        (1, 0): skfem.BilinearForm(lambda u, v, w: factor(w.x[0]) * derivative(u)[0] * v),
    }
    for (trial, test), form in forms.items():
        expected = form.assemble(basis).toarray()[order][:, order]
        got = matrix(axis, trial, test, weight if weighted else None).toarray()
        np.testing.assert_allclose(got, expected, atol=1e-13)
    expected = skfem.LinearForm(lambda v, w: factor(w.x[0]) * v).assemble(basis)[order]
    np.testing.assert_allclose(load(axis, factor)[:, 0], expected, atol=1e-13)


@pytest.mark.parametrize("count", [1, 2, 3, 8, 17, 40])
def test_gauss_rules_equal_numpy(count):
    points, weights = gauss(count)
    expected = np.polynomial.legendre.leggauss(count)
    np.testing.assert_allclose(points, expected[0], atol=1e-15)
    np.testing.assert_allclose(weights, expected[1], atol=1e-14)
    np.testing.assert_array_equal(points, -points[::-1])


@given(st.integers(0, 25), st.integers(1, 9))
def test_quadrature_points_are_exact_to_their_order(order, elements):
    axis = it.Axis("x", -1, 2, elements=elements, basis=it.LinearBasis())
    x, w = quadrature_points(axis, order)
    assert np.all(np.diff(x) > 0)
    assert float(w @ x**order) == pytest.approx((2.0 ** (order + 1) - (-1.0) ** (order + 1)) / (order + 1), rel=1e-12)


def gaussian_bump(centre, width):
    return lambda x: np.exp(-(((x - centre) / width) ** 2) / 2)


@pytest.mark.parametrize("elements", [1, 7, 32, 300])
@pytest.mark.parametrize("width", [1e-1, 1e-3, 2e-4])
@pytest.mark.parametrize("centre", [0.0, 0.31271, 0.5, 1.0])
def test_narrow_functions_are_integrated_to_round_off(elements, width, centre):
    axis = it.Axis("x", 0, 1, elements=elements)
    bump = gaussian_bump(centre, width)
    scale = width * sqrt(pi / 2)
    exact = scale * (erf((1 - centre) / width / sqrt(2)) - erf(-centre / width / sqrt(2)))
    assert load(axis, bump).sum() == pytest.approx(exact, rel=1e-13)
    assert matrix(axis, weight=bump).toarray().sum() == pytest.approx(exact, rel=1e-13)


def test_narrow_and_smooth_functions_go_together():
    axis = it.Axis("x", 0, 1, elements=20)
    functions = [np.sin, gaussian_bump(0.4, 1e-3), np.cos, gaussian_bump(0.7, 2e-3)]
    together = load(axis, functions)
    for i, function in enumerate(functions):
        np.testing.assert_array_equal(together[:, [i]], load(axis, function))


class Step:
    """1 beyond a point, with that point told or not."""

    def __init__(self, at, told):
        self.at, self.calls = at, 0
        if told:
            self.breaks = (at,)

    def __call__(self, x):
        self.calls += x.size
        return (x > self.at) * 1.0


@given(st.floats(0.001, 0.999), st.integers(1, 40))
def test_jumps_are_found_and_split_where_told(at, elements):
    axis = it.Axis("x", 0, 1, elements=elements, basis=it.LinearBasis())
    told, untold = Step(at, True), Step(at, False)
    exact = [(1 - at), (1 - at**2) / 2]
    for step in (told, untold):
        b = load(axis, step)[:, 0]
        assert [b.sum(), b @ axis.nodes] == pytest.approx(exact, rel=1e-13)
        w = matrix(axis, weight=step)
        assert [w.toarray().sum(), axis.nodes @ (w @ np.ones(axis.size))] == pytest.approx(exact, rel=1e-13)
    assert told.calls <= 1.05 * untold.calls  # a jump may fall where halving finds it by luck


def test_told_jumps_cost_less():
    axis = it.Axis("x", 0, 1, elements=10)
    told, untold = Step(0.3127, True), Step(0.3127, False)
    np.testing.assert_allclose(load(axis, told), load(axis, untold), atol=1e-15)
    assert told.calls < untold.calls


def test_singular_integrands_are_refined_at_the_ends():
    axis = it.Axis("x", 0, 1, elements=5)
    assert load(axis, np.sqrt).sum() == pytest.approx(2 / 3, rel=1e-14)
    assert load(axis, np.log).sum() == pytest.approx(-1.0, rel=1e-12)
    assert load(axis, lambda x: np.abs(x - 0.377)).sum() == pytest.approx((0.377**2 + 0.623**2) / 2, rel=1e-14)
    with pytest.warns(QuadratureWarning, match="not integrated to round-off near x = "):
        assert load(axis, lambda x: x**-0.5).sum() == pytest.approx(2.0, rel=1e-6)


def test_noise_ends_the_refinement_and_chaos_is_said():
    axis = it.Axis("x", 0, 1, elements=10)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        noisy = load(axis, lambda x: np.sin(x) + 1e-13 * np.sin(1e9 * x)).sum()
    assert noisy == pytest.approx(1 - np.cos(1), rel=1e-12)
    rng = np.random.default_rng(0)
    with pytest.warns(
        QuadratureWarning, match=r"axis 'x': a function is not integrated to round-off near x = .*attribute `breaks`"
    ):
        load(axis, lambda x: rng.uniform(size=x.shape))


def test_functions_that_are_not_finite_are_refused():
    axis = it.Axis("pressure", 0, 1, elements=10)
    with pytest.raises(ValueError, match=r"axis 'pressure': a function must be finite, got nan at pressure = "):
        load(axis, lambda x: np.sqrt(x - 0.5))
    with pytest.raises(ValueError, match="one real number per point"):
        matrix(axis, weight=lambda x: np.stack([x, x]))


def test_bad_orders_are_refused():
    axis = it.Axis("x", 0, 1, elements=10)
    with pytest.raises(ValueError, match="trial must be an integer of at least 0, got -1"):
        matrix(axis, -1)
    with pytest.raises(TypeError, match="test must be"):
        load(axis, np.sin, 0.5)


def test_discrete_axes_sum():
    c = it.Axis.discrete("c", 5)
    np.testing.assert_array_equal(mass(c).toarray(), np.eye(5))
    np.testing.assert_array_equal(matrix(c, weight=lambda i: i).toarray(), np.diag(np.arange(5.0)))
    np.testing.assert_array_equal(load(c, [lambda i: i, lambda i: 1]), np.stack([np.arange(5.0), np.ones(5)], 1))
    np.testing.assert_array_equal(quadrature_points(c, 3), [np.arange(5.0), np.ones(5)])
    with pytest.raises(ValueError, match="axis 'c' is discrete: trial must be 0, got 1"):
        stiffness(c)


@dataclass(frozen=True)
class Wave:
    """A function that is a value: equal ones may share results."""

    frequency: float
    calls: list = None  # type: ignore[assignment]

    def __call__(self, x):
        CALLS.append(self.frequency)
        return np.sin(self.frequency * x)


CALLS: list[float] = []


def test_results_are_shared_between_equal_axes_and_equal_functions():
    x, y = it.Axis("x", 0, 1.25, elements=10), it.Axis("y", 0, 1.25, elements=10)
    assert mass(x) is mass(y)
    assert matrix(x, weight=Wave(2.0)) is matrix(y, weight=Wave(2.0))
    first = load(x, [Wave(2.0), Wave(3.0)])
    CALLS.clear()
    np.testing.assert_array_equal(load(y, [Wave(3.0), Wave(2.0)]), first[:, ::-1])
    assert CALLS == []


def test_functions_known_by_identity_are_evaluated_anew():
    class Drifting:
        level = 1.0

        def __call__(self, x):
            return np.full_like(x, self.level)

    axis, function = it.Axis("x", 0, 1, elements=10), Drifting()
    before = load(axis, function).sum()
    function.level = 2.0
    assert load(axis, function).sum() == pytest.approx(2 * before)
    assert matrix(axis, weight=function).toarray().sum() == pytest.approx(2.0)


def test_long_axes_are_treated_piece_by_piece():
    axis = it.Axis("x", 0, 1, elements=150_000)
    assert load(axis, np.exp).sum() == pytest.approx(np.e - 1, rel=1e-13)
    K, one = stiffness(axis), np.ones(axis.size)
    assert not (K @ one).any()  # to the last bit: see make_rows_exact in the core
    w = matrix(axis, weight=np.exp)
    assert one @ (w @ one) == pytest.approx(np.e - 1, rel=1e-13)


@st.composite
def banded(draw):
    n, b = draw(st.integers(1, 12)), draw(st.integers(0, 5))
    periodic = draw(st.booleans())
    rng = np.random.default_rng(draw(st.integers(0, 2**31)))
    band = rng.normal(size=(n, 2 * b + 1))
    dense = np.zeros((n, n))
    for i in range(n):
        for k in range(-b, b + 1):
            if periodic:
                dense[i, (i + k) % n] += band[i, b + k]
            elif 0 <= i + k < n:
                dense[i, i + k] = band[i, b + k]
            else:
                band[i, b + k] = 0.0
    return BandedMatrix(band, periodic), dense, rng


@given(banded())
def test_banded_matrices_equal_dense_ones(case):
    A, dense, rng = case
    np.testing.assert_allclose(A.toarray(), dense, atol=1e-15)
    np.testing.assert_allclose(A.tosparse().toarray(), dense, atol=1e-15)
    np.testing.assert_allclose(A.T.toarray(), dense.T, atol=1e-15)
    X = rng.normal(size=(len(dense), 3))
    np.testing.assert_allclose(A @ X, dense @ X, atol=1e-13)
    np.testing.assert_allclose(A @ X[:, 0], dense @ X[:, 0], atol=1e-13)
    np.testing.assert_allclose((2.5 * A).toarray(), 2.5 * dense, atol=1e-14)
    np.testing.assert_allclose((A + A.T).toarray(), dense + dense.T, atol=1e-14)
    assert (A + A.T).symmetric
    assert A.symmetric == np.array_equal(A.band, A.T.band)
    if A.periodic:
        return
    for keep in (rng.random(len(dense)) < 0.6, np.arange(len(dense)) > len(dense) // 2):
        np.testing.assert_allclose(A.restrict(keep).toarray(), dense[np.ix_(keep, keep)], atol=1e-15)
    wider = BandedMatrix(np.pad(A.band, ((0, 0), (2, 2))))
    np.testing.assert_allclose((A + wider).toarray(), 2 * dense, atol=1e-15)


def test_banded_matrices_refuse_what_does_not_fit():
    A = BandedMatrix(np.ones((4, 3)), periodic=True)
    assert A.restrict(np.ones(4, dtype=bool)) is A
    with pytest.raises(ValueError, match="keep must be all True on a periodic matrix"):
        A.restrict(np.array([False, True, True, True]))
    with pytest.raises(ValueError, match="keep must be 4 booleans"):
        A.restrict(np.ones(3, dtype=bool))
    with pytest.raises(ValueError, match=r"needs an array \(4,\) or \(4, m\), got shape \(3,\)"):
        A @ np.ones(3)
    with pytest.raises(ValueError, match=r"float64 array of shape \(n, 2b\+1\), got float64 of shape \(4, 2\)"):
        BandedMatrix(np.ones((4, 2)))
    with pytest.raises(ValueError, match="same shape and period"):
        A + BandedMatrix(np.ones((4, 3)))
