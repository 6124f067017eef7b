"""Klein-Gordon equation with a cubic term: u_tt - u_xx + u³ = f on [0, 1]², u = x cos(5 pi t) + (x t)³.

f, the boundary values and the initial values follow from the solution, which is the reference.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import harness  # before NumPy: one thread  # noqa: F401
import numpy as np
import shared
import sympy
from sympy import cos, pi

import inntd as it


def problem(elements: int, time: int) -> it.Problem:
    """State the problem."""
    x = it.Axis("x", 0, 1, elements=elements, s=4)
    t = it.Axis("t", 0, 1, elements=time, s=4, kind="time")
    u = it.unknown("u", x, t)
    exact = x * cos(5 * pi * t) + (x * t) ** 3
    source = sympy.diff(exact, t, 2) - sympy.diff(exact, x, 2) + exact**3
    return it.Problem(
        strong=it.dt(it.dt(u)) - it.laplacian(u) + u**3 - source,
        conditions=[u.on(x) == exact, u.at(t=0) == x, it.dt(u).at(t=0) == 0],
    )


def reference() -> shared.Reference:
    """Return the solution on a fine grid."""
    places = np.linspace(0, 1, 201)
    return shared.on_grid(lambda x, t: x * np.cos(5 * np.pi * t) + (x * t) ** 3, x=places, t=places)


CASES = [
    shared.Case("klein-gordon", lambda: problem(10, 100), reference, 1e-6, 10.0),
    shared.Case("klein-gordon-small", lambda: problem(10, 40), reference, 1e-4, None, quick=True),
]

if __name__ == "__main__":
    sys.exit(shared.main(CASES, __doc__ or ""))
