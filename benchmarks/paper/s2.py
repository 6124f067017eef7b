"""S2: Poisson, u = prod_d sin(pi x_d), zero on the boundary, on [0,1]^D and [0,12]^2; and axes of 10^6 elements."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import harness  # before NumPy: one thread
import numpy as np
from sympy import Mul, pi, sin

import inntd as it


def problem(dimension: int, stop: float, elements: int, s: int) -> it.Problem:
    """State Poisson's problem; the source is derived from the exact solution."""
    axes = [it.Axis(f"x[{i}]", 0, stop, elements=elements, s=s) for i in range(1, dimension + 1)]
    u = it.unknown("u", *axes)
    exact = Mul(*[sin(pi * x) for x in axes])
    return it.Problem(strong=-it.laplacian(u) + it.laplacian(exact), conditions=[u.on(*axes) == 0], exact=exact)


def by_square(random: np.random.Generator, problem: it.Problem, count: int) -> tuple[harness.Array, harness.Array]:
    """Draw points with the density of u^2: uniform ones miss u, which lives on 2^-D of the volume."""
    start, stop = np.array([axis.domain for axis in problem.axes]).T
    # The integral of 2 sin^2(pi x) is x - sin(2 pi x) / (2 pi), inverted by a table.
    x = np.linspace(0.0, 1.0, 20001)
    cell = random.integers(0, np.round(stop - start).astype(int), (count, len(start)))
    points = start + cell + np.interp(random.random((count, len(start))), x - np.sin(2 * np.pi * x) / (2 * np.pi), x)
    return points, harness.exact_values(problem, points) ** -2.0


def case(
    name: str,
    dimension: int,
    stop: float,
    elements: int,
    s: int,
    error: float,
    seconds: float | None,
    tolerance: float,
    quick: bool = False,
) -> harness.Case:
    """Return one row of the experiment."""
    return harness.Case(
        name,
        lambda: problem(dimension, stop, elements, s),
        {"tolerance": tolerance},
        error,
        seconds,
        quick=quick,
        sampler=by_square,
        fields={"dimension": dimension, "elements": elements, "s": s},
    )


CASES = [
    *(case(f"s2-unit-{d}-s3", d, 1, 31, 3, 1e-9, 0.005, 1e-9, quick=d < 10) for d in (2, 5, 10)),
    *(case(f"s2-unit-{d}-s4", d, 1, 31, 4, 1e-11, 0.005, 1e-10, quick=d == 10) for d in (2, 5, 10)),
    case("s2-unit-100-s3", 100, 1, 31, 3, 1e-8, 0.3, 1e-8),
    case("s2-long-2-s3", 2, 12, 255, 3, 5e-9, 0.05, 1e-8),
    # The same problem on shorter axes beside the long one shows that the time is linear in the elements.
    case("s2-thousand", 3, 1, 1000, 3, 1e-5, None, 1e-4, quick=True),
    case("s2-hundred-thousand", 3, 1, 100_000, 3, 1e-5, None, 1e-4),
    case("s2-million", 3, 1, 1_000_000, 3, 1e-5, None, 1e-4),
]

if __name__ == "__main__":
    sys.exit(harness.main(CASES, __doc__))
