"""S3: Helmholtz, laplacian(u) + k^2 u = q on [-1,1]^2, zero on the boundary, 250 elements.

The paper's case has u = sin(pi x) sin(4 pi y) and k = 1. k^2 = 50, 200 and 1000, beyond the paper, make the operator
indefinite. That solution has one mode, whatever k: the cases `s3-bumps-...` have two narrow sources in its place,
whose waves need 10 to 25 modes, and are checked against the sine series of the exact solution. `s3-bumps-k200-16` and
`s3-bumps-k200-galerkin` take 16 modes by minimal residual, and by Galerkin with alternating updates for comparison.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import harness  # before NumPy: one thread
import numpy as np
from sympy import exp, pi, sin

import inntd as it

ELEMENTS = 250
WIDTH = 0.1
SOURCES = ((-0.4, 0.3), (0.5, -0.6))
WAVES = 120  # of the sine series: the sources' coefficients are below 1e-30 from 100 on
GRID, SAMPLES = 201, 2000


def problem(k_squared: int) -> it.Problem:
    """State Helmholtz' problem; the source is derived from the exact solution."""
    x, y = (it.Axis(name, -1, 1, elements=ELEMENTS) for name in "xy")
    u = it.unknown("u", x, y)
    exact = sin(pi * x) * sin(4 * pi * y)
    source = it.laplacian(exact) + k_squared * exact
    return it.Problem(strong=it.laplacian(u) + k_squared * u - source, conditions=[u.on(x, y) == 0], exact=exact)


def bumps(k_squared: int, elements: int = ELEMENTS) -> it.Problem:
    """State the problem with two narrow sources."""
    x, y = (it.Axis(name, -1, 1, elements=elements) for name in "xy")
    u = it.unknown("u", x, y)
    source = sum(exp(-((x - a) ** 2 + (y - b) ** 2) / (2 * WIDTH**2)) for a, b in SOURCES)
    return it.Problem(strong=it.laplacian(u) + k_squared * u - source, conditions=[u.on(x, y) == 0])


def series(k_squared: int) -> tuple[harness.Array, harness.Array]:
    """Return the wave numbers (W,) and the coefficients (W, W) of the exact solution's sine series."""
    wave = np.arange(1, WAVES + 1) * np.pi / 2
    nodes, weights = np.polynomial.legendre.leggauss(400)
    basis = np.sin(np.outer(wave, nodes + 1))  # of length one on [-1, 1]
    load = np.zeros((WAVES, WAVES))
    for a, b in SOURCES:
        x, y = (basis @ (weights * np.exp(-((nodes - c) ** 2) / (2 * WIDTH**2))) for c in (a, b))
        load += np.outer(x, y)
    coefficients = load / (k_squared - wave[:, None] ** 2 - wave**2)
    return wave, coefficients


def measure(k_squared: int) -> Any:
    """Return what measures a model against the sine series, on a grid and at random points."""

    def action(problem: it.Problem, model: Any) -> dict[str, Any]:
        wave, coefficients = series(k_squared)
        points = np.linspace(-1, 1, GRID)
        values = np.sin(np.outer(wave, points + 1))
        exact = values.T @ coefficients @ values
        found = np.asarray(model.grid(x=points, y=points))
        scattered = np.random.default_rng(0).uniform(-1, 1, (SAMPLES, 2))
        left, right = (np.sin(np.outer(wave, column + 1)) for column in scattered.T)
        expected = ((coefficients @ right) * left).sum(axis=0)
        sampled = np.asarray(model(scattered))
        return {
            "error": float(np.linalg.norm(found - exact) / np.linalg.norm(exact)),
            "error_sampled": float(np.linalg.norm(sampled - expected) / np.linalg.norm(expected)),
        }

    return action


def fields(k_squared: int) -> dict[str, Any]:
    """Return what every line tells of its problem."""
    return {"dimension": 2, "elements": ELEMENTS, "s": 3, "k_squared": k_squared}


def case(k_squared: int, seconds: float | None) -> harness.Case:
    """Return one row of the experiment."""
    return harness.Case(
        f"s3-k{k_squared}",
        lambda: problem(k_squared),
        {"tolerance": 1e-9, "rank": 16},
        1e-9,
        seconds,
        quick=k_squared == 1,
        fields=fields(k_squared),
    )


def bump_case(name: str, k_squared: int, solve: dict[str, Any], error: float, quick: bool = False) -> harness.Case:
    """Return one row with narrow sources."""
    return harness.Case(
        name,
        lambda: bumps(k_squared),
        solve,
        error,
        quick=quick,
        sampler=None,
        measure=measure(k_squared),
        fields=fields(k_squared) | {"method": solve.get("method", "auto")},
    )


CASES = [
    case(1, 0.05),
    *(case(k_squared, None) for k_squared in (50, 200, 1000)),
    *(bump_case(f"s3-bumps-k{k2}", k2, {"tolerance": 1e-9}, 1e-8, quick=k2 == 200) for k2 in (50, 200)),
    bump_case("s3-bumps-k1000", 1000, {"tolerance": 1e-9}, 1e-6),
    bump_case("s3-bumps-k200-16", 200, {"rank": 16, "method": "minimal_residual"}, 1e-8),
    bump_case("s3-bumps-k200-galerkin", 200, {"rank": 16, "method": "alternating"}, np.inf),
]

if __name__ == "__main__":
    sys.exit(harness.main(CASES, __doc__))
