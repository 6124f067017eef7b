"""L-BFGS on the full batch, with the core's gradients."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.optimize import minimize

from inntd import _checks, _kernels
from inntd.axes import Axis
from inntd.models import CPModel
from inntd.training import arguments
from inntd.training.native import NativeModel
from inntd.training.outcome import FitResult, FitStatus
from inntd.training.scaling import centre_and_scale
from inntd.training.sources import InMemory

BLOCK = 512


@_kernels.blas_threads()
def fit_lbfgs(
    axes: Sequence[Axis],
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    rank: int,
    weights: npt.ArrayLike | None = None,
    iterations: int = 500,
    tolerance: float = 1e-10,
    max_seconds: float | None = None,
    start: CPModel | None = None,
    seed: int = 0,
    callback: Callable[[dict[str, Any]], Any] | None = None,
) -> FitResult:
    """Fit a CP model to samples by L-BFGS on all factors at once, in float64.

    Parameters
    ----------
    axes, x, y, rank, weights, start, seed, callback :
        As for `fit_adam`, with arrays in memory; the callback is called after each iteration.
    iterations : int, default 500
        Largest number of iterations.
    tolerance : float, default 1e-10
        Stop when an iteration lowers the loss by less than this share of it.
    max_seconds : float, optional
        No iteration begins after so much wall time.

    Returns
    -------
    FitResult

    References
    ----------
    Byrd, Lu, Nocedal, Zhu, "A limited memory algorithm for bound constrained optimization", SIAM J. Sci. Comput. 16,
    1995, in SciPy's form.

    Examples
    --------
    >>> import numpy as np, inntd as it
    >>> from inntd.training.lbfgs import fit_lbfgs
    >>> x = np.random.default_rng(0).random((500, 2))
    >>> axes = [it.Axis("a", 0, 1, elements=6), it.Axis("b", 0, 1, elements=6)]
    >>> fit_lbfgs(axes, x, x[:, 0] * x[:, 1], rank=2).history[-1]["loss"] < 1e-8
    True
    """
    began = time.perf_counter()
    rank, iterations = _checks.positive_int("rank", rank), _checks.positive_int("iterations", iterations)
    tolerance = _checks.finite_float("tolerance", tolerance, positive=True)
    seed, callback = _checks.positive_int("seed", seed, minimum=0), arguments.function("callback", callback)
    chunk = InMemory(axes, x, y, weights, 0.0, np.random.default_rng(seed)).chunk
    centre, scale = centre_and_scale(chunk.y, chunk.weights)
    outputs = None if np.ndim(y) == 1 else chunk.y.shape[1]
    native = NativeModel(axes, rank, outputs, torch.float64, centre, scale)
    native.start(seed)
    first = arguments.start(start, axes, rank, outputs)
    if first is not None:
        native.put([factor.detach() for factor in first.factors])
    native.core.set_data(
        chunk.x, native.standardised(chunk.y), chunk.weights, np.arange(len(chunk.x), dtype=np.int64), BLOCK
    )
    objective = _Objective(native, callback, began, arguments.seconds(max_seconds))
    status, message = objective.minimise(iterations, tolerance)
    model = native.model(objective.unpacked(objective.best))
    return FitResult(model, status, message, objective.history, time.perf_counter() - began, {"rank": rank})


class _Late(Exception):
    """The time is over."""


class _Objective:
    """The loss as a function of one flat vector; keeps the best vector that it has seen."""

    def __init__(
        self,
        native: NativeModel,
        callback: Callable[[dict[str, Any]], Any] | None,
        began: float,
        max_seconds: float | None,
    ) -> None:
        self.native, self.callback, self.began, self.max_seconds = native, callback, began, max_seconds
        self.best = _packed(native.take())
        self.best_loss = np.inf
        self.history: list[dict[str, Any]] = []

    def minimise(self, iterations: int, tolerance: float) -> tuple[FitStatus, str]:
        try:
            found = minimize(
                self, self.best, jac=True, method="L-BFGS-B", callback=self._note,
                options={"maxiter": iterations, "maxfun": 4 * iterations, "maxcor": 20, "ftol": tolerance, "gtol": 0.0},
            )  # fmt: skip
        except _Late:
            return "max_epochs", f"the time was over after {len(self.history)} iterations: raise max_seconds"
        except KeyboardInterrupt:
            return "interrupted", "interrupted: the best model so far was kept"
        if found.nit >= iterations:
            return "max_epochs", f"ran all {iterations} iterations: more may lower the loss"
        return ("converged" if found.success else "stagnated"), str(found.message)

    def __call__(self, vector: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        self.native.put(self.unpacked(vector))
        loss = self.native.core.gradient(_kernels.threads())
        if loss < self.best_loss:
            self.best_loss, self.best = loss, vector.copy()
        return loss, _packed(self.native.take("gradient"))

    def unpacked(self, vector: npt.NDArray[np.float64]) -> list[torch.Tensor]:
        """Return the factors in a flat vector."""
        parts = torch.split(torch.from_numpy(np.array(vector)), [a * b for a, b in self.native.shapes])
        return [part.reshape(shape) for part, shape in zip(parts, self.native.shapes, strict=True)]

    def _note(self, intermediate_result: Any) -> None:
        loss = float(self.best_loss) * self.native.scale**2
        self.history.append({"step": len(self.history) + 1, "loss": loss, "seconds": time.perf_counter() - self.began})
        if self.callback is not None:
            self.callback(self.history[-1])
        if self.max_seconds is not None and time.perf_counter() - self.began > self.max_seconds:
            raise _Late


def _packed(factors: Sequence[torch.Tensor]) -> npt.NDArray[np.float64]:
    return torch.cat([factor.reshape(-1) for factor in factors]).numpy()
