"""The field with the parameters that were found, and bands around it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from inntd.calibration.objective import Objective
from inntd.calibration.response import make_response
from inntd.calibration.tables import columns_of
from inntd.calibration.terms import Terms
from inntd.calibration.uncertainty import Uncertainty

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Prediction:
    """Values (K,), their standard errors, and the ends of a band, all (K,).

    The band is for each place by itself, linear in the unknowns (delta method).
    """

    values: Array
    standard_errors: Array
    low: Array
    high: Array


def predict(
    objective: Objective,
    uncertainty: Uncertainty,
    theta: Array,
    places: Mapping[str, Any],
    level: float,
    experiment: str | None,
    *,
    noise: bool,
) -> Prediction:
    """Return the prediction at places of the model of one experiment."""
    names = [own.name for own in objective.experiments]
    if experiment is not None and str(experiment) not in names:
        raise ValueError(f"experiment must be one of {', '.join(names)}, got {experiment!r}")
    e = 0 if experiment is None else names.index(str(experiment))
    own, unknowns = objective.experiments[e], list(objective.parameters.places[e])
    terms = _terms(own.model.axes, own.free, places)
    values, slopes = make_response(own.model, terms, own.free).jacobian(theta[unknowns])
    variance = np.einsum("kp,pq,kq->k", slopes, uncertainty.covariance[np.ix_(unknowns, unknowns)], slopes)
    if noise:
        variance = variance + _noise_of(objective, e) ** 2
    errors = np.sqrt(np.maximum(variance, 0.0))
    reach = uncertainty.quantile(level) * errors
    return Prediction(values, errors, values - reach, values + reach)


def _terms(axes: Any, free: tuple[str, ...], places: Mapping[str, Any]) -> Terms:
    columns, _ = columns_of(places)
    rest = {axis.name: axis for axis in axes if axis.name not in free}
    if set(columns) != set(rest):
        raise ValueError(f"places must have coordinates on {', '.join(rest) or 'no axis'}, got {', '.join(columns)}")
    count = len(next(iter(columns.values()))) if columns else 1
    return Terms.points({name: axis.check_points(columns[name], "places") for name, axis in rest.items()}, count)


def _noise_of(objective: Objective, e: int) -> float:
    given = objective.experiments[e].seen.noise
    if given is None:
        return objective.sigma
    if isinstance(given, float):
        return given
    raise ValueError(
        "noise=True needs one standard deviation for new observations, but the given noise differs from one to the "
        "next: add it to standard_errors yourself"
    )
