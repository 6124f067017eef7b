"""The sum of squares that a calibration makes small: data of all experiments and what is known before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from inntd.calibration.experiments import Experiment, Part
from inntd.calibration.losses import Loss, rho
from inntd.calibration.parameters import Parameters
from inntd.calibration.priors import Prior

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Objective:
    """Residuals and derivatives as functions of P unknowns.

    Parameters
    ----------
    experiments, parts
        What was seen, and what least squares works with; one part per experiment.
    parameters
        The unknowns.
    priors
        (P,) what is known of them, or None.
    sigma
        Standard deviation of the noise where it is unknown, as it is estimated so far; else one.
    loss
        Of the data.
    """

    experiments: tuple[Experiment, ...]
    parts: tuple[Part, ...]
    parameters: Parameters
    priors: tuple[Prior | None, ...]
    sigma: float
    loss: Loss

    @classmethod
    def of(
        cls,
        experiments: Sequence[Experiment],
        parameters: Parameters,
        priors: tuple[Prior | None, ...],
        loss: Loss,
    ) -> Objective:
        """Return the objective with one as the unknown noise."""
        return cls(tuple(experiments), tuple(own.part(loss) for own in experiments), parameters, priors, 1.0, loss)

    @property
    def count(self) -> int:
        """The number of observations of all experiments."""
        return sum(own.count for own in self.experiments)

    @property
    def rest(self) -> float:
        """Sum of squares that no parameter changes."""
        return sum(part.rest for part in self.parts) / self.sigma**2

    @property
    def informed(self) -> int:
        """The number of unknowns with a prior."""
        return sum(prior is not None for prior in self.priors)

    def with_sigma(self, sigma: float) -> Objective:
        """Return the objective for another standard deviation of the noise."""
        return replace(self, sigma=sigma)

    def data(self, theta: Array) -> Array:
        """Return the data's residuals (S, n) at unknowns (S, P)."""
        found = [
            part.residuals(theta[:, list(places)])
            for part, places in zip(self.parts, self.parameters.places, strict=True)
        ]
        return np.concatenate(found, axis=1) / self.sigma

    def data_jacobian(self, theta: Array) -> tuple[Array, Array]:
        """Return the data's residuals (n,) and derivatives (n, P) at unknowns (P,)."""
        residuals, blocks = [], []
        for part, places in zip(self.parts, self.parameters.places, strict=True):
            r, j = part.jacobian(theta[list(places)])
            wide = np.zeros((len(r), len(theta)))
            wide[:, list(places)] = j
            residuals.append(r)
            blocks.append(wide)
        return np.concatenate(residuals) / self.sigma, np.concatenate(blocks) / self.sigma

    def known(self, theta: Array) -> Array:
        """Return the priors' residuals (S, q) at unknowns (S, P)."""
        columns = [prior.residual(theta[:, i]) for i, prior in enumerate(self.priors) if prior is not None]
        return np.stack(columns, axis=1) if columns else np.empty((len(theta), 0))

    def known_jacobian(self, theta: Array) -> tuple[Array, Array]:
        """Return the priors' residuals (q,) and derivatives (q, P)."""
        rows = np.zeros((self.informed, len(theta)))
        for row, (i, prior) in zip(
            rows, ((i, prior) for i, prior in enumerate(self.priors) if prior is not None), strict=True
        ):
            row[i] = prior.slope(float(theta[i]))
        return self.known(theta[None])[0], rows

    def misfit(self, theta: Array) -> Array:
        """Return the loss of the data and the priors' squares (S,) at unknowns (S, P); infinite where not finite."""
        with np.errstate(all="ignore"):
            squares = self.data(theta) ** 2
            lost = squares if self.loss == "linear" else rho(self.loss, squares)[0]
            total = lost.sum(axis=1) + self.rest + (self.known(theta) ** 2).sum(axis=1)
        return np.where(np.isfinite(total), total, np.inf)

    def squares(self, theta: Array) -> float:
        """Return the data's sum of squares at unknowns (P,)."""
        return float((self.data(theta[None]) ** 2).sum()) + self.rest
