"""Surrogates chosen from the data alone: coordinates, derivatives, leave-one-out, forms, noise."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import inntd as it
from inntd.axes.assembly import matrix
from inntd.models.exponential import ExponentialModel
from inntd.training.automatic import fit_automatic
from inntd.training.coordinates import Coordinates
from inntd.training.evidence import Samples, improve, left_out, with_new_mode

RANDOM = np.random.default_rng(0)


def relative(model: Any, x: np.ndarray, y: np.ndarray) -> float:
    return float(np.sqrt(np.mean((model(x).detach().numpy() - y) ** 2)) / np.std(y))


@pytest.mark.parametrize(
    "axis",
    [
        it.Axis("x", -1, 3, elements=8, s=3),
        it.Axis("x", nodes=[0, 1, 1.5, 4, 5], basis=it.LinearBasis()),
        it.Axis("x", 0, 1, elements=1, basis=it.LinearBasis()),
        it.Axis.discrete("x", 4),
    ],
)
def test_coordinates_are_orthonormal_and_curvature_is_diagonal(axis: it.Axis) -> None:
    found = Coordinates.of(axis)
    length = axis.size if axis.discrete else axis.domain[1] - axis.domain[0]
    np.testing.assert_allclose(
        found.nodal.T @ matrix(axis).toarray() @ found.nodal / length, np.eye(axis.size), atol=1e-12
    )
    np.testing.assert_allclose(found.nodal[:, 0], 1, atol=1e-12)
    if axis.table.degree >= 2:
        energy = found.nodal.T @ matrix(axis, 2, 2).toarray() @ found.nodal
        scale = energy.max()
        np.testing.assert_allclose(energy - np.diag(np.diag(energy)), 0, atol=1e-10 * scale)
        ratio = np.diag(energy)[2:] / energy[2, 2]
        np.testing.assert_allclose(ratio, found.roughness[2:], rtol=1e-6)
        np.testing.assert_allclose(np.diff(found.nodal[:, 1], 2), 0, atol=1e-10)


def fitted(additive: bool, count: int = 60) -> tuple[Samples, Any, np.ndarray]:
    x = RANDOM.random((count, 2))
    y = np.sin(3 * x[:, 0]) * x[:, 1] + x[:, 0] ** 2
    y = (y - y.mean()) / y.std()
    coordinates = [Coordinates.of(it.Axis(name, 0, 1, elements=4, s=2)) for name in "ab"]
    samples = Samples(coordinates, x, y, 0.5 + RANDOM.random(count))
    fit = improve(samples, samples.start(additive), 4)
    return samples, improve(samples, with_new_mode(samples, fit, np.random.default_rng(1)), 6), x


@pytest.mark.parametrize("additive", [False, True])
def test_the_jacobian_is_the_derivative(additive: bool) -> None:
    samples, fit, _ = fitted(additive)
    residual, jacobian = samples.jacobian(fit)
    np.testing.assert_allclose(residual, samples.root * (samples.y - samples.values(fit)), atol=1e-12)
    vector, step = fit.vector(), 1e-6
    for i in range(len(vector)):
        moved = [samples.values(fit.moved(vector + sign * step * (np.arange(len(vector)) == i))) for sign in (1, -1)]
        np.testing.assert_allclose(jacobian[:, i], samples.root * (moved[0] - moved[1]) / (2 * step), atol=1e-7)


def test_leaving_out_is_exact_where_the_model_is_linear() -> None:
    """Additive functions only: the penalised least-squares problem is solved anew without each sample."""
    samples, _, x = fitted(True)
    fit = improve(samples, samples.start(True), 6)
    _, jacobian = samples.jacobian(fit)
    groups, rough = samples.penalties(fit)
    penalty = np.where(groups < 0, 1e-12, fit.noise * fit.tau[groups] * rough)
    found = left_out(samples, fit)
    for i in range(0, len(x), 7):
        others = np.arange(len(x)) != i
        normal = jacobian[others].T @ jacobian[others] + np.diag(penalty)
        right = jacobian[others].T @ (samples.root[others] * samples.y[others])
        expected = jacobian[i] @ np.linalg.solve(normal, right) / samples.root[i]
        assert found[i] == pytest.approx(expected, abs=1e-5)


def test_additive_and_product_functions_are_found() -> None:
    x = RANDOM.random((400, 4))
    inside = 0.02 + 0.96 * RANDOM.random((500, 4))

    def added(x: np.ndarray) -> np.ndarray:
        return np.sin(3 * x[:, 0]) + x[:, 1] ** 3 - 2 * x[:, 2]

    def multiplied(x: np.ndarray) -> np.ndarray:
        return (1 + x[:, 0]) * np.exp(x[:, 1]) * np.cos(2 * x[:, 2])

    for function in (added, multiplied):
        found = fit_automatic(x, function(x))
        assert relative(found.model, inside, function(inside)) < 1e-4
        assert found.choices["score"] < 1e-4


def test_logarithms_are_fitted_where_they_are_simpler() -> None:
    def wide(x: np.ndarray) -> np.ndarray:
        return np.exp(4 * np.sin(2 * x).sum(axis=1) + x[:, 0] * x[:, 1])

    x, inside = RANDOM.random((300, 3)), 0.02 + 0.96 * RANDOM.random((300, 3))
    found = fit_automatic(x, wide(x))
    assert isinstance(found.model, ExponentialModel)
    assert relative(found.model, inside, wide(inside)) < 1e-2


def test_noise_is_estimated_and_not_learnt() -> None:
    x = RANDOM.random((500, 3))
    clean = np.sin(3 * x[:, 0]) + x[:, 1] * x[:, 2]
    sigma = 0.1 * clean.std()
    found = fit_automatic(x, clean + sigma * RANDOM.normal(size=500))
    assert relative(found.model, x, clean) < 0.05
    assert found.choices["noise"] == pytest.approx(sigma, rel=0.25)


@pytest.mark.parametrize("count", [1, 3, 6, 30])
def test_few_samples_and_constants_have_models(count: int) -> None:
    x = RANDOM.random((count, 2))
    assert np.isfinite(fit_automatic(x, x[:, 0]).model(x).numpy()).all()
    found = fit_automatic(x, np.full(count, 7.0))
    np.testing.assert_allclose(found.model(x).numpy(), 7.0, atol=1e-12)


def test_categories_levels_and_seeds() -> None:
    x = np.column_stack([RANDOM.integers(0, 3, 300), RANDOM.integers(0, 5, 300) / 4, RANDOM.random(300)]).astype(float)
    y = np.array([0.0, 5.0, -1.0])[x[:, 0].astype(int)] * x[:, 2] + x[:, 1]
    first = fit_automatic(x, y, categorical=[0], names=["kind", "level", "z"])
    assert first.model.axes[0].discrete
    assert first.model.axes[1].elements <= 4
    assert relative(first.model, x, y) < 1e-6
    again = fit_automatic(x, y, categorical=[0], names=["kind", "level", "z"])
    assert np.array_equal(first.model(x).numpy(), again.model(x).numpy())


def test_interruption_keeps_the_best() -> None:
    def stop(entry: dict[str, Any]) -> None:
        if entry["step"] == 4:
            raise KeyboardInterrupt

    x = RANDOM.random((200, 2))
    found = fit_automatic(x, np.sin(5 * x[:, 0]) * x[:, 1], callback=stop)
    assert found.status == "interrupted"
    assert len(found.history) == 4
    assert np.isfinite(found.model(x).numpy()).all()


# ---- exponentials of models --------------------------------------------------------------------------------------


def exponential() -> ExponentialModel:
    x, y = it.Axis("x", 0, 1, elements=8), it.Axis("y", 0, 2, elements=8)
    return ExponentialModel(it.CPModel.from_factors([x, y], [x.nodes[:, None], 0.5 * y.nodes[:, None]]))  # exp(x y / 2)


def test_exponentials_are_fields() -> None:
    from inntd.models import Field

    u = exponential()
    assert isinstance(u, Field)
    point = np.array([[0.3, 1.2]])
    value, gradient, second = u.jet(point)
    assert value.item() == pytest.approx(np.exp(0.18))
    np.testing.assert_allclose(gradient.numpy(), np.exp(0.18) * np.array([[0.6, 0.15]]), rtol=1e-9)
    np.testing.assert_allclose(second.numpy(), np.exp(0.18) * np.array([[0.36, 0.0225]]), rtol=1e-8)
    assert u.at(x=0.3, y=1.2) == pytest.approx(np.exp(0.18))
    assert u.at(y=1.2)(np.array([[0.3]])).item() == pytest.approx(np.exp(0.18))
    assert u.grid(x=[0.3], y=[1.2]).item() == pytest.approx(np.exp(0.18))


def test_statistics_of_exponentials_know_their_error() -> None:
    u = exponential()
    s, w = np.polynomial.legendre.leggauss(20)
    grid = np.exp(np.outer((s + 1) / 2, s + 1) / 2)
    mean = w @ grid @ w / 4
    found = u.mean()
    assert abs(found - mean) < 6 * u.standard_error < 1e-4
    assert u.integrate() == pytest.approx(2 * mean, rel=1e-5)
    assert u.norm() == pytest.approx(np.sqrt(2 * (w @ grid**2 @ w / 4)), rel=1e-5)
    with pytest.raises(NotImplementedError, match="over all axes, got only x"):
        u.mean("x")


def test_exponentials_are_saved_to_the_bit() -> None:
    u = exponential()
    with tempfile.TemporaryDirectory() as folder:
        u.save(Path(folder) / "u.inntd", metadata={"origin": "test"})
        v = it.load(Path(folder) / "u.inntd")
    assert isinstance(v, ExponentialModel)
    points = RANDOM.random((20, 2))
    assert np.array_equal(v(points).numpy(), u(points).numpy())
    assert v.metadata["origin"] == "test"
