"""Parameters among which a greedy algorithm looks for the worst."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.stats import qmc

from inntd.axes import Axis
from inntd.models.sampling import from_unit

Array = npt.NDArray[np.float64]

SAMPLES = 1024
ALONG_ONE = 256  # equal steps of a single parameter
MOST_CORNERS = 64


def training_points(axes: Sequence[Axis], seed: int) -> Array:
    """Return training parameters (K, P): evenly spread, with the corners of the box where these are not too many.

    Examples
    --------
    >>> import inntd as it
    >>> training_points([it.Axis("k", 1, 3, elements=2), it.Axis("h", 0, 1, elements=2)], seed=0).shape
    (1028, 2)
    """
    if len(axes) == 1 and not axes[0].discrete:
        return np.linspace(*axes[0].domain, ALONG_ONE + 1)[:, None]
    if all(axis.discrete for axis in axes) and np.prod([axis.size for axis in axes]) <= SAMPLES:
        return np.array(list(itertools.product(*(axis.nodes for axis in axes))))
    unit = qmc.Sobol(len(axes), seed=seed).random(SAMPLES)
    if 2 ** len(axes) <= MOST_CORNERS:
        unit = np.concatenate([np.array(list(itertools.product((0.0, 1.0), repeat=len(axes)))), unit])
    return np.stack([from_unit(axis, column) for axis, column in zip(axes, unit.T, strict=True)], axis=1)
