"""Data larger than memory, in a memory-mapped array: as many rows as the error asks for, or passes over all of them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from inntd.models import Field
from inntd.training.axes import fit_axes
from inntd.training.columns import Column
from inntd.training.extrapolation import evaluate
from inntd.training.gradient import fit_adam
from inntd.training.options import Options
from inntd.training.outcome import FitResult
from inntd.training.routes import train
from inntd.training.rows import Rows, collect

Array = npt.NDArray[np.float64]

LARGE = 1 << 28  # bytes, from which on a memory-mapped array is not copied
BLOCK = 1 << 19  # rows that are read at once
PARTS = (250_000, 1_000_000, 2_000_000)  # rows to learn from
HELD_OUT = 50_000
SAME = 1.05  # the error at rows held out over that at rows learnt from: more rows would not help
MODES = 16  # of passes over all rows, unless said otherwise


def is_large(X: Any) -> bool:
    """Return whether the data are mapped into memory and too large to be copied."""
    return isinstance(X, np.memmap) and X.nbytes >= LARGE


def scan(X: Any, y: Any, names: Sequence[str]) -> list[Column]:
    """Return the columns with their ranges from one pass over all rows, or raise for values that are not finite."""
    low, high = np.full(X.shape[1], np.inf), np.full(X.shape[1], -np.inf)
    for begin, x, values in _blocks(X, y):
        for place, numbers in (("X", x), ("y", values)):
            odd = np.argwhere(~np.isfinite(numbers))
            if len(odd):
                row, column = int(odd[0, 0]), int(odd[0, 1])
                what = f"column {names[column]!r}" if place == "X" else "y"
                raise ValueError(f"{what} must be finite, got {numbers[row, column]} in row {begin + row}")
        low, high = np.minimum(low, x.min(axis=0)), np.maximum(high, x.max(axis=0))
    return [Column(name, None, *ends) for name, *ends in zip(names, low.tolist(), high.tolist(), strict=True)]


def train_mapped(X: Any, y: Any, columns: Sequence[Column], names: Sequence[str], options: Options) -> FitResult:
    """Return the field of all columns.

    A random part of the rows is enough where the error at other rows is no larger than at those: then it comes from
    noise, or from the space of functions, and further rows change neither. With ``optimizer="adam"`` all rows are
    read in each epoch.
    """
    if options.optimizer == "adam":
        return _passes(X, y, columns, names, options)
    begin, count = time.perf_counter(), len(X)
    order = np.random.default_rng(options.seed).permutation(count)
    held = _take(X, y, order[: min(HELD_OUT, count // 10)])
    rest = order[len(held) :]
    for most in PARTS:
        rows = _take(X, y, rest[:most])
        result = train(rows, columns, names, options)
        learnt, other = _error(result.model, rows), _error(result.model, held)
        late = time.perf_counter() - begin > options.max_seconds
        if other <= SAME * learnt or result.status != "converged" or late or len(rest) <= most:
            break
    deviation = float(held.y.std()) or 1.0
    told = {
        "validation_error": other / deviation,
        "validation": f"{len(held):,} rows held out",
        "sampled_rows": len(rows),
        "why": f"{result.choices['why']}; a random part of {count:,} rows, beside which others have "
        f"{other / max(learnt, 1e-300):.2f} times the error",
    }
    return replace(result, seconds=time.perf_counter() - begin, choices={**result.choices, **told})


def _passes(X: Any, y: Any, columns: Sequence[Column], names: Sequence[str], options: Options) -> FitResult:
    part = np.asarray(X[:: max(1, len(X) // 200_000)], dtype=np.float64)
    axes = fit_axes(part, columns, names, options.elements, options.s, options.nodes)
    result = fit_adam(
        axes,
        X,
        y,
        rank=options.rank or MODES,
        validation_fraction=0.1 if options.validation_fraction is None else options.validation_fraction,
        max_seconds=None if np.isinf(options.max_seconds) else options.max_seconds,
        seed=options.seed,
        callback=options.callback,
    )
    told = {"optimizer": "adam", "why": "as asked: all rows in each epoch", "training_error": None}
    return replace(result, choices={**result.choices, **told, "validation_error": None, "validation": None})


def _blocks(X: Any, y: Any) -> Iterator[tuple[int, Array, Array]]:
    for begin in range(0, len(X), BLOCK):
        x, values = X[begin : begin + BLOCK], y[begin : begin + BLOCK]
        yield begin, np.asarray(x, dtype=np.float64), np.asarray(values, dtype=np.float64).reshape(len(x), -1)


def _take(X: Any, y: Any, chosen: npt.NDArray[np.int64]) -> Rows:
    where = np.sort(chosen)
    x = np.asarray(X[where], dtype=np.float64)
    return collect(x, np.asarray(y[where], dtype=np.float64).reshape(len(x), -1), None)[0]


def _error(model: Field, rows: Rows) -> float:
    outputs = rows.y.shape[1] if rows.y.shape[1] > 1 else None
    values = evaluate(model, rows.x, outputs, "clamp").reshape(rows.y.shape)
    return float(np.sqrt(rows.mean_square(values - rows.y)))
