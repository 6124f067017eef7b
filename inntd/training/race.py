"""A race between forms: an additive part plus modes or modes alone, for the values or for their logarithm.

All grow for a few rounds (`growth.py`), the two with the smallest leave-one-out errors to their end. The winner is the
better one, or the weighted mean of several whose errors cancel. With few samples much depends on chance, and growths
are cheap: several of each form race, and all of them to the end. Of many samples some decide; all train the winner.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls

from inntd.training.growth import EXACT, Growth, Score, Settings
from inntd.training.separated_fit import Samples, SeparatedFit

Array = npt.NDArray[np.float64]
Tell = Callable[[dict[str, Any]], None]

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


@dataclass
class Race:
    """The forms of one output, and the rules by which one of them wins."""

    rows: list[Array]
    y: Array
    weights: Array | None
    seed: int
    begun: float
    seconds: float
    tell: Tell
    logarithm: bool = True
    runners: list[Runner] = field(default_factory=list)
    scores: dict[str, float] = field(default_factory=dict)

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
        scores = dict(self.scores)
        for runner in ranked:
            scores.setdefault(runner.label, runner.growth.score)
        cut = not best.growth.finished or self._left(1.0) < 0
        members, weights, score = self._mean(ranked)
        return Winner(best, members, weights, score, scores, cut, interrupted)

    def _mean(self, ranked: Sequence[Runner]) -> tuple[list[Runner], list[float], float]:
        """Return the runners, on the scale of the best one, whose weighted mean has the least leave-one-out errors."""
        best = ranked[0]
        if not EXACT <= best.growth.score < np.inf or self.drawn is not None:
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
        if self.drawn is not None:
            finalists = sorted(finalists, key=lambda runner: runner.growth.score)
            for runner in ranked:
                self.scores.setdefault(runner.label, runner.growth.score)
            self.runners = finalists[:1]
            self._widen(self.runners[0])

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
        size = spread or 1.0
        samples, score = self._view(self.drawn, logarithm, centre, scale, size)
        label = ("log, " if logarithm else "") + ("additive + CP" if settings.additive else "CP")

        def tell(entry: dict[str, Any]) -> None:
            self.tell({"form": label, "loss": (entry["score"] * size) ** 2} | entry)

        growth = Growth(samples, settings, score, tell)
        return Runner(label, growth, centre, scale, logarithm)

    def _view(
        self, which: npt.NDArray[np.int64] | None, logarithm: bool, centre: float, scale: float, size: float
    ) -> tuple[Samples, Score]:
        """Return some samples, or all, on the scale of a runner, and the score of errors there."""
        samples, y = Samples(self.rows, self.y, self.weights), self.y
        if which is not None:
            samples, y = samples.take(which), y[which]
        z = np.log(y) if logarithm else y

        def score(errors: Array) -> float:
            wrong = y * -np.expm1(-np.clip(scale * errors, -50, 50)) if logarithm else scale * errors
            return float(np.sqrt(np.average(wrong**2, weights=samples.weights))) / size

        return Samples(samples.rows, (z - centre) / scale, samples.weights), score

    @cached_property
    def drawn(self) -> npt.NDArray[np.int64] | None:
        """The samples that race, drawn at random where there are many; None for all."""
        if len(self.y) <= RACE_SAMPLES:
            return None
        used = np.arange(len(self.y)) if self.weights is None else np.flatnonzero(self.weights)
        found = np.random.default_rng(self.seed).permutation(used)[:RACE_SAMPLES]
        return np.sort(found)

    def _widen(self, runner: Runner) -> None:
        """Go on with all samples."""
        size = float(np.std(self.y)) or 1.0
        samples, score = self._view(None, runner.logarithm, runner.centre, runner.scale, size)
        runner.growth.widen(samples, score, self._deadline(1.0))


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
