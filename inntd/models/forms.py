"""Separated functions in NumPy: what models of every form are sliced, integrated, added and compared through.

A form holds axes and, in float64, one factor (n_d, r_d) per axis, and knows how their columns are combined into a
function. It is to a model what an array is to a torch module: no parameters, no devices, no checks of what users give.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np

from inntd.axes import Axis
from inntd.models.doubled import Array

Self = TypeVar("Self", bound="Form")


class Form(ABC):
    """A separated function of the axes: columns of the factors, combined by the rules of the form."""

    axes: tuple[Axis, ...]
    factors: list[Array]

    @abstractmethod
    def dense(self, matrices: Sequence[Array]) -> tuple[Array, int]:
        """Return the tensor (k_1, ..., k_D) with each factor replaced by a matrix (k_d, r_d).

        As an array and an exponent of two, so that many axes do not overflow.
        """

    @abstractmethod
    def log_norm(self, blocks: Sequence[Array]) -> float:
        """Return the logarithm of the Euclidean norm of `dense(blocks)`, -inf for zero."""

    @abstractmethod
    def reduced(self: Self, rows: Mapping[Axis, Array]) -> Self | float:
        """Return the function with some axes' factors contracted to rows (r_d,); a number when no axis remains."""

    @abstractmethod
    def times(self: Self, number: float) -> Self:
        """Return a multiple."""

    @abstractmethod
    def plus(self: Self, other: Self, sign: float) -> Self:
        """Return the sum with a multiple of a function of the same form and axes."""

    @classmethod
    @abstractmethod
    def constant(cls: type[Self], axes: Sequence[Axis], value: float) -> Self:
        """Return a constant function."""


def normal(array: Array) -> tuple[Array, int]:
    """Return an array whose largest entry is between a half and one, and the exponent of two that was divided out."""
    largest = float(np.abs(array).max(initial=0.0))
    if not 0.0 < largest < np.inf:
        return array, 0
    exponent = int(np.frexp(largest)[1])
    return scaled(array, -exponent), exponent


def scaled(array: Array, exponent: int) -> Array:
    """Return an array times a power of two, which rounds nothing but what leaves the range of numbers."""
    if abs(exponent) <= 1000:
        return array * 2.0**exponent
    with np.errstate(over="ignore"):
        return np.asarray(np.ldexp(array, np.clip(exponent, -4000, 4000)))
