"""What the optimisers' arguments have in common: checked, or refused in words."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from inntd import _checks
from inntd.axes import Axis
from inntd.models import CPModel

Called = TypeVar("Called", bound=Callable[..., Any])


def non_negative(name: str, value: Any) -> float:
    """Return a finite number that is not negative, or raise.

    Examples
    --------
    >>> non_negative("ridge", -1)
    Traceback (most recent call last):
        ...
    ValueError: ridge must be zero or positive, got -1.0
    """
    number = _checks.finite_float(name, value)
    if number < 0:
        raise ValueError(f"{name} must be zero or positive, got {number}")
    return number


def fraction(name: str, value: Any) -> float:
    """Return a number from 0 to below 1, or raise."""
    number = non_negative(name, value)
    if number >= 1:
        raise ValueError(f"{name} must be at least 0 and below 1, got {number}")
    return number


def seconds(value: Any) -> float | None:
    """Return a positive time limit, or None, or raise."""
    return None if value is None else _checks.finite_float("max_seconds", value, positive=True)


def function(name: str, value: Called | None) -> Called | None:
    """Return a function, or None, or raise."""
    if value is not None and not callable(value):
        raise TypeError(f"{name} must be a function, got {value!r}")
    return value


def start(model: Any, axes: Sequence[Axis], rank: int, outputs: int | None) -> CPModel | None:
    """Return a model to start with, or None, or raise where its factors have other shapes."""
    if model is None:
        return None
    sizes = [axis.size for axis in axes] + ([outputs] if outputs else [])
    if not isinstance(model, CPModel):
        raise TypeError(f"start must be a CPModel, got {type(model).__name__}")
    found = [factor.shape[0] for factor in model.factors]
    if found != sizes or model.rank != rank:
        raise ValueError(
            f"start must have rank {rank} and axes of {sizes} values as the model to fit, got rank {model.rank} and "
            f"axes of {found}"
        )
    return model


def checkpoint(path: str | os.PathLike[str] | None, *, resume: bool) -> Path | None:
    """Return the path of a checkpoint whose folder can be written, or raise before hours of work are lost."""
    if path is None:
        if resume:
            raise ValueError("checkpoint_path must be given with resume=True, got None")
        return None
    file = Path(path)
    folder = file.absolute().parent
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK) or file.is_dir():
        raise ValueError(f"checkpoint_path must be a file in a folder that can be written, got {file}")
    return file
