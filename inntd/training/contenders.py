"""The forms in a race: what they fit, how their errors are judged, and the mean of several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls

from inntd.training.growth import Growth
from inntd.training.product_kernel import ProductKernel
from inntd.training.separated_fit import SeparatedFit

Array = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]


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
class Contender:
    """One form in the race: products of all functions, or a growth."""

    label: str
    scale: Scale
    kernel: ProductKernel | None = None
    growth: Growth | None = None

    @property
    def fit(self) -> ProductKernel | SeparatedFit:
        """The best fit so far."""
        if self.kernel is not None:
            return self.kernel
        assert self.growth is not None
        return self.growth.best

    @property
    def errors(self) -> Array:
        """Leave-one-out errors (K,) of what is fitted; linearised ones of growths are too small, which is mended."""
        if self.kernel is not None:
            return self.kernel.errors
        assert self.growth is not None
        return self._optimism * self.growth.best.leave_one_out(self.growth.samples)

    @property
    def score(self) -> float:
        """The score of these errors."""
        if self.kernel is not None:
            return self.scale.score(self.kernel.errors)
        assert self.growth is not None
        return self._optimism * self.growth.score

    @property
    def _optimism(self) -> float:
        assert self.growth is not None
        return 1.0 + min(self.growth.best.parameters / len(self.growth.samples.y), 1.0)


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

    def nodal_factors(self, tables: Sequence[Array]) -> list[Array]:
        """Return factors from the nodal values (n_d, N_d) of the functions of each axis."""
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
