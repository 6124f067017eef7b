"""The parameters of an estimator: checked, and turned into what training takes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from inntd import _checks
from inntd.training.extrapolation import EXTRAPOLATE
from inntd.training.options import OPTIMIZERS, Options

NAN = ("raise", "drop")
NODES = ("uniform", "quantile")


def options(estimator: Any, names: Sequence[str], callback: Callable[[dict[str, Any]], Any]) -> Options:
    """Return the parameters as training takes them, or raise for the first that is wrong."""
    _checks.one_of("extrapolate", estimator.extrapolate, EXTRAPOLATE)
    _checks.one_of("nan", estimator.nan, NAN)
    _checks.positive_int("verbose", int(estimator.verbose), minimum=0)
    seconds = estimator.max_seconds
    return Options(
        optimizer=_checks.one_of("optimizer", estimator.optimizer, OPTIMIZERS),
        rank=_rank(estimator.rank),
        elements=_per_column("elements", estimator.elements, names),
        s=_per_column("s", estimator.s, names),
        nodes=_checks.one_of("nodes", estimator.nodes, NODES),  # type: ignore[arg-type]
        smoothness=_non_negative("smoothness", estimator.smoothness),
        validation_fraction=_fraction(estimator.validation_fraction),
        max_seconds=math.inf if seconds is None else _checks.finite_float("max_seconds", seconds, positive=True),
        seed=seed(estimator.random_state),
        callback=callback,
    )


def seed(random_state: Any) -> int:
    """Return the seed that a `random_state` stands for; None is 0: no fit depends on the clock.

    Examples
    --------
    >>> seed(None), seed(7), seed(np.random.RandomState(0)) == seed(np.random.RandomState(0))
    (0, 7, True)
    """
    if random_state is None:
        return 0
    if isinstance(random_state, int | np.integer) and not isinstance(random_state, bool):
        return _checks.positive_int("random_state", random_state, minimum=0)
    return int(check_random_state(random_state).randint(2**31 - 1))


def _rank(value: Any) -> int | None:
    if isinstance(value, str):
        if value != "auto":
            raise ValueError(f"rank must be 'auto' or a positive integer, got {value!r}")
        return None
    return _checks.positive_int("rank", value)


def _per_column(name: str, value: Any, names: Sequence[str]) -> list[int | None]:
    """Return one number per column, None for "auto"."""
    if isinstance(value, Mapping):
        unknown = [key for key in value if key not in names]
        if unknown:
            raise ValueError(f"{name} names the column {unknown[0]!r}, the data have {', '.join(map(repr, names))}")
        given = [value.get(column, "auto") for column in names]
    else:
        given = [value] * len(names)
    return [None if isinstance(one, str) and one == "auto" else _checks.positive_int(name, one) for one in given]


def _non_negative(name: str, value: Any) -> float | None:
    if isinstance(value, str) and value == "auto":
        return None
    number = _checks.finite_float(name, value)
    if number < 0:
        raise ValueError(f"{name} must be 'auto' or a non-negative number, got {number}")
    return number


def _fraction(value: Any) -> float | None:
    number = _non_negative("validation_fraction", value)
    if number is not None and number >= 1:
        raise ValueError(f"validation_fraction must be 'auto' or a number in [0, 1), got {number}")
    return number
