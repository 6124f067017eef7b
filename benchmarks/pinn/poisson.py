"""Nonlinear Poisson equation in D dimensions: -div((1 + u²) grad(u)) = f on the unit cube, u = 0 on the boundary.

f follows from a solution of three products of sines, which is the reference, at random points.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import harness  # before NumPy: one thread
import numpy as np
import shared
import sympy
from sympy import pi, sin

import inntd as it


def problem(dimensions: int, elements: int = 16, s: int = 4) -> it.Problem:
    """State the problem."""
    axes = [it.Axis(f"x{i}", 0, 1, elements=elements, s=s) for i in range(dimensions)]
    u = it.unknown("u", *axes)
    exact = sum(
        weight * sympy.prod([sin(wave(k, i) * pi * x) for i, x in enumerate(axes)]) for k, weight in enumerate(WEIGHTS)
    )
    source = -sum(sympy.diff((1 + exact**2) * sympy.diff(exact, x), x) for x in axes)
    return it.Problem(strong=-it.div((1 + u**2) * it.grad(u)) - source, conditions=[u.on("boundary") == 0])


WEIGHTS = (1, sympy.Rational(1, 2), sympy.Rational(3, 10))


def wave(term: int, axis: int) -> int:
    """Return how many half waves a term has along an axis."""
    return (1, 1 + axis % 2, 2 - axis % 2)[term]


def reference(dimensions: int) -> shared.Reference:
    """Return the solution on a grid that shares no node with the mesh."""
    places = np.array([0.11, 0.23, 0.37, 0.41, 0.59, 0.67, 0.83, 0.97])

    def exact(*x: harness.Array) -> harness.Array:
        terms = (
            float(weight) * np.prod([np.sin(wave(k, i) * np.pi * own) for i, own in enumerate(x)], axis=0)
            for k, weight in enumerate(WEIGHTS)
        )
        return np.asarray(sum(terms))

    return shared.on_grid(exact, **{f"x{i}": places for i in range(dimensions)})


CASES = [
    shared.Case("poisson-5", lambda: problem(5), lambda: reference(5), 5e-6, 60.0),
    shared.Case("poisson-4-small", lambda: problem(4, 12, 3), lambda: reference(4), 1e-4, None, quick=True),
]

if __name__ == "__main__":
    sys.exit(shared.main(CASES, __doc__ or ""))
