"""Norms and distances keep all digits, on many axes and where modes cancel."""

from __future__ import annotations

import itertools
import math

import mpmath
import numpy as np
import pytest
import scipy.integrate
from conformance_models import Array, basis_matrix
from hypothesis import given
from hypothesis import strategies as st

import inntd as it
from inntd.axes import assembly
from inntd.models import doubled, metric, norms, sweep


def random_blocks(rng: np.random.Generator, axes: int, rows: int, modes: int) -> list[Array]:
    return [rng.standard_normal((rows, modes)) for _ in range(axes)]


def exact_norm(blocks: list[Array], weights: Array) -> mpmath.mpf:
    """Return the norm of a separated tensor with 80 digits, from Gram matrices."""
    with mpmath.workdps(80):
        modes = range(len(weights))
        total = mpmath.mpf(0)
        columns = [[[mpmath.mpf(float(x)) for x in block[:, m]] for m in modes] for block in blocks]
        for m in modes:
            for n in modes:
                term = mpmath.mpf(float(weights[m])) * mpmath.mpf(float(weights[n]))
                for column in columns:
                    term *= mpmath.fdot(column[m], column[n])
                total += term
        return mpmath.sqrt(total)


class TestDoubled:
    """Arithmetic of doubled precision, against integers of any length."""

    def test_products_and_sums_lose_nothing(self) -> None:
        rng = np.random.default_rng(0)
        a, b = rng.standard_normal((2, 200)) * 10.0 ** rng.integers(-8, 8, (2, 200))
        for operation, exactly in ((doubled.two_product, mpmath.fmul), (doubled.two_sum, mpmath.fadd)):
            high, low = operation(a, b)
            for x, y, h, e in zip(a, b, high, low, strict=True):
                assert mpmath.fadd(float(h), float(e), exact=True) == exactly(float(x), float(y), exact=True)

    @given(st.integers(1, 60), st.integers(1, 6), st.integers(0, 1000))
    def test_gram_matrices_have_thirty_digits(self, rows: int, modes: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        matrix = np.ldexp(rng.integers(-(2**40), 2**40, (rows, modes)).astype(float), -40)  # few enough bits
        found = doubled.gram(matrix)
        integers = np.ldexp(matrix, 40).astype(int).astype(object)
        expected = integers.T @ integers
        for i in range(modes):
            for j in range(modes):
                with mpmath.workdps(60):
                    value = mpmath.fadd(float(found.high[i, j]), float(found.low[i, j]), exact=True) * 2**80
                    assert abs(value - int(expected[i, j])) <= mpmath.mpf(2) ** (80 - 100) * rows


class TestSeparatedNorm:
    """`log_norm` against 80 digits, and against the orthogonalising sweep."""

    @given(st.integers(1, 4), st.integers(1, 6), st.integers(1, 4), st.integers(0, 2**31))
    def test_it_is_the_norm_of_the_dense_tensor(self, axes: int, rows: int, modes: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        blocks, weights = random_blocks(rng, axes, rows, modes), rng.standard_normal(modes)
        dense = weights
        for block in blocks:
            dense = dense[..., None, :] * block
        assert math.exp(norms.log_norm(blocks, weights)) == pytest.approx(np.linalg.norm(dense.sum(-1)), rel=1e-9)

    @pytest.mark.parametrize("distance", [1e-4, 1e-8, 1e-12, 1e-14])
    @pytest.mark.parametrize("axes", [2, 5, 60])
    def test_small_differences_keep_their_digits(self, distance: float, axes: int) -> None:
        rng = np.random.default_rng(3)
        blocks = [block / np.linalg.norm(block, axis=0) for block in random_blocks(rng, axes, 6, 3)]
        moved = [block + distance * rng.standard_normal(block.shape) for block in blocks]
        joint = [np.hstack(pair) for pair in zip(blocks, moved, strict=True)]
        weights = np.repeat([1.0, -1.0], 3)
        expected = exact_norm(joint, weights)
        assert abs(math.exp(norms.log_norm(joint, weights)) - float(expected)) <= 1e-15 + 1e-6 * float(expected)

    def test_the_sweep_agrees(self) -> None:
        rng = np.random.default_rng(4)
        blocks = random_blocks(rng, 6, 8, 5)
        left = sweep.prefixes(blocks[:-1])[-1]
        assert np.linalg.norm(left @ blocks[-1].T) == pytest.approx(math.exp(norms.log_norm(blocks)), rel=1e-12)
        for d, after in enumerate(sweep.suffixes(blocks)):
            product = (sweep.absorb(sweep.prefixes(blocks)[d], blocks[d])) @ after.T
            assert np.linalg.norm(product) == pytest.approx(math.exp(norms.log_norm(blocks)), rel=1e-12)

    def test_one_axis_replaced(self) -> None:
        rng = np.random.default_rng(5)
        blocks, others = random_blocks(rng, 5, 4, 3), random_blocks(rng, 5, 6, 3)
        blocks[2][:, 1] = 0.0  # a mode that vanishes but for the replacement
        weights = rng.standard_normal(3)
        found = norms.log_norms_replaced(blocks, [None, *others[1:]], weights)
        assert found[0] == -math.inf
        for d in range(1, 5):
            expected = norms.log_norm([*blocks[:d], others[d], *blocks[d + 1 :]], weights)
            assert found[d] == pytest.approx(expected, rel=1e-12)

    @pytest.mark.parametrize("size", [1e-300, 1e-160, 1.0, 1e160, 1e300])
    def test_no_overflow(self, size: float) -> None:
        block = np.full((2, 2), size)
        expected = 100 * (math.log(size) + 0.5 * math.log(2)) + math.log(2)
        assert norms.log_norm([block] * 100) == pytest.approx(expected, rel=1e-12, abs=1e-10)

    def test_zero_and_not_a_number(self) -> None:
        assert norms.log_norm([np.zeros((3, 2))] * 3) == -math.inf
        assert norms.log_norm([np.ones((3, 2))] * 3, np.zeros(2)) == -math.inf
        assert norms.log_norm([np.ones((3, 2))] * 3, np.array([1.0, -1.0])) == -math.inf
        assert math.isnan(norms.log_norm([np.full((3, 2), np.nan)] * 3))


AXES = [
    lambda name: it.Axis(name, 0, 2, elements=9),
    lambda name: it.Axis(name, 0, 2, elements=9, periodic=True, s=2),
    lambda name: it.Axis(name, 0, 2, elements=7, grading=2, basis=it.LinearBasis()),
    lambda name: it.Axis(name, 0, 2, elements=9, basis=it.CHiDeNNBasis(s=2, kernel="gaussian")),
    lambda name: it.Axis.discrete(name, 4),
]


class TestBlocks:
    """Blocks of one axis against its matrices."""

    @pytest.mark.parametrize("make", AXES)
    @pytest.mark.parametrize("order", [0, 1])
    def test_their_gram_matrix_is_that_of_the_axis(self, make, order: int) -> None:  # type: ignore[no-untyped-def]
        axis = make("x")
        if axis.discrete and order:
            assert not metric.block([metric.Columns(axis, np.ones((4, 2)), 1)]).any()
            return
        factor = np.random.default_rng(0).standard_normal((axis.size, 5))
        found = metric.block([metric.Columns(axis, factor, order)])
        expected = factor.T @ (assembly.matrix(axis, order, order).toarray() @ factor)
        np.testing.assert_allclose(found.T @ found, expected, rtol=1e-11, atol=1e-11 * np.abs(expected).max())

    def test_long_axes_are_taken_in_parts(self, monkeypatch: pytest.MonkeyPatch) -> None:
        axis = it.Axis("x", 0, 1, elements=200)
        columns = [metric.Columns(axis, np.random.default_rng(0).standard_normal((201, 3)))]
        functions = [np.sin, lambda x: np.exp(-(((x - 0.3) / 1e-3) ** 2))]
        whole = metric.block(columns, functions)
        monkeypatch.setattr(metric, "CELLS_AT_ONCE", 16)
        parts = metric.block(columns, functions)
        np.testing.assert_allclose(whole.T @ whole, parts.T @ parts, rtol=1e-8, atol=1e-12)

    @pytest.mark.parametrize("width", [1e-1, 1e-2, 1e-3, 1e-6])
    def test_narrow_functions_are_resolved(self, width: float) -> None:
        axis = it.Axis("x", 0, 1, elements=20)

        def narrow(x: Array) -> Array:
            return np.exp(-(((x - 1 / 3) / width) ** 2))

        if width < 1e-4:  # too narrow to be met by chance
            narrow.breaks = (1 / 3,)  # type: ignore[attr-defined]
        found = metric.block([metric.Columns(axis, np.ones((21, 1)))], [narrow])
        square = width * math.sqrt(math.pi / 8) * (math.erf(2**0.5 * 2 / 3 / width) + math.erf(2**0.5 / 3 / width))
        assert (found.T @ found)[1, 1] == pytest.approx(square, rel=1e-7)

    def test_jumps_are_resolved(self) -> None:
        axis = it.Axis("x", 0, 1, elements=20)
        step = lambda x: np.where(x < 0.37, 1.0, 0.0)  # noqa: E731
        found = metric.block([metric.Columns(axis, np.ones((21, 1)))], [step])
        assert (found.T @ found)[1, 1] == pytest.approx(0.37, rel=1e-9)

    @pytest.mark.parametrize("make", AXES)
    def test_integrals_of_the_basis(self, make) -> None:  # type: ignore[no-untyped-def]
        axis = make("x")
        expected = assembly.mass(axis).toarray().sum(axis=1)
        np.testing.assert_allclose(metric.integrals(axis), expected, atol=1e-12)


def model_pair(elements: int = 9) -> tuple[it.CPModel, it.CPModel]:
    rng = np.random.default_rng(7)
    axes = [it.Axis("x", 0, 1, elements=elements), it.Axis("y", 0, 2, elements=elements), it.Axis.discrete("c", 2)]
    u, v = (it.CPModel.from_factors(axes, [rng.standard_normal((a.size, 3)) for a in axes]) for _ in range(2))
    return u, v


class TestModels:
    """Norms, distances and inner products of models."""

    def test_identities(self) -> None:
        u, v = model_pair()
        for kind in ("L2", "H1"):
            assert u.distance(v, kind) == pytest.approx((u - v).norm(kind), rel=1e-12)  # type: ignore[arg-type]
            assert u.distance(v, kind) == pytest.approx(v.distance(u, kind), rel=1e-12)  # type: ignore[arg-type]
            assert u.distance(u, kind) <= 1e-14 * u.norm(kind)  # type: ignore[arg-type]
            assert (2.5 * u).norm(kind) == pytest.approx(2.5 * u.norm(kind))  # type: ignore[arg-type]
            expected = u.distance(v, kind) / v.norm(kind)  # type: ignore[arg-type]
            assert u.relative_distance(v, kind) == pytest.approx(expected, rel=1e-12)  # type: ignore[arg-type]
        assert u.inner(u) == pytest.approx(u.norm() ** 2, rel=1e-12)
        assert u.inner(v) == pytest.approx(v.inner(u), rel=1e-12)
        assert (u + v).norm() ** 2 == pytest.approx(u.norm() ** 2 + 2 * u.inner(v) + v.norm() ** 2, rel=1e-12)

    @pytest.mark.parametrize("distance", [1e-6, 1e-9, 1e-12, 1e-14])
    def test_half_of_the_digits_are_not_lost(self, distance: float) -> None:
        u, v = model_pair()
        moved = u + distance * v
        assert moved.distance(u) == pytest.approx(distance * v.norm(), rel=1e-3, abs=1e-15 * u.norm())
        assert moved.distance(u, "H1") == pytest.approx(distance * v.norm("H1"), rel=1e-3, abs=1e-15 * u.norm("H1"))

    def test_meshes_may_differ(self) -> None:
        cubic = lambda x: x**3 - x  # noqa: E731
        models = []
        for elements, s in ((9, 3), (7, 2), (12, 4)):
            x, y = it.Axis("x", 0, 1, elements=elements, s=s), it.Axis("y", 0, 2, nodes=None, elements=elements + 3)
            models.append(
                it.CPModel.from_factors([x, y], [x.interpolate(cubic)[:, None], y.interpolate(np.square)[:, None]])
            )
        for other in models[1:]:  # the same function on every mesh
            assert models[0].relative_distance(other) < 1e-13
            assert models[0].relative_distance(other, "H1") < 1e-12
            assert models[0].inner(other) == pytest.approx(models[0].norm() ** 2, rel=1e-12)

    def test_inner_products_against_quadrature(self) -> None:
        x = it.Axis("x", 0, 1, elements=5, s=1)
        z = it.Axis("x", 0, 1, elements=7, s=2)
        rng = np.random.default_rng(0)
        u, v = (it.CPModel.from_factors([a], [rng.standard_normal((a.size, 2))]) for a in (x, z))
        product = lambda t: float(u(np.array([[t]])) * v(np.array([[t]])))  # noqa: E731
        nodes = np.union1d(x.nodes, z.nodes)
        expected = sum(scipy.integrate.quad(product, a, b)[0] for a, b in itertools.pairwise(nodes))
        assert u.inner(v) == pytest.approx(expected, rel=1e-10)

    def test_sixty_axes(self) -> None:
        axes = [it.Axis(f"x[{i}]", 0, 1, elements=8) for i in range(60)]
        for size in (1e20, 1e-20):
            u = it.CPModel.from_factors(axes, [np.full((9, 2), size) for _ in axes])
            v = it.CPModel.from_factors(axes, [np.full((9, 1), size * (1 + 1e-10 * (d == 0))) for d in range(60)])
            assert u.relative_distance(v) == pytest.approx(1.0, abs=1e-9)
            assert (v.at(**{"x[3]": 0.5})).norm() in (math.inf, 0.0)  # what the number itself is
            assert (u - v).relative_distance(v) < 1e-9

    def test_comparison_is_refused_for_other_axes(self) -> None:
        u, _ = model_pair()
        with pytest.raises(TypeError, match="other must be a CPModel or a TuckerModel, got float"):
            u.distance(1.0)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match=r"same axes in the same order, got \['x', 'y', 'c'\] and \['y', 'c'\]"):
            u.inner(u.at(x=0))
        other = [it.Axis("x", 0, 1.5, elements=4), *u.axes[1:]]
        with pytest.raises(ValueError, match="same interval on axis 'x'"):
            u.distance(it.CPModel(other, 1))
        with pytest.raises(ValueError, match="kind must be one of 'L2', 'H1', got 'H2'"):
            u.norm("H2")  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="without an axis of kind 'space'"):
            it.CPModel([it.Axis("k", 0, 1, elements=5, kind="parameter")], 1).norm("H1")
        with pytest.raises(ValueError, match="other must not vanish"):
            u.relative_distance(0 * u)


