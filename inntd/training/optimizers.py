"""The optimisers by name, and which one suits the data."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from inntd.axes import Axis
from inntd.training.als import fit_als
from inntd.training.automatic import fit_automatic
from inntd.training.axes import fit_axes
from inntd.training.boosting import fit_boosting
from inntd.training.columns import Column
from inntd.training.coverage import gaps
from inntd.training.gradient import fit_adam
from inntd.training.lbfgs import fit_lbfgs
from inntd.training.levenberg_marquardt import fit_levenberg_marquardt
from inntd.training.mesh import FineMeshWarning, distinct_levels
from inntd.training.options import Options
from inntd.training.outcome import FitResult
from inntd.training.outputs import fit_outputs
from inntd.training.refinement import SMALL, fit_refined
from inntd.training.rows import Rows

Fit: TypeAlias = Callable[[Sequence[Axis], Rows, "int | None", Options], FitResult]

MOST_ROWS_OF_AUTOMATIC = 10_000
MOST_TARGETS_OF_AUTOMATIC = 8  # each is searched for by itself
SECONDS_OF_AUTOMATIC = 17.0
MOST_ROWS_OF_ALS = 5_000_000
MANY_MODES = 200  # the exact updates of one axis cost their square
MODES_OF_BOOSTING = 64
FEWEST_ROWS_OF_REFINEMENT = 2000
SECONDS_OF_REFINEMENT = 20.0
GAPS = "curvature bridges gaps in the data"
ALL_LEVELS = 100
ROWS_OF_TRIAL, SHARE_OF_TRIAL = 20_000, 0.1
LARGEST_MEAN = 30.0  # in standard deviations: beyond, the mean is no part of a product
BEYOND = 8.0  # parts in K of a column's range
ENOUGH_WITH_GAPS = 2e-3  # error at rows held out, which see nothing of the gaps


def choose(rows: Rows, columns: Sequence[Column], options: Options) -> tuple[str, str]:
    """Return the optimiser that suits the data, and why."""
    if options.optimizer == "automatic":
        reason = _against_automatic(rows, columns, options)
        if reason:
            raise ValueError(f"optimizer='automatic' cannot be taken here: {reason}; take 'als', or leave it to 'auto'")
    if options.optimizer != "auto":
        return options.optimizer, "as asked"
    count = f"{len(rows):,} different rows"
    if len(rows) > MOST_ROWS_OF_ALS:
        return "adam", f"{count}, too many for exact updates of all modes: mini-batches"
    if options.rank is not None and options.rank > MANY_MODES:
        return "lbfgs", f"{options.rank} modes, too many for exact updates of all at once: gradients"
    if len(rows) > MOST_ROWS_OF_AUTOMATIC:
        why = f"{count}: exact updates of all modes, one axis after the other"
        if options.leaves_the_space_open:
            why += ", on meshes from coarse to fine"
        left_out = gaps(rows.x, [column.name for column in columns])
        return "als", why + (f"; {GAPS}: {'; '.join(left_out[:3])}" if left_out else "")
    reason = _against_automatic(rows, columns, options)
    if reason:
        return "als", f"{reason}: exact updates of all modes, one axis after the other"
    return "automatic", f"{count}, few enough to compare forms, meshes and modes by the error at rows left out"


def _against_automatic(rows: Rows, columns: Sequence[Column], options: Options) -> str:
    """Return why the search over forms, meshes and modes cannot be done, or nothing."""
    if rows.y.shape[1] > MOST_TARGETS_OF_AUTOMATIC:
        return f"{rows.y.shape[1]} targets share their modes"
    if not options.leaves_the_space_open:
        return "rank, mesh or smoothness are given"
    for column, values in zip(columns, rows.x.T, strict=True):
        if column.categories is not None and len(np.unique(values)) < len(column.categories):
            return f"some categories of {column.name!r} have no rows"
    return ""


def fit(name: str, axes: Sequence[Axis], rows: Rows, rank: int | None, options: Options) -> FitResult:
    """Train by an optimiser; those in `CHOOSE_RANK` take None for the rank."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FineMeshWarning)  # whoever made the axes has been warned
        return _FITS[name](axes, rows, rank, options)


def search(rows: Rows, columns: Sequence[Column], names: Sequence[str], options: Options) -> FitResult:
    """Search over forms, meshes and modes."""
    categorical = [d for d, column in enumerate(columns) if column.categories is not None]
    seconds = SECONDS_OF_AUTOMATIC if np.isinf(options.max_seconds) else options.max_seconds
    common = {"names": list(names), "categorical": categorical, "max_seconds": seconds, **_common(rows, options)}
    if rows.y.shape[1] > 1:
        return fit_outputs(rows.x, rows.y, **common)
    return fit_automatic(rows.x, rows.y[:, 0], **common)


