"""Mode by mode on what is left: the paper's Algorithm 1, each mode a weak learner."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from inntd import _checks
from inntd.axes import Axis
from inntd.models import CPModel
from inntd.training import arguments
from inntd.training.als import fit_als
from inntd.training.extrapolation import evaluate
from inntd.training.mesh import FineMeshWarning
from inntd.training.outcome import FitResult, FitStatus
from inntd.training.samples import check_samples


def fit_boosting(
    axes: Sequence[Axis],
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    rank: int,
    weights: npt.ArrayLike | None = None,
    tolerance: float = 1e-6,
    max_seconds: float | None = None,
    learner: Callable[..., FitResult] = fit_als,
    seed: int = 0,
    callback: Callable[[dict[str, Any]], Any] | None = None,
    **options: Any,
) -> FitResult:
    """Fit a CP model to samples one mode after the other, each to the residual of those before.

    Earlier modes stand still, so more modes are needed than by training all at once; in return each fit is small.

    Parameters
    ----------
    axes, x, y, weights, seed, callback :
        As for `fit_adam`, with arrays in memory; the callback is called after each mode.
    rank : int
        Largest number of modes.
    tolerance : float, default 1e-6
        Stop when a mode lowers the root of the loss by less than this share of it.
    max_seconds : float, optional
        No mode begins after so much wall time.
    learner : callable, default `fit_als`
        Fits one mode: `fit_als`, `fit_adam` or `fit_lbfgs`.
    **options
        For the learner.

    Returns
    -------
    FitResult

    References
    ----------
    Guo et al., ICML 2025, arXiv 2503.02041, Algorithm 1.

    Examples
    --------
    >>> import numpy as np, inntd as it
    >>> from inntd.training.boosting import fit_boosting
    >>> x = np.random.default_rng(0).random((500, 2))
    >>> axes = [it.Axis("a", 0, 1, elements=6), it.Axis("b", 0, 1, elements=6)]
    >>> fit_boosting(axes, x, x[:, 0] + x[:, 1] ** 2, rank=3).model.rank <= 3
    True
    """
    began = time.perf_counter()
    most = _checks.positive_int("rank", rank)
    tolerance, seed = arguments.non_negative("tolerance", tolerance), _checks.positive_int("seed", seed, minimum=0)
    limit, callback = arguments.seconds(max_seconds), arguments.function("callback", callback)
    late = np.inf if limit is None else began + limit
    if not callable(learner):
        raise TypeError(f"learner must be a function such as fit_als, got {learner!r}")
    columns, values, shares = check_samples(axes, x, y, weights)
    points, several = np.stack(columns, 1), np.ndim(y) > 1
    left = values if several else values[:, 0]
    model: CPModel | None = None
    history: list[dict[str, Any]] = []
    status: FitStatus = "max_epochs"
    message = f"used all {most} modes: more may lower the loss"
    try:
        for mode in range(most):
            with warnings.catch_warnings():
                if mode:  # what is wrong with the mesh was said once
                    warnings.simplefilter("ignore", FineMeshWarning)
                learnt = learner(axes, points, left, rank=1, weights=weights, seed=seed + mode, **options)
            found = learnt.model
            assert isinstance(found, CPModel)
            rest = left - evaluate(found, points, left.shape[1] if several else None, "clamp")
            loss, before = (float(np.average(_squares(r), weights=shares)) for r in (rest, left))
            if not loss**0.5 < (1 - tolerance) * before**0.5 and model is not None:
                status, message = "converged", f"mode {mode + 1} lowered the loss by less than asked"
                break
            model, left = (found if model is None else model + found), rest
            history.append({"step": mode + 1, "loss": loss, "seconds": time.perf_counter() - began})
            if callback is not None:
                callback(history[-1])
            if learnt.status == "interrupted":  # the learner kept Ctrl-C to itself, and the best of its mode
                raise KeyboardInterrupt
            if time.perf_counter() > late:
                message = f"the time was over after {mode + 1} modes: raise max_seconds"
                break
    except KeyboardInterrupt:
        if model is None:
            raise
        status, message = "interrupted", "interrupted: the modes so far were kept"
    assert model is not None
    return FitResult(model, status, message, history, time.perf_counter() - began, {"rank": model.rank})


def _squares(residual: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    squares: npt.NDArray[np.float64] = (residual.reshape(len(residual), -1) ** 2).mean(1)
    return squares
