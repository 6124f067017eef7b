"""Columns and targets from which nothing can be learned: the field is constant along them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from inntd.axes import Axis
from inntd.models import CPModel, Field
from inntd.models.exponential import ExponentialModel
from inntd.training.columns import Column
from inntd.training.options import Options, Trainer
from inntd.training.outcome import FitResult
from inntd.training.rows import Rows

NO_ERRORS = {"training_error": 0.0, "validation_error": None, "validation": None}


def train_active(
    trainer: Trainer, rows: Rows, columns: Sequence[Column], names: Sequence[str], options: Options
) -> FitResult:
    """Train on the columns that are not constant; on the axes of the others the field is constant."""
    active = [d for d, column in enumerate(columns) if not column.constant]
    part = Rows(np.ascontiguousarray(rows.x[:, active]), rows.y, rows.weights)
    result = trainer(part, [columns[d] for d in active], [names[d] for d in active], options.of_columns(active))
    return replace(result, model=_with_constant_axes(result.model, columns, names))


def fit_mean(rows: Rows, columns: Sequence[Column], names: Sequence[str], reason: str) -> FitResult:
    """Return the constant field of the mean target."""
    begin = time.perf_counter()
    mean = np.average(rows.y, axis=0, weights=rows.weights)
    axes = [plain_axis(column, name) for column, name in zip(columns, names, strict=True)]
    factors = [np.ones((axis.size, 1)) for axis in axes]
    if len(mean) > 1:
        axes.append(Axis.discrete("output", len(mean)))
        factors.append(mean[:, None])
    else:
        factors[0] *= mean
    model = CPModel.from_factors(axes, factors)
    seconds = time.perf_counter() - begin
    history = [{"step": 0, "loss": rows.mean_square(rows.y - mean), "seconds": seconds}]
    message = f"{reason}: the model is the mean"
    choices = {"optimizer": "none", "why": message, "rank": 1, **NO_ERRORS}
    return FitResult(model, "converged", message, history, seconds, choices)


def plain_axis(column: Column, name: str) -> Axis:
    """Return an axis with one element that holds a column's values, in its middle where it has but one."""
    if column.categories is not None:
        return Axis.discrete(name, len(column.categories), kind="parameter")
    margin = 0.5 * max(abs(column.low), 1.0) if column.constant else 0.0
    return Axis(name, column.low - margin, column.high + margin, elements=1, kind="parameter")


def _with_constant_axes(model: Field, columns: Sequence[Column], names: Sequence[str]) -> Field:
    constant = {name: column for column, name in zip(columns, names, strict=True) if column.constant}
    if not constant:
        return model
    if isinstance(model, ExponentialModel):
        exponent = _with_constant_axes(model.exponent, columns, names)
        assert isinstance(exponent, CPModel)
        return ExponentialModel(exponent)
    if not isinstance(model, CPModel):
        raise TypeError(f"leave the constant columns out: a {type(model).__name__} takes none")
    own = {axis.name: (axis, factor.detach().numpy()) for axis, factor in zip(model.axes, model.factors, strict=True)}
    for name, column in constant.items():
        axis = plain_axis(column, name)
        own[name] = (axis, np.ones((axis.size, model.rank)))
    order = [*names, *(axis.name for axis in model.axes if axis.name not in names)]
    return CPModel.from_factors([own[name][0] for name in order], [own[name][1] for name in order])
