"""Derivatives of evaluation: with respect to factors and coordinates, once and twice."""

from __future__ import annotations

import copy
import pickle
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from conformance_models import Model, basis_matrix
from torch.autograd import forward_ad, gradcheck, gradgradcheck
from torch.func import functional_call, hessian, jacfwd, jacrev, jvp, vmap

import inntd as it
from inntd.models import functional, rows, tucker_functional

# Forward differentiation loads a part of torch that torch itself has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")

TOLERANCE = {"atol": 1e-6, "rtol": 1e-6}


def axes_of(kind: str) -> list[it.Axis]:
    if kind == "linear":
        return [it.Axis(name, 0, 2, elements=3, basis=it.LinearBasis()) for name in "xy"]
    if kind == "periodic":
        return [it.Axis("x", 0, 2, elements=6, periodic=True, s=2), it.Axis("t", 0, 1, elements=4, grading=2, s=1)]
    if kind == "discrete":
        return [it.Axis("x", 0, 2, elements=5, s=2), it.Axis.discrete("c", 2), it.Axis("y", 0, 1, elements=4, s=1)]
    return [it.Axis(name, 0, 2, elements=6) for name in "xyz"]


KINDS = ["linear", "periodic", "discrete", "default"]


def interior_points(axes: list[it.Axis], count: int, seed: int = 0) -> torch.Tensor:
    """Points at least a tenth of an element away from nodes: derivatives jump there."""
    rng = np.random.default_rng(seed)
    columns = []
    for axis in axes:
        if axis.discrete:
            columns.append(rng.integers(0, axis.size, count).astype(float))
            continue
        e = rng.integers(0, axis.elements, count)
        fraction = rng.uniform(0.1, 0.9, count)
        columns.append(axis.nodes[e] * (1 - fraction) + axis.nodes[e + 1] * fraction)
    return torch.tensor(np.stack(columns, 1))


@dataclass(frozen=True)
class Form:
    """Evaluation with all numbers of a model as arguments: a Tucker model's core is the first of them."""

    shapes: Callable[[list[it.Axis]], list[tuple[int, ...]]]
    values: Callable[..., torch.Tensor]
    jet: Callable[..., tuple[torch.Tensor, ...]]
    grid: Callable[..., torch.Tensor]
    model: Callable[[list[it.Axis], Sequence[torch.Tensor]], Model]

    def parameters(self, axes: list[it.Axis], seed: int = 1) -> list[torch.Tensor]:
        rng = np.random.default_rng(seed)
        return [torch.tensor(rng.standard_normal(shape), requires_grad=True) for shape in self.shapes(axes)]


def tucker_shapes(axes: list[it.Axis]) -> list[tuple[int, ...]]:
    ranks = tuple(2 + (d + 1) % 3 for d in range(len(axes)))  # 3, 4, 2: the largest neither first nor last
    return [ranks, *((axis.size, rank) for axis, rank in zip(axes, ranks, strict=True))]


FORMS = {
    "cp": Form(
        lambda axes: [(axis.size, 2) for axis in axes],
        lambda axes, numbers, points: functional.values(axes, numbers, points),
        lambda axes, numbers, points: functional.jet(axes, numbers, points),
        lambda axes, numbers, vectors: functional.grid(axes, numbers, vectors),
        it.CPModel.from_factors,
    ),
    "tucker": Form(
        tucker_shapes,
        lambda axes, numbers, points: tucker_functional.values(axes, numbers[0], numbers[1:], points),
        lambda axes, numbers, points: tucker_functional.jet(axes, numbers[0], numbers[1:], points),
        lambda axes, numbers, vectors: tucker_functional.grid(axes, numbers[0], numbers[1:], vectors),
        lambda axes, numbers: it.TuckerModel.from_factors(axes, numbers[0], numbers[1:]),
    ),
}


@pytest.fixture(params=FORMS)
def form(request: pytest.FixtureRequest) -> Form:
    """One form of models or the other."""
    return FORMS[request.param]


