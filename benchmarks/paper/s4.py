"""S4: Poisson on [0,100]^2 with two sharp bumps, u = 10 e^(-((x-20)^2+(y-25)^2)/25) + 10 e^(-((x-60)^2+(y-75)^2)/25).

Elements are half as long, and patches larger, within 15 of the bumps; `error` is the largest absolute error on a grid
with the nodes and four points inside each element. On the boundary u is 1.1e-6, not 0: its values are imposed.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import harness  # before NumPy: one thread
import numpy as np
import sympy
from sympy import exp

import inntd as it

LENGTH, REACH, LIMIT = 100, 15, 1e-7
CENTRES = ((20, 25), (60, 75))


def axis(name: str, centres: Sequence[int], refinement: float) -> it.Axis:
    """Return an axis with elements of length 1, of 1/2 near the centres, divided by `refinement`."""
    parts, begin = [], 0
    for end, fine in [(c + side * REACH, side > 0) for c in centres for side in (-1, 1)] + [(LENGTH, False)]:
        count = round((end - begin) * refinement * (2 if fine else 1))
        parts.append(np.linspace(begin, end, count, endpoint=False))
        begin = end
    nodes = np.append(np.concatenate(parts), LENGTH)
    near = np.abs(nodes[:, None] - np.array(centres)).min(axis=1) < REACH
    return it.Axis(name, nodes=nodes, s=[8 if close else 4 for close in near])


def problem(refinement: float) -> it.Problem:
    """State Poisson's problem; the source is derived from the exact solution."""
    x, y = (axis(name, [centre[d] for centre in CENTRES], refinement) for d, name in enumerate("xy"))
    u = it.unknown("u", x, y)
    exact = sum(10 * exp(-((x - a) ** 2 + (y - b) ** 2) / 25) for a, b in CENTRES)
    return it.Problem(strong=it.laplacian(u) - it.laplacian(exact), conditions=[u.on("boundary") == exact], exact=exact)


def largest_error(problem: it.Problem, model: Any) -> float:
    """Return the largest absolute error on a grid: nodes and four points inside each element."""
    x, y = ((own.nodes[:-1, None] + np.diff(own.nodes)[:, None] * np.arange(5) / 5).ravel() for own in problem.axes)
    x, y = np.append(x, LENGTH), np.append(y, LENGTH)
    symbols = [sympy.sympify(own) for own in problem.axes]
    exact = sympy.lambdify(symbols, problem.exact_expression, "numpy")(x[:, None], y[None, :])
    return float(np.abs(model.grid(x=x, y=y).detach().numpy() - exact).max())


def line(name: str, refinement: float, limit: float, repeat: int) -> dict[str, Any]:
    """Solve, measure and return the line."""
    solves = []
    for _ in range(repeat):
        harness.forget()
        setup, stated = harness.timed(lambda: problem(refinement))
        seconds, answer = harness.timed(lambda stated=stated: it.solve(stated, tolerance=1e-11, progress=False))
        solves.append(seconds)
    error = largest_error(stated, answer.model)
    rejected = harness.reason_to_reject(answer.status, error, limit)
    return {
        "case": name,
        "error": error,
        "error_at_most": limit,
        "error_l2": float(answer.model.error(stated.exact)),
        "estimate": answer.error_estimate.total,
        "nodes": [own.size for own in stated.axes],
        "modes": answer.modes,
        "parameters": sum(parameter.numel() for parameter in answer.model.parameters()),
        "seconds": None if rejected else harness.significant(float(np.median(solves))),
        "setup_seconds": harness.significant(setup),
        "repeats": len(solves),
        "threads": 1,
        "load": harness.load(),
        "status": answer.status,
        "rejected": rejected,
        **harness.environment(),
    }


# The coarse mesh, for the smoke run and the tests: 97 nodes.
CASES = {"s4": (1.0, LIMIT), "s4-small": (0.6, 1e-4)}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the chosen cases and print a JSON line for each; 1 if an answer was wrong."""
    options = harness.argument_parser(__doc__, list(CASES)).parse_args(arguments)
    names = options.case or (["s4-small"] if options.quick else ["s4"])
    repeat = 1 if options.quick else options.repeat
    return harness.print_lines((line(name, *CASES[name], repeat) for name in names), options.output)


if __name__ == "__main__":
    sys.exit(main())
