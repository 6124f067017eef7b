"""Eigenvectors of an axis, shared by all who need them, and which of them a smooth load reaches."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.linalg

from inntd.axes._cache import BoundedCache
from inntd.axes.banded import BandedMatrix

Vector = npt.NDArray[np.float64]

# Below this part of a load's largest coefficient an eigenvector does not see it: stiffness matrices times nodal values
# leave round-off of 1e-13 there, which solving divides by large eigenvalues.
UNREACHED = 1e-12
# Of the error with which a load was separated: what is left of it in eigenvectors beyond is that error.
KNOWN = 1e-3
# Axes of so many eigenvectors leave those out, where no more than this part of them is reached.
LONG_AXIS = 256
FEW_REACHED = 0.7


@dataclass
class _Eigenvectors:
    values: Vector
    basis: Vector


# The slabs of a march share their axes, and so do the routes that are tried for one problem.
_spectra: BoundedCache[_Eigenvectors] = BoundedCache(160 * 2**20, size=lambda found: found.basis.nbytes)


def eigenvectors(matrix: BandedMatrix, mass: BandedMatrix) -> tuple[Vector, Vector]:
    """Return the eigenvalues (n,) of a symmetric pencil and its eigenvectors (n, n), of unit mass norm, as columns.

    They are shared: treat them as read-only.
    """

    def solve() -> _Eigenvectors:
        full, weight = np.asfortranarray(matrix.toarray()), np.asfortranarray(mass.toarray())
        return _Eigenvectors(*scipy.linalg.eigh(full, weight, check_finite=False, overwrite_a=True, overwrite_b=True))

    found = _spectra.get((matrix.band.tobytes(), mass.band.tobytes(), matrix.periodic, mass.periodic), solve)
    return found.values, found.basis


def reached(basis: Vector, loads: Vector, load_error: float = 0.0) -> npt.NDArray[np.bool_] | None:
    """Return which eigenvectors (n, r) some load (n, Q) reaches; None where that is most of them, or the axis is short.

    In such coordinates an axis' system falls into one per eigenvector, and without a load its solution is zero: the
    others may be left out.

    Parameters
    ----------
    load_error
        Relative error of the loads, where they were separated numerically.
    """
    if basis.shape[1] < LONG_AXIS or loads.shape[1] == 0:
        return None
    sizes = np.abs(basis.T @ loads)
    found: npt.NDArray[np.bool_] = (sizes > max(UNREACHED, KNOWN * load_error) * sizes.max(axis=0)).any(axis=1)
    return found if 0 < found.sum() <= FEW_REACHED * len(found) else None
