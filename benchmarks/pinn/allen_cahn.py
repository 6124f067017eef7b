"""Allen-Cahn equation: u_t = 1e-4 u_xx + 5 (u - u³), u(x, 0) = x² cos(pi x), periodic on [-1, 1], t in [0, 1].

The initial slope jumps at the seam. Four time slabs, and a mesh that the solver moves.

The reference is a Fourier spectral method with 1024 modes and exponential Runge-Kutta steps of fourth order (ETDRK4,
Kassam and Trefethen, SIAM J. Sci. Comput. 26, 2005), 1e-4 long; it differs from 2048 modes by 2e-6.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import harness  # before NumPy: one thread
import numpy as np
import shared
from sympy import cos, pi

import inntd as it

DIFFUSION, REACTION = 1e-4, 5.0


def problem(elements: int, time: int) -> it.Problem:
    """State the problem."""
    x = it.Axis("x", -1, 1, elements=elements, periodic=True)
    t = it.Axis("t", 0, 1, elements=time, kind="time")
    u = it.unknown("u", x, t)
    return it.Problem(
        strong=it.dt(u) - DIFFUSION * it.laplacian(u) - REACTION * (u - u**3),
        conditions=[u.at(t=0) == x**2 * cos(pi * x)],
    )


def spectral(modes: int = 1024, step: float = 1e-4, every: int = 100) -> dict[str, harness.Array]:
    """Return x, t and the solution, one column per `every` steps."""
    x = -1 + 2 * np.arange(modes) / modes
    wave = np.pi * np.fft.fftfreq(modes, 1 / modes)
    linear = step * (REACTION - DIFFUSION * wave**2)
    ring = linear[:, None] + np.exp(1j * np.pi * (np.arange(1, 33) - 0.5) / 32)  # contour means of (e^z - 1)/z, ...
    whole, half = np.exp(linear), np.exp(linear / 2)

    def mean(values: harness.Array) -> harness.Array:
        return step * np.real(values.mean(axis=1))

    q = mean((np.exp(ring / 2) - 1) / ring)
    f1 = mean((-4 - ring + np.exp(ring) * (4 - 3 * ring + ring**2)) / ring**3)
    f2 = mean((2 + ring + np.exp(ring) * (ring - 2)) / ring**3)
    f3 = mean((-4 - 3 * ring - ring**2 + np.exp(ring) * (4 - ring)) / ring**3)

    def rest(v: harness.Array) -> harness.Array:
        return np.fft.fft(-REACTION * np.real(np.fft.ifft(v)) ** 3)

    u = x**2 * np.cos(np.pi * x)
    v, columns = np.fft.fft(u), [u]
    for k in range(1, round(1 / step) + 1):
        n = rest(v)
        a = half * v + q * n
        na = rest(a)
        b = half * v + q * na
        nb = rest(b)
        c = half * a + q * (2 * nb - n)
        v = whole * v + f1 * n + 2 * f2 * (na + nb) + f3 * rest(c)
        if k % every == 0:
            columns.append(np.real(np.fft.ifft(v)))
    return {"x": x, "t": step * every * np.arange(len(columns)), "u": np.stack(columns, axis=1)}


def reference() -> shared.Reference:
    """Return the solution on the spectral method's grid."""
    found = shared.cached("allen-cahn-1024", spectral)
    return {"x": found["x"], "t": found["t"]}, found["u"]


def rough_reference() -> shared.Reference:
    """Return the solution with fewer modes and longer steps, for the smoke run."""
    found = shared.cached("allen-cahn-256", lambda: spectral(256, 1e-3, 10))
    return {"x": found["x"], "t": found["t"]}, found["u"]


FEATURES = {"slabs": 4, "adapt": True}
CASES = [
    shared.Case("allen-cahn", lambda: problem(360, 64), reference, 5e-5, 30.0, FEATURES),
    shared.Case("allen-cahn-one-slab", lambda: problem(320, 40), reference, 2e-4, None),
    shared.Case("allen-cahn-small", lambda: problem(96, 32), rough_reference, 2e-2, None, {"slabs": 4}, quick=True),
]

if __name__ == "__main__":
    sys.exit(shared.main(CASES, __doc__ or ""))
