"""T1's peers in torch: a multilayer perceptron, a SIREN and a KAN, each trained by Adam for a given time.

A KAN is pykan's (MIT licence), which is not among inntd's dependencies: see benchmarks/README.md.
"""

from __future__ import annotations

import importlib.util
import itertools
import math
import sys
import time
from collections.abc import Callable

import harness  # before NumPy: one thread
import numpy as np
import t1_data
import torch

Array = harness.Array
Network = torch.nn.Module
Fit = Callable[[Array, Array, int, float], tuple[Network, dict[str, object]]]

BATCH = 4096
RATE = 3e-3
FREQUENCY = 30.0  # of SIREN's first layer (Sitzmann et al., NeurIPS 2020)


class Scaled(Network):
    """A network of inputs in [-1, 1], called with the problem's coordinates; float32 within."""

    def __init__(self, body: Network) -> None:
        super().__init__()
        self.body = body
        low, high = torch.tensor(np.transpose(t1_data.RANGES))
        self.register_buffer("centre", (low + high) / 2)
        self.register_buffer("radius", (high - low) / 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the values (K,) at points (K, 5)."""
        values: torch.Tensor = self.body(((x - self.centre) / self.radius).float()).squeeze(-1)
        return values


class Sine(Network):
    """A linear layer and a sine."""

    def __init__(self, inputs: int, outputs: int, first: bool) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(inputs, outputs)
        bound = 1 / inputs if first else math.sqrt(6 / inputs) / FREQUENCY
        torch.nn.init.uniform_(self.linear.weight, -bound, bound)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return sin(frequency (W x + b))."""
        return torch.sin(FREQUENCY * self.linear(x))


def mlp() -> Network:
    """Return 5 layers of 50."""
    widths = [5, 50, 50, 50, 50, 50]
    layers = [torch.nn.Sequential(torch.nn.Linear(a, b), torch.nn.Tanh()) for a, b in itertools.pairwise(widths)]
    return Scaled(torch.nn.Sequential(*layers, torch.nn.Linear(50, 1)))


def siren() -> Network:
    """Return 4 layers of 100 sines."""
    layers = [Sine(5 if i == 0 else 100, 100, i == 0) for i in range(4)]
    return Scaled(torch.nn.Sequential(*layers, torch.nn.Linear(100, 1)))


def kan() -> Network:
    """Return pykan's network [5, 5, 5, 1]."""
    from kan import KAN

    body = KAN(width=[5, 5, 5, 1], grid=5, k=3, seed=0, auto_save=False, symbolic_enabled=False)
    body.save_act = False  # of every activation, for its plots
    return Scaled(body)


def has_kan() -> bool:
    """Return whether pykan is installed; say so where it is not."""
    found = importlib.util.find_spec("kan") is not None
    if not found:
        print("kan: skipped, pykan is not installed in this environment (pip install pykan)", file=sys.stderr)
    return found


def trained(make: Callable[[], Network], rate: float = RATE) -> Fit:
    """Return the training of such networks: Adam on random batches, with a cosine rate over the time given."""

    def fit(x: Array, y: Array, seed: int, budget: float) -> tuple[Network, dict[str, object]]:
        torch.manual_seed(seed)
        network = make()
        points, values = torch.from_numpy(x), torch.from_numpy(y).float()
        optimizer = torch.optim.Adam(network.parameters(), rate)
        begin, steps = time.perf_counter(), 0
        while (share := (time.perf_counter() - begin) / budget) < 1:
            optimizer.param_groups[0]["lr"] = rate * (1 + math.cos(math.pi * share)) / 2
            batch = torch.randint(len(values), (min(BATCH, len(values)),))
            loss = (network(points[batch]) - values[batch]).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            steps += 1
        return network, {"status": "max_epochs", "steps": steps, "epochs": round(steps * BATCH / len(values), 1)}

    return fit


FITS = {"mlp": trained(mlp), "siren": trained(siren, 3e-4), "kan": trained(kan, 1e-2)}
