"""Rounding Tucker models, and turning them into CP models and back: errors as stated, and close to the best."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from conformance_models import Array, dense_form
from conformance_models import random_tucker as random_model
from hypothesis import given
from hypothesis import strategies as st
from test_models_rounding import random_model as random_cp
from test_models_rounding import space_axes

import inntd as it
from inntd.axes import assembly


def decaying(axes: list[it.Axis], ranks: list[int], seed: int = 0, decay: float = 0.3) -> it.TuckerModel:
    """Return a random model whose core falls off with its indices."""
    u = random_model(axes, ranks, seed)
    return it.TuckerModel.from_factors(
        axes, u.core.numpy() * decay ** np.indices(ranks).sum(axis=0), [factor.numpy() for factor in u.factors]
    )


def orthonormalised(u: it.TuckerModel) -> Array:
    """Return the nodal values times the roots of the mass matrices: its norm is the L2 norm."""
    tensor = dense_form(u).nodal
    for d, axis in enumerate(u.axes):
        root = np.eye(axis.size) if axis.discrete else np.linalg.cholesky(assembly.mass(axis).toarray()).T
        tensor = np.moveaxis(np.tensordot(root, tensor, axes=(1, d)), 0, d)
    return tensor


def unfoldings(tensor: Array) -> list[Array]:
    return [np.moveaxis(tensor, d, 0).reshape(tensor.shape[d], -1) for d in range(tensor.ndim)]


def hosvd(tensor: Array, ranks: tuple[int, ...]) -> Array:
    """Return the truncated HOSVD, by projectors on the leading singular vectors."""
    projected = tensor
    for d, (matrix, rank) in enumerate(zip(unfoldings(tensor), ranks, strict=True)):
        u = np.linalg.svd(matrix, full_matrices=False)[0][:, :rank]
        projected = np.moveaxis(np.tensordot(u @ u.T, projected, axes=(1, d)), 0, d)
    return projected


RANKS = st.lists(st.tuples(st.integers(1, 5), st.integers(1, 5)), min_size=1, max_size=4)


@given(RANKS, st.integers(0, 2**31))
def test_the_error_is_as_stated_and_between_the_best_and_hosvd(pairs: list[tuple[int, int]], seed: int) -> None:
    axes = space_axes(len(pairs), elements=4)
    u = decaying(axes, [full for full, _ in pairs], seed)
    v = u.round(rank=[target for _, target in pairs])
    assert all(r <= min(pair) for r, pair in zip(v.rank, pairs, strict=True))
    exact, rounded = orthonormalised(u), orthonormalised(v)
    size = np.linalg.norm(exact)
    assert v.rounding_error is not None
    assert v.rounding_error == pytest.approx(np.linalg.norm(exact - rounded) / size, rel=1e-6, abs=2e-14)
    targets = tuple(min(pair) for pair in pairs)
    assert v.rounding_error <= np.linalg.norm(exact - hosvd(exact, targets)) / size * (1 + 1e-9) + 1e-13
    tails = [
        np.linalg.norm(np.linalg.svd(m, compute_uv=False)[r:]) for m, r in zip(unfoldings(exact), targets, strict=True)
    ]
    assert v.rounding_error >= max(tails) / size * (1 - 1e-9) - 1e-13, "no approximation of these ranks is better"


@given(RANKS, st.floats(1e-12, 0.5), st.integers(0, 2**31))
def test_a_tolerance_is_kept(pairs: list[tuple[int, int]], tolerance: float, seed: int) -> None:
    u = decaying(space_axes(len(pairs)), [full for full, _ in pairs], seed, decay=0.05)
    v = u.round(tolerance=tolerance)
    assert v.rounding_error is not None
    assert v.rounding_error <= tolerance + 1e-14
    assert v.relative_distance(u) <= tolerance * (1 + 1e-6) + 1e-14
    assert all(after <= before for after, before in zip(v.rank, u.rank, strict=True))


def test_a_tolerance_takes_no_more_than_a_slice_too_many() -> None:
    """With one rank less on any axis the error is not kept."""
    u = decaying(space_axes(3), [7, 6, 5])
    v = u.round(tolerance=1e-3)
    for d in range(3):
        less = [rank - (e == d) for e, rank in enumerate(v.rank)]
        assert u.round(rank=less).relative_distance(u) > 1e-3


@pytest.mark.parametrize("target", [1, 2, 4])
def test_two_axes_are_rounded_to_the_best(target: int) -> None:
    u = decaying([*space_axes(1), it.Axis("k", 1, 3, elements=9, kind="parameter")], [7, 6])
    sizes = np.linalg.svd(orthonormalised(u), compute_uv=False)
    best = np.linalg.norm(sizes[target:]) / np.linalg.norm(sizes)
    assert u.round(rank=target).rounding_error == pytest.approx(best, rel=1e-9)
    assert u.round(tolerance=best * 1.02).rank == (target, target)


def test_factors_are_orthonormal_and_sorted() -> None:
    u = decaying([*space_axes(2), it.Axis.discrete("c", 3)], [5, 4, 3])
    v = u.round(rank=[4, 3, 2])
    for axis, factor in zip(v.axes, v.factors, strict=True):
        column = it.TuckerModel.from_factors([axis], np.ones(1), [factor[:, :1]])
        assert column.norm() == pytest.approx(1.0, rel=1e-13)
        for i, j in itertools.combinations(range(factor.shape[1]), 2):
            one, other = (it.CPModel.from_factors([axis], [factor[:, [k]]]) for k in (i, j))
            assert abs(one.inner(other)) < 1e-13
    for matrix in unfoldings(v.core.numpy()):
        lengths = np.linalg.norm(matrix, axis=1)
        assert all(a >= b * (1 - 1e-12) for a, b in itertools.pairwise(lengths))
        assert np.abs(matrix @ matrix.T - np.diag(lengths**2)).max() < 1e-13 * lengths[0] ** 2


@pytest.mark.parametrize("size", [1e200, 1e-200])
def test_sizes_beyond_the_range_of_squares(size: float) -> None:
    u = decaying(space_axes(3), [3, 3, 3])
    big = it.TuckerModel.from_factors(u.axes, u.core * size, list(u.factors))
    v = big.round(rank=2)
    assert v.rounding_error == pytest.approx(u.round(rank=2).rounding_error, rel=1e-9)
    assert big.norm() == pytest.approx(u.norm() * size, rel=1e-12)


def test_nearly_parallel_columns() -> None:
    """Functions that differ by 1e-11, with large opposite cores, keep what is left of the digits."""
    axes = space_axes(3)
    rng = np.random.default_rng(0)
    base, change = rng.standard_normal((2, 3, 9, 1))
    factors = [np.hstack([b, b + 1e-11 * c]) for b, c in zip(base, change, strict=True)]
    u = it.TuckerModel.from_factors(axes, rng.standard_normal((2, 2, 2)), factors)
    assert u.round(rank=1).rounding_error == pytest.approx(0.0, abs=1e-10)
    v = u.round(tolerance=1e-14)
    assert v.relative_distance(u) < 2e-14


def test_zero_and_one_axis() -> None:
    u = decaying(space_axes(3), [3, 2, 4])
    v = (0 * u).round(tolerance=1e-3)
    assert (v.rank, v.rounding_error, v.norm()) == ((1, 1, 1), 0.0, 0.0)
    line = random_model(space_axes(1), [6]).round(tolerance=1e-12)
    assert line.rank == (1,)
    assert line.rounding_error is not None
    assert line.rounding_error < 1e-14


def test_the_same_bits_every_time() -> None:
    u = decaying(space_axes(3), [5, 5, 5])
    one, other = u.round(rank=3), u.round(rank=3)
    assert one.core.equal(other.core)
    assert all(a.equal(b) for a, b in zip(one.factors, other.factors, strict=True))


def test_what_is_refused() -> None:
    u = random_model(space_axes(2), [3, 3])
    with pytest.raises(ValueError, match="either rank or tolerance, got rank=None, tolerance=None"):
        u.round()
    with pytest.raises(ValueError, match=r"rank must be one integer, or one per axis \(2\), got 3"):
        u.round(rank=[1, 2, 3])
    with pytest.raises(ValueError, match=r"rank of axis 'x\[1\]' must be a positive integer, got 0"):
        u.round(rank=[1, 0])
    with pytest.raises(ValueError, match=r"tolerance must be a positive finite number, got 0\.0"):
        u.round(tolerance=0)


class TestConversions:
    """Between the two forms."""

    @given(RANKS, st.integers(0, 2**31))
    def test_tucker_to_cp_and_back(self, pairs: list[tuple[int, int]], seed: int) -> None:
        ranks = [full for full, _ in pairs]
        u = random_model(space_axes(len(ranks)), ranks, seed)
        cp = u.to_cp()
        assert cp.rank == np.prod(ranks) // max(ranks)
        assert cp.relative_distance(u) < 1e-13
        back = cp.to_tucker()
        assert all(after <= before for after, before in zip(back.rank, ranks, strict=True))
        assert back.relative_distance(u) < 1e-13

    @given(st.integers(1, 4), st.integers(1, 12), st.integers(0, 2**31))
    def test_cp_to_tucker(self, axes: int, rank: int, seed: int) -> None:
        u = random_cp(space_axes(axes), rank, seed, decay=0.2)
        exact = u.to_tucker()
        assert all(r <= min(rank, 9) for r in exact.rank)
        assert exact.relative_distance(u) < 1e-13
        for options in ({"rank": 2}, {"tolerance": 1e-2}, {"tolerance": 1e-6}):
            found = u.to_tucker(**options)  # type: ignore[arg-type]
            again = exact.round(**options)  # type: ignore[arg-type]
            assert found.rounding_error == pytest.approx(found.relative_distance(u), rel=1e-9, abs=1e-15)
            assert found.rounding_error is not None
            assert again.rounding_error is not None
            if "rank" in options:
                assert found.rounding_error <= 1.05 * again.rounding_error + 1e-13
            else:
                assert found.rounding_error <= options["tolerance"]

    def test_a_diagonal_core_has_a_mode_per_entry(self) -> None:
        core = np.zeros((4, 4, 4))
        core[range(4), range(4), range(4)] = [1.0, 2.0, 0.0, 3.0]
        u = it.TuckerModel.from_factors(space_axes(3), core, [np.random.default_rng(0).random((9, 4))] * 3)
        assert u.to_cp().rank == 3
        assert u.to_cp().relative_distance(u) < 1e-15
        assert (0 * u).to_cp().norm() == 0

    def test_hundreds_of_modes_of_few_functions(self) -> None:
        """Round-off in many repeated columns is no function of its own."""
        u = random_model(space_axes(6), [3, 3, 4, 3, 3, 3])
        back = u.to_cp().to_tucker()
        assert back.rank == u.rank
        assert back.relative_distance(u) < 1e-13
        assert back.rounding_error is None

    def test_rounded_cp(self) -> None:
        u = decaying(space_axes(3), [4, 4, 4], decay=0.1)
        v = u.to_cp(tolerance=1e-3)
        assert v.rank < 16
        assert v.relative_distance(u) <= 1e-3
        assert v.rounding_error == pytest.approx(v.relative_distance(u), rel=1e-6)
        assert u.to_cp(rank=2).rank == 2

    def test_sums_of_both_forms_are_tucker_models(self) -> None:
        axes = space_axes(3)
        u, w = random_model(axes, [2, 3, 2]), random_cp(axes, 3)
        points = np.random.default_rng(0).random((20, 3))
        for found, expected in ((u + w, u(points) + w(points)), (w - u, w(points) - u(points))):
            assert isinstance(found, it.TuckerModel)
            np.testing.assert_allclose(found(points), expected, atol=1e-12)
        assert (w - u).norm() == pytest.approx(w.distance(u), rel=1e-12)

    def test_many_modes_on_many_axes_need_a_tolerance(self) -> None:
        u = random_cp(space_axes(10), 9, decay=1e-3)
        with pytest.raises(MemoryError, match=r"core of 9 x 9 .* numbers needs 55\.8 GB.*give rank= or tolerance="):
            u.to_tucker()
        v = u.to_tucker(tolerance=1e-4)
        assert v.relative_distance(u) <= 1e-4
        assert u.to_tucker(rank=1).rank == (1,) * 10
