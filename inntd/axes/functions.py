"""Functions of one coordinate, given as vectorised callables."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Function: TypeAlias = Callable[[Array], npt.ArrayLike]


def evaluate(name: str, function: Function, x: Array) -> Array:
    """Return the values (K,) of a vectorised function on axis `name`, or raise unless each is a finite number."""
    with np.errstate(all="ignore"):  # what matters of it is said below, with the place
        values = np.asarray(function(x))
    if values.dtype.kind not in "fiub" or values.shape not in ((), x.shape):
        raise ValueError(
            f"axis {name!r}: a function must return one real number per point, shape {x.shape}, "
            f"got {values.dtype} of shape {values.shape}"
        )
    values = np.broadcast_to(values.astype(np.float64, copy=False), x.shape)
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        i = int(bad[0])
        raise ValueError(f"axis {name!r}: a function must be finite, got {values[i]} at {name} = {x[i]}")
    return values
