"""A race between forms: products of all functions, or few modes with and without an additive part, of values or logs.

The first form is a convex fit (`product_kernel.py`), the others grow (`growth.py`): all for a few rounds, then those
that may still win to their end. The winner has the smallest leave-one-out error, or is the weighted mean of several
forms whose errors cancel. Of many samples some decide; all train the winner.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls

from inntd.training.budget import Budget
from inntd.training.growth import EXACT, Growth, Settings
from inntd.training.product_kernel import ProductKernel, fit_kernel
from inntd.training.separated_fit import Samples, SeparatedFit

Array = npt.NDArray[np.float64]
Tell = Callable[[dict[str, Any]], None]

RACE_ROUNDS = 5
FINALISTS = 2
HOPELESS = 10.0  # times the best score, from which on a form has no chance
FAST = 0.5  # of its score that a hopeless form must reach in a few rounds, to go on
CONTENDER = 3.0  # times the best score, up to which a form has a part in the mean
WORTH = 0.9  # of the best score that a mean of forms must reach, having more modes
RACE_SAMPLES = 2000  # that choose the form; all of them train it
LOGARITHM_FROM = 1.5  # ratio of the largest to the smallest value
SHARES = (0.4, 0.6, 0.9)  # of the work: after the products, after the first rounds, after the growth


@dataclass(frozen=True)
class Scale:
    """What is fitted: y or its logarithm, of mean zero and variance one; and how errors of it are judged."""

    y: Array
    weights: Array | None
    logarithm: bool

    @cached_property
    def _values(self) -> Array:
        return np.log(self.y) if self.logarithm else self.y

    @cached_property
    def centre(self) -> float:
        """The mean."""
        return float(np.average(self._values, weights=self.weights))

    @cached_property
    def size(self) -> float:
        """The standard deviation."""
        return float(np.sqrt(np.average((self._values - self.centre) ** 2, weights=self.weights))) or 1.0

    @property
    def fitted(self) -> Array:
        """The values (K,) that are fitted."""
        return (self._values - self.centre) / self.size

    def score(self, errors: Array) -> float:
        """Return the root mean square error of y, relative to its deviation, from errors (K,) of what is fitted."""
        wrong = self.y * -np.expm1(-np.clip(self.size * errors, -50, 50)) if self.logarithm else self.size * errors
        mean = float(np.average(self.y, weights=self.weights))
        spread = float(np.sqrt(np.average((self.y - mean) ** 2, weights=self.weights))) or 1.0
        return float(np.sqrt(np.average(wrong**2, weights=self.weights))) / spread

    def take(self, which: npt.NDArray[np.int64]) -> Scale:
        """Return some of the samples, on the same scale."""
        part = Scale(self.y[which], None if self.weights is None else self.weights[which], self.logarithm)
        part.__dict__.update(centre=self.centre, size=self.size)
        return part


@dataclass
class Contender:
    """One form in the race: products of all functions, or a growth."""

    label: str
    scale: Scale
    kernel: ProductKernel | None = None
    growth: Growth | None = None

    @property
    def fit(self) -> ProductKernel | SeparatedFit:
        """The best fit so far."""
        if self.kernel is not None:
            return self.kernel
        assert self.growth is not None
        return self.growth.best

    @property
    def errors(self) -> Array:
        """Leave-one-out errors (K,) of what is fitted; linearised ones of growths are too small, which is mended."""
        if self.kernel is not None:
            return self.kernel.errors
        assert self.growth is not None
        return self._optimism * self.growth.best.leave_one_out(self.growth.samples)

    @property
    def score(self) -> float:
        """The score of these errors."""
        if self.kernel is not None:
            return self.scale.score(self.kernel.errors)
        assert self.growth is not None
        return self._optimism * self.growth.score

    @property
    def _optimism(self) -> float:
        assert self.growth is not None
        return 1.0 + min(self.growth.best.parameters / len(self.growth.samples.y), 1.0)


@dataclass
class Winner:
    """The form that won, alone or as a weighted mean with others, and how the race went."""

    members: list[Contender]
    weights: list[float]
    score: float
    scores: dict[str, float]
    cut: bool
    interrupted: bool

    @property
    def scale(self) -> Scale:
        """What is fitted."""
        return self.members[0].scale

    def nodal_factors(self, tables: Sequence[Array]) -> list[Array]:
        """Return factors from the nodal values (n_d, N_d) of the functions of each axis."""
        size = self.scale.size
        constant = [np.ones((len(table), 1)) for table in tables]
        constant[0] *= self.scale.centre
        parts = [constant]
        for member, weight in zip(self.members, self.weights, strict=True):
            factors = member.fit.nodal_factors(tables)
            parts.append([factors[0] * (size * weight), *factors[1:]])
        return [np.concatenate(factors, axis=1) for factors in zip(*parts, strict=True)]


@dataclass
class Race:
    """The forms of one output, and the rules by which one of them wins.

    Attributes
    ----------
    rows : list of D arrays (K, N_d)
        The functions of each axis at the samples.
    orders : list of D arrays (N_d - 1,)
        Exponents of the decay of functions; see `fit_kernel`.
    y, weights : array (K,)
    seed : int
    budget : Budget
    tell : callable
        Takes a dict after each step.
    logarithm : bool
        Whether the logarithm of y may be fitted.
    """

    rows: list[Array]
    orders: list[Array]
    y: Array
    weights: Array | None
    seed: int
    budget: Budget
    tell: Tell
    logarithm: bool = True
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
        best = ranked[0]
        if self.drawn is not None and not interrupted:
            best = self._widened(best)
            ranked = [best]
        members, weights, score = _mean(ranked)
        cut = any(contender.growth is not None and not contender.growth.finished for contender in members)
        return Winner(members, weights, score, scores, cut, interrupted)

    def _ranked(self) -> list[Contender]:
        return sorted(self.contenders, key=lambda contender: contender.score)

    # ---- the forms -----------------------------------------------------------------------------------------------

    def _compete(self) -> None:
        logarithms = [False, True] if self._may_be_logarithm() else [False]
        random = np.random.default_rng([self.seed, 1])
        for logarithm in logarithms:
            if not self.contenders or not self.budget.over(0.5 * SHARES[0]):
                self._add_kernel(logarithm, random)
        for logarithm, additive in [(log, add) for log in logarithms for add in (True, False)]:
            if not additive and len(self.rows) == 1 or self.budget.over(SHARES[1]) or self._exact():
                continue
            self._add_growth(logarithm, additive)
        growths = [contender for contender in self._ranked() if contender.growth is not None][:FINALISTS]
        used = self.budget.spent / self.budget.seconds
        for place, contender in enumerate(growths, start=1):
            self._finish(contender, used + (SHARES[2] - used) * place / len(growths))

    def _finish(self, contender: Contender, share: float) -> None:
        """Let a growth go on to its end, while it may win."""
        growth, before = contender.growth, np.inf
        assert growth is not None
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

    def _samples(self, logarithm: bool) -> tuple[Samples, Scale]:
        """Return the samples that race."""
        scale = Scale(self.y, self.weights, logarithm)
        samples = Samples(self.rows, scale.fitted, self.weights)
        if self.drawn is None:
            return samples, scale
        return samples.take(self.drawn), scale.take(self.drawn)

    @cached_property
    def drawn(self) -> npt.NDArray[np.int64] | None:
        """The samples that race, drawn at random where there are many; None for all."""
        if len(self.y) <= RACE_SAMPLES:
            return None
        return np.sort(np.random.default_rng([self.seed, 2]).permutation(len(self.y))[:RACE_SAMPLES])

    def _add_kernel(self, logarithm: bool, random: np.random.Generator) -> None:
        samples, scale = self._samples(logarithm)
        label = _label(logarithm, "products of all functions")
        self.contenders.append(Contender(label, scale, kernel=fit_kernel(samples, self.orders, random, self.budget)))
        self._tell(label, self.contenders[-1].score, modes=len(samples.y))

    def _add_growth(self, logarithm: bool, additive: bool) -> None:
        samples, scale = self._samples(logarithm)
        label = _label(logarithm, "additive functions and modes" if additive else "modes")
        settings = Settings(additive=additive, seed=self.seed, at_once=tuple(not any(order) for order in self.orders))
        growth = Growth(samples, settings, self.budget, scale.score, lambda entry: self._tell(label, **entry))
        self.contenders.append(Contender(label, scale, growth=growth))
        growth.run(RACE_ROUNDS, SHARES[1])

    def _tell(self, label: str, score: float, **more: Any) -> None:
        spread = Scale(self.y, self.weights, False).size
        self.tell({"form": label, "loss": (score * spread) ** 2, "score": score, **more})

    def _widened(self, contender: Contender) -> Contender:
        """Return the contender after going on with all samples."""
        scale = Scale(self.y, self.weights, contender.scale.logarithm)
        samples = Samples(self.rows, scale.fitted, self.weights)
        if contender.kernel is not None:
            return Contender(contender.label, scale, kernel=contender.kernel.widened(samples, self.budget))
        assert contender.growth is not None
        contender.growth.widen(samples, scale.score)
        return Contender(contender.label, scale, growth=contender.growth)


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
        if contender.scale.logarithm == best.scale.logarithm and contender.score < CONTENDER * best.score
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
