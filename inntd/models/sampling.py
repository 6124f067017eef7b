"""Points for means over axes: scrambled Sobol' sequences, several of them for the standard error."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.stats import qmc

from inntd.axes import Axis

Array = npt.NDArray[np.float64]

REPLICATES = 8  # independent scramblings of the points: their scatter is the standard error


def sobol_points(axes: Sequence[Axis], count: int, seed: int) -> Array:
    """Return scrambled Sobol' points (count, D) in the box of the axes.

    Examples
    --------
    >>> import inntd as it
    >>> points = sobol_points([it.Axis("k", 1, 3, elements=2), it.Axis.discrete("c", 2)], 4, seed=0)
    >>> points.shape, sorted(points[:, 1].tolist())
    ((4, 2), [0.0, 0.0, 1.0, 1.0])
    """
    unit = qmc.Sobol(len(axes), seed=seed).random(count)
    return np.stack([from_unit(axis, column) for axis, column in zip(axes, unit.T, strict=True)], axis=1)


def from_unit(axis: Axis, unit: Array) -> Array:
    """Return coordinates on an axis from numbers between 0 and 1."""
    if axis.discrete:
        return np.asarray(np.minimum(np.floor(unit * axis.size), axis.size - 1))
    start, stop = axis.domain
    return np.asarray(np.clip(start + (stop - start) * unit, start, stop))
