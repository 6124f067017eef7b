"""Fits of modest data of which everything is chosen from the data: axes, form, modes, functions, smoothness, scale.

Axes carry polynomials or hats (`spans.py`), forms compete in a `race.py`, and the winner becomes a model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from inntd import _checks
from inntd.models.exponential import ExponentialModel
from inntd.models.field import Field
from inntd.training.budget import Budget
from inntd.training.contenders import Winner
from inntd.training.mesh import axes_from_data
from inntd.training.outcome import FitResult, FitStatus
from inntd.training.race import Race
from inntd.training.samples import check_samples
from inntd.training.spans import Span

Array = npt.NDArray[np.float64]


def fit_automatic(
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    weights: npt.ArrayLike | None = None,
    names: Sequence[str] | None = None,
    categorical: Sequence[int] = (),
    logarithm: bool = True,
    hats: bool = True,
    seed: int = 0,
    max_seconds: float = 17.0,
    callback: Callable[[dict[str, Any]], Any] | None = None,
) -> FitResult:
    """Fit a surrogate to up to some ten thousand samples, with everything chosen from them.

    Parameters
    ----------
    x : array (K, D)
        Samples' coordinates; the axes range from the least to the largest, and a little beyond where samples do not
        repeat there.
    y : array (K,)
        Their values.
    weights : array (K,), optional
        Non-negative weights.
    names : sequence of D str, optional
        Names of the axes; "x1", "x2", ... by default.
    categorical : sequence of int, default ()
        Columns of whole numbers 0, 1, ... without an order.
    logarithm : bool, default True
        Whether the logarithm of positive values may be fitted, where these are spread: the model is then an
        `ExponentialModel`.
    hats : bool, default True
        Whether functions that are not smooth may be fitted on axes of linear elements instead of polynomials.
    seed : int, default 0
        Of the starts, and of the choice of samples where there are many.
    max_seconds : float, default 17
        Work that the search may do, counted at a usual rate so that a busy machine finds the same model; it ends after
        this time by the clock, too.
    callback : callable, optional
        Takes the history's entry after each step. KeyboardInterrupt keeps the best model so far.

    Returns
    -------
    FitResult
        `choices` has ``form`` (what was chosen), ``rank``, ``score`` (error at samples left out, relative to the
        deviation of y), ``compared`` (the scores of all forms), ``noise`` (estimated standard deviation of the noise),
        ``degrees`` of the axes and ``inactive`` ones. The model is a `CPModel`, or an `ExponentialModel` of one.

    Raises
    ------
    ValueError, TypeError
        When an argument is none of these.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).random((100, 2))
    >>> found = fit_automatic(x, np.exp(x[:, 0]) * x[:, 1] + x[:, 0])
    >>> bool(found.choices["score"] < 1e-6)
    True
    """
    seed = _checks.positive_int("seed", seed, minimum=0)
    budget = Budget(_checks.finite_float("max_seconds", max_seconds, positive=True))
    points = _checks.real_array("x", x)
    axes = axes_from_data(points, names=names, elements=1, s=1, categorical=categorical)
    columns, values, shares = check_samples(axes, points, y, weights)
    if np.ndim(y) != 1:
        raise ValueError(f"y must have shape ({len(points)},), got {np.shape(y)}: fit one output at a time")
    used = np.flatnonzero(shares)
    columns, values, shares = [column[used] for column in columns], values[used, 0], shares[used]
    spans = [
        Span.of_categories(axis.name, column) if axis.discrete else Span.of(axis.name, column)
        for axis, column in zip(axes, columns, strict=True)
    ]
    history: list[dict[str, Any]] = []

    def tell(entry: dict[str, Any]) -> None:
        history.append({"step": len(history) + 1, **entry, "seconds": budget.elapsed})
        if callback is not None:
            callback(history[-1])

    even = None if np.ptp(shares) == 0 else shares / shares.mean()
    race = Race(columns, spans, values, even, seed, budget, tell, logarithm, hats)
    with threadpool_limits(1, user_api="blas"):  # small matrices: threads cost more than they save
        winner = race.run()
        model = winner.model()
    status, message = _outcome(winner, budget)
    field: Field = ExponentialModel(model) if winner.scale.logarithm else model
    return FitResult(field, status, message, history, budget.elapsed, _choices(spans, winner))


def _outcome(winner: Winner, budget: Budget) -> tuple[FitStatus, str]:
    message = f"leave-one-out error {winner.score:.1e} of the deviation of y"
    if winner.interrupted:
        return "interrupted", f"interrupted: the best model so far, {message}"
    if budget.late:
        return "max_epochs", f"the time of {budget.seconds:g} s is over, {message}: a larger max_seconds may help"
    if winner.cut:
        return "max_epochs", f"the work of {budget.seconds:g} s is done, {message}: a larger max_seconds may help"
    return "converged", message


def _choices(spans: Sequence[Span], winner: Winner) -> dict[str, Any]:
    first = winner.members[0]
    form = first.label if len(winner.members) == 1 else f"mean of {len(winner.members)} forms: {first.label}, ..."
    return {
        "form": form,
        "mean_of": {member.label: weight for member, weight in zip(winner.members, winner.weights, strict=True)},
        "rank": 1 + sum(member.fit.modes for member in winner.members),
        "score": winner.score,
        "compared": winner.scores,
        "validation": "each row left out in turn",
        "noise": float(np.sqrt(first.fit.noise)) * winner.scale.size,
        "degrees": winner.degrees,
        "inactive": [span.name for span, degree in zip(spans, winner.degrees, strict=True) if degree == 0],
    }
