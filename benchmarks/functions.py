"""Public test functions of surrogates, on the unit cube mapped to their ranges.

Borehole: Harper & Gupta 1983; OTL circuit and piston: Ben-Ari & Steinberg 2007; wing weight: Forrester et al. 2008;
Friedman: Friedman 1991 (five of its ten inputs are idle); Ishigami & Homma 1990.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Function:
    """A function of D inputs and their ranges (D, 2)."""

    ranges: tuple[tuple[float, float], ...]
    formula: Callable[..., Array]

    def draw(self, random: np.random.Generator, count: int) -> tuple[Array, Array]:
        """Return uniform points (K, D) and the values (K,)."""
        low, high = np.array(self.ranges).T
        x = low + (high - low) * random.random((count, len(low)))
        return x, self.formula(*x.T)


def borehole(rw: Array, r: Array, tu: Array, hu: Array, tl: Array, hl: Array, length: Array, kw: Array) -> Array:
    """Return the flow through a borehole between two aquifers, m³ a year."""
    ratio = np.log(r / rw)
    return 2 * np.pi * tu * (hu - hl) / (ratio * (1 + 2 * length * tu / (ratio * rw**2 * kw) + tu / tl))


def otl(b1: Array, b2: Array, f: Array, c1: Array, c2: Array, beta: Array) -> Array:
    """Return the midpoint voltage of a transformerless push-pull circuit, V."""
    gain = beta * (c2 + 9)
    base = 12 * b2 / (b1 + b2)
    return ((base + 0.74) * gain + 11.35 * f) / (gain + f) + 0.74 * f * gain / ((gain + f) * c1)


def piston(m: Array, s: Array, v0: Array, k: Array, p0: Array, ta: Array, t0: Array) -> Array:
    """Return the cycle time of a piston, s."""
    force = p0 * s + 19.62 * m - k * v0 / s
    volume = s / (2 * k) * (np.sqrt(force**2 + 4 * k * p0 * v0 * ta / t0) - force)
    return 2 * np.pi * np.sqrt(m / (k + s**2 * p0 * v0 * ta / (t0 * volume**2)))


def wing(
    sw: Array, wf: Array, a: Array, sweep: Array, q: Array, taper: Array, tc: Array, nz: Array, wd: Array, wp: Array
) -> Array:
    """Return the weight of a light aircraft's wing, lb."""
    cosine = np.cos(np.deg2rad(sweep))
    plan = sw**0.758 * wf**0.0035 * (a / cosine**2) ** 0.6
    return 0.036 * plan * q**0.006 * taper**0.04 * (100 * tc / cosine) ** -0.3 * (nz * wd) ** 0.49 + sw * wp


def friedman(a: Array, b: Array, c: Array, d: Array, e: Array, *_: Array) -> Array:
    """Return Friedman's first function."""
    return 10 * np.sin(np.pi * a * b) + 20 * (c - 0.5) ** 2 + 10 * d + 5 * e


def ishigami(a: Array, b: Array, c: Array) -> Array:
    """Return Ishigami's function."""
    return np.sin(a) + 7 * np.sin(b) ** 2 + 0.1 * c**4 * np.sin(a)


FUNCTIONS = {
    "borehole": Function(
        (
            (0.05, 0.15),
            (100, 50000),
            (63070, 115600),
            (990, 1110),
            (63.1, 116),
            (700, 820),
            (1120, 1680),
            (9855, 12045),
        ),
        borehole,
    ),
    "otl": Function(((50, 150), (25, 70), (0.5, 3), (1.2, 2.5), (0.25, 1.2), (50, 300)), otl),
    "piston": Function(
        ((30, 60), (0.005, 0.02), (0.002, 0.01), (1000, 5000), (90000, 110000), (290, 296), (340, 360)), piston
    ),
    "wing": Function(
        (
            (150, 200),
            (220, 300),
            (6, 10),
            (-10, 10),
            (16, 45),
            (0.5, 1),
            (0.08, 0.18),
            (2.5, 6),
            (1700, 2500),
            (0.025, 0.08),
        ),
        wing,
    ),
    "friedman": Function(((0, 1),) * 10, friedman),
    "ishigami": Function(((-np.pi, np.pi),) * 3, ishigami),
}
