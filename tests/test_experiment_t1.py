"""T1's data against the solution by sines, exact in time; its script prints checked lines."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import torch

FOLDER = Path(__file__).resolve().parent.parent / "benchmarks"
THREADS = torch.get_num_threads()

# The scripts hold this process to one thread; other tests shall not notice.
with mock.patch.dict(os.environ), mock.patch.object(sys, "path", [str(FOLDER), str(FOLDER / "training"), *sys.path]):
    import t1_data
torch.set_num_threads(THREADS)


def series(size: t1_data.Size, k: float, terms: int = 160) -> np.ndarray:
    """Return the field on the output grid by an expansion in sines, for P = 1."""
    x, w = np.polynomial.legendre.leggauss(1000)
    x, w = (x + 1) / 2, w / 2
    modes = np.pi * np.arange(1, terms + 1)
    spots = sum(np.exp(-2 * (x - c) ** 2 / t1_data.RADIUS**2) for c in t1_data.CENTRES)
    load = 2 * (w * spots) @ np.sin(np.outer(x, modes))
    rate = k * (modes[:, None] ** 2 + modes**2)
    shape = np.sin(np.outer(np.linspace(0, 1, size.elements + 1), modes))
    times = np.linspace(0, t1_data.END, size.times + 1)
    fields = [shape @ (np.outer(load, load) * (1 - np.exp(-rate * t)) / rate) @ shape.T for t in times]
    return np.stack(fields, axis=-1)


def test_the_runs_are_close_to_the_exact_solution() -> None:
    pytest.importorskip("skfem")
    errors = []
    for elements, steps in ((20, 40), (40, 80)):
        size = t1_data.Size(elements=elements, times=4, steps=steps)
        exact = series(size, 2.5)
        errors.append(np.linalg.norm(t1_data.run(size, 2.5) - exact) / np.linalg.norm(exact))
    assert errors[1] < 2e-3
    assert errors[1] < errors[0] / 3.5  # second order in time, third in space


def test_the_samples_are_a_grid_and_its_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("skfem")
    monkeypatch.setattr(t1_data, "CACHE", tmp_path / "cache")
    size = t1_data.Size(elements=4, times=2, steps=4, levels=3, unseen=2)
    data, again = t1_data.load(size), t1_data.load(size)
    assert np.array_equal(data.y, again.y)
    assert len(list((tmp_path / "cache").iterdir())) == 1
    assert data.x.shape == (25 * 9 * 3, 5)
    assert data.y.max() == pytest.approx(t1_data.LARGEST)
    grid = data.y.reshape(5, 5, 3, 3, 3)
    assert grid[..., 2, :] == pytest.approx(2 * grid[..., 0, :])  # linear in P, from 100 to 200
    x, y = data.part(30, seed=1)
    assert len(y) == len(data.y) * 30 // 100
    rows = {tuple(row): value for row, value in zip(data.x.tolist(), data.y, strict=True)}
    assert all(rows[tuple(row)] == value for row, value in zip(x.tolist(), y, strict=True))
    assert not set(np.unique(data.x_unseen[:, 2])) & set(np.unique(data.x[:, 2]))
