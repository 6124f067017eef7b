"""S1: Poisson, u = sum_i sin(pi x_i / 2), Dirichlet values from u, 32 nodes per axis, on [0,1]^D and [0,12]^D."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import harness  # before NumPy: one thread
from sympy import Add, pi, sin

import inntd as it


def problem(dimension: int, stop: float, s: int) -> it.Problem:
    """State Poisson's problem; the source is derived from the exact solution."""
    axes = [it.Axis(f"x[{i}]", 0, stop, elements=31, s=s) for i in range(1, dimension + 1)]
    u = it.unknown("u", *axes)
    exact = Add(*[sin(pi / 2 * x) for x in axes])
    return it.Problem(
        strong=-it.laplacian(u) + it.laplacian(exact),
        conditions=[u.on(*axes) == exact],
        exact=exact,
    )


def case(dimension: int, stop: float, s: int, error: float, seconds: float, tolerance: float) -> harness.Case:
    """Return one row of the experiment."""
    name = f"s1-{'unit' if stop == 1 else 'long'}-{dimension}" + ("" if s == 3 else f"-s{s}")
    return harness.Case(
        name,
        lambda: problem(dimension, stop, s),
        {"tolerance": tolerance},
        error,
        seconds,
        quick=dimension == 2,
        fields={"dimension": dimension, "nodes": 32, "s": s},
    )


CASES = [
    *(case(d, 1, 3, 1e-9, t, 1e-10) for d, t in ((2, 0.005), (5, 0.02), (10, 0.05))),
    case(20, 1, 3, 1e-8, 0.7, 5e-9),
    *(case(d, 12, 3, 2e-5, 0.05, 1e-6) for d in (2, 5, 10)),
    *(case(d, 12, 8, 2e-8, 0.05, 1e-9) for d in (2, 5, 10)),
]

if __name__ == "__main__":
    sys.exit(harness.main(CASES, __doc__))
