"""From the rows of a table to a trained field: which optimiser, on which axes, with how many modes, and why."""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from inntd.axes import Axis
from inntd.models import CPModel, Field
from inntd.training.axes import fit_axes
from inntd.training.columns import Column, DataWarning
from inntd.training.constants import fit_mean, train_active
from inntd.training.distributed import any_of
from inntd.training.extrapolation import evaluate
from inntd.training.optimizers import CHOOSE_RANK, choose, fit, refinable, refine, search
from inntd.training.options import Options
from inntd.training.outcome import FitResult
from inntd.training.rows import Rows, hold_out
from inntd.training.scaling import Scaling

Array = npt.NDArray[np.float64]

RANKS = (2, 4, 8, 16, 32, 64)
MOST_JUDGED = 20_000  # rows of the training whose error is reported where rows are many
HELD_OUT = 0.1  # of the rows, unless said otherwise
WORTH = 0.95  # of the error on the rows held out: more modes must do better than this


def train(rows: Rows, columns: Sequence[Column], names: Sequence[str], options: Options) -> FitResult:
    """Return the field of all columns; constant where there is nothing to learn."""
    if all(column.constant for column in columns):
        return fit_mean(rows, columns, names, "all columns are constant")
    if not np.ptp(rows.y, axis=0).any():
        return fit_mean(rows, columns, names, "the target is constant")
    return train_active(_train, rows, columns, names, options)


def _train(rows: Rows, columns: Sequence[Column], names: Sequence[str], options: Options) -> FitResult:
    optimizer, why = choose(rows, columns, options)
    if optimizer == "automatic":
        return _search(rows, columns, names, options, why)
    fraction = HELD_OUT if options.validation_fraction is None else options.validation_fraction
    kept, held = hold_out(len(rows), fraction, options.seed)
    scaling = Scaling.of(rows)
    part, check = scaling.apply(rows.take(kept)), scaling.apply(rows.take(held))
    if optimizer == "als" and refinable(part, options):
        result, with_means = refine(part, columns, names, options, why, scaling.mean / scaling.deviation)
        if with_means:
            scaling = replace(scaling, mean=np.zeros_like(scaling.mean))
            part, check = scaling.apply(rows.take(kept)), scaling.apply(rows.take(held))
        result = _judged(result, part, check)
    else:
        axes = fit_axes(rows.x, columns, names, options.elements, options.s, options.nodes)
        result = _fit_ranks(optimizer, axes, part, check, options)
    assert isinstance(result.model, CPModel)
    if (result.choices["validation_error"] or 0.0) >= 1.0:
        why += "; no better than the mean at the rows held out: do the columns determine the target?"
    shown = [repr(axis) for axis in result.model.axes[: len(columns)]]
    choices = {"optimizer": optimizer, "why": why, "axes": shown, **result.choices}
    return replace(result, model=scaling.undo(result.model), choices=choices)


def _judged(result: FitResult, rows: Rows, held: Rows) -> FitResult:
    """Return a result with its errors among its choices."""
    told = {
        "training_error": _error(result.model, rows.take(np.arange(0, len(rows), -(-len(rows) // MOST_JUDGED)))),
        "validation_error": _error(result.model, held) if len(held) else None,
        "validation": f"{len(held):,} rows held out" if len(held) else None,
    }
    return replace(result, choices={**result.choices, **told})


def _search(rows: Rows, columns: Sequence[Column], names: Sequence[str], options: Options, why: str) -> FitResult:
    """Return the best of many forms and meshes; nothing is held out unless asked for."""
    kept, held = hold_out(len(rows), options.validation_fraction or 0.0, options.seed)
    part, check = rows.take(kept), rows.take(held)
    result = search(part, columns, names, options)
    deviation = Scaling.of(rows).deviation
    told = {
        "optimizer": "automatic",
        "why": why,
        "training_error": _error(result.model, part, deviation),
        "validation_error": _error(result.model, check, deviation) if len(held) else result.choices["score"],
        "validation": f"{len(held):,} rows held out" if len(held) else result.choices["validation"],
    }
    return replace(result, choices={**result.choices, **told})


def _fit_ranks(optimizer: str, axes: Sequence[Axis], rows: Rows, held: Rows, options: Options) -> FitResult:
    """Return the fit with the rank asked for, or with the best of rising ranks, by the rows held out if there are."""
    begin = time.perf_counter()
    best: FitResult | None = None
    errors: dict[str, Any] = {}
    least = np.inf
    history: list[dict[str, Any]] = []
    for rank in _ranks(optimizer, options.rank, len(rows)):
        found = fit(optimizer, axes, rows, rank, options)
        history += [{**entry, "step": len(history) + i} for i, entry in enumerate(found.history, 1)]
        training, validation = _error(found.model, rows), _error(found.model, held) if len(held) else None
        error = training if validation is None else validation
        better = error < WORTH * least
        if best is None or error < least:
            best, least = found, error
            errors = {"training_error": training, "validation_error": validation}
        late = any_of(time.perf_counter() - begin > options.max_seconds)
        if not better or late or found.status in ("interrupted", "diverged"):
            break
    assert best is not None
    by = f"{len(held):,} rows held out" if len(held) else None
    assert isinstance(best.model, CPModel)
    choices = {**best.choices, "rank": best.model.rank, **errors, "validation": by}
    return replace(best, history=history, seconds=time.perf_counter() - begin, choices=choices)


def _ranks(optimizer: str, asked: int | None, most: int) -> Sequence[int | None]:
    if asked is None and optimizer in CHOOSE_RANK:
        return [None]
    if asked is None:
        return [rank for rank in RANKS if rank <= most] or [1]
    if asked > most:
        warnings.warn(
            f"rank={asked} asks for more modes than the {most} different rows can tell apart: {most} are used",
            DataWarning,
            stacklevel=2,
        )
    return [min(asked, most)]


def _error(model: Field, rows: Rows, deviation: Array | float = 1.0) -> float:
    """Return the root mean square error relative to the targets' deviations: one, where they are scaled."""
    outputs = rows.y.shape[1] if rows.y.shape[1] > 1 else None
    values = evaluate(model, rows.x, outputs, "clamp").reshape(rows.y.shape)
    return float(np.sqrt(rows.mean_square((values - rows.y) / deviation)))
