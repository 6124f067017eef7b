"""Weights of the strong residual: its plain L2 norm is the wrong one near layers and where errors grow in time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from inntd.pinn.tables import AxisPoints

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class MeshWeight:
    """The local element size over the largest one, along one axis.

    In a layer of width δ second derivatives are of size 1/δ², and so are residuals of small errors: without a weight
    the layer decides alone, and moves to where its residual is least.

    Parameters
    ----------
    place
        The position among the differentiated axes.
    """

    place: int

    def __call__(self, coordinates: Sequence[Array], points: Sequence[AxisPoints]) -> Array:
        """Return the weights at Gauss points."""
        own = points[self.place]
        lengths = own.weights.sum(axis=1, keepdims=True)
        weights = np.broadcast_to(lengths / lengths.max(), own.points.shape)
        return weights.reshape(coordinates[self.place].shape)


@dataclass(frozen=True)
class CausalWeight:
    """exp(-rate · (t - start)): what happens first counts most, as errors there grow into later ones.

    Parameters
    ----------
    place
        The position of the time axis among the differentiated axes.
    rate
        Per unit of time.
    """

    place: int
    rate: float

    def __call__(self, coordinates: Sequence[Array], points: Sequence[AxisPoints]) -> Array:
        """Return the weights at Gauss points."""
        start = points[self.place].axis.domain[0]
        weights: Array = np.exp(-self.rate * (coordinates[self.place] - start))
        return weights