class TestArithmetic:
    """Sums, differences, multiples."""

    def test_pointwise(self) -> None:
        u, v = model_pair()
        points = np.array([[0.1, 1.9, 0], [0.77, 0.2, 1]])
        a, b = u(points), v(points)
        for found, expected in [
            (u + v, a + b),
            (u - v, a - b),
            (-u, -a),
            (3 * u, 3 * a),
            (u * np.float64(0.5), a / 2),
            (np.float64(0.5) * u, a / 2),
            (u / 4, a / 4),
            (u + 1, a + 1),
            (1 + u, a + 1),
            (u - 2.5, a - 2.5),
            (2.5 - u, 2.5 - a),
            (np.float64(2.5) - u, 2.5 - a),
        ]:
            np.testing.assert_allclose(found(points), expected, atol=1e-12)

    def test_what_cannot_be_added(self) -> None:
        u, _ = model_pair()
        coarse, _ = model_pair(elements=8)
        with pytest.raises(ValueError, match="same mesh and basis on axis 'x' to be added"):
            u + coarse
        for bad in ("1", None, [1], np.ones(3)):
            with pytest.raises(TypeError):
                u + bad
            with pytest.raises(TypeError):
                u * bad
        with pytest.raises(TypeError):
            u * u
        with pytest.raises(ValueError, match="number must be a finite number, got nan"):
            u * float("nan")
        with pytest.raises(ZeroDivisionError):
            u / 0


