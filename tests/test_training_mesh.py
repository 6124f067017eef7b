"""Axes from the data: ranges, distinct values, nodes, patches, and what is wrong with a column."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inntd.training.mesh import FineMeshWarning, axes_from_data, axis_names, default_elements, distinct_levels

random = np.random.default_rng(0)


@given(st.lists(st.integers(-20, 20), min_size=1, max_size=60), st.integers(1, 4))
def test_every_node_is_determined_by_the_values(values: list[int], s: int) -> None:
    x = np.array(values, dtype=float)[:, None]
    (axis,) = axes_from_data(x, s=s)
    levels = np.unique(x)
    assert axis.domain[0] <= levels[0] <= levels[-1] <= axis.domain[1]
    if len(levels) > 1:
        assert axis.domain == (levels[0], levels[-1])
        assert axis.elements <= len(levels) - 1
        assert axis.table.width <= 2 * s + 2
        assert np.linalg.matrix_rank(_rows(axis, levels)) == axis.size or axis.elements < len(levels) - 1


def _rows(axis, points):
    index, values = axis.tabulate(points)
    rows = np.zeros((len(points), axis.size))
    np.put_along_axis(rows, index, values, axis=1)
    return rows


@pytest.mark.parametrize(
    ("levels", "elements", "s"), [(2, 1, 0), (3, 2, 1), (4, 3, 1), (5, 4, 2), (7, 6, 3), (9, 8, 3)]
)
def test_few_levels_are_the_nodes(levels: int, elements: int, s: int) -> None:
    values = np.sort(random.random(levels))
    (axis,) = axes_from_data(random.choice(values, 5000)[:, None])
    assert axis.elements == elements
    assert axis.nodes == pytest.approx(values, abs=0)
    assert getattr(axis.basis, "s", 0) == s


def test_elements_grow_with_the_samples() -> None:
    counts = [default_elements(10**k) for k in range(1, 8)]
    assert counts == sorted(counts)
    few, many = (axes_from_data(random.random((count, 2)))[0].elements for count in (100, 10_000))
    assert (few, many) == (default_elements(100), default_elements(10_000))


def test_quantiles_put_nodes_where_the_samples_are() -> None:
    x = random.standard_normal((5000, 1))
    uniform, quantile = (axes_from_data(x, placement=p)[0] for p in ("uniform", "quantile"))
    assert uniform.domain == quantile.domain == (x.min(), x.max())
    most = [np.histogram(x[:, 0], axis.nodes)[0].max() for axis in (uniform, quantile)]
    assert most[1] < 0.5 * most[0]
    assert np.diff(quantile.nodes).min() > 0.04 * np.diff(uniform.nodes).min()


def test_a_mesh_finer_than_the_data_is_obeyed_with_a_warning() -> None:
    x = np.stack([np.arange(12.0) % 4, np.arange(12.0)], axis=1)
    with pytest.warns(FineMeshWarning, match=r"axis 'x1': 9 elements are more than the 4 distinct values"):
        axes = axes_from_data(x, elements=9)
    assert [axis.elements for axis in axes] == [9, 9]
    assert axes_from_data(x, elements=[3, None])[0].elements == 3


def test_values_that_differ_by_rounding_are_one() -> None:
    x = np.array([0.1 + 0.2, 0.3, 0.6, 0.9, 0.1 * 9, 0.3 * 2])
    assert len(distinct_levels(x)) == 3
    (axis,) = axes_from_data(x[:, None])
    assert axis.elements == 2
    axis.check_points(x)


def test_a_constant_column_has_one_linear_element_around_it() -> None:
    for value in (0.0, -7.0, 1e9):
        (axis,) = axes_from_data(np.full((4, 1), value))
        assert axis.elements == 1
        assert axis.domain[0] < value < axis.domain[1]


def test_categories_are_discrete() -> None:
    x = np.array([[0.0, 1.5], [2.0, 2.5], [1.0, 0.0]])
    axes = axes_from_data(x, categorical=[0])
    assert (axes[0].discrete, axes[0].size, axes[1].discrete) == (True, 3, False)


def test_names_become_identifiers() -> None:
    assert axis_names(["a b", "a-b", "", "3", "für"]) == ["a_b", "a_b_2", "x", "_3", "für"]
    names = [axis.name for axis in axes_from_data(random.random((9, 3)), names=["x", "x", "load [kN]"])]
    assert names == ["x", "x_2", "load_kN"]


@pytest.mark.parametrize(
    ("x", "options", "message"),
    [
        (np.zeros((0, 2)), {}, "x must have shape"),
        (np.zeros(3), {}, "x must have shape"),
        (np.array([[0.0], [np.nan]]), {"names": ["u"]}, "column 'u' of x must be finite, got 1 NaN"),
        (np.zeros((3, 2)), {"names": ["u"]}, "names must be 2 names"),
        (np.zeros((3, 2)), {"elements": [1]}, "elements must be one number or 2"),
        (np.ones((3, 1)), {"elements": 0}, "elements of 'x1' must be a positive integer"),
        (np.zeros((3, 1)), {"placement": "even"}, "placement must be one of"),
        (np.array([[0.5], [1.0]]), {"categorical": [0]}, "column 'x1' is categorical"),
    ],
)
def test_what_does_not_fit_is_refused(x, options, message) -> None:
    with pytest.raises(ValueError, match=message):
        axes_from_data(x, **options)
