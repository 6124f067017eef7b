"""Several targets of modest data: the automatic search for each, and one model with the targets on its last axis."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from inntd import _checks
from inntd.axes import Axis
from inntd.models import CPModel
from inntd.training.automatic import fit_automatic
from inntd.training.outcome import FitResult, FitStatus

Array = npt.NDArray[np.float64]

LEAST_SECONDS = 1e-3  # for outputs that come after the end: the least that gives a model
WORST: tuple[FitStatus, ...] = ("interrupted", "diverged", "max_epochs", "stagnated", "converged")


def fit_outputs(
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    seed: int = 0,
    max_seconds: float = 17.0,
    callback: Callable[[dict[str, Any]], Any] | None = None,
    **options: Any,
) -> FitResult:
    """Fit each of C outputs by `fit_automatic`, which chooses another form for each, and join the models.

    Parameters
    ----------
    x, seed, callback, **options :
        As of `fit_automatic`; the callback's entries have ``output`` as well.
    y : array (K, C)
        Values of C outputs. Logarithms and hats are not tried: their models are no sums of products on the same axes.
    max_seconds : float, default 17
        For all outputs together. An output that needs less leaves the rest to those that follow.

    Returns
    -------
    FitResult
        The model's last axis, ``"output"``, is discrete. `choices` has ``outputs``, the choices for each, beside the
        ``rank`` of all and the ``score`` of their mean square.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).random((100, 2))
    >>> found = fit_outputs(x, np.column_stack([x[:, 0] * x[:, 1], np.exp(x[:, 0])]))
    >>> [axis.name for axis in found.model.axes], bool(found.choices["score"] < 1e-4)
    (['x1', 'x2', 'output'], True)
    """
    begin = time.perf_counter()
    limit = _checks.finite_float("max_seconds", max_seconds, positive=True)
    values = _checks.real_array("y", y)
    if values.ndim != 2 or 0 in values.shape:
        raise ValueError(f"y must have shape (K, C) with at least one sample and output, got {values.shape}")
    history: list[dict[str, Any]] = []
    found: list[FitResult] = []
    for c, column in enumerate(values.T):
        left = (begin + limit - time.perf_counter()) / (values.shape[1] - c)
        if any(one.status == "interrupted" for one in found):
            left = LEAST_SECONDS
        tell = _teller(history, callback, c, begin)
        share = max(left, LEAST_SECONDS)
        found.append(
            fit_automatic(
                x, column, logarithm=False, hats=False, seed=seed, max_seconds=share, callback=tell, **options
            )
        )
    models = [result.model for result in found if isinstance(result.model, CPModel)]
    assert len(models) == len(found)  # without logarithms
    status = min((result.status for result in found), key=WORST.index)
    message = "; ".join(f"output {c}: {result.message}" for c, result in enumerate(found))
    return FitResult(side_by_side(models), status, message, history, time.perf_counter() - begin, _choices(found))


def side_by_side(models: Sequence[CPModel]) -> CPModel:
    """Return one model whose last axis ``"output"`` tells the given ones apart, with the modes of all.

    The models' axes may differ in their nodes. Each coordinate gets the axis with the most of them, whose functions
    must hold those of the others: as polynomials of higher degrees hold those of lower ones.

    Examples
    --------
    >>> import inntd as it
    >>> x = it.Axis("x", 0, 1, elements=8)
    >>> both = side_by_side([it.CPModel.from_factors([x], [x.nodes[:, None] ** p]) for p in (1, 2)])
    >>> both.grid(x=[0.5], output=[0, 1])
    tensor([[0.5000, 0.2500]], dtype=torch.float64)
    """
    axes = [max(axes, key=lambda axis: axis.size) for axes in zip(*(model.axes for model in models), strict=True)]
    factors = []
    for d, axis in enumerate(axes):
        parts = [_moved(model.axes[d], model.factors[d].detach().numpy(), axis) for model in models]
        factors.append(np.concatenate(parts, axis=1))
    outputs = np.repeat(np.eye(len(models)), [model.rank for model in models], axis=1)
    return CPModel.from_factors([*axes, Axis.discrete("output", len(models))], [*factors, outputs])


def _moved(axis: Axis, factor: Array, to: Axis) -> Array:
    """Return a factor's functions by their values at the nodes of another axis."""
    if axis == to or axis.discrete:
        return factor
    index, values = axis.tabulate(np.clip(to.nodes, *axis.domain))
    moved: Array = np.einsum("ka,kam->km", values, factor[index])
    return moved


def _teller(
    history: list[dict[str, Any]], callback: Callable[[dict[str, Any]], Any] | None, output: int, begin: float
) -> Callable[[dict[str, Any]], None]:
    def tell(entry: dict[str, Any]) -> None:
        seconds = time.perf_counter() - begin
        history.append({**entry, "step": len(history) + 1, "output": output, "seconds": seconds})
        if callback is not None:
            callback(history[-1])

    return tell


def _choices(found: Sequence[FitResult]) -> dict[str, Any]:
    each = [result.choices for result in found]
    return {
        "form": "; ".join(f"output {c}: {choices['form']}" for c, choices in enumerate(each)),
        "rank": sum(result.model.rank for result in found if isinstance(result.model, CPModel)),
        "score": float(np.sqrt(np.mean([choices["score"] ** 2 for choices in each]))),
        "validation": each[0]["validation"],
        "noise": [choices["noise"] for choices in each],
        "outputs": each,
    }
