"""Random coordinates: the density of one axis, as a quadrature rule for piecewise polynomials and as a sampler."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import rv_continuous, rv_histogram

from inntd import _checks
from inntd.axes import Axis
from inntd.axes.functions import evaluate
from inntd.axes.quadrature import AdaptiveRule, quadrature_points
from inntd.models.sampling import from_unit

Array = npt.NDArray[np.float64]

UNIFORM = "uniform"
LEAST_MASS = 1e-12
MASS_ERROR = 1e-8  # by which a density may miss one on its axis
QUADRATURE_ERROR = 1e-6  # by which the integral of a density may miss the difference of its distribution function


@dataclass(frozen=True, eq=False)
class Density:
    """The probability density of one axis, normalised on the axis' interval.

    Parameters
    ----------
    axis : Axis
    distribution : frozen distribution of scipy.stats, optional
        None: uniform, or by `probabilities`.
    probabilities : array (axis.size,), optional
        Of the values of a discrete axis.
    """

    axis: Axis
    distribution: Any = None
    probabilities: Array | None = field(default=None, repr=False)

    def rule(self, power: int) -> tuple[Array, Array]:
        """Return points (Q,) and weights (Q,), which add up to one, for expectations of products of basis functions.

        Parameters
        ----------
        power : int
            How many functions are multiplied: products are integrated exactly, but for what the density itself costs,
            which is resolved to round-off where it is smooth between its breaks.
        """
        if self.axis.discrete:
            return self.axis.nodes.copy(), self._weights_of_values()
        degree = power * self.axis.table.degree
        if self.distribution is None:
            points, weights = quadrature_points(self.axis, degree)
        else:
            points, weights = self._adaptive(degree)
        return points, weights / weights.sum()

    def sample(self, unit: Array) -> Array:
        """Return coordinates from numbers between 0 and 1."""
        if self.axis.discrete:
            edges = np.cumsum(self._weights_of_values())
            return np.searchsorted(edges[:-1] / edges[-1], unit, side="right").astype(np.float64)
        if self.distribution is None:
            return from_unit(self.axis, unit)
        low, high = self.axis.domain
        below, up_to = self.distribution.cdf(low), self.distribution.cdf(high)
        found = np.asarray(self.distribution.ppf(below + (up_to - below) * unit), dtype=np.float64)
        return np.clip(found, low, high)

    def mass(self) -> float:
        """Return how much of the distribution lies on the axis."""
        if self.axis.discrete or self.distribution is None:
            return 1.0 if self.probabilities is None else float(self.probabilities.sum())
        low, high = self.axis.domain
        return float(self.distribution.cdf(high) - self.distribution.cdf(low))

    def _weights_of_values(self) -> Array:
        given = np.ones(self.axis.size) if self.probabilities is None else self.probabilities
        return np.asarray(given / given.sum())

    def _adaptive(self, degree: int) -> tuple[Array, Array]:
        breaks = self.axis.table.breaks
        points, weights = [], []
        for _, samples in AdaptiveRule(self.axis, degree).samples([_Pdf(self)]):
            a, b = breaks[samples.piece, None], breaks[samples.piece + 1, None]
            points.append((0.5 * (a + b) + 0.5 * (b - a) * samples.xi).reshape(-1))
            weights.append(samples.values.reshape(-1))
        x, w = np.concatenate(points), np.concatenate(weights)
        total, mass = float(w.sum()), self.mass()
        if abs(total - mass) > QUADRATURE_ERROR * mass:
            raise ValueError(
                f"the density of axis {self.axis.name!r} integrates to {total:.6g} on the axis, where its distribution "
                f"function says {mass:.6g}: pdf and cdf do not agree"
            )
        return x, w


class _Pdf:
    """The density as a function on the axis; the ends of its support are breaks."""

    def __init__(self, density: Density) -> None:
        self.distribution, self.name = density.distribution, density.axis.name
        low, high = density.axis.domain
        ends = np.asarray(self.distribution.support(), dtype=np.float64)
        self.breaks = tuple(float(end) for end in ends if low < end < high)

    def __call__(self, x: Array) -> Array:
        found = np.asarray(self.distribution.pdf(x), dtype=np.float64)
        odd = ~np.isfinite(found)
        if odd.any():
            raise ValueError(
                f"the density of axis {self.name!r} must be finite, got {found[odd][0]} at {x[odd][0]:g}: "
                "use one without a pole, such as a histogram of samples, scipy.stats.rv_histogram"
            )
        return found


def densities_of(axes: Sequence[Axis], given: Mapping[str, Any] | None, renormalise: bool = False) -> list[Density]:
    """Return the density of each axis, or raise.

    Parameters
    ----------
    axes : sequence of Axis
        The random ones.
    given : mapping of str to frozen scipy.stats distribution, array or "uniform", optional
        One for every axis: on a discrete axis the probabilities of its values, or a distribution with `pmf`. By default
        all are uniform.
    renormalise : bool, default False
        Cut densities that reach beyond the ends of the axis off there and scale them up to mass one.

    Raises
    ------
    ValueError, TypeError
        When an axis has no density, a name is unknown, or a density is not normalised on its axis.

    Examples
    --------
    >>> import inntd as it
    >>> from scipy import stats
    >>> k = it.Axis("k", 0, 4, elements=8)
    >>> [density] = densities_of([k], {"k": stats.norm(2, 1)}, renormalise=True)
    >>> points, weights = density.rule(2)
    >>> bool(abs(weights @ points - 2) < 1e-14)
    True
    >>> densities_of([k], {"k": stats.norm(2, 1)})
    Traceback (most recent call last):
        ...
    ValueError: the density of axis 'k' must have mass 1 on [0, 4], got 0.9545: use renormalise=True ...
    """
    if given is None:
        return [Density(axis) for axis in axes]
    if not isinstance(given, Mapping):
        raise TypeError(f"densities must map names of axes to distributions, got {type(given).__name__}")
    names = [axis.name for axis in axes]
    for name in given:
        if name not in names:
            raise ValueError(f"densities must be of random axes, {', '.join(names)}, got one of {name!r}")
    missing = [name for name in names if name not in given]
    if missing:
        raise ValueError(
            f"densities must give one for every random axis, got none for {', '.join(missing)}: "
            "a frozen distribution such as scipy.stats.norm(2, 0.1), or 'uniform'"
        )
    found = [_density(axis, given[axis.name]) for axis in axes]
    for density in found:
        _check_mass(density, renormalise)
    return found


def _density(axis: Axis, given: Any) -> Density:
    if isinstance(given, str):
        _checks.one_of(f"the density of axis {axis.name!r}", given, (UNIFORM,))
        return Density(axis)
    if axis.discrete:
        return Density(axis, probabilities=_probabilities(axis, given))
    frozen = all(callable(getattr(given, name, None)) for name in ("pdf", "cdf", "ppf", "support"))
    if not frozen or (isinstance(given, rv_continuous) and not isinstance(given, rv_histogram)):
        raise TypeError(
            f"the density of axis {axis.name!r} must be a frozen continuous distribution such as "
            f"scipy.stats.norm(2, 0.1), or 'uniform', got {type(given).__name__}"
        )
    return Density(axis, given)


def _probabilities(axis: Axis, given: Any) -> Array:
    label = f"the probabilities of axis {axis.name!r}"
    values = (
        evaluate(axis.name, given.pmf, axis.nodes) if hasattr(given, "pmf") else _checks.finite_vector(label, given)
    )
    if values.shape != (axis.size,):
        raise ValueError(f"{label} must be {axis.size} numbers, got {values.size}")
    if (values < 0).any():
        raise ValueError(f"{label} must not be negative, got {values.min():g}")
    return values


def _check_mass(density: Density, renormalise: bool) -> None:
    axis, mass = density.axis, density.mass()
    place = f"its {axis.size} values" if axis.discrete else f"[{axis.domain[0]:g}, {axis.domain[1]:g}]"
    what = f"the density of axis {axis.name!r} must have mass 1 on {place}, got {mass:.4g}"
    if not mass > LEAST_MASS:  # also NaN
        raise ValueError(f"{what}: it lies elsewhere; check its unit and the order of its arguments")
    if abs(mass - 1) > MASS_ERROR and not renormalise:
        raise ValueError(f"{what}: use renormalise=True to cut it off at the ends and scale it up, or a longer axis")
