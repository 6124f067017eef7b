"""Targets of mean zero and variance one, and the way back to their units."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from inntd.models import CPModel
from inntd.training.rows import Rows

Array = npt.NDArray[np.float64]


def centre_and_scale(y: Array, weights: Array | None) -> tuple[Array, float]:
    """Return the means (C,) of values (K, C), and one number for their deviations from them: one where they have none.

    Examples
    --------
    >>> centre_and_scale(np.array([[1.0, 5.0], [3.0, 5.0]]), None)
    (array([2., 5.]), 0.7071067811865476)
    """
    mean = np.asarray(np.average(y, axis=0, weights=weights))
    return mean, float(np.sqrt(np.average(((y - mean) ** 2).mean(axis=1), weights=weights))) or 1.0


@dataclass(frozen=True)
class Scaling:
    """The means (C,) and standard deviations (C,) of targets; where one is constant, its deviation counts as one.

    Examples
    --------
    >>> rows = Rows(np.zeros((3, 1)), np.array([[1.0, 5.0], [2.0, 5.0], [3.0, 5.0]]))
    >>> scaling = Scaling.of(rows)
    >>> scaling.mean, scaling.apply(rows).y[:, 1]
    (array([2., 5.]), array([0., 0., 0.]))
    """

    mean: Array
    deviation: Array

    @classmethod
    def of(cls, rows: Rows) -> Scaling:
        """Return the scaling that suits the targets."""
        mean = np.average(rows.y, axis=0, weights=rows.weights)
        deviation = np.sqrt(np.average((rows.y - mean) ** 2, axis=0, weights=rows.weights))
        deviation[np.ptp(rows.y, axis=0) == 0] = 0.0
        return cls(mean, np.where(deviation > 0, deviation, 1.0))

    def apply(self, rows: Rows) -> Rows:
        """Return the rows with scaled targets."""
        return replace(rows, y=(rows.y - self.mean) / self.deviation)

    def undo(self, model: CPModel) -> CPModel:
        """Return a model of scaled targets in their own units; the means are one more mode."""
        if len(self.mean) == 1:
            return model * float(self.deviation[0]) + float(self.mean[0])
        *factors, outputs = (factor.detach().numpy() for factor in model.factors)
        wider = [np.hstack([factor, np.ones((len(factor), 1))]) for factor in factors]
        last = np.hstack([outputs * self.deviation[:, None], self.mean[:, None]])
        return CPModel.from_factors(model.axes, [*wider, last])
