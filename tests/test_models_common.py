"""What CP and Tucker models have in common beyond the conformance suite: modules, devices, grids, slices, files."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import pytest
import scipy.sparse
import torch
from conformance_models import AXES, FORMS, Maker, line

import inntd as it


@pytest.fixture(params=FORMS)
def make(request: pytest.FixtureRequest) -> Maker:
    """Makes a random model of one form or the other."""
    return FORMS[request.param]


class TestModule:
    """A model is a torch module like others."""

    def test_state_dict_restores_the_model(self, make: Maker) -> None:
        axes = AXES["two"]()
        model, other = make(axes), make(axes, seed=1)
        other.load_state_dict(model.state_dict())
        assert other.relative_distance(model) < 1e-15
        with pytest.raises(RuntimeError, match="size mismatch"):
            make(axes, 3).load_state_dict(model.state_dict())

    def test_parameters_can_be_trained(self, make: Maker) -> None:
        x, y = line("x"), line("y")
        model = type(make([x, y]))([x, y], 2)
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

    def test_a_loader_with_workers_carries_models(self, make: Maker) -> None:
        model = make(AXES["two"]())
        loader = torch.utils.data.DataLoader([(model, i) for i in range(2)], num_workers=1, collate_fn=lambda b: b[0])
        points = np.array([[0.3, 2.0]])
        assert all(torch.equal(found(points), model(points)) for found, _ in loader)


class TestDevices:
    """Points must be where the model is."""

    def test_points_elsewhere_are_refused(self, make: Maker) -> None:
        model = make(AXES["two"]())
        points = torch.empty(3, 2, dtype=torch.float64, device="meta")
        with pytest.raises(ValueError, match=r"points must be on the model's device cpu, got meta: move with"):
            model(points)
        with pytest.raises(ValueError, match="k must be on the model's device"):
            model.grid(x=[0.0], k=points[:, 0])

    @pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
    def test_models_can_be_moved(self, make: Maker) -> None:
        axes = AXES["vector-valued"]()
        model = make(axes)
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

    def test_components_are_slices(self, make: Maker) -> None:
        x, c = line("x"), it.Axis.discrete("c", 2)
        factors = [np.stack([x.nodes, x.nodes**2], 1), np.eye(2)]
        u = it.CPModel.from_factors([x, c], factors)
        if make is FORMS["tucker"]:
            u = it.TuckerModel.from_factors([x, c], np.eye(2), factors)
        points = np.linspace(-1, 2, 7)[:, None]
        np.testing.assert_allclose(u.at(c=0)(points), points[:, 0], atol=1e-14)
        np.testing.assert_allclose(u.at(c=1)(points), points[:, 0] ** 2, atol=1e-14)
        np.testing.assert_allclose(u.integrate("c")(points), points[:, 0] + points[:, 0] ** 2, atol=1e-14)
        np.testing.assert_allclose(u.mean("c")(points), (points[:, 0] + points[:, 0] ** 2) / 2, atol=1e-14)
        vectors = u.grid(x=points[:, 0], c=[0, 1])
        assert vectors.shape == (7, 2)

    @pytest.mark.parametrize("value", [0.5, -1, 2])
    def test_there_is_nothing_between_components(self, value: float, make: Maker) -> None:
        u = make([line("x"), it.Axis.discrete("c", 2)])
        with pytest.raises(ValueError, match="axis 'c'"):
            u.at(c=value)
        with pytest.raises(ValueError, match="axis 'c'"):
            u(np.array([[0.0, value]]))
        if value == 0.5:
            with pytest.raises(ValueError, match="whole numbers"):
                u(np.array([[0.0, value]]), extrapolate="clamp")


class TestGrid:
    """Grids without a meshgrid."""

    def test_a_large_grid_is_computed_in_parts(self, make: Maker) -> None:
        axes = [it.Axis(name, 0, 1, elements=8) for name in "xyz"]
        u = make(axes, 30)
        vectors = [np.linspace(0, 1, count) for count in (1001, 40, 33)]
        grid = u.grid(x=vectors[0], y=vectors[1], z=vectors[2])
        assert grid.shape == (1001, 40, 33)
        rng = np.random.default_rng(0)
        index = np.stack([rng.integers(0, len(v), 500) for v in vectors], 1)
        points = np.stack([v[i] for v, i in zip(vectors, index.T, strict=True)], 1)
        np.testing.assert_allclose(grid[tuple(index.T)], u(points), atol=1e-13 * float(grid.abs().max()))

    def test_a_long_line(self, make: Maker) -> None:
        u = make([line("x")], 100)
        x = np.linspace(-1, 2, 200_001)
        np.testing.assert_allclose(u.grid(x=x)[::1000], u(x[::1000, None]), atol=1e-11)

    def test_empty_vectors(self, make: Maker) -> None:
        u = make(AXES["two"]())
        assert u.grid(x=[], k=[2.0]).shape == (0, 1)

    def test_too_large_grids_are_refused_with_their_size(self, make: Maker) -> None:
        axes = [it.Axis(name, 0, 1, elements=8) for name in "abcd"]
        u = make(axes)
        vectors = {axis.name: np.linspace(0, 1, 2000) for axis in axes}
        with pytest.raises(
            MemoryError, match=r"2000 x 2000 x 2000 x 2000 values needs 1\.28e\+05 GB, available memory"
        ):
            u.grid(**vectors)
        with pytest.raises(MemoryError, match=r"given limit allows 0\.001 GB"):
            u.grid({"a": vectors["a"], "b": vectors["b"]}, memory_limit_gb=0.001, c=0, d=0)

    def test_the_limit_can_be_raised(self, monkeypatch: pytest.MonkeyPatch, make: Maker) -> None:
        u = make(AXES["two"]())
        monkeypatch.setattr("inntd.models.memory.available_bytes", lambda: 100)
        with pytest.raises(MemoryError, match="GB"):
            u.grid(x=[0.0, 1.0, 2.0], k=[1.0, 2.0, 3.0, 4.0])
        assert u.grid(x=[0.0, 1.0, 2.0], k=[1.0, 2.0, 3.0, 4.0], memory_limit_gb=1e-3).shape == (3, 4)

    def test_wrong_coordinates(self, make: Maker) -> None:
        u = make(AXES["two"]())
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
        with pytest.raises(TypeError, match=r"got torch.int64: convert with k.to\(torch.float64\)$"):
            u.grid(x=[0.0], k=torch.tensor([1]))
        with pytest.raises(TypeError, match=r"must be a dense tensor, got a sparse one: convert with points.to_dense"):
            u(torch.zeros((1, 2), dtype=torch.float64).to_sparse())
        with pytest.raises(TypeError, match=r"must be a dense array, got the sparse csr_matrix: use points.toarray"):
            u(scipy.sparse.csr_matrix(np.zeros((1, 2))))
        assert u(np.array([[0, 1]])).shape == (1,)  # whole numbers are numbers


class TestSlices:
    """Slices, integrals and means."""

    def test_order_does_not_matter(self, make: Maker) -> None:
        u = make(AXES["graded and periodic"]())
        point = np.array([[0.3]])
        one = u.at(t=0.2).mean("phi")(point)
        np.testing.assert_allclose(u.mean("phi").at(t=0.2)(point), one, rtol=1e-12)
        np.testing.assert_allclose(u.mean("phi").at(t=0.2).at(y=0.3), float(one[0]), rtol=1e-12)

    def test_nothing_fixed_is_the_model_itself(self, make: Maker) -> None:
        u = make(AXES["two"]())
        assert u.at().relative_distance(u) < 1e-15

    def test_wrong_coordinates(self, make: Maker) -> None:
        u = make(AXES["two"]())
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
