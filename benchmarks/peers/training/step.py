"""One training step (forward, backward, Adam, float32) of the same model: inntd's native loop, torch in several forms.

Cases: A (60 modes on 5 axes of 40 elements, s=4), B (the same with linear hats), C (20 modes on 10 axes of 20 elements,
linear). The torch variants are given what does not change from step to step: indices and values of the basis functions
(``gather``), or the dense matrix of basis values at each point (``dense``: memory of batch times nodes, the fastest
form in torch that we know), both also compiled by `torch.compile` on request (``--compile``; it needs a C++ compiler).

Every variant's gradient is compared with that of the explicit model in float64 before a time is printed.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

import inntd as it
from inntd.training.native import NativeModel

STEPS = 200
RATE = 1e-4


@dataclass(frozen=True)
class Case:
    """A model and its mesh."""

    name: str
    axes: int
    modes: int
    elements: int
    s: int  # 0: linear hats

    def make(self) -> list[it.Axis]:
        basis = it.CHiDeNNBasis(s=self.s) if self.s else it.LinearBasis()
        return [it.Axis(f"x{d}", 0, 1, elements=self.elements, basis=basis) for d in range(self.axes)]


CASES = [Case("A", 5, 60, 40, 4), Case("B", 5, 60, 40, 0), Case("C", 10, 20, 20, 0)]
Step = Callable[[], None]


@dataclass
class Data:
    """One batch, and the factors that all variants start from."""

    axes: list[it.Axis]
    x: torch.Tensor
    y: torch.Tensor
    factors: list[torch.Tensor]

    @classmethod
    def of(cls, case: Case, batch: int) -> Data:
        generator = torch.Generator().manual_seed(0)
        axes = case.make()
        x = torch.rand((batch, case.axes), generator=generator, dtype=torch.float64)
        y = torch.sin(3 * x[:, 0]) + x[:, 1]
        factors = [1 + 0.1 * torch.randn((a.size, case.modes), generator=generator, dtype=torch.float64) for a in axes]
        factors[0] /= case.modes
        return cls(axes, x, y, factors)

    def rows(self, dtype: torch.dtype) -> list[tuple[torch.Tensor, torch.Tensor]]:
        found = [axis.tabulate(self.x[:, d].numpy()) for d, axis in enumerate(self.axes)]
        return [(torch.from_numpy(index), torch.from_numpy(values).to(dtype)) for index, values in found]

    def gradient(self) -> torch.Tensor:
        """Return the first factor's gradient in float64, by torch."""
        factors = [factor.clone().requires_grad_() for factor in self.factors]
        loss = ((gathered(self.rows(torch.float64), factors) - self.y) ** 2).mean()
        return torch.autograd.grad(loss, factors)[0]


def gathered(rows: list[tuple[torch.Tensor, torch.Tensor]], factors: list[torch.Tensor]) -> torch.Tensor:
    product = torch.ones((), dtype=factors[0].dtype)
    for (index, values), factor in zip(rows, factors, strict=True):
        product = product * (values.unsqueeze(1) @ factor[index]).squeeze(1)
    return product.sum(1)


def dense(bases: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
    """All axes at once: (D, K, n) times (D, n, M)."""
    return torch.bmm(bases, factors).prod(0).sum(1)


def torch_variant(data: Data, form: str, compiled: bool) -> tuple[Step, torch.Tensor]:
    y = data.y.float()
    if form == "gather":
        rows = data.rows(torch.float32)
        parameters = [factor.float().requires_grad_() for factor in data.factors]

        def loss() -> torch.Tensor:
            return ((gathered(rows, parameters) - y) ** 2).mean()
    else:
        bases = torch.zeros((len(data.axes), len(y), data.axes[0].size))
        for d, (index, values) in enumerate(data.rows(torch.float32)):
            bases[d].scatter_(1, index, values)
        parameters = [torch.stack([factor.float() for factor in data.factors]).requires_grad_()]

        def loss() -> torch.Tensor:
            return ((dense(bases, parameters[0]) - y) ** 2).mean()

    run = torch.compile(loss) if compiled else loss
    optimiser = torch.optim.Adam(parameters, lr=RATE, fused=True)

    def step() -> None:
        optimiser.zero_grad(set_to_none=True)
        run().backward()
        optimiser.step()

    gradient = torch.autograd.grad(run(), parameters)[0]
    return step, gradient if form == "gather" else gradient[0]


def native_variant(data: Data) -> tuple[Step, torch.Tensor]:
    native = NativeModel(data.axes, data.factors[0].shape[1], None, torch.float32, np.zeros(1), 1.0)
    native.put(data.factors)
    count = len(data.y)
    native.core.set_data(data.x, data.y[:, None].contiguous(), None, torch.arange(count), min(512, count))
    native.core.gradient(1)
    gradient = native.take("gradient")[0]
    order = torch.arange(native.core.blocks, dtype=torch.int32)
    rates = torch.full((1,), RATE, dtype=torch.float64)

    def step() -> None:
        native.core.run(order, native.core.blocks, rates, 0, threads=torch.get_num_threads())

    return step, gradient


def seconds(step: Step, longest: float) -> float:
    """Return the median of single steps."""
    for _ in range(3):
        step()
    times: list[float] = []
    began = time.perf_counter()
    while len(times) < STEPS and (time.perf_counter() - began < longest or len(times) < 5):
        clock = time.perf_counter()
        step()
        times.append(time.perf_counter() - clock)
    return float(np.median(times))


def measure(case: Case, batch: int, threads: int, variants: list[str], longest: float) -> list[dict[str, Any]]:
    torch.set_num_threads(threads)
    data = Data.of(case, batch)
    right = data.gradient()
    lines: list[dict[str, Any]] = []
    for name in variants:
        form, _, compiled = name.partition("-")
        step, gradient = native_variant(data) if name == "inntd" else torch_variant(data, form, bool(compiled))
        error = float((gradient.double() - right).norm() / right.norm())
        assert error < 1e-4, f"{name}: the gradient is wrong by {error:.1e}"
        lines.append({"case": f"step-{case.name}-{batch}", "model": name, "error": error, "threads": threads,
                      "seconds": seconds(step, longest)})  # fmt: skip
    ours = lines[0]["seconds"]
    for line in lines:
        line["ratio"] = line["seconds"] / ours
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", choices=[case.name for case in CASES])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--compile", action="store_true", help="also torch.compile's variants")
    options = parser.parse_args()
    variants = ["inntd", "gather", "dense"]
    if options.compile:
        variants += ["gather-compiled", "dense-compiled"]
    for case in CASES:
        if options.case in (None, case.name):
            for batch in (128, 4096):
                for threads in (1,) if options.quick or batch == 128 else (1, 2):
                    for line in measure(case, batch, threads, variants, 0.1 if options.quick else 3.0):
                        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