def refine(
    rows: Rows, columns: Sequence[Column], names: Sequence[str], options: Options, why: str, means: npt.NDArray[Any]
) -> tuple[FitResult, bool]:
    """Train on meshes from coarse to fine; no further than the rows can tell where they leave gaps.

    Targets (K, C) have a mean of zero and a variance of one, and `means` without being centred. What is a product
    before it is centred is a sum afterwards, and the other way round: a short trial tells which has fewer modes.

    Returns
    -------
    FitResult
    bool
        Whether the model is that of targets with their means.
    """
    limits = [len(distinct_levels(column)) - 1 for column in rows.x.T]
    ends = [_levels_or_ends(x, most) for x, most in zip(rows.x.T, limits, strict=True)]

    def make_axes(meshes: Sequence[tuple[int, int]]) -> list[Axis]:
        return [
            fit_axes(ends[d][:, None], [column], [names[d]], [max(min(count, limits[d]), 1)], [s], "uniform")[0]
            for d, (column, (count, s)) in enumerate(zip(columns, meshes, strict=True))
        ]

    def fit_with(part: Rows, offset: npt.NDArray[Any], seconds: float) -> FitResult:
        size = float(np.sqrt(1 + np.mean(offset**2)))
        return fit_refined(
            make_axes, part.x, _targets(replace(part, y=part.y + offset)), enough=enough / size, max_seconds=seconds,
            **_common(part, options),
        )  # fmt: skip

    seconds = SECONDS_OF_REFINEMENT if np.isinf(options.max_seconds) else options.max_seconds
    enough = ENOUGH_WITH_GAPS if GAPS in why else SMALL
    part = rows.take(np.arange(0, len(rows), -(-len(rows) // ROWS_OF_TRIAL)))
    trials: list[tuple[float, bool]] = []
    offsets = {False: np.zeros_like(means), True: means}
    for with_means in offsets if np.abs(means).max() < LARGEST_MEAN else [False]:
        found = fit_with(part, offsets[with_means], SHARE_OF_TRIAL * seconds)
        error = float(np.sqrt(min(entry["loss"] for entry in found.history if "rank" in entry)))
        if error <= enough or found.status == "interrupted":
            return found, with_means
        trials.append((error, with_means))
    best = min(trials)[1]
    return fit_with(rows, offsets[best], (1 - 2 * SHARE_OF_TRIAL) * seconds), best


def _levels_or_ends(x: npt.NDArray[np.float64], intervals: int) -> npt.NDArray[np.float64]:
    """Return what a mesh depends on: all values of a column if they are few, else its range, widened a little.

    The ends of a range that rows are drawn from lie about one part in K beyond them: the model goes on that far.
    """
    if intervals < ALL_LEVELS:
        return np.unique(x)
    beyond = BEYOND / len(x) * (x.max() - x.min())
    return np.linspace(x.min() - beyond, x.max() + beyond, ALL_LEVELS)


def refinable(rows: Rows, options: Options) -> bool:
    """Return whether alternating least squares may choose mesh and modes, and has the rows to."""
    return options.optimizer == "auto" and options.leaves_the_space_open and len(rows) >= FEWEST_ROWS_OF_REFINEMENT


def _als(axes: Sequence[Axis], rows: Rows, rank: int | None, options: Options) -> FitResult:
    smoothness = "auto" if options.smoothness is None else options.smoothness
    return fit_als(
        axes,
        rows.x,
        _targets(rows),
        rank="auto" if rank is None else rank,
        smoothness=smoothness,
        max_seconds=_limit(options),
        **_common(rows, options),
    )


def _boosting(axes: Sequence[Axis], rows: Rows, rank: int | None, options: Options) -> FitResult:
    modes = MODES_OF_BOOSTING if rank is None else rank
    smoothness = "auto" if options.smoothness is None else options.smoothness
    return fit_boosting(
        axes,
        rows.x,
        _targets(rows),
        rank=modes,
        smoothness=smoothness,
        max_seconds=_limit(options),
        **_common(rows, options),
    )


def _adam(axes: Sequence[Axis], rows: Rows, rank: int | None, options: Options) -> FitResult:
    assert rank is not None
    return fit_adam(axes, rows.x, _targets(rows), rank=rank, max_seconds=_limit(options), **_common(rows, options))


def _lbfgs(axes: Sequence[Axis], rows: Rows, rank: int | None, options: Options) -> FitResult:
    assert rank is not None
    return fit_lbfgs(axes, rows.x, _targets(rows), rank=rank, max_seconds=_limit(options), **_common(rows, options))


def _targets(rows: Rows) -> npt.NDArray[np.float64]:
    return rows.y if rows.y.shape[1] > 1 else rows.y[:, 0]


def _common(rows: Rows, options: Options) -> dict[str, Any]:
    return {"weights": rows.weights, "seed": options.seed, "callback": options.callback}


def _limit(options: Options) -> float | None:
    return None if np.isinf(options.max_seconds) else options.max_seconds


def _levenberg_marquardt(axes: Sequence[Axis], rows: Rows, rank: int | None, options: Options) -> FitResult:
    assert rank is not None
    return fit_levenberg_marquardt(
        axes, rows.x, _targets(rows), rank=rank, max_seconds=_limit(options), **_common(rows, options)
    )


_FITS: dict[str, Fit] = {
    "als": _als,
    "boosting": _boosting,
    "adam": _adam,
    "lbfgs": _lbfgs,
    "levenberg_marquardt": _levenberg_marquardt,
}
CHOOSE_RANK = ("als", "boosting")
