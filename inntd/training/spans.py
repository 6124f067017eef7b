"""The functions that an axis may have: polynomials up to the degree that samples determine, or all of categories."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from inntd.axes import Axis
from inntd.training.coordinates import LARGEST_DEGREE, curvature_coordinates, legendre, polynomial_axis

Array = npt.NDArray[np.float64]

BEYOND, MOST_BEYOND = 8.0, 0.1  # of the range: parts in K, and at most
EVEN = 1.01  # ratio of distances on a grid


@dataclass(frozen=True)
class Span:
    """The interval of one axis and the number of its functions, the constant not counted.

    Attributes
    ----------
    name : str
    start, stop : float
    degree : int
    categories : int
        Number of values without an order; 0 for coordinates.
    """

    name: str
    start: float
    stop: float
    degree: int
    categories: int = 0

    @classmethod
    def of(cls, name: str, x: Array) -> Span:
        """Return the span of samples, and a little more where these are scattered and do not repeat at its ends.

        The ends of a range that samples are drawn from lie about one part in K beyond them, seldom more than eight: the
        model goes on that far. Values with even distances are a grid, which has its ends.
        """
        levels, counts = np.unique(x, return_counts=True)
        low, high = float(levels[0]), float(levels[-1])
        if len(levels) == 1:
            size = max(abs(low), 1.0)
            return cls(name, low - 0.5 * size, low + 0.5 * size, 0)
        steps = np.diff(levels)
        scattered = len(levels) > 2 and steps.max() > EVEN * steps.min()
        margin = (high - low) * min(MOST_BEYOND, BEYOND / len(x)) * scattered
        start, stop = low - margin * (counts[0] == 1), high + margin * (counts[-1] == 1)
        return cls(name, float(start), float(stop), min(LARGEST_DEGREE, len(levels) - 1))

    @classmethod
    def of_categories(cls, name: str, x: Array) -> Span:
        """Return the span of whole numbers 0, 1, ..."""
        count = int(x.max()) + 1
        return cls(name, 0.0, count - 1.0, count - 1, count)

    @property
    def orders(self) -> Array:
        """Exponents (degree,) of the decay of the functions but the constant, which is none for categories."""
        return np.zeros(self.degree) if self.categories else np.arange(float(self.degree))

    def rows(self, x: Array) -> Array:
        """Return the functions (K, degree + 1) at coordinates (K,)."""
        if self.categories:
            return curvature_coordinates(self.axis(self.degree)).rows(x)
        return legendre(self._unit(x), self.degree)

    def axis(self, degree: int) -> Axis:
        """Return an axis whose basis spans the functions up to a degree."""
        if self.categories:
            return Axis.discrete(self.name, self.categories, kind="parameter")
        return polynomial_axis(self.name, self.start, self.stop, degree)

    def table(self, axis: Axis) -> Array:
        """Return the nodal values (axis.size, n) of the functions that such an axis spans."""
        if self.categories:
            return curvature_coordinates(axis).nodal
        return legendre(np.clip(self._unit(axis.nodes), 0.0, 1.0), axis.elements)

    def _unit(self, x: Array) -> Array:
        return (x - self.start) / (self.stop - self.start)
