"""Fits of modest data of which everything is chosen from the data: axes, form, modes, functions, smoothness, scale.

Axes carry polynomials (`coordinates.py`), their forms compete in a `race.py`, and the winner becomes a model.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from inntd import _checks
from inntd.axes import Axis
from inntd.models.cp import CPModel
from inntd.models.exponential import ExponentialModel
from inntd.models.field import Field
from inntd.training.coordinates import LARGEST_DEGREE, legendre, polynomial_axis
from inntd.training.outcome import FitResult, FitStatus
from inntd.training.race import Race, Winner
from inntd.training.separated_fit import SeparatedFit

Array = npt.NDArray[np.float64]


def fit_automatic(
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    weights: npt.ArrayLike | None = None,
    names: Sequence[str] | None = None,
    seed: int = 0,
    max_seconds: float = 20.0,
    callback: Callable[[dict[str, Any]], None] | None = None,
) -> FitResult:
    """Fit a separated model to modest data, up to some ten thousand samples of about twenty columns.

    Parameters
    ----------
    x : array (K, D)
        Without NaN or infinity.
    y : array (K,) or (K, C)
        Several outputs are fitted one by one; the model has a last, discrete axis ``output``.
    weights : array (K,), optional
        Non-negative, of the squared residuals.
    names : sequence of D str, optional
        Of the axes; ``x1``, ``x2``, … by default.
    seed : int, default 0
        Of the random first guesses.
    max_seconds : float, default 20.0
        After which no new round begins. A fit that it does not cut short has the same bits every time.
    callback : callable, optional
        Takes each entry of the history.

    Returns
    -------
    FitResult
        The model is a `CPModel`, or an `ExponentialModel` where the logarithm won. Its axes reach a little beyond the
        samples, where these do not repeat at their ends. `choices` tells what was chosen, with the score (the root
        mean square of leave-one-out errors, relative to the deviation of y) of every form.

    Raises
    ------
    ValueError, TypeError
        Where arguments do not fit together, or are not finite.

    Examples
    --------
    >>> x = np.random.default_rng(0).random((200, 3))
    >>> found = fit_automatic(x, np.exp(x[:, 0]) * x[:, 1], max_seconds=5)
    >>> points = np.array([[0.5, 0.2, 0.3]])
    >>> bool(abs(found.model(points).item() - 0.2 * np.exp(0.5)) < 1e-6)
    True
    """
    begun = time.perf_counter()
    points, values, weight = _checked(x, y, weights)
    axes_names = _checked_names(names, points.shape[1])
    max_seconds = _checks.finite_float("max_seconds", max_seconds, positive=True)
    scaled = [Domain.of(column) for column in points.T]
    units = [domain.unit(column) for domain, column in zip(scaled, points.T, strict=True)]
    rows = [legendre(unit, domain.degree) for domain, unit in zip(scaled, units, strict=True)]
    history: list[dict[str, Any]] = []
    columns = values.reshape(len(values), -1)
    winners: list[Winner] = []
    for c, column in enumerate(columns.T):
        recorder = _Recorder(history, callback, begun, {} if values.ndim == 1 else {"output": c})
        share = max_seconds * (c + 1) / columns.shape[1]
        if any(winner.interrupted for winner in winners):
            share = 0.0  # the least that gives a model of the other outputs
        winners.append(Race(rows, column, weight, seed, begun, share, recorder, logarithm=values.ndim == 1).run())
    model = _model(axes_names, scaled, winners, several=values.ndim == 2)
    status, message = _outcome(winners, max_seconds)
    seconds = time.perf_counter() - begun
    choices = _choices(winners, model)
    return FitResult(model, status, message, history, seconds, choices)


@dataclass(frozen=True)
class Domain:
    """The interval of one axis, and the degree that its samples can determine."""

    start: float
    stop: float
    degree: int

    @classmethod
    def of(cls, x: Array) -> Domain:
        """Return the range of samples, and a little more where they do not repeat at its ends."""
        levels, counts = np.unique(x, return_counts=True)
        low, high = float(levels[0]), float(levels[-1])
        if len(levels) == 1:
            size = max(abs(low), 1.0)
            return cls(low - 0.5 * size, low + 0.5 * size, 0)
        margin = (high - low) * min(0.1, 5.0 / len(x))
        start = low - margin * (counts[0] == 1)
        stop = high + margin * (counts[-1] == 1)
        return cls(float(start), float(stop), min(LARGEST_DEGREE, len(levels) - 1))

    def unit(self, x: Array) -> Array:
        """Return coordinates mapped to [0, 1]."""
        return (x - self.start) / (self.stop - self.start)


@dataclass
class _Recorder:
    history: list[dict[str, Any]]
    callback: Callable[[dict[str, Any]], None] | None
    begun: float
    more: dict[str, Any]

    def __call__(self, entry: dict[str, Any]) -> None:
        full = {"step": len(self.history) + 1, **self.more, **entry, "seconds": time.perf_counter() - self.begun}
        self.history.append(full)
        if self.callback is not None:
            self.callback(full)


def _model(names: Sequence[str], domains: Sequence[Domain], winners: Sequence[Winner], *, several: bool) -> Field:
    """Return the winners' functions as one model in the coordinates of the samples."""
    degrees = [
        max(max(fit.terms[d], len(fit.factors[d]) - 1) for winner in winners for fit in winner.fits)
        for d in range(len(names))
    ]
    axes = [
        polynomial_axis(name, domain.start, domain.stop, degree)
        for name, domain, degree in zip(names, domains, degrees, strict=True)
    ]
    tables = [
        legendre(np.clip(domain.unit(axis.nodes), 0.0, 1.0), 2 * (axis.elements // 2))
        for domain, axis in zip(domains, axes, strict=True)
    ]
    parts = [winner.nodal_factors(tables) for winner in winners]
    factors = [np.concatenate([part[d] for part in parts], axis=1) for d in range(len(axes))]
    if several:
        counts = [part[0].shape[1] for part in parts]
        axes.append(Axis.discrete("output", len(winners)))
        factors.append(np.repeat(np.eye(len(winners)), counts, axis=1))
    model = CPModel.from_factors(axes, factors)
    return ExponentialModel(model) if winners[0].runner.logarithm else model


def _degrees(fit: SeparatedFit) -> list[int]:
    return [len(factor) - 1 if fit.modes else 0 for factor in fit.factors]


def _outcome(winners: Sequence[Winner], seconds: float) -> tuple[FitStatus, str]:
    score = max(winner.score for winner in winners)
    message = f"leave-one-out error {score:.1e} of the deviation of y"
    if any(winner.interrupted for winner in winners):
        return "interrupted", f"interrupted: the best model so far, {message}"
    if any(winner.cut for winner in winners):
        return "max_epochs", f"the time of {seconds:g} s is over, {message}: a larger max_seconds may help"
    return "converged", message


def _choices(winners: Sequence[Winner], model: Field) -> dict[str, Any]:
    first, best = winners[0], winners[0].fits[0]
    found: dict[str, Any] = {
        "optimizer": "levenberg_marquardt",
        "form": first.runner.label,
        "scores": first.scores,
        "score": first.score,
        "mean_of": [(member.label, weight) for member, weight in zip(first.members, first.weights, strict=True)],
        "rank": sum(fit.modes for fit in first.fits),
        "additive_degrees": [max(counts) for counts in zip(*(fit.terms for fit in first.fits), strict=True)],
        "degrees": [max(degrees) for degrees in zip(*map(_degrees, first.fits), strict=True)],
        "parameters": sum(fit.parameters for fit in first.fits),
        "noise": float(np.sqrt(best.penalty.variance)) * first.runner.scale,
        "inactive": [
            axis.name
            for d, axis in enumerate(model.axes[: len(best.terms)])
            if not any(fit.terms[d] or _degrees(fit)[d] for fit in first.fits)
        ],
    }
    if len(winners) > 1:
        found["outputs"] = [_choices([winner], model) for winner in winners]
    return found


def _checked(x: npt.ArrayLike, y: npt.ArrayLike, weights: npt.ArrayLike | None) -> tuple[Array, Array, Array | None]:
    points, values = (np.ascontiguousarray(given, dtype=np.float64) for given in (x, y))
    if points.ndim != 2 or points.shape[0] == 0 or points.shape[1] == 0:
        raise ValueError(f"x must have shape (K, D) with at least one sample and column, got {points.shape}")
    if values.ndim not in (1, 2) or len(values) != len(points) or values.size == 0:
        raise ValueError(f"y must have shape ({len(points)},) or ({len(points)}, C), got {values.shape}")
    for name, array in (("x", points), ("y", values)):
        bad = ~np.isfinite(array).reshape(len(array), -1)
        if bad.any():
            places = ", ".join(f"{count} in column {c}" for c, count in enumerate(bad.sum(axis=0)) if count)
            raise ValueError(f"{name} must be finite, got NaN or infinity: {places}; drop these rows")
    if weights is None:
        return points, values, None
    weight = _checks.finite_vector("weights", weights)
    if len(weight) != len(points) or weight.min() < 0 or weight.sum() == 0:
        raise ValueError(f"weights must be {len(points)} non-negative numbers, not all zero, got {len(weight)}")
    return points, values, weight * (len(weight) / weight.sum())


def _checked_names(names: Sequence[str] | None, count: int) -> list[str]:
    if names is None:
        return [f"x{d}" for d in range(1, count + 1)]
    if len(names) != count or len(set(names)) != count:
        raise ValueError(f"names must be {count} different names, one per column of x, got {list(names)}")
    return list(names)
