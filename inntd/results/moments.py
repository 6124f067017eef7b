"""Means, variances and skewness over random axes: exact from the factors, or from samples with standard errors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from inntd._kernels import blas_threads
from inntd.axes import Axis
from inntd.models import SlabModel
from inntd.models.norms import exp, log_sum
from inntd.results import sampled
from inntd.results.anova import components_of
from inntd.results.by_slab import joined, slabs_of
from inntd.results.components import Components, Part, split
from inntd.results.setting import Setting, setting
from inntd.results.statistic import Estimate, Statistic
from inntd.results.third import third_moments

Array = npt.NDArray[np.float64]

ROUND_OFF = 1e-14  # a standard deviation below this part of what was added up is zero


@blas_threads()
def mean(
    field: Any,
    *over: Axis | str,
    densities: Mapping[str, Any] | None = None,
    renormalise: bool = False,
    samples: int = sampled.SAMPLES,
    seed: int = 0,
) -> Any:
    """Return the expectation over random axes: the marginal function of the others.

    Parameters
    ----------
    field : Field
    *over : Axis or str
        The random axes. Default: all but those of kind ``"component"``.
    densities : mapping of str to distribution, optional
        For every random axis a frozen distribution of `scipy.stats`, ``"uniform"``, or on a discrete axis the
        probabilities of its values. Default: all uniform.
    renormalise : bool, default False
        Cut densities that reach beyond the ends of their axis off there, and scale them up.
    samples : int
        How many points stand for the random axes where `field.exact_statistics` is False.
    seed : int, default 0
        Of these points.

    Returns
    -------
    float, or model of the axes that are left
        Exact for CP and Tucker models. Of other fields an `Estimate` or a `Statistic`, with standard errors.

    Examples
    --------
    >>> import inntd as it
    >>> from scipy import stats
    >>> x, k = it.Axis("x", 0, 1, elements=8), it.Axis("k", 0, 4, elements=8, kind="parameter")
    >>> u = it.CPModel.from_factors([x, k], [x.nodes[:, None], k.nodes[:, None] ** 2])  # x k²
    >>> found = mean(u, "k", densities={"k": stats.uniform(1, 2)})  # between 1 and 3
    >>> found.axes == (x,), round(found.at(x=0.5), 12)
    (True, 2.166666666667)
    """
    parts = [mean(part, *over, densities=densities, renormalise=renormalise) for part in slabs_of(field, over)]
    if parts:
        return SlabModel(parts, field.axis)
    given = setting(field, over, densities, renormalise)
    if not given.exact:
        return sampled.estimate(given, samples, seed, sampled.means, "mean")
    rows = {
        density.axis: split(density, factor).means
        for density in given.random
        for factor in [field._array(density.axis)]
    }
    return field._reduced(rows)


def conditional_mean(
    field: Any,
    *given: Axis | str,
    densities: Mapping[str, Any] | None = None,
    renormalise: bool = False,
    samples: int = sampled.SAMPLES,
    seed: int = 0,
) -> Any:
    """Return the expectation over all axes but some, as a function of these: what is left to see of them.

    Parameters
    ----------
    field : Field
    *given : Axis or str
        The axes that are not averaged over, at least one. Components never are.
    densities, renormalise, samples, seed
        See `mean`; densities are those of the other axes.

    Examples
    --------
    >>> import inntd as it
    >>> x, k = it.Axis("x", 0, 1, elements=8), it.Axis("k", 0, 3, elements=8, kind="parameter")
    >>> u = it.CPModel.from_factors([x, k], [x.nodes[:, None], k.nodes[:, None] ** 2])  # x k²
    >>> round(conditional_mean(u, "x").at(x=0.5), 12)
    1.5
    """
    names = [axis.name if isinstance(axis, Axis) else axis for axis in given]
    known = [axis.name for axis in field.axes]
    odd = [name for name in names if name not in known]
    if odd or not names:
        raise ValueError(f"given must name axes of the field, {', '.join(known)}, got {odd[0] if odd else 'none'!r}")
    rest = [axis for axis in field.axes if axis.name not in names and axis.kind != "component"]
    if not rest:
        raise ValueError(f"given must leave an axis to average over, got {', '.join(names)}")
    return mean(field, *rest, densities=densities, renormalise=renormalise, samples=samples, seed=seed)


@blas_threads()
def variance(
    field: Any,
    *over: Axis | str,
    densities: Mapping[str, Any] | None = None,
    renormalise: bool = False,
    samples: int = sampled.SAMPLES,
    seed: int = 0,
) -> Any:
    """Return the variance over random axes: a float, or a `Statistic` of the axes that are left.

    Exact for CP models at a cost of O(D R²) with R modes, and for Tucker models at O(D r^(D+1)) with ranks r, after
    integrals over one axis each. Small variances of large numbers keep their digits. Of other fields from samples, with
    standard errors.

    Parameters
    ----------
    field, over, densities, renormalise, samples, seed
        See `mean`.

    Examples
    --------
    >>> import inntd as it
    >>> axes = [it.Axis(name, 0, 1, elements=8) for name in "xy"]
    >>> u = it.CPModel.from_factors(axes, [axis.nodes[:, None] for axis in axes])  # x y
    >>> round(variance(u) * 144, 12), round(variance(1e6 + u) * 144, 6)  # 1/9 - 1/16
    (7.0, 7.0)
    """
    parts = [variance(part, *over, densities=densities, renormalise=renormalise) for part in slabs_of(field, over)]
    if parts:
        return joined(field, parts)
    given = setting(field, over, densities, renormalise)
    if not given.exact:
        return sampled.estimate(given, samples, seed, sampled.variances, "variance")
    components = components_of(given)
    if not given.kept:
        return exp(2 * log_deviation(components))
    whole = components.telescoped(range(components.count), Part.BOTH, Part.MEAN)
    return Statistic(given.kept, lambda points: components.squares(whole, points), name="variance")


def standard_deviation(
    field: Any,
    *over: Axis | str,
    densities: Mapping[str, Any] | None = None,
    renormalise: bool = False,
    samples: int = sampled.SAMPLES,
    seed: int = 0,
) -> Any:
    """Return the root of the variance over random axes, see `variance`.

    Examples
    --------
    >>> import inntd as it
    >>> x = it.Axis("x", 0, 1, elements=8)
    >>> round(12**0.5 * standard_deviation(it.CPModel.from_factors([x], [x.nodes[:, None]])), 12)
    1.0
    """
    found = variance(field, *over, densities=densities, renormalise=renormalise, samples=samples, seed=seed)
    if isinstance(found, Estimate):
        root = math.sqrt(max(found, 0.0))
        return Estimate(root, found.standard_error / (2 * root) if root > 0 else 0.0)
    if not isinstance(found, Statistic):
        return math.sqrt(found)

    def roots(points: Array) -> Array:
        return np.asarray(np.sqrt(np.maximum(found(points).numpy(), 0.0)))

    def errors(points: Array) -> Array:
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(found.standard_error(points).numpy() / (2 * roots(points)))

    return Statistic(found.axes, roots, None if found.exact else errors, "standard deviation")


@blas_threads()
def skewness(
    field: Any,
    *over: Axis | str,
    densities: Mapping[str, Any] | None = None,
    renormalise: bool = False,
    samples: int = sampled.SAMPLES,
    seed: int = 0,
) -> Any:
    """Return the skewness over random axes: the third central moment over the standard deviation's cube.

    Exact for CP models at a cost of O(D R³) with R modes, after integrals over one axis each; Tucker models are taken
    as sums of products. Of other fields from samples, with standard errors. Where a `Statistic` is wanted for a field
    that does not vary at some points, it is NaN there.

    Parameters
    ----------
    field, over, densities, renormalise, samples, seed
        See `mean`.

    Raises
    ------
    ValueError
        When the field does not vary.

    Examples
    --------
    >>> import inntd as it
    >>> x = it.Axis("x", 0, 1, elements=8)
    >>> round(skewness(it.CPModel.from_factors([x], [x.nodes[:, None] ** 2])), 9)  # 2 √5 / 7
    0.638876565
    """
    parts = [skewness(part, *over, densities=densities, renormalise=renormalise) for part in slabs_of(field, over)]
    if parts:
        return joined(field, parts)
    given = setting(field, over, densities, renormalise)
    if not given.exact:
        return sampled.estimate(given, samples, seed, sampled.skewnesses, "skewness")
    components = components_of(given)
    whole = components.telescoped(range(components.count), Part.BOTH, Part.MEAN)
    if not given.kept:
        deviation = log_deviation(components)
        refuse_constant(components, deviation, given.names)
        # In units of the deviation, so that nothing overflows.
        scaled = Setting(field * exp(-deviation), given.random, given.kept)
        return float(third_moments(scaled, np.zeros((1, 0)))[0])

    def values(points: Array) -> Array:
        squares = squares_or_nan(components, whole, points)
        return np.asarray(third_moments(given, points) / squares**1.5)

    return Statistic(given.kept, values, name="skewness")


def log_deviation(components: Components) -> float:
    """Return the logarithm of the standard deviation, -inf for zero."""
    return log_sum(components.log_norms(Part.BOTH, Part.MEAN))


def refuse_constant(components: Components, deviation: float, names: list[str]) -> None:
    """Raise unless the field varies by more than rounding makes it."""
    size = components.log_size()
    if deviation == -math.inf or deviation < size + math.log(ROUND_OFF):
        raise ValueError(f"the field must vary over {', '.join(names)}, got a constant: no axis explains anything")


def squares_or_nan(components: Components, whole: list[Any], points: Array) -> Array:
    """Return variances (K,) at points, NaN where they are zero up to rounding."""
    squares = components.squares(whole, points)
    floor = (ROUND_OFF * components.sizes(points)) ** 2
    return np.where(squares > floor, squares, np.nan)
