"""From the rows of a table to a trained field: which optimiser, on which axes, with how many modes, and why."""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from inntd.axes import Axis
from inntd.models import CPModel, Field
from inntd.training.als import fit_als
from inntd.training.axes import fit_axes
from inntd.training.columns import Column, DataWarning
from inntd.training.constants import fit_mean, train_active
from inntd.training.extrapolation import evaluate
from inntd.training.options import Options
from inntd.training.outcome import FitResult
from inntd.training.rows import Rows, hold_out

RANKS = (2, 4, 8, 16, 32, 64)
HELD_OUT = 0.1  # of the rows, unless said otherwise
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
    return "als", f"{len(rows):,} different rows"


def _train(rows: Rows, columns: Sequence[Column], names: Sequence[str], options: Options) -> FitResult:
    optimizer, why = choose(rows, options)
    axes = fit_axes(rows.x, columns, names, options.elements, options.s, options.nodes)
    fraction = HELD_OUT if options.validation_fraction is None else options.validation_fraction
    kept, held = hold_out(len(rows), fraction, options.seed) if len(rows) > 1 else (np.arange(len(rows)), np.arange(0))
    result = _fit_ranks(axes, rows.take(kept), rows.take(held), options)
    choices = {"optimizer": optimizer, "why": why, "axes": [repr(axis) for axis in axes], **result.choices}
    return replace(result, choices=choices)


def _fit_ranks(axes: Sequence[Axis], rows: Rows, held: Rows, options: Options) -> FitResult:
    """Return the fit with the rank asked for, or double the rank while that helps on the rows held out."""
    begin, most = time.perf_counter(), len(rows)
    if options.rank is not None and options.rank > most:
        warnings.warn(
            f"rank={options.rank} asks for more modes than the {most} different rows can tell apart: {most} are used",
            DataWarning,
            stacklevel=2,
        )
    ranks = [rank for rank in RANKS if rank <= most] or [1]
    if options.rank is not None:
        ranks = [min(options.rank, most)]
    best: FitResult | None = None
    best_error = np.inf
    history: list[dict[str, Any]] = []
    for rank in ranks:
        found = _fit(axes, rows, rank, options, best)
        history += [{**entry, "rank": rank, "step": len(history) + i} for i, entry in enumerate(found.history, 1)]
        error = _error(found.model, held if len(held) else rows)
        better = error < WORTH * best_error
        if error < best_error or best is None:
            best, best_error = found, error
        if (
            not better
            or found.status in ("interrupted", "diverged")
            or time.perf_counter() - begin > options.max_seconds
        ):
            break
    assert best is not None
    choices = {**best.choices, "rank": best.model.rank if isinstance(best.model, CPModel) else None}
    return replace(best, history=history, seconds=time.perf_counter() - begin, choices=choices)


def _fit(axes: Sequence[Axis], rows: Rows, rank: int, options: Options, before: FitResult | None) -> FitResult:
    y = rows.y if rows.y.shape[1] > 1 else rows.y[:, 0]
    smoothness: float | str = "auto" if options.smoothness is None else options.smoothness
    return fit_als(
        axes,
        rows.x,
        y,
        rank=rank,
        weights=rows.weights,
        smoothness=smoothness,
        seed=options.seed,
        callback=options.callback,
    )


def _error(model: Field, rows: Rows) -> float:
    outputs = rows.y.shape[1] if rows.y.shape[1] > 1 else None
    values = evaluate(model, rows.x, outputs, "clamp").reshape(rows.y.shape)
    return float(np.sqrt(rows.mean_square(values - rows.y)))
