"""The optimisers by name, and which one suits the data."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from inntd.axes import Axis
from inntd.training.als import fit_als
from inntd.training.automatic import fit_automatic
from inntd.training.boosting import fit_boosting
from inntd.training.columns import Column
from inntd.training.gradient import fit_adam
from inntd.training.lbfgs import fit_lbfgs
from inntd.training.mesh import FineMeshWarning
from inntd.training.options import Options
from inntd.training.outcome import FitResult
from inntd.training.outputs import fit_outputs
from inntd.training.rows import Rows

Fit: TypeAlias = Callable[[Sequence[Axis], Rows, "int | None", Options], FitResult]

MOST_ROWS_OF_AUTOMATIC = 10_000
MOST_TARGETS_OF_AUTOMATIC = 8  # each is searched for by itself
SECONDS_OF_AUTOMATIC = 20.0
MOST_ROWS_OF_ALS = 5_000_000
MANY_MODES = 200  # the exact updates of one axis cost their square
MODES_OF_BOOSTING = 64


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
        return "als", f"{count}: exact updates of all modes, one axis after the other"
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


_FITS: dict[str, Fit] = {"als": _als, "boosting": _boosting, "adam": _adam, "lbfgs": _lbfgs}
CHOOSE_RANK = ("als", "boosting")
