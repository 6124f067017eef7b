"""Levenberg and Marquardt's method for separated models on given axes, with a penalty that the data choose."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from inntd import _checks
from inntd.axes import Axis
from inntd.models.cp import CPModel
from inntd.training.coordinates import curvature_coordinates
from inntd.training.outcome import FitResult, FitStatus
from inntd.training.separated_fit import Samples, SeparatedFit
from inntd.training.starts import random_start

Array = npt.NDArray[np.float64]


def fit_levenberg_marquardt(
    axes: Sequence[Axis],
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    rank: int,
    weights: npt.ArrayLike | None = None,
    seed: int = 0,
    callback: Callable[[dict[str, Any]], None] | None = None,
    max_steps: int = 100,
    tolerance: float = 1e-4,
) -> FitResult:
    """Fit a CP model of a given rank on given axes by damped Gauss-Newton steps on all factors at once.

    For up to about a thousand coefficients: each step factorises their dense normal matrix. Roughness and noise are
    estimated on the way, so that axes may have more functions than samples determine.

    Parameters
    ----------
    axes : sequence of D Axis
        Their ranges cover the samples.
    x : array (K, D)
    y : array (K,) or (K, C)
        With C outputs the model has a last, discrete axis ``output``.
    rank : int
        Modes, besides one for the mean.
    weights : array (K,), optional
        Non-negative, of the squared residuals.
    seed : int, default 0
        Of the first factors: one plus small random slopes.
    callback : callable, optional
        Takes the entry of the history after each step.
    max_steps : int, default 100
    tolerance : float, default 1e-4
        The fit has converged when three steps in a row lower its goal by less than this share.

    Returns
    -------
    FitResult

    Examples
    --------
    >>> import inntd as it
    >>> axes = [it.Axis(name, 0, 1, elements=6) for name in "xy"]
    >>> x = np.random.default_rng(0).random((300, 2))
    >>> found = fit_levenberg_marquardt(axes, x, np.sin(x[:, 0]) * np.exp(x[:, 1]), rank=1)
    >>> found.status, bool(found.history[-1]["loss"] < 1e-12)
    ('converged', True)
    """
    begun, rank = time.perf_counter(), _checks.positive_int("rank", rank)
    max_steps = _checks.positive_int("max_steps", max_steps)
    axes, points, values, weight = _long_form(axes, x, y, weights)
    coordinates = [curvature_coordinates(axis) for axis in axes]
    centre, scale = float(np.average(values, weights=weight)), float(np.std(values)) or 1.0
    rows = [found.rows(column) for found, column in zip(coordinates, points.T, strict=True)]
    samples = Samples(rows, (values - centre) / scale, weight)
    fit, random = SeparatedFit.empty([0] * len(axes), [r.shape[1] for r in rows], 0.1), np.random.default_rng(seed)
    modes = [random_start([r.shape[1] for r in rows], random) for _ in range(rank)]
    fit.factors = [np.column_stack([0.1 ** (d == 0) * mode[d] for mode in modes]) for d in range(len(axes))]
    for tau, found in zip(fit.penalty.factors, coordinates, strict=True):
        tau[1:] = np.minimum(found.roughness[1:], 1e3)
    history: list[dict[str, Any]] = []
    status: FitStatus = "max_epochs"
    best = fit.copy()
    try:
        little = 0
        for step in range(1, max_steps + 1):
            little = little + 1 if fit.step(samples) < tolerance else 0
            best = fit.copy()
            entry = {"step": step, "loss": fit.loss / len(values) * scale**2, "seconds": time.perf_counter() - begun}
            history.append(entry | {"noise": float(np.sqrt(fit.penalty.variance)) * scale})
            if callback is not None:
                callback(history[-1])
            if little == 3:
                status = "converged"
                break
    except KeyboardInterrupt:
        status = "interrupted"
    model = CPModel.from_factors(axes, _nodal(best, [found.nodal for found in coordinates], centre, scale))
    message = {
        "converged": "three steps in a row gained little",
        "max_epochs": f"{max_steps} steps are over: a larger max_steps may help",
        "interrupted": "interrupted: the best model so far",
    }[status]
    choices = {"optimizer": "levenberg_marquardt", "rank": rank, "parameters": fit.parameters}
    return FitResult(model, status, message, history, time.perf_counter() - begun, choices)


def _nodal(fit: SeparatedFit, tables: Sequence[Array], centre: float, scale: float) -> list[Array]:
    factors = [
        np.column_stack([np.ones(len(table)), table[:, : len(factor)] @ factor])
        for table, factor in zip(tables, fit.factors, strict=True)
    ]
    factors[0] *= np.concatenate([[centre + scale * fit.linear[0]], np.full(fit.modes, scale)])
    return factors


def _long_form(
    axes: Sequence[Axis], x: npt.ArrayLike, y: npt.ArrayLike, weights: npt.ArrayLike | None
) -> tuple[list[Axis], Array, Array, Array | None]:
    """Return checked samples with one output each: several outputs are one more column of points."""
    points, values = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != len(axes) or len(points) == 0:
        raise ValueError(f"x must have shape (K, {len(axes)}), one column per axis, got {points.shape}")
    if values.ndim not in (1, 2) or len(values) != len(points) or not np.isfinite(values).all():
        raise ValueError(f"y must be finite, of shape ({len(points)},) or ({len(points)}, C), got {values.shape}")
    weight = None if weights is None else _checks.finite_vector("weights", weights)
    if weight is not None:
        if len(weight) != len(points) or weight.min() < 0 or weight.sum() == 0:
            raise ValueError(f"weights must be {len(points)} non-negative numbers, not all zero, got {len(weight)}")
        weight = weight * (len(weight) / weight.sum())
    checked = np.column_stack([axis.check_points(column, "x") for axis, column in zip(axes, points.T, strict=True)])
    if values.ndim == 1:
        return list(axes), checked, values, weight
    count = values.shape[1]
    long = np.column_stack([np.repeat(checked, count, axis=0), np.tile(np.arange(count), len(checked))])
    weight = None if weight is None else np.repeat(weight, count)
    return [*axes, Axis.discrete("output", count)], long, values.reshape(-1), weight
