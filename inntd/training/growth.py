"""Greedy growth of a separated function: a mode more, or functions more on the axes that ask for them.

Each round tries both and keeps what leave-one-out errors like better; a few rounds without a gain end the growth. An
axis asks for more functions when its last ones matter next to the present errors, and loses those that do not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from inntd.training.budget import Budget
from inntd.training.penalty import products_of_others
from inntd.training.separated_fit import Samples, SeparatedFit
from inntd.training.starts import alternate, interactions, random_start

Array = npt.NDArray[np.float64]
Score = Callable[[Array], float]

ASKS, IDLE = 0.1, 0.01  # size of a function's part, over the errors: its axis wants more functions, or needs fewer
GAIN = 0.99  # a score below this share of the best one counts as better
EXACT = 1e-9  # a score that needs no better one


@dataclass(frozen=True)
class Settings:
    """How far a growth goes.

    Attributes
    ----------
    additive : bool
        Whether every axis also has a function of its own in the linear part.
    most_modes, patience, steps, starts, candidates : int
        Largest number of modes, rounds without a gain, Gauss-Newton steps per round, first guesses of a mode, and how
        many of these are followed by such steps.
    first, more : int
        Functions of an axis at the start, and that it gets at a time.
    seed : int
    at_once : tuple of D bool
        Axes whose functions have no order, which get all of them from the start: categories.
    """

    additive: bool = True
    most_modes: int = 30
    patience: int = 4
    steps: int = 15
    starts: int = 6
    candidates: int = 3
    first: int = 3
    more: int = 2
    seed: int = 0
    at_once: tuple[bool, ...] = ()


class Growth:
    """A separated function that grows on samples, and the best one on the way.

    Parameters
    ----------
    samples : Samples
        With all functions that axes may ask for.
    settings : Settings
    budget : Budget
    score : callable, optional
        From leave-one-out errors (K,) to what is to be small; by default their root mean square.
    tell : callable, optional
        Takes a dict after each round.
    """

    def __init__(
        self,
        samples: Samples,
        settings: Settings,
        budget: Budget,
        score: Score | None = None,
        tell: Callable[[dict[str, Any]], None] | None = None,
    ) -> None:
        self.samples, self.settings, self.budget = samples, settings, budget
        self.score_of = score or (lambda errors: float(np.sqrt(np.mean(errors**2))))
        self.tell = tell or (lambda entry: None)
        self.random = np.random.default_rng(settings.seed)
        self.most = [rows.shape[1] for rows in samples.rows]
        at_once = settings.at_once or (False,) * len(self.most)
        sizes = [most if whole else min(settings.first, most) for most, whole in zip(self.most, at_once, strict=True)]
        terms = [size - 1 if settings.additive else 0 for size in sizes]
        self.fit = SeparatedFit.empty(terms, sizes, float(np.var(samples.y)) or 1.0)
        self.run_steps(self.fit, 8)
        self.best, self.score = self.fit.copy(), self.score_fit(self.fit)
        self.idle = 0

    @property
    def finished(self) -> bool:
        """Whether rounds have stopped to gain, or have no more to gain."""
        return self.idle >= self.settings.patience or self.score < EXACT

    def run(self, rounds: int, share: float = 1.0) -> None:
        """Take some rounds, until the growth has finished or a share of the budget is used."""
        for _ in range(rounds):
            if self.finished or self.budget.over(share):
                return
            self.round(share)

    def round(self, share: float = 1.0) -> None:
        """Try a mode more, and functions more, and go on from the better one."""
        tried = [(self.score_fit(fit), kind, fit) for kind, fit in self._larger(share)]
        if not tried:
            self.idle = self.settings.patience
            return
        score, kind, self.fit = min(tried, key=lambda entry: entry[0])
        better = score < GAIN * self.score
        self.idle = 0 if better else self.idle + 1
        if score < self.score:
            self.best, self.score = self.fit.copy(), score
        self.fit = trimmed(self.fit, self._error(self.fit))
        self.tell({"grown": kind, "modes": self.fit.modes, "parameters": self.fit.parameters, "score": score})

    def polish(self, steps: int, share: float = 1.0) -> None:
        """Take more steps from the best function, which is replaced when its score allows."""
        fit = self.best.copy()
        self.run_steps(fit, steps, share, small=1e-4)
        score = self.score_fit(fit)
        if score <= 1.02 * self.score:
            self.best, self.score = fit, score

    def widen(self, samples: Samples, score: Score, share: float = 1.0) -> None:
        """Go on with other samples of the same function from the best function so far."""
        self.samples, self.score_of, fit = samples, score, self.best.copy()
        self.run_steps(fit, 2 * self.settings.steps, share)
        self.fit, self.best, self.score, self.idle = fit, fit.copy(), self.score_fit(fit), 0
        self.run(1000, share)

    def score_fit(self, fit: SeparatedFit) -> float:
        """Return the score of a function's leave-one-out errors."""
        return self.score_of(fit.leave_one_out(self.samples))

    def run_steps(self, fit: SeparatedFit, steps: int, share: float = 1.0, small: float = 1e-3) -> None:
        """Take Gauss-Newton steps, until three in a row gain little."""
        little = 0
        for _ in range(steps):
            self.budget.charge(2.0 * len(self.samples.y) * fit.parameters**2 + fit.parameters**3)
            little = little + 1 if fit.step(self.samples) < small else 0
            if little == 3 or self.budget.over(share):
                return

    def _larger(self, share: float) -> list[tuple[str, SeparatedFit]]:
        found = []
        wider = self._with_functions()
        if wider is not None:
            self.run_steps(wider, self.settings.steps, share)
            found.append(("functions", wider))
        if self.fit.modes < self.settings.most_modes and self._room(self.fit):
            found.append(("mode", self._best_mode(share)))
        return found

    def _room(self, fit: SeparatedFit) -> bool:
        """Whether one mode more leaves fewer coefficients than twice the samples: the penalty rules the others."""
        return fit.parameters + sum(len(factor) for factor in fit.factors) < 2 * len(self.samples.y) + 50

    def _best_mode(self, share: float) -> SeparatedFit:
        """Return the function with one mode more: of several first guesses the best one after a few steps."""
        tried, few = self._with_mode(), self.settings.steps // 3
        if len(tried) > 1:
            for fit in tried:
                self.run_steps(fit, few, share)
        best = min(tried, key=self.score_fit) if len(tried) > 1 else tried[0]
        self.run_steps(best, self.settings.steps, share)
        return best

    def _with_mode(self) -> list[SeparatedFit]:
        fit = self.fit.copy()
        fit.penalty.relax()
        sizes = [max(len(factor), min(2, most)) for factor, most in zip(fit.factors, self.most, strict=True)]
        resize(fit, fit.terms, sizes)
        residual = self.samples.y - fit.values(self.samples.rows)
        fit.penalty.variance = max(fit.penalty.variance, 0.1 * float(np.var(residual)))
        guesses = list(islice(interactions(self.samples, residual, sizes), self.settings.starts - 1))
        guesses.append(random_start(sizes, self.random))
        tried = [alternate(self.samples, residual, guess, fit.penalty) for guess in guesses]
        tried.sort(key=lambda entry: entry[1])
        fit.damping = 1e-2
        found = []
        for mode, _ in tried[: self.settings.candidates]:
            found.append(fit.copy())
            found[-1].factors = [np.column_stack([old, new]) for old, new in zip(fit.factors, mode, strict=True)]
        return found

    def _error(self, fit: SeparatedFit) -> float:
        """Return the root mean square of leave-one-out errors, whatever the score is."""
        return float(np.sqrt(np.mean(fit.leave_one_out(self.samples) ** 2)))

    def _with_functions(self) -> SeparatedFit | None:
        level = ASKS * self._error(self.fit)
        sizes_of_terms, sizes_of_factors = contributions(self.fit)
        terms, sizes = list(self.fit.terms), [len(factor) for factor in self.fit.factors]
        for d, most in enumerate(self.most):
            if sizes_of_terms[d][-2:].max(initial=0.0) > level:
                terms[d] = min(terms[d] + self.settings.more, most - 1)
            if sizes_of_factors[d][1:][-2:].max(initial=0.0) > level:
                sizes[d] = min(sizes[d] + self.settings.more, most)
        if terms == self.fit.terms and sizes == [len(factor) for factor in self.fit.factors]:
            return None
        fit = self.fit.copy()
        fit.penalty.relax()
        resize(fit, terms, sizes)
        fit.damping = 1e-2
        return fit


