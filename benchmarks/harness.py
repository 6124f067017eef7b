"""What every benchmark script shares: one thread, arguments, cold repeats, a checked answer, one JSON line per case.

Import it before NumPy and torch: it sets the number of threads of their libraries.
"""

from __future__ import annotations

import os

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_variable] = "1"

import argparse
import contextlib
import gc
import json
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import sympy
import torch

import inntd as it
from inntd import _core
from inntd.axes._cache import BoundedCache

torch.set_num_threads(1)

Array = np.ndarray[Any, np.dtype[np.float64]]
# Random points (K, D) and the weights with which their mean is an integral over the axes.
Sampler = Callable[[np.random.Generator, it.Problem, int], tuple[Array, Array]]

SAMPLES = 4000
LONGEST = 10.0  # seconds after which a case is not repeated any more


def uniform(random: np.random.Generator, problem: it.Problem, count: int) -> tuple[Array, Array]:
    """Draw points uniformly from the axes' box."""
    start, stop = np.array([axis.domain for axis in problem.axes]).T
    return start + (stop - start) * random.random((count, len(start))), np.ones(count)


@dataclass(frozen=True)
class Case:
    """One problem, how to solve it, and the figures it must meet.

    Parameters
    ----------
    name
        As in the JSON line.
    build
        Makes the axes and states the problem, with its exact solution; timed as `setup_seconds`.
    solve
        Keyword arguments of `inntd.solve`.
    error
        Largest relative L2 error that counts as a right answer.
    seconds
        What the solve may take; None without a figure. Reported, never asserted.
    quick
        Whether ``--quick`` runs it.
    sampler
        Draws the points of the independent check of the error; None where no sampling resolves the solution.
    measure
        Takes the problem and the model, returns `error` and further entries of the line; by default the relative L2
        error against the problem's exact solution.
    fields
        Further entries of the line.
    """

    name: str
    build: Callable[[], it.Problem]
    solve: dict[str, Any]
    error: float
    seconds: float | None = None
    quick: bool = False
    sampler: Sampler | None = uniform
    measure: Callable[[it.Problem, Any], dict[str, Any]] | None = None
    fields: dict[str, Any] = field(default_factory=dict)


def main(
    cases: Sequence[Case],
    description: str,
    arguments: Sequence[str] | None = None,
    run: Callable[[Case, int], dict[str, Any]] | None = None,
) -> int:
    """Run the chosen cases, by `run` if given, and print a JSON line for each; 1 if an answer was wrong.

    Raises
    ------
    SystemExit
        When the arguments are wrong, or ask for help.
    """
    names = [case.name for case in cases]
    parser = argument_parser(description, names)
    options = parser.parse_args(arguments)
    chosen = [
        case for case in cases if (case.name in options.case if options.case else case.quick or not options.quick)
    ]
    repeat = 1 if options.quick else options.repeat
    action = run or run_case
    return print_lines((action(case, repeat) for case in chosen), options.output)


def print_lines(lines: Iterable[dict[str, Any]], output: Path | None) -> int:
    """Print each line as soon as it is there, append it to the file `output`, and return 1 if any was rejected."""
    rejected = 0
    for line in lines:
        text = as_json(line)
        print(text, flush=True)
        if output is not None:
            with output.open("a", encoding="utf-8") as file:
                file.write(text + "\n")
        rejected |= int(line["rejected"] is not None)
    return rejected


def argument_parser(description: str, names: Sequence[str]) -> argparse.ArgumentParser:
    """Return the parser of the arguments that every script takes."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--case", action="append", choices=names, metavar="NAME", help=f"one of {', '.join(names)}")
    parser.add_argument("--quick", action="store_true", help="a smoke run: the small cases, once each")
    parser.add_argument(
        "--repeat", type=_positive, default=5, metavar="N", help="repeats, of which the median is reported"
    )
    parser.add_argument("--output", type=Path, metavar="FILE", help="append the lines to a file, too")
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be a positive integer, got {number}")
    return number


def run_case(case: Case, repeat: int) -> dict[str, Any]:
    """Solve a case `repeat` times from cold caches, check the answer and return its line."""
    setups: list[float] = []
    solves: list[float] = []
    cpu: list[float] = []
    with peak_memory() as peak:
        while len(solves) < repeat and sum(solves) + sum(setups) < LONGEST:
            forget()
            setup, problem = timed(case.build)
            seconds, busy, answer = clocked(lambda problem=problem: solve(problem, case))
            cpu.append(busy)
            setups.append(setup)
            solves.append(seconds)
    model = answer.model
    measured = {"error": float(model.error(problem.exact))} if case.measure is None else case.measure(problem, model)
    error = measured["error"]
    sampled = measured.get("error_sampled")
    if case.sampler is not None:
        sampled = sampled_error(problem, model, case.sampler)
    rejected = reason_to_reject(answer.status, error, case.error, sampled)
    return {
        "case": case.name,
        "error": error,
        "error_at_most": case.error,
        "error_sampled": sampled,
        "estimate": answer.error_estimate.total,
        "modes": answer.modes,
        "model_modes": model.rank,
        "parameters": sum(values.numel() for values in model.parameters()),
        # A wrong answer has no time.
        "seconds": None if rejected else significant(statistics.median(solves)),
        "seconds_at_most": case.seconds,
        # Much less than `seconds`: the machine was busy with other work.
        "seconds_cpu": None if rejected else significant(statistics.median(cpu)),
        "seconds_first": None if rejected else significant(solves[0]),
        "setup_seconds": significant(statistics.median(setups)),
        "repeats": len(solves),
        "threads": 1,
        "peak_rss_gb": significant(peak[0] / 1e9),
        "load": load(),
        "status": answer.status,
        "rejected": rejected,
        **case.fields,
        **{name: value for name, value in measured.items() if name not in ("error", "error_sampled")},
        **environment(),
    }


def solve(problem: it.Problem, case: Case) -> it.Answer[Any]:
    """Solve a case's problem as it asks, on one thread."""
    return it.solve(problem, **case.solve, threads=1, progress=False)


