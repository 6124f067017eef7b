"""Matrices of doubled precision: unevaluated sums of two float64, 106 bits, for Gram matrices without loss.

The sums and products are those of Dekker ("A floating-point technique for extending the available precision", Numer.
Math. 18, 1971); the Gram matrix is cut into parts whose matrix products are exact (Ozaki, Ogita, Oishi and Rump,
"Error-free transformations of matrix multiplication", Numer. Algorithms 59, 2012).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

SPLITTER = 2.0**27 + 1
MANTISSA = 53
PARTS = 3


@dataclass(frozen=True)
class Doubled:
    """high + low, entry by entry, with low below the rounding of high."""

    high: Array
    low: Array

    def __mul__(self, other: Doubled) -> Doubled:
        """Return the product entry by entry."""
        product, rest = two_product(self.high, other.high)
        rest += self.high * other.low
        rest += self.low * other.high
        return Doubled(*_fast_two_sum(product, rest))

    def __add__(self, other: Doubled) -> Doubled:
        """Return the sum."""
        total, rest = two_sum(self.high, other.high)
        rest += self.low
        rest += other.low
        return Doubled(*_fast_two_sum(total, rest))

    def scaled(self, exponents: npt.NDArray[np.int64]) -> Doubled:
        """Return entries (i, j) times 2^(exponents[i] + exponents[j]): exact."""
        powers = np.ldexp(1.0, exponents[:, None] + exponents[None, :])
        return Doubled(self.high * powers, self.low * powers)

    def quadratic(self, weights: Array) -> float:
        """Return weightsᵀ · self · weights, as if summed exactly and rounded once."""
        outer = Doubled(*two_product(weights[:, None], weights[None, :]))
        terms = self * outer
        return math.fsum(np.concatenate([terms.high.reshape(-1), terms.low.reshape(-1)]))


def two_sum(a: Array, b: Array) -> tuple[Array, Array]:
    """Return the rounded sum and what it lost."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


def two_product(a: Array, b: Array) -> tuple[Array, Array]:
    """Return the rounded product and what it lost."""
    product = a * b
    a_high, a_low = _halves(a)
    b_high, b_low = _halves(b)
    rest = a_high * b_high - product
    rest += a_high * b_low
    rest += a_low * b_high
    rest += a_low * b_low
    return product, rest


def gram(matrix: Array) -> Doubled:
    """Return matrixᵀ · matrix for a matrix (k, M) with entries of at most one.

    Entries are taken to 2^-60 at least: a change of the matrix far below its own rounding, but the same one for all
    entries of the result.

    Examples
    --------
    >>> import numpy as np
    >>> found = gram(np.array([[1.0, 2.0**-40]]))
    >>> bool(found.high[1, 1] == 2.0**-80), bool(found.high[0, 1] == 2.0**-40)
    (True, True)
    """
    rows = matrix.shape[0]
    bits = (MANTISSA - max(1, math.ceil(math.log2(max(rows, 2))))) // 2 - 1
    parts, rest = [], matrix
    for i in range(1, PARTS + 1):
        shift = 1.5 * 2.0 ** (MANTISSA - 1 - i * bits)
        part = (rest + shift) - shift  # rounded to multiples of 2^(-i bits)
        parts.append(part)
        rest = rest - part
    total = Doubled(np.zeros((matrix.shape[1],) * 2), np.zeros((matrix.shape[1],) * 2))
    for i in range(PARTS):
        for j in range(i, PARTS):
            product = parts[i].T @ parts[j]  # exact
            total = total + Doubled(product, np.zeros_like(product))
            if i != j:
                total = total + Doubled(np.ascontiguousarray(product.T), np.zeros_like(product))
    return total


def _halves(a: Array) -> tuple[Array, Array]:
    spread = SPLITTER * a
    high = spread - (spread - a)
    return high, a - high


def _fast_two_sum(a: Array, b: Array) -> tuple[Array, Array]:
    total = a + b
    return total, b - (total - a)
