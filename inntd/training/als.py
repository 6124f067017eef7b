r"""Alternating least squares (ALS): all modes of one axis at a time, exactly.

A CP model is linear in each factor while the others stand still. With :math:`g_{km}`, the product of mode m's values
along the other axes at sample k, the factor of an axis minimises

.. math:: \frac1K \sum_k w_k \Big(\sum_{i,m} N_i(x_k)\, g_{km}\, U[i, m] - y_k\Big)^2
    + \sum_m \prod_e \|U_e[:, m]\|^2 \Big(\rho + \sum_e \lambda_e \frac{\|D_e U_e[:, m]\|^2}{\|U_e[:, m]\|^2}\Big)

with mean squares for norms and second differences :math:`D_e`: a block-banded system. Each mode pays for its own size
and curvature, whatever the scaling of its factors, so that no update raises the penalised loss.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from inntd import _checks
from inntd._kernels import blas_threads
from inntd.axes import Axis
from inntd.models import CPModel
from inntd.training import arguments
from inntd.training.alternation import Alternation
from inntd.training.mesh import warn_of_fine_meshes
from inntd.training.outcome import FitResult, FitStatus
from inntd.training.rank import chosen_rank, start
from inntd.training.samples import Samples
from inntd.training.smoothness import Smoothness, checked_smoothness


@blas_threads()
def fit_als(
    axes: Sequence[Axis],
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    rank: int | Literal["auto"],
    weights: npt.ArrayLike | None = None,
    smoothness: float | str = "auto",
    ridge: float = 1e-12,
    sweeps: int = 50,
    tolerance: float = 1e-2,
    max_seconds: float | None = None,
    seed: int = 0,
    callback: Callable[[dict[str, Any]], Any] | None = None,
) -> FitResult:
    """Fit a CP model to samples by alternating least squares.

    Parameters
    ----------
    axes : sequence of D Axis
        Their ranges hold all samples.
    x : array (K, D)
        Samples' coordinates.
    y : array (K,) or (K, C)
        Their values. C outputs become one more, discrete axis ``"output"`` of the model.
    rank : int or "auto"
        Number of modes M; "auto" raises it as long as that lowers the error at samples held out meanwhile.
    weights : array (K,), optional
        Non-negative weights of the samples, of any scale.
    smoothness : float or "auto", default "auto"
        Weight of the mean square of second differences of a mode against the mean square of `y`; "auto" finds one per
        axis from the data.
    ridge : float, default 1e-12
        Weight of the mean square of a mode itself, likewise.
    sweeps : int, default 50
        Largest number of rounds over all axes.
    tolerance : float, default 1e-2
        Stop when two sweeps in a row lower the root of the penalised loss by less than this share.
    max_seconds : float, optional
        No sweep begins after so much wall time.
    seed : int, default 0
        Of the random start and probes.
    callback : callable, optional
        Takes the entry of the history after each sweep. KeyboardInterrupt in it, or from the keyboard, ends the
        training and keeps the best model.

    Returns
    -------
    FitResult
        `history` has ``step``, ``loss`` (mean squared error), ``penalised`` (with the penalties) and ``seconds``;
        `choices` the rank, how it was found, and the smoothness of each axis.

    Notes
    -----
    Where there are many more samples than parameters, a random part of them finds a good start in little time, on
    which also the rank is chosen.

    Raises
    ------
    ValueError, TypeError
        When an argument is none of these.

    Examples
    --------
    >>> import numpy as np, inntd as it
    >>> from inntd.training.als import fit_als
    >>> x = np.random.default_rng(0).random((500, 2))
    >>> axes = [it.Axis("a", 0, 1, elements=6), it.Axis("b", 0, 1, elements=6)]
    >>> found = fit_als(axes, x, np.exp(x[:, 0]) * np.sin(x[:, 1]), rank=1)
    >>> found.status, found.history[-1]["loss"] < 1e-12
    ('converged', True)
    """
    begin = time.perf_counter()
    most, least = _checks.positive_int("sweeps", sweeps), arguments.non_negative("tolerance", tolerance)
    limit = arguments.seconds(max_seconds)
    late = np.inf if limit is None else begin + limit
    penalty, callback = arguments.non_negative("ridge", ridge), arguments.function("callback", callback)
    samples = Samples.checked(axes, x, y, weights)
    scale = float(np.sqrt(np.average((samples.y**2).mean(axis=1), weights=samples.weights))) or 1.0
    samples = replace(samples, y=samples.y / scale)
    random = np.random.default_rng(_checks.positive_int("seed", seed, minimum=0))
    penalties = [Smoothness(axis, checked_smoothness(smoothness)) for axis in axes]
    modes = None if rank == "auto" else _checks.positive_int("rank", rank)
    warn_of_fine_meshes(axes, samples.x)
    if modes is None:
        state, interrupted, why = chosen_rank(axes, samples, penalties, penalty, random, late)
    else:
        state, interrupted, why = start(axes, samples, modes, penalties, penalty, random, late)
    history: list[dict[str, Any]] = []
    status: FitStatus = "interrupted"
    message = "interrupted at the start: the model is the best so far"
    if not interrupted:
        status, message = sweep_until_still(state, scale, most, least, late, begin, history, callback)
    outputs = samples.y.shape[1] if np.ndim(y) == 2 else None
    model_axes = list(axes) if outputs is None else [*axes, Axis.discrete("output", outputs)]
    model = CPModel.from_factors(model_axes, state.balanced(scale, merged=outputs is None))
    choices = {"rank": model.rank, "rank_why": why, "smoothness": [penalty.weight for penalty in penalties]}
    return FitResult(model, status, message, history, time.perf_counter() - begin, choices)


def sweep_until_still(
    state: Alternation,
    scale: float,
    sweeps: int,
    tolerance: float,
    late: float,
    begin: float,
    history: list[dict[str, Any]],
    callback: Callable[[dict[str, Any]], Any] | None,
) -> tuple[FitStatus, str]:
    """Sweep until the loss stands still; an interrupt leaves the state as the last whole update left it."""
    slow, before = 0, np.inf
    try:
        for step in range(1, sweeps + 1):
            state.sweep()
            loss, penalised = state.loss * scale**2, state.penalised * scale**2
            seconds = time.perf_counter() - begin
            history.append({"step": step, "loss": loss, "penalised": penalised, "seconds": seconds})
            if callback is not None:
                callback(history[-1])
            if not np.isfinite(loss):
                return "diverged", "the loss is not finite: scale x and y, or raise ridge"
            slow = slow + 1 if np.sqrt(penalised) >= (1 - tolerance) * np.sqrt(before) else 0
            if slow == 2 or penalised == 0:
                return "converged", f"two sweeps in a row lowered the error by less than {tolerance:.1%}"
            if time.perf_counter() > late:
                return "max_epochs", f"the time was over after {step} sweeps: raise max_seconds"
            before = penalised
    except KeyboardInterrupt:
        return "interrupted", f"interrupted after {len(history)} sweeps: the model is the best so far"
    return "max_epochs", f"{sweeps} sweeps did not suffice: raise sweeps, or tolerance"
