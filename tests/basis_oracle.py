"""The C-HiDeNN basis straight from its definition, in arithmetic of 60 digits: dense, slow, shares no code."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import mpmath
import numpy as np
import numpy.typing as npt

mpmath.mp.dps = 60
Real = mpmath.mpf


def cubic(r: Real) -> Real:
    """Cubic spline with its knots at 0, 1/2, 1."""
    if r >= 1:
        return Real(0)
    if r >= Real(1) / 2:
        return Real(4) / 3 - 4 * r + 4 * r**2 - Real(4) / 3 * r**3
    return Real(2) / 3 - 4 * r**2 + 4 * r**3


def gaussian(r: Real) -> Real:
    """exp(-r²)."""
    return mpmath.exp(-(r**2))


KERNELS: dict[str, Callable[[Real], Real]] = {"cubic": cubic, "gaussian": gaussian}


def patch_functions(nodes: Sequence[float], x: Real, kernel: str, p: int, a: float) -> Sequence[Real]:
    """Return all W^(j)(x) of one patch; p = len(nodes) - 1 is the Lagrange polynomial whatever the kernel."""
    points = [Real(node) for node in nodes]
    if kernel == "lagrange":
        return [
            mpmath.fprod((x - xj) / (xk - xj) for j, xj in enumerate(points) if j != k) for k, xk in enumerate(points)
        ]
    count, rows = len(points), len(points) + p + 1
    h = (points[-1] - points[0]) / (count - 1)
    middle = (points[0] + points[-1]) / 2
    radial = KERNELS[kernel]
    moments = mpmath.zeros(rows)
    right = mpmath.zeros(rows, 1)
    for i, xi in enumerate(points):
        for j, xj in enumerate(points):
            moments[i, j] = radial(abs(xi - xj) / (a * h))
        for q in range(p + 1):
            moments[i, count + q] = moments[count + q, i] = ((xi - middle) / h) ** q
        right[i] = radial(abs(x - xi) / (a * h))
    for q in range(p + 1):
        right[count + q] = ((x - middle) / h) ** q
    return list(mpmath.lu_solve(moments, right))[:count]  # the matrix is symmetric


def values(
    nodes: npt.NDArray[np.float64],
    x: float | Real,
    *,
    s: Sequence[int],
    p: Sequence[int],
    a: Sequence[float],
    kernel: str,
    breaks: Sequence[int] = (),
    periodic: bool = False,
) -> list[Real]:
    """Return the values of all basis functions at x, shifted patches."""
    n = len(nodes) - 1
    period = Real(nodes[-1]) - Real(nodes[0])

    def position(j: int) -> Real:
        return Real(nodes[j % n]) + (j // n) * period if periodic else Real(nodes[j])

    x = Real(x)
    e = min(int(np.searchsorted(nodes, float(x), side="right")) - 1, n - 1)
    bounds = list(breaks)
    if periodic:
        low = max([b - k * n for b in bounds for k in (0, 1) if b - k * n <= e], default=-(10**9))
        high = min([b + k * n for b in bounds for k in (0, 1) if b + k * n > e], default=10**9)
    else:
        low = max([b for b in bounds if b <= e], default=0)
        high = min([b for b in bounds if b > e], default=n)
    out = [Real(0)] * (n if periodic else n + 1)
    left, right = position(e), position(e + 1)
    for node, hat in ((e, (right - x) / (right - left)), (e + 1, (x - left) / (right - left))):
        own = node % n if periodic else node
        first = min(max(node - s[own], low), high - 2 * s[own])
        patch = range(first, first + 2 * s[own] + 1)
        weights = patch_functions([position(j) for j in patch], x, kernel, p[own], a[own])
        for j, w in zip(patch, weights, strict=True):
            out[j % n if periodic else j] += hat * w
    return out
