"""The columns of the data: numbers and categories, what is wrong with them, and the names of their axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from inntd.training.conventions import as_numbers
from inntd.training.listing import listed

Array = npt.NDArray[np.float64]


class DataWarning(UserWarning):
    """The data can be used, but not as they were probably meant; the message names the column and the remedy."""


@dataclass(frozen=True)
class Column:
    """One column of the training data.

    Attributes
    ----------
    name : str
        As the user calls it: the header, or "x0", "x1", …
    categories : tuple, or None
        The sorted different values of a categorical column; on its axis they are 0, 1, …
    low, high : float
        The range of the training data; where they are equal, the column is constant.
    """

    name: str
    categories: tuple[Any, ...] | None
    low: float
    high: float

    @property
    def constant(self) -> bool:
        """Whether all rows have the same value, so that nothing can be learned from the column."""
        return self.low == self.high


def read_columns(
    X: Any, names: Sequence[str], categorical: Sequence[str | int], used: npt.NDArray[np.bool_], *, nan: str
) -> tuple[list[Column], Array, npt.NDArray[np.bool_]]:
    """Return the columns of training data, their numbers (K, D) with categories as 0, 1, …, and which of the
    rows to be `used` are whole. Ranges are those of these rows.

    Raises
    ------
    ValueError
        Columns of text that are not declared categorical; empty ones; NaN or infinity with ``nan="raise"``.
    """
    chosen = _categorical_indices(categorical, names)
    x = _numbers(X, names, chosen)
    values = {d: _values(X, d) for d in chosen}
    categories = {d: _categories(names[d], values[d]) for d in chosen}
    for d in chosen:
        x[:, d] = _coded(values[d], categories[d])
    whole = _whole_rows(x, names, nan) & used
    if not whole.any():
        raise ValueError(f"no row is left: each of the {len(x)} lacks a value, its target or a weight")
    columns = []
    for d, name in enumerate(names):
        known = categories.get(d)
        ends = (0.0, len(known) - 1.0) if known else (float(x[whole, d].min()), float(x[whole, d].max()))
        columns.append(Column(name, known, *ends))
    return columns, x, whole


def apply_columns(X: Any, columns: Sequence[Column], *, nan: str) -> Array:
    """Return new data as numbers (K, D), categories as those of the training data; NaN stays where nan="drop".

    Raises
    ------
    ValueError
        Text, a category that the training data lack, NaN or infinity with ``nan="raise"``.
    """
    names = [column.name for column in columns]
    chosen = [d for d, column in enumerate(columns) if column.categories is not None]
    x = _numbers(X, names, chosen)
    for d in chosen:
        known, values = columns[d].categories or (), _values(X, d)
        x[:, d] = _coded(values, known)
        unknown = np.array([not _is_missing(value) for value in values]) & np.isnan(x[:, d])
        if unknown.any():
            row = int(np.flatnonzero(unknown)[0])
            raise ValueError(
                f"column {names[d]!r} has categories that the training data lack: {values[row]!r} in row {row} "
                f"({int(unknown.sum())} such rows); known are {listed(known)}"
            )
    _whole_rows(x, names, nan)
    return x


# ---- numbers -----------------------------------------------------------------------------------------------------


def _numbers(X: Any, names: Sequence[str], categorical: Sequence[int]) -> Array:
    """Return the columns as float64, those of categories as zeros: always a copy of the caller's numbers."""
    if not categorical:
        try:
            return as_numbers(X)
        except (ValueError, TypeError) as error:
            _refuse_text(X, names)
            raise error from None
    x = np.zeros((len(X), len(names)))
    for d, name in enumerate(names):
        if d not in categorical:
            try:
                x[:, d] = as_numbers(_values(X, d)[:, None])[:, 0]
            except (ValueError, TypeError):
                _refuse_text(X, names, [d])
                raise ValueError(f"column {name!r} must hold real numbers") from None
    return x


