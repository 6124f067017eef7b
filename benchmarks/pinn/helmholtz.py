"""Helmholtz equation: u_xx + u_yy + u = f on [-1, 1]², u = 0 on the boundary, u = sin(a pi x) sin(b pi y).

(a, b) = (1, 4), the classic of the literature, and (10, 10): ten periods along either axis. The reference is the
solution that f was made from.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import harness  # before NumPy: one thread  # noqa: F401
import numpy as np
import shared
from sympy import pi, sin

import inntd as it


def problem(a: int, b: int, elements: tuple[int, int], s: int) -> it.Problem:
    """State the problem."""
    x, y = (it.Axis(name, -1, 1, elements=count, s=s) for name, count in zip("xy", elements, strict=True))
    u = it.unknown("u", x, y)
    source = (1 - (a**2 + b**2) * pi**2) * sin(a * pi * x) * sin(b * pi * y)
    return it.Problem(strong=it.laplacian(u) + u - source, conditions=[u.on("boundary") == 0])


def case(
    a: int, b: int, elements: tuple[int, int], s: int, error: float, seconds: float | None, **more: bool
) -> shared.Case:
    """Return one row of the experiment."""

    def reference() -> shared.Reference:
        places = np.linspace(-1, 1, 401)
        return shared.on_grid(lambda x, y: np.sin(a * np.pi * x) * np.sin(b * np.pi * y), x=places, y=places)

    name = f"helmholtz-{a}-{b}{'-small' if more else ''}"
    return shared.Case(name, lambda: problem(a, b, elements, s), reference, error, seconds, **more)


CASES = [
    case(1, 4, (24, 72), 4, 1e-6, 20.0),
    case(10, 10, (110, 110), 5, 1e-6, 20.0),
    case(1, 4, (12, 36), 4, 1e-3, None, quick=True),
]

if __name__ == "__main__":
    sys.exit(shared.main(CASES, __doc__ or ""))