def continuous(axes: list[it.Axis], points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, list[int]]:
    """Divide coordinates into those that can be varied (requiring gradients) and discrete ones."""
    free = [d for d, axis in enumerate(axes) if not axis.discrete]
    return points[:, free].clone().requires_grad_(), points, free


@pytest.mark.parametrize("kind", KINDS)
def test_values_have_first_and_second_derivatives(form: Form, kind: str) -> None:
    axes = axes_of(kind)
    x, points, free = continuous(axes, interior_points(axes, 3))

    def values(x: torch.Tensor, *numbers: torch.Tensor) -> torch.Tensor:
        full = points.clone()
        full[:, free] = x
        return form.values(axes, numbers, full)

    inputs = (x, *form.parameters(axes))
    assert gradcheck(values, inputs, **TOLERANCE)
    assert gradcheck(values, inputs, check_forward_ad=True, check_backward_ad=False, **TOLERANCE)
    assert gradgradcheck(values, inputs, **TOLERANCE)


@pytest.mark.parametrize("kind", KINDS)
def test_jets_have_first_and_second_derivatives(form: Form, kind: str) -> None:
    axes = axes_of(kind)
    x, points, free = continuous(axes, interior_points(axes, 2))

    def jet(x: torch.Tensor, *numbers: torch.Tensor) -> tuple[torch.Tensor, ...]:
        full = points.clone()
        full[:, free] = x
        return form.jet(axes, numbers, full)

    inputs = (x, *form.parameters(axes))
    assert gradcheck(jet, inputs, atol=1e-4, rtol=1e-6)
    assert gradgradcheck(jet, inputs, atol=1e-4, rtol=1e-5)


def test_grids_are_differentiable(form: Form) -> None:
    axes = axes_of("default")
    x, y, z = (interior_points(axes, 3)[:, d].clone().requires_grad_() for d in range(3))

    def grid(x: torch.Tensor, y: torch.Tensor, z: torch.Tensor, *numbers: torch.Tensor) -> torch.Tensor:
        return form.grid(axes, numbers, [x, y, z])

    inputs = (x, y, z, *form.parameters(axes))
    assert gradcheck(grid, inputs, **TOLERANCE)
    assert gradgradcheck(grid, inputs, **TOLERANCE)


