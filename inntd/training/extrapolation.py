"""Values of a field at points of which some lie outside the range of its training data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from inntd.models import CPModel, Field
from inntd.training.columns import Column

Array = npt.NDArray[np.float64]
Extrapolate: TypeAlias = Literal["clamp", "raise", "linear"]
EXTRAPOLATE: tuple[Extrapolate, ...] = ("clamp", "raise", "linear")


def refuse_outside(x: Array, columns: Sequence[Column]) -> None:
    """Raise for the columns of points (K, D) that leave the range of the training data; NaN passes."""
    told = []
    for column, values in zip(columns, x.T, strict=True):
        slack = 4 * np.finfo(np.float64).eps * max(abs(column.low), abs(column.high))
        outside = np.flatnonzero((values < column.low - slack) | (values > column.high + slack))
        if outside.size:
            told.append(
                f"column {column.name!r} leaves [{column.low:.6g}, {column.high:.6g}] in {outside.size} of {len(x)} "
                f"rows, the first {values[outside[0]]:.6g} in row {outside[0]}"
            )
    if told:
        raise ValueError(
            f"X must lie within the range of the training data: {'; '.join(told[:5])}; extrapolate='clamp' takes the "
            "value at the nearest end, 'linear' goes on with the slope there"
        )


def evaluate(model: Field, x: Array, outputs: int | None, extrapolate: Extrapolate) -> Array:
    """Return the values (K,) of a field at points (K, D), or (K, C) of one with a last axis of C outputs.

    Points outside are moved to the nearest end; with ``"linear"`` the field goes on from there with its slope. Rows
    with NaN give NaN.

    Examples
    --------
    >>> import inntd as it
    >>> axis = it.Axis("x", 0, 1, elements=8)
    >>> u = it.CPModel.from_factors([axis], [axis.nodes[:, None] ** 2])
    >>> evaluate(u, np.array([[0.5], [2.0]]), None, "clamp"), evaluate(u, np.array([[0.5], [2.0]]), None, "linear")
    (array([0.25, 1.  ]), array([0.25, 3.  ]))
    """
    whole = np.isfinite(x).all(axis=1)
    if not whole.all():
        found = np.full((len(x), *(() if outputs is None else (outputs,))), np.nan)
        if whole.any():
            found[whole] = evaluate(model, x[whole], outputs, extrapolate)
        return found
    if outputs is None:
        return _values(model, x, extrapolate)
    return np.stack([_values(_output(model, c), x, extrapolate) for c in range(outputs)], axis=1)


def _output(model: Any, c: int) -> Any:
    """Return the field of one output; the modes that only other outputs have are left out."""
    if not isinstance(model, CPModel):
        return model.at(output=c)
    *factors, outputs = (factor.detach() for factor in model.factors)
    kept = torch.nonzero(outputs[c])[:, 0]
    if len(kept) == 0:
        kept = torch.arange(1)
    factors = [factor[:, kept] for factor in factors]
    return CPModel.from_factors(model.axes[:-1], [factors[0] * outputs[c, kept], *factors[1:]])


def _values(model: Any, x: Array, extrapolate: Extrapolate) -> Array:
    low, high = np.array([axis.domain for axis in model.axes]).T
    inside = np.clip(x, low, high)
    with torch.no_grad():
        values: Array = model(torch.from_numpy(inside)).numpy()
        beyond = np.flatnonzero((inside != x).any(axis=1))
        if extrapolate == "linear" and beyond.size:
            gradient = model.jet(torch.from_numpy(inside[beyond]))[1].numpy()
            values[beyond] += ((x - inside)[beyond] * gradient).sum(axis=1)
    return values
