r"""Norms of separated tensors to full precision.

A separated tensor :math:`T = \sum_m w_m\, b_1^{(m)} \otimes \dots \otimes b_D^{(m)}` is given by its `blocks`, one
array :math:`B_d` of shape (k_d, M) per axis, in orthonormal coordinates of that axis. Then

.. math:: \|T\|^2 = w^T \left( B_1^T B_1 \circ \dots \circ B_D^T B_D \right) w .

Where modes cancel, as they do in the difference of two models, this square loses twice the digits that the norm does:
in float64 no distance below 1e-8 would be seen. Here it is computed in doubled precision, so that the norm keeps all
digits that the blocks have. An orthogonalising sweep (`sweep.py`) has the same accuracy at M times the cost. Exponents
are kept apart, as integers: nothing overflows with a hundred axes, and scaling rounds nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from inntd.models.doubled import Array, Doubled, gram

Exponents = npt.NDArray[np.int64]

FAR = 1000  # exponents of modes that lie this much below the largest one's count as zero


@dataclass(frozen=True)
class ScaledGram:
    """A Gram matrix in doubled precision whose entry (i, j) is matrix[i, j] * 2^(exponents[i] + exponents[j])."""

    matrix: Doubled
    exponents: Exponents

    @classmethod
    def of(cls, block: Array) -> ScaledGram:
        """Return that of a block (k, M)."""
        exponents = np.frexp(np.abs(block).max(axis=0, initial=0.0))[1].astype(np.int64)
        return cls(gram(np.ldexp(block, -exponents)), exponents)

    def __mul__(self, other: ScaledGram) -> ScaledGram:
        product = self.matrix * other.matrix
        lengths = np.frexp(np.diagonal(product.high))[1].astype(np.int64) // 2
        return ScaledGram(product.scaled(-lengths), self.exponents + other.exponents + lengths)

    def log_norm(self, weights: Array | None) -> float:
        """Return the logarithm of the root of weightsᵀ · matrix · weights; -inf for zero or less."""
        mantissa, shift = np.frexp(np.ones(self.exponents.size) if weights is None else weights)
        exponents = self.exponents + shift
        alive = (mantissa != 0) & (np.diagonal(self.matrix.high) != 0)  # true for NaN
        if not alive.any():
            return -math.inf
        top = int(exponents[alive].max())
        small = np.ldexp(np.where(alive, mantissa, 0.0), np.clip(exponents - top, -FAR, 0))
        square = self.matrix.quadratic(small)
        if math.isnan(square):
            return math.nan
        return 0.5 * math.log(square) + top * math.log(2) if square > 0 else -math.inf


def log_norm(blocks: Sequence[Array], weights: Array | None = None) -> float:
    r"""Return the logarithm of the norm of :math:`\sum_m w_m \bigotimes_d b_d^{(m)}`; -inf for zero.

    Parameters
    ----------
    blocks : sequence of D arrays (k_d, M)
        In orthonormal coordinates of each axis.
    weights : array (M,), optional
        Ones by default.

    Examples
    --------
    >>> import numpy as np
    >>> ones = np.ones((3, 1))
    >>> float(round(log_norm([ones] * 1000) / np.log(3), 9))  # the norm itself is 3^500
    500.0
    >>> near = np.array([[1.0, 1.0], [0.0, 1e-12]])
    >>> bool(abs(np.exp(log_norm([near, near], np.array([1.0, -1.0]))) / 2**0.5 * 1e12 - 1) < 1e-9)
    True
    """
    grams = [ScaledGram.of(block) for block in blocks]
    product = grams[0]
    for other in grams[1:]:
        product = product * other
    return product.log_norm(weights)


def log_norms_replaced(
    blocks: Sequence[Array], replaced: Sequence[Array | None], weights: Array | None = None
) -> list[float]:
    """Return the logarithms of the norms with one axis' block replaced by another, for each axis in turn.

    With the derivatives of the factors as replacements these are the norms of the partial derivatives.

    Parameters
    ----------
    blocks : sequence of D arrays (k_d, M)
    replaced : sequence of D arrays (l_d, M) or None
        None where no norm is wanted: -inf is returned there.
    weights : array (M,), optional
        Ones by default.
    """
    grams = [ScaledGram.of(block) for block in blocks]
    others = [None if block is None else ScaledGram.of(block) for block in replaced]
    return [
        -math.inf if found is None else found.log_norm(weights) for found in _replaced_products(grams, others, grams)
    ]


def log_norm_and_replaced(
    blocks: Sequence[Array], several: Sequence[Sequence[Array | None]], weights: Array | None = None
) -> tuple[float, list[list[float]]]:
    """Return the logarithm of the norm, and those with one axis' block replaced, for several sets of replacements."""
    grams = [ScaledGram.of(block) for block in blocks]
    modes = blocks[0].shape[1]
    one = ScaledGram(Doubled(np.ones((modes, modes)), np.zeros((modes, modes))), np.zeros(modes, dtype=np.int64))
    after = [one]
    for other in reversed(grams[1:]):
        after.append(after[-1] * other)
    found: list[list[float]] = [[] for _ in several]
    before = one
    for own, *others in zip(grams, *several, strict=True):
        rest = before * after.pop()
        for logs, block in zip(found, others, strict=True):
            logs.append(-math.inf if block is None else (rest * ScaledGram.of(block)).log_norm(weights))
        before = before * own
    return before.log_norm(weights), found


