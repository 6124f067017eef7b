"""Fits of modest data of which everything is chosen from the data: axes, form, modes, functions, smoothness, scale.

A race between forms: an additive part plus modes or modes alone, for the values or for their logarithm. All grow for a
few rounds (`growth.py`), the two with the smallest leave-one-out errors to their end, and the better one is the model.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls

from inntd import _checks
from inntd.axes import Axis
from inntd.models.cp import CPModel
from inntd.models.exponential import ExponentialModel
from inntd.models.field import Field
from inntd.training.coordinates import LARGEST_DEGREE, legendre, polynomial_axis
from inntd.training.growth import EXACT, Growth, Settings
from inntd.training.outcome import FitResult, FitStatus
from inntd.training.separated_fit import Samples, SeparatedFit

Array = npt.NDArray[np.float64]

RACE_ROUNDS = 5
FINALISTS = 2
GOOD = 1e-5  # a score below which a form ten times worse has no chance
CONTENDER = 3.0  # times the best score, up to which a form has a part in the mean
WORTH = 0.97  # of the best score that a mean of forms must reach, having more modes
FEW = 300  # samples for which growths are cheap and much depends on chance: several of each form race
SHAPES = ((3, 2), (3, 1), (4, 2))  # functions of an axis at the start, and that it gets at a time
RACE_SAMPLES = 2000  # that choose the form; all of them train it
LOGARITHM_FROM = 1.5  # ratio of the largest to the smallest value
SHARES = (0.5, 0.9)  # of the time: after the race, after the growth


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
    winners = []
    for c, column in enumerate(columns.T):
        recorder = _Recorder(history, callback, begun, {} if values.ndim == 1 else {"output": c})
        share = max_seconds * (c + 1) / columns.shape[1]
        race = Race(rows, column, weight, seed, begun, share, recorder, logarithm=values.ndim == 1)
        winners.append(race.run())
        if winners[-1].interrupted and c + 1 < columns.shape[1]:
            raise KeyboardInterrupt
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
class Runner:
    """One form in the race."""

    label: str
    growth: Growth
    centre: float
    scale: float
    logarithm: bool

    def errors(self) -> Array:
        """Return the leave-one-out errors (K,) in the units of y or of its logarithm."""
        return self.scale * self.growth.best.leave_one_out(self.growth.samples)

    def score_of(self, errors: Array) -> float:
        """Return the score of leave-one-out errors in the units of the growth."""
        return self.growth.score_of(errors)


@dataclass
class Winner:
    """The form that won, alone or as a weighted mean with others, and how the race went."""

    runner: Runner
    members: list[Runner]
    weights: list[float]
    score: float
    scores: dict[str, float]
    cut: bool = False
    interrupted: bool = False

    @property
    def fits(self) -> list[SeparatedFit]:
        """The functions on the unit box."""
        return [member.growth.best for member in self.members]

    def nodal_factors(self, tables: Sequence[Array]) -> list[Array]:
        """Return factors from the nodal values (n_d, N_d) of the functions of each axis."""
        centre, scale = self.runner.centre, self.runner.scale
        parts = [
            nodal_factors(fit, tables, centre * w, scale * w) for fit, w in zip(self.fits, self.weights, strict=True)
        ]
        return [np.concatenate(factors, axis=1) for factors in zip(*parts, strict=True)]


@dataclass
class Race:
    """The forms of one output, and the rules by which one of them wins."""

    rows: list[Array]
    y: Array
    weights: Array | None
    seed: int
    begun: float
    seconds: float
    recorder: _Recorder
    logarithm: bool = True
    runners: list[Runner] = field(default_factory=list)

    def run(self) -> Winner:
        """Return the winner; an interrupt ends the race where it stands."""
        interrupted = False
        try:
            self._compete()
        except KeyboardInterrupt:
            interrupted = True
            if not self.runners:
                raise
        ranked = sorted(self.runners, key=lambda runner: runner.growth.score)
        best = ranked[0]
        scores: dict[str, float] = {}
        for runner in ranked:
            scores.setdefault(runner.label, runner.growth.score)
        cut = not best.growth.finished or self._left(1.0) < 0
        members, weights, score = self._mean(ranked)
        return Winner(best, members, weights, score, scores, cut, interrupted)

    def _mean(self, ranked: Sequence[Runner]) -> tuple[list[Runner], list[float], float]:
        """Return the runners, on the scale of the best one, whose weighted mean has the least leave-one-out errors."""
        best = ranked[0]
        if not EXACT <= best.growth.score < np.inf:
            return [best], [1.0], best.growth.score
        chosen = [
            runner
            for runner in ranked
            if runner.logarithm == best.logarithm and runner.growth.score < CONTENDER * best.growth.score
        ]
        errors = np.column_stack([runner.errors() for runner in chosen])
        factor = self.y[:, None] if best.logarithm else 1.0
        weights = least_mean(errors * factor * np.sqrt(1.0 if self.weights is None else self.weights[:, None]))
        score = best.score_of(errors @ weights / best.scale)
        if not score < WORTH * best.growth.score:
            return [best], [1.0], best.growth.score
        kept = [(runner, float(w)) for runner, w in zip(chosen, weights, strict=True) if w > 0]
        return [runner for runner, _ in kept], [weight for _, weight in kept], score

    def _left(self, share: float) -> float:
        return self.begun + share * self.seconds - time.perf_counter()

    def _compete(self) -> None:
        spread = float(np.std(self.y))
        few = len(self.y) < FEW
        for (first, more), (logarithm, additive) in product(SHAPES if few else SHAPES[:1], self._forms()):
            if self.runners and (self._left(SHARES[0]) < 0 or self.runners[-1].growth.score < EXACT):
                break
            settings = Settings(additive=additive, seed=self.seed, first=first, more=more)
            self.runners.append(self._runner(logarithm, settings, spread))
            self.runners[-1].growth.run(RACE_ROUNDS, self._deadline(SHARES[0]))
        ranked = sorted(self.runners, key=lambda runner: runner.growth.score)
        finalists = ranked[: len(ranked) if few else FINALISTS]
        for place, runner in enumerate(finalists):
            if ranked[0].growth.score < min(GOOD, 0.1 * runner.growth.score):
                break
            left = self._left(SHARES[1])
            runner.growth.run(1000, time.perf_counter() + left / (len(finalists) - place))
            runner.growth.polish(40, self._deadline(1.0))

    def _deadline(self, share: float) -> float:
        return self.begun + share * self.seconds

    def _forms(self) -> list[tuple[bool, bool]]:
        low, high = float(self.y.min()), float(self.y.max())
        forms = [(False, True), (False, False)]
        if self.logarithm and low > 0 and high > LOGARITHM_FROM * low:
            forms += [(True, True), (True, False)]
        return forms if len(self.rows) > 1 else forms[::2]

    def _runner(self, logarithm: bool, settings: Settings, spread: float) -> Runner:
        z = np.log(self.y) if logarithm else self.y
        centre, scale = float(np.average(z, weights=self.weights)), float(np.std(z)) or 1.0
        samples = Samples(self.rows, (z - centre) / scale, self.weights)
        size = spread or 1.0

        def score(errors: Array) -> float:
            wrong = self.y * -np.expm1(-np.clip(scale * errors, -50, 50)) if logarithm else scale * errors
            return float(np.sqrt(np.average(wrong**2, weights=self.weights))) / size

        label = ("log, " if logarithm else "") + ("additive + CP" if settings.additive else "CP")

        def tell(entry: dict[str, Any]) -> None:
            self.recorder({"form": label, "loss": (entry["score"] * size) ** 2} | entry)

        growth = Growth(samples, settings, score, tell)
        return Runner(label, growth, centre, scale, logarithm)


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


def nodal_factors(fit: SeparatedFit, tables: Sequence[Array], centre: float, scale: float) -> list[Array]:
    """Return ``centre + scale f`` as factors: a constant, one mode per additive term, and the modes.

    Parameters
    ----------
    tables : list of D arrays (n_d, N_d)
        Nodal values of the functions of each axis.
    """
    used = [d for d, count in enumerate(fit.terms) if count]
    places = np.cumsum([1, *fit.terms])
    ones = [np.ones((len(table), 1 + len(used))) for table in tables]
    ones[0][:, 0] = centre + scale * fit.linear[0]
    for place, d in enumerate(used, start=1):
        ones[d][:, place] = scale * (tables[d][:, 1 : 1 + fit.terms[d]] @ fit.linear[places[d] : places[d + 1]])
    modes = [table[:, : len(factor)] @ factor for table, factor in zip(tables, fit.factors, strict=True)]
    modes[0] = scale * modes[0]
    return [np.concatenate([one, mode], axis=1) for one, mode in zip(ones, modes, strict=True)]


def least_mean(errors: Array) -> Array:
    """Return non-negative weights (n,) with sum one of the columns (K, n) for which their mean is shortest.

    Examples
    --------
    >>> least_mean(np.array([[1.0, -1.0], [1.0, 1.0]])).round(6)
    array([0.5, 0.5])
    """
    size = 1e3 * float(np.sqrt((errors**2).sum(axis=0).min())) or 1.0
    weights, _ = nnls(np.vstack([errors, np.full(errors.shape[1], size)]), np.append(np.zeros(len(errors)), size))
    found: Array = weights / weights.sum()
    return found


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