def _refuse_text(X: Any, names: Sequence[str], candidates: Sequence[int] | None = None) -> None:
    """Raise for the first column that holds text, with the remedy."""
    for d in range(len(names)) if candidates is None else candidates:
        for row, value in enumerate(_values(X, d)):
            if isinstance(value, str) and not _reads_as_number(value):
                raise ValueError(
                    f"column {names[d]!r} holds text ({value!r} in row {row}), it must hold numbers: convert it, leave "
                    f"it out, or declare it with categorical=[{names[d]!r}]; in general could not convert a string"
                )


def _reads_as_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _whole_rows(x: Array, names: Sequence[str], nan: str) -> npt.NDArray[np.bool_]:
    """Return which rows are finite, or raise: infinity is never dropped, it is always a mistake."""
    finite = np.isfinite(x)
    whole = np.asarray(finite.all(axis=1))
    if whole.all():
        return whole
    counts = len(x) - finite.sum(axis=0)
    for d in np.flatnonzero(counts == len(x)).tolist():
        raise ValueError(f"column {names[d]!r} is empty: all of its {len(x)} values are NaN or infinite; leave it out")
    infinite = np.isinf(x).sum(axis=0)
    if nan == "drop" and not infinite.any():
        return whole
    told = [
        f"column {names[d]!r} has {_count(counts[d] - infinite[d], 'NaN')}{_count(infinite[d], 'infinity')}"
        f"of {len(x)} values, the first in row {int(np.flatnonzero(~finite[:, d])[0])}"
        for d in np.flatnonzero(counts).tolist()
    ]
    remedy = "remove these rows" if infinite.any() else "remove these rows, or pass nan='drop'"
    raise ValueError(f"X must be finite, but contains NaN or infinity: {'; '.join(told[:5])}; {remedy}")


def _count(number: int, word: str) -> str:
    return f"{number} {word} " if number else ""


# ---- categories --------------------------------------------------------------------------------------------------


def _categorical_indices(categorical: Sequence[str | int], names: Sequence[str]) -> list[int]:
    if isinstance(categorical, str) or not hasattr(categorical, "__iter__"):
        raise TypeError(f"categorical must be a sequence of names or numbers of columns, got {categorical!r}")
    found = []
    for entry in categorical:
        if isinstance(entry, str):
            if entry not in names:
                raise ValueError(f"categorical names the column {entry!r}, the data have {listed(names)}")
            found.append(list(names).index(entry))
        else:
            index = int(entry)
            if not -len(names) <= index < len(names):
                raise ValueError(f"categorical names the column number {index}, the data have {len(names)} columns")
            found.append(index % len(names))
    return sorted(set(found))


def _values(X: Any, d: int) -> npt.NDArray[Any]:
    """Return one column of a data frame or an array."""
    return np.asarray(X.iloc[:, d] if hasattr(X, "iloc") else X[:, d])


def _is_missing(value: Any) -> bool:
    return value is None or type(value).__name__ in ("NAType", "NaTType") or bool(value != value)


def _categories(name: str, values: npt.NDArray[Any]) -> tuple[Any, ...]:
    """Return the sorted different values, in types that files carry."""
    known = {value.item() if isinstance(value, np.generic) else value for value in values if not _is_missing(value)}
    odd = next((value for value in known if not isinstance(value, str | int | float | bool)), None)
    if odd is not None:
        raise TypeError(f"column {name!r}: categories must be text or numbers, got {odd!r}; convert them to text")
    if not known:
        raise ValueError(f"column {name!r} is empty: all of its {len(values)} values are missing; leave it out")
    return tuple(sorted(known, key=lambda value: (isinstance(value, str), value)))


def _coded(values: npt.NDArray[Any], categories: Sequence[Any]) -> Array:
    """Return the numbers of categories; NaN for missing and unknown ones."""
    codes = {value: float(code) for code, value in enumerate(categories)}
    return np.array([np.nan if _is_missing(value) else codes.get(value, np.nan) for value in values])
