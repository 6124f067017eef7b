"""The forms in a race: what they fit, how their errors are judged, and the mean of several."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls

from inntd.models.cp import CPModel
from inntd.training.budget import Budget
from inntd.training.growth import Growth
from inntd.training.product_kernel import ProductKernel
from inntd.training.separated_fit import Samples, SeparatedFit
from inntd.training.spans import Span

Array = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]

WIDER_STEPS = 30  # of a growth, with more samples


@dataclass(frozen=True)
class Scale:
    """What is fitted: y or its logarithm, of mean zero and variance one; and how errors of it are judged."""

    y: Array
    weights: Array | None
    logarithm: bool

    @cached_property
    def _values(self) -> Array:
        return np.log(self.y) if self.logarithm else self.y

    @cached_property
    def centre(self) -> float:
        """The mean."""
        return float(np.average(self._values, weights=self.weights))

    @cached_property
    def size(self) -> float:
        """The standard deviation."""
        return float(np.sqrt(np.average((self._values - self.centre) ** 2, weights=self.weights))) or 1.0

    @property
    def fitted(self) -> Array:
        """The values (K,) that are fitted."""
        return (self._values - self.centre) / self.size

    def score(self, errors: Array) -> float:
        """Return the root mean square error of y, relative to its deviation, from errors (K,) of what is fitted."""
        wrong = self.y * -np.expm1(-np.clip(self.size * errors, -50, 50)) if self.logarithm else self.size * errors
        mean = float(np.average(self.y, weights=self.weights))
        spread = float(np.sqrt(np.average((self.y - mean) ** 2, weights=self.weights))) or 1.0
        return float(np.sqrt(np.average(wrong**2, weights=self.weights))) / spread

    def take(self, which: Index) -> Scale:
        """Return some of the samples, on the same scale."""
        part = Scale(self.y[which], None if self.weights is None else self.weights[which], self.logarithm)
        part.__dict__.update(centre=self.centre, size=self.size)
        return part


@dataclass
class Contender(ABC):
    """One form in the race, and what it has fitted so far."""

    label: str
    scale: Scale
    spans: Sequence[Span]

    @property
    @abstractmethod
    def fit(self) -> ProductKernel | SeparatedFit:
        """The best fit so far."""

    @property
    @abstractmethod
    def errors(self) -> Array:
        """Leave-one-out errors (K,) of what is fitted."""

    @property
    @abstractmethod
    def score(self) -> float:
        """The score of these errors."""

    @property
    def finished(self) -> bool:
        """Whether more time would change nothing."""
        return True

    def reduced(self, random: np.random.Generator) -> Contender:
        """Return the form with no more modes than it needs, before it learns from more samples."""
        return self

    @abstractmethod
    def affordable(self, work: float) -> float:
        """Return from how many samples so much work lets it learn."""

    @abstractmethod
    def widened(self, samples: Samples, scale: Scale, budget: Budget) -> Contender:
        """Return the form after it has learnt from other samples."""


@dataclass
class KernelContender(Contender):
    """Products of all functions."""

    kernel: ProductKernel

    @property
    def fit(self) -> ProductKernel:
        """The fit."""
        return self.kernel

    @property
    def errors(self) -> Array:
        """Leave-one-out errors, which are exact."""
        return self.kernel.errors

    @property
    def score(self) -> float:
        """The score of these errors."""
        return self.scale.score(self.kernel.errors)

    def reduced(self, random: np.random.Generator) -> KernelContender:
        """Return the form with no more modes than it needs."""
        return replace(self, kernel=self.kernel.reduced(random))

    def affordable(self, work: float) -> float:
        """Return from how many samples so much work lets it learn."""
        return work / (3.0 * self.kernel.modes**2)

    def widened(self, samples: Samples, scale: Scale, budget: Budget) -> KernelContender:
        """Return the form after one more fit."""
        return replace(self, scale=scale, kernel=self.kernel.widened(samples, budget))


@dataclass
class GrowthContender(Contender):
    """Few modes, one after the other."""

    growth: Growth

    @property
    def fit(self) -> SeparatedFit:
        """The best fit so far."""
        return self.growth.best

    @property
    def errors(self) -> Array:
        """Leave-one-out errors; linearised ones are too small, which is mended."""
        return self._optimism * self.growth.best.leave_one_out(self.growth.samples)

    @property
    def score(self) -> float:
        """The score of these errors."""
        return self._optimism * self.growth.score

    @property
    def finished(self) -> bool:
        """Whether the growth has come to its end."""
        return self.growth.finished

    @property
    def _optimism(self) -> float:
        return 1.0 + min(self.growth.best.parameters / len(self.growth.samples.y), 1.0)

    def affordable(self, work: float) -> float:
        """Return from how many samples so much work lets it learn."""
        return work / (2.0 * WIDER_STEPS * self.growth.best.parameters**2)

    def widened(self, samples: Samples, scale: Scale, budget: Budget) -> GrowthContender:
        """Return the form after some more steps."""
        self.growth.widen(samples, scale.score)
        return replace(self, scale=scale)


@dataclass
class Winner:
    """The form that won, alone or as a weighted mean with others, and how the race went."""

    members: list[Contender]
    weights: list[float]
    score: float
    scores: dict[str, float]
    cut: bool
    interrupted: bool

    @property
    def scale(self) -> Scale:
        """What is fitted."""
        return self.members[0].scale

    @property
    def degrees(self) -> list[int]:
        """The last function of each axis that is used."""
        return [max(degrees) for degrees in zip(*(member.fit.degrees for member in self.members), strict=True)]

    def model(self) -> CPModel:
        """Return the functions as a model in the coordinates of the samples."""
        spans = self.members[0].spans
        axes = [span.axis(degree) for span, degree in zip(spans, self.degrees, strict=True)]
        tables = [span.table(axis) for span, axis in zip(spans, axes, strict=True)]
        return CPModel.from_factors(axes, self._nodal_factors(tables))

    def _nodal_factors(self, tables: Sequence[Array]) -> list[Array]:
        size = self.scale.size
        constant = [np.ones((len(table), 1)) for table in tables]
        constant[0] *= self.scale.centre
        parts = [constant]
        for member, weight in zip(self.members, self.weights, strict=True):
            factors = member.fit.nodal_factors(tables)
            parts.append([factors[0] * (size * weight), *factors[1:]])
        return [np.concatenate(factors, axis=1) for factors in zip(*parts, strict=True)]


def least_mean(errors: Array) -> Array:
    """Return non-negative weights (n,) with sum one of the columns (K, n) for which their mean is shortest.

    Examples
    --------
    >>> least_mean(np.array([[1.0, -1.0], [1.0, 1.0]])).round(6)
    array([0.5, 0.5])
    """
    size = 1e3 * float(np.sqrt((errors**2).sum(axis=0).min())) or 1.0
    weights, _ = nnls(np.vstack([errors, np.full(errors.shape[1], size)]), np.append(np.zeros(len(errors)), size))
    found: Array = weights / weights.sum()
    return found
