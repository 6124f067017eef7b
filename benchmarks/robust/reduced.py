"""What the experiments with reduced bases share: offline and online times, errors against sparse direct solutions."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import harness  # before NumPy: one thread
import numpy as np
import scipy.sparse
import scipy.sparse.linalg

import inntd as it
from inntd.axes import assembly

Array = harness.Array

POINTS = 100
ONLINE = 2000  # solves that are timed
ONLINE_AT_MOST = 50e-6


@dataclass(frozen=True)
class Case:
    """One problem with parameters, how it is solved, and what it must reach.

    Parameters
    ----------
    build
        States the problem; its last axes are the parameters.
    direct
        Takes the problem and one parameter (P,), returns the nodal values (n_x, n_y) by a sparse direct solution of
        matrices that are put together from one-dimensional ones by SciPy.
    solve
        Keyword arguments of `inntd.solve`.
    error
        Largest relative L2 error at any of the random parameters.
    seconds
        What the offline phase may take; None without a figure.
    points
        How many random parameters.
    """

    name: str
    build: Callable[[], it.Problem]
    direct: Callable[[it.Problem, Array], Array]
    solve: dict[str, Any]
    error: float
    seconds: float | None
    quick: bool = False
    points: int = POINTS


def run(case: Case, repeat: int) -> dict[str, Any]:
    """Solve `repeat` times from cold caches, compare with direct solutions and return the case's line."""
    setups, runs = [], []
    for _ in range(repeat):
        harness.forget()
        setup, problem = harness.timed(case.build)
        setups.append(setup)
        runs.append(harness.clocked(lambda problem=problem: it.solve(problem, method="reduced_basis", **case.solve)))
    answer = runs[-1][2]
    points = parameters(problem, case.points)
    errors, bounds = compared(problem, answer.model, case.direct, points)
    worst, estimate = float(errors.max()), answer.error_estimate.algebraic
    rejected = None if worst <= case.error else f"the error {worst:.2e} exceeds {case.error:.0e}"
    return {
        "case": case.name,
        "error": worst,
        "error_at_most": case.error,
        "error_median": float(np.median(errors)),
        "estimate": estimate,
        "effectivity": estimate / worst,
        "bound_guaranteed": answer.model.metadata["guaranteed_bound"],
        "bound_largest_at_points": float(bounds.max()) if np.isfinite(bounds).all() else None,
        "modes": answer.modes,
        "parameters": answer.model.core.numel() + sum(factor.numel() for factor in answer.model.factors),
        "free_nodes": int(np.prod([axis.size for axis in answer.model.merged])),
        "status": answer.status,
        "seconds": None if rejected else harness.significant(float(np.median([wall for wall, _, _ in runs]))),
        "seconds_at_most": case.seconds,
        "seconds_cpu": harness.significant(float(np.median([cpu for _, cpu, _ in runs]))),
        "setup_seconds": harness.significant(float(np.median(setups))),
        "online_seconds": harness.significant(online(answer.model, points)),
        "online_seconds_at_most": ONLINE_AT_MOST,
        "points": case.points,
        "repeats": repeat,
        "threads": 1,
        "load": harness.load(),
        "rejected": rejected,
        **harness.environment(),
    }


def parameters(problem: it.Problem, count: int) -> Array:
    """Return random parameters (count, P) in the box of the axes."""
    axes = [axis for axis in problem.axes if axis.kind == "parameter"]
    unit = np.random.default_rng(0).random((count, len(axes)))
    start, stop = np.array([axis.domain for axis in axes]).T
    found: Array = start + (stop - start) * unit
    return found


def compared(
    problem: it.Problem, model: Any, direct: Callable[[it.Problem, Array], Array], points: Array
) -> tuple[Array, Array]:
    """Return relative L2 errors in space, and the model's own bounds of the relative error in the energy norm."""
    x, y = problem.axes[:2]
    names = [axis.name for axis in problem.axes[2:]]
    mx, my = (assembly.mass(axis).tosparse() for axis in (x, y))

    def norm(values: Array) -> float:
        return float(np.sqrt(np.sum(values * (mx @ values @ my))))

    errors, bounds = [], []
    for point in points:
        fixed = dict(zip(names, map(float, point), strict=True))
        exact = direct(problem, point)
        errors.append(norm(model.grid(x=x.nodes, y=y.nodes, **fixed).numpy() - exact) / norm(exact))
        bounds.append(model.error_bound(fixed))
    return np.array(errors), np.array(bounds)


def online(model: Any, points: Array) -> float:
    """Return the processor time of one reduced solution, one parameter at a time."""
    rows = points[np.arange(ONLINE) % len(points)]

    def solve_all() -> None:
        for row in rows:
            model.coefficients(row)

    solve_all()
    return min(harness.clocked(solve_all)[1] for _ in range(3)) / ONLINE


def kron(first: Any, second: Any) -> Any:
    """Return the Kronecker product of two sparse matrices, as CSC."""
    return scipy.sparse.kron(first, second).tocsc()


def main(cases: list[Case], description: str) -> int:
    """Run the chosen cases and print a line for each; 1 if an answer was wrong."""
    options = harness.argument_parser(description, [case.name for case in cases]).parse_args()
    chosen = [c for c in cases if (c.name in options.case if options.case else c.quick or not options.quick)]
    repeat = 1 if options.quick else options.repeat
    return harness.print_lines((run(case, repeat) for case in chosen), options.output)
