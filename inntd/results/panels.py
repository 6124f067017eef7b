"""What all pictures share: panels without pyplot, labels, and points of curves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from inntd.axes import Axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes as Panel

Array = npt.NDArray[np.float64]

POINTS_PER_ELEMENT = 4
FEWEST_POINTS, MOST_POINTS = 101, 2001
NAMED_IN_TITLE = 4


def panel_of(ax: Panel | None, width: float = 6.0, height: float = 4.2) -> Panel:
    """Return the axes given, or those of a new figure: no window opens and no global state changes."""
    if ax is not None:
        return ax
    panel: Panel = Figure(figsize=(width, height), layout="constrained").subplots()
    return panel


def label(axis: Axis) -> str:
    """Return an axis' name and unit."""
    return f"{axis.name} [{axis.unit}]" if axis.unit else axis.name


def curve_points(axis: Axis) -> Array:
    """Return coordinates along an axis, some in every element."""
    if axis.discrete:
        return np.arange(axis.size, dtype=np.float64)
    count = min(max(POINTS_PER_ELEMENT * axis.elements + 1, FEWEST_POINTS), MOST_POINTS)
    return np.unique(np.concatenate([np.linspace(*axis.domain, count), axis.nodes[:: max(1, axis.elements // count)]]))


def describe(fixed: Mapping[str, float]) -> str:
    """Return in words what is held still."""
    named = [f"{name} = {value:.4g}" for name, value in list(fixed.items())[:NAMED_IN_TITLE]]
    return ", ".join(named) + (f", … ({len(fixed)} held still)" if len(fixed) > NAMED_IN_TITLE else "")
