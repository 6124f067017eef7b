"""Six public test functions for surrogates: their formulas, the ranges of their inputs, and samples of them.

Each takes an array (K, D) whose columns are the inputs in the order of `ranges`, in the units of the literature.

References
----------
Borehole: Harper and Gupta, Report BMI/ONWI-516, 1983; Morris, Mitchell and Ylvisaker, Technometrics 35, 1993.
OTL circuit and piston: Ben-Ari and Steinberg, Quality Engineering 19, 2007; Kenett and Zacks, Modern Industrial
Statistics, 1998. Wing weight: Forrester, Sobester and Keane, Engineering Design via Surrogate Modelling, 2008.
Friedman: Annals of Statistics 19, 1991. Ishigami: Ishigami and Homma, ISUMA 1990.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class TestFunction:
    """A function of D inputs, each with a range."""

    __test__ = False  # no class of tests, whatever pytest thinks of its name

    name: str
    ranges: dict[str, tuple[float, float]]
    formula: Callable[..., Array]

    def __call__(self, x: Array) -> Array:
        """Return the values (K,) at inputs (K, D)."""
        return self.formula(*x.T)

    def sample(self, count: int, seed: int) -> tuple[Array, Array]:
        """Return uniformly random inputs (count, D) and the values there."""
        low, high = np.array(list(self.ranges.values())).T
        x = low + (high - low) * np.random.default_rng(seed).random((count, len(low)))
        return x, self(x)


def borehole(rw: Array, r: Array, tu: Array, hu: Array, tl: Array, hl: Array, length: Array, kw: Array) -> Array:
    """Return the flow of water through a borehole, m³/year."""
    log = np.log(r / rw)
    flow: Array = 2 * np.pi * tu * (hu - hl) / (log * (1 + 2 * length * tu / (log * rw**2 * kw) + tu / tl))
    return flow


def otl_circuit(rb1: Array, rb2: Array, rf: Array, rc1: Array, rc2: Array, beta: Array) -> Array:
    """Return the mid-point voltage of an output transformerless push-pull circuit, V."""
    vb1, load = 12 * rb2 / (rb1 + rb2), beta * (rc2 + 9)
    return (vb1 + 0.74) * load / (load + rf) + 11.35 * rf / (load + rf) + 0.74 * rf * load / ((load + rf) * rc1)


def piston(m: Array, s: Array, v0: Array, k: Array, p0: Array, ta: Array, t0: Array) -> Array:
    """Return the cycle time of a piston in a cylinder, s."""
    a = p0 * s + 19.62 * m - k * v0 / s
    v = s / (2 * k) * (np.sqrt(a**2 + 4 * k * p0 * v0 / t0 * ta) - a)
    time: Array = 2 * np.pi * np.sqrt(m / (k + s**2 * p0 * v0 / t0 * ta / v**2))
    return time


def wing_weight(
    sw: Array, wfw: Array, aspect: Array, sweep: Array, q: Array, taper: Array, tc: Array, nz: Array, wdg: Array,
    wp: Array,
) -> Array:  # fmt: skip
    """Return the weight of a light aircraft's wing, lb."""
    cosine = np.cos(np.deg2rad(sweep))
    weight: Array = (
        0.036 * sw**0.758 * wfw**0.0035 * (aspect / cosine**2) ** 0.6 * q**0.006 * taper**0.04
        * (100 * tc / cosine) ** -0.3 * (nz * wdg) ** 0.49 + sw * wp
    )  # fmt: skip
    return weight


def friedman(x1: Array, x2: Array, x3: Array, x4: Array, x5: Array, *unused: Array) -> Array:
    """Return Friedman's first function; five of the ten inputs do nothing."""
    value: Array = 10 * np.sin(np.pi * x1 * x2) + 20 * (x3 - 0.5) ** 2 + 10 * x4 + 5 * x5
    return value


def ishigami(x1: Array, x2: Array, x3: Array) -> Array:
    """Return Ishigami's function with a = 7 and b = 0.1."""
    value: Array = np.sin(x1) + 7 * np.sin(x2) ** 2 + 0.1 * x3**4 * np.sin(x1)
    return value


FUNCTIONS = {
    function.name: function
    for function in (
        TestFunction(
            "borehole",
            {"rw": (0.05, 0.15), "r": (100, 50_000), "Tu": (63_070, 115_600), "Hu": (990, 1110), "Tl": (63.1, 116),
             "Hl": (700, 820), "L": (1120, 1680), "Kw": (9855, 12_045)},
            borehole,
        ),
        TestFunction(
            "otl_circuit",
            {"Rb1": (50, 150), "Rb2": (25, 70), "Rf": (0.5, 3), "Rc1": (1.2, 2.5), "Rc2": (0.25, 1.2),
             "beta": (50, 300)},
            otl_circuit,
        ),
        TestFunction(
            "piston",
            {"M": (30, 60), "S": (0.005, 0.02), "V0": (0.002, 0.01), "k": (1000, 5000), "P0": (90_000, 110_000),
             "Ta": (290, 296), "T0": (340, 360)},
            piston,
        ),
        TestFunction(
            "wing_weight",
            {"Sw": (150, 200), "Wfw": (220, 300), "A": (6, 10), "Lambda": (-10, 10), "q": (16, 45),
             "taper": (0.5, 1), "tc": (0.08, 0.18), "Nz": (2.5, 6), "Wdg": (1700, 2500), "Wp": (0.025, 0.08)},
            wing_weight,
        ),
        TestFunction("friedman", {f"x{d}": (0, 1) for d in range(1, 11)}, friedman),
        TestFunction("ishigami", {f"x{d}": (-np.pi, np.pi) for d in range(1, 4)}, ishigami),
    )
}  # fmt: skip
