"""CP models against their dense form, and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from conformance_models import AXES, dense_form, line
from conformance_models import random_cp as random_model
from hypothesis import given
from hypothesis import strategies as st

import inntd as it


@given(st.lists(st.integers(2, 6), min_size=1, max_size=4), st.integers(1, 5), st.integers(0, 2**31))
def test_random_models_are_their_dense_form(elements: list[int], rank: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    axes = [
        it.Axis(f"x[{i}]", nodes=np.cumsum(rng.uniform(0.1, 1.0, count + 1)), kind="parameter" if i % 2 else "space")
        for i, count in enumerate(elements)
    ]
    model = random_model(axes, rank, seed)
    dense = dense_form(model)
    points = np.stack([rng.uniform(*axis.domain, 20) for axis in axes], axis=1)
    scale = np.abs(dense.nodal).max() * 10
    np.testing.assert_allclose(model(points), dense(points), rtol=0, atol=1e-12 * scale)
    np.testing.assert_allclose(model.norm(), dense.norm(), rtol=1e-11)
    orders = np.eye(len(axes), dtype=int)[::2]
    h1 = np.sqrt(dense.norm() ** 2 + sum(dense.norm(list(order)) ** 2 for order in orders))
    np.testing.assert_allclose(model.norm("H1"), h1, rtol=1e-10)


class TestConstruction:
    """What makes a model, and what does not."""

    def test_new_models_are_trainable_reproducible_and_about_one(self) -> None:
        for count in (1, 3, 60):
            axes = [it.Axis(f"x[{i}]", 0, 1, elements=8) for i in range(count)]
            model, same, other = it.CPModel(axes, 5), it.CPModel(axes, 5), it.CPModel(axes, 5, seed=1)
            points = np.full((4, count), 0.4)
            values = model(points)
            assert values.requires_grad
            assert torch.equal(values, same(points))
            assert not torch.equal(values, other(points))
            assert 0.01 < float(values.detach().abs().max()) < 100

    def test_factors_are_copied(self) -> None:
        x = line("x")
        factor = np.ones((x.size, 1))
        tensor = torch.ones(x.size, 1, dtype=torch.float64)
        for given_factor in (factor, tensor):
            model = it.CPModel.from_factors([x], [given_factor])
            given_factor[:] = 7
            assert float(model(np.array([[0.5]]))) == pytest.approx(1)

    def test_dtype_follows_the_factors(self) -> None:
        x, y = line("x"), line("y")
        single, double = np.ones((x.size, 2), dtype=np.float32), np.ones((x.size, 2))
        assert it.CPModel.from_factors([x, y], [single, single]).dtype == torch.float32
        assert it.CPModel.from_factors([x, y], [single, double]).dtype == torch.float64
        assert it.CPModel.from_factors([x, y], [double.astype(int)] * 2).dtype == torch.float64
        assert it.CPModel.from_factors([x, y], [double] * 2, dtype=torch.float32).dtype == torch.float32

    @pytest.mark.parametrize(
        ("rank", "error", "message"),
        [
            (0, ValueError, "rank must be a positive integer, got 0"),
            (-3, ValueError, "rank must be a positive integer, got -3"),
            (2.5, TypeError, "rank must be a positive integer, got 2.5"),
            (True, TypeError, "rank"),
        ],
    )
    def test_bad_rank(self, rank: object, error: type[Exception], message: str) -> None:
        with pytest.raises(error, match=message):
            it.CPModel([line("x")], rank)  # type: ignore[arg-type]

    def test_bad_axes(self) -> None:
        with pytest.raises(ValueError, match="at least one Axis"):
            it.CPModel([], 2)
        with pytest.raises(ValueError, match="different names, got x, x"):
            it.CPModel([line("x"), line("x")], 2)
        for bad in (line("x"), "x", ["x"], 3):
            with pytest.raises(TypeError, match="sequence of Axis"):
                it.CPModel(bad, 2)  # type: ignore[arg-type]

    def test_bad_dtype(self) -> None:
        for dtype in (torch.float16, torch.complex128, np.float64):
            with pytest.raises(TypeError, match=r"torch.float32 or torch.float64, got"):
                it.CPModel([line("x")], 2, dtype=dtype)  # type: ignore[arg-type]

    def test_bad_factors(self) -> None:
        x, y = line("x"), it.Axis("y", 0, 1, elements=4)
        good = [np.ones((10, 2)), np.ones((5, 2))]
        bad: list[tuple[object, type[Exception], str]] = [
            (good[:1], ValueError, r"one array per axis \(2\), got 1"),
            ([good[0], np.ones((5, 3))], ValueError, r"axis 'y' must have shape \(5, 2\), got \(5, 3\)"),
            ([good[0], np.ones((6, 2))], ValueError, r"axis 'y' must have shape \(5, 2\), got \(6, 2\)"),
            ([np.ones(10), good[1]], ValueError, r"axis 'x' must have shape \(10, M\), got \(10,\)"),
            ([np.ones((10, 0)), np.ones((5, 0))], ValueError, "number of columns"),
            ([good[0], good[1] * np.nan], ValueError, "axis 'y' must be finite"),
            ([good[0], good[1] * 1j], TypeError, "axis 'y' must be real"),
        ]
        for factors, error, message in bad:
            with pytest.raises(error, match=message):
                it.CPModel.from_factors([x, y], factors)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match=r"shape \(10, 3\)"):
            it.CPModel([x, y], 3, factors=good)

    def test_other_dtypes_cannot_be_evaluated(self) -> None:
        model = random_model(AXES["two"]()).half()
        with pytest.raises(TypeError, match=r"float32 or float64 to be evaluated, got torch\.float16"):
            model(np.ones((1, 2)))

    def test_repr_tells_axes_rank_and_size(self) -> None:
        model = random_model(AXES["vector-valued"]())
        assert "rank=4" in repr(model)
        assert "x[1]: [-1, 2], 9 elements" in repr(model)
        assert "c: 3 values" in repr(model)
        assert "100 parameters" in repr(model)
        assert "trainable" not in repr(model)
        assert "trainable" in repr(model.requires_grad_())
        assert "56 more" in repr(it.CPModel([it.Axis(f"x[{i}]", 0, 1, elements=8) for i in range(60)], 1))


def test_sixty_axes_neither_overflow_nor_vanish() -> None:
    axes = [it.Axis(f"x[{i}]", 0, 1, elements=8) for i in range(60)]
    for size in (1e12, 1e-12):  # products of 1e±720
        u = it.CPModel.from_factors(axes, [np.full((axis.size, 1), size) for axis in axes[:30]] + [
            np.full((axis.size, 1), 1 / size) for axis in axes[30:]
        ])  # fmt: skip
        assert u.mean() == pytest.approx(1.0)
        assert u.at({axis.name: 0.5 for axis in axes}) == pytest.approx(1.0)
        rest = u.at({axis.name: 0.5 for axis in axes[:30]})
        assert rest.norm() == pytest.approx(1.0)
        assert float(rest(np.full((1, 30), 0.3))) == pytest.approx(1.0)
        assert rest.mean() == pytest.approx(1.0)
