"""Shares of the variance that groups of axes have, from the components of a model or from samples."""

from __future__ import annotations

import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from inntd.models.norms import exp, log_sum
from inntd.results import sampled
from inntd.results.anova import components_of
from inntd.results.components import Components, Part, Parts
from inntd.results.moments import log_deviation, refuse_constant, squares_or_nan
from inntd.results.setting import Setting
from inntd.results.statistic import Statistic

Array = npt.NDArray[np.float64]

SHARE = "share of the variance"


class Shares(ABC):
    """Variance and shares of it, as numbers or functions of the kept axes."""

    @abstractmethod
    def variance(self) -> Any:
        """Return the variance."""

    @abstractmethod
    def first(self, group: Sequence[int]) -> Any:
        """Return the first-order index of a group of axes."""

    @abstractmethod
    def total(self, group: Sequence[int]) -> Any:
        """Return the total index of a group of axes."""

    @abstractmethod
    def joint(self, groups: Sequence[Sequence[int]]) -> Any:
        """Return the index of what groups explain only together."""


class ExactShares(Shares):
    """Shares from the orthogonal components of the model."""

    def __init__(self, given: Setting) -> None:
        self.given = given
        self.components: Components = components_of(given)
        self._whole = self.components.telescoped(range(self.components.count), Part.BOTH, Part.MEAN)
        self._sweeps: dict[Part, list[float]] = {}
        if not given.kept:
            self._deviation = log_deviation(self.components)
            refuse_constant(self.components, self._deviation, given.names)

    def variance(self) -> Any:
        """Return the variance."""
        if not self.given.kept:
            return exp(2 * self._deviation)
        return Statistic(self.given.kept, lambda points: self.components.squares(self._whole, points), name="variance")

    def first(self, group: Sequence[int]) -> Any:
        """Return the first-order index of a group of axes."""
        if len(group) == 1 and not self.given.kept:
            return self._swept(Part.MEAN, group[0])
        return self._share(self.components.telescoped(group, Part.BOTH, Part.MEAN))

    def total(self, group: Sequence[int]) -> Any:
        """Return the total index of a group of axes."""
        if len(group) == 1 and not self.given.kept:
            return self._swept(Part.BOTH, group[0])
        return self._share(self.components.telescoped(group, Part.BOTH, Part.MEAN, others=Part.BOTH))

    def joint(self, groups: Sequence[Sequence[int]]) -> Any:
        """Return the index of what groups explain only together."""
        choices = [self.components.telescoped(group, Part.BOTH, Part.MEAN) for group in groups]
        return self._share([_united(parts) for parts in itertools.product(*choices)])

    def _swept(self, others: Part, d: int) -> float:
        """Return the index of one axis, found together with those of all others."""
        if others not in self._sweeps:
            self._sweeps[others] = self.components.log_norms(others, others)
        return math.exp(2 * (self._sweeps[others][d] - self._deviation))

    def _share(self, components: list[Parts]) -> Any:
        if not self.given.kept:
            return math.exp(2 * (log_sum([self.components.log_norm(parts) for parts in components]) - self._deviation))

        def ratio(points: Array) -> Array:
            variance = squares_or_nan(self.components, self._whole, points)
            return np.asarray(self.components.squares(components, points) / variance)

        return Statistic(self.given.kept, ratio, name=SHARE)


def _united(parts: Sequence[Parts]) -> Parts:
    """Return the component that has on each axis what one of several has there, and the mean where none has."""
    return tuple(next((own for own in axis if own is not Part.MEAN), Part.MEAN) for axis in zip(*parts, strict=True))


class SampledShares(Shares):
    """Shares from samples."""

    def __init__(self, given: Setting, samples: int, seed: int) -> None:
        self.given, self.estimates = given, sampled.Sobol(given, samples, seed)
        if not given.kept and not self.estimates.varies(np.zeros((1, 0))):
            raise ValueError(
                f"the field must vary over {', '.join(given.names)}, got a constant: no axis explains anything"
            )

    def variance(self) -> Any:
        """Return the variance."""
        return sampled.summary(self.given, self.estimates.variance, "variance")

    def first(self, group: Sequence[int]) -> Any:
        """Return the first-order index of a group of axes."""
        return self._share(lambda points: self.estimates.closed(points, group))

    def total(self, group: Sequence[int]) -> Any:
        """Return the total index of a group of axes."""
        return self._share(lambda points: self.estimates.total(points, group))

    def joint(self, groups: Sequence[Sequence[int]]) -> Any:
        """Inclusion and exclusion: closed indices of all unions, with alternating signs."""
        unions = [chosen for size in range(1, len(groups) + 1) for chosen in itertools.combinations(groups, size)]

        def shares(points: Array) -> Array:
            closed = [
                (-1) ** (len(groups) - len(chosen)) * self.estimates.closed(points, list(itertools.chain(*chosen)))
                for chosen in unions
            ]
            return np.asarray(np.sum(closed, axis=0))

        return self._share(shares)

    def _share(self, part: Callable[[Array], Array]) -> Any:
        def ratio(points: Array) -> Array:
            variance = self.estimates.variance(points)
            return np.asarray(part(points) / np.where(variance > 0, variance, np.nan))

        return sampled.summary(self.given, ratio, SHARE)
