"""What scikit-learn asks of an estimator, the same for all of its versions from 1.4 on."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse
from sklearn.utils.validation import check_array

from inntd.training.batches import Batches
from inntd.training.tables import NamedColumns

try:
    from sklearn.utils.validation import validate_data
except ImportError:  # before 1.6
    validate_data = None

_FINITE = (
    "ensure_all_finite" if "ensure_all_finite" in inspect.signature(check_array).parameters else "force_all_finite"
)


def as_numbers(X: Any) -> npt.NDArray[np.float64]:
    """Return X as a new float64 matrix, NaN and infinity included; refuse sparse, complex, empty and other shapes."""
    if getattr(getattr(X, "dtype", None), "kind", "") == "c":
        raise ValueError("Complex data not supported: X must hold real numbers")
    numbers: npt.NDArray[np.float64] = check_array(X, dtype=np.float64, copy=True, order="C", **{_FINITE: False})
    return numbers


def note_columns(estimator: Any, X: Any, *, reset: bool) -> Any:
    """Remember the number and the names of columns, or refuse data with others than at `fit`; return X with a shape."""
    if isinstance(X, NamedColumns):
        return _note_names(estimator, X, reset)
    if scipy.sparse.issparse(X):
        raise TypeError("Sparse data was passed for X, but dense data are required: use X.toarray()")
    if not hasattr(X, "shape"):
        array = np.asarray(X)
        X = np.asarray(X, dtype=object) if array.dtype.kind in "US" else array
    if len(X.shape) != 2:
        raise ValueError(
            f"Expected 2D array X (rows, columns), got shape {X.shape}. Reshape your data: X.reshape(-1, 1) for one "
            "column, X.reshape(1, -1) for one row"
        )
    if validate_data is None:
        estimator._validate_data(X, reset=reset, cast_to_ndarray=False)
    else:
        validate_data(estimator, X, reset=reset, skip_check_array=True)
    return X


def note_block(estimator: Any, batches: Batches) -> None:
    """Remember the number and the names of the columns of data in blocks."""
    if hasattr(estimator, "feature_names_in_"):
        del estimator.feature_names_in_
    if batches.names is not None:
        estimator.feature_names_in_ = np.array(batches.names, dtype=object)
    estimator.n_features_in_ = batches.width


def _note_names(estimator: Any, X: NamedColumns, reset: bool) -> npt.NDArray[Any]:
    if reset:
        estimator.n_features_in_ = len(X.names)
        estimator.feature_names_in_ = np.array(X.names, dtype=object)
    elif list(estimator.feature_names_in_) != X.names:
        raise ValueError(f"X must have the columns {', '.join(estimator.feature_names_in_)}, got {', '.join(X.names)}")
    return X.values


def target_names(y: Any) -> list[str] | None:
    """Return the names of the targets of a series, a data frame, or columns of a table; None of an array."""
    if isinstance(y, NamedColumns):
        return y.names
    names = getattr(y, "columns", None)
    if names is None and getattr(y, "name", None) is not None and hasattr(y, "to_numpy"):
        names = [y.name]
    return None if names is None else [str(name) for name in names]


def column_names(estimator: Any) -> list[str]:
    """Return the names of columns: those of a data frame, or "x0", "x1", …"""
    named = getattr(estimator, "feature_names_in_", None)
    return [f"x{d}" for d in range(estimator.n_features_in_)] if named is None else [str(name) for name in named]
