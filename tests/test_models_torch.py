"""Models among torch's tools: data loaders with workers, data-parallel processes, state, precision."""

from __future__ import annotations

import gc
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, Dataset

import inntd as it
from inntd.models import CPModel, TuckerModel


def axes() -> list[it.Axis]:
    return [it.Axis("x", 0, 1, elements=6, s=2), it.Axis("y", 0, 2, elements=5), it.Axis.discrete("c", 3)]


def points(count: int = 64, seed: int = 0) -> torch.Tensor:
    random = np.random.default_rng(seed)
    columns = [random.random(count), 2 * random.random(count), random.integers(3, size=count)]
    return torch.from_numpy(np.column_stack(columns).astype(float))


def models() -> list[Any]:
    cp = CPModel(axes(), 4, seed=1)
    return [cp, CPModel(axes(), 4, seed=1).to_tucker().requires_grad_()]


class Evaluated(Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """Points with a model's values: the model travels to the workers and is evaluated there."""

    def __init__(self, model: Any, x: torch.Tensor) -> None:
        self.model, self.x = model, x

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, i: int) -> tuple[torch.Tensor, torch.Tensor]:
        with torch.no_grad():
            return self.x[i], self.model(self.x[i : i + 1])[0]


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("start", ["fork", "spawn"])
@pytest.mark.parametrize("which", [0, 1])
def test_workers_of_a_loader_evaluate_models(which: int, start: str) -> None:
    model, x = models()[which], points()
    loader = DataLoader(Evaluated(model, x), batch_size=16, num_workers=2, multiprocessing_context=start)
    found = list(loader)
    assert torch.equal(torch.cat([part[0] for part in found]), x)
    torch.testing.assert_close(torch.cat([part[1] for part in found]), model(x).detach(), rtol=1e-13, atol=0)


def test_training_on_batches_of_a_loader_lowers_the_loss() -> None:
    x = points(512)
    y = x[:, 0] * torch.sin(x[:, 1]) + x[:, 2]
    model = CPModel(axes(), 6)
    optimizer = torch.optim.Adam(model.parameters(), 5e-2)
    loader = DataLoader(torch.utils.data.TensorDataset(x, y), batch_size=64, num_workers=2)
    losses = []
    for _ in range(3):
        for batch, values in loader:
            optimizer.zero_grad()
            loss = torch.mean((model(batch) - values) ** 2)
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
    assert losses[-1] < 0.2 * losses[0]


def _gradients(rank: int, world: int, folder: str) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=world)
    _steps(rank, world, folder)
    # torch's reducers hold the process group: one that outlives it until the interpreter ends may abort the process
    gc.collect()
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


def _steps(rank: int, world: int, folder: str) -> None:
    for number, model in enumerate(models()):
        parallel = DistributedDataParallel(model)
        optimizer = torch.optim.SGD(parallel.parameters(), 0.1)
        for _ in range(2):  # the second step begins from factors that the first one changed in all processes alike
            optimizer.zero_grad()
            torch.mean(parallel(points()[rank::world]) ** 2).backward()
            gradients = [parameter.grad.clone() for parameter in model.parameters()]
            optimizer.step()
        torch.save(gradients, f"{folder}/gradients-{number}-{rank}.pt")


@pytest.mark.filterwarnings("ignore")
def test_data_parallel_gradients_are_those_of_one_process(tmp_path: Path) -> None:
    context = torch.multiprocessing.get_context("spawn")
    workers = [context.Process(target=_gradients, args=(rank, 2, str(tmp_path))) for rank in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
        assert worker.exitcode == 0
    for number, model in enumerate(models()):
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        for _ in range(2):
            optimizer.zero_grad()
            torch.mean(model(points()) ** 2).backward()
            expected = [parameter.grad.clone() for parameter in model.parameters()]
            optimizer.step()
        for rank in range(2):
            found = torch.load(tmp_path / f"gradients-{number}-{rank}.pt")
            torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_state_travels_through_a_file_in_either_precision(which: int, dtype: torch.dtype) -> None:
    model, file = models()[which].to(dtype), io.BytesIO()
    torch.save(model.state_dict(), file)
    other = models()[which].to(dtype)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.mul_(2)
    file.seek(0)
    other.load_state_dict(torch.load(file, weights_only=True))
    assert other.dtype == dtype
    assert torch.equal(other(points().to(dtype)), model(points().to(dtype)))


@pytest.mark.parametrize("which", [0, 1])
def test_precision_is_changed_and_changed_back(which: int) -> None:
    model, x = models()[which], points()
    exact = model(x).detach()
    single = model.to(torch.float32)
    assert single is model
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    low = model(x.float())
    assert low.dtype == torch.float32
    torch.testing.assert_close(low.double().detach(), exact, rtol=2e-5, atol=1e-6)
    torch.mean(low**2).backward()
    assert {parameter.grad.dtype for parameter in model.parameters()} == {torch.float32}
    assert model.double()(x).dtype == torch.float64
    assert isinstance(model, CPModel | TuckerModel)
