"""From the rows of a table to the logits of classes: axes, modes, and the weight of the penalty."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from inntd.axes import Axis
from inntd.training.axes import fit_axes
from inntd.training.columns import Column
from inntd.training.constants import train_active
from inntd.training.mesh import distinct_levels
from inntd.training.options import Options
from inntd.training.outcome import FitResult
from inntd.training.rows import Rows, hold_out
from inntd.training.softmax import FEW_ROWS, fit_softmax

HELD_OUT = 0.2
MOST_ELEMENTS, MORE_MODES = 6, 4  # unless said otherwise


def train_classes(rows: Rows, columns: Sequence[Column], names: Sequence[str], options: Options) -> FitResult:
    """Return the logits of classes as a field of all columns, and one more axis."""
    if options.optimizer != "auto":
        raise ValueError(f"optimizer must be 'auto' for classification (L-BFGS), got {options.optimizer!r}")
    if all(column.constant for column in columns):
        raise ValueError("X must tell the classes apart, but every column is constant")
    return train_active(_train_classes, rows, columns, names, options)


def _train_classes(rows: Rows, columns: Sequence[Column], names: Sequence[str], options: Options) -> FitResult:
    levels = [len(distinct_levels(values)) for values in rows.x.T]
    elements = [given or min(MOST_ELEMENTS, count - 1) for given, count in zip(options.elements, levels, strict=True)]
    axes = fit_axes(rows.x, columns, names, elements, [given or 1 for given in options.s], options.nodes)
    fraction = HELD_OUT if options.validation_fraction is None else options.validation_fraction
    if len(rows) < FEW_ROWS and options.validation_fraction is None:
        fraction = 0.0
    kept, held = hold_out(len(rows), fraction, options.seed)
    held_rows = rows.take(held) if len(held) else None
    result = _fit_classes(axes, rows.take(kept), options, options.smoothness, held_rows)
    choices = result.choices
    if held_rows is not None and result.status == "converged":  # the strength is chosen: now with all rows
        final = _fit_classes(axes, rows, options, choices["strength"], None)
        result = replace(final, history=result.history + final.history, seconds=result.seconds + final.seconds)
        choices = {**choices, "training_error": final.choices["training_error"]}
    told = {
        "optimizer": "lbfgs",
        "why": "the likelihood of classes is no sum of squares",
        "axes": [repr(axis) for axis in axes],
        "validation": f"{len(held):,} rows held out" if len(held) else None,
    }
    return replace(result, choices={**told, **choices})


def _fit_classes(
    axes: Sequence[Axis], rows: Rows, options: Options, strength: float | None, held: Rows | None
) -> FitResult:
    return fit_softmax(
        axes,
        rows.x,
        rows.y,
        rank=options.rank or 1 + len(axes) + MORE_MODES,
        weights=rows.weights,
        strength=strength,
        held_out=None if held is None else (held.x, held.y, held.weights),
        max_seconds=options.max_seconds,
        seed=options.seed,
        callback=options.callback,
    )
