"""Convection-diffusion: -eps laplacian(u) + (cos m, sin m) . grad u = 1 on the unit square for all angles m.

Zero on the boundary. Nodes are dense at both ends of x and y, as the layers ask for: x = (1 + tanh(b t) / tanh(b)) / 2
with t equally spaced. x and y are merged; full solutions are picked by the residual. "turn" in the name: all angles,
else those of a quarter turn, as the wind enters at the same two sides.

`error`: the largest relative L2 error in space of 100 random angles, against sparse direct solutions of the same
discrete equations.
"""

from __future__ import annotations

import sys
import warnings
from functools import lru_cache
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import harness  # before NumPy: one thread
import numpy as np
import reduced
import scipy.sparse.linalg
from sympy import cos, sin

import inntd as it
from inntd.axes import assembly

S = 2
GRADING = {1e-2: 1.8, 1e-3: 3.2}  # b


def problem(eps: float, elements: int, angles: float) -> it.Problem:
    """State the problem."""
    t, b = np.linspace(-1, 1, elements + 1), GRADING[eps]
    nodes = 0.5 + 0.5 * np.tanh(b * t) / np.tanh(b)
    nodes[[0, -1]] = 0.0, 1.0
    x, y = (it.Axis(name, nodes=nodes, s=S) for name in "xy")
    m = it.Axis("m", 0, angles, elements=48, kind="parameter")
    u, v = it.unknown("u", x, y, m), it.test_function()
    wind = cos(m._sympy_()) * it.diff(u, x) + sin(m._sympy_()) * it.diff(u, y)
    with warnings.catch_warnings():  # of parameters for which layers are thin
        warnings.simplefilter("ignore", it.StabilityWarning)
        return it.Problem(weak=eps * it.dot(it.grad(v), it.grad(u)) + v * wind - v, conditions=[u.on(x, y) == 0])


@lru_cache(maxsize=2)
def matrices(key: bytes) -> tuple[Any, Any, Any, Any]:
    """Return stiffness, convection along x and y, and the load, on the free nodes."""
    axis = it.Axis("x", nodes=np.frombuffer(key), s=S)
    mass, stiff, slope = (
        own.tosparse()[1:-1, 1:-1] for own in (assembly.mass(axis), assembly.stiffness(axis), assembly.advection(axis))
    )
    one = assembly.load(axis, lambda t: 1.0)[1:-1, 0]
    diffusion = reduced.kron(stiff, mass) + reduced.kron(mass, stiff)
    return diffusion, reduced.kron(slope, mass), reduced.kron(mass, slope), np.outer(one, one).ravel()


def direct(eps: float) -> Any:
    """Return what gives the nodal values for one angle."""

    def values(stated: it.Problem, point: harness.Array) -> harness.Array:
        x, y = stated.axes[:2]
        diffusion, along_x, along_y, load = matrices(x.nodes.tobytes())
        operator = eps * diffusion + np.cos(point[0]) * along_x + np.sin(point[0]) * along_y
        found = np.zeros((x.size, y.size))
        solved = scipy.sparse.linalg.spsolve(operator.tocsc(), load, permc_spec="MMD_AT_PLUS_A")
        found[1:-1, 1:-1] = solved.reshape(x.size - 2, y.size - 2)
        return found

    return values


def case(name: str, eps: float, elements: int, seconds: float | None, turns: float = 0.25, **options: Any) -> Any:
    """Return one row of the experiment."""
    return reduced.Case(
        name,
        lambda: problem(eps, elements, turns * 2 * np.pi),
        direct(eps),
        {"tolerance": 1e-4},
        1e-4,
        seconds,
        **options,
    )


CASES = [
    case("convection-100", 1e-2, 60, 1.0),
    case("convection-1000", 1e-3, 60, 4.0),
    case("convection-100-fine", 1e-2, 100, None),
    case("convection-100-turn", 1e-2, 60, None, turns=1.0),
    case("convection-small", 1e-2, 20, None, quick=True, points=20),
]

if __name__ == "__main__":
    sys.exit(reduced.main(CASES, __doc__ or ""))
