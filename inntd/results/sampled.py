"""Statistics from samples, for fields without exact ones: scrambled Sobol' points, repeated for the standard errors.

References
----------
Saltelli et al., "Variance based sensitivity analysis of model output", Comput. Phys. Commun. 181, 2010; Jansen,
"Analysis of variance designs for model output", Comput. Phys. Commun. 117, 1999.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from scipy.stats import qmc

from inntd import _checks
from inntd.models.sampling import REPLICATES
from inntd.results.setting import Setting
from inntd.results.statistic import Estimate, Statistic

Array = npt.NDArray[np.float64]
Moments: TypeAlias = Callable[[Array], Array]  # from values (K, N) to (K,)

SAMPLES = 1 << 14
FEWEST = 16 * REPLICATES
VALUES_AT_ONCE = 1 << 20
POINTS_AT_ONCE = 32  # of the kept axes
CONSTANT = 1e-14  # a standard deviation below this part of the largest value is zero


def means(values: Array) -> Array:
    """Return means."""
    return np.asarray(values.mean(axis=1))


def variances(values: Array) -> Array:
    """Return mean squares of values less their mean: the points are even, so that their mean is no random one."""
    return np.asarray(values.var(axis=1))


def skewnesses(values: Array) -> Array:
    """Return third central moments over the cubes of standard deviations; NaN where the values do not vary."""
    centred = values - values.mean(axis=1, keepdims=True)
    deviation = np.sqrt((centred**2).mean(axis=1))
    with np.errstate(divide="ignore", invalid="ignore"):
        found = (centred**3).mean(axis=1) / deviation**3
    return np.where(deviation > CONSTANT * np.abs(values).max(axis=1), found, np.nan)


def estimate(given: Setting, samples: int, seed: int, moments: Moments, name: str) -> Any:
    """Return a moment of a field from samples: an `Estimate`, or a `Statistic` of the axes that are kept.

    Parameters
    ----------
    given : Setting
    samples : int
        How many in all; rounded up so that each of the repetitions has a power of two.
    seed : int
    moments : callable
        From values (K, N) to moments (K,).
    name : str
    """
    draws = [unit_points(len(given.random), samples, seed, r) for r in range(REPLICATES)]

    def found(points: Array) -> Array:  # (replicates, K)
        return np.stack([moments(values(given, points, random_points(given, unit))) for unit in draws])

    return summary(given, found, name)


def summary(given: Setting, found: Callable[[Array], Array], name: str) -> Any:
    """Return what repetitions (replicates, K) at points say: their mean, with its standard error."""
    if not given.kept:
        repeated = found(np.zeros((1, 0)))[:, 0]
        return Estimate(float(repeated.mean()), _standard_error(repeated[:, None])[0])

    def pieces(points: Array) -> Array:  # whose samples fit into memory
        parts = [found(points[k : k + POINTS_AT_ONCE]) for k in range(0, len(points), POINTS_AT_ONCE)]
        return np.concatenate(parts, axis=1) if parts else np.zeros((2, 0))

    return Statistic(given.kept, lambda x: pieces(x).mean(axis=0), lambda x: _standard_error(pieces(x)), name)


def _standard_error(repeated: Array) -> Array:
    return np.asarray(repeated.std(axis=0, ddof=1) / np.sqrt(len(repeated)))


def unit_points(dimension: int, samples: int, seed: int, replicate: int) -> Array:
    """Return scrambled Sobol' points (N, dimension) of the unit cube, one of several repetitions."""
    samples = _checks.positive_int("samples", samples, minimum=FEWEST)
    seed = _checks.positive_int("seed", seed, minimum=0)
    log = int(np.ceil(np.log2(samples / REPLICATES)))
    random = np.random.default_rng([seed, replicate])
    # Not the ends of the unit interval, where many densities have infinite coordinates.
    return np.asarray(np.clip(qmc.Sobol(dimension, seed=random).random_base2(log), 2.0**-53, 1 - 2.0**-53))


