"""What the scripts of the PINN mode share: cases with an independent reference, solved, checked and printed."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import harness  # before NumPy: one thread
import numpy as np

import inntd as it

Array = harness.Array
#: Coordinates by axis, and the solution on their grid.
Reference = tuple[dict[str, Array], Array]


@dataclass(frozen=True)
class Case:
    """One problem, how to solve it, and the figures it must meet.

    Parameters
    ----------
    name
        As in the JSON line.
    build
        Makes the axes and states the problem.
    reference
        Returns coordinates and the solution there, by other means than the package.
    error
        Largest relative L2 error that counts as a right answer.
    seconds
        What the solve may take; reported, never asserted.
    solve
        Keyword arguments of `inntd.pinn.solve`.
    quick
        Whether ``--quick`` runs it.
    worst
        Name of an axis: the error is then the largest over its coordinates, not that of all together.
    """

    name: str
    build: Callable[[], it.Problem]
    reference: Callable[[], Reference]
    error: float
    seconds: float | None = None
    solve: dict[str, Any] = field(default_factory=dict)
    quick: bool = False
    worst: str | None = None


def main(cases: Sequence[Case], description: str) -> int:
    """Run the chosen cases and print a JSON line for each; 1 if an answer was wrong."""
    return harness.main(cases, description, run=run_case)


def run_case(case: Case, repeat: int) -> dict[str, Any]:
    """Solve a case `repeat` times, check the answer and return its line."""
    vectors, exact = case.reference()
    setups, solves, cpu = [], [], []
    with harness.peak_memory() as peak:
        while len(solves) < repeat and sum(solves) < harness.LONGEST:
            harness.forget()
            setup, problem = harness.timed(case.build)
            seconds, busy, answer = harness.clocked(lambda p=problem: it.pinn.solve(p, **case.solve, progress=False))
            setups.append(setup)
            solves.append(seconds)
            cpu.append(busy)
    found = answer.model.grid(vectors).detach().numpy()
    place = None if case.worst is None else list(vectors).index(case.worst)
    error = relative(found, exact, place)
    rejected = harness.reason_to_reject(answer.status, error, case.error)
    return {
        "case": case.name,
        "error": error,
        "error_at_most": case.error,
        "estimate": answer.error_estimate.total,
        "modes": answer.modes,
        "nodes": [axis.size for axis in answer.model.axes],
        "parameters": sum(values.numel() for values in answer.model.parameters()),
        "steps": len(answer.history),
        "seconds": None if rejected else harness.significant(float(np.median(solves))),
        "seconds_at_most": case.seconds,
        "seconds_cpu": None if rejected else harness.significant(float(np.median(cpu))),
        "setup_seconds": harness.significant(float(np.median(setups))),
        "repeats": len(solves),
        "threads": 1,
        "peak_rss_gb": harness.significant(peak[0] / 1e9),
        "load": harness.load(),
        "status": answer.status,
        "rejected": rejected,
        **harness.environment(),
    }


def relative(found: Array, exact: Array, place: int | None) -> float:
    """Return the relative error in the Euclidean norm; with `place` the largest along that axis."""
    if place is None:
        return float(np.linalg.norm(found - exact) / np.linalg.norm(exact))
    pairs = zip(np.moveaxis(found, place, 0), np.moveaxis(exact, place, 0), strict=True)
    return max(relative(a, b, None) for a, b in pairs)


def on_grid(exact: Callable[..., Array], **vectors: Array) -> Reference:
    """Return a reference from a function of coordinates."""
    return vectors, np.asarray(exact(*np.meshgrid(*vectors.values(), indexing="ij")))


def cached(name: str, compute: Callable[[], dict[str, Array]]) -> dict[str, Array]:
    """Return arrays from the cache, or compute them and keep them there."""
    root = os.environ.get("XDG_CACHE_HOME") or tempfile.gettempdir()
    path = Path(root) / "inntd-benchmarks" / f"{name}.npz"
    if path.exists():
        with np.load(path) as stored:
            return dict(stored)
    arrays = compute()
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = path.with_suffix(f".{os.getpid()}.npz")
    np.savez(whole, **arrays)
    whole.replace(path)
    return arrays