def log_norms_telescoped(
    before: Sequence[ScaledGram], own: Sequence[ScaledGram], after: Sequence[ScaledGram]
) -> list[float]:
    r"""Return for each axis d the logarithm of the norm with blocks `before` up to d, `own[d]`, and `after` behind d.

    Where the squares of `before` and `after` differ by those of `own`, the squares of these norms add up to the
    difference of the squares of all `before` and all `after`, without subtracting them.

    Parameters
    ----------
    before, own, after : sequences of D ScaledGram
        Of blocks in orthonormal coordinates of each axis.

    Examples
    --------
    >>> import numpy as np
    >>> whole, part, rest = (ScaledGram.of(np.array(block)) for block in ([[3.0], [4.0]], [[3.0]], [[4.0]]))
    >>> found = np.exp(log_norms_telescoped([whole] * 2, [rest] * 2, [part] * 2)) ** 2
    >>> found.round(9).tolist(), 5**4 - 3**4  # 4² 3² and 5² 4²
    ([144.0, 400.0], 544)
    """
    return [-math.inf if found is None else found.log_norm(None) for found in _replaced_products(before, own, after)]


def _replaced_products(
    before: Sequence[ScaledGram], own: Sequence[ScaledGram | None], after: Sequence[ScaledGram]
) -> Iterator[ScaledGram | None]:
    """Yield the products of all `before` up to an axis, its `own`, and all `after` behind it, for each axis."""
    modes = before[0].exponents.size
    one = ScaledGram(Doubled(np.ones((modes, modes)), np.zeros((modes, modes))), np.zeros(modes, dtype=np.int64))
    behind = [one]
    for other in reversed(after[1:]):
        behind.append(behind[-1] * other)
    seen = one
    for first, middle in zip(before, own, strict=True):
        others = seen * behind.pop()
        yield None if middle is None else others * middle
        seen = seen * first


def normalised(blocks: Sequence[Array]) -> tuple[list[Array], Array]:
    """Return the blocks with columns of length one, and the logarithms of the lengths (D, M).

    Columns of zeros stay zero and have the logarithm -inf.
    """
    unit, logs = [], []
    for block in blocks:
        largest = np.abs(block).max(axis=0, initial=0.0)  # divided out before squaring, which overflows at 1e154
        scaled = block / np.where(largest > 0, largest, 1.0)
        lengths = np.linalg.norm(scaled, axis=0)
        unit.append(scaled / np.where(lengths > 0, lengths, 1.0))
        with np.errstate(divide="ignore"):
            logs.append(np.log(largest) + np.log(lengths))
    return unit, np.stack(logs)


def log_sum(logs: Sequence[float]) -> float:
    """Return the logarithm of the root of the sum of squares of numbers given by their logarithms."""
    top = max(logs)
    return top if not math.isfinite(top) else top + 0.5 * math.log(math.fsum(math.exp(2 * (x - top)) for x in logs))


def exp(log: float) -> float:
    """Return the exponential, infinity where it overflows."""
    return math.exp(log) if log < 709.78 else (math.nan if math.isnan(log) else math.inf)


def ldexp(value: float, exponent: int) -> float:
    """Return value * 2^exponent, infinity where it overflows."""
    try:
        return math.ldexp(value, exponent)
    except OverflowError:
        return math.copysign(math.inf, value)
