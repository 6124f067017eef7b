"""The distribution of a field's values over random axes, by cheap sampling of the model: quantiles and histograms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from inntd import _checks
from inntd.axes import Axis
from inntd.models.sampling import REPLICATES
from inntd.results import sampled
from inntd.results.setting import setting

Array = npt.NDArray[np.float64]

SAMPLES = 1 << 17
BINS = 50


@dataclass(frozen=True)
class Quantiles:
    """Values below which given parts of a field lie, and their standard errors."""

    levels: Array
    values: Array
    standard_errors: Array


@dataclass(frozen=True)
class Histogram:
    """The density of a field's values: heights between edges, of area one, and their standard errors."""

    edges: Array
    heights: Array
    standard_errors: Array


def quantiles(
    field: Any,
    levels: Sequence[float] = (0.05, 0.5, 0.95),
    *over: Axis | str,
    densities: Mapping[str, Any] | None = None,
    renormalise: bool = False,
    samples: int = SAMPLES,
    seed: int = 0,
) -> Quantiles:
    """Return quantiles of the field's values when all axes are random, from samples of the model.

    Parameters
    ----------
    field : Field
        Hold axes that are not random still first, with ``field.at(...)``.
    levels : sequence of float, default (0.05, 0.5, 0.95)
        Between 0 and 1.
    *over, densities, renormalise
        See `inntd.results.statistics.mean`; no axis may be left.
    samples : int
    seed : int, default 0

    Examples
    --------
    >>> import inntd as it
    >>> x = it.Axis("x", 0, 1, elements=8)
    >>> quantiles(it.CPModel.from_factors([x], [x.nodes[:, None] ** 2]), [0.5, 0.9]).values.round(3)
    array([0.25, 0.81])
    """
    given = _checks.finite_vector("levels", levels)
    if not ((given > 0) & (given < 1)).all():
        raise ValueError(f"levels must lie between 0 and 1, got {given.tolist()}")
    drawn = _drawn(field, over, densities, renormalise, samples, seed)
    found = np.stack([np.quantile(values, given) for values in drawn])
    return Quantiles(given, np.quantile(drawn.reshape(-1), given), _error(found))


def histogram(
    field: Any,
    *over: Axis | str,
    bins: int = BINS,
    densities: Mapping[str, Any] | None = None,
    renormalise: bool = False,
    samples: int = SAMPLES,
    seed: int = 0,
) -> Histogram:
    """Return the density of the field's values when all axes are random, from samples of the model.

    Parameters
    ----------
    field, over, densities, renormalise, samples, seed
        See `quantiles`.
    bins : int, default 50
        Of equal width between the smallest and the largest value.

    Examples
    --------
    >>> import inntd as it
    >>> x = it.Axis("x", 0, 2, elements=8)
    >>> histogram(it.CPModel.from_factors([x], [x.nodes[:, None]]), bins=4).heights.round(2)
    array([0.5, 0.5, 0.5, 0.5])
    """
    bins = _checks.positive_int("bins", bins)
    drawn = _drawn(field, over, densities, renormalise, samples, seed)
    edges = np.histogram_bin_edges(drawn, bins)
    found = np.stack([np.histogram(values, edges, density=True)[0] for values in drawn])
    return Histogram(edges, found.mean(axis=0), _error(found))


def _drawn(
    field: Any, over: tuple[Axis | str, ...], densities: Any, renormalise: bool, samples: int, seed: int
) -> Array:
    """Return values (replicates, N)."""
    given = setting(field, over, densities, renormalise)
    if given.kept:
        raise ValueError(
            f"a distribution needs all axes random, got {', '.join(axis.name for axis in given.kept)} left: "
            "hold them still first, with at(...)"
        )
    units = (sampled.unit_points(len(given.random), samples, seed, r) for r in range(REPLICATES))
    nowhere = np.zeros((1, 0))
    return np.stack([sampled.values(given, nowhere, sampled.random_points(given, unit))[0] for unit in units])


def _error(found: Array) -> Array:
    return np.asarray(found.std(axis=0, ddof=1) / np.sqrt(REPLICATES))
