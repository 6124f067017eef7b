"""Covariances and correlations between points of some axes, random over the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from inntd._kernels import blas_threads
from inntd.axes import Axis
from inntd.models.sampling import REPLICATES
from inntd.results import sampled
from inntd.results.anova import components_of
from inntd.results.components import Part
from inntd.results.moments import squares_or_nan
from inntd.results.setting import Setting, setting
from inntd.results.statistic import Statistic

Array = npt.NDArray[np.float64]


@blas_threads()
def covariance(
    field: Any,
    points: Any,
    others: Any = None,
    *,
    over: Sequence[Axis | str],
    densities: Mapping[str, Any] | None = None,
    renormalise: bool = False,
    samples: int = sampled.SAMPLES,
    seed: int = 0,
) -> Array:
    """Return the covariances between values at points of some axes, random over the others.

    Parameters
    ----------
    field : Field
    points : array (K, D)
        Columns belong to the axes that are not random, in the order of the field.
    others : array (L, D), optional
        By default the same points.
    over : sequence of Axis or str
        The random axes; at least one axis must be left.
    densities, renormalise, samples, seed
        See `mean`.

    Returns
    -------
    array (K, L)
        Of one set of points symmetric and positive semidefinite. Exact for CP and Tucker models; of other fields from
        samples, see `covariance_error`.

    Examples
    --------
    >>> import numpy as np, inntd as it
    >>> x, k = it.Axis("x", 0, 1, elements=8), it.Axis("k", -1, 1, elements=8, kind="parameter")
    >>> u = it.CPModel.from_factors([x, k], [x.nodes[:, None], k.nodes[:, None]])  # x k
    >>> covariance(u, [[0.5], [1.0]], over=["k"]).round(9)  # x x' / 3
    array([[0.08333333, 0.16666667],
           [0.16666667, 0.33333333]])
    """
    given, here, there = _given(field, points, others, over, densities, renormalise)
    if given.exact:
        return _exact(given, here, there)
    return np.asarray(_sampled(given, here, there, samples, seed).mean(axis=0))


def covariance_error(
    field: Any,
    points: Any,
    others: Any = None,
    *,
    over: Sequence[Axis | str],
    densities: Mapping[str, Any] | None = None,
    renormalise: bool = False,
    samples: int = sampled.SAMPLES,
    seed: int = 0,
) -> Array:
    """Return the standard errors (K, L) of what `covariance` finds: zeros where it is exact.

    Examples
    --------
    >>> import inntd as it
    >>> axes = [it.Axis(name, 0, 1, elements=8) for name in "xk"]
    >>> covariance_error(it.CPModel(axes, 2), [[0.5]], over=["k"])
    array([[0.]])
    """
    given, here, there = _given(field, points, others, over, densities, renormalise)
    if given.exact:
        return np.zeros((len(here), len(there)))
    found = _sampled(given, here, there, samples, seed)
    return np.asarray(found.std(axis=0, ddof=1) / np.sqrt(REPLICATES))


@blas_threads()
def correlation(
    field: Any,
    points: Any,
    others: Any = None,
    *,
    over: Sequence[Axis | str],
    densities: Mapping[str, Any] | None = None,
    renormalise: bool = False,
    samples: int = sampled.SAMPLES,
    seed: int = 0,
) -> Array:
    """Return the correlations between values at points of some axes, random over the others: see `covariance`.

    NaN at points where the field does not vary.

    Examples
    --------
    >>> import inntd as it
    >>> x, k = it.Axis("x", -1, 1, elements=8), it.Axis("k", -1, 1, elements=8, kind="parameter")
    >>> u = it.CPModel.from_factors([x, k], [x.nodes[:, None], k.nodes[:, None]])  # x k
    >>> correlation(u, [[0.5], [-1.0]], over=["k"]).round(9)
    array([[ 1., -1.],
           [-1.,  1.]])
    """
    given, here, there = _given(field, points, others, over, densities, renormalise)
    if given.exact:
        components = components_of(given)
        whole = components.telescoped(range(components.count), Part.BOTH, Part.MEAN)
        deviations = [np.sqrt(squares_or_nan(components, whole, x)) for x in (here, there)]
        found = _exact(given, here, there)
    else:
        both = np.concatenate([here, there])
        square = _sampled(given, both, both, samples, seed).mean(axis=0)
        variances = np.where(np.diagonal(square) > 0, np.diagonal(square), np.nan)
        deviations = [np.sqrt(variances[: len(here)]), np.sqrt(variances[len(here) :])]
        found = square[: len(here), len(here) :]
    return np.asarray(np.clip(found / np.outer(*deviations), -1.0, 1.0))


def _given(
    field: Any, points: Any, others: Any, over: Sequence[Axis | str], densities: Any, renormalise: bool
) -> tuple[Setting, Array, Array]:
    given = setting(field, [over] if isinstance(over, str | Axis) else over, densities, renormalise)
    if not given.kept:
        raise ValueError(f"over must leave an axis that points lie on, got all of {', '.join(given.names)}")
    checked = Statistic(given.kept, lambda x: x[:, 0])._checked
    here = checked(points)
    return given, here, here if others is None else checked(others)


def _exact(given: Setting, here: Array, there: Array) -> Array:
    components = components_of(given)
    total = np.zeros((len(here), len(there)))
    for parts in components.telescoped(range(components.count), Part.BOTH, Part.MEAN):
        left = components.coordinates(parts, here)
        total += left @ (left if there is here else components.coordinates(parts, there)).T
    return total


def _sampled(given: Setting, here: Array, there: Array, samples: int, seed: int) -> Array:
    """Return covariances (replicates, K, L)."""
    found = []
    for r in range(REPLICATES):
        random = sampled.random_points(given, sampled.unit_points(len(given.random), samples, seed, r))
        left = sampled.values(given, here, random)
        left -= left.mean(axis=1, keepdims=True)
        right = left if there is here else sampled.values(given, there, random)
        found.append(left @ (right - right.mean(axis=1, keepdims=True)).T / len(random))
    return np.stack(found)
