"""Training by gradients: Adam in the native loop, L-BFGS, boosting, sources of data, checkpoints."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import inntd as it
from inntd.training.als import fit_als
from inntd.training.boosting import fit_boosting
from inntd.training.gradient import fit_adam
from inntd.training.lbfgs import fit_lbfgs
from inntd.training.native import NativeModel, smooth_functions


def axes(elements: int = 8) -> list[it.Axis]:
    return [it.Axis("a", 0, 1, elements=elements, s=2), it.Axis("b", -1, 1, elements=elements)]


def samples(count: int = 3000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = np.column_stack([rng.random(count), rng.uniform(-1, 1, count)])
    return x, 5 + np.sin(3 * x[:, 0]) * np.exp(x[:, 1]) + x[:, 1]


def same(first: Any, second: Any) -> bool:
    return all(torch.equal(a, b) for a, b in zip(first.model.factors, second.model.factors, strict=True))


def error(model: Any) -> float:
    x, y = samples(500, seed=9)
    return float(np.sqrt(np.mean((model(x).numpy() - y) ** 2)) / np.std(y))


@pytest.mark.parametrize("outputs", [None, 1, 3])
@pytest.mark.parametrize("periodic", [False, True])
@pytest.mark.parametrize("narrow", [False, True])
def test_gradients_are_those_of_torch(outputs: int | None, periodic: bool, narrow: bool) -> None:
    """The core's full-batch loss and gradient against torch's differentiation of the explicit model."""
    x, y = samples(700)
    if narrow:  # two functions per point, or one: kernels of their own; a second row is read beyond the discrete axis
        mesh = [it.Axis("a", 0, 1, elements=9, basis=it.LinearBasis(), periodic=periodic),
                it.Axis("b", -1, 1, elements=5, basis=it.LinearBasis()), it.Axis.discrete("c", 3)]  # fmt: skip
        x = np.column_stack([x, np.arange(700) % 3])
    else:
        mesh = [it.Axis("a", 0, 1, elements=9, s=2, periodic=periodic), it.Axis("b", -1, 1, elements=5)]
    values = np.column_stack([y * (c + 1) for c in range(outputs or 1)])
    weights = np.random.default_rng(1).random(700)
    weights /= weights.mean()
    native = NativeModel(mesh, 4, outputs, torch.float64, np.zeros(outputs or 1), 1.0)
    native.start(3)
    native.core.set_data(x, values, weights, np.arange(700), 128)
    loss = native.core.gradient(2)
    factors = [factor.requires_grad_() for factor in native.take()]
    product = torch.ones(700, 4, dtype=torch.float64)
    for d, axis in enumerate(mesh):
        index, basis = axis.tabulate(x[:, d])
        product = product * (torch.from_numpy(basis)[:, :, None] * factors[d][torch.from_numpy(index)]).sum(1)
    found = product @ factors[-1].T if outputs else product.sum(1, keepdim=True)
    expected = (torch.from_numpy(weights)[:, None] * (found - torch.from_numpy(values)) ** 2).mean()
    gradients = torch.autograd.grad(expected, factors)
    assert loss == pytest.approx(expected.item(), rel=1e-12)
    for mine, torchs in zip(native.take("gradient"), gradients, strict=True):
        torch.testing.assert_close(mine, torchs, rtol=1e-11, atol=1e-13)


def test_one_step_is_torchs_adamw() -> None:
    mesh = axes()
    x, y = samples(256)
    native = NativeModel(mesh, 3, None, torch.float64, np.zeros(1), 1.0)
    native.start(0)
    native.core.set_data(x, y[:, None], None, np.arange(256), 256)
    model = it.CPModel(mesh, 3, factors=native.take())
    optimiser = torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.1)
    for step in range(3):
        optimiser.zero_grad()
        ((model(torch.from_numpy(x)) - torch.from_numpy(y)) ** 2).mean().backward()
        optimiser.step()
        native.core.run(np.zeros(1, np.int32), 1, np.array([0.01]), step, decay=0.1)
    for mine, torchs in zip(native.take(), model.factors, strict=True):
        torch.testing.assert_close(mine, torchs.detach(), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("periodic", [False, True])
def test_one_step_in_smooth_functions_is_torchs_on_their_coefficients(periodic: bool) -> None:
    mesh = [axes()[0], it.Axis("b", -1, 1, elements=9, periodic=True) if periodic else it.Axis.discrete("b", 5)]
    x, y = samples(256)
    x[:, 1] = x[:, 1] if periodic else np.rint(2 * x[:, 1] + 2)
    native = NativeModel(mesh, 3, 2, torch.float64, np.zeros(2), 1.0, smoothing=0.8)
    native.start(0)
    values = np.column_stack([y, -y])
    native.core.set_data(x, values, None, np.arange(256), 64)
    matrices = [torch.from_numpy(smooth_functions(mesh[0], 0.8)), torch.eye(mesh[1].size, dtype=torch.float64)]
    if periodic:
        matrices[1] = torch.from_numpy(smooth_functions(mesh[1], 0.8))
    *factors, outputs = native.take()
    coefficients = [torch.linalg.solve(b, u).requires_grad_() for b, u in zip(matrices, factors, strict=True)]
    outputs.requires_grad_()
    optimiser = torch.optim.AdamW([*coefficients, outputs], lr=0.01, weight_decay=0.1, betas=(0.8, 0.95))
    for step in range(3):
        optimiser.zero_grad()
        product = torch.ones((256, 3), dtype=torch.float64)
        for d, axis in enumerate(mesh):
            index, basis = axis.tabulate(x[:, d])
            factor = matrices[d] @ coefficients[d]
            product = product * (torch.from_numpy(basis)[:, :, None] * factor[torch.from_numpy(index)]).sum(1)
        ((product @ outputs.T - torch.from_numpy(values)) ** 2).mean().backward()
        optimiser.step()
        native.core.run(np.arange(4, dtype=np.int32), 4, np.array([0.01]), step, 0.8, 0.95, decay=0.1, threads=2)
    expected = [*(b @ c for b, c in zip(matrices, coefficients, strict=True)), outputs]
    for mine, torchs in zip(native.take(), expected, strict=True):
        torch.testing.assert_close(mine, torchs.detach(), rtol=1e-9, atol=1e-11)


def test_smooth_functions_learn_faster_on_a_fine_mesh() -> None:
    x, y = samples()
    smooth, nodal = (
        error(fit_adam(axes(40), x, y, rank=4, epochs=60, batch=256, smoothing=smoothing).model)
        for smoothing in (0.8, None)
    )
    assert 2 * smooth < nodal


def test_adam_learns_with_the_same_bits_every_time() -> None:
    x, y = samples()
    first, second = (fit_adam(axes(), x, y, rank=4, epochs=80, batch=256, seed=5) for _ in range(2))
    assert error(first.model) < 2e-2
    assert first.status == "max_epochs"
    assert len(first.history) == 80
    assert same(first, second)
    assert not same(first, fit_adam(axes(), x, y, rank=4, epochs=80, batch=256, seed=6))


def test_several_outputs_share_modes() -> None:
    x, y = samples()
    found = fit_adam(axes(), x, np.column_stack([y, -2 * y + 1]), rank=4, epochs=80, batch=256)
    assert [axis.name for axis in found.model.axes] == ["a", "b", "output"]
    points, values = samples(300, seed=4)
    second = found.model(np.column_stack([points, np.ones(300)])).numpy()
    assert np.std(second - (-2 * values + 1)) < 5e-2 * np.std(values)


def test_weights_silence_samples() -> None:
    x, y = samples()
    wrong = y.copy()
    wrong[:1500] += 100
    weights = np.r_[np.zeros(1500), np.ones(1500)]
    found = fit_adam(axes(), x, wrong, rank=4, weights=weights, epochs=120, batch=256)
    assert error(found.model) < 5e-2


def test_interruption_keeps_the_best() -> None:
    x, y = samples()

    def stop(entry: dict[str, Any]) -> None:
        if entry["step"] == 10:
            raise KeyboardInterrupt

    found = fit_adam(axes(), x, y, rank=4, epochs=500, batch=256, callback=stop)
    assert found.status == "interrupted"
    assert len(found.history) == 10
    assert error(found.model) < 1.0


def test_early_stopping_and_time() -> None:
    x, y = samples(400)
    noisy = y + np.random.default_rng(0).normal(size=400)
    found = fit_adam(axes(), x, noisy, rank=8, epochs=2000, batch=64, validation_fraction=0.25, patience=10)
    assert found.status == "converged"
    best = min(entry["validation_loss"] for entry in found.history)
    assert found.history[-11]["validation_loss"] == best
    assert len(fit_adam(axes(), x, y, rank=2, epochs=10**6, max_seconds=0.05).history) < 10**6


def test_a_diverging_rate_is_halved_and_said() -> None:
    x, y = samples()
    found = fit_adam(axes(), x, y, rank=4, epochs=60, batch=256, rate=50.0)
    assert "halved" in found.message
    assert np.isfinite(found.history[-1]["loss"])
    assert found.choices["final_rate"] < 50


def test_a_resumed_run_ends_with_the_same_factors(tmp_path: Path) -> None:
    x, y = samples()
    path = tmp_path / "run.checkpoint"
    options: dict[str, Any] = {"rank": 4, "epochs": 30, "batch": 256, "seed": 2, "validation_fraction": 0.1}
    whole = fit_adam(axes(), x, y, **options)

    def stop(entry: dict[str, Any]) -> None:
        if entry["step"] == 17:
            raise KeyboardInterrupt

    cut = fit_adam(axes(), x, y, **options, checkpoint_path=path, checkpoint_seconds=0.0, callback=stop)
    assert cut.status == "interrupted"
    resumed = fit_adam(axes(), x, y, **options, checkpoint_path=path, resume=True)
    assert len(resumed.history) == 30
    assert same(resumed, whole)
    with pytest.raises(ValueError, match=r"another run: its rank is 4, now it is 5"):
        fit_adam(axes(), x, y, **{**options, "rank": 5}, checkpoint_path=path, resume=True)
    path.write_bytes(b"nothing")
    with pytest.raises(ValueError, match="no checkpoint"):
        fit_adam(axes(), x, y, **options, checkpoint_path=path, resume=True)


def test_files_in_pieces_and_factories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = samples()
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y.npy", y)
    mapped = [np.load(tmp_path / name, mmap_mode="r") for name in ("x.npy", "y.npy")]
    monkeypatch.setattr("inntd.training.batches.CHUNK_BYTES", 3 * 8 * 700)
    found = fit_adam(axes(), *mapped, rank=4, epochs=80, batch=256, validation_fraction=0.1)
    assert error(found.model) < 2e-2
    assert "validation_loss" in found.history[-1]
    parts = fit_adam(axes(), lambda: ((x[i::3], y[i::3]) for i in range(3)), None, rank=4, epochs=80, batch=250)
    assert error(parts.model) < 2e-2
    with pytest.raises(ValueError, match="got an empty one"):
        fit_adam(axes(), lambda: iter(()), None, rank=4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rank": 0}, "rank must be a positive integer"),
        ({"rate": -1.0}, "rate must be"),
        ({"schedule": "linear"}, "schedule must be one of"),
        ({"betas": (0.9, 1.0)}, "betas must be two numbers"),
        ({"smoothing": float("nan")}, "smoothing must be"),
        ({"validation_fraction": 1.0}, "validation_fraction must be"),
        ({"dtype": "float16"}, "dtype must be 'float32' or 'float64'"),
    ],
)
def test_wrong_arguments_are_named(change: dict[str, Any], message: str) -> None:
    x, y = samples(50)
    with pytest.raises(ValueError, match=message):
        fit_adam(axes(), x, y, **{"rank": 2, **change})


def test_lbfgs_converges_to_the_mesh_error() -> None:
    x, y = samples()
    found = fit_lbfgs(axes(), x, y, rank=3, iterations=400)
    assert error(found.model) < 1e-3
    losses = [entry["loss"] for entry in found.history]
    assert losses == sorted(losses, reverse=True)


def test_boosting_lowers_the_loss_mode_by_mode() -> None:
    x, y = samples()
    found = fit_boosting(axes(), x, y, rank=6)
    losses = [entry["loss"] for entry in found.history]
    assert losses == sorted(losses, reverse=True)
    assert error(found.model) < 2e-2
    several = fit_boosting(axes(), x, np.column_stack([y, 2 * y]), rank=4)
    assert several.model.axes[-1].name == "output"


def test_boosting_ends_when_its_learner_is_interrupted_and_keeps_the_mode() -> None:
    calls: list[int] = []

    def interrupted(*given: Any, **options: Any) -> Any:
        calls.append(1)
        found = fit_als(*given, **options)
        return replace(found, status="interrupted") if len(calls) == 2 else found

    x, y = samples()
    found = fit_boosting(axes(), x, y, rank=6, learner=interrupted)
    assert (found.status, len(calls), len(found.history)) == ("interrupted", 2, 2)
    assert found.history[1]["loss"] < found.history[0]["loss"]


def test_time_ends_lbfgs_and_boosting() -> None:
    x, y = samples()
    for found in (
        fit_lbfgs(axes(), x, y, rank=3, tolerance=1e-300, max_seconds=1e-3),
        fit_boosting(axes(), x, y, rank=50, tolerance=0.0, max_seconds=1e-3),
    ):
        assert found.status == "max_epochs"
        assert "raise max_seconds" in found.message
        assert len(found.history) == 1


def _train_in_process(rank: int, world: int, file: str, folder: str) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{file}", rank=rank, world_size=world)
    x, y = samples(1000)
    found = fit_adam(axes(), x, y, rank=4, epochs=5, batch=256, dtype="float64")
    np.save(Path(folder) / f"losses{rank}.npy", [entry["loss"] for entry in found.history])
    torch.distributed.destroy_process_group()


@pytest.mark.filterwarnings("ignore")
def test_two_processes_have_the_loss_curve_of_one(tmp_path: Path) -> None:
    x, y = samples(1000)
    alone = [entry["loss"] for entry in fit_adam(axes(), x, y, rank=4, epochs=5, batch=256, dtype="float64").history]
    context = torch.multiprocessing.get_context("spawn")
    workers = [
        context.Process(target=_train_in_process, args=(rank, 2, str(tmp_path / "store"), str(tmp_path)))
        for rank in range(2)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    for rank in range(2):
        np.testing.assert_allclose(np.load(tmp_path / f"losses{rank}.npy"), alone, rtol=1e-9)