@pytest.mark.parametrize("order", [0, 1, 2, 3])
def test_basis_rows_of_every_order(order: int) -> None:
    axis = it.Axis("x", 0, 2, elements=8, s=2)
    x = interior_points([axis], 5)[:, 0].requires_grad_()
    values, index = rows.basis_rows(x, axis, order)
    expected = basis_matrix(axis, x.detach().numpy(), order)
    np.testing.assert_allclose(values.detach(), np.take_along_axis(expected, index.numpy(), 1), atol=1e-12)
    assert gradcheck(lambda x: rows.basis_rows(x, axis, order)[0], (x,), atol=1e-3, rtol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_the_adjoint_of_evaluation(form: Form, kind: str) -> None:
    """⟨J δ, w⟩ = ⟨δ, Jᵀ w⟩, with J formed by the dense basis matrices: the model is linear in each of its arrays."""
    axes = axes_of(kind)
    points, numbers = interior_points(axes, 50), form.parameters(axes)
    model = form.model(axes, numbers).requires_grad_()
    rng = np.random.default_rng(2)
    w = torch.tensor(rng.standard_normal(50))
    gradients = torch.autograd.grad(model(points), [*model.parameters()], w)
    arrays = {name: value.detach().numpy() for name, value in model.named_parameters()}
    rows = [basis_matrix(axis, points[:, d].numpy()) for d, axis in enumerate(axes)]
    for name, gradient in zip(arrays, gradients, strict=True):
        delta = rng.standard_normal(gradient.shape)
        forward = dense_values(rows, {**arrays, name: delta}) @ w.numpy()
        assert float((gradient * torch.tensor(delta)).sum()) == pytest.approx(forward, rel=1e-11)


def dense_values(rows: list[np.ndarray], arrays: dict[str, np.ndarray]) -> np.ndarray:
    """Return the values of a model of either form from dense rows of basis functions and its arrays."""
    contracted = [row @ arrays[f"factors.{d}"] for d, row in enumerate(rows)]
    if "core" not in arrays:
        return np.prod(contracted, axis=0).sum(1)
    letters = "abc"[: len(rows)]
    return np.einsum(f"{letters},{','.join('k' + letter for letter in letters)}->k", arrays["core"], *contracted)


def test_zero_factors_have_gradients() -> None:
    """Products over the other axes, not quotients by one's own: no NaN where a factor vanishes."""
    axes = axes_of("default")
    factors = [torch.zeros(axis.size, 2, dtype=torch.float64) for axis in axes[:1]]
    factors += [torch.ones(axis.size, 2, dtype=torch.float64) for axis in axes[1:]]
    model = it.CPModel.from_factors(axes, factors).requires_grad_()
    points = interior_points(axes, 4)
    model(points).sum().backward()
    assert float(model.factors[0].grad.sum()) == pytest.approx(8.0)  # partition of unity, two modes, four points
    assert not model.factors[1].grad.any()
    jets = it.CPModel.from_factors(axes, factors).jet(points)
    assert all(bool(torch.isfinite(part).all()) for part in jets)


class TestTransformations:
    """torch.func and forward differentiation see through a model, fixed or trainable."""

    @pytest.fixture(params=[False, True], ids=["fixed", "trainable"])
    def model(self, form: Form, request: pytest.FixtureRequest) -> Model:
        axes = axes_of("default")
        return form.model(axes, form.parameters(axes)).requires_grad_(request.param)

    @pytest.fixture
    def points(self, model: Model) -> torch.Tensor:
        return interior_points(list(model.axes), 6)

    def test_jacobians_and_hessians_are_jets(self, model: Model, points: torch.Tensor) -> None:
        def u(x: torch.Tensor) -> torch.Tensor:
            return model(x[None])[0]

        _, gradient, second = (part.detach() for part in model.jet(points))
        for jacobian in (jacrev, jacfwd):
            np.testing.assert_allclose(vmap(jacobian(u))(points).detach(), gradient, rtol=1e-10, atol=1e-10)
        found = vmap(hessian(u))(points).detach()
        np.testing.assert_allclose(torch.diagonal(found, dim1=1, dim2=2), second, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(found, found.transpose(1, 2), atol=1e-10)

    def test_vmap_over_batches_of_points(self, model: Model, points: torch.Tensor) -> None:
        batches = points.reshape(2, 3, -1)
        np.testing.assert_allclose(vmap(model)(batches).detach().flatten(), model(points).detach(), rtol=1e-12)

    def test_vmap_over_models(self, form: Form, model: Model, points: torch.Tensor) -> None:
        """As ensembles do: torch.func's stacked parameters."""
        several = [form.model(list(model.axes), form.parameters(list(model.axes), seed)) for seed in (1, 2)]
        stacked = {name: torch.stack([dict(one.named_parameters())[name].detach() for one in several])
                   for name, _ in model.named_parameters()}  # fmt: skip
        found = vmap(lambda numbers: functional_call(model, numbers, (points,)))(stacked)
        np.testing.assert_allclose(found, torch.stack([one(points).detach() for one in several]), rtol=1e-12)

    def test_hessian_vector_products(self, model: Model, points: torch.Tensor) -> None:
        v = torch.tensor(np.random.default_rng(3).standard_normal(points.shape))
        reverse = torch.autograd.functional.hvp(lambda x: model(x).sum(), points, v)[1]
        forward = jvp(lambda x: torch.func.grad(lambda y: model(y).sum())(x), (points,), (v,))[1]
        full = torch.autograd.functional.hessian(lambda x: model(x).sum(), points)
        expected = torch.einsum("aibj,bj->ai", full, v)
        np.testing.assert_allclose(reverse.detach(), expected.detach(), atol=1e-10)
        np.testing.assert_allclose(forward.detach(), expected.detach(), atol=1e-10)

    def test_forward_differentiation(self, model: Model, points: torch.Tensor) -> None:
        tangent = torch.ones_like(points)
        with forward_ad.dual_level():
            found = forward_ad.unpack_dual(model(forward_ad.make_dual(points, tangent))).tangent
        np.testing.assert_allclose(found.detach(), model.jet(points)[1].detach().sum(1), rtol=1e-10)

    def test_factors_as_arguments(self, model: Model, points: torch.Tensor) -> None:
        doubled = {name: 2 * value.detach() for name, value in model.named_parameters()}
        found = functional_call(model, doubled, (points,))
        np.testing.assert_allclose(found, 2 ** len(doubled) * model(points).detach(), rtol=1e-12)

    def test_points_outside_are_seen_below_a_transformation(self, model: Model) -> None:
        outside = torch.full((3, 3), 5.0, dtype=torch.float64)
        with pytest.raises(ValueError, match="axis 'x', got 3 outside of 3"):
            vmap(lambda x: model(x[None])[0])(outside)
        found = vmap(lambda x: model(x[None], extrapolate="clamp")[0])(outside)
        np.testing.assert_allclose(found.detach(), model(torch.full_like(outside, 2.0)).detach(), rtol=1e-12)


def test_clamped_points_have_no_derivative_outside(form: Form) -> None:
    axes = axes_of("default")
    model = form.model(axes, form.parameters(axes))
    points = torch.tensor([[2.5, 0.3, 0.4]], dtype=torch.float64, requires_grad=True)
    model(points, extrapolate="clamp").sum().backward()
    assert points.grad is not None
    assert points.grad[0, 0] == 0
    assert bool((points.grad[0, 1:] != 0).all())


def test_second_derivatives_jump_at_nodes_to_the_right_limit() -> None:
    axis = it.Axis("x", 0, 1, elements=8)
    model = it.CPModel.from_factors([axis], [np.random.default_rng(0).standard_normal((9, 1))])
    node = axis.nodes[4]
    at, left, right = (model.jet(np.array([[node + shift]]))[2].item() for shift in (0.0, -1e-12, 1e-12))
    assert at == pytest.approx(right, rel=1e-6)
    assert abs(at - left) > 1e-3 * abs(at)


def test_single_precision_follows_double(form: Form) -> None:
    axes = axes_of("default")
    model = form.model(axes, form.parameters(axes)).requires_grad_()
    points = interior_points(axes, 20)
    expected = torch.autograd.grad(model(points).sum(), list(model.parameters()))
    model = model.to(torch.float32)
    found = torch.autograd.grad(model(points.float()).sum(), list(model.parameters()))
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == torch.float32
        np.testing.assert_allclose(one, other, atol=1e-5 * float(other.abs().max()))


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_torch_compile_keeps_one_graph(form: Form, backend: str) -> None:
    axes = axes_of("default")
    model = form.model(axes, form.parameters(axes)).requires_grad_()
    points = interior_points(axes, 20).requires_grad_()
    inputs = [points, *model.parameters()]

    def loss(points: torch.Tensor) -> torch.Tensor:
        return ((2 * model(points) - 1) ** 2).mean()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the compiler's own
        compiled = torch.compile(loss, fullgraph=True, backend=backend)
        expected = torch.autograd.grad(loss(points), inputs)
        for found, right in zip(torch.autograd.grad(compiled(points), inputs), expected, strict=True):
            torch.testing.assert_close(found, right, rtol=1e-12, atol=1e-14)
        with pytest.raises(ValueError, match="must lie in"):
            compiled(points + 5)


def test_copies_of_models_are_compiled_with_their_own_axes(form: Form) -> None:
    axes = axes_of("default")
    model = form.model(axes, form.parameters(axes))
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert other._handle.number != model._handle.number
        points = interior_points(axes, 20)
        assert torch.equal(other._traced_values(points), model(points))
