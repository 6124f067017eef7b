"""Alternating least squares: one update against dense least squares, descent, recovery, gaps, weights, outputs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import inntd as it
from inntd._kernels import core
from inntd.training.als import fit_als
from inntd.training.alternation import Alternation
from inntd.training.block_banded import BlockBanded
from inntd.training.mesh import FineMeshWarning
from inntd.training.rank import start_factors
from inntd.training.samples import Samples, group
from inntd.training.smoothness import Smoothness, second_differences

Array = np.ndarray[Any, Any]


def axes_of(kind: str) -> list[it.Axis]:
    """Return three axes: patches on even nodes, and another kind in the middle."""
    middle = {
        "linear": lambda: it.Axis("b", 0, 2, elements=5, basis=it.LinearBasis()),
        "uneven": lambda: it.Axis("b", nodes=[0, 0.2, 0.5, 0.9, 1.4, 2], s=2),
        "periodic": lambda: it.Axis("b", 0, 2, elements=8, s=2, periodic=True),
        "discrete": lambda: it.Axis.discrete("b", 3),
        "kernel": lambda: it.Axis("b", 0, 2, elements=6, basis=it.CHiDeNNBasis(s=1, p=1, a=20.0, kernel="cubic")),
    }[kind]()
    return [it.Axis("a", 0, 1, elements=6, s=2), middle, it.Axis("c", -1, 1, elements=1, basis=it.LinearBasis())]


def samples_of(axes: list[it.Axis], count: int, outputs: int = 1, seed: int = 0, grid: bool = False) -> Samples:
    random = np.random.default_rng(seed)
    columns = []
    for axis in axes:
        low, high = axis.domain
        x = random.integers(0, axis.size, count) * 1.0 if axis.discrete else random.uniform(low, high, count)
        if grid and not axis.discrete:
            x = low + (high - low) * np.rint(4 * random.random(count)) / 4
        columns.append(x)
    y = random.standard_normal((count, outputs))
    return Samples.checked(axes, np.stack(columns, 1), y, random.uniform(0.2, 2, count))


def state_of(
    axes: list[it.Axis], samples: Samples, modes: int, smoothness: float | str = 1e-3, ridge: float = 1e-4
) -> Alternation:
    random = np.random.default_rng(5)
    penalties = [Smoothness(axis, smoothness) for axis in axes]
    factors = start_factors(axes, samples.y.shape[1], modes, random)
    factors = [u + 0.3 * random.standard_normal(u.shape) for u in factors]
    return Alternation(axes, samples, factors, penalties, ridge, random)


def basis_rows(axis: it.Axis, x: Array) -> Array:
    index, values = axis.tabulate(x)
    rows = np.zeros((len(x), axis.size))
    for k in range(len(x)):
        np.add.at(rows[k], index[k], values[k])
    return rows


def penalised_loss(state: Alternation, samples: Samples) -> tuple[float, float]:
    """Return the mean squared error and the penalised one, each mode and sample by itself."""
    factors = [*state.factors[:-1], state.factors[-1] * state.amplitudes]
    rows = [basis_rows(axis, x) for axis, x in zip(state.axes, samples.x, strict=True)]
    values = np.prod([r @ u for r, u in zip(rows, factors, strict=False)], axis=0) @ factors[-1].T
    loss = float((samples.weights[:, None] * (samples.y - values) ** 2).mean())
    norms = np.prod([(u**2).mean(axis=0) for u in factors], axis=0)
    penalty = state.ridge * norms.sum()
    for axis, u, smooth in zip(state.axes, factors, state.penalties, strict=False):
        curvature = ((second_differences(axis).toarray() @ u) ** 2).sum(axis=0)
        penalty += smooth.weight * np.sum(norms * curvature / (u**2).mean(axis=0))
    return loss, loss + float(penalty)


KINDS = ["linear", "uneven", "periodic", "discrete", "kernel"]


@pytest.mark.parametrize("grid", [False, True])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("outputs", [1, 3])
def test_an_update_is_the_dense_least_squares_solution(kind: str, grid: bool, outputs: int) -> None:
    axes = axes_of(kind)
    samples = samples_of(axes, 400, outputs, grid=grid)
    for d in range(3):
        state = state_of(axes, samples, modes=3)
        rows = [basis_rows(axis, x) for axis, x in zip(axes, samples.x, strict=True)]
        g = np.prod([rows[e] @ state.factors[e] for e in range(3) if e != d], axis=0)
        # Unknown U[i, m]: the data's rows, then the roots of the penalties.
        design = np.einsum("ki,km,cm->kcim", rows[d], g, state.factors[-1]).reshape(400 * outputs, -1)
        weight = np.sqrt(np.repeat(samples.weights, outputs) / samples.y.size)
        modes, size = 3, axes[d].size
        other = state.ridge + sum(state.penalties[e].weight * state.penalties[e].energy(state.factors[e])
                                  for e in range(3) if e != d)  # fmt: skip
        ridge = np.kron(np.eye(size), np.diag(np.sqrt(other / size)))
        smooth = np.kron(second_differences(axes[d]).toarray(), np.sqrt(state.penalties[d].weight) * np.eye(modes))
        matrix = np.concatenate([design * weight[:, None], ridge, smooth])
        right = np.concatenate([samples.y.ravel() * weight, np.zeros(len(ridge) + len(smooth))])
        expected = np.linalg.lstsq(matrix, right, rcond=None)[0].reshape(size, modes)
        state.update(d)
        assert state.factors[d] * state.amplitudes == pytest.approx(expected, abs=1e-6 * np.abs(expected).max())
        assert penalised_loss(state, samples) == pytest.approx((state.loss, state.penalised), rel=1e-9)


@pytest.mark.parametrize("outputs", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_no_update_raises_the_penalised_loss(kind: str, outputs: int) -> None:
    axes = axes_of(kind)
    samples = samples_of(axes, 300, outputs)
    state = state_of(axes, samples, modes=4)
    before = penalised_loss(state, samples)[1]
    for _ in range(5):
        for update in [lambda d=d: state.update(d) for d in range(3)] + [state.update_outputs] * (outputs > 1):
            update()
            loss, penalised = penalised_loss(state, samples)
            assert (state.loss, state.penalised) == pytest.approx((loss, penalised), rel=1e-8)
            assert penalised <= before * (1 + 1e-12)
            before = penalised
    assert state.mean_square() == pytest.approx(state.loss, rel=1e-8)


def test_the_compiled_sums_are_the_same_for_every_instruction_set_and_number_of_threads() -> None:
    axes = axes_of("uneven")
    samples = samples_of(axes, 500)
    chosen, threads = core.isa(), torch.get_num_threads()
    found = {}
    try:
        for isa in core.available_isas():
            core.select_isa(isa)
            for count in (1, 3):
                torch.set_num_threads(count)
                matrix, gradient, loss = state_of(axes, samples, modes=13).normal_equations(0)
                found[isa, count] = (matrix.blocks, gradient, loss)
            for one, three in zip(found[isa, 1], found[isa, 3], strict=True):
                assert np.array_equal(one, three)
    finally:
        core.select_isa(chosen)
        torch.set_num_threads(threads)
    for values in found.values():
        for mine, base in zip(values, found["base", 1], strict=True):
            assert mine == pytest.approx(base, rel=1e-10, abs=1e-14)


@pytest.mark.parametrize("grid", [False, True])
@pytest.mark.parametrize("modes", [1, 2, 5, 8, 13, 24, 65])
def test_the_compiled_sums_are_those_of_the_samples(modes: int, grid: bool) -> None:
    axes = [it.Axis(name, 0, 1, elements=4, s=2) for name in "ab"]
    samples = samples_of(axes, 300, outputs=2, grid=grid)
    state = state_of(axes, samples, modes)
    for d in range(2):
        matrix, gradient, loss = state.normal_equations(d)
        rows = [basis_rows(axis, x) for axis, x in zip(axes, samples.x, strict=True)]
        g = rows[1 - d] @ state.factors[1 - d]
        design = np.einsum("ki,km,cm->kcim", rows[d], g, state.factors[-1]).reshape(600, -1)
        weights = np.repeat(samples.weights, 2)[:, None] / 600
        residual = samples.y.ravel() - design @ (state.factors[d] * state.amplitudes).ravel()
        expected = design.T @ (weights * design)
        assert matrix.dense() == pytest.approx(expected, rel=1e-9, abs=1e-12 * np.abs(expected).max())
        assert gradient.ravel() == pytest.approx(design.T @ (weights[:, 0] * residual), rel=1e-9, abs=1e-10)
        assert loss == pytest.approx(float(weights[:, 0] @ residual**2), rel=1e-10)


@pytest.mark.parametrize("periodic", [False, True])
def test_block_banded_systems_are_dense_ones(periodic: bool) -> None:
    random = np.random.default_rng(0)
    matrix = BlockBanded(12, 4, 3, periodic)
    for first in range(12 if periodic else 9):
        root = random.standard_normal((12, 12))
        matrix.add(first, (root @ root.T + np.eye(12)).reshape(4, 3, 4, 3).transpose(0, 2, 1, 3))
    dense, right = matrix.dense(), random.standard_normal((12, 3, 2))
    assert np.array_equal(dense, dense.T)
    expected = np.linalg.solve(dense, right.reshape(36, 2)).reshape(12, 3, 2)
    assert matrix.solve(right) == pytest.approx(expected, rel=1e-8, abs=1e-12)


def test_elements_and_values_are_two_ways_to_the_same_sums() -> None:
    axis = it.Axis("x", 0, 1, elements=7, s=2)
    few = np.random.default_rng(0).integers(0, 9, 3000) / 8
    many = few + 1e-14 * np.arange(3000)
    by_value, by_element = group(axis, few), group(axis, np.clip(many, 0, 1))
    assert by_value.rows.shape == (9, axis.table.width, 1)
    assert by_element.rows.shape == (7, axis.table.width, axis.table.degree + 1)
    u = np.random.default_rng(1).standard_normal((8, 2))
    values = by_value.functions(u)[by_value.place, 0]
    legendre = np.polynomial.legendre.legvander(by_element.local, axis.table.degree)
    assert np.einsum("kp,kpm->km", legendre, by_element.functions(u)[by_element.place]) == pytest.approx(
        values, abs=1e-8
    )


def three(x: Array) -> Array:
    return np.exp(x[:, 0]) * np.cos(2 * x[:, 1]) * (1 + x[:, 2] ** 2) + np.sin(3 * x[:, 0]) * x[:, 1] * x[:, 2]


def unit_axes(elements: int = 8, s: int = 3, count: int = 3) -> list[it.Axis]:
    return [it.Axis(f"x{d}", 0, 1, elements=elements, s=s) for d in range(count)]


def error(model: Any, x: Array, y: Array) -> float:
    return float(np.sqrt(np.mean((model(torch.from_numpy(x)).numpy() - y) ** 2) / np.mean(y**2)))


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
def test_a_separable_function_is_recovered(scale: float) -> None:
    random = np.random.default_rng(0)
    axes, x = unit_axes(), random.random((3000, 3))
    truth = it.CPModel.from_factors(axes, [1 + random.random((axis.size, 1)) for axis in axes])
    y = scale * truth(torch.from_numpy(x)).numpy()
    found = fit_als(axes, x, y, rank=1, smoothness=1e-12)
    assert found.status == "converged"
    unseen = random.random((1000, 3))
    assert error(found.model, unseen, scale * truth(torch.from_numpy(unseen)).numpy()) < 1e-7
    assert found.history[-1]["loss"] <= 1e-14 * scale**2 * np.mean(y**2) / scale**2


def test_smoothness_bridges_a_gap() -> None:
    random = np.random.default_rng(0)
    x = random.random((6000, 3))
    x = x[np.abs(x[:, 0] - 0.5) > 0.1]  # four elements of 20 are empty
    unseen = random.random((2000, 3))
    errors = {}
    for smoothness in ("auto", 1e-12):
        found = fit_als(unit_axes(20), x, three(x), rank=4, smoothness=smoothness, sweeps=20)
        errors[smoothness] = error(found.model, unseen, three(unseen))
    assert errors["auto"] < 2e-3
    assert errors["auto"] < errors[1e-12] / 3


def test_smoothness_follows_the_noise() -> None:
    random = np.random.default_rng(0)
    x, unseen = random.random((3000, 3)), random.random((2000, 3))
    y = three(x)
    noisy = y + 0.1 * y.std() * random.standard_normal(len(y))
    weights, errors = [], []
    for values, smoothness in ((y, "auto"), (noisy, "auto"), (noisy, 1e-9)):
        found = fit_als(unit_axes(20), x, values, rank=4, smoothness=smoothness)
        weights.append(np.array(found.choices["smoothness"]))
        errors.append(error(found.model, unseen, three(unseen)))
    assert np.all(weights[1] > 3 * weights[0])
    assert errors[0] < 1e-3 < errors[1] < 0.6 * errors[2]


def test_a_weight_is_a_repetition() -> None:
    random = np.random.default_rng(0)
    x = random.random((150, 3))
    y = three(x) + 0.1 * random.standard_normal(150)
    counts = random.integers(1, 4, 150)
    options: dict[str, Any] = {"rank": 2, "smoothness": 1e-5, "sweeps": 5, "tolerance": 0.0}
    weighted = fit_als(unit_axes(), x, y, weights=7.0 * counts, **options)
    repeated = fit_als(unit_axes(), np.repeat(x, counts, axis=0), np.repeat(y, counts), **options)
    assert error(weighted.model, x, repeated.model(torch.from_numpy(x)).numpy()) < 1e-8
    assert weighted.history[-1]["loss"] == pytest.approx(repeated.history[-1]["loss"], rel=1e-9)


def test_a_weight_of_zero_removes_a_sample() -> None:
    x = np.random.default_rng(0).random((500, 3))
    y, weights = three(x), np.ones(500)
    y[::7], weights[::7] = 1e3, 0.0
    found = fit_als(unit_axes(), x, y, rank=3, weights=weights)
    assert error(found.model, x[weights > 0], y[weights > 0]) < 1e-3


def test_several_outputs_share_their_modes() -> None:
    random = np.random.default_rng(0)
    x, unseen = random.random((2000, 3)), random.random((500, 3))

    def outputs(x: Array) -> Array:
        return np.stack([three(x), -2 * three(x), np.sin(x.sum(axis=1)), np.zeros(len(x))], axis=1)

    found = fit_als(unit_axes(), x, outputs(x), rank=10)
    assert [axis.name for axis in found.model.axes] == ["x0", "x1", "x2", "output"]
    for c, values in enumerate(outputs(unseen).T):
        component = found.model.at(output=c)(torch.from_numpy(unseen)).numpy()
        assert np.sqrt(np.mean((component - values) ** 2)) < 1e-2


def test_the_rank_is_chosen_from_the_data() -> None:
    random = np.random.default_rng(0)
    x, unseen = random.random((4000, 3)), random.random((2000, 3))
    found = fit_als(unit_axes(), x, three(x), rank="auto")
    assert found.model.rank >= 2
    assert error(found.model, unseen, three(unseen)) < 1e-4
    noisy = fit_als(unit_axes(), x, three(x) + 0.3 * random.standard_normal(4000), rank="auto")
    assert noisy.model.rank < 16
    assert error(noisy.model, unseen, three(unseen)) < 0.05
    assert "held out" in noisy.choices["rank_why"]


def test_a_part_of_many_samples_makes_the_start() -> None:
    x = np.random.default_rng(0).random((20_000, 3))
    found = fit_als(unit_axes(), x, three(x), rank=3, sweeps=1)
    assert found.history[0]["loss"] < 1e-4 * np.mean(three(x) ** 2)
    assert found.status == "max_epochs"
    assert "raise sweeps" in found.message


def test_one_seed_gives_the_same_bits() -> None:
    x = np.random.default_rng(0).random((1000, 3))
    first, again, other = (fit_als(unit_axes(), x, three(x), rank=3, sweeps=3, seed=seed) for seed in (1, 1, 2))
    for a, b in zip(first.model.factors, again.model.factors, strict=True):
        assert torch.equal(a, b)
    assert not torch.equal(first.model.factors[0], other.model.factors[0])


def test_an_interrupt_keeps_the_best() -> None:
    x = np.random.default_rng(0).random((1000, 3))
    seen: list[dict[str, Any]] = []

    def callback(entry: dict[str, Any]) -> None:
        seen.append(entry)
        if len(seen) == 2:
            raise KeyboardInterrupt

    found = fit_als(unit_axes(), x, three(x), rank=3, callback=callback)
    assert found.status == "interrupted"
    assert found.history == seen
    assert error(found.model, x, three(x)) ** 2 * np.mean(three(x) ** 2) == pytest.approx(seen[-1]["loss"], rel=1e-3)


def test_time_ends_the_sweeps() -> None:
    x = np.random.default_rng(0).random((1000, 3))
    found = fit_als(unit_axes(), x, three(x), rank=3, tolerance=0.0, sweeps=1000, max_seconds=0.05)
    assert found.status == "max_epochs"
    assert "max_seconds" in found.message


@pytest.mark.parametrize("y", [np.zeros(50), np.full(50, 3.0)])
def test_constants_are_fitted(y: Array) -> None:
    x = np.random.default_rng(0).random((50, 3))
    found = fit_als(unit_axes(), x, y, rank=2)
    assert np.abs(found.model(torch.from_numpy(x)).numpy() - y).max() < 1e-4


def test_more_modes_than_samples_are_no_failure() -> None:
    x = np.random.default_rng(0).random((5, 3))
    with pytest.warns(FineMeshWarning):
        found = fit_als(unit_axes(), x, three(x), rank=20)
    assert error(found.model, x, three(x)) < 0.5
    assert found.status in ("converged", "max_epochs")


def test_a_mesh_finer_than_the_data_is_told() -> None:
    x = np.random.default_rng(0).random((300, 1))
    x[:, 0] = np.rint(4 * x[:, 0]) / 4
    with pytest.warns(FineMeshWarning, match=r"axis 'x': 10 elements .* at most 4 elements"):
        found = fit_als([it.Axis("x", 0, 1, elements=10)], x, x[:, 0] ** 2, rank=1)
    between = np.array([[0.125], [0.6]])
    assert found.model(torch.from_numpy(between)).numpy() == pytest.approx(between[:, 0] ** 2, abs=0.02)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": np.zeros((5, 2))}, r"x must have shape \(K, 3\)"),
        ({"x": np.full((5, 3), 2.0)}, r"axis 'x0': x must lie in \[0.0, 1.0\], got 5 outside"),
        ({"y": np.zeros(4)}, r"y must have shape \(5,\) or \(5, C\)"),
        ({"y": np.array([0, 1, np.nan, np.inf, 2])}, "y must be finite, got 2 NaN or infinite of 5"),
        ({"weights": -np.ones(5)}, "weights must be 5 non-negative numbers"),
        ({"rank": 0}, "rank must be a positive integer, got 0"),
        ({"smoothness": -1.0}, 'smoothness must be "auto" or a non-negative number'),
        ({"sweeps": 0}, "sweeps must be a positive integer"),
        ({"max_seconds": 0}, "max_seconds must be a positive finite number"),
    ],
)
def test_what_does_not_fit_is_refused(change: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {"x": np.full((5, 3), 0.5), "y": np.ones(5), "rank": 1} | change
    with pytest.raises(ValueError, match=message):
        fit_als(unit_axes(), given.pop("x"), given.pop("y"), **given)
