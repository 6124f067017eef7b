"""From the rows of a table to a trained field: which optimiser, on which axes, with how many modes, and why."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from inntd.axes import Axis
from inntd.models import CPModel, Field
from inntd.training.als import fit_als
from inntd.training.axes import fit_axes
from inntd.training.columns import Column, DataWarning
from inntd.training.constants import fit_mean, train_active
from inntd.training.extrapolation import evaluate
from inntd.training.gradient import fit_adam
from inntd.training.options import Options
from inntd.training.outcome import FitResult
from inntd.training.rows import Rows, hold_out
from inntd.training.scaling import Scaling

Array = npt.NDArray[np.float64]

RANKS = (2, 4, 8, 16, 32, 64)
HELD_OUT = 0.1  # of the rows, unless said otherwise
MOST_ROWS_OF_ALS = 5_000_000
WORTH = 0.95  # of the error on the rows held out: more modes must do better than this


def train(rows: Rows, columns: Sequence[Column], names: Sequence[str], options: Options) -> FitResult:
    """Return the field of all columns; constant where there is nothing to learn."""
    if all(column.constant for column in columns):
        return fit_mean(rows, columns, names, "all columns are constant")
    if not np.ptp(rows.y, axis=0).any():
        return fit_mean(rows, columns, names, "the target is constant")
    return train_active(_train, rows, columns, names, options)


def choose(rows: Rows, options: Options) -> tuple[str, str]:
    """Return the optimiser that suits the data, and why."""
    if options.optimizer != "auto":
        return options.optimizer, "as asked"
    count = f"{len(rows):,} different rows"
    if len(rows) > MOST_ROWS_OF_ALS:
        return "adam", f"{count}: too many for the exact updates of alternating least squares"
    return "als", f"{count}: exact updates, one axis after the other"


def _train(rows: Rows, columns: Sequence[Column], names: Sequence[str], options: Options) -> FitResult:
    optimizer, why = choose(rows, options)
    axes = fit_axes(rows.x, columns, names, options.elements, options.s, options.nodes)
    fraction = HELD_OUT if options.validation_fraction is None else options.validation_fraction
    kept, held = hold_out(len(rows), fraction, options.seed)
    scaling = Scaling.of(rows)
    result = _fit_ranks(optimizer, axes, scaling.apply(rows.take(kept)), scaling.apply(rows.take(held)), options)
    assert isinstance(result.model, CPModel)
    choices = {"optimizer": optimizer, "why": why, "axes": [repr(axis) for axis in axes], **result.choices}
    return replace(result, model=scaling.undo(result.model), choices=choices)


def _fit_ranks(optimizer: str, axes: Sequence[Axis], rows: Rows, held: Rows, options: Options) -> FitResult:
    """Return the fit with the rank asked for, or with the best of rising ranks, by the rows held out if there are."""
    begin = time.perf_counter()
    best: FitResult | None = None
    errors: dict[str, Any] = {}
    least = np.inf
    history: list[dict[str, Any]] = []
    for rank in _ranks(options.rank, len(rows)):
        found = FITS[optimizer](axes, rows, rank, options)
        history += [{**entry, "rank": rank, "step": len(history) + i} for i, entry in enumerate(found.history, 1)]
        training, validation = _error(found.model, rows), _error(found.model, held) if len(held) else None
        error = training if validation is None else validation
        better = error < WORTH * least
        if best is None or error < least:
            best, least = found, error
            errors = {"rank": rank, "training_error": training, "validation_error": validation}
        late = time.perf_counter() - begin > options.max_seconds
        if not better or late or found.status in ("interrupted", "diverged"):
            break
    assert best is not None
    by = f"{len(held):,} rows held out" if len(held) else None
    choices = {**best.choices, **errors, "validation": by}
    return replace(best, history=history, seconds=time.perf_counter() - begin, choices=choices)


def _ranks(asked: int | None, most: int) -> list[int]:
    if asked is None:
        return [rank for rank in RANKS if rank <= most] or [1]
    if asked > most:
        warnings.warn(
            f"rank={asked} asks for more modes than the {most} different rows can tell apart: {most} are used",
            DataWarning,
            stacklevel=2,
        )
    return [min(asked, most)]


def _als(axes: Sequence[Axis], rows: Rows, rank: int, options: Options) -> FitResult:
    smoothness = "auto" if options.smoothness is None else options.smoothness
    return fit_als(axes, rows.x, _targets(rows), rank=rank, smoothness=smoothness, **_common(rows, options))


def _adam(axes: Sequence[Axis], rows: Rows, rank: int, options: Options) -> FitResult:
    limit = None if np.isinf(options.max_seconds) else options.max_seconds
    return fit_adam(axes, rows.x, _targets(rows), rank=rank, max_seconds=limit, **_common(rows, options))


def _targets(rows: Rows) -> Array:
    return rows.y if rows.y.shape[1] > 1 else rows.y[:, 0]


def _common(rows: Rows, options: Options) -> dict[str, Any]:
    return {"weights": rows.weights, "seed": options.seed, "callback": options.callback}


FITS: dict[str, Callable[[Sequence[Axis], Rows, int, Options], FitResult]] = {"als": _als, "adam": _adam}


def _error(model: Field, rows: Rows) -> float:
    """Return the root mean square error: of scaled targets, relative to their standard deviation."""
    outputs = rows.y.shape[1] if rows.y.shape[1] > 1 else None
    values = evaluate(model, rows.x, outputs, "clamp").reshape(rows.y.shape)
    return float(np.sqrt(rows.mean_square(values - rows.y)))
