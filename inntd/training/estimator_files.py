"""Files of estimators: the field's own file, with what else the estimator needs in its metadata. Nothing is pickled."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from inntd.models.files import load as load_model
from inntd.training.columns import Column

ENTRY = "estimator"


def save(estimator: Any, path: str | os.PathLike[str], *, overwrite: bool) -> None:
    """Write a fitted estimator; see its `save`."""
    estimator.model_.save(path, overwrite=overwrite, metadata={ENTRY: describe(estimator)})


def describe(estimator: Any) -> dict[str, Any]:
    """Return everything about a fitted estimator but its field, in types that JSON carries."""
    described = {
        "class": type(estimator).__name__,
        "parameters": {name: plain(value) for name, value in estimator.get_params().items()},
        "columns": [
            {
                "name": column.name,
                "categories": None if column.categories is None else list(column.categories),
                "low": column.low,
                "high": column.high,
            }
            for column in estimator._columns
        ],
        "named": hasattr(estimator, "feature_names_in_"),
        "targets": estimator._targets,
        "report": plain(estimator.report_),
    }
    if hasattr(estimator, "classes_"):
        return described | {"classes": estimator.classes_.tolist(), "dtype": _dtype(estimator.classes_)}
    return described | {"target_shape": list(estimator._y_shape)}


def load(cls: type[Any], path: str | os.PathLike[str]) -> Any:
    """Return the estimator in a file; see its `load`."""
    model = load_model(path)
    described = model.metadata.pop(ENTRY, None)
    if described is None:
        raise ValueError(f"{path} holds a field but no estimator: read it with inntd.load")
    try:
        if described["class"] != cls.__name__:
            raise ValueError(f"it holds an {described['class']}: read it with {described['class']}.load")
        return _restored(cls(**described["parameters"]), model, described)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        reason = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
        raise ValueError(f"{path} is no readable {cls.__name__}: {reason}") from None


def estimator_name(path: str | os.PathLike[str]) -> str | None:
    """Return the name of the estimator's class in a file, or None where it holds a field alone."""
    described = load_model(path).metadata.get(ENTRY)
    return str(described.get("class")) if isinstance(described, dict) else None


def _restored(estimator: Any, model: Any, described: Mapping[str, Any]) -> Any:
    columns = [_column(fields) for fields in described["columns"]]
    outputs = described.get("classes", described.get("target_shape", []))
    extra = len(model.axes) - len(columns)
    if extra not in (0, 1) or extra > len(outputs):
        raise ValueError(f"it has {len(columns)} columns for a field of {len(model.axes)} axes")
    estimator._columns = columns
    estimator.n_features_in_ = len(columns)
    if described["named"]:
        estimator.feature_names_in_ = np.array([column.name for column in columns], dtype=object)
    if "classes" in described:
        estimator.classes_ = np.array(described["classes"], dtype=described["dtype"])
    else:
        estimator._y_shape = tuple(int(size) for size in described["target_shape"])
    estimator._targets = None if described["targets"] is None else [str(name) for name in described["targets"]]
    estimator.model_, estimator.report_, estimator.history_ = model, described["report"], []
    return estimator


def _column(fields: Mapping[str, Any]) -> Column:
    categories = fields["categories"]
    return Column(
        str(fields["name"]),
        None if categories is None else tuple(categories),
        float(fields["low"]),
        float(fields["high"]),
    )


def _dtype(array: Any) -> str:
    return "object" if array.dtype.kind in "OUS" else array.dtype.name


def plain(value: Any) -> Any:
    """Return a parameter, or part of a report, in types that JSON carries; a generator of random numbers is no such."""
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float) and not np.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [plain(entry) for entry in value]
    return value if value is None or isinstance(value, str | int | float | bool) else None