def as_json(line: dict[str, Any]) -> str:
    """Return one JSON line; numbers that JSON lacks become null."""
    clean = {key: None if isinstance(value, float) and not np.isfinite(value) else value for key, value in line.items()}
    return json.dumps(clean, allow_nan=False)


def timed(action: Callable[[], Any]) -> tuple[float, Any]:
    """Return the wall time of a call and its result; garbage is collected before, not within."""
    seconds, _, result = clocked(action)
    return seconds, result


def clocked(action: Callable[[], Any]) -> tuple[float, float, Any]:
    """Return the wall time of a call, its CPU time and its result."""
    gc.collect()
    begin, busy = time.perf_counter(), time.process_time()
    result = action()
    return time.perf_counter() - begin, time.process_time() - busy, result


def forget() -> None:
    """Empty every cache of SymPy and inntd, so that no repeat lives on the work of the one before."""
    sympy.core.cache.clear_cache()
    for thing in gc.get_objects():
        if type(thing) is BoundedCache:  # isinstance would wake lazy proxies
            thing.clear()
    for name, module in list(sys.modules.items()):
        if name.split(".")[0] == "inntd":
            for thing in list(vars(module).values()):
                if callable(getattr(thing, "cache_clear", None)):
                    thing.cache_clear()


def sampled_error(problem: it.Problem, model: it.CPModel, sampler: Sampler) -> float:
    """Return the relative L2 error at random points: shares only the evaluation at points with `model.error`."""
    points, weights = sampler(np.random.default_rng(0), problem, SAMPLES)
    exact = exact_values(problem, points)
    with torch.no_grad():
        values = model(torch.from_numpy(points)).numpy()
    return float(np.sqrt(np.sum(weights * (values - exact) ** 2) / np.sum(weights * exact**2)))


def exact_values(problem: it.Problem, points: Array) -> Array:
    """Evaluate the exact solution's expression by SymPy's own means, separated nowhere."""
    symbols = [sympy.sympify(axis) for axis in problem.axes]
    function = sympy.lambdify(symbols, problem.exact_expression, "numpy")
    return np.asarray(function(*points.T), dtype=np.float64)


def reason_to_reject(status: str, error: float, limit: float, sampled: float | None = None) -> str | None:
    """Say why an answer is wrong; None for a right one."""
    if status in ("diverged", "interrupted"):
        return f"the solver {'diverged' if status == 'diverged' else 'was interrupted'}"
    if not error <= limit:
        return f"the error {error:.2e} exceeds {limit:.0e}"
    # Sampling is uncertain by a few per cent, more where an error sits in few elements; round-off has its own floor.
    if sampled is not None and not (sampled <= 2 * error + 1e-14 and error <= 2 * sampled + 1e-14):
        return f"the error {error:.2e} is not confirmed by random points, which give {sampled:.2e}"
    return None


def significant(value: float, digits: int = 4) -> float:
    """Round to a few significant digits."""
    return float(f"{value:.{digits}g}")


@contextlib.contextmanager
def peak_memory() -> Iterator[list[int]]:
    """Yield a list that holds, at the end, the process's peak resident memory in bytes within the block."""
    peak = [0]
    # Linux forgets the peak so far on request; where it does not, the figure is an upper bound.
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    yield peak
    with contextlib.suppress(OSError):
        lines = Path("/proc/self/status").read_text().splitlines()
        peak[0] = 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def load() -> float | None:
    """Return how many programs wanted a core in the last minute, this one included; None where that is not told."""
    with contextlib.suppress(OSError, AttributeError):
        return significant(os.getloadavg()[0], 3)
    return None


@lru_cache(maxsize=1)
def environment() -> dict[str, Any]:
    """Return what a figure depends on: date, machine, instruction set, versions and commit."""
    return {
        "date": date.today().isoformat(),
        "machine": f"{processor()}, {os.cpu_count()} cores",
        "isa": _core.isa(),
        "versions": f"inntd {it.__version__}, torch {torch.__version__}, numpy {np.__version__}",
        "commit": commit(),
    }


def processor() -> str:
    """Return the processor's name."""
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
        return " ".join(name.split())
    return platform.processor() or platform.machine()


def commit() -> str | None:
    """Return the commit of the checkout, with a + for local changes; None outside one."""
    here = Path(__file__).resolve().parent
    try:
        head = subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"], cwd=here, capture_output=True, text=True, check=True
        )
        # Results and documents change no figure.
        watched = ["*.py", "*.cpp", "*.hpp", "CMakeLists.txt", "pyproject.toml"]
        changes = subprocess.run(
            ["git", "status", "--porcelain", "--", *(f":/{pattern}" for pattern in watched)],
            cwd=here,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return head.stdout.strip() + ("+" if changes.stdout.strip() else "")
