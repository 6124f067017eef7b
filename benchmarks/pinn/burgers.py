"""Burgers' equation: u_t + u u_x = nu u_xx, u(x, 0) = -sin(pi x), u(-1, t) = u(1, t) = 0, nu = 0.01/pi, t in [0, 1].

"hand": nodes graded by hand toward the shock at 0; "adapt": a uniform mesh, moved by the solver. "parametric": all
viscosities from 0.01 to 0.1 as a third axis; its error is the worst of 25 viscosities between the nodes.

The reference is the Cole-Hopf formula by Gauss-Hermite quadrature.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import harness  # before NumPy: one thread
import numpy as np
import shared
from sympy import exp, pi, sin

import inntd as it

NU = 0.01 / np.pi


def problem(x: it.Axis, elements: int, nu: Any = NU, *more: it.Axis) -> it.Problem:
    """State the problem."""
    t = it.Axis("t", 0, 1, elements=elements, kind="time")
    u = it.unknown("u", x, t, *more)
    return it.Problem(
        strong=it.dt(u) + u * it.diff(u, x) - nu * it.diff(u, x, 2),
        conditions=[u.on(x) == 0, u.at(t=0) == -sin(pi * x)],
    )


def by_hand(elements: int, strength: float = 5.0) -> it.Axis:
    """Return nodes that are dense at 0."""
    nodes = np.sinh(strength * np.linspace(-1, 1, elements + 1)) / np.sinh(strength)
    nodes[[0, elements // 2, -1]] = -1.0, 0.0, 1.0
    return it.Axis("x", nodes=nodes)


def parametric(elements: int, time: int, viscosities: int) -> it.Problem:
    """State the problem for all viscosities; the axis is their logarithm."""
    ln_nu = it.Axis("ln_nu", np.log(0.01), np.log(0.1), elements=viscosities, kind="parameter")
    return problem(by_hand(elements, 3.5), time, exp(ln_nu._sympy_()), ln_nu)


def cole_hopf(x: harness.Array, t: harness.Array, nu: float) -> harness.Array:
    """Return the solution on a grid of x and t > 0."""
    nodes, weights = np.polynomial.hermite.hermgauss(200)
    places = x[:, None, None] - np.sqrt(4 * nu * t)[None, :, None] * nodes
    exponent = -np.cos(np.pi * places) / (2 * np.pi * nu)
    kernel = np.exp(exponent - exponent.max(axis=-1, keepdims=True)) * weights
    return -(np.sin(np.pi * places) * kernel).sum(-1) / kernel.sum(-1)


def reference() -> shared.Reference:
    """Return the solution on a grid without the initial time, where it is given."""
    x, t = np.linspace(-1, 1, 401), np.linspace(0, 1, 101)[1:]
    return {"x": x, "t": t}, cole_hopf(x, t, NU)


def parametric_reference() -> shared.Reference:
    """Return the solution for viscosities that are no nodes."""
    x, t, ln_nu = np.linspace(-1, 1, 201), np.linspace(0, 1, 51)[1:], np.linspace(np.log(0.01), np.log(0.1), 25)
    return {"x": x, "t": t, "ln_nu": ln_nu}, np.stack([cole_hopf(x, t, np.exp(value)) for value in ln_nu], axis=2)


def uniform(elements: int) -> it.Axis:
    """Return equal elements."""
    return it.Axis("x", -1, 1, elements=elements)


CASES = [
    shared.Case("burgers-hand", lambda: problem(by_hand(80), 40), reference, 2e-5, 30.0),
    shared.Case("burgers-adapt", lambda: problem(uniform(80), 40), reference, 2e-4, 30.0, {"adapt": True}),
    shared.Case("burgers-small", lambda: problem(by_hand(48), 24), reference, 2e-3, None, quick=True),
    shared.Case("burgers-parametric", lambda: parametric(60, 40, 12), parametric_reference, 1e-4, 60.0, worst="ln_nu"),
]

if __name__ == "__main__":
    sys.exit(shared.main(CASES, __doc__ or ""))
