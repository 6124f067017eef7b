"""Levenberg and Marquardt's method for CP models on given axes, with a penalty whose strength the data choose."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from inntd import _checks
from inntd.axes import Axis
from inntd.models import CPModel
from inntd.training.coordinates import curvature_coordinates
from inntd.training.outcome import FitResult, FitStatus
from inntd.training.samples import check_samples
from inntd.training.separated_fit import Samples, SeparatedFit
from inntd.training.starts import random_start

Array = npt.NDArray[np.float64]

MOST_COEFFICIENTS = 4000  # a step factorises a dense matrix of as many rows and columns
MOST_BYTES = 2 << 30  # of the Jacobian
ROUGHEST = 1e3  # strength on a function at the start, by its roughness
STILL = 3  # steps in a row that gain little


def fit_levenberg_marquardt(
    axes: Sequence[Axis],
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    rank: int,
    weights: npt.ArrayLike | None = None,
    steps: int = 100,
    tolerance: float = 1e-4,
    max_seconds: float | None = None,
    seed: int = 0,
    callback: Callable[[dict[str, Any]], Any] | None = None,
) -> FitResult:
    """Fit a CP model to samples by damped Gauss-Newton steps on all factors at once.

    For up to about a thousand coefficients, the method of fewest steps. Strengths of the penalty, one per function from
    smooth to rough, and the noise are estimated on the way: axes may have more functions than the samples determine.

    Parameters
    ----------
    axes, x, y, rank, weights, seed, callback :
        As for `fit_adam`, with arrays in memory; the callback is called after each step.
    steps : int, default 100
        Largest number of steps.
    tolerance : float, default 1e-4
        Stop when three steps in a row lower the penalised loss by less than this share.
    max_seconds : float, optional
        No step begins after so much wall time.

    Returns
    -------
    FitResult
        `history` has ``step``, ``loss``, ``noise`` (its estimated standard deviation) and ``seconds``.

    Raises
    ------
    ValueError, TypeError
        When an argument is none of these, or the coefficients are too many.

    References
    ----------
    Marquardt, "An algorithm for least-squares estimation of nonlinear parameters", J. SIAM 11, 1963, 431.

    Examples
    --------
    >>> import numpy as np, inntd as it
    >>> from inntd.training.levenberg_marquardt import fit_levenberg_marquardt
    >>> axes = [it.Axis(name, 0, 1, elements=6) for name in "xy"]
    >>> x = np.random.default_rng(0).random((300, 2))
    >>> found = fit_levenberg_marquardt(axes, x, np.sin(x[:, 0]) * np.exp(x[:, 1]), rank=1)
    >>> found.status, bool(found.history[-1]["loss"] < 1e-12)
    ('converged', True)
    """
    began = time.perf_counter()
    modes, most = _checks.positive_int("rank", rank), _checks.positive_int("steps", steps)
    tolerance = _checks.finite_float("tolerance", tolerance)
    late = np.inf if max_seconds is None else began + _checks.finite_float("max_seconds", max_seconds, positive=True)
    columns, values, shares = check_samples(axes, x, y, weights)
    several = np.ndim(y) == 2
    if several:  # the outputs are one more coordinate of the samples
        count = values.shape[1]
        columns = [np.repeat(column, count) for column in columns]
        columns.append(np.tile(np.arange(count, dtype=np.float64), len(values)))
        axes, shares = [*axes, Axis.discrete("output", count)], np.repeat(shares, count)
    _check_size(axes, modes, values.size)
    coordinates = [curvature_coordinates(axis) for axis in axes]
    target = values.reshape(-1)
    centre = float(np.average(target, weights=shares))
    scale = float(np.sqrt(np.average((target - centre) ** 2, weights=shares))) or 1.0
    rows = [found.rows(column) for found, column in zip(coordinates, columns, strict=True)]
    samples = Samples(rows, (target - centre) / scale, shares)
    fit = _start([found.roughness for found in coordinates], modes, _checks.positive_int("seed", seed, minimum=0))
    history: list[dict[str, Any]] = []
    with threadpool_limits(1, user_api="blas"):  # the same bits on any number of cores
        best, status, message = _run(fit, samples, scale, most, tolerance, late, began, history, callback)
    factors = best.nodal_factors([found.nodal for found in coordinates])
    factors[0] = factors[0] * scale
    factors[0][:, 0] += centre
    choices = {"rank": modes + 1, "coefficients": best.parameters, "noise": float(np.sqrt(best.noise)) * scale}
    return FitResult(
        CPModel.from_factors(axes, factors), status, message, history, time.perf_counter() - began, choices
    )


def _check_size(axes: Sequence[Axis], modes: int, count: int) -> None:
    """Raise where a step would take too long, or its Jacobian too much memory."""
    coefficients = 1 + modes * sum(axis.size for axis in axes)
    most = min(MOST_COEFFICIENTS, MOST_BYTES // (8 * count))
    if coefficients > most:
        raise ValueError(
            f"rank={modes} on axes with {sum(axis.size for axis in axes)} nodes makes {coefficients:,} coefficients, "
            f"but steps on all of them at once, with {count:,} samples, are for at most {most:,}: "
            "use fewer elements, a smaller rank or fit_als (optimizer='als')"
        )


def _start(roughness: Sequence[Array], modes: int, seed: int) -> SeparatedFit:
    """Return small modes near one, whose penalty rises with the roughness."""
    sizes, random = [len(growth) for growth in roughness], np.random.default_rng(seed)
    fit = SeparatedFit.empty([0] * len(sizes), sizes, variance=0.1)
    starts = [random_start(sizes, random) for _ in range(modes)]
    fit.factors = [np.column_stack([0.1 ** (d == 0) * start[d] for start in starts]) for d in range(len(sizes))]
    for strengths, growth in zip(fit.penalty.factors, roughness, strict=True):
        strengths[1:] = np.minimum(growth[1:], ROUGHEST)
    return fit


def _run(
    fit: SeparatedFit,
    samples: Samples,
    scale: float,
    most: int,
    tolerance: float,
    late: float,
    began: float,
    history: list[dict[str, Any]],
    callback: Callable[[dict[str, Any]], Any] | None,
) -> tuple[SeparatedFit, FitStatus, str]:
    """Step until the loss stands still; an interrupt leaves the state after the last whole step."""
    best, still = fit.copy(), 0
    try:
        for step in range(1, most + 1):
            still = still + 1 if fit.step(samples) < tolerance else 0
            best = fit.copy()
            history.append({
                "step": step,
                "loss": fit.loss / len(samples.y) * scale**2,
                "noise": float(np.sqrt(fit.noise)) * scale,
                "seconds": time.perf_counter() - began,
            })  # fmt: skip
            if callback is not None:
                callback(history[-1])
            if still == STILL:
                return best, "converged", f"{STILL} steps in a row lowered the loss by less than {tolerance:.0e} of it"
            if time.perf_counter() > late:
                return best, "max_epochs", f"the time was over after {step} steps: raise max_seconds"
    except KeyboardInterrupt:
        return best, "interrupted", f"interrupted after {len(history)} steps: the model is the best so far"
    return best, "max_epochs", f"{most} steps did not suffice: raise steps, or tolerance"
