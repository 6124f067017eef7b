r"""Classification: a CP model of one logit per class, by maximum penalised likelihood.

.. math:: -\sum_k w_k \sum_c y_{kc} \log \mathrm{softmax}(u(x_k))_c / K + \tau \Big( \sum_d \big(
    \|U_d - U_d^0\|^2 / n_d + \|D_d U_d\|^2 \big) + \|U_{out}\|^2 \Big)

The start :math:`U_d^0` has a constant, one linear function of each coordinate, and products of linear functions: a
large :math:`\tau` gives logistic regression, a small one bends its functions (:math:`D_d`: second differences) and
lets coordinates interact. Minimised by L-BFGS; :math:`\tau` is the one of least loss on held-out rows.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.optimize
import scipy.sparse
from scipy.special import log_softmax, softmax

from inntd.axes import Axis
from inntd.models import CPModel
from inntd.training.outcome import FitResult, FitStatus
from inntd.training.smoothness import second_differences

Array = npt.NDArray[np.float64]

STRENGTHS = (1.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5)
FEW_ROWS = 40  # below, a held-out part tells nothing: the strength is fixed
FIXED_STRENGTH = 1e-3


def fit_softmax(
    axes: Sequence[Axis],
    x: Array,
    y: Array,
    *,
    rank: int,
    weights: Array | None = None,
    strength: float | None = None,
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
    strength : float, optional
        The penalty's weight; by default the best of six on the rows held out, largest first, or 1e-3.
    held_out : (x, y, weights), optional
        Rows to choose the strength by.
    iterations : int, default 100
        Of L-BFGS, for each strength.
    max_seconds : float, default infinity
        No further iteration after this time.
    seed : int, default 0
        Of the start.
    callback : callable, optional
        Takes the entry of the history after each iteration.

    Returns
    -------
    FitResult
        The model has one more, discrete axis ``"output"``. The loss is the cross-entropy, ``log_loss`` that of the
        rows held out.

    Examples
    --------
    >>> import numpy as np, inntd as it
    >>> from inntd.training.softmax import fit_softmax
    >>> x = np.random.default_rng(0).random((200, 2))
    >>> inside = (np.hypot(*(x - 0.5).T) < 0.4).astype(int)
    >>> axes = [it.Axis(name, 0, 1, elements=6) for name in "ab"]
    >>> found = fit_softmax(axes, x, np.eye(2)[inside], rank=5, strength=1e-5)
    >>> logits = found.model.grid({"a": [0.5, 0.95], "b": [0.5], "output": [0, 1]})
    >>> logits.argmax(-1).ravel()
    tensor([1, 0])
    """
    begin = time.perf_counter()
    problem = Likelihood(axes, x, y, weights, rank, seed)
    strengths = STRENGTHS if strength is None and held_out is not None else (strength or FIXED_STRENGTH,)
    check = None if held_out is None else Likelihood(axes, *held_out, rank, seed)
    best = u = problem.start
    best_loss, chosen, worse = np.inf, strengths[0], 0
    history: list[dict[str, Any]] = []
    status: FitStatus = "converged"
    message = "the penalised likelihood is largest"
    keeper = _Keeper(problem, history, callback, begin, max_seconds)
    try:
        for value in strengths:
            u, stop = keeper.minimise(u, value, iterations)
            loss = problem.loss(u) if check is None else check.loss(u)
            history[-1]["log_loss"] = loss
            worse = 0 if loss < best_loss else worse + 1
            if loss < best_loss:
                best, best_loss, chosen = u, loss, value
            if stop or worse == 2:
                break
        if keeper.late:
            status, message = "max_epochs", f"stopped after {max_seconds:g} s: raise max_seconds"
    except KeyboardInterrupt:
        best = best if np.isfinite(best_loss) else keeper.latest
        status, message = "interrupted", f"interrupted after {len(history)} iterations: the model is the best so far"
    model_axes = [*axes, Axis.discrete("output", y.shape[1])]
    choices = {
        "rank": rank,
        "strength": chosen,
        "training_error": problem.loss(best),
        "validation_error": None if check is None else check.loss(best),
    }
    model = CPModel.from_factors(model_axes, problem.factors(best))
    return FitResult(model, status, message, history, time.perf_counter() - begin, choices)


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


class _Keeper:
    """Runs L-BFGS, keeps the latest iterate, the history and the time."""

    def __init__(
        self,
        problem: Likelihood,
        history: list[dict[str, Any]],
        callback: Callable[[dict[str, Any]], Any] | None,
        begin: float,
        max_seconds: float,
    ) -> None:
        self.problem, self.history, self.callback = problem, history, callback
        self.begin, self.max_seconds = begin, max_seconds
        self.latest, self.late = problem.start, False

    def minimise(self, u: Array, strength: float, iterations: int) -> tuple[Array, bool]:
        """Return the minimiser, or the latest iterate when the time is over, and whether it is."""
        self.latest = u
        try:
            scipy.optimize.minimize(
                self.problem.penalised,
                u,
                args=(strength,),
                jac=True,
                method="L-BFGS-B",
                callback=lambda intermediate_result: self._note(intermediate_result, strength),
                options={"maxiter": iterations, "ftol": 1e-7, "gtol": 1e-6, "maxcor": 20},
            )
        except _Late:
            self.late = True
        if not self.history:  # the start is a minimum
            self._append(self.problem.penalised(u, strength)[0], strength)
        return self.latest, self.late

    def _note(self, result: Any, strength: float) -> None:
        self.latest = np.array(result.x)
        self._append(float(result.fun), strength)
        if time.perf_counter() - self.begin > self.max_seconds:
            raise _Late

    def _append(self, loss: float, strength: float) -> None:
        seconds = time.perf_counter() - self.begin
        step = len(self.history) + 1
        self.history.append({"step": step, "loss": loss, "strength": strength, "seconds": seconds})
        if self.callback is not None:
            self.callback(self.history[-1])


def _basis_matrix(axis: Axis, x: Array) -> scipy.sparse.csr_array:
    """Return the basis functions at points (K, size)."""
    index, values = axis.tabulate(x)
    rows = np.arange(0, index.size + 1, index.shape[1])
    return scipy.sparse.csr_array((values.ravel(), index.ravel(), rows), shape=(len(x), axis.size))
