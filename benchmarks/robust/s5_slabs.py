"""S5 in time slabs: the heat equation with a moving source of `benchmarks/paper/s5.py`, slab by slab.

One line per case: the relative L2 error over all axes at random points around the bump, that of the estimate, and
what the slabs took. "auto" lets the source's path choose the slabs; "one" is the same without slabs.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parents[1] / "paper")]

import harness  # before NumPy: one thread
import s5

import inntd as it


@dataclass(frozen=True)
class Case:
    """Elements of every axis, patch size, slabs (None: without), tolerance; limit of the error."""

    elements: int
    s: int
    slabs: Any
    tolerance: float
    error: float


CASES = {
    "s5-slabs-auto": Case(160, 3, "auto", 1e-5, 1e-5),
    "s5-slabs-4": Case(160, 3, 4, 1e-5, 1e-5),
    "s5-slabs-8": Case(160, 3, 8, 1e-5, 1e-5),
    "s5-slabs-one": Case(160, 3, None, 1e-5, 1e-4),
    "s5-slabs-small": Case(64, 3, "auto", 1e-3, 1e-2),
}


def run(name: str) -> dict[str, Any]:
    """Solve once, check the answer, and return the case's line."""
    case = CASES[name]
    setup, problem = harness.timed(lambda: s5.problem(case.elements, case.s))
    options: dict[str, Any] = {"tolerance": case.tolerance, "threads": 1, "progress": False}
    if case.slabs is not None:
        options["slabs"] = case.slabs

    def solve() -> it.Answer[Any]:
        return it.solve(problem, **options)

    seconds, cpu, answer = harness.clocked(solve)
    whole = answer.model.axes[-1].domain == problem.axes[-1].domain
    error = s5.sampled_error(problem, answer.model) if whole else float("nan")
    return {
        "case": name,
        "error": harness.significant(error),
        "error_at_most": case.error,
        "error_estimate": harness.significant(answer.error_estimate.total),
        "elements": case.elements,
        "s": case.s,
        "slabs": len(answer.model.slabs) if case.slabs is not None else 1,
        "modes": answer.modes,
        "seconds": harness.significant(seconds),
        "seconds_cpu": harness.significant(cpu),
        "setup_seconds": harness.significant(setup),
        "threads": 1,
        "load": harness.load(),
        "status": answer.status,
        "rejected": harness.reason_to_reject(answer.status, error, case.error),
        **harness.environment(),
    }


def main() -> int:
    """Run the chosen cases and print a line for each; 1 if one was wrong."""
    options = harness.argument_parser(__doc__ or "", list(CASES)).parse_args()
    names = ["s5-slabs-small"] if options.quick else options.case or list(CASES)[:-1]
    return harness.print_lines(map(run, names), options.output)


if __name__ == "__main__":
    sys.exit(main())
