"""How processes talk: which backend, and numbers over it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.distributed as dist

from inntd.training import distributed


@pytest.mark.parametrize(("devices", "processes", "name"), [(0, 2, "gloo"), (1, 2, "gloo"), (2, 2, "nccl")])
def test_nccl_needs_a_gpu_per_process(devices: int, processes: int, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: devices)
    monkeypatch.setattr(dist, "is_nccl_available", lambda: True)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", str(processes))
    assert distributed.backend() == name


@pytest.mark.parametrize("name", ["gloo", "nccl"])
def test_sums_and_maxima_come_back_where_they_were(name: str, tmp_path: Path) -> None:
    if name == "nccl" and not (torch.cuda.is_available() and dist.is_nccl_available()):
        pytest.skip("no GPU, or torch is built without nccl")
    dist.init_process_group(name, init_method=f"file://{tmp_path / 'store'}", rank=0, world_size=1)
    try:
        for operation in (dist.ReduceOp.SUM, dist.ReduceOp.MAX):
            found = distributed.reduced(torch.tensor([2.0, 3.0], dtype=torch.float64), operation)
            assert found.device.type == "cpu"
            assert found.tolist() == [2.0, 3.0]
    finally:
        dist.destroy_process_group()
