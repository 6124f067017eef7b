"""The algebra of Tucker forms: a core tensor whose indices choose one function per axis."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from inntd.axes import Axis
from inntd.models import memory, norms
from inntd.models.cp_form import SAFE_EXPONENT
from inntd.models.doubled import Array
from inntd.models.forms import Form, normal, scaled
from inntd.models.sweep import triangular


@dataclass(frozen=True)
class TuckerForm(Form):
    """:math:`\\sum_r G[r_1, \\dots, r_D] \\prod_d U_d[:, r_d]`."""

    axes: tuple[Axis, ...]
    factors: list[Array]  # (n_d, r_d)
    core: Array  # (r_1, ..., r_D)

    def dense(self, matrices: Sequence[Array]) -> tuple[Array, int]:
        """Return the core multiplied by a matrix (k_d, r_d) on each axis."""
        return contracted(self.core, matrices)

    def log_norm(self, blocks: Sequence[Array]) -> float:
        """Return the logarithm of the norm: an orthonormal part of the blocks does not change it."""
        array, exponent = contracted(self.core, [triangular(block) for block in blocks])
        length = float(np.linalg.norm(array))
        return (
            math.log(length) + exponent * math.log(2) if length > 0 else (length if math.isnan(length) else -math.inf)
        )

    def reduced(self, rows: Mapping[Axis, Array]) -> TuckerForm | float:
        """Contract the core with the rows (r_d,) of the axes that disappear."""
        core, exponent = normal(self.core)
        for d in reversed(range(len(self.axes))):
            if self.axes[d] in rows:
                row, step = normal(rows[self.axes[d]])
                core, more = normal(np.asarray(np.tensordot(core, row, axes=(d, 0))))
                exponent += step + more
        rest = [d for d, axis in enumerate(self.axes) if axis not in rows]
        if not rest:
            return norms.ldexp(float(core), exponent)
        factors = [self.factors[d] for d in rest]
        axes = tuple(self.axes[d] for d in rest)
        if abs(exponent) > SAFE_EXPONENT:  # all factors must share it
            normals = [normal(factor) for factor in factors]
            share, exponent = divmod(exponent + sum(own for _, own in normals), len(rest))
            factors = [scaled(factor, share) for factor, _ in normals]
        return TuckerForm(axes, factors, scaled(core, exponent))

    def times(self, number: float) -> TuckerForm:
        """Multiply the core."""
        return TuckerForm(self.axes, self.factors, self.core * number)

    def plus(self, other: TuckerForm, sign: float) -> TuckerForm:
        """Put the columns side by side, and the cores on the diagonal of a larger one.

        Where an axis then had more columns than functions, the functions themselves become the columns.
        """
        forms = [self, other.times(sign)]
        ranks = [
            min(own + more, axis.size)
            for own, more, axis in zip(self.core.shape, other.core.shape, self.axes, strict=True)
        ]
        refuse_core("the sum", ranks, "round both first, or compare them by distance, which needs no sum")
        cores = [form.core for form in forms]
        factors, places = [], [[slice(None)] * len(ranks) for _ in forms]
        for d, (axis, rank) in enumerate(zip(self.axes, ranks, strict=True)):
            columns = [form.factors[d] for form in forms]
            first = columns[0].shape[1]
            if rank == first + columns[1].shape[1]:
                factors.append(np.hstack(columns))
                places[0][d], places[1][d] = slice(0, first), slice(first, rank)
            else:
                factors.append(np.eye(axis.size))
                cores = [multiplied(core, matrix, d) for core, matrix in zip(cores, columns, strict=True)]
        joined = np.zeros(ranks)
        for core, place in zip(cores, places, strict=True):
            joined[tuple(place)] += core
        return TuckerForm(self.axes, factors, joined)

    @classmethod
    def constant(cls, axes: Sequence[Axis], value: float) -> TuckerForm:
        """Return a core of one number."""
        return cls(tuple(axes), [np.ones((axis.size, 1)) for axis in axes], np.full([1] * len(axes), value))


def contracted(core: Array, matrices: Sequence[Array]) -> tuple[Array, int]:
    """Return a core (r_1, ..., r_D) multiplied by a matrix (k_d, r_d) on each axis, and an exponent of two."""
    array, exponent = normal(core)
    for matrix in matrices:  # the first axis is multiplied and becomes the last one
        small, step = normal(matrix)
        array, more = normal(np.tensordot(array, small, axes=(0, 1)))
        exponent += step + more
    return array, exponent


def multiplied(core: Array, matrix: Array, d: int) -> Array:
    """Return a core with axis d multiplied by a matrix (k, r_d)."""
    return np.moveaxis(np.tensordot(matrix, core, axes=(1, d)), 0, d)


def refuse_core(what: str, ranks: Sequence[int], remedy: str) -> None:
    """Raise MemoryError when a core of these ranks, and one copy of it, does not fit."""
    shape = " x ".join(map(str, ranks))
    memory.refuse_beyond(f"{what} with a core of {shape} numbers", 16 * math.prod(ranks), None, remedy)
