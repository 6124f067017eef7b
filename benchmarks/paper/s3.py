"""S3: Helmholtz, laplacian(u) + k^2 u = q on [-1,1]^2, u = sin(pi x) sin(4 pi y), 250 elements.

k^2 = 50, 200 and 1000, beyond the paper, make the operator indefinite.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import harness  # before NumPy: one thread
from sympy import pi, sin

import inntd as it


def problem(k_squared: int) -> it.Problem:
    """State Helmholtz' problem; the source is derived from the exact solution."""
    x, y = (it.Axis(name, -1, 1, elements=250) for name in "xy")
    u = it.unknown("u", x, y)
    exact = sin(pi * x) * sin(4 * pi * y)
    source = it.laplacian(exact) + k_squared * exact
    return it.Problem(strong=it.laplacian(u) + k_squared * u - source, conditions=[u.on(x, y) == 0], exact=exact)


def case(k_squared: int, seconds: float | None) -> harness.Case:
    """Return one row of the experiment."""
    return harness.Case(
        f"s3-k{k_squared}",
        lambda: problem(k_squared),
        {"tolerance": 1e-9, "rank": 16},
        1e-9,
        seconds,
        quick=k_squared == 1,
        fields={"dimension": 2, "elements": 250, "s": 3, "k_squared": k_squared},
    )


CASES = [case(1, 0.05), *(case(k_squared, None) for k_squared in (50, 200, 1000))]

if __name__ == "__main__":
    sys.exit(harness.main(CASES, __doc__))
