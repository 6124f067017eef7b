r"""Classification: a CP model of one logit per class, by maximum penalised likelihood.

.. math:: -\sum_k w_k \sum_c y_{kc} \log \mathrm{softmax}(u(x_k))_c / K + \tau \Big( \sum_d \big(
    \|U_d - U_d^0\|^2 / n_d + \|D_d U_d\|^2 \big) + \|U_{out}\|^2 \Big)

The start :math:`U_d^0` has a constant, one linear function of each coordinate, and products of linear functions: a
large :math:`\tau` gives logistic regression, a small one bends its functions (:math:`D_d`: second differences) and
lets coordinates interact. Minimised by L-BFGS; :math:`\tau` is chosen by the loss on held-out rows.
"""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.optimize
import scipy.sparse
from scipy.special import log_softmax, softmax

from inntd._kernels import blas_threads
from inntd.axes import Axis
from inntd.models import CPModel
from inntd.training.outcome import FitResult, FitStatus
from inntd.training.smoothness import second_differences

Array = npt.NDArray[np.float64]

STRENGTHS = (1.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5)


@blas_threads()
def fit_softmax(
    axes: Sequence[Axis],
    x: Array,
    y: Array,
    *,
    rank: int,
    weights: Array | None = None,
    strengths: Sequence[float] = STRENGTHS,
    held_out: tuple[Array, Array, Array | None] | None = None,
    iterations: int = 100,
    max_seconds: float = np.inf,
    seed: int = 0,
    callback: Callable[[dict[str, Any]], Any] | None = None,
) -> FitResult:
    """Fit logits to samples of classes.

    Parameters
    ----------
    axes : sequence of D Axis
    x : array (K, D)
        Coordinates of the samples.
    y : array (K, C)
        Their probabilities of the classes: rows of a unit matrix where the class is known.
    rank : int
        Number of modes.
    weights : array (K,), optional
        Non-negative.
    strengths : sequence of float
        Weights of the penalty, the largest first: each begins where the one before ended.
    held_out : (x, y, weights), optional
        Rows to choose the best strength by; without them it is the last one.
    iterations : int, default 100
        Of L-BFGS, for each strength.
    max_seconds : float, default infinity
        No further iteration after this time.
    seed : int, default 0
        Of the start.
    callback : callable, optional
        Takes the entry of the history after each iteration. KeyboardInterrupt in it, or from the keyboard, ends the
        training and keeps the best model.

    Returns
    -------
    FitResult
        The model has one more, discrete axis ``"output"``. The loss is the penalised cross-entropy; `choices` has the
        cross-entropies ``losses`` on the rows held out, one per strength.

    Examples
    --------
    >>> import numpy as np, inntd as it
    >>> from inntd.training.softmax import fit_softmax
    >>> x = np.random.default_rng(0).random((200, 2))
    >>> inside = (np.hypot(*(x - 0.5).T) < 0.4).astype(int)
    >>> axes = [it.Axis(name, 0, 1, elements=6) for name in "ab"]
    >>> found = fit_softmax(axes, x, np.eye(2)[inside], rank=5, strengths=[1e-5])
    >>> logits = found.model.grid({"a": [0.5, 0.95], "b": [0.5], "output": [0, 1]})
    >>> logits.argmax(-1).ravel()
    tensor([1, 0])
    """
    begin = time.perf_counter()
    problem = Likelihood(axes, x, y, weights, rank, seed)
    check = None if held_out is None else Likelihood(axes, *held_out, rank, seed)
    descent = _Descent(problem, callback, begin, max_seconds)
    found: list[Array] = []
    losses: list[float] = []
    status: FitStatus = "converged"
    message = "the penalised likelihood is largest"
    try:
        for value in strengths:
            found.append(descent.minimise(value, iterations))
            losses.append(0.0 if check is None else check.loss(found[-1]))
            if descent.late:
                status, message = "max_epochs", "the time is over: raise max_seconds"
                break
    except KeyboardInterrupt:
        count = len(descent.history)
        status, message = "interrupted", f"interrupted after {count} iterations: the model is the best so far"
    if not found:
        found, losses = [descent.latest], [np.inf]
    chosen = int(np.argmin(losses)) if check is not None else len(found) - 1
    choices = {
        "rank": rank,
        "strength": strengths[chosen],
        "losses": losses,
        "training_error": problem.loss(found[chosen]),
    }
    model = CPModel.from_factors([*axes, Axis.discrete("output", y.shape[1])], problem.factors(found[chosen]))
    return FitResult(model, status, message, descent.history, time.perf_counter() - begin, choices)


