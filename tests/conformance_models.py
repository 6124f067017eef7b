"""What every field must do, against a dense oracle: give a factory, inherit the tests.

The oracle holds the model as one dense array of nodal values and does everything by matrices and quadrature over the
whole grid. It shares the basis functions' tables with the models, and nothing else.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from copy import deepcopy
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import tensorly as tl
import torch

import inntd as it
from inntd.models import Field

Array = npt.NDArray[np.float64]
Model = it.CPModel | it.TuckerModel


def line(name: str) -> it.Axis:
    """Return an axis as most are."""
    return it.Axis(name, -1, 2, elements=9)


AXES: dict[str, Callable[[], list[it.Axis]]] = {
    "one": lambda: [line("x")],
    "two": lambda: [line("x"), it.Axis("k", 1, 4, elements=7, s=2, kind="parameter", unit="W/m")],
    "graded and periodic": lambda: [
        it.Axis("t", 0, 0.5, elements=8, grading=2, kind="time"),
        it.Axis("phi", 0, 6, elements=10, periodic=True),
        it.Axis("y", nodes=[0, 0.1, 0.4, 0.5, 1.0, 1.1, 1.7, 2.0, 2.2], breaks=[1.0], s=1),
    ],
    "vector-valued": lambda: [
        line("x[1]"),
        it.Axis("x[2]", 0, 1, elements=4, basis=it.LinearBasis()),
        it.Axis.discrete("c", 3),
        it.Axis("k", 5, 6, elements=6, basis=it.CHiDeNNBasis(s=1, kernel="cubic")),
    ],
}


def random_cp(axes: Sequence[it.Axis], rank: int = 4, seed: int = 0) -> it.CPModel:
    """Return a fixed model with random factors."""
    rng = np.random.default_rng(seed)
    return it.CPModel.from_factors(axes, [rng.standard_normal((axis.size, rank)) for axis in axes])


def random_tucker(axes: Sequence[it.Axis], rank: int | Sequence[int] | None = None, seed: int = 0) -> it.TuckerModel:
    """Return a fixed model with random core and factors, by default of ranks 2, 3, …."""
    rng = np.random.default_rng(seed)
    if rank is None:
        rank = [2 + d for d in range(len(axes))]
    ranks = [rank] * len(axes) if isinstance(rank, int) else list(rank)
    factors = [rng.standard_normal((axis.size, r)) for axis, r in zip(axes, ranks, strict=True)]
    return it.TuckerModel.from_factors(axes, rng.standard_normal(ranks), factors)


Maker = Callable[..., Model]
FORMS: dict[str, Maker] = {"cp": random_cp, "tucker": random_tucker}


def basis_matrix(axis: it.Axis, x: Array, order: int = 0) -> Array:
    """Return the basis functions of an axis at points, as a dense matrix (K, axis.size)."""
    index, values = axis.tabulate(x, order)
    matrix = np.zeros((len(x), axis.size))
    np.add.at(matrix, (np.arange(len(x))[:, None], index), values)
    return matrix


def gauss_points(axis: it.Axis) -> tuple[Array, Array]:
    """Return points and weights that integrate products of two basis functions exactly."""
    if axis.discrete:
        return np.arange(float(axis.size)), np.ones(axis.size)
    breaks = axis.table.breaks
    xi, w = np.polynomial.legendre.leggauss(axis.table.degree + 2)
    half = 0.5 * np.diff(breaks)[:, None]
    return (0.5 * (breaks[1:] + breaks[:-1])[:, None] + half * xi).ravel(), (half * w).ravel()


class Dense:
    """A field as a dense array of nodal values."""

    def __init__(self, axes: Sequence[it.Axis], nodal: Array) -> None:
        self.axes, self.nodal = tuple(axes), nodal

    def grid(self, points: Sequence[Array], orders: Sequence[int] | None = None) -> Array:
        """Return (derivatives of) the field on the grid of some points on each axis."""
        values = self.nodal
        for d, (axis, x) in enumerate(zip(self.axes, points, strict=True)):
            matrix = basis_matrix(axis, x, orders[d] if orders else 0)
            values = np.moveaxis(np.tensordot(matrix, values, axes=(1, d)), 0, d)
        return values

    def __call__(self, points: Array, orders: Sequence[int] | None = None) -> Array:
        return np.array([self.grid(list(point[:, None]), orders).item() for point in points])

    def integrate(self, axes: Sequence[it.Axis], *, mean: bool = False) -> Array:
        """Return nodal values of the integral over some axes."""
        values = self.nodal
        for d in reversed(range(len(self.axes))):
            if self.axes[d] in axes:
                x, w = gauss_points(self.axes[d])
                vector = (w / w.sum() if mean else w) @ basis_matrix(self.axes[d], x)
                values = np.tensordot(values, vector, axes=(d, 0))
        return values

    def norm(self, orders: Sequence[int] | None = None) -> float:
        """Return the L2 norm (of a derivative) by quadrature over the whole grid."""
        rules = [gauss_points(axis) for axis in self.axes]
        squares = self.grid([x for x, _ in rules], orders) ** 2
        for _, w in reversed(rules):
            squares = squares @ w
        return float(np.sqrt(squares))


def dense_form(model: Model) -> Dense:
    """Return a model's nodal values on the whole grid, put together by TensorLy."""
    factors = [factor.detach().cpu().numpy().astype(float) for factor in model.factors]
    if isinstance(model, it.TuckerModel):
        return Dense(model.axes, tl.tucker_to_tensor((model.core.detach().cpu().numpy().astype(float), factors)))
    return Dense(model.axes, tl.cp_to_tensor((np.ones(model.rank), factors)))


