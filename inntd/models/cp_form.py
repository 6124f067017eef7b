"""The algebra of CP forms: sums over modes of products of one function per axis."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from inntd.axes import Axis
from inntd.models import norms
from inntd.models.doubled import Array
from inntd.models.forms import Form

SAFE_EXPONENT = 60  # powers of two that a factor may take up, also of single precision
FAR = 1000  # modes whose exponents lie this much below the largest one's count as zero

Exponents = np.ndarray[tuple[int], np.dtype[np.int64]]


@dataclass(frozen=True)
class CPForm(Form):
    """:math:`\\sum_m \\prod_d U_d[:, m]`."""

    axes: tuple[Axis, ...]
    factors: list[Array]  # (n_d, M)

    @property
    def modes(self) -> int:
        """How many there are."""
        return int(self.factors[0].shape[1])

    def dense(self, matrices: Sequence[Array]) -> tuple[Array, int]:
        """Return the tensor (k_1, ..., k_D) of matrices (k_d, M): one product of two Khatri-Rao products."""
        own = [np.frexp(np.abs(matrix).max(axis=0, initial=0.0))[1].astype(np.int64) for matrix in matrices]
        alive = np.all([matrix.any(axis=0) for matrix in matrices], axis=0)
        shape = [matrix.shape[0] for matrix in matrices]
        if not alive.any():
            return np.zeros(shape), 0
        exponents = np.sum(own, axis=0)
        top = int(exponents[alive].max())
        weights = np.where(alive, np.ldexp(1.0, np.clip(exponents - top, -FAR, 0)), 0.0)
        unit = [np.ldexp(matrix, -e) for matrix, e in zip(matrices, own, strict=True)]
        cut = min(range(len(shape)), key=lambda c: math.prod(shape[:c]) + math.prod(shape[c:]))
        left, right = khatri_rao(unit[:cut], self.modes) * weights, khatri_rao(unit[cut:], self.modes)
        return (left @ right.T).reshape(shape), top

    def log_norm(self, blocks: Sequence[Array]) -> float:
        """Return the logarithm of the norm, to full precision."""
        return norms.log_norm(blocks)

    def reduced(self, rows: Mapping[Axis, Array]) -> CPForm | float:
        """Multiply the modes by the rows (M,) of the axes that disappear."""
        rest = [d for d, axis in enumerate(self.axes) if axis not in rows]
        if not rest:
            return total(list(rows.values()), self.modes)
        factors = fold(list(rows.values()), [self.factors[d] for d in rest])
        return CPForm(tuple(self.axes[d] for d in rest), factors)

    def times(self, number: float) -> CPForm:
        """Multiply the first factor."""
        return CPForm(self.axes, [self.factors[0] * number, *self.factors[1:]])

    def plus(self, other: CPForm, sign: float) -> CPForm:
        """Put the modes side by side."""
        factors = other.times(sign).factors
        return CPForm(self.axes, [np.hstack(pair) for pair in zip(self.factors, factors, strict=True)])

    @classmethod
    def constant(cls, axes: Sequence[Axis], value: float) -> CPForm:
        """Return one mode."""
        return cls(tuple(axes), [np.ones((axis.size, 1)) for axis in axes]).times(value)


def khatri_rao(matrices: Sequence[Array], columns: int) -> Array:
    """Return the products of the rows of all matrices (k_d, columns), the last one's index running fastest."""
    product = np.ones((1, columns))
    for matrix in matrices:
        product = (product[:, None, :] * matrix[None, :, :]).reshape(-1, columns)
    return product


def fold(rows: Sequence[Array], rest: Sequence[Array]) -> list[Array]:
    """Multiply the modes of some factors by numbers: what becomes of a model when axes are held still or integrated.

    Parameters
    ----------
    rows : sequence of arrays (M,)
        Every mode's number, for each axis that disappears. Their product may overflow: exponents are kept apart.
    rest : sequence of arrays (n_d, M)
        The factors that remain, at least one.

    Returns
    -------
    list of arrays (n_d, M)
        New factors. Only the first differs, unless the numbers are so large or small that all must share them.
    """
    mantissa, exponent = product(rows, rest[0].shape[1])
    if np.abs(exponent).max(initial=0) <= SAFE_EXPONENT:
        return [rest[0] * np.ldexp(mantissa, exponent), *rest[1:]]
    own = [np.frexp(np.abs(factor).max(axis=0))[1].astype(np.int64) for factor in rest]
    share, left_over = np.divmod(exponent + sum(own), len(rest))
    shared = [np.ldexp(factor, np.clip(share - e, -4000, 4000)) for factor, e in zip(rest, own, strict=True)]
    shared[0] = np.ldexp(shared[0] * mantissa, left_over)
    return shared


def product(rows: Sequence[Array], modes: int) -> tuple[Array, Exponents]:
    """Return the product of rows (M,) as mantissas (M,) and exponents of two (M,)."""
    mantissa, exponent = np.ones(modes), np.zeros(modes, dtype=np.int64)
    for row in rows:
        mantissa, step = np.frexp(mantissa * row)
        exponent += step
    return mantissa, exponent


def total(rows: Sequence[Array], modes: int) -> float:
    """Return the sum over the modes of the products of rows (M,): what remains when no axis does."""
    mantissa, exponent = product(rows, modes)
    if not mantissa.any():
        return 0.0
    top = int(exponent[mantissa != 0].max())
    with np.errstate(under="ignore"):
        return norms.ldexp(math.fsum(np.ldexp(mantissa, np.maximum(exponent - top, -2000))), top)
