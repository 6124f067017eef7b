"""CP models against their dense form, and what they refuse."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy

import numpy as np
import pytest
import tensorly as tl
import torch
from conformance_models import Array, Dense, FieldConformance
from hypothesis import given
from hypothesis import strategies as st

import inntd as it


def line(name: str) -> it.Axis:
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


def random_model(axes: list[it.Axis], rank: int = 4, seed: int = 0) -> it.CPModel:
    rng = np.random.default_rng(seed)
    return it.CPModel.from_factors(axes, [rng.standard_normal((axis.size, rank)) for axis in axes])


def dense_form(model: it.CPModel) -> Dense:
    factors = [factor.detach().numpy().astype(float) for factor in model.factors]
    return Dense(model.axes, tl.cp_to_tensor((np.ones(model.rank), factors)))


@pytest.mark.parametrize("case", AXES)
class TestFixedModels(FieldConformance):
    """Models as they come from a solver, evaluated by the core."""

    @pytest.fixture
    def field(self, case: str) -> it.CPModel:
        return random_model(AXES[case]())

    @pytest.fixture
    def dense(self, field: it.CPModel) -> Dense:
        return dense_form(field)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("case", AXES)
class TestTrainableModels(FieldConformance):
    """Models as they are trained, evaluated by torch, with a graph."""

    @pytest.fixture
    def field(self, case: str) -> it.CPModel:
        return random_model(AXES[case]()).requires_grad_()

    @pytest.fixture
    def dense(self, field: it.CPModel) -> Dense:
        return dense_form(field)

    def close(self, found: object, expected: object) -> None:
        super().close(*(x.detach() if isinstance(x, torch.Tensor) else x for x in (found, expected)))

    def test_jet(self, field: it.CPModel, dense: Dense, points: Array) -> None:
        expected = it.CPModel.from_factors(field.axes, list(field.factors)).jet(points)
        for found, other in zip(field.jet(points), expected, strict=True):
            assert found.requires_grad
            np.testing.assert_allclose(found.detach(), other, rtol=1e-9, atol=1e-9 * float(other.abs().max()))


class TestFloat32(FieldConformance):
    """Models of single precision."""

    rtol = 3e-6

    @pytest.fixture
    def field(self) -> it.CPModel:
        return random_model(AXES["graded and periodic"]()).to(torch.float32)

    @pytest.fixture
    def dense(self, field: it.CPModel) -> Dense:
        return dense_form(field)

    def test_points_of_wrong_shape_or_type_are_refused(self, field: it.CPModel, points: Array) -> None:
        with pytest.raises(TypeError, match=r"dtype torch\.float32, got torch\.float64"):
            field(torch.tensor(points))

    def test_everything_made_from_it_is_single_too(self, field: it.CPModel) -> None:
        made = [field + field, field * 2.0, field.at(t=0.1), field.mean("t"), field.round(rank=2)]
        assert {model.dtype for model in made} == {torch.float32}
        assert field(np.full((1, 3), 0.25)).dtype == torch.float32


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


class TestModule:
    """A model is a torch module like others."""

    def test_state_dict_restores_the_model(self) -> None:
        axes = AXES["two"]()
        model, other = random_model(axes), random_model(axes, seed=1)
        other.load_state_dict(model.state_dict())
        assert other.relative_distance(model) < 1e-15
        with pytest.raises(RuntimeError, match="size mismatch"):
            random_model(axes, rank=3).load_state_dict(model.state_dict())

    def test_parameters_can_be_trained(self) -> None:
        x, y = line("x"), line("y")
        model = it.CPModel([x, y], 2)
        rng = np.random.default_rng(0)
        points = torch.tensor(rng.uniform(-1, 2, (200, 2)))
        target = torch.sin(points[:, 0]) * points[:, 1]
        optimiser = torch.optim.LBFGS(model.parameters(), max_iter=200, line_search_fn="strong_wolfe")

        def loss() -> torch.Tensor:
            optimiser.zero_grad()
            value = ((model(points) - target) ** 2).mean()
            value.backward()
            return value

        before = float(loss().detach())
        optimiser.step(loss)  # type: ignore[arg-type]
        assert float(loss().detach()) < 1e-4 * before

    def test_a_loader_with_workers_carries_models(self) -> None:
        model = random_model(AXES["two"]())
        loader = torch.utils.data.DataLoader([(model, i) for i in range(2)], num_workers=1, collate_fn=lambda b: b[0])
        points = np.array([[0.3, 2.0]])
        assert all(torch.equal(found(points), model(points)) for found, _ in loader)


class TestDevices:
    """Points must be where the model is."""

    def test_points_elsewhere_are_refused(self) -> None:
        model = random_model(AXES["two"]())
        points = torch.empty(3, 2, dtype=torch.float64, device="meta")
        with pytest.raises(ValueError, match=r"points must be on the model's device cpu, got meta: move with"):
            model(points)
        with pytest.raises(ValueError, match="k must be on the model's device"):
            model.grid(x=[0.0], k=points[:, 0])

    @pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
    def test_models_can_be_moved(self) -> None:
        axes = AXES["vector-valued"]()
        model = random_model(axes)
        moved = deepcopy(model).to("cuda")
        points = np.array([[0.3, 0.2, 1, 5.5], [1.7, 0.9, 2, 5.1]])
        for found, expected in zip(
            [moved(points), *moved.jet(points)], [model(points), *model.jet(points)], strict=True
        ):
            assert found.device.type == "cuda"
            np.testing.assert_allclose(found.cpu(), expected, rtol=1e-10, atol=1e-8)
        assert moved.at(c=1).device.type == "cuda"
        assert moved.norm() == pytest.approx(model.norm(), rel=1e-12)
        assert moved.round(rank=2).device.type == "cuda"
        with pytest.raises(ValueError, match=r"device cuda:0, got cpu: move with points.to\('cuda:0'\)"):
            moved(torch.tensor(points))


class TestVectorValued:
    """A discrete axis holds the components."""

    def test_components_are_slices(self) -> None:
        x, c = line("x"), it.Axis.discrete("c", 2)
        u = it.CPModel.from_factors([x, c], [np.stack([x.nodes, x.nodes**2], 1), np.eye(2)])
        points = np.linspace(-1, 2, 7)[:, None]
        np.testing.assert_allclose(u.at(c=0)(points), points[:, 0], atol=1e-14)
        np.testing.assert_allclose(u.at(c=1)(points), points[:, 0] ** 2, atol=1e-14)
        np.testing.assert_allclose(u.integrate("c")(points), points[:, 0] + points[:, 0] ** 2, atol=1e-14)
        np.testing.assert_allclose(u.mean("c")(points), (points[:, 0] + points[:, 0] ** 2) / 2, atol=1e-14)
        vectors = u.grid(x=points[:, 0], c=[0, 1])
        assert vectors.shape == (7, 2)

    @pytest.mark.parametrize("value", [0.5, -1, 2])
    def test_there_is_nothing_between_components(self, value: float) -> None:
        u = random_model([line("x"), it.Axis.discrete("c", 2)])
        with pytest.raises(ValueError, match="axis 'c'"):
            u.at(c=value)
        with pytest.raises(ValueError, match="axis 'c'"):
            u(np.array([[0.0, value]]))
        if value == 0.5:
            with pytest.raises(ValueError, match="whole numbers"):
                u(np.array([[0.0, value]]), extrapolate="clamp")


class TestGrid:
    """Grids without a meshgrid."""

    def test_a_large_grid_is_computed_in_parts(self) -> None:
        axes = [it.Axis(name, 0, 1, elements=8) for name in "xyz"]
        u = random_model(axes, rank=30)
        vectors = [np.linspace(0, 1, count) for count in (1001, 40, 33)]
        grid = u.grid(x=vectors[0], y=vectors[1], z=vectors[2])
        assert grid.shape == (1001, 40, 33)
        rng = np.random.default_rng(0)
        index = np.stack([rng.integers(0, len(v), 500) for v in vectors], 1)
        points = np.stack([v[i] for v, i in zip(vectors, index.T, strict=True)], 1)
        np.testing.assert_allclose(grid[tuple(index.T)], u(points), atol=1e-12)

    def test_a_long_line(self) -> None:
        u = random_model([line("x")], rank=100)
        x = np.linspace(-1, 2, 200_001)
        np.testing.assert_allclose(u.grid(x=x)[::1000], u(x[::1000, None]), atol=1e-11)

    def test_empty_vectors(self) -> None:
        u = random_model(AXES["two"]())
        assert u.grid(x=[], k=[2.0]).shape == (0, 1)

    def test_too_large_grids_are_refused_with_their_size(self) -> None:
        axes = [it.Axis(name, 0, 1, elements=8) for name in "abcd"]
        u = random_model(axes)
        vectors = {axis.name: np.linspace(0, 1, 2000) for axis in axes}
        with pytest.raises(
            MemoryError, match=r"2000 x 2000 x 2000 x 2000 values needs 1\.28e\+05 GB, available memory"
        ):
            u.grid(**vectors)
        with pytest.raises(MemoryError, match=r"given limit allows 0\.001 GB"):
            u.grid({"a": vectors["a"], "b": vectors["b"]}, memory_limit_gb=0.001, c=0, d=0)

    def test_the_limit_can_be_raised(self, monkeypatch: pytest.MonkeyPatch) -> None:
        u = random_model(AXES["two"]())
        monkeypatch.setattr("inntd.models.memory.available_bytes", lambda: 100)
        with pytest.raises(MemoryError, match="GB"):
            u.grid(x=[0.0, 1.0, 2.0], k=[1.0, 2.0, 3.0, 4.0])
        assert u.grid(x=[0.0, 1.0, 2.0], k=[1.0, 2.0, 3.0, 4.0], memory_limit_gb=1e-3).shape == (3, 4)

    def test_wrong_coordinates(self) -> None:
        u = random_model(AXES["two"]())
        with pytest.raises(ValueError, match="none for k"):
            u.grid(x=[0.0])
        with pytest.raises(ValueError, match="one of x, k, got 'y'"):
            u.grid(x=[0.0], y=[0.0])
        with pytest.raises(ValueError, match=r"k must lie in \[1, 4\] on axis 'k', got 2 outside of 3"):
            u.grid(x=[0.0], k=[0.0, 0.5, 1.0])
        with pytest.raises(ValueError, match="x must be finite"):
            u.grid(x=[np.nan], k=[1.0])
        with pytest.raises(ValueError, match=r"vector or a number, got shape \(1, 1\)"):
            u.grid(x=[[0.0]], k=[1.0])
        with pytest.raises(TypeError, match="given once, got twice: x"):
            u.grid({"x": [0.0]}, x=[0.0], k=[1.0])
        with pytest.raises(TypeError, match="k must have the model's dtype"):
            u.grid(x=[0.0], k=torch.tensor([1.0], dtype=torch.float32))


class TestSlices:
    """Slices, integrals and means."""

    def test_order_does_not_matter(self) -> None:
        u = random_model(AXES["graded and periodic"]())
        point = np.array([[0.3]])
        one = u.at(t=0.2).mean("phi")(point)
        np.testing.assert_allclose(u.mean("phi").at(t=0.2)(point), one, rtol=1e-12)
        np.testing.assert_allclose(u.mean("phi").at(t=0.2).at(y=0.3), float(one[0]), rtol=1e-12)

    def test_nothing_fixed_is_the_model_itself(self) -> None:
        u = random_model(AXES["two"]())
        assert u.at().relative_distance(u) < 1e-15

    def test_wrong_coordinates(self) -> None:
        u = random_model(AXES["two"]())
        with pytest.raises(ValueError, match=r"x must lie in \[-1, 2\] on axis 'x'.*: 3"):
            u.at(x=3.0)
        with pytest.raises(ValueError, match="one of x, k, got 'y'"):
            u.at(y=3.0)
        with pytest.raises(TypeError, match=r"x must be a number.*grid"):
            u.at(x=[0.0, 1.0])
        with pytest.raises(TypeError, match="x must be a number"):
            u.at(x="0")
        with pytest.raises(ValueError, match="x must be finite"):
            u.at(x=float("nan"))
        with pytest.raises(ValueError, match="one of x, k, got 'q'"):
            u.mean("q")
        with pytest.raises(ValueError, match="named once, got x, x"):
            u.integrate("x", "x")

    def test_sixty_axes_neither_overflow_nor_vanish(self) -> None:
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