def random_points(given: Setting, unit: Array) -> Array:
    """Return coordinates (N, D) of the random axes from the unit cube."""
    return np.stack([own.sample(unit[:, d]) for d, own in enumerate(given.random)], axis=1)


def values(given: Setting, points: Array, random: Array) -> Array:
    """Return the field (K, N) at points (K, D) of the kept axes and all coordinates (N, D') of the random ones."""
    axes = list(given.field.axes)
    kept, own = [axes.index(axis) for axis in given.kept], [axes.index(density.axis) for density in given.random]
    step = max(1, VALUES_AT_ONCE // len(random))
    found = []
    for k in range(0, len(points), step):
        here = points[k : k + step]
        whole = np.empty((len(here), len(random), len(axes)))
        whole[:, :, kept], whole[:, :, own] = here[:, None, :], random[None, :, :]
        found.append(_evaluate(given.field, whole.reshape(-1, len(axes))).reshape(len(here), len(random)))
    return np.concatenate(found) if found else np.zeros((0, len(random)))


def _evaluate(field: Any, points: Array) -> Array:
    with torch.no_grad():
        found = field(
            torch.from_numpy(points).to(getattr(field, "device", None), getattr(field, "dtype", torch.float64))
        )
    return np.asarray(found.double().cpu().numpy())


class Sobol:
    """Pick-freeze estimates of a field's variance and of what groups of random axes contribute to it.

    Of two independent sets of points A and B, and for each group A with its columns from B. The values are kept for one
    set of points of the kept axes.
    """

    def __init__(self, given: Setting, samples: int, seed: int) -> None:
        self.given = given
        count = len(given.random)
        units = [unit_points(2 * count, samples, seed, r) for r in range(REPLICATES)]
        self._a = [random_points(given, unit[:, :count]) for unit in units]
        self._b = [random_points(given, unit[:, count:]) for unit in units]
        self._last: tuple[bytes, list[tuple[Array, Array]]] = (b"", [])

    def variance(self, points: Array) -> Array:
        """Return variances (replicates, K)."""
        return np.stack([variances(np.concatenate(pair, axis=1)) for pair in self._pairs(points)])

    def varies(self, points: Array) -> bool:
        """Return whether values differ anywhere by more than rounding makes them."""
        both = np.concatenate([np.concatenate(pair, axis=1) for pair in self._pairs(points)], axis=1)
        return bool((np.ptp(both, axis=1) > CONSTANT * np.abs(both).max(axis=1)).any())

    def closed(self, points: Array, group: Sequence[int]) -> Array:
        """Return the variances (replicates, K) of the expectation under the group's axes, by Saltelli's estimator."""
        return np.stack(
            [
                np.mean((b - b.mean(axis=1, keepdims=True)) * (mixed - a), axis=1)
                for (a, b), mixed in zip(self._pairs(points), self._mixed(points, group), strict=True)
            ]
        )

    def total(self, points: Array, group: Sequence[int]) -> Array:
        """Return the variances (replicates, K) of all in which the group's axes take part, by Jansen's estimator."""
        return np.stack(
            [
                0.5 * np.mean((a - mixed) ** 2, axis=1)
                for (a, _), mixed in zip(self._pairs(points), self._mixed(points, group), strict=True)
            ]
        )

    def _pairs(self, points: Array) -> list[tuple[Array, Array]]:
        key = points.tobytes() + str(points.shape).encode()
        if self._last[0] != key:
            both = zip(self._a, self._b, strict=True)
            self._last = key, [(values(self.given, points, a), values(self.given, points, b)) for a, b in both]
        return self._last[1]

    def _mixed(self, points: Array, group: Sequence[int]) -> list[Array]:
        found = []
        for a, b in zip(self._a, self._b, strict=True):
            mixed = a.copy()
            mixed[:, list(group)] = b[:, list(group)]
            found.append(values(self.given, points, mixed))
        return found
