"""Tucker models against their dense form, and what they refuse."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from conformance_models import AXES, Dense, dense_form, line, random_cp
from conformance_models import random_tucker as random_model
from hypothesis import given
from hypothesis import strategies as st

import inntd as it


@given(st.lists(st.tuples(st.integers(2, 6), st.integers(1, 4)), min_size=1, max_size=3), st.integers(0, 2**31))
def test_norms_and_distances_are_those_of_the_dense_form(shape: list[tuple[int, int]], seed: int) -> None:
    rng = np.random.default_rng(seed)
    axes = [it.Axis(f"x[{i}]", nodes=np.cumsum(rng.uniform(0.1, 1.0, n + 1))) for i, (n, _) in enumerate(shape)]
    u = random_model(axes, [rank for _, rank in shape], seed)
    v = random_model(axes, [1 + (rank + seed) % 3 for _, rank in shape], seed + 1)
    w = random_cp(axes, 3, seed)
    dense = {model: dense_form(model) for model in (u, v, w)}
    for one, other in ((u, v), (v, u), (u, w), (w, u)):
        size = dense[one].norm() + dense[other].norm()
        difference = Dense(axes, dense[one].nodal - dense[other].nodal)
        assert one.norm() == pytest.approx(dense[one].norm(), rel=1e-11)
        assert one.distance(other) == pytest.approx(difference.norm(), rel=1e-10, abs=1e-13 * size)
        h1 = [difference.norm(), *(difference.norm(list(order)) for order in np.eye(len(axes), dtype=int))]
        assert one.distance(other, "H1") == pytest.approx(math.hypot(*h1), rel=1e-10)
        whole = Dense(axes, dense[one].nodal + dense[other].nodal).norm() ** 2
        inner = 0.5 * (whole - dense[one].norm() ** 2 - dense[other].norm() ** 2)
        assert one.inner(other) == pytest.approx(inner, abs=1e-11 * size**2)


@pytest.mark.parametrize("distance", [1e-6, 1e-9, 1e-12, 1e-14])
def test_half_of_the_digits_are_not_lost(distance: float) -> None:
    axes = [it.Axis("x", 0, 1, elements=9), it.Axis("y", 0, 2, elements=9), it.Axis.discrete("c", 2)]
    u, v = random_model(axes, [3, 2, 2]), random_model(axes, [2, 4, 1], seed=1)
    moved = u + distance * v
    for kind in ("L2", "H1"):
        floor = 2e-15 * u.norm(kind)  # type: ignore[arg-type]
        assert moved.distance(u, kind) == pytest.approx(distance * v.norm(kind), rel=1e-3, abs=floor)  # type: ignore[arg-type]
        assert u.distance(moved, kind) == pytest.approx(distance * v.norm(kind), rel=1e-3, abs=floor)  # type: ignore[arg-type]


def test_sums_and_multiples_pointwise() -> None:
    axes = AXES["vector-valued"]()
    u, v = random_model(axes), random_model(axes, [3, 2, 2, 3], seed=1)
    points = np.array([[0.1, 0.9, 0, 5.5], [1.77, 0.2, 1, 5.9]])
    a, b = u(points), v(points)
    found = [u + v, u - v, -u, 3 * u, np.float64(0.5) * u, u / 4, 1 + u, u - 2.5, 2.5 - u]
    expected = [a + b, a - b, -a, 3 * a, a / 2, a / 4, a + 1, a - 2.5, 2.5 - a]
    for model, values in zip(found, expected, strict=True):
        np.testing.assert_allclose(model(points), values, atol=1e-11)
    assert (u + v).rank == (5, 5, 3, 7), "three components need no more than three functions"


def test_new_models_are_trainable_and_about_one() -> None:
    axes = AXES["vector-valued"]()
    model = it.TuckerModel(axes, [2, 3, 2, 4])
    assert model.rank == (2, 3, 2, 4)
    values = model(np.array([[0.1, 0.9, 0, 5.5], [1.77, 0.2, 1, 5.9]]))
    assert values.requires_grad
    assert bool((values.detach().abs() > 0.01).all() and (values.detach().abs() < 100).all())
    assert it.TuckerModel([line("x"), line("y")], 3).rank == (3, 3)


class TestConstruction:
    """What makes a model, and what does not."""

    def test_everything_is_copied(self) -> None:
        axes = [line("x"), line("y")]
        core, factors = np.ones((1, 2)), [np.ones((10, 1)), np.ones((10, 2))]
        model = it.TuckerModel.from_factors(axes, core, factors)
        for array in (core, *factors):
            array[:] = 7
        assert model.at(x=0.5, y=0.5) == pytest.approx(2.0)

    def test_dtype_follows_what_is_given(self) -> None:
        axes = [line("x"), line("y")]
        core, factors = np.ones((1, 2)), [np.ones((10, 1), dtype=np.float32), np.ones((10, 2), dtype=np.float32)]
        assert it.TuckerModel.from_factors(axes, core, factors).dtype == torch.float64
        assert it.TuckerModel.from_factors(axes, core.astype(np.float32), factors).dtype == torch.float32
        assert it.TuckerModel.from_factors(axes, [[1, 2]], factors, dtype=torch.float32).core.dtype == torch.float32

    def test_what_does_not_fit(self) -> None:
        axes = [line("x"), it.Axis("y", 0, 1, elements=4)]
        good = [np.ones((10, 2)), np.ones((5, 3))]
        core = np.ones((2, 3))
        bad: list[tuple[object, object, type[Exception], str]] = [
            (
                np.ones((2, 3, 1)),
                good,
                ValueError,
                r"core must have shape \(r_x, r_y\), each at least 1, got \(2, 3, 1\)",
            ),
            (np.ones((3, 3)), good, ValueError, r"factor of axis 'x' must have shape \(10, 3\), got \(10, 2\)"),
            (core, good[:1], ValueError, r"one array per axis \(2\), got 1"),
            (core, [good[0], np.ones((6, 3))], ValueError, r"axis 'y' must have shape \(5, 3\)"),
            (core * np.nan, good, ValueError, "core must be finite"),
            (core * 1j, good, TypeError, "core must be real"),
            (core, [good[0], good[1] * np.inf], ValueError, "axis 'y' must be finite"),
        ]
        for wrong, factors, error, message in bad:
            with pytest.raises(error, match=message):
                it.TuckerModel.from_factors(axes, wrong, factors)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match=r"core must have shape \(2, 2\), got \(2, 3\)"):
            it.TuckerModel(axes, 2, core=core, factors=good)
        with pytest.raises(ValueError, match="core and factors must be given together"):
            it.TuckerModel(axes, [2, 3], core=core)
        with pytest.raises(ValueError, match=r"rank must be one integer, or one per axis \(2\), got 3"):
            it.TuckerModel(axes, [2, 3, 4])
        with pytest.raises(TypeError, match=r"rank of axis 'y' must be a positive integer, got 2\.5"):
            it.TuckerModel(axes, [2, 2.5])  # type: ignore[list-item]
        with pytest.raises(TypeError, match=r"torch.float32 or torch.float64, got torch.float16"):
            it.TuckerModel(axes, 2, dtype=torch.float16)

    def test_cores_that_do_not_fit_are_refused_with_their_size(self, monkeypatch: pytest.MonkeyPatch) -> None:
        axes = [it.Axis(f"x[{d}]", 0, 1, elements=8) for d in range(12)]
        with pytest.raises(MemoryError, match=r"core of 10 x .* numbers needs 1\.6e\+04 GB.*lower ranks, or a CPModel"):
            it.TuckerModel(axes, 10)
        u = random_model(axes, 1) + random_model(axes, 2)
        assert u.rank == (3,) * 12
        monkeypatch.setattr("inntd.models.memory.available_bytes", lambda: 10**9)
        with pytest.raises(MemoryError, match=r"the sum with a core of 6 x .* needs 34\.8 GB.*by distance"):
            u + u
        many = [it.Axis(f"x[{d}]", 0, 1, elements=8) for d in range(33)]
        with pytest.raises(ValueError, match="at most 32 axes, got 33: use a CPModel"):
            it.TuckerModel(many, 1)


@pytest.mark.parametrize("size", [1e12, 1e-12])
def test_thirty_two_axes_neither_overflow_nor_vanish(size: float) -> None:
    axes = [it.Axis(f"x[{d}]", 0, 1, elements=8) for d in range(32)]
    factors = [np.full((9, 1), size if d < 16 else 1 / size) for d in range(32)]
    u = it.TuckerModel.from_factors(axes, np.full([1] * 32, 2.0), factors)
    assert u.mean() == pytest.approx(2.0)
    assert u.norm() == pytest.approx(2.0)
    rest = u.at({axis.name: 0.5 for axis in axes[:16]})
    assert rest.norm() == pytest.approx(2.0)
    assert float(rest(np.full((1, 16), 0.3))) == pytest.approx(2.0)
    assert rest.mean() == pytest.approx(2.0)
    assert u.round(tolerance=1e-9).relative_distance(u) < 1e-14
    assert u.to_cp().relative_distance(u) < 1e-14
    assert u.to_cp().to_tucker().relative_distance(u) < 1e-13


class Wave:
    """An exact solution, sin(π x / 2) y + 2 x, as separated functions come from problems."""

    def __init__(self, x: it.Axis, y: it.Axis) -> None:
        self.axes = (x, y)
        self.terms = ((1.0, (lambda t: np.sin(0.5 * np.pi * t), lambda t: t)), (2.0, (lambda t: t, None)))


def test_errors_are_those_of_the_same_cp_model() -> None:
    x, y = it.Axis("x", 0, 1, elements=6, s=1), it.Axis("y", 0, 2, elements=5, s=1)
    columns = [np.stack([np.sin(0.5 * np.pi * x.nodes), x.nodes], 1), np.stack([y.nodes, np.ones(6)], 1)]
    u = it.TuckerModel.from_factors([x, y], np.diag([1.0, 2.0]), columns)
    cp = it.CPModel.from_factors([x, y], [columns[0] * [1.0, 2.0], columns[1]])
    exact = Wave(x, y)
    assert u.error(exact) == pytest.approx(cp.error(exact), rel=1e-9)
    assert 1e-6 < u.error(exact) < 1e-3
    assert u.error(cp) < 1e-15
    fine = it.Axis("x", 0, 1, elements=40)
    v = it.TuckerModel.from_factors(
        [fine, y], np.diag([1.0, 2.0]), [np.stack([np.sin(0.5 * np.pi * fine.nodes), fine.nodes], 1), columns[1]]
    )
    assert v.error(exact) < 1e-12, "of degree 7 on 40 elements, and exact along y"
    assert u.relative_distance(v) == pytest.approx(u.error(exact), rel=1e-6), "meshes may differ"
    for size in (1e-200, 1e200):
        assert (u * size).relative_distance(v * size) == pytest.approx(u.error(exact), rel=1e-6)


def test_comparison_is_refused_for_other_axes() -> None:
    u = random_model([line("x"), line("y")])
    with pytest.raises(TypeError, match="other must be a CPModel or a TuckerModel, got float"):
        u.distance(1.0)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="same axes in the same order"):
        u.inner(u.at(x=0))
    with pytest.raises(ValueError, match="same mesh and basis on axis 'y' to be added"):
        u + random_cp([line("x"), it.Axis("y", -1, 2, elements=5)])
    with pytest.raises(ValueError, match="other must not vanish"):
        u.relative_distance(0 * u)
    with pytest.raises(TypeError):
        u * u
