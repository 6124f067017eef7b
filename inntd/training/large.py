"""Data larger than memory, read in blocks: as many rows as the error asks for, or passes over all of them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from inntd.models import CPModel, Field
from inntd.training.axes import fit_axes
from inntd.training.batches import Batches, Block, as_rows, choose_rows, read_rows
from inntd.training.columns import Column
from inntd.training.distributed import any_of
from inntd.training.extrapolation import evaluate
from inntd.training.gradient import fit_adam
from inntd.training.options import Options
from inntd.training.outcome import FitResult
from inntd.training.routes import train
from inntd.training.rows import Rows
from inntd.training.scaling import Scaling

Array = npt.NDArray[np.float64]

LARGE = 1 << 28  # bytes of numbers, from which on a file is read in blocks
PARTS = (250_000, 1_000_000, 2_000_000)  # rows to learn from
HELD_OUT = 50_000
SAME = 1.05  # the error at rows held out over that at rows learnt from: more rows would not help
MODES = 16  # of passes over all rows, unless said otherwise


def is_large(rows: int, columns: int) -> bool:
    """Return whether so many numbers are too many to be copied into memory."""
    return 8 * rows * columns >= LARGE


class Checked:
    """Batches whose values are finite: other rows are refused, or left out with ``nan="drop"``."""

    def __init__(self, batches: Batches, names: Sequence[str], nan: str) -> None:
        self.batches, self.columns, self.nan = batches, list(names), nan
        self.names, self.targets = batches.names, batches.targets
        self.width, self.one_target = batches.width, batches.one_target

    def __len__(self) -> int:
        return len(self.batches)

    def blocks(self, random: np.random.Generator | None = None) -> Iterator[Block]:
        """Yield the rows that can be used."""
        for block in self.batches.blocks(random):
            whole = np.asarray(np.isfinite(block.x).all(axis=1) & np.isfinite(block.y).all(axis=1))
            if block.weights is not None:
                whole &= block.weights > 0
            if not whole.all():
                self._refuse(block)
            kept = block if whole.all() else block.take(whole)
            if len(kept.x):
                yield kept

    def _refuse(self, block: Block) -> None:
        """Raise for the first value that must not be there; infinity is never dropped."""
        named = [*(f"column {name!r}" for name in self.columns)]
        named += [f"target {name!r}" for name in self.targets or []] or ["y"] * block.y.shape[1]
        values = np.hstack([block.x, block.y])
        odd = np.argwhere(np.isinf(values) if self.nan == "drop" else ~np.isfinite(values))
        if len(odd):
            row, column = odd[0].tolist()
            remedy = "" if np.isinf(values[row, column]) else ", or pass nan='drop'"
            raise ValueError(
                f"{named[column]} must be finite, got {values[row, column]} in row {int(block.rows[row])} "
                f"({len(odd)} such values among the {len(values):,} rows read with it): remove these rows{remedy}"
            )


@dataclass(frozen=True)
class Scan:
    """What one pass tells: the columns with their ranges, and how many rows there are and can be used."""

    columns: list[Column]
    rows: int
    used: int
    scaling: Scaling


class Moments:
    """Means and deviations of targets, block by block (Chan, Golub, LeVeque, 1983)."""

    def __init__(self) -> None:
        self.weight, self.mean, self.squares = 0.0, np.zeros(1), np.zeros(1)

    def add(self, block: Block) -> None:
        """Count the rows of a block."""
        weight = float(len(block.y)) if block.weights is None else float(block.weights.sum())
        mean = np.average(block.y, axis=0, weights=block.weights)
        squares = weight * np.average((block.y - mean) ** 2, axis=0, weights=block.weights)
        total = self.weight + weight
        self.squares = self.squares + squares + (mean - self.mean) ** 2 * self.weight * weight / total
        self.mean = self.mean + (mean - self.mean) * weight / total
        self.weight = total

    def scaling(self) -> Scaling:
        """Return what makes their mean zero and their deviation one."""
        deviation = np.sqrt(self.squares / self.weight)
        tiny = 1e-14 * np.abs(self.mean)
        return Scaling(self.mean, np.where(deviation > tiny, deviation, 1.0))


class Scaled:
    """Batches with scaled targets."""

    def __init__(self, batches: Batches, scaling: Scaling) -> None:
        self.batches, self.scaling = batches, scaling
        self.names, self.targets = batches.names, batches.targets
        self.width, self.one_target = batches.width, len(scaling.mean) == 1

    def __len__(self) -> int:
        return len(self.batches)

    def blocks(self, random: np.random.Generator | None = None) -> Iterator[Block]:
        """Yield the blocks."""
        for block in self.batches.blocks(random):
            yield replace(block, y=(block.y - self.scaling.mean) / self.scaling.deviation)


def scan(batches: Checked) -> Scan:
    """Return the ranges of the columns from one pass over all rows, or raise for values that are not finite."""
    low = np.full(len(batches.columns), np.inf)
    high, used, moments = -low, 0, Moments()
    for block in batches.blocks():
        if block.x.shape[1] != len(low):
            raise ValueError(f"X must have {len(low)} columns in each block, got {block.x.shape[1]}")
        low, high = np.minimum(low, block.x.min(axis=0)), np.maximum(high, block.x.max(axis=0))
        used += len(block.x)
        moments.add(block)
    if not used:
        raise ValueError(f"no row is left: each of the {len(batches)} lacks a value, its target or a weight")
    ends = zip(batches.columns, low.tolist(), high.tolist(), strict=True)
    return Scan([Column(name, None, *pair) for name, *pair in ends], len(batches), used, moments.scaling())


def train_large(batches: Checked, scan: Scan, names: Sequence[str], options: Options) -> FitResult:
    """Return the field of all columns.

    A random part of the rows is enough where the error at other rows is no larger than at those: then it comes from
    noise, or from the space of functions, and further rows change neither. With ``optimizer="adam"`` all rows are
    read in each epoch.
    """
    if options.optimizer == "adam":
        return _passes(batches, scan, names, options)
    begin, count = time.perf_counter(), len(batches)
    random = np.random.default_rng(options.seed)
    parts = [min(HELD_OUT, count // 10)]
    order = choose_rows(count, PARTS[-1] + parts[0], random)
    held = as_rows(read_rows(batches, order[: parts[0]])) if parts[0] else None
    rest = order[parts[0] :]
    for most in PARTS:
        rows = as_rows(read_rows(batches, rest[:most]))
        if not len(rows):
            raise ValueError(f"{scan.used} of {count} rows are whole, too few to draw a part from: remove the others")
        result = train(rows, scan.columns, names, options)
        learnt = _error(result.model, rows)
        other = learnt if held is None or not len(held) else _error(result.model, held)
        late = any_of(time.perf_counter() - begin > options.max_seconds)
        if other <= SAME * learnt or result.status != "converged" or late or len(rest) <= most:
            break
    told: dict[str, Any] = {"sampled_rows": len(rows)}
    if held is not None and len(held):
        told["validation_error"] = other / (float(held.y.std()) or 1.0)
        told["validation"] = f"{len(held):,} rows held out"
    if len(rest) > most or count > len(order):
        told["why"] = (
            f"{result.choices['why']}; a random part of {count:,} rows, beside which others have "
            f"{other / max(learnt, 1e-300):.2f} times the error"
        )
    return replace(result, seconds=time.perf_counter() - begin, choices={**result.choices, **told})


def _passes(batches: Checked, scan: Scan, names: Sequence[str], options: Options) -> FitResult:
    chosen = choose_rows(len(batches), 200_000, np.random.default_rng(options.seed))
    part = read_rows(batches, chosen).x
    axes = fit_axes(part, scan.columns, names, options.elements, options.s, options.nodes)
    result = fit_adam(
        axes,
        Scaled(batches, scan.scaling),
        None,
        rank=options.rank or MODES,
        validation_fraction=0.1 if options.validation_fraction is None else options.validation_fraction,
        max_seconds=None if np.isinf(options.max_seconds) else options.max_seconds,
        seed=options.seed,
        callback=options.callback,
    )
    judged = [entry["validation_loss"] for entry in result.history if "validation_loss" in entry]
    told = {
        "optimizer": "adam",
        "why": "as asked: all rows in each epoch",
        "training_error": None,
        "validation_error": min(judged) ** 0.5 if judged else None,
        "validation": "rows held out" if judged else None,
    }
    assert isinstance(result.model, CPModel)
    choices = {**result.choices, **told}
    return replace(result, model=scan.scaling.undo(result.model), choices=choices)


def _error(model: Field, rows: Rows) -> float:
    outputs = rows.y.shape[1] if rows.y.shape[1] > 1 else None
    values = evaluate(model, rows.x, outputs, "clamp").reshape(rows.y.shape)
    return float(np.sqrt(rows.mean_square(values - rows.y)))
