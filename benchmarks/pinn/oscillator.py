"""Damped oscillator of high frequency: u'' + 2 d u' + w² u = 0, u(0) = 1, u'(0) = 0, d = 4, w = 80, on [0, 1].

The reference is the closed form.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import harness  # before NumPy: one thread
import numpy as np
import shared

import inntd as it

DAMPING, FREQUENCY = 4.0, 80.0


def problem(elements: int, s: int = 4) -> it.Problem:
    """State the problem."""
    t = it.Axis("t", 0, 1, elements=elements, s=s, kind="time")
    u = it.unknown("u", t)
    return it.Problem(
        strong=it.dt(it.dt(u)) + 2 * DAMPING * it.dt(u) + FREQUENCY**2 * u,
        conditions=[u.at(t=0) == 1, it.dt(u).at(t=0) == 0],
    )


def exact(t: harness.Array) -> harness.Array:
    """Return the solution."""
    w = np.sqrt(FREQUENCY**2 - DAMPING**2)
    return np.exp(-DAMPING * t) * (np.cos(w * t) + DAMPING / w * np.sin(w * t))


def reference() -> shared.Reference:
    """Return the solution on a fine grid."""
    return shared.on_grid(exact, t=np.linspace(0, 1, 4001))


CASES = [
    shared.Case("oscillator-200", lambda: problem(200), reference, 1e-6, 1.0, quick=True),
    shared.Case("oscillator-400", lambda: problem(400), reference, 1e-8, 1.0),
]

if __name__ == "__main__":
    sys.exit(shared.main(CASES, __doc__ or ""))
