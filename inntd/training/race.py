"""A race between forms: products of all functions, or few modes with and without an additive part, of values or logs.

The first form is a convex fit (`product_kernel.py`), for functions that are not smooth also on hats. The others grow
(`growth.py`): all for a few rounds, then those that may still win to their end. The winner has the smallest
leave-one-out error, or is the weighted mean of several forms whose errors cancel. Of many samples some decide; as many
as time allows train the winner.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from inntd.training.budget import RATE, Budget
from inntd.training.contenders import Contender, GrowthContender, KernelContender, Scale, Winner, least_mean
from inntd.training.growth import EXACT, Growth, Settings
from inntd.training.product_kernel import fit_kernel
from inntd.training.separated_fit import Samples
from inntd.training.spans import Span

Array = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]
Tell = Callable[[dict[str, Any]], None]

RACE_ROUNDS = 5
FINALISTS = 2
SMOOTH = 1e-3  # a score below which the function has neither kinks nor jumps
CLEARLY = 0.75  # times the score of smooth functions that hats must reach: between samples they know less
HOPELESS = 10.0  # times the best score, from which on a form has no chance
FAST = 0.5  # of its score that a hopeless form must reach in a few rounds, to go on
CONTENDER = 3.0  # times the best score, up to which a form has a part in the mean
WORTH = 0.9  # of the best score that a mean of forms must reach, having more modes
RACE_SAMPLES = 2000  # that choose the form; more train it
LOGARITHM_FROM = 1.5  # ratio of the largest to the smallest value
SHARES = (0.45, 0.6, 0.9)  # of the work: after the products, after the first rounds, after the growth


@dataclass
class Race:
    """The forms of one output, and the rules by which one of them wins.

    Attributes
    ----------
    columns : list of D arrays (K,)
        The samples.
    spans : list of D Span
        Polynomials on each axis.
    y, weights : array (K,)
    seed : int
    budget : Budget
    tell : callable
        Takes a dict after each step.
    logarithm : bool
        Whether the logarithm of y may be fitted.
    hats : bool
        Whether hats may be tried.
    """

    columns: list[Array]
    spans: list[Span]
    y: Array
    weights: Array | None
    seed: int
    budget: Budget
    tell: Tell
    logarithm: bool = True
    hats: bool = True
    contenders: list[Contender] = field(default_factory=list)

    def run(self) -> Winner:
        """Return the winner; an interrupt ends the race where it stands."""
        interrupted = False
        try:
            self._compete()
        except KeyboardInterrupt:
            interrupted = True
            if not self.contenders:
                raise
        ranked = self._ranked()
        scores = {contender.label: contender.score for contender in ranked}
        if len(self.racing) == len(self.y):
            members, weights, score = _mean(ranked)
        else:
            best = ranked[0]
            try:
                best = best if interrupted else self._widened(best)
            except KeyboardInterrupt:
                interrupted = True
            members, weights, score = [best], [1.0], best.score
        cut = not all(contender.finished for contender in members)
        return Winner(members, weights, score, scores, cut, interrupted)

    def _ranked(self) -> list[Contender]:
        return sorted(self.contenders, key=lambda contender: contender.score)

    # ---- the forms -----------------------------------------------------------------------------------------------

    def _compete(self) -> None:
        logarithms = [False, True] if self._may_be_logarithm() else [False]
        random = np.random.default_rng([self.seed, 1])
        for logarithm in logarithms:
            if not self.contenders or not self.budget.over(0.6 * SHARES[0]):
                self._add_kernel(logarithm, random)
        if self.hats and self._ranked()[0].score > SMOOTH and not self.budget.over(SHARES[0]):
            self._add_kernel(self._ranked()[0].scale.logarithm, random, rough=True)
        for logarithm, additive in [(log, add) for log in logarithms for add in (True, False)]:
            if (not additive and len(self.spans) == 1) or self.budget.over(SHARES[1]) or self._exact():
                continue
            self._add_growth(logarithm, additive)
        growths = [contender for contender in self._ranked() if isinstance(contender, GrowthContender)][:FINALISTS]
        used = self.budget.spent / self.budget.seconds
        for place, contender in enumerate(growths, start=1):
            self._finish(contender, used + (SHARES[2] - used) * place / len(growths))

    def _finish(self, contender: GrowthContender, share: float) -> None:
        """Let a growth go on to its end, while it may win."""
        growth, before = contender.growth, np.inf
        while not (growth.finished or self.budget.over(share) or self._exact()):
            if contender.score > HOPELESS * self._ranked()[0].score and contender.score > FAST * before:
                return
            before = contender.score
            growth.run(RACE_ROUNDS, share)
        growth.polish(40)

    def _exact(self) -> bool:
        return min(contender.score for contender in self.contenders) < EXACT

    def _may_be_logarithm(self) -> bool:
        low, high = float(self.y.min()), float(self.y.max())
        return self.logarithm and low > 0 and high > LOGARITHM_FROM * low

    @cached_property
    def racing(self) -> Index:
        """The samples that race, drawn at random where there are many."""
        order = np.random.default_rng([self.seed, 2]).permutation(len(self.y))
        return np.sort(order[:RACE_SAMPLES])

    @cached_property
    def _racing_rows(self) -> list[Array]:
        return self._rows(self.spans, self.racing)

    @cached_property
    def _rough_spans(self) -> list[Span]:
        return [span.rough(column[self.racing]) for span, column in zip(self.spans, self.columns, strict=True)]

    def _rows(self, spans: Sequence[Span], which: Index) -> list[Array]:
        return [span.rows(column[which]) for span, column in zip(spans, self.columns, strict=True)]

    def _scale(self, logarithm: bool) -> Scale:
        return Scale(self.y, self.weights, logarithm).take(self.racing)

    def _add_kernel(self, logarithm: bool, random: np.random.Generator, rough: bool = False) -> None:
        scale, spans = self._scale(logarithm), self._rough_spans if rough else self.spans
        rows = self._rows(spans, self.racing) if rough else self._racing_rows
        label = _label(logarithm, "products of all hats" if rough else "products of all functions")
        samples, orders = Samples(rows, scale.fitted, scale.weights), [span.orders for span in spans]
        contender = KernelContender(label, scale, spans, fit_kernel(samples, orders, random, self.budget, SHARES[0]))
        if not rough or contender.score < CLEARLY * self._ranked()[0].score:
            self.contenders.append(contender)
        self._tell(label, contender.score, modes=contender.fit.modes)

    def _add_growth(self, logarithm: bool, additive: bool) -> None:
        scale = self._scale(logarithm)
        label = _label(logarithm, "additive functions and modes" if additive else "modes")
        at_once = tuple(span.categories > 0 for span in self.spans)
        settings = Settings(additive=additive, seed=self.seed, at_once=at_once)
        samples = Samples(self._racing_rows, scale.fitted, scale.weights)
        growth = Growth(samples, settings, self.budget, scale.score, lambda entry: self._tell(label, **entry))
        self.contenders.append(GrowthContender(label, scale, self.spans, growth))
        growth.run(RACE_ROUNDS, SHARES[1])

    @cached_property
    def _spread(self) -> float:
        return Scale(self.y, self.weights, False).size

    def _tell(self, label: str, score: float, **more: Any) -> None:
        self.tell({"form": label, "loss": (score * self._spread) ** 2, "score": score, **more})

    def _widened(self, contender: Contender) -> Contender:
        """Return the contender after going on with more samples, as many as the budget allows."""
        random, work = np.random.default_rng([self.seed, 3]), max(self.budget.seconds - self.budget.spent, 1.0) * RATE
        contender = contender.reduced(random)
        samples, scale = self._more(contender, contender.affordable(work), random)
        return contender.widened(samples, scale, self.budget)

    def _more(self, contender: Contender, most: float, random: np.random.Generator) -> tuple[Samples, Scale]:
        count = int(min(max(most, RACE_SAMPLES), len(self.y)))
        which = np.sort(random.permutation(len(self.y))[:count])
        scale = Scale(self.y, self.weights, contender.scale.logarithm).take(which)
        return Samples(self._rows(contender.spans, which), scale.fitted, scale.weights), scale


def _label(logarithm: bool, form: str) -> str:
    return f"{form}, of log(y)" if logarithm else form


def _mean(ranked: Sequence[Contender]) -> tuple[list[Contender], list[float], float]:
    """Return the contenders, on the scale of the best one, whose weighted mean has the least leave-one-out errors."""
    best = ranked[0]
    if not EXACT <= best.score < np.inf:
        return [best], [1.0], best.score
    chosen = [
        contender
        for contender in ranked
        if contender.scale.logarithm == best.scale.logarithm
        and contender.spans is best.spans
        and contender.score < CONTENDER * best.score
    ]
    errors = np.column_stack([contender.errors for contender in chosen])
    shares = best.scale.y if best.scale.logarithm else np.ones(len(errors))
    if best.scale.weights is not None:
        shares = shares * np.sqrt(best.scale.weights)
    weights = least_mean(errors * shares[:, None])
    score = best.scale.score(errors @ weights)
    if not score < WORTH * best.score:
        return [best], [1.0], best.score
    kept = [(contender, float(w)) for contender, w in zip(chosen, weights, strict=True) if w > 0]
    return [contender for contender, _ in kept], [weight for _, weight in kept], score
