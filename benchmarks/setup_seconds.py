"""What stating a problem costs against the number of axes: S1 and S2 on 32 nodes per axis, D = 2 to 100.

The last line of each problem has `slope`: the exponent b of D^b that fits the larger half of the dimensions.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent / "paper"))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import harness  # before NumPy: one thread
import numpy as np
import s1
import s2

import inntd as it

DIMENSIONS = (2, 5, 10, 20, 50, 100)
LIMITS = {10: 0.5}
PROBLEMS: dict[str, Callable[[int], it.Problem]] = {
    "setup-s1": lambda dimension: s1.problem(dimension, 1, 3),
    "setup-s2": lambda dimension: s2.problem(dimension, 1, 31, 3),
}


def lines(name: str, dimensions: tuple[int, ...], repeat: int) -> Iterator[dict[str, Any]]:
    """Yield a line for each dimension, then the slope."""
    found = []
    for dimension in dimensions:
        seconds = []
        for _ in range(repeat):
            harness.forget()
            time, problem = harness.timed(lambda dimension=dimension: PROBLEMS[name](dimension))
            seconds.append(time)
        wrong = wrong_statement(problem)
        found.append(statistics.median(seconds))
        yield {
            "case": f"{name}-{dimension}",
            "error": None,
            "modes": None,
            "parameters": None,
            "seconds": None,
            "setup_seconds": None if wrong else harness.significant(found[-1]),
            "setup_seconds_at_most": LIMITS.get(dimension),
            "dimension": dimension,
            "repeats": repeat,
            "load": harness.load(),
            "rejected": wrong,
            **harness.environment(),
        }
    half = len(dimensions) // 2
    if half > 1:
        slope = np.polyfit(np.log(dimensions[-half:]), np.log(found[-half:]), 1)[0]
        yield {"case": f"{name}-slope", "slope": harness.significant(float(slope), 3), "rejected": None}


def wrong_statement(problem: it.Problem) -> str | None:
    """Compare the separated exact solution with its expression at random points; None if they agree."""
    points, _ = harness.uniform(np.random.default_rng(0), problem, 100)
    expected = harness.exact_values(problem, points)
    difference = np.abs(np.asarray(problem.exact(points)) - expected).max()
    scale = np.abs(expected).max()
    return None if difference <= 1e-11 * scale else f"the separated exact solution is off by {difference / scale:.1e}"


def main() -> int:
    """Print the lines of the chosen problems."""
    options = harness.argument_parser(__doc__, list(PROBLEMS)).parse_args()
    dimensions, repeat = (DIMENSIONS[:2], 1) if options.quick else (DIMENSIONS, options.repeat)
    chosen = options.case or list(PROBLEMS)
    return harness.print_lines(
        (line for name in PROBLEMS if name in chosen for line in lines(name, dimensions, repeat)), options.output
    )


if __name__ == "__main__":
    sys.exit(main())
