"""S8: diffusion with a random coefficient, 73 axes: u_t - (k(x, zeta) u_x)_x = 1, x in [0,1], t in [0,0.01].

k = 10 + sum of 71 Karhunen-Loeve terms of the exponential kernel (sigma = 0.2, correlation length 1) times zeta_j,
each uniform in [-5,5]; zero initial and boundary values.

`error`: relative L2 error over x and t, all of 10 random zeta together, against direct solutions on the same basis in
x, exact in time. `error_mean_field`: the same of the solution for k = 10, what a solver would reach without zeta.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import harness  # before NumPy: one thread
import numpy as np
import oracle
from scipy.optimize import brentq
from sympy import cos

import inntd as it

Array = harness.Array

MEAN, SIGMA, LENGTH = 10.0, 0.2, 1.0
TERMS = 71
END = 0.01
SAMPLES = 10


def karhunen_loeve(terms: int) -> Array:
    """Return amplitude, frequency and phase (3, terms) of the kernel sigma^2 exp(-|x-y| / length) on [0,1].

    The j-th eigenfunction is the cosine of w (x - 1/2) - (j - 1) pi / 2, where w - (j - 1) pi is in (0, pi) and
    equals 2 atan(1 / (w length)); the amplitude holds the root of the eigenvalue and the normalisation.
    """
    rows = []
    for j in range(terms):
        low, high = j * np.pi + 1e-12, (j + 1) * np.pi
        w = brentq(lambda w, low=j * np.pi: w - low - 2 * np.arctan(1 / (w * LENGTH)), low, high, xtol=1e-15)
        eigenvalue = 2 * SIGMA**2 * LENGTH / (1 + (w * LENGTH) ** 2)
        square = 0.5 + (-1) ** j * np.sin(w) / (2 * w)
        rows.append((np.sqrt(eigenvalue / square), w, j * np.pi / 2))
    return np.array(rows).T


def problem(elements: int, terms: int = TERMS) -> it.Problem:
    """State the problem for all coefficients at once."""
    x = it.Axis("x", 0, 1, elements=elements)
    t = it.Axis("t", 0, END, elements=elements, kind="time", grading=3)
    zeta = [it.Axis(f"zeta[{j}]", -5, 5, elements=elements, kind="parameter") for j in range(1, terms + 1)]
    u, v = it.unknown("u", x, t, *zeta), it.test_function()
    parts = zip(*(row.tolist() for row in karhunen_loeve(terms)), zeta, strict=True)
    k = MEAN + sum(a * cos(w * (x - 0.5) - phase) * axis for a, w, phase, axis in parts)
    return it.Problem(
        weak=v * it.dt(u) + k * it.diff(v, x) * it.diff(u, x) - v, conditions=[u.on(x) == 0, u.at(t=0) == 0]
    )


def samples(terms: int) -> Array:
    """Return the 10 random zeta (10, terms)."""
    return np.random.default_rng(0).uniform(-5, 5, (SAMPLES, terms))


def direct(mesh: oracle.Mesh, times: Array, zeta: Sequence[float]) -> Array:
    """Return the nodal values (nodes, times) for one zeta: the semidiscrete system, solved exactly in time."""
    amplitudes, frequencies, phases = karhunen_loeve(max(len(zeta), 1))

    def coefficient(x: Array) -> Array:
        waves = np.cos(frequencies * (x[:, None] - 0.5) - phases)
        return MEAN + waves[:, : len(zeta)] @ (amplitudes[: len(zeta)] * zeta)

    spectrum = oracle.Spectrum.of(mesh, coefficient)
    source = spectrum.project(mesh.load(np.ones_like))
    decay = 1 - np.exp(-np.outer(spectrum.values, times))
    values = np.zeros((len(mesh.nodes), len(times)))
    values[1:-1] = spectrum.vectors @ ((source / spectrum.values)[:, None] * decay)
    return values


@lru_cache(maxsize=4)
def references(elements: int, terms: int) -> tuple[list[Array], Array, Array, Array]:
    """Return the direct solutions of all samples and of the mean coefficient, the mass matrix and time weights."""
    axes = problem(elements, terms).axes
    mesh, times = oracle.Mesh.of(axes[0]), np.asarray(axes[1].nodes)
    solutions = [direct(mesh, times, zeta) for zeta in samples(terms)]
    return solutions, direct(mesh, times, ()), mesh.matrix(), oracle.trapezoid(times)


def relative(found: Sequence[Array], expected: Sequence[Array], mass: Array, weights: Array) -> float:
    """Return the relative L2 difference over x, t and the samples."""

    def square(values: Array) -> float:
        return float(np.einsum("it,ij,jt,t->", values, mass, values, weights, optimize=True))

    off = sum(square(a - b) for a, b in zip(found, expected, strict=True))
    return float(np.sqrt(off / sum(square(b) for b in expected)))


def measure(elements: int, terms: int) -> Any:
    """Return what a model of so many elements is measured by."""

    def action(problem: it.Problem, model: Any) -> dict[str, Any]:
        solutions, mean, mass, weights = references(elements, terms)
        x, t, *names = problem.axes
        found = []
        for zeta in samples(terms):
            field = model.at({axis.name: value for axis, value in zip(names, zeta, strict=True)})
            found.append(field.grid(x=x.nodes, t=t.nodes).detach().numpy())
        return {
            "error": relative(found, solutions, mass, weights),
            "error_mean_field": relative([mean] * SAMPLES, solutions, mass, weights),
        }

    return action


def case(name: str, rank: int, elements: int, error: float, seconds: float | None, terms: int = TERMS) -> harness.Case:
    """Return one row of the experiment."""
    return harness.Case(
        name,
        lambda: problem(elements, terms),
        {"rank": rank},
        error,
        seconds,
        quick=terms < TERMS,
        sampler=None,
        measure=measure(elements, terms),
        fields={"dimension": 2 + terms, "elements": elements},
    )


CASES = [
    case("s8-15", 15, 101, 1.5e-3, 0.5),
    case("s8-35", 35, 101, 4e-4, 2.0),
    *(case(f"s8-{rank}-{n}-elements", rank, n, e, None) for n in (71, 151) for rank, e in ((15, 1.5e-3), (35, 4e-4))),
    case("s8-15-small", 15, 24, 1.5e-3, None, terms=9),
]

if __name__ == "__main__":
    sys.exit(harness.main(CASES, __doc__))
