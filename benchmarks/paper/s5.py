"""S5: heat with a moving source, u_t - laplacian(u) = b on [-10,10]^3 x (0, 0.1].

u = (1 - exp(-15 t)) exp(-y^2 - (x - 100 t + 5)^2); b follows from u and is separated numerically, for nothing of it
factors in x and t. Values of u on the faces of x and y and at t = 0; z is natural (u does not depend on it).
One line per patch size with the errors on finer and finer meshes, and the slope.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import harness  # before NumPy: one thread
import numpy as np
import oracle
import series
from sympy import exp

import inntd as it

Array = harness.Array


def problem(elements: int, s: int) -> it.Problem:
    """State the problem; the source is derived from the exact solution."""
    x, y, z = (it.Axis(name, -10, 10, elements=elements, s=s) for name in "xyz")
    t = it.Axis("t", 0, 0.1, elements=elements, kind="time", s=s)
    u = it.unknown("u", x, y, z, t)
    exact = (1 - exp(-15 * t)) * exp(-(y**2) - (x - 100 * t + 5) ** 2)
    return it.Problem(
        strong=it.dt(u) - it.laplacian(u) - (it.dt(exact) - it.laplacian(exact)),
        conditions=[u.on(x, y) == exact, u.at(t=0) == 0],
        exact=exact,
    )


def measure(problem: it.Problem, model: Any) -> dict[str, Any]:
    """Return the relative L2 error by quadrature over x, y and t, and at three places of z."""
    x, y, _, t = (oracle.Mesh(np.asarray(axis.nodes), 0) for axis in problem.axes)
    (px, wx), (py, wy), (pt, wt) = x.points(3), y.points(1), t.points(3)
    pz = np.array([-9.0, 0.5, 7.0])
    moving = (1 - np.exp(-15 * pt)) * np.exp(-((px[:, None] - 100 * pt + 5) ** 2))
    weights = wx[:, None] * wt
    off = size = 0.0
    for place, weight in zip(py, wy, strict=True):
        exact = np.exp(-(place**2)) * moving
        found = model.grid(x=px, y=[place], z=pz, t=pt).detach().numpy()[:, 0]
        off += weight * float(np.einsum("xzt,xt->", (found - exact[:, None]) ** 2, weights)) / len(pz)
        size += weight * float((exact**2 * weights).sum())
    return {"error": float(np.sqrt(off / size))}


def cases(s: int, elements: tuple[int, ...], error: float, slope: float | None) -> series.Series:
    """Return one row of the experiment."""
    return series.Series(
        f"s5-s{s}",
        lambda n: problem(n, s),
        elements,
        {"rank": 40},
        error,
        slope,
        quick=s == 2,
        floor=2e-6,
        measure=measure,
        fields={"dimension": 4, "s": s},
    )


SERIES = [
    cases(1, (50, 100, 199), 1e-4, 2.5),
    cases(2, (48, 72, 100, 140), 1e-4, 4.5),
    cases(3, (48, 72, 100), 1e-4, None),
]

if __name__ == "__main__":
    sys.exit(series.main(SERIES, __doc__))
