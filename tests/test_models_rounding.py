"""Rounding to fewer modes: the best for two axes, close to it for more, and the error as stated."""

from __future__ import annotations

import numpy as np
import pytest
import tensorly as tl
from hypothesis import given
from hypothesis import strategies as st

import inntd as it
from inntd.axes import assembly
from inntd.models import rounding


def random_model(axes: list[it.Axis], rank: int, seed: int = 0, decay: float = 1.0) -> it.CPModel:
    rng = np.random.default_rng(seed)
    factors = [rng.standard_normal((axis.size, rank)) for axis in axes]
    factors[0] *= decay ** np.arange(rank)
    return it.CPModel.from_factors(axes, factors)


def space_axes(count: int, elements: int = 8) -> list[it.Axis]:
    return [it.Axis(f"x[{d}]", 0, 1, elements=elements) for d in range(count)]


def dense_distance(u: it.CPModel, v: it.CPModel) -> float:
    """Return ‖u - v‖ / ‖u‖ by Kronecker products of the roots of mass matrices."""
    tensors = []
    for model in (u, v):
        roots = [np.linalg.cholesky(assembly.mass(axis).toarray()).T for axis in model.axes]
        factors = [root @ factor.numpy() for root, factor in zip(roots, model.factors, strict=True)]
        tensors.append(tl.cp_to_tensor((np.ones(model.rank), factors)))
    return float(np.linalg.norm(tensors[0] - tensors[1]) / np.linalg.norm(tensors[0]))


@given(st.integers(1, 4), st.integers(2, 8), st.integers(1, 7), st.integers(0, 2**31))
def test_the_stated_error_is_the_error(axes: int, rank: int, target: int, seed: int) -> None:
    u = random_model(space_axes(axes), rank, seed, decay=0.3)
    v = u.round(rank=target)
    assert v.rank <= min(rank, target)
    assert v.rounding_error is not None
    assert v.rounding_error == pytest.approx(dense_distance(u, v), rel=1e-6, abs=1e-13)
    assert v.rounding_error == pytest.approx(v.relative_distance(u), rel=1e-6, abs=1e-13)
    assert v.rounding_error <= 1.0 + 1e-12
    assert v.metadata["rounding_error"] == v.rounding_error


@given(st.integers(1, 4), st.floats(1e-12, 0.5), st.integers(0, 2**31))
def test_a_tolerance_is_kept(axes: int, tolerance: float, seed: int) -> None:
    u = random_model(space_axes(axes), 7, seed, decay=0.05)
    v = u.round(tolerance=tolerance)
    assert v.rounding_error is not None
    assert v.rounding_error <= tolerance
    assert dense_distance(u, v) <= tolerance * (1 + 1e-6) + 1e-14
    assert v.rank <= u.rank


@pytest.mark.parametrize("target", [1, 2, 3, 5])
def test_two_axes_are_rounded_to_the_best(target: int) -> None:
    u = random_model([*space_axes(1), it.Axis("k", 1, 3, elements=9, kind="parameter")], 7)
    roots = [np.linalg.cholesky(assembly.mass(axis).toarray()).T for axis in u.axes]
    left, right = (root @ factor.numpy() for root, factor in zip(roots, u.factors, strict=True))
    sizes = np.linalg.svd(left @ right.T, compute_uv=False)
    best = np.linalg.norm(sizes[target:]) / np.linalg.norm(sizes)
    assert u.round(rank=target).rounding_error == pytest.approx(best, rel=1e-10)
    assert u.round(tolerance=best * 1.02).rank == target


def test_one_axis_has_one_mode() -> None:
    u = random_model(space_axes(1), 6)
    v = u.round(rank=1)
    assert v.rank == 1
    assert v.rounding_error is not None
    assert v.rounding_error < 1e-14


@pytest.mark.parametrize("axes", [3, 6, 30])
def test_repeated_and_zero_modes_vanish(axes: int) -> None:
    u = random_model(space_axes(axes), 4)
    padded = 2 * u + u - 0.5 * u + 0 * u
    v = padded.round(tolerance=1e-11)
    assert v.rank == 4
    assert v.relative_distance(padded) < 1e-13
    assert v.relative_distance(2.5 * u) < 1e-13


def test_modes_that_differ_on_one_axis_are_added_up() -> None:
    axes = space_axes(5)
    rng = np.random.default_rng(0)
    factors = [rng.standard_normal((9, 1)) * np.ones((1, 12)) for _ in axes]
    factors[3] = rng.standard_normal((9, 12))
    factors[1] = factors[1] * rng.choice([-1.0, 2.0], 12)
    u = it.CPModel.from_factors(axes, factors)
    v = u.round(tolerance=1e-12)
    assert v.rank == 1
    assert v.relative_distance(u) < 1e-13


