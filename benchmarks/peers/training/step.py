"""One training step (forward, backward, Adam, float32) of the same model: inntd's native loop, torch and pyinn.

Cases: A (60 modes on 5 axes of 40 elements, s=4), B (the same with linear hats), C (20 modes on 10 axes of 20 elements,
linear). The basis of A is pyinn's: cubic kernels of dilation 20 with linear polynomials on truncated patches. The torch
variants are given what does not change from step to step: indices and values of the basis functions (``gather``), or
the dense matrix of basis values at each point (``dense``: memory of batch times nodes, the fastest form in torch that
we know), both also compiled by `torch.compile` on request (``--compile``; it needs a C++ compiler). pyinn runs in a
virtual environment of its own in the folder ``--pyinn DIR``, which is made with pip if it is not there
(`pyinn_side.py`).

Every variant's gradient is compared with that of the explicit model in float64 before a time is printed (pyinn inverts
its moment matrices in float32: three digits on A). Each line has the ``ratio`` of its time to inntd's; a table follows
on the standard error stream, with the ratios that are aimed at.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import argparse
import json
import os
import subprocess
import tempfile
import time
import venv
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

import inntd as it
from inntd.training.native import NativeModel

STEPS = 200
RATE = 1e-4
#: Ratios that are aimed at, to the best torch variant and to pyinn: (case, batch, threads).
AIMS = {("A", 4096, 2): (12, 800), ("B", 4096, 2): (10, 18), ("C", 4096, 2): (10, 18),
        ("A", 128, 1): (8, 200), ("B", 128, 1): (10, 12), ("C", 128, 1): (10, 12)}  # fmt: skip


@dataclass(frozen=True)
class Case:
    """A model and its mesh."""

    name: str
    axes: int
    modes: int
    elements: int
    s: int  # 0: linear hats

    def make(self) -> list[it.Axis]:
        cubic = it.CHiDeNNBasis(s=self.s or 1, p=1, a=20, kernel="cubic", ends="truncated")
        basis = cubic if self.s else it.LinearBasis()
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


def pyinn_python(folder: Path) -> Path:
    """Return the interpreter of a virtual environment with pyinn, made if need be."""
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "pyinn", "jax", "optax"], check=True)
    return python


def pyinn_line(data: Data, case: Case, python: Path, threads: int, longest: float) -> tuple[float, torch.Tensor]:
    """Return the seconds of a step on so many cores, and the gradient by the first factor."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "batch.npz"
        np.savez(path, x=data.x, y=data.y, factors=torch.stack(data.factors), s=case.s)
        cores = ",".join(map(str, sorted(os.sched_getaffinity(0))[:threads]))
        done = subprocess.run(
            ["taskset", "-c", cores, python, Path(__file__).with_name("pyinn_side.py"), path, str(longest), str(STEPS)],
            capture_output=True, text=True, check=True, env={**os.environ, "JAX_PLATFORMS": "cpu"},
        )  # fmt: skip
        found = json.loads(done.stdout.splitlines()[-1])
        return found["seconds"], torch.from_numpy(np.load(path.with_suffix(".out.npy")))[0]


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


def measure(
    case: Case, batch: int, threads: int, variants: list[str], longest: float, python: Path | None
) -> list[dict[str, Any]]:
    torch.set_num_threads(threads)
    data = Data.of(case, batch)
    right = data.gradient()
    lines: list[dict[str, Any]] = []
    for name in variants:
        if name == "pyinn":
            assert python is not None
            found, gradient = pyinn_line(data, case, python, threads, longest)
        else:
            form, _, compiled = name.partition("-")
            step, gradient = native_variant(data) if name == "inntd" else torch_variant(data, form, bool(compiled))
            found = seconds(step, longest)
        error = float((gradient.double() - right).norm() / right.norm())
        limit = 5e-3 if name == "pyinn" else 1e-4
        assert error < limit, f"{name}: the gradient is wrong by {error:.1e}"
        lines.append({"case": f"step-{case.name}-{batch}", "model": name, "error": error, "threads": threads,
                      "seconds": found, "ratio": found / (lines[0]["seconds"] if lines else found)})  # fmt: skip
    return lines


def row(case: Case, batch: int, threads: int, lines: list[dict[str, Any]]) -> str:
    """Return a line of the table: our time, and the ratios to the best torch variant and to pyinn."""
    ratios = {line["model"]: line["ratio"] for line in lines[1:]}
    peer = ratios.pop("pyinn", None)
    best = min(ratios, key=lambda name: ratios[name])
    aims = AIMS.get((case.name, batch, threads), ("–", "–"))
    told = "–" if peer is None else f"{peer:.0f}"
    return (f"| {case.name} | {batch} | {threads} | {lines[0]['seconds'] * 1e6:.0f} µs | {ratios[best]:.1f} ({best}) | "
            f"{aims[0]} | {told} | {aims[1]} |")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", choices=[case.name for case in CASES])
    parser.add_argument("--batch", type=int, choices=[128, 4096])
    parser.add_argument("--threads", type=int, choices=[1, 2])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--compile", action="store_true", help="also torch.compile's variants")
    parser.add_argument("--pyinn", type=Path, metavar="DIR", help="also pyinn, in a virtual environment in DIR")
    options = parser.parse_args()
    variants = ["inntd", "gather", "dense"]
    if options.compile:
        variants += ["gather-compiled", "dense-compiled"]
    python = None
    if options.pyinn:
        variants.append("pyinn")
        python = pyinn_python(options.pyinn.absolute())
    rows = []
    for case in CASES:
        for batch in (128, 4096):
            for threads in (1,) if options.quick else (1, 2):
                wanted = ((options.case, case.name), (options.batch, batch), (options.threads, threads))
                if any(asked not in (None, value) for asked, value in wanted):
                    continue
                lines = measure(case, batch, threads, variants, 0.1 if options.quick else 3.0, python)
                for line in lines:
                    print(json.dumps(line), flush=True)
                rows.append(row(case, batch, threads, lines))
    head = "| case | batch | threads | inntd | best torch | aim | pyinn | aim |"
    print("\n".join([head, "|" + "---|" * 8, *rows]), file=sys.stderr)


if __name__ == "__main__":
    main()