class FieldConformance:
    """Tests of one field against its dense form. Subclasses give `field` and `dense` as fixtures."""

    rtol = 1e-11

    @pytest.fixture
    def points(self, dense: Dense) -> Array:
        """Points inside the mesh, away from nodes; whole numbers on discrete axes."""
        rng = np.random.default_rng(1)
        columns = [
            rng.integers(0, axis.size, 40).astype(float)
            if axis.discrete
            else axis.domain[0] + (axis.domain[1] - axis.domain[0]) * rng.uniform(0.001, 0.999, 40)
            for axis in dense.axes
        ]
        return np.stack(columns, axis=1)

    def close(self, found: object, expected: object) -> None:
        """Compare with the tolerance of the class, relative to the largest value."""
        found, expected = np.asarray(found), np.asarray(expected)
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected, rtol=0, atol=self.rtol * max(np.abs(expected).max(), 1e-300))

    def test_it_is_a_field(self, field: Field, dense: Dense) -> None:
        assert isinstance(field, Field)
        assert field.axes == dense.axes
        assert isinstance(field.exact_statistics, bool)

    def test_values(self, field: Field, dense: Dense, points: Array) -> None:
        self.close(field(points), dense(points))

    def test_no_points_no_values(self, field: Field) -> None:
        assert field(np.empty((0, len(field.axes)))).shape == (0,)

    def test_jet(self, field: Field, dense: Dense, points: Array) -> None:
        values, gradient, second = field.jet(points)
        self.close(values, dense(points))
        for d, axis in enumerate(dense.axes):
            for order, found in ((1, gradient), (2, second)):
                if axis.discrete:
                    assert not found[:, d].any()
                else:
                    orders = [order if e == d else 0 for e in range(len(dense.axes))]
                    scale = np.abs(dense.nodal).max() / np.diff(axis.nodes).min() ** order
                    expected = dense(points, orders)
                    np.testing.assert_allclose(found[:, d], expected, rtol=0, atol=10 * self.rtol * scale)

    def test_grid(self, field: Field, dense: Dense, points: Array) -> None:
        columns = [points[: 3 + d, d] for d in range(len(dense.axes))]
        vectors = {axis.name: x for axis, x in zip(dense.axes, columns, strict=True)}
        self.close(field.grid(**vectors), dense.grid(columns))

    def test_grid_with_axes_held_still(self, field: Field, dense: Dense, points: Array) -> None:
        first, *rest = dense.axes
        fixed = {axis.name: points[0, d] for d, axis in enumerate(rest, start=1)}
        columns = [points[:5, 0], *(points[:1, d] for d in range(1, len(dense.axes)))]
        self.close(field.grid({first.name: points[:5, 0]}, **fixed), dense.grid(columns).reshape(5))

    def test_slices(self, field: Field, dense: Dense, points: Array) -> None:
        for d, axis in enumerate(dense.axes):
            found = field.at(**{axis.name: points[0, d]})
            if len(dense.axes) == 1:
                assert isinstance(found, float)
                self.close(found, dense(points[:1])[0])
                continue
            assert found.axes == dense.axes[:d] + dense.axes[d + 1 :]
            moved = points.copy()
            moved[:, d] = points[0, d]
            self.close(found(np.delete(points, d, axis=1)), dense(moved))

    def test_slices_of_all_axes_are_numbers(self, field: Field, dense: Dense, points: Array) -> None:
        found = field.at({axis.name: x for axis, x in zip(dense.axes, points[0], strict=True)})
        assert isinstance(found, float)
        self.close(found, dense(points[:1])[0])

    def test_integrals_and_means(self, field: Field, dense: Dense) -> None:
        for mean in (False, True):
            reduce = field.mean if mean else field.integrate
            self.close(reduce(), dense.integrate(dense.axes, mean=mean))
            self.close(reduce(*dense.axes), reduce())
            for d, axis in enumerate(dense.axes[1:], start=1):
                found = reduce(axis.name)
                assert found.axes == dense.axes[:d] + dense.axes[d + 1 :]
                expected = dense.integrate([axis], mean=mean)
                nodes = {a.name: a.nodes[: a.size] for a in found.axes}
                self.close(found.grid(nodes), expected)

    def test_norm(self, field: Field, dense: Dense) -> None:
        self.close(field.norm(), dense.norm())

    def test_save_and_load(self, field: Field, points: Array, tmp_path: Path) -> None:
        path = tmp_path / "field.inntd"
        field.save(path)
        loaded = it.load(path)
        assert [axis.key for axis in loaded.axes] == [axis.key for axis in field.axes]
        assert [(axis.name, axis.kind, axis.unit) for axis in loaded.axes] == [
            (axis.name, axis.kind, axis.unit) for axis in field.axes
        ]
        self.close(loaded(points), field(points))

    @pytest.mark.parametrize("copy", [deepcopy, lambda field: pickle.loads(pickle.dumps(field))])
    def test_copies(self, field: Field, points: Array, copy: object) -> None:
        assert torch.equal(copy(field)(points), field(points))  # type: ignore[operator]

    def test_outside_points_are_refused_or_clamped(self, field: Field, dense: Dense, points: Array) -> None:
        for d, axis in enumerate(dense.axes):
            low, high = axis.domain
            outside = points.copy()
            outside[3, d], outside[5, d] = high + 1.0, low - 1.0
            with pytest.raises(ValueError, match=rf"axis '{axis.name}', got 2 .*row 3.*clamp".replace("[", r"\[")):
                field(outside)
            with pytest.raises(ValueError, match="outside"):
                field.jet(outside)
            clamped = np.clip(outside, *np.array([a.domain for a in dense.axes]).T)
            self.close(field(outside, extrapolate="clamp"), dense(clamped))

    @pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
    @pytest.mark.parametrize("extrapolate", ["raise", "clamp"])
    def test_points_that_are_not_finite_are_refused(
        self, field: Field, points: Array, bad: float, extrapolate: str
    ) -> None:
        points[7, -1] = bad
        with pytest.raises(ValueError, match=f"finite on axis '{field.axes[-1].name}'.*row 7"):
            field(points, extrapolate=extrapolate)  # type: ignore[arg-type]

    def test_points_of_wrong_shape_or_type_are_refused(self, field: Field, points: Array) -> None:
        count = len(field.axes)
        with pytest.raises(ValueError, match=rf"shape \(K, {count}\).*points\[None, :\]"):
            field(points[0])
        with pytest.raises(ValueError, match=rf"shape \(K, {count}\), .*got \(40, {count + 1}\)"):
            field(np.hstack([points, points[:, :1]]))
        with pytest.raises(TypeError, match=r"real numbers.*complex"):
            field(points.astype(complex))
        with pytest.raises(TypeError, match="real numbers"):
            field(np.full((2, count), "a"))
        with pytest.raises(TypeError, match=r"dtype torch.float64, got torch.float32.*\.to\("):
            field(torch.tensor(points, dtype=torch.float32))
        with pytest.raises(ValueError, match="different lengths"):
            field([[0.0] * count, [0.0] * (count + 1)])
        with pytest.raises(ValueError, match=r"extrapolate must be one of 'raise', 'clamp', got 'nearest'"):
            field(points, extrapolate="nearest")  # type: ignore[arg-type]
