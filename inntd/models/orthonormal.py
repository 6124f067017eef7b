"""Orthonormal functions of one axis that span the columns of a factor."""

from __future__ import annotations

import numpy as np

from inntd.axes import Axis
from inntd.models.doubled import Array
from inntd.models.forms import normal
from inntd.models.metric import Columns, block

NEGLIGIBLE = (
    1e-15  # singular values, relative to the largest, that are round-off; times the root of the columns' number
)
WELL_CONDITIONED = 1e-3


def orthonormal_columns(axis: Axis, factor: Array) -> tuple[Array, Array, int]:
    """Return orthonormal functions (n, k) of an axis, and the coordinates (k, r) of a factor's columns in them.

    The factor is functions · coordinates · 2^exponent, with the exponent as third. Columns that depend on others, up to
    round-off, add no function.

    Notes
    -----
    Where columns are nearly parallel, rounding leaves the functions less than orthonormal; doing it again to these,
    which are nearly so, mends that.

    Examples
    --------
    >>> import numpy as np, inntd as it
    >>> x = it.Axis("x", 0, 1, elements=8)
    >>> powers = np.vander(x.nodes, 3)
    >>> functions, coordinates, exponent = orthonormal_columns(x, np.hstack([powers, powers + 1]))
    >>> functions.shape, coordinates.shape
    ((9, 3), (3, 6))
    """
    small, exponent = normal(factor)
    lengths = np.abs(small).max(axis=0, initial=0.0)
    functions, coordinates = small / np.where(lengths > 0, lengths, 1.0), np.diag(lengths)
    negligible = NEGLIGIBLE * factor.shape[1] ** 0.5
    for _ in range(2):
        _, sizes, vt = np.linalg.svd(block([Columns(axis, functions)]), full_matrices=False)
        if sizes[0] == 0:
            return functions[:, :1], coordinates[:1], exponent  # all of them zero
        keep = int(np.count_nonzero(sizes > negligible * sizes[0]))
        functions = functions @ (vt[:keep].T / sizes[:keep])
        coordinates = (sizes[:keep, None] * vt[:keep]) @ coordinates
        if sizes[keep - 1] > WELL_CONDITIONED * sizes[0]:
            break
    return functions, coordinates, exponent
