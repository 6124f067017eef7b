"""Axes for the columns of the data: their ranges, meshes and bases, chosen from the data or as asked."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from inntd.axes import Axis
from inntd.training.columns import Column, DataWarning

Array = npt.NDArray[np.float64]

MOST_ELEMENTS = 40
ROWS_PER_ELEMENT = 5


def fit_axes(
    x: Array,
    columns: Sequence[Column],
    names: Sequence[str],
    elements: Sequence[int | None],
    s: Sequence[int | None],
    nodes: Literal["uniform", "quantile"],
) -> list[Axis]:
    """Return one axis per column of points (K, D); None among `elements` and `s` stands for a choice from the data.

    A mesh has at most as many elements as the column has different values, less one: nodes between the values of
    gridded data would be undetermined. More on request, with a warning: then smoothness fills them in.
    """
    return [_axis(*arguments, nodes) for arguments in zip(x.T, columns, names, elements, s, strict=True)]


def _axis(
    values: Array,
    column: Column,
    name: str,
    elements: int | None,
    s: int | None,
    nodes: Literal["uniform", "quantile"],
) -> Axis:
    if column.categories is not None:
        return Axis.discrete(name, len(column.categories), kind="parameter")
    levels = len(np.unique(values))
    if elements is not None and elements > levels - 1:
        warnings.warn(
            f"elements={elements} makes the mesh of column {column.name!r} finer than its {levels} different values: "
            "nodes between them follow from smoothness alone",
            DataWarning,
            stacklevel=2,
        )
    chosen = elements or max(1, min(MOST_ELEMENTS, levels - 1, len(values) // ROWS_PER_ELEMENT))
    options: dict[str, Any] = {"kind": "parameter"}
    largest = (chosen - 1) // 2
    if s is not None and largest > 0:
        options["s"] = min(s, largest) if elements is None else s
    if nodes == "quantile":
        return Axis(name, nodes=quantile_nodes(values, chosen), **options)
    return Axis(name, column.low, column.high, elements=chosen, **options)


def quantile_nodes(values: Array, elements: int) -> Array:
    """Return nodes with about as many values in each element; fewer where values repeat.

    Half of each step is even in the coordinate, so that elements in thin data do not grow without bound.

    Examples
    --------
    >>> quantile_nodes(np.array([0.0, 0.1, 0.2, 0.3, 1.0]), 2)
    array([0.  , 0.35, 1.  ])
    """
    share = np.linspace(0, 1, elements + 1)
    nodes: Array = (np.quantile(values, share) + values.min() + share * np.ptp(values)) / 2
    nodes[0], nodes[-1] = values.min(), values.max()
    keep = np.concatenate([[True], np.diff(nodes) > 1e-9 * np.ptp(nodes)])
    keep[-1] = True
    kept: Array = nodes[keep]
    return kept
