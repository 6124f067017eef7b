"""Thermal block: -div(k grad u) = 1 on the unit square, 2 x 2 blocks with conductivities in [0.1, 10], log-uniform.

Zero on the sides x = 0 and y = 0, no flux through y = 1, k du/dn = 1 - u on x = 1. x and y are merged; full
solutions are picked by the residual.

`error`: the largest relative L2 error in space of 100 random parameters, against sparse direct solutions of the same
discrete equations. `online_seconds`: processor time of one reduced solution.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import harness  # before NumPy: one thread
import numpy as np
import reduced
import scipy.sparse.linalg

import inntd as it
from inntd.axes import assembly

ELEMENTS, S = 48, 2


def problem(elements: int) -> it.Problem:
    """State the problem; the parameters are decimal logarithms of the conductivities."""
    x, y = (it.Axis(name, 0, 1, elements=elements, s=S) for name in "xy")
    z = [it.Axis(f"z{i}", -1, 1, elements=16, kind="parameter") for i in range(4)]
    u, v = it.unknown("u", x, y, *z), it.test_function()
    halves = [(it.indicator(axis < 0.5), it.indicator(axis >= 0.5)) for axis in (x, y)]
    k = sum(10 ** z[2 * i + j]._sympy_() * halves[0][i] * halves[1][j] for i in range(2) for j in range(2))
    robin = it.on(x.end, v * (u - 1))
    return it.Problem(
        weak=k * it.dot(it.grad(v), it.grad(u)) - v + robin, conditions=[u.on(x.start) == 0, u.on(y.start) == 0]
    )


@lru_cache(maxsize=2)
def matrices(elements: int) -> tuple[list[Any], Any, Any]:
    """Return the blocks' stiffness matrices, the Robin term and the load, on the free nodes."""
    x, y = problem(elements).axes[:2]

    def halves(axis: it.Axis, order: int) -> list[Any]:
        weights = [lambda t: 1.0 * (t < 0.5), lambda t: 1.0 * (t >= 0.5)]
        for weight in weights:
            weight.breaks = (0.5,)
        return [assembly.matrix(axis, order, order, weight).tosparse()[1:, 1:] for weight in weights]

    (mx, kx), (my, ky) = ((halves(axis, 0), halves(axis, 1)) for axis in (x, y))
    blocks = [reduced.kron(kx[i], my[j]) + reduced.kron(mx[i], ky[j]) for i in range(2) for j in range(2)]
    end, mass = assembly.face_matrix(x.end).tosparse()[1:, 1:], my[0] + my[1]
    one = [assembly.load(axis, lambda t: 1.0)[1:, 0] for axis in (x, y)]
    face = assembly.face_load(x.end)[1:]
    load = (one[0][:, None] + face[:, None]) * one[1]
    return blocks, reduced.kron(end, mass), load.ravel()


def direct(stated: it.Problem, point: harness.Array) -> harness.Array:
    """Return the nodal values for one parameter."""
    x, y = stated.axes[:2]
    blocks, robin, load = matrices(x.elements)
    operator = robin + sum(10 ** float(z) * block for z, block in zip(point, blocks, strict=True))
    values = np.zeros((x.size, y.size))
    values[1:, 1:] = scipy.sparse.linalg.spsolve(operator.tocsc(), load).reshape(x.size - 1, y.size - 1)
    return values


CASES = [
    reduced.Case("thermal-block", lambda: problem(ELEMENTS), direct, {"tolerance": 3e-5}, 3e-5, 3.0),
    reduced.Case("thermal-block-35", lambda: problem(ELEMENTS), direct, {"rank": 35}, 3e-5, 3.0),
    reduced.Case("thermal-block-fine", lambda: problem(80), direct, {"tolerance": 3e-5}, 3e-5, None, points=10),
    reduced.Case("thermal-block-small", lambda: problem(12), direct, {"tolerance": 1e-4}, 1e-4, None, True, 20),
]

if __name__ == "__main__":
    sys.exit(reduced.main(CASES, __doc__ or ""))
