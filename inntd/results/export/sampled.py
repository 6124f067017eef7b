"""Values of a field on a grid, for formats that hold values and not functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from inntd.axes import Axis
from inntd.results.export.portable import Array

MOST_VALUES = 200_000_000


@dataclass(frozen=True)
class Sampled:
    """Values (K_1, ..., K_D) of a field at coordinates of its axes."""

    axes: tuple[Axis, ...]
    vectors: list[Array]
    values: Array


def sampled(model: Any, points: Any = None) -> Sampled:
    """Return the values of a field on a grid.

    Parameters
    ----------
    model : Field
    points : int, or mapping of str to int or vector, optional
        Of each axis, or of some: how many equidistant coordinates, or which. Default: the nodes.

    Raises
    ------
    ValueError
        When an axis is unknown, its coordinates are wrong, the grid is too large, or a value is not finite.
    """
    axes = tuple(model.axes)
    asked = points if isinstance(points, Mapping) else {axis.name: points for axis in axes if not axis.discrete}
    unknown = sorted(set(asked) - {axis.name for axis in axes})
    if unknown:
        raise ValueError(f"points must name axes among {', '.join(a.name for a in axes)}, got {', '.join(unknown)}")
    vectors = [_vector(axis, asked.get(axis.name)) for axis in axes]
    count = float(np.prod([float(len(vector)) for vector in vectors]))
    if count > MOST_VALUES:
        sizes = " x ".join(str(len(vector)) for vector in vectors)
        raise ValueError(
            f"the grid would have {sizes} = {count:.1e} values, at most {MOST_VALUES:.0e} are written: hold axes still "
            "with at, take fewer points, or export as 'html', 'npz', 'c' or 'onnx', which carry the function itself"
        )
    with torch.no_grad():
        values = model.grid(dict(zip([axis.name for axis in axes], vectors, strict=True))).double().cpu().numpy()
    bad = int(np.count_nonzero(~np.isfinite(values)))
    if bad:
        raise ValueError(f"model must be finite, got {bad} NaN or infinite of {values.size} values on the grid")
    return Sampled(axes, vectors, values)


def _vector(axis: Axis, asked: Any) -> Array:
    if asked is None:
        return np.array(axis.nodes, dtype=np.float64)
    if isinstance(asked, bool) or not isinstance(asked, int | np.integer):
        return axis.check_points(asked, "points")
    if axis.discrete:
        raise ValueError(f"axis {axis.name!r} is discrete: points must be some of its values, got the number {asked}")
    if asked < 2:
        raise ValueError(f"axis {axis.name!r}: points must be at least 2, got {asked}; hold the axis still with at")
    return np.linspace(*axis.domain, int(asked))
