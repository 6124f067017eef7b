"""From the rows of a table to the logits of classes: axes, modes, and the weight of the penalty."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from inntd.axes import Axis
from inntd.training.axes import fit_axes
from inntd.training.columns import Column
from inntd.training.constants import train_active
from inntd.training.mesh import distinct_levels
from inntd.training.options import Options
from inntd.training.outcome import FitResult
from inntd.training.rows import Rows, hold_out
from inntd.training.softmax import STRENGTHS, fit_softmax

HELD_OUT = 0.2
FEW_ROWS = 1000  # below, each of several parts is held out in turn
FOLDS = 4
TOO_FEW_ROWS, FIXED_STRENGTH = 20, 1e-2  # to choose the strength by
MOST_ELEMENTS, MORE_MODES = 6, 4  # unless said otherwise


def train_classes(rows: Rows, columns: Sequence[Column], names: Sequence[str], options: Options) -> FitResult:
    """Return the logits of classes as a field of all columns, and one more axis."""
    if options.optimizer != "auto":
        raise ValueError(f"optimizer must be 'auto' for classification (L-BFGS), got {options.optimizer!r}")
    if all(column.constant for column in columns):
        raise ValueError("X must tell the classes apart, but every column is constant")
    return train_active(_train_classes, rows, columns, names, options)


def _train_classes(rows: Rows, columns: Sequence[Column], names: Sequence[str], options: Options) -> FitResult:
    begin = time.perf_counter()
    levels = [len(distinct_levels(values)) for values in rows.x.T]
    elements = [given or min(MOST_ELEMENTS, count - 1) for given, count in zip(options.elements, levels, strict=True)]
    axes = fit_axes(rows.x, columns, names, elements, [given or 1 for given in options.s], options.nodes)
    strength, choices, chosen = _strength(axes, rows, options, begin)
    if chosen is not None and chosen.status != "converged":
        result = chosen
    else:
        stronger = [value for value in STRENGTHS if value > strength]
        result = _fit(axes, rows, options, [*stronger, strength], None, begin)
    told = {
        "optimizer": "lbfgs",
        "why": "the likelihood of classes is no sum of squares",
        "axes": [repr(axis) for axis in axes],
        "rank": result.choices["rank"],
        "strength": result.choices["strength"],
        "training_error": result.choices["training_error"],
    }
    return replace(result, choices=told | choices)


def _strength(
    axes: Sequence[Axis], rows: Rows, options: Options, begin: float
) -> tuple[float, dict[str, Any], FitResult | None]:
    """Return the weight of the penalty with the least loss on rows held out, what to report, and the last fit."""
    fraction = HELD_OUT if options.validation_fraction is None else options.validation_fraction
    if options.smoothness is not None:
        return options.smoothness, {"validation_error": None, "validation": None}, None
    if fraction == 0 or len(rows) < TOO_FEW_ROWS:
        return FIXED_STRENGTH, {"validation_error": None, "validation": None}, None
    several = options.validation_fraction is None and len(rows) < FEW_ROWS
    total, result = np.zeros(len(STRENGTHS)), None
    folds = _folds(len(rows), options.seed) if several else [hold_out(len(rows), fraction, options.seed)]
    for kept, held in folds:
        result = _fit(axes, rows.take(kept), options, STRENGTHS, rows.take(held), begin)
        losses = np.array(result.choices["losses"])
        total = total[: len(losses)] + losses[: len(total)] * len(held)
        if result.status != "converged":
            break
    count = sum(len(held) for _, held in folds)
    best = int(np.argmin(total))
    by = f"{FOLDS} parts of the rows held out in turn" if several else f"{count:,} rows held out"
    return STRENGTHS[best], {"validation_error": float(total[best]) / count, "validation": by}, result


def _folds(count: int, seed: int) -> list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
    part = np.random.default_rng(seed).permutation(count) % FOLDS
    return [(np.flatnonzero(part != fold), np.flatnonzero(part == fold)) for fold in range(FOLDS)]


def _fit(
    axes: Sequence[Axis],
    rows: Rows,
    options: Options,
    strengths: Sequence[float],
    held: Rows | None,
    begin: float,
) -> FitResult:
    return fit_softmax(
        axes,
        rows.x,
        rows.y,
        rank=options.rank or 1 + len(axes) + MORE_MODES,
        weights=rows.weights,
        strengths=strengths,
        held_out=None if held is None else (held.x, held.y, held.weights),
        max_seconds=max(options.max_seconds - (time.perf_counter() - begin), 0.0),
        seed=options.seed,
        callback=options.callback,
    )
