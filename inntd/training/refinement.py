"""Alternating least squares from coarse to fine: more modes and finer meshes as long as samples held out say so.

A coarse mesh with few modes is learnt from a few thousand samples in milliseconds. From there modes are added, then
elements halved, each time beginning with the functions found before. An axis on which halving changed nothing goes back
to its coarser mesh. Only the model that is kept learns from all samples.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from inntd.axes import Axis
from inntd.models import CPModel
from inntd.training.als import sweep_until_still
from inntd.training.alternation import PRODUCTS_AT_ONCE, Alternation
from inntd.training.budget import Budget
from inntd.training.outcome import FitResult, FitStatus
from inntd.training.rank import NEW, start_factors
from inntd.training.samples import Samples
from inntd.training.smoothness import Smoothness

Array = npt.NDArray[np.float64]
# Axes with so many elements and patches of such size, at most; None of one number where the axis is left as it is.
MakeAxes: TypeAlias = Callable[[Sequence[tuple[int, int]]], list[Axis]]

MESHES = ((4, 2), (8, 3), (16, 3), (32, 3), (64, 3))  # elements and patch size, from coarse to fine
RANKS = (2, 6, 16, 40, 64)
ENOUGH = 5  # samples per parameter to learn from at first
OVERFIT = 1.7  # times the error of the training: the samples are too few
HOPELESS = 3.0  # times the least error: more samples will not do
SWEEPS = 4
FEW = 6  # modes that cost so little that a step of the ladder beyond them is tried, too
WORTH = 0.8  # of the error: what more modes or elements must reach
IDLE = 0.3  # of the error: what halving an axis' elements must change for them to stay so
SMALL = 1e-7  # error that nobody needs to lower, of samples of mean square one
HELD_OUT, MOST_HELD_OUT = 0.1, 10_000
CHEAP = 16  # modes
BENEATH, SURE = 0.95, 4.0  # a gain up to this share of the error counts if it is so many standard errors
SHARE_OF_SEARCH = 0.5  # of the work
FINAL_SWEEPS, TOLERANCE = 8, 5e-2
MOST_SEARCHED = 40_000  # samples that a stage of the search learns from


@dataclass
class _Best:
    """The best state so far: its errors at the samples held out, the level of each axis, and its samples."""

    error: float
    squares: Array
    state: Alternation
    levels: list[int]
    count: int


def fit_refined(
    make_axes: MakeAxes,
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    weights: npt.ArrayLike | None = None,
    smoothness: float | str = "auto",
    ridge: float = 1e-12,
    enough: float = SMALL,
    max_seconds: float | None = None,
    seed: int = 0,
    callback: Callable[[dict[str, Any]], Any] | None = None,
) -> FitResult:
    """Fit a CP model to many samples by alternating least squares, its mesh and number of modes chosen meanwhile.

    Parameters
    ----------
    make_axes : callable
        Takes one pair (elements, patch size) per axis, from a few fixed pairs, and returns the axes; fewer elements
        than asked for are fine.
    x, y, weights, smoothness, ridge, seed, callback :
        As for `fit_als`; the callback is called after each stage and sweep.
    max_seconds : float, optional
        Work that the search may do, half of it before all samples are used; counted at a usual rate, so that a busy
        machine finds the same model unless this time is over by the clock, too.
    enough : float, default 1e-7
        Error at the samples held out, relative to the root mean square of `y`, that ends the search.

    Returns
    -------
    FitResult
        `choices` has ``rank``, ``rank_why``, ``elements`` of each axis and ``smoothness``.

    Examples
    --------
    >>> import numpy as np, inntd as it
    >>> from inntd.training.refinement import fit_refined
    >>> x = np.random.default_rng(0).random((5000, 2))
    >>> def make_axes(meshes):
    ...     return [it.Axis(name, 0, 1, elements=n, s=s) for name, (n, s) in zip("ab", meshes)]
    >>> found = fit_refined(make_axes, x, np.exp(x[:, 0]) * np.sin(9 * x[:, 1]))
    >>> bool(found.history[-1]["loss"] < 1e-8), found.choices["elements"][0] < found.choices["elements"][1]
    (True, True)
    """
    search = _Refinement(make_axes, x, y, weights, smoothness, ridge, enough, max_seconds, seed, callback)
    return search.run(np.ndim(y))


class _Refinement:
    """The state of one search."""

    def __init__(
        self, make_axes: MakeAxes, x: Any, y: Any, weights: Any, smoothness: float | str, ridge: float, enough: float,
        max_seconds: float | None, seed: int, callback: Callable[[dict[str, Any]], Any] | None,
    ) -> None:  # fmt: skip
        self.began = time.perf_counter()
        self.budget = Budget(np.inf if max_seconds is None else max_seconds)
        self.late = self.began + self.budget.seconds
        self.make_axes, self.smoothness, self.ridge, self.enough = make_axes, smoothness, ridge, enough
        self.random, self.callback = np.random.default_rng(seed), callback
        self.levels = [0] * np.shape(x)[1]
        axes = self.axes(self.levels)
        self.samples = Samples.checked(axes, x, y, weights)
        self.scale = float(np.sqrt(np.average((self.samples.y**2).mean(1), weights=self.samples.weights))) or 1.0
        self.samples = replace(self.samples, y=self.samples.y / self.scale)
        order = self.random.permutation(len(self.samples))
        held = min(int(HELD_OUT * len(order)), MOST_HELD_OUT)
        self.held, self.rest = self.samples.take(order[:held]), order[held:]
        self.history: list[dict[str, Any]] = []
        self.best: _Best | None = None
        self.rung = 0  # the next number of modes
        self.effects = [np.inf] * np.shape(x)[1]  # what halving each axis' elements changed, where it was taken back

    def axes(self, levels: Sequence[int]) -> list[Axis]:
        return self.make_axes([MESHES[level] for level in levels])

    def run(self, dimension_of_y: int) -> FitResult:
        status: FitStatus = "interrupted"
        message = "interrupted: the model is the best so far"
        try:
            why = self._search()
            assert self.best is not None
            status, message = "converged", f"error {self.best.error:.1e} at samples held out: enough"
            if self.best.error > self.enough:
                self.best.state = self.best.state.on(self.samples)
                status, message = sweep_until_still(
                    self.best.state, self.scale, FINAL_SWEEPS, TOLERANCE, self.late, self.began, self.history,
                    self.callback,
                )  # fmt: skip
        except KeyboardInterrupt:
            if self.best is None:
                raise
            why = "interrupted"
        return self._result(status, message, why, dimension_of_y)

    # ---- stages ----------------------------------------------------------------------------------------------------

    def _search(self) -> str:
        """Find modes and meshes; returns why no more."""
        while True:
            # More modes first as long as they are few; later they cost much more than finer meshes.
            first, second = self._add_modes, self._halve_elements
            if self.rung < len(RANKS) and RANKS[self.rung] > CHEAP and self.enough <= SMALL:
                first, second = second, first
            better = first() or second() or self._settle()
            assert self.best is not None
            if self.best.error <= self.enough:
                return f"error {self.best.error:.1e} at samples held out: enough"
            if self.budget.over(SHARE_OF_SEARCH):
                return "out of time for more: raise max_seconds"
            if not better:
                return f"neither more modes nor elements lowered the error at {len(self.held):,} samples held out"

    def _settle(self) -> bool:
        """Let the best state converge further, on more samples; returns whether that lowered the error."""
        assert self.best is not None
        state = self.best.state
        return self._learn(list(state.axes), _factors(state), self.best.levels, more=4)

    def _add_modes(self) -> bool:
        """Add modes if that lowers the error; returns whether it does."""
        for tried in range(self.rung, len(RANKS)):
            levels = self.levels if self.best is None else self.best.levels
            axes = self.axes(levels) if self.best is None else list(self.best.state.axes)
            modes = RANKS[tried] - (0 if self.best is None else len(self.best.state.amplitudes))
            if self.best is not None and RANKS[tried] * sum(axis.size for axis in axes) > len(self.rest):
                break
            more = start_factors(axes, self.samples.y.shape[1], modes, self.random)
            if self.best is not None:
                more = _joined(_factors(self.best.state), [*more[:-1], more[-1] * NEW])
            if self._learn(axes, more, levels, cheap=RANKS[tried] <= CHEAP):
                self.rung = tried + 1
                return True
            if RANKS[tried] > FEW or self.budget.over(SHARE_OF_SEARCH):
                break
        return False

    def _halve_elements(self) -> bool:
        """Halve the elements of all axes that may have more; returns whether that lowered the error."""
        assert self.best is not None
        old, levels = self.best.state, self.best.levels
        wanted = [effect > IDLE * self.best.error for effect in self.effects]
        finer = [min(level + want, len(MESHES) - 1) for level, want in zip(levels, wanted, strict=True)]
        axes = self.axes(finer)
        finer = [fine if a.size > b.size else level
                 for fine, level, a, b in zip(finer, levels, axes, old.axes, strict=True)]  # fmt: skip
        if finer == levels or len(old.amplitudes) * sum(axis.size for axis in axes) > len(self.rest):
            return False
        axes = [new if fine > level else own
                for new, own, fine, level in zip(axes, old.axes, finer, levels, strict=True)]  # fmt: skip
        if not self._learn(axes, _moved(old, axes), finer):
            return False
        self._coarsen_idle(old.axes, levels)
        return True

    def _coarsen_idle(self, coarse: Sequence[Axis], levels: Sequence[int]) -> None:
        """Give axes their coarser mesh back where the finer one changes little."""
        assert self.best is not None
        state = self.best.state
        values = [_values(axis, u, x) for axis, u, x in zip(state.axes, state.factors, self.held.x, strict=False)]
        outputs = state.factors[-1] * state.amplitudes
        axes, kept = list(state.axes), list(self.best.levels)
        for d, axis in enumerate(coarse):
            if kept[d] == levels[d]:
                continue
            change = values[d] - _values(axis, _resampled(state.axes[d], axis, state.factors[d]), self.held.x[d])
            for e, other in enumerate(values):
                change = change * other if e != d else change
            effect = float(np.sqrt(np.mean((change @ outputs.T) ** 2)))
            self.effects[d] = np.inf
            if effect < IDLE * self.best.error:
                axes[d], kept[d], self.effects[d] = axis, levels[d], effect
        if kept != self.best.levels:
            samples = Samples(state.samples_x, state.y, state.weights)
            self.best.state = self._state(axes, samples, _moved(state, axes), state.penalties)
            self.best.levels = kept

    def _learn(
        self, axes: list[Axis], factors: list[Array], levels: Sequence[int], more: int = 1, cheap: bool = False
    ) -> bool:
        """Sweep from these factors on enough samples, and keep the state if it is better: returns whether it is."""
        count = min(int(ENOUGH * factors[0].shape[1] * sum(axis.size for axis in axes)), len(self.rest))
        most = min(max(count, MOST_SEARCHED), len(self.rest))
        if self.best is not None:
            count = min(max(count, more * self.best.count), most)
        known = None if self.best is None else self.best.state.penalties
        state = self._state(axes, self._part(count), factors, known)
        while True:
            for _ in range(SWEEPS):
                state.sweep()
                self.budget.charge(_work(state))
            squares = self._squares(state)
            error = float(np.sqrt(squares.mean())) if len(squares) else float(np.sqrt(state.loss))
            few = error > OVERFIT * np.sqrt(state.loss) and error > self.enough and count < most
            hopeless = self.best is not None and error > HOPELESS * self.best.error
            if not few or hopeless or self.budget.over(SHARE_OF_SEARCH):
                break
            count = min(4 * count, most)
            state = state.on(self._part(count))
        better = self.best is None or error < WORTH * self.best.error or self._sure(squares, cheap)
        if better:
            self.best = _Best(error, squares, state, list(levels), count)
        self._note(state, error)
        return better

    def _squares(self, state: Alternation) -> Array:
        """Return the weighted squares (k,) of the errors at the samples held out."""
        if not len(self.held):
            return np.zeros(0)
        judge = state.on(self.held)
        found = np.concatenate([judge.products(begin) for begin in range(0, len(self.held), PRODUCTS_AT_ONCE)])
        residual = self.held.y - found @ (judge.factors[-1] * judge.amplitudes).T
        squares: Array = self.held.weights * np.mean(residual**2, axis=1)
        return squares

    def _sure(self, squares: Array, cheap: bool) -> bool:
        """Return whether a gain that is not worth it by itself is cheap, or hidden beneath noise, but no chance."""
        assert self.best is not None
        gain = self.best.squares - squares
        if not len(gain) or (not cheap and squares.mean() < BENEATH**2 * self.best.squares.mean()):
            return False
        return bool(gain.mean() > SURE * gain.std() / np.sqrt(len(gain)))

    def _part(self, count: int) -> Samples:
        return self.samples.take(np.sort(self.rest[:count]))

    def _state(
        self, axes: Sequence[Axis], samples: Samples, factors: list[Array], known: Sequence[Smoothness] | None
    ) -> Alternation:
        penalties = [Smoothness(axis, self.smoothness) for axis in axes]
        if known is not None:
            for penalty, old in zip(penalties, known, strict=True):
                penalty.weight = old.weight
        return Alternation(axes, samples, factors, penalties, self.ridge, self.random)

    def _note(self, state: Alternation, error: float) -> None:
        self.history.append({
            "step": len(self.history) + 1, "loss": (error * self.scale) ** 2, "rank": len(state.amplitudes),
            "elements": [axis.elements for axis in state.axes], "samples": len(state.y),
            "seconds": time.perf_counter() - self.began,
        })  # fmt: skip
        if self.callback is not None:
            self.callback(self.history[-1])

    def _result(self, status: FitStatus, message: str, why: str, dimension_of_y: int) -> FitResult:
        assert self.best is not None
        state, several = self.best.state, dimension_of_y == 2
        axes = [*state.axes, Axis.discrete("output", self.samples.y.shape[1])] if several else list(state.axes)
        model = CPModel.from_factors(axes, state.balanced(self.scale, merged=not several))
        choices = {
            "rank": model.rank,
            "rank_why": why,
            "elements": [axis.elements for axis in state.axes],
            "smoothness": [penalty.weight for penalty in state.penalties],
        }
        return FitResult(model, status, message, self.history, time.perf_counter() - self.began, choices)


def _work(state: Alternation) -> float:
    """Return the operations of one sweep, as `Budget` counts them."""
    modes, total = len(state.amplitudes), 0.0
    for axis in state.axes:
        sums, width = 2 * axis.table.degree + 1, min(axis.table.width, axis.size)
        total += 0.6 * len(state.y) * sums * modes**2 + axis.size * modes * (width * modes) ** 2 + 1e7
    return total


def _factors(state: Alternation) -> list[Array]:
    return [*state.factors[:-1], state.factors[-1] * state.amplitudes]


def _joined(factors: Sequence[Array], more: Sequence[Array]) -> list[Array]:
    return [np.concatenate(pair, axis=1) for pair in zip(factors, more, strict=True)]


def _moved(state: Alternation, axes: Sequence[Axis]) -> list[Array]:
    """Return the factors of a state on other meshes of the same ranges."""
    *own, outputs = _factors(state)
    return [*(_resampled(a, b, u) for a, b, u in zip(state.axes, axes, own, strict=True)), outputs]


def _resampled(old: Axis, new: Axis, factor: Array) -> Array:
    return factor if old is new or old.discrete else _values(old, factor, new.nodes[: new.size])


def _values(axis: Axis, factor: Array, x: Array) -> Array:
    index, values = axis.tabulate(x)
    found: Array = np.einsum("kw,kwm->km", values, factor[index], optimize=True)
    return found
