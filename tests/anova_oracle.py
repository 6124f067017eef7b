"""Statistics by brute force: a function on a full grid of quadrature points. It shares no code with the package."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def expectation(values: Array, weights: Sequence[Array], over: Sequence[int]) -> Array:
    """Return the expectation over some axes, which stay with length one."""
    for d in over:
        shape = [1] * values.ndim
        shape[d] = -1
        values = (values * weights[d].reshape(shape)).sum(axis=d, keepdims=True)
    return values


def component(values: Array, weights: Sequence[Array], axes: Sequence[int]) -> Array:
    """Return the component of the analysis of variance on all of these axes, by inclusion and exclusion."""
    total = np.zeros((1,) * values.ndim)
    for size in range(len(axes) + 1):
        for chosen in itertools.combinations(axes, size):
            rest = [d for d in range(values.ndim) if d not in chosen]
            total = total + (-1.0) ** (len(axes) - size) * expectation(values, weights, rest)
    return total


def variance(values: Array, weights: Sequence[Array]) -> float:
    """Return the variance."""
    axes = range(values.ndim)
    return float(expectation((values - expectation(values, weights, axes)) ** 2, weights, axes).item())


def skewness(values: Array, weights: Sequence[Array]) -> float:
    """Return the skewness."""
    axes = range(values.ndim)
    third = expectation((values - expectation(values, weights, axes)) ** 3, weights, axes).item()
    return float(third / variance(values, weights) ** 1.5)


def closed(values: Array, weights: Sequence[Array], group: Sequence[int]) -> float:
    """Return the share of the variance that a group of axes explains."""
    rest = [d for d in range(values.ndim) if d not in group]
    return variance_of(expectation(values, weights, rest), weights) / variance(values, weights)


def total(values: Array, weights: Sequence[Array], group: Sequence[int]) -> float:
    """Return the share in which a group of axes takes part."""
    away = values - expectation(values, weights, group)
    return float(expectation(away**2, weights, range(values.ndim)).item()) / variance(values, weights)


def joint(values: Array, weights: Sequence[Array], axes: Sequence[int]) -> float:
    """Return the share that some axes explain only together."""
    return variance_of(component(values, weights, axes), weights) / variance(values, weights)


def variance_of(values: Array, weights: Sequence[Array]) -> float:
    """Return the variance of a function of some of the axes, the others having length one."""
    own = [weight if values.shape[d] > 1 else np.ones(1) for d, weight in enumerate(weights)]
    return variance(values, own)


def gauss(low: float, high: float, count: int) -> tuple[Array, Array]:
    """Return points and weights of the uniform density."""
    x, w = np.polynomial.legendre.leggauss(count)
    return low + 0.5 * (high - low) * (x + 1), 0.5 * w


def tabulated(formula: Callable[..., Array], vectors: Sequence[Array]) -> Array:
    """Return the values on the grid of some vectors."""
    return np.asarray(formula(*np.meshgrid(*vectors, indexing="ij", sparse=True)))
