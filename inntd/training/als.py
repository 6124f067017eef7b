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
from typing import Any

import numpy as np
import numpy.typing as npt

from inntd import _checks
from inntd.axes import Axis
from inntd.models import CPModel
from inntd.training.alternation import Alternation
from inntd.training.outcome import FitResult, FitStatus
from inntd.training.smoothness import Smoothness

Array = npt.NDArray[np.float64]


def fit_als(
    axes: Sequence[Axis],
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    rank: int,
    weights: npt.ArrayLike | None = None,
    smoothness: float | str = "auto",
    ridge: float = 1e-12,
    sweeps: int = 50,
    tolerance: float = 1e-2,
    start: Sequence[npt.ArrayLike] | None = None,
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
    rank : int
        Number of modes M.
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
    start : sequence of D arrays (axis.size, M), optional
        Factors to begin with.
    seed : int, default 0
        Of the random start and probes.
    callback : callable, optional
        Takes the entry of the history after each sweep. KeyboardInterrupt in it, or from the keyboard, ends the
        training and keeps the best model.

    Returns
    -------
    FitResult
        `history` has ``step``, ``loss`` (mean squared error), ``penalised`` and ``seconds``.

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
    most, least = _checks.positive_int("sweeps", sweeps), _checks.finite_float("tolerance", tolerance)
    points, values, shares = check_samples(axes, x, y, weights)
    scale = float(np.sqrt(np.average((values**2).mean(axis=1), weights=shares))) or 1.0
    random = np.random.default_rng(_checks.positive_int("seed", seed, minimum=0))
    modes = _checks.positive_int("rank", rank)
    outputs = random.standard_normal((values.shape[1], modes)) if values.shape[1] > 1 else np.ones((1, modes))
    factors = _start(axes, modes, random) if start is None else [np.array(u, dtype=np.float64) for u in start]
    penalties = [Smoothness(axis, _smoothness(smoothness)) for axis in axes]
    state = Alternation(axes, points, values / scale, shares, [*factors, outputs], penalties, ridge, random)
    status, message, history = _run(state, scale, most, least, callback, begin)
    model_axes = list(axes) if np.ndim(y) == 1 else [*axes, Axis.discrete("output", values.shape[1])]
    factors = state.balanced(scale)
    model = CPModel.from_factors(model_axes, factors if np.ndim(y) > 1 else factors[:-1])
    choices = {"smoothness": [penalty.weight for penalty in penalties], "rank": modes}
    return FitResult(model, status, message, history, time.perf_counter() - begin, choices)


def check_samples(
    axes: Sequence[Axis], x: npt.ArrayLike, y: npt.ArrayLike, weights: npt.ArrayLike | None
) -> tuple[list[Array], Array, Array]:
    """Return coordinates (K,) per axis, values (K, C) and weights (K,) of mean one, or raise."""
    points = np.asarray(x, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != len(axes) or len(points) == 0:
        raise ValueError(f"x must have shape (K, {len(axes)}), one column per axis, K >= 1; got shape {points.shape}")
    values = np.asarray(y, dtype=np.float64)
    if values.ndim not in (1, 2) or len(values) != len(points) or values.size == 0:
        raise ValueError(f"y must have shape ({len(points)},) or ({len(points)}, C), got shape {values.shape}")
    bad = int(np.count_nonzero(~np.isfinite(values)))
    if bad:
        raise ValueError(f"y must be finite, got {bad} NaN or infinite of {values.size} values: drop those samples")
    shares = np.ones(len(points)) if weights is None else _checks.finite_vector("weights", weights)
    if shares.shape != (len(points),) or shares.min() < 0 or shares.sum() <= 0:
        raise ValueError(f"weights must be {len(points)} non-negative numbers, not all zero; got shape {shares.shape}")
    columns = [axis.check_points(points[:, d], "x") for d, axis in enumerate(axes)]
    return columns, values.reshape(len(points), -1), shares / shares.mean()


def _smoothness(value: float | str) -> float | str:
    if value == "auto":
        return "auto"
    number = _checks.finite_float("smoothness", value)
    if number < 0:
        raise ValueError(f'smoothness must be "auto" or a non-negative number, got {number}')
    return number


def _start(axes: Sequence[Axis], modes: int, random: np.random.Generator) -> list[Array]:
    """Return modes that are one plus a random linear function of each coordinate: no product of many vanishes."""
    factors = []
    for axis in axes:
        x = np.linspace(-1, 1, axis.size)[:, None]
        if axis.discrete:
            x = random.standard_normal((axis.size, modes))
        factors.append(1 + random.uniform(-1, 1, modes) * x)
    return factors


def _run(
    state: Alternation,
    scale: float,
    sweeps: int,
    tolerance: float,
    callback: Callable[[dict[str, Any]], Any] | None,
    begin: float,
) -> tuple[FitStatus, str, list[dict[str, Any]]]:
    """Sweep until the loss stands still; an interrupt leaves the state as the last whole update left it."""
    history: list[dict[str, Any]] = []
    before, slow = np.inf, 0
    try:
        for step in range(1, sweeps + 1):
            state.sweep()
            loss, penalised = state.loss * scale**2, state.penalised * scale**2
            seconds = time.perf_counter() - begin
            history.append({"step": step, "loss": loss, "penalised": penalised, "seconds": seconds})
            if callback is not None:
                callback(history[-1])
            if not np.isfinite(loss):
                return "diverged", "the loss is not finite: scale x and y, or raise ridge", history
            slow = slow + 1 if np.sqrt(penalised) > (1 - tolerance) * np.sqrt(before) or penalised == 0 else 0
            if slow == 2:
                return "converged", f"two sweeps in a row lowered the error by less than {tolerance:.1%}", history
            before = penalised
    except KeyboardInterrupt:
        return "interrupted", f"interrupted after {len(history)} sweeps: the model is the best so far", history
    return "max_epochs", f"{sweeps} sweeps did not suffice: raise sweeps, or tolerance", history