@pytest.mark.parametrize("axes", [3, 5])
def test_a_hidden_low_rank_is_found(axes: int) -> None:
    """Modes of a rank-3 model, written with 12 modes by splitting factors on every axis."""
    small = random_model(space_axes(axes), 3, seed=5)
    rng = np.random.default_rng(6)
    parts = small
    factors = [factor.numpy() for factor in small.factors]
    for d in range(3):  # split the factor of axis d in a random way
        split = rng.standard_normal(factors[d].shape)
        first = [*factors[:d], split, *factors[d + 1 :]]
        second = [*factors[:d], factors[d] - split, *factors[d + 1 :]]
        pieces = [it.CPModel.from_factors(small.axes, f) for f in (first, second)]
        parts = parts + pieces[0] + pieces[1]
    v = parts.round(tolerance=1e-10)
    assert v.rank == 3
    assert v.relative_distance(4 * small) < 1e-10


def test_more_modes_are_better() -> None:
    x, y, z = (it.Axis(name, 0, 1, elements=10) for name in "xyz")
    scale = np.linspace(0.5, 3, 24)  # 1 / (1 + x + y + z) as a sum of exponentials
    weight = np.exp(-scale) * (scale[1] - scale[0])
    factors = [np.exp(-np.outer(axis.nodes, scale)) for axis in (x, y, z)]
    u = it.CPModel.from_factors([x, y, z], [factors[0] * weight, *factors[1:]])
    errors = [u.round(rank=rank).rounding_error for rank in (1, 2, 3, 4, 5)]
    assert all(a is not None and b is not None and b < 0.6 * a for a, b in zip(errors[:-1], errors[1:], strict=True))
    assert u.round(tolerance=1e-4).rank <= 5


def test_full_rank_is_kept() -> None:
    u = random_model(space_axes(3), 4)
    v = u.round(rank=9)
    assert v.rank == 4
    assert v.rounding_error == 0.0
    assert v.relative_distance(u) < 1e-14


def test_a_zero_model_is_one_zero_mode() -> None:
    v = (0 * random_model(space_axes(3), 4)).round(rank=2)
    assert (v.rank, v.rounding_error, v.norm()) == (1, 0.0, 0.0)


def test_the_same_bits_every_time() -> None:
    u = random_model(space_axes(4), 6)
    for one, other in zip(u.round(rank=3).factors, u.round(rank=3).factors, strict=True):
        assert one.equal(other)


@pytest.mark.parametrize("size", [1e6, 1e-6])
def test_sixty_axes(size: float) -> None:
    axes = space_axes(60)
    rng = np.random.default_rng(0)
    u = it.CPModel.from_factors(axes, [size * (1 + 0.1 * rng.standard_normal((9, 4))) for _ in axes])
    v = (u + u).round(rank=4)
    assert v.relative_distance(2.0 * u) < 1e-12
    w = u.round(rank=2)
    assert w.relative_distance(u) == pytest.approx(w.rounding_error, rel=1e-9)


def test_discrete_axes_take_part() -> None:
    u = random_model([*space_axes(2), it.Axis.discrete("c", 3)], 5)
    v = (u - 0.5 * u).round(tolerance=1e-12)
    assert v.rank <= 5
    assert v.relative_distance(0.5 * u) < 1e-12


def test_polishing_reaches_round_off_where_normal_equations_do_not() -> None:
    """Two nearly parallel modes: the normal equations' condition is the square of 1e7."""
    axes = space_axes(3)
    rng = np.random.default_rng(1)
    base, change = rng.standard_normal((2, 3, 9, 1))
    factors = [
        np.hstack([b, b + 1e-7 * c, b * 1e-3 * (d + 1)]) for d, (b, c) in enumerate(zip(base, change, strict=True))
    ]
    u = it.CPModel.from_factors(axes, factors)
    v = u.round(tolerance=1e-13)
    assert v.rank <= 2
    assert v.rounding_error is not None
    assert v.rounding_error < 1e-13


def test_a_sweep_never_makes_the_error_larger() -> None:
    u = random_model(space_axes(4), 8)
    tensor = rounding.Modes.of(u.axes, [factor.numpy() for factor in u.factors])
    assert tensor is not None
    fit = rounding._Fit(tensor)
    fit.grow(3)
    squares = [fit._sweep() for _ in range(15)]
    assert all(after <= before * (1 + 1e-9) for before, after in zip(squares[:-1], squares[1:], strict=True))
    transformed = tensor.transformed(fit.transforms())
    assert tensor.distance(transformed) ** 2 * fit.square == pytest.approx(squares[-1], rel=1e-6)


def test_what_is_refused() -> None:
    u = random_model(space_axes(2), 3)
    with pytest.raises(ValueError, match="either rank or tolerance, got rank=None, tolerance=None"):
        u.round()
    with pytest.raises(ValueError, match="either rank or tolerance, got rank=1, tolerance=0.1"):
        u.round(rank=1, tolerance=0.1)
    with pytest.raises(ValueError, match="rank must be a positive integer, got 0"):
        u.round(rank=0)
    with pytest.raises(ValueError, match="tolerance must be a positive finite number, got 0.0"):
        u.round(tolerance=0)