def contributions(fit: SeparatedFit) -> tuple[list[Array], list[Array]]:
    """Return the root mean square of what each function adds: on each axis, in the linear part and in the modes."""
    places = np.cumsum([1, *fit.terms])
    terms = [np.abs(fit.linear[start:stop]) for start, stop in pairwise(places)]
    others = products_of_others(np.stack([(factor**2).sum(axis=0) for factor in fit.factors]))
    return terms, [np.sqrt(factor**2 @ row) for factor, row in zip(fit.factors, others, strict=True)]


def trimmed(fit: SeparatedFit, error: float) -> SeparatedFit:
    """Return a function without the last functions of each axis that add little next to an error."""
    in_terms, in_factors = contributions(fit)
    terms = [_needed(part, IDLE * error) for part in in_terms]
    sizes = [max(1, _needed(part, IDLE * error)) if fit.modes else len(part) for part in in_factors]
    fit = fit.copy()
    resize(fit, terms, sizes)
    return fit


def resize(fit: SeparatedFit, terms: Sequence[int], sizes: Sequence[int]) -> None:
    """Give each axis other numbers of functions: new ones have zero coefficients, and the strength of the last."""
    places = np.cumsum([1, *fit.terms])
    pieces = [slice(start, stop) for start, stop in pairwise(places)]
    parts = [(fit.linear[piece], fit.penalty.linear[piece]) for piece in pieces]
    fit.linear = np.concatenate([fit.linear[:1], *(_fitted(a, n) for (a, _), n in zip(parts, terms, strict=True))])
    fit.penalty.linear = np.concatenate(
        [fit.penalty.linear[:1], *(_continued(tau, n) for (_, tau), n in zip(parts, terms, strict=True))]
    )
    fit.factors = [_fitted(factor, size) for factor, size in zip(fit.factors, sizes, strict=True)]
    fit.penalty.factors = [_continued(tau, size) for tau, size in zip(fit.penalty.factors, sizes, strict=True)]
    fit.terms = list(terms)


def _needed(sizes: Array, level: float) -> int:
    used = np.flatnonzero(sizes > level)
    return int(used[-1]) + 1 if used.size else 0


def _fitted(values: Array, size: int) -> Array:
    added = np.zeros((max(0, size - len(values)), *values.shape[1:]))
    return np.concatenate([values[:size], added])


def _continued(strengths: Array, size: int) -> Array:
    last = min(max(float(strengths[-1]), 1.0), 10.0) if strengths.size else 1.0
    return np.concatenate([strengths[:size], np.full(max(0, size - len(strengths)), last)])
