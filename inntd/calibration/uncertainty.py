"""Covariance of the unknowns by Laplace's approximation, and what of it is only the box."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from inntd.calibration.identifiability import BOX_DEVIATION, Identifiability, identify
from inntd.calibration.losses import inflation, rho
from inntd.calibration.objective import Objective

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Uncertainty:
    """What the curvature of the misfit says.

    Parameters
    ----------
    identifiability
        Of the data alone.
    covariance
        (P, P), of data and priors; open directions count with the variance of a uniform distribution over the box.
    undetermined
        Names that neither data nor priors determine.
    freedom
        Degrees of freedom of an estimated noise; infinite where the noise is known.
    """

    identifiability: Identifiability
    covariance: Array
    undetermined: tuple[str, ...]
    freedom: float

    def quantile(self, level: float) -> float:
        """Return by how many standard errors an interval reaches to either side."""
        if np.isinf(self.freedom):
            return float(stats.norm.ppf(0.5 + 0.5 * level))
        return float(stats.t.ppf(0.5 + 0.5 * level, self.freedom)) if self.freedom > 0 else float("inf")

    def intervals(self, values: Array, low: Array, high: Array, names: tuple[str, ...], level: float) -> Array:
        """Return intervals (P, 2), clipped to the box; the box itself for what is undetermined."""
        reach = self.quantile(level) * np.sqrt(np.diag(self.covariance))
        ends = np.stack([np.maximum(values - reach, low), np.minimum(values + reach, high)], axis=1)
        for i, name in enumerate(names):
            if name in self.undetermined or not np.isfinite(ends[i]).all():
                ends[i] = low[i], high[i]
        return ends


def uncertainty(objective: Objective, theta: Array, freedom: float) -> Uncertainty:
    """Return the covariance at unknowns (P,), with the objective's noise."""
    names, width = objective.parameters.names, objective.parameters.width
    r, rows = objective.data_jacobian(theta)
    weights = np.ones_like(r) if objective.loss == "linear" else rho(objective.loss, r**2)[1]
    shown = rows * width * np.sqrt(weights)[:, None]
    spread = inflation(objective.loss, r, len(names))
    # Huber's sandwich has the unweighted sensitivities.
    data = rows * width / np.sqrt(spread) if np.isfinite(spread) else shown
    stacked = np.vstack([data, objective.known_jacobian(theta)[1] * width])
    posterior = identify(names, stacked)
    precision = np.diag(posterior.singular_values**2) + np.diag(np.where(posterior.open, BOX_DEVIATION**-2, 0.0))
    unit = posterior.directions.T @ np.diag(1 / np.diag(precision)) @ posterior.directions
    return Uncertainty(identify(names, shown), unit * np.outer(width, width), posterior.undetermined, freedom)


def effective_unknowns(objective: Objective, theta: Array) -> float:
    """Return how many unknowns the data pay for: P without priors, less where priors hold them."""
    width = objective.parameters.width
    rows = objective.data_jacobian(theta)[1] * width
    known = objective.known_jacobian(theta)[1] * width
    if not len(known):
        return float(len(theta))
    data = rows.T @ rows
    return float(np.trace(np.linalg.pinv(data + known.T @ known) @ data))
