"""A separated model as plain arrays, the same for every format that evaluates it elsewhere.

On the piece ``breaks[e] <= x < breaks[e + 1]`` of an axis the functions ``first[e] + k``, ``k = 0 .. width - 1``, are

.. math:: N_k(x) = \\sum_q C[\\mathrm{kind}[e], q, k]\\, \\xi^q, \\quad \\xi = (2 x - a - b) / (b - a),

with the piece's ends a and b. Every basis is such a table: Lagrange and radial patches, linear functions, and the
constants around the values of a discrete axis. Rows that a periodic axis wraps around are repeated at the end of its
factor, so that a reader needs no remainders.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from inntd.axes import Axis
from inntd.models import CPModel, SlabModel, TuckerModel
from inntd.models.exponential import ExponentialModel
from inntd.models.reduced import ReducedModel

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Portable:
    """Axes, factors (rows, r_d) with wrapped rows, the core of a Tucker model, and whether u is the exponential."""

    axes: tuple[Axis, ...]
    factors: list[Array]
    core: Array | None
    exponential: bool

    @property
    def ranks(self) -> list[int]:
        """How many functions each axis has."""
        return [factor.shape[1] for factor in self.factors]

    def arrays(self) -> dict[str, Array]:
        """Return all numbers by name, those of axis d with ``_d`` at the end."""
        found: dict[str, Array] = {}
        for d, (axis, factor) in enumerate(zip(self.axes, self.factors, strict=True)):
            table = axis.table
            found |= {
                f"breaks_{d}": np.asarray(table.breaks),
                f"kind_{d}": np.asarray(table.kind),
                f"first_{d}": np.asarray(table.first),
                f"coefficients_{d}": np.asarray(table.coefficients),
                f"factor_{d}": factor,
            }
        return found if self.core is None else found | {"core": self.core}


def portable(model: Any, format: str) -> Portable:
    """Return the numbers of a model, or raise where no table of products gives its values.

    Raises
    ------
    TypeError
        Of a model that is no sum of products, with what to do instead.
    ValueError
        Of numbers that are not finite.
    """
    if isinstance(model, ReducedModel):
        raise TypeError(
            f"format {format!r} carries sums of products, but this ReducedModel solves {model.rank} equations for "
            "every parameter: export model.to_tucker() or model.to_cp(), or hold its parameters still with at"
        )
    if isinstance(model, SlabModel):
        raise TypeError(
            f"format {format!r} carries one sum of products, but this SlabModel has {len(model.slabs)}, one after the "
            "other: export model.slabs[k] one by one, or values on a grid as 'xarray', 'hdf5' or 'vtk'"
        )
    if not isinstance(model, CPModel | TuckerModel | ExponentialModel):
        raise TypeError(f"model must be a CPModel, TuckerModel or ExponentialModel, got {type(model).__name__}")
    base = model.exponent if isinstance(model, ExponentialModel) else model
    factors = [_wrapped(axis, base._array(axis)) for axis in base.axes]
    core = np.array(base._form().core) if isinstance(base, TuckerModel) else None
    names = [f"the factor of axis {axis.name!r}" for axis in base.axes]
    for name, numbers in zip([*names, "the core"], [*factors, *([] if core is None else [core])], strict=False):
        bad = int(np.count_nonzero(~np.isfinite(numbers)))
        if bad:
            raise ValueError(f"model must be finite, got {bad} NaN or infinite of {numbers.size} numbers in {name}")
    return Portable(tuple(base.axes), factors, core, isinstance(model, ExponentialModel))


def _wrapped(axis: Axis, factor: Array) -> Array:
    """Return the rows that pieces ask for: beyond the end of a periodic axis those at its start."""
    rows = max(int(np.max(axis.table.first)) + axis.table.width, factor.shape[0])
    return np.ascontiguousarray(factor[np.arange(rows) % factor.shape[0]])
