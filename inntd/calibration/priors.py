"""What is known of a parameter before: a normal distribution, or any of SciPy's, as one more residual."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar

from inntd import _checks
from inntd.calibration.parameters import Parameters, by_parameter

Array = npt.NDArray[np.float64]

PROBES = 2001
STEP = 1e-6  # of the box, for the slope of a density that is known by its values


class Prior(Protocol):
    """One more residual r(θ), half of whose square is minus the logarithm of the density, up to a constant."""

    def residual(self, x: Array) -> Array:
        """Return the residuals at values."""
        ...

    def slope(self, x: float) -> float:
        """Return the derivative of the residual."""
        ...


@dataclass(frozen=True)
class Normal:
    """A normal distribution."""

    mean: float
    deviation: float

    def residual(self, x: Array) -> Array:
        """Return the distance from the mean in standard deviations."""
        return np.asarray((x - self.mean) / self.deviation)

    def slope(self, x: float) -> float:
        """Return the derivative of the residual."""
        return 1.0 / self.deviation


@dataclass(frozen=True)
class Density:
    """A distribution with a `logpdf`: the root of twice the logarithm's distance to its top, signed by the side."""

    distribution: Any
    mode: float
    top: float
    step: float
    ends: tuple[float, float]

    @classmethod
    def of(cls, distribution: Any, low: float, high: float) -> Density:
        """Return the density on an interval, with its highest point there."""
        x = np.linspace(low, high, PROBES)
        heights = _logarithm(distribution, x)
        best = int(np.argmax(heights))
        if not np.isfinite(heights[best]):
            raise ValueError(f"the prior must have a density inside the bounds [{low:g}, {high:g}], got none")
        found = minimize_scalar(
            lambda v: -float(_logarithm(distribution, np.array([v]))[0]),
            bounds=(x[max(best - 1, 0)], x[min(best + 1, PROBES - 1)]),
            method="bounded",
            options={"xatol": 1e-10 * (high - low)},
        )
        mode, top = (float(found.x), -float(found.fun)) if -found.fun > heights[best] else (x[best], heights[best])
        return cls(distribution, float(mode), float(top), STEP * (high - low), (low, high))

    def residual(self, x: Array) -> Array:
        """Return the signed root."""
        depth = np.maximum(self.top - _logarithm(self.distribution, x), 0.0)
        return np.asarray(np.sign(x - self.mode) * np.sqrt(2 * np.minimum(depth, 1e30)))

    def slope(self, x: float) -> float:
        """Return the derivative of the residual, by a difference inside the interval."""
        low, high = max(x - self.step, self.ends[0]), min(x + self.step, self.ends[1])
        before, after = self.residual(np.array([low, high]))
        return float((after - before) / (high - low))


def make_priors(given: Any, parameters: Parameters) -> tuple[Prior | None, ...]:
    """Return the prior of each unknown, None for none."""
    entries = by_parameter("prior", given, parameters)
    ends = zip(parameters.names, parameters.low, parameters.high, entries, strict=True)
    return tuple(_prior(name, entry, float(low), float(high)) for name, low, high, entry in ends)


def _prior(name: str, given: Any, low: float, high: float) -> Prior | None:
    if given is None:
        return None
    if callable(getattr(given, "logpdf", None)):
        return Density.of(given, low, high)
    if isinstance(given, str) or np.shape(given) != (2,):
        raise ValueError(
            f"the prior of {name} must be a pair (mean, standard deviation) or a distribution of scipy.stats, "
            f"got {given!r}"
        )
    return Normal(_checks.finite_float(f"the prior mean of {name}", given[0]),
                  _checks.finite_float(f"the prior standard deviation of {name}", given[1], positive=True))  # fmt: skip


def _logarithm(distribution: Any, x: Array) -> Array:
    with np.errstate(all="ignore"):
        found = np.asarray(distribution.logpdf(x), dtype=np.float64)
    return np.where(np.isnan(found), -np.inf, found)
