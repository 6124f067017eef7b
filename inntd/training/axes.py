"""Axes for the columns of a table: categories are discrete, the others get the mesh that suits their values."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from inntd.axes import Axis
from inntd.training.columns import Column
from inntd.training.mesh import axes_from_data
from inntd.training.options import Nodes

Array = npt.NDArray[np.float64]

PATCH = 3  # the patch size, unless said otherwise; smaller on coarse meshes


def fit_axes(
    x: Array,
    columns: Sequence[Column],
    names: Sequence[str],
    elements: Sequence[int | None],
    s: Sequence[int | None],
    nodes: Nodes,
) -> list[Axis]:
    """Return one axis per column of points (K, D); None among `elements` and `s` stands for a choice from the data."""
    axes = []
    for d, (column, name) in enumerate(zip(columns, names, strict=True)):
        if column.categories is not None:
            axes.append(Axis.discrete(name, len(column.categories), kind="parameter"))
        else:
            values = np.concatenate([[column.low, column.high], x[:, d]])[:, None]  # a part may not reach the ends
            axes += axes_from_data(values, names=[name], elements=[elements[d]], s=s[d] or PATCH, placement=nodes)
    return axes