class Likelihood:
    """The negative log-likelihood of samples and its gradient, as functions of all factors in one vector."""

    def __init__(self, axes: Sequence[Axis], x: Array, y: Array, weights: Array | None, rank: int, seed: int) -> None:
        self.basis = [_basis_matrix(axis, column) for axis, column in zip(axes, x.T, strict=True)]
        self.differences = [second_differences(axis) for axis in axes]
        shares = np.ones(len(y)) if weights is None else weights
        self.y, self.shares = y, (shares / shares.sum())[:, None]
        self.sizes = [axis.size for axis in axes] + [y.shape[1]]
        self.rank = rank
        self.start = np.concatenate([u.ravel() for u in self._start(axes, np.random.default_rng(seed))])

    def factors(self, u: Array) -> list[Array]:
        """Return the factors (size, M), the last one that of the classes."""
        bounds = np.cumsum([0, *(size * self.rank for size in self.sizes)])
        return [u[low:high].reshape(-1, self.rank) for low, high in itertools.pairwise(bounds)]

    def loss(self, u: Array) -> float:
        """Return the mean cross-entropy."""
        *factors, outputs = self.factors(u)
        modes = np.ones((len(self.y), self.rank))
        for basis, factor in zip(self.basis, factors, strict=True):
            modes *= basis @ factor
        return float(-np.sum(self.shares * self.y * log_softmax(modes @ outputs.T, axis=1)))

    def penalised(self, u: Array, strength: float) -> tuple[float, Array]:
        """Return the penalised loss and its gradient."""
        *factors, outputs = self.factors(u)
        rows = [basis @ factor for basis, factor in zip(self.basis, factors, strict=True)]
        before = [np.ones_like(rows[0])]
        for row in rows:
            before.append(before[-1] * row)
        logits = before[-1] @ outputs.T
        loss = float(-np.sum(self.shares * self.y * log_softmax(logits, axis=1)))
        # Rows of y add up to one.
        slope = self.shares * (softmax(logits, axis=1) - self.y)
        gradients = [slope.T @ before[-1] + 2 * strength * outputs]
        after = slope @ outputs
        loss += strength * float(np.sum(outputs**2))
        starts = self.factors(self.start)
        for d in reversed(range(len(rows))):
            moved, bend = factors[d] - starts[d], self.differences[d] @ factors[d]
            loss += strength * (float(np.sum(moved**2)) / len(moved) + float(np.sum(bend**2)))
            penalty = moved / len(moved) + self.differences[d].T @ bend
            gradients.insert(0, self.basis[d].T @ (after * before[d]) + 2 * strength * penalty)
            after = after * rows[d]
        return loss, np.concatenate([gradient.ravel() for gradient in gradients])

    def _start(self, axes: Sequence[Axis], random: np.random.Generator) -> list[Array]:
        """Return a constant, a linear function of each coordinate in turn, and products of linear functions."""
        factors = []
        for d, axis in enumerate(axes):
            x = np.linspace(-1, 1, axis.size)[:, None]
            linear = random.standard_normal((axis.size, self.rank)) if axis.discrete else np.repeat(x, self.rank, 1)
            factor = 1 + 0.5 * random.choice([-1.0, 1.0], self.rank) * linear
            factor[:, : min(1 + len(axes), self.rank)] = 1
            if d + 1 < self.rank:
                factor[:, d + 1] = linear[:, d + 1]
            factors.append(factor)
        outputs = 0.01 * random.standard_normal((self.y.shape[1], self.rank))
        return [*factors, outputs]


class _Late(Exception):
    """The time is over."""


class _Descent:
    """Runs L-BFGS, each time from where it ended; keeps the latest iterate, the history and the time."""

    def __init__(
        self, problem: Likelihood, callback: Callable[[dict[str, Any]], Any] | None, begin: float, max_seconds: float
    ) -> None:
        self.problem, self.callback, self.begin, self.max_seconds = problem, callback, begin, max_seconds
        self.latest = problem.start
        self.late = False
        self.history: list[dict[str, Any]] = []

    def minimise(self, strength: float, iterations: int) -> Array:
        """Return the minimiser, or the latest iterate when the time is over."""
        if not self.history:
            self._note(self.problem.penalised(self.latest, strength)[0], strength)
        with contextlib.suppress(_Late):
            scipy.optimize.minimize(
                self.problem.penalised,
                self.latest,
                args=(strength,),
                jac=True,
                method="L-BFGS-B",
                callback=lambda intermediate_result: self._step(intermediate_result, strength),
                options={"maxiter": iterations, "ftol": 1e-7, "gtol": 1e-6, "maxcor": 20},
            )
        return self.latest

    def _step(self, result: Any, strength: float) -> None:
        self.latest = np.array(result.x)
        self._note(float(result.fun), strength)
        if time.perf_counter() - self.begin > self.max_seconds:
            self.late = True
            raise _Late

    def _note(self, loss: float, strength: float) -> None:
        seconds = time.perf_counter() - self.begin
        self.history.append({"step": len(self.history), "loss": loss, "strength": strength, "seconds": seconds})
        if self.callback is not None:
            self.callback(self.history[-1])


def _basis_matrix(axis: Axis, x: Array) -> scipy.sparse.csr_array:
    """Return the basis functions at points (K, size)."""
    index, values = axis.tabulate(x)
    rows = np.arange(0, index.size + 1, index.shape[1])
    return scipy.sparse.csr_array((values.ravel(), index.ravel(), rows), shape=(len(x), axis.size))
