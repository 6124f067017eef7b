"""The targets and the weights of rows: numbers or labels, and what is wrong with them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.utils.validation import column_or_1d

from inntd import _checks
from inntd.training.tables import NamedColumns

Array = npt.NDArray[np.float64]


def numeric_targets(X: Any, y: Any) -> Array:
    """Return targets (K,) or (K, C) as float64, NaN included."""
    _refuse_none(y)
    values = y.values if isinstance(y, NamedColumns) else np.asarray(y)
    if values.dtype.kind == "c":
        raise ValueError("Complex data not supported: y must hold real numbers")
    try:
        numbers = values.astype(np.float64)
    except (ValueError, TypeError):
        wrong = next((value for value in values.ravel().tolist() if not _is_number(value)), None)
        raise ValueError(f"y must hold numbers, got {wrong!r}; for classes use INNClassifier") from None
    if numbers.ndim not in (1, 2) or numbers.size == 0:
        raise ValueError(f"y must have shape (K,) or (K, C), with at least one value, got shape {numbers.shape}")
    _refuse_lengths(X, len(numbers))
    _checks.usual_size("y", numbers[np.isfinite(numbers)])
    return numbers


def present_targets(y: Array, *, nan: str) -> npt.NDArray[np.bool_]:
    """Return which rows (K,) have targets, or raise; infinity is never dropped."""
    rows = y.reshape(len(y), -1)
    finite = np.isfinite(rows)
    present = np.asarray(finite.all(axis=1))
    if present.all():
        return present
    infinite = int(np.isinf(rows).sum())
    if nan == "drop" and not infinite:
        return present
    missing = int(np.isnan(rows).sum())
    counts = " and ".join(f"{n} {word}" for n, word in ((missing, "NaN"), (infinite, "infinity")) if n)
    remedy = "remove these rows" if infinite else "remove these rows, or pass nan='drop'"
    raise ValueError(
        f"y must be finite, got {counts} of {rows.size} values, the first in row {int(np.flatnonzero(~present)[0])}: "
        f"{remedy}"
    )


def class_labels(X: Any, y: Any) -> npt.NDArray[Any]:
    """Return labels (K,)."""
    _refuse_none(y)
    given = y.values.reshape(len(y), -1)[:, 0] if isinstance(y, NamedColumns) else y
    labels: npt.NDArray[Any] = column_or_1d(given, warn=True)
    _refuse_lengths(X, len(labels))
    missing = [i for i, label in enumerate(labels) if label is None or label != label]
    if missing:
        raise ValueError(f"y must hold labels, got {len(missing)} missing (NaN), the first in row {missing[0]}")
    if labels.dtype.kind == "f" and np.isinf(labels).any():
        raise ValueError(f"y must hold labels, got {int(np.isinf(labels).sum())} infinite ones (inf)")
    return labels


def check_weights(weights: Any, count: int) -> Array | None:
    """Return sample weights (K,), or None."""
    if weights is None:
        return None
    try:
        values = np.asarray(weights, dtype=np.float64)
    except (ValueError, TypeError):
        raise TypeError(f"sample_weight must be {count} numbers, got {type(weights).__name__}") from None
    if values.ndim == 0:
        values = np.full(count, float(values))
    if values.shape != (count,):
        raise ValueError(f"sample_weight must have shape ({count},), one per row, got {values.shape}")
    if not np.isfinite(values).all() or (values < 0).any() or not values.any():
        raise ValueError("sample_weight must be finite, non-negative and not all zero")
    return values


def _refuse_lengths(X: Any, count: int) -> None:
    if len(X) != count:
        raise ValueError(
            f"y must have a row for each of the {len(X)} rows of X, got {count}: inconsistent numbers of samples"
        )


def _refuse_none(y: Any) -> None:
    if y is None:
        raise ValueError("this estimator requires y to be passed, but the target y is None")


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (ValueError, TypeError):
        return False
    return True
