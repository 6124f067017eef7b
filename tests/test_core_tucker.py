"""Evaluation of Tucker models by the compiled core: a mode for every number of the core is the dense NumPy oracle."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st
from test_core import TOLERANCE, Array, compiled, draw_points, hats, isa

from inntd import _core

__all__ = ["isa"]  # the fixture


def evaluate(
    tables: list[reference.Table], core: Array, factors: list[Array], points: Array, dtype: str, threads: int = 1
) -> tuple[npt.NDArray[np.floating], ...]:
    """Values from `tucker_values`, and values, gradients and second derivatives from `tucker_jet`."""
    count = len(points)
    made = [compiled(table) for table in tables]
    cast = [np.ascontiguousarray(factor, dtype=dtype) for factor in factors]
    numbers, x = np.ascontiguousarray(core.ravel(), dtype=dtype), np.ascontiguousarray(points, dtype=dtype)
    values, again = np.full(count, np.nan, dtype), np.full(count, np.nan, dtype)
    gradient, second = np.full(x.shape, np.nan, dtype), np.full(x.shape, np.nan, dtype)
    _core.tucker_values(made, numbers, cast, x, values, threads)
    _core.tucker_jet(made, numbers, cast, x, again, gradient, second, threads)
    return values, again, gradient, second


def random_case(tables: list[reference.Table], ranks: list[int], seed: int) -> tuple[Array, list[Array]]:
    rng = np.random.default_rng(seed)
    return rng.standard_normal(ranks), [rng.standard_normal((t.size, r)) for t, r in zip(tables, ranks, strict=True)]


@given(
    st.lists(st.tuples(st.integers(1, 5), st.integers(3, 9), st.integers(1, 2), st.booleans()), min_size=1, max_size=4),
    st.integers(1, 150),
    st.sampled_from(["float64", "float32"]),
    st.sampled_from(_core.available_isas()),
    st.integers(0, 1000),
)
def test_random_models_match_the_oracle(
    shape: list[tuple[int, int, int, bool]], count: int, dtype: str, name: str, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    ranks = [rank for rank, *_ in shape]
    tables = [
        reference.patch_table(np.linspace(0, 1, n + 1) ** (2 if graded else 1), min(s, (n - 1) // 2))
        for _, n, s, graded in shape
    ]
    core, factors = random_case(tables, ranks, seed)
    points = draw_points(rng, tables, count).astype(dtype).astype(float)
    core, *factors = (array.astype(dtype).astype(float) for array in (core, *factors))
    index = np.indices(ranks).reshape(len(ranks), -1)
    modes = [factor[:, i] for factor, i in zip(factors, index, strict=True)]
    modes[0] = modes[0] * core.ravel()
    expected, scale = reference.cp_jet(tables, modes, points), reference.cp_scale(tables, modes)
    before = _core.isa()
    _core.select_isa(name)
    values, *jet = evaluate(tables, core, factors, points, dtype)
    _core.select_isa(before)
    assert np.abs(values - expected[0]).max() < TOLERANCE[dtype] * scale[0]
    for got, wanted, size in zip(jet, expected, scale, strict=True):
        assert np.abs(got - wanted).max() < TOLERANCE[dtype] * size


def test_nan_stays_with_its_point(isa: str) -> None:
    tables = [hats(4), reference.patch_table(np.linspace(0, 1, 5) ** 2, 1)]
    core, factors = np.ones((2, 3)), [np.ones((5, 2)), np.ones((5, 3))]
    for count in (3, 300):
        points = np.full((count, 2), 0.3)
        points[0, 0] = points[1, 1] = np.nan
        values, again, gradient, _ = evaluate(tables, core, factors, points, "float64")
        assert np.isnan(values[:2]).all()
        assert np.isnan(again[:2]).all()
        np.testing.assert_allclose(values[2:], 6.0, rtol=1e-14)
        assert np.isfinite(gradient[2:]).all()


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_threads_give_the_same_bits(isa: str, dtype: str) -> None:
    tables = [reference.patch_table(np.linspace(0, 1, 9), 1), hats(20), hats(5)]
    core, factors = random_case(tables, [7, 6, 9], 3)
    points = np.random.default_rng(3).uniform(0, 1, (3001, 3))
    alone = evaluate(tables, core, factors, points, dtype)
    for threads in (2, 5):
        for one, other in zip(alone, evaluate(tables, core, factors, points, dtype, threads), strict=True):
            np.testing.assert_array_equal(one, other)


def test_no_points(isa: str) -> None:
    tables = [hats(3), hats(4)]
    core, factors = random_case(tables, [2, 3], 0)
    for result in evaluate(tables, core, factors, np.empty((0, 2)), "float64"):
        assert result.size == 0


def test_few_points_on_a_long_axis(isa: str) -> None:
    """An axis that is not worth preparing, and the same one prepared for many points."""
    tables = [hats(20_000), hats(4)]
    core, factors = random_case(tables, [3, 2], 1)
    points = np.random.default_rng(0).uniform(0, 1, (6000, 2))
    many = evaluate(tables, core, factors, points, "float64")
    for one, other in zip(evaluate(tables, core, factors, points[:9], "float64"), many, strict=True):
        np.testing.assert_allclose(one, other[:9], rtol=1e-9, atol=1e-12 * np.abs(other).max())


def test_more_axes_than_an_array_argument_has(isa: str) -> None:
    tables = [hats(2)] * 20
    factors = [np.full((3, 1), 1.5) for _ in tables]
    points = np.random.default_rng(0).uniform(0, 1, (5, 20))
    values, _, gradient, _ = evaluate(tables, np.full([1] * 20, 2.0), factors, points, "float64")
    np.testing.assert_allclose(values, 2.0 * 1.5**20, rtol=1e-13)
    np.testing.assert_allclose(gradient, 0.0, atol=1e-9)


def test_what_does_not_fit_is_refused() -> None:
    table = compiled(hats(3))
    good: dict[str, object] = {
        "tables": [table, table],
        "core": np.ones(6),
        "factors": [np.ones((4, 2)), np.ones((4, 3))],
        "points": np.full((5, 2), 0.5),
        "out": np.zeros(5),
    }
    bad: list[tuple[dict[str, object], str]] = [
        ({"core": np.ones(5)}, "core must hold as many numbers as the product of the ranks"),
        ({"core": np.ones(7)}, "core must hold as many numbers as the product of the ranks"),
        ({"core": np.ones((2, 3))}, "core must hold as many numbers as the product of the ranks"),
        ({"core": np.ones(0)}, "core must hold as many numbers as the product of the ranks"),
        ({"factors": [np.ones((4, 2)), np.ones((5, 3))]}, r"factors must have shape \(table.size, rank\)"),
        ({"factors": [np.ones((4, 2)), np.ones((4, 0))]}, "with a rank of at least 1"),
        ({"factors": [np.ones((4, 2))]}, "lists of equal length"),
        ({"tables": [table, None]}, "got None"),
        ({"points": np.ones((5, 3))}, r"points must have shape \(K, number of axes\)"),
        ({"out": np.zeros(4)}, r"out must have shape \(K,\)"),
    ]
    _core.tucker_values(**good)  # type: ignore[arg-type]
    np.testing.assert_allclose(good["out"], 6.0)
    for change, message in bad:
        with pytest.raises(ValueError, match=message):
            _core.tucker_values(**{**good, **change})  # type: ignore[arg-type]
    huge = [np.ones((4, 2))] * 70  # the product of the ranks does not fit any integer
    with pytest.raises(ValueError, match="core must hold as many numbers"):
        _core.tucker_values([table] * 70, np.ones(6), huge, np.ones((1, 70)), np.zeros(1))
    with pytest.raises(ValueError, match="gradient must have the shape of points"):
        _core.tucker_jet(
            [table, table], np.ones(6), [np.ones((4, 2)), np.ones((4, 3))], np.full((5, 2), 0.5),
            np.zeros(5), np.zeros((5, 1)), np.zeros((5, 2)),
        )  # fmt: skip