class Sum:
    """An exact solution Σ_d f(x_d), or Π_d f(x_d), as separated functions come from problems."""

    def __init__(self, axes, function, *, product: bool = False) -> None:  # type: ignore[no-untyped-def]
        self.axes = tuple(axes)
        count = len(self.axes)
        self.terms = (
            [(1.0, (function,) * count)]
            if product
            else [(1.0, tuple(function if e == d else None for e in range(count))) for d in range(count)]
        )


def wave(x: Array) -> Array:
    return np.sin(0.5 * np.pi * x)


def interpolated_sum(axes: list[it.Axis]) -> it.CPModel:
    """Return the interpolant of Σ_d wave(x_d)."""
    count = len(axes)
    factors = []
    for d, axis in enumerate(axes):
        factor = np.ones((axis.size, count))
        factor[:, d] = axis.interpolate(wave)
        factors.append(factor)
    return it.CPModel.from_factors(axes, factors)


class TestError:
    """Distance to functions that are not in the space."""

    def test_one_axis_against_quadrature(self) -> None:
        axis = it.Axis("x", 0, 2, elements=6, s=1)
        u = interpolated_sum([axis])
        difference = lambda t: float(u(np.array([[t]])) - wave(np.array(t))) ** 2  # noqa: E731
        square = sum(
            scipy.integrate.quad(difference, a, b, epsabs=1e-18)[0]
            for a, b in zip(axis.nodes[:-1], axis.nodes[1:], strict=True)
        )
        assert u.error(Sum([axis], wave)) == pytest.approx(math.sqrt(square), rel=1e-6)  # the wave has norm one

    @pytest.mark.parametrize("count", [1, 2, 10, 100])
    def test_errors_of_many_axes_follow_from_one(self, count: int) -> None:
        """Σ_d (u - wave)(x_d): its norm is known from the errors' norm and mean on one axis."""
        axes = [it.Axis(f"x[{d}]", 0, 1, elements=8, s=2) for d in range(count)]
        u = interpolated_sum(axes)
        x, w = np.polynomial.legendre.leggauss(40)
        points = (np.arange(8)[:, None] / 8 + (x + 1) / 16).ravel()
        weights = np.tile(w / 16, 8)
        one = basis_matrix(axes[0], points) @ axes[0].interpolate(wave) - wave(points)
        square, mean = weights @ one**2, weights @ one
        mean_wave, square_wave = weights @ wave(points), weights @ wave(points) ** 2
        error = math.sqrt(count * square + count * (count - 1) * mean**2)
        size = math.sqrt(count * square_wave + count * (count - 1) * mean_wave**2)
        assert u.error(Sum(axes, wave)) == pytest.approx(error / size, rel=1e-4)

    @pytest.mark.parametrize("count", [2, 20, 100])
    def test_its_floor_is_round_off(self, count: int) -> None:
        """A cubic is in the space: what is left is rounding."""
        axes = [it.Axis(f"x[{d}]", 0, 1, elements=8) for d in range(count)]
        cubic = lambda x: 1 + x**3  # noqa: E731
        u = it.CPModel.from_factors(axes, [axis.interpolate(cubic)[:, None] for axis in axes])
        assert u.error(Sum(axes, cubic, product=True)) < 2e-15 * count
        assert (u * (1 + 1e-9)).error(Sum(axes, cubic, product=True)) == pytest.approx(1e-9, rel=1e-4)

    @pytest.mark.parametrize("size", [1e30, 1e-30])
    def test_no_overflow_with_a_hundred_axes(self, size: float) -> None:
        axes = [it.Axis(f"x[{d}]", 0, 1, elements=8) for d in range(100)]
        u = it.CPModel.from_factors(axes, [np.full((9, 1), 1.1 * size)] + [np.full((9, 1), size)] * 99)
        assert u.error(Sum(axes, lambda x: np.full_like(x, size), product=True)) == pytest.approx(0.1, rel=1e-12)

    def test_discrete_and_missing_axes(self) -> None:
        x, c, k = it.Axis("x", 0, 1, elements=8), it.Axis.discrete("c", 3), it.Axis("k", 0, 1, elements=8)
        u = it.CPModel.from_factors([x, c, k], [x.nodes[:, None], np.arange(3.0)[:, None], np.ones((9, 1))])

        class Exact:
            axes = (c, x)
            terms = ((2.0, (lambda t: t, lambda t: t)),)

        assert u.error(Exact()) == pytest.approx(0.5, rel=1e-12)
        Exact.terms = ((1.0, (lambda t: t, lambda t: t)),)
        assert u.error(Exact()) < 1e-15

    def test_another_model_can_be_exact(self) -> None:
        u, v = model_pair()
        assert u.error(v) == u.relative_distance(v)

    def test_what_is_refused(self) -> None:
        x = it.Axis("x", 0, 1, elements=8)
        u = it.CPModel([x], 1)
        with pytest.raises(ValueError, match="exact must not vanish"):
            u.error(Sum([x], np.zeros_like))
        with pytest.raises(ValueError, match="got others: y"):
            u.error(Sum([x, it.Axis("y", 0, 1, elements=8)], wave))
        with pytest.raises(ValueError, match="interval on axis 'x'"):
            u.error(Sum([it.Axis("x", 0, 2, elements=8)], wave))
        with pytest.raises(ValueError, match="axis 'x': a function must be finite"):
            u.error(Sum([x], lambda t: 1 / (t - t)))


@pytest.mark.slow
def test_a_million_elements_in_bounded_memory() -> None:
    axes = [it.Axis("x", 0, 1, elements=10**6), it.Axis("y", 0, 1, elements=32)]
    u = interpolated_sum(axes)
    assert u.error(Sum(axes, wave)) < 1e-10
    assert u.norm() == pytest.approx(math.sqrt(2 * 0.5 + 2 * (2 / math.pi) ** 2), rel=1e-9)
