"""Surrogates of modest data: form, mesh, number of modes and smoothness from the data alone.

Candidates, sums of products with or without additive functions on meshes from coarse to fine, are first compared with
few modes; the best are grown mode by mode until the score falls no more, and polished on all samples. Where the values
are positive and spread, their logarithm is tried as well. The score is the error at samples held out; of few samples it
is the linearised leave-one-out error, which needs none but is optimistic where coefficients are many.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from inntd import _checks
from inntd.axes import Axis
from inntd.models import CPModel
from inntd.models.exponential import ExponentialModel
from inntd.models.field import Field
from inntd.training.coordinates import Coordinates
from inntd.training.evidence import Fit, Samples, improve, left_out, with_new_mode
from inntd.training.mesh import axes_from_data
from inntd.training.outcome import FitResult, FitStatus
from inntd.training.samples import check_samples

Array = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]

MESHES = ((2, 1), (4, 2), (6, 3), (8, 4), (14, 4), (16, 2))  # elements and patch size
FIRST_MODES, MOST_MODES = 3, 20
BETTER = 0.85  # a further mode must lower the score to this share of it
PATIENCE = 2
SPREAD = 1.5  # largest over smallest value from which on the logarithm is tried
MOST_COMPARED = 1500  # samples that candidates are compared on
HELD_OUT = 0.15
LEAST_HELD = 20
FEWEST_SAMPLES = 40  # from which on some are held out
PER_COEFFICIENT = 1.0  # samples that a mode's coefficient needs at least: no more modes then
BEYOND, MOST_BEYOND = 8.0, 0.01  # of the range: parts in K, and at most
STEPS = 14, 60  # of Levenberg-Marquardt after each mode, and in the end


@dataclass(frozen=True)
class Candidate:
    """One way to write the function.

    Attributes
    ----------
    elements, s : int
        The mesh of every axis, coarser where the data has fewer levels.
    additive : bool
        Whether functions of one coordinate each stand beside the modes.
    logarithm : bool
        Whether the logarithm of the values is fitted.
    """

    elements: int
    s: int
    additive: bool
    logarithm: bool = False

    def __str__(self) -> str:
        form = "additive functions and modes" if self.additive else "modes"
        return f"{form} on {self.elements} elements, s={self.s}" + (", of log(y)" if self.logarithm else "")


def fit_automatic(
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    weights: npt.ArrayLike | None = None,
    names: Sequence[str] | None = None,
    categorical: Sequence[int] = (),
    seed: int = 0,
    max_seconds: float = 20.0,
    callback: Callable[[dict[str, Any]], Any] | None = None,
) -> FitResult:
    """Fit a surrogate to up to some ten thousand samples, with everything chosen from them.

    Parameters
    ----------
    x : array (K, D)
        Samples' coordinates; the axes range from the least to the largest, and a little beyond on continuous columns.
    y : array (K,)
        Their values.
    weights : array (K,), optional
        Non-negative weights.
    names : sequence of D str, optional
        Names of the axes; "x1", "x2", ... by default.
    categorical : sequence of int, default ()
        Columns of whole numbers 0, 1, ... without an order.
    seed : int, default 0
        Of the starts.
    max_seconds : float, default 20
        No further mode or candidate is begun after seven tenths of this time; then the best is polished.
    callback : callable, optional
        Takes the history's entry after each mode. KeyboardInterrupt keeps the best model so far.

    Returns
    -------
    FitResult
        `choices` has ``form`` (what was chosen), ``rank``, ``score`` (relative error at samples left out), ``noise``
        (estimated standard deviation of the noise) and ``compared``: all candidates with their scores. The model is a
        `CPModel`, or an `ExponentialModel` of one.

    Raises
    ------
    ValueError, TypeError
        When an argument is none of these.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).random((200, 2))
    >>> found = fit_automatic(x, np.exp(x[:, 0]) * x[:, 1] + x[:, 0])
    >>> bool(found.choices["score"] < 1e-4)
    True
    """
    seed = _checks.positive_int("seed", seed, minimum=0)
    max_seconds = _checks.finite_float("max_seconds", max_seconds, positive=True)
    points = np.asarray(x, dtype=np.float64)
    axes = axes_from_data(points, names=names, elements=1, s=1, categorical=categorical)
    columns, values, shares = check_samples(axes, points, y, weights)
    if np.ndim(y) != 1:
        raise ValueError(f"y must have shape ({len(points)},), got {np.shape(y)}: fit one output at a time")
    search = _Search(np.stack(columns, 1), values[:, 0], shares, names, categorical, seed, max_seconds, callback)
    with threadpool_limits(1, user_api="blas"):  # small matrices: threads cost more than they save
        status, message = search.run()
    return search.result(status, message)


class _Search:
    """The state of one search: the best model so far survives whatever happens."""

    def __init__(
        self, x: Array, y: Array, weights: Array, names: Sequence[str] | None, categorical: Sequence[int], seed: int,
        max_seconds: float, callback: Callable[[dict[str, Any]], Any] | None,
    ) -> None:  # fmt: skip
        self.x, self.y, self.weights, self.names, self.categorical = x, y, weights, names, list(categorical)
        self.seed, self.callback, self.began = seed, callback, time.perf_counter()
        self.deadline = self.began + 0.7 * max_seconds  # the rest is for polishing
        self.spread = float(np.sqrt(np.average((y - np.average(y, weights=weights)) ** 2, weights=weights)))
        order = np.random.default_rng([seed, 2]).permutation(len(y))
        held = int(max(HELD_OUT * len(y), min(LEAST_HELD, 0.3 * len(y)))) if len(y) >= FEWEST_SAMPLES else 0
        self.held, self.kept = order[:held], order[held:]
        self.range = _widened(x, self.categorical)
        self.levels = [len(np.unique(column)) for column in x.T]
        self.history: list[dict[str, Any]] = []
        self.compared: dict[str, float] = {}
        self.best: tuple[float, Candidate, Fit, list[Axis]] | None = None

    def run(self) -> tuple[FitStatus, str]:
        if self.spread <= 1e-14 * max(abs(float(np.average(self.y))), 1e-300) or len(self.y) < 4:
            return "converged", "the values are constant" if len(self.y) > 3 else "fewer than four samples: their mean"
        try:
            ranked = self._compare()
            for _, candidate in ranked[:2]:
                self._grow(candidate, MOST_MODES, self.kept, final=True)
                if time.perf_counter() > self.deadline:
                    return "max_epochs", "out of time: more may be found with a larger max_seconds"
        except KeyboardInterrupt:
            return "interrupted", "interrupted: the best model so far was kept"
        return "converged", "further modes did not lower the error at samples left out"

    # ---- candidates ----------------------------------------------------------------------------------------------

    @property
    def validation(self) -> str:
        """What the score is measured on, in words."""
        return f"{len(self.held):,} rows held out" if len(self.held) else "each row left out in turn, linearised"

    def _candidates(self) -> list[Candidate]:
        found: dict[tuple[tuple[int, ...], bool], Candidate] = {}
        for elements, s in MESHES:
            for additive in (False, True):
                candidate = Candidate(elements, s, additive)
                sizes = tuple(axis.size for axis in self._axes(candidate))
                if sum(sizes) * PER_COEFFICIENT <= len(self.y) or elements == MESHES[0][0]:
                    found.setdefault((sizes, additive), candidate)
        return list(found.values())

    def _axes(self, candidate: Candidate) -> list[Axis]:
        elements = [min(candidate.elements, max(count - 1, 1)) for count in self.levels]
        return axes_from_data(
            self.range, names=self.names, elements=elements, s=candidate.s, categorical=self.categorical
        )

    def _compare(self) -> list[tuple[float, Candidate]]:
        """Return the candidates by their scores with few modes, the best first."""
        part = self.kept[:MOST_COMPARED]
        half = self.began + 0.5 * (self.deadline - self.began)
        ranked: list[tuple[float, Candidate]] = []

        def add(candidate: Candidate) -> None:
            if ranked and time.perf_counter() > half:
                return
            ranked.append((self._grow(candidate, FIRST_MODES, part, final=False), candidate))
            self.compared[str(candidate)] = ranked[-1][0]

        for candidate in self._candidates():
            add(candidate)
        ranked.sort(key=lambda pair: pair[0])
        if self.y.min() > 0 and self.y.max() > SPREAD * self.y.min():
            for _, candidate in ranked[:2]:
                add(Candidate(candidate.elements, candidate.s, candidate.additive, logarithm=True))
        return sorted(ranked, key=lambda pair: pair[0])

    # ---- one candidate -------------------------------------------------------------------------------------------

    def _grow(self, candidate: Candidate, most: int, rows: Rows, final: bool) -> float:
        """Add modes while the score falls; the final fits are candidates for the best. Returns the best score."""
        axes = self._axes(candidate)
        coordinates = [Coordinates.of(axis) for axis in axes]
        samples, held = (self._samples(candidate, coordinates, part) for part in (rows, self.held))
        fit = improve(samples, samples.start(candidate.additive), 6)
        chosen, best, waited = fit, self._score(candidate, samples, held, fit), 0
        if final or self.best is None:
            self._keep(best, candidate, fit, axes)
        random = np.random.default_rng([self.seed, 1])
        sizes = sum(axis.size for axis in axes)
        while fit.rank < most and waited < PATIENCE and time.perf_counter() < self.deadline:
            if fit.rank > 0 and (fit.rank + 1) * sizes * PER_COEFFICIENT > len(rows):
                break
            fit = improve(samples, with_new_mode(samples, fit, random), STEPS[0])
            score = self._score(candidate, samples, held, fit)
            waited = 0 if score < BETTER * best else waited + 1
            if score < BETTER * best:
                chosen, best = fit, score
                if final:
                    self._keep(best, candidate, chosen, axes)
            self._note(candidate, fit.rank, score)
        if final:
            self._polish(candidate, coordinates, chosen, best, axes)
        return best

    def _polish(
        self, candidate: Candidate, coordinates: list[Coordinates], chosen: Fit, score: float, axes: list[Axis]
    ) -> None:
        """Let the chosen fit converge on all samples, from where it is: it stays in its minimum."""
        everything = self._samples(candidate, coordinates, np.arange(len(self.y)))
        fit = improve(everything, chosen, STEPS[1], tolerance=1e-5)
        if self.best is not None and self.best[0] >= score:
            self.best = (score, candidate, fit, axes)

    def _samples(self, candidate: Candidate, coordinates: list[Coordinates], rows: Rows) -> Samples:
        target, _, _ = self._target(candidate)
        return Samples(coordinates, self.x[rows], target[rows], self.weights[rows])

    def _target(self, candidate: Candidate) -> tuple[Array, float, float]:
        """Return what is fitted, of mean zero and variance one, with the mean and deviation that lead back."""
        values = np.log(self.y) if candidate.logarithm else self.y
        centre = float(np.average(values, weights=self.weights))
        scale = float(np.sqrt(np.average((values - centre) ** 2, weights=self.weights))) or 1.0
        return (values - centre) / scale, centre, scale

    def _score(self, candidate: Candidate, samples: Samples, held: Samples, fit: Fit) -> float:
        """Return the error at samples left out, relative to the deviation of the values."""
        _, centre, scale = self._target(candidate)
        judged = held if len(held.y) else samples
        found = held.values(fit) if len(held.y) else left_out(samples, fit)
        pairs = [centre + scale * values for values in (found, judged.y)]
        if candidate.logarithm:
            pairs = [np.exp(np.minimum(values, 700.0)) for values in pairs]
        error = float(np.average((pairs[0] - pairs[1]) ** 2, weights=judged.root**2))
        return float(np.sqrt(error)) / self.spread if np.isfinite(error) else float("inf")

    def _keep(self, score: float, candidate: Candidate, fit: Fit, axes: list[Axis]) -> None:
        if self.best is None or score < self.best[0]:
            self.best = (score, candidate, fit, axes)

    def _note(self, candidate: Candidate, rank: int, score: float) -> None:
        entry = {"step": len(self.history) + 1, "loss": (score * self.spread) ** 2, "rank": rank,
                 "form": str(candidate), "seconds": time.perf_counter() - self.began}  # fmt: skip
        self.history.append(entry)
        if self.callback is not None:
            self.callback(entry)

    # ---- the model -----------------------------------------------------------------------------------------------

    def result(self, status: FitStatus, message: str) -> FitResult:
        """Return the best model and what was chosen."""
        if self.best is None:
            axes = self._axes(Candidate(*MESHES[0], additive=False))
            constant = [np.ones((axis.size, 1)) for axis in axes]
            constant[0] *= float(np.average(self.y, weights=self.weights))
            choices: dict[str, Any] = {"form": "constant", "rank": 1, "score": 0.0, "noise": 0.0, "compared": {},
                                       "validation": None}  # fmt: skip
            model: Field = CPModel.from_factors(axes, constant)
        else:
            score, candidate, fit, axes = self.best
            _, centre, scale = self._target(candidate)
            cp = model_of(axes, fit, centre, scale)
            model = ExponentialModel(cp) if candidate.logarithm else cp
            choices = {
                "form": str(candidate),
                "rank": fit.rank,
                "score": score,
                "noise": float(np.sqrt(fit.noise)) * scale,
                "compared": self.compared,
                "validation": self.validation,
            }
        return FitResult(model, status, message, self.history, time.perf_counter() - self.began, choices)


def _widened(x: Array, categorical: Sequence[int]) -> Array:
    """Return the samples with two more, a little beyond the ends of the columns whose values are all different.

    The ends of a range that samples are drawn from lie about one part in K beyond them: the model goes on that far.
    """
    low, high = x.min(axis=0), x.max(axis=0)
    several = np.array([len(np.unique(column)) > len(x) // 2 for column in x.T])
    several[list(categorical)] = False
    beyond = np.where(several, min(BEYOND / len(x), MOST_BEYOND) * (high - low), 0.0)
    found: Array = np.vstack([low - beyond, high + beyond, x])
    return found


def model_of(axes: Sequence[Axis], fit: Fit, centre: float, scale: float) -> CPModel:
    """Return a fit as a CP model of nodal values, times `scale` plus `centre`; additive functions are modes too."""
    coordinates = [Coordinates.of(axis) for axis in axes]
    factors = [[c.nodal @ mode] for c, mode in zip(coordinates, fit.modes, strict=True)]
    factors[0][0] = scale * factors[0][0]
    added = [d for d, part in enumerate(fit.additive) if part.size] or [0]
    for d in added:
        for e, axis in enumerate(axes):
            column = np.ones((axis.size, 1))
            if e == d:
                part = fit.additive[d]
                column = (
                    scale * (coordinates[d].nodal[:, 1:] @ part)[:, None] if part.size else np.zeros((axis.size, 1))
                )
                if d == added[0]:
                    column = column + centre + scale * fit.constant
            factors[e].append(column)
    return CPModel.from_factors(axes, [np.column_stack(parts) for parts in factors])
