"""Tucker models against their dense form, and what they refuse."""

from __future__ import annotations

import math

import numpy as np
import pytest
from conformance_models import AXES, Dense, dense_form, line, random_cp
from conformance_models import random_tucker as random_model
from hypothesis import given
from hypothesis import strategies as st

import inntd as it


@given(st.lists(st.tuples(st.integers(2, 6), st.integers(1, 4)), min_size=1, max_size=4), st.integers(0, 2**31))
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
