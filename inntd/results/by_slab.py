"""Statistics of time slabs whose time is not random: each slab has its own, exact ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from inntd.axes import Axis
from inntd.models import SlabModel
from inntd.results.statistic import Statistic

Array = npt.NDArray[np.float64]


def slabs_of(field: Any, over: Sequence[Axis | str]) -> list[Any]:
    """Return the models of a field in slabs along an axis that is not random; none of other fields."""
    if not isinstance(field, SlabModel) or not over:
        return []
    names = [axis.name if isinstance(axis, Axis) else axis for axis in over]
    return [] if field.axis.name in names else list(field.slabs)


def joined(field: SlabModel, parts: Sequence[Statistic]) -> Statistic:
    """Return the statistic of the whole from those of its slabs; an interface belongs to the slab before it."""
    kept = [axis.name for axis in parts[0].axes]
    axes = [axis for axis in field.axes if axis.name in kept]
    column = kept.index(field.axis.name)

    def values(points: Array) -> Array:
        place = np.searchsorted(field.interfaces, points[:, column], side="left")
        found = np.empty(len(points))
        for k in np.unique(place):
            own = place == k
            found[own] = parts[k](points[own]).numpy()
        return found

    return Statistic(axes, values, name=parts[0].name)
