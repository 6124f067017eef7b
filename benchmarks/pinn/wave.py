"""Wave equation with two standing modes: u_tt = 4 u_xx on [0, 1]², u = 0 at both ends.

u(x, 0) = sin(pi x) + sin(4 pi x)/2, u_t(x, 0) = 0. The reference is the closed form.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import harness  # before NumPy: one thread
import numpy as np
import shared
from sympy import pi, sin

import inntd as it


def problem(elements: int, time: int) -> it.Problem:
    """State the problem."""
    x = it.Axis("x", 0, 1, elements=elements, s=4)
    t = it.Axis("t", 0, 1, elements=time, s=4, kind="time")
    u = it.unknown("u", x, t)
    return it.Problem(
        strong=it.dt(it.dt(u)) - 4 * it.laplacian(u),
        conditions=[u.on(x) == 0, u.at(t=0) == sin(pi * x) + sin(4 * pi * x) / 2, it.dt(u).at(t=0) == 0],
    )


def exact(x: harness.Array, t: harness.Array) -> harness.Array:
    """Return the solution."""
    slow = np.sin(np.pi * x) * np.cos(2 * np.pi * t)
    return slow + np.sin(4 * np.pi * x) * np.cos(8 * np.pi * t) / 2


def reference() -> shared.Reference:
    """Return the solution on a fine grid."""
    places = np.linspace(0, 1, 201)
    return shared.on_grid(exact, x=places, t=places)


CASES = [
    shared.Case("wave", lambda: problem(40, 80), reference, 1e-7, 10.0),
    shared.Case("wave-small", lambda: problem(20, 40), reference, 1e-4, None, quick=True),
]

if __name__ == "__main__":
    sys.exit(shared.main(CASES, __doc__ or ""))
