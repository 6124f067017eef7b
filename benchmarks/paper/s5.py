"""S5: heat with a moving source, u_t - laplacian(u) = b on [-10,10]^3 x (0, 0.1].

u = (1 - exp(-15 t)) exp(-y^2 - (x - 100 t + 5)^2); b follows from u and is separated numerically, for nothing of it
factors in x and t. u is zero at t = 0 and below 2e-11 on the faces of x and y; z is natural (u does not
depend on it).
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
        conditions=[u.on(x, y) == 0, u.at(t=0) == 0],
        exact=exact,
    )


def measure(problem: it.Problem, model: Any) -> dict[str, Any]:
    """Return the relative L2 error, by quadrature over all axes, and once more at random points.

    The exact solution is one function of y and z times one of x and t, and the model a sum of such products: in
    orthonormal coordinates of the functions of y and z the error is a short sum of errors over x and t.
    """
    meshes = [oracle.Mesh.of(axis) for axis in problem.axes]
    points = [mesh.points(3) for mesh in meshes]
    factors = [
        mesh.tabulate(x)[0] @ factor.detach().numpy()
        for mesh, (x, _), factor in zip(meshes, points, model.factors, strict=True)
    ]
    (px, wx), (py, wy), (_, wz), (pt, wt) = points
    across = [np.column_stack([factors[1], np.exp(-(py**2))]), np.column_stack([factors[2], np.ones(len(wz))])]
    roots = [np.linalg.qr(f * np.sqrt(w)[:, None], mode="r") for f, w in zip(across, (wy, wz), strict=True)]
    products = np.einsum("am,bm->abm", *roots).reshape(-1, roots[0].shape[1])
    moving = (1 - np.exp(-15 * pt)) * np.exp(-((px[:, None] - 100 * pt + 5) ** 2))
    weights = wx[:, None] * wt
    off = size = 0.0
    for row in np.linalg.qr(products, mode="r"):
        found = (factors[0] * row[:-1]) @ factors[3].T
        off += float(((found - row[-1] * moving) ** 2 * weights).sum())
        size += float((row[-1] ** 2 * moving**2 * weights).sum())
    return {"error": float(np.sqrt(off / size)), "error_sampled": sampled_error(problem, model)}


def sampled_error(problem: it.Problem, model: Any) -> float:
    """Return the relative L2 error at random points around the bump, uniform in z and t."""
    random, spread = np.random.default_rng(0), 1.0
    y, r = random.normal(0, spread, (2, 10 * harness.SAMPLES))
    z, t = random.uniform(-10, 10, len(y)), random.uniform(0, 0.1, len(y))
    points = np.column_stack([r + 100 * t - 5, y, z, t])
    inside = (np.abs(points[:, :2]) < 10).all(axis=1)
    points, weights = points[inside], np.exp((y**2 + r**2)[inside] / (2 * spread**2))
    exact = harness.exact_values(problem, points)
    off = model(points).detach().numpy() - exact
    return float(np.sqrt((weights * off**2).sum() / (weights * exact**2).sum()))


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
