"""Validation at the public boundary: every message names the argument, what came and what was expected."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

Choice = TypeVar("Choice", bound=str)
LARGEST = 1e150  # of numbers that are squared


class StabilityWarning(UserWarning):
    """What was stated is allowed, but likely unstable, or not what was meant; the message says where, and the remedy.

    Examples
    --------
    >>> import warnings
    >>> import inntd as it
    >>> warnings.simplefilter("error", it.StabilityWarning)  # to have them raised
    >>> it.Axis("x", 0, 1, elements=40, s=12)
    Traceback (most recent call last):
        ...
    inntd._checks.StabilityWarning: axis 'x': patches of s=12 lose digits ...
    >>> warnings.resetwarnings()
    """


def positive_int(name: str, value: object, *, minimum: int = 1, maximum: int | None = None) -> int:
    """Return `value` as an int of at least `minimum`."""
    expected = "a positive integer" if minimum == 1 and maximum is None else f"an integer of at least {minimum}"
    if maximum is not None:
        expected = f"an integer from {minimum} to {maximum}"
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{name} must be {expected}, got {value!r}")
    number = int(value)
    if number < minimum or (maximum is not None and number > maximum):
        raise ValueError(f"{name} must be {expected}, got {number}")
    return number


def finite_float(name: str, value: object, *, positive: bool = False) -> float:
    """Return `value` as a finite float, positive on request."""
    expected = "a positive finite number" if positive else "a finite number"
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be {expected}, got {value!r}") from None
    if not np.isfinite(number) or (positive and number <= 0):
        raise ValueError(f"{name} must be {expected}, got {number}")
    return number


def relative_error(name: str, value: object) -> float:
    """Return `value` as a float between 0 and 1, both excluded."""
    number = finite_float(name, value, positive=True)
    if number >= 1:
        raise ValueError(f"{name} is a relative error and must be less than 1, such as 1e-6, got {number:g}")
    return number


def one_of(name: str, value: object, choices: Sequence[Choice]) -> Choice:
    """Return `value` if it is among `choices`."""
    for choice in choices:
        if value == choice:
            return choice
    raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, got {value!r}")


def real_array(name: str, value: object) -> npt.NDArray[np.float64]:
    """Return `value` as a float64 array, or raise for what is no real number."""
    array = np.asarray(value)
    if array.dtype.kind == "c":
        raise TypeError(f"{name} must hold real numbers, got {array.dtype} numbers: pass their real parts")
    try:
        numbers: npt.NDArray[np.float64] = array.astype(np.float64, copy=False)
    except (TypeError, ValueError):
        odd = next((entry for entry in array.ravel().tolist() if not _is_number(entry)), value)
        raise TypeError(f"{name} must hold numbers, got {str(odd)[:40]!r}: convert it, or leave it out") from None
    return numbers


def usual_size(name: str, values: npt.NDArray[np.float64]) -> None:
    """Raise for finite numbers whose squares are not."""
    largest = float(np.abs(values).max()) if values.size else 0.0
    spread = float(np.ptp(values)) if values.size else 0.0
    if largest > LARGEST or 0 < spread < 1 / LARGEST:
        size = largest if largest > LARGEST else spread
        raise ValueError(
            f"{name} must be of usual size, so that its squares are neither zero nor infinite, got {size:.3g}: "
            "change its unit"
        )


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True


def finite_vector(name: str, value: object, *, minimum_size: int = 1) -> npt.NDArray[np.float64]:
    """Return `value` as a contiguous 1-D float64 array without NaN or infinity."""
    try:
        array = np.ascontiguousarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a 1-D array of numbers, got {type(value).__name__}") from None
    if array.ndim != 1 or array.size < minimum_size:
        raise ValueError(f"{name} must be a 1-D array of at least {minimum_size} numbers, got shape {array.shape}")
    bad = int(np.count_nonzero(~np.isfinite(array)))
    if bad:
        raise ValueError(f"{name} must be finite, got {bad} NaN or infinite of {array.size} values")
    return array
