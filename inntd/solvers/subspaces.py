"""Few coordinates for axes whose factors need few: parameters that enter the operator mildly.

On an axis with a mass matrix and one more matrix every update solves (H_0 + lambda H_1) x = load: the factors lie in
the Krylov space of the loads, and where lambda H_1 is small beside H_0 their coefficients in it fall quickly, as those
of an analytic function in orthogonal polynomials do. The Galerkin system in the leading part of that space is the same
to round-off, and ten coordinates replace a hundred. The first modes tell how many are needed; later ones are watched.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from inntd.solvers.coordinates import AxisCoordinates

Vector = npt.NDArray[np.float64]

# Coefficients below this part of the largest mode are round-off.
NEGLIGIBLE = 1e-13
# Positive spectra that are wider than this, as those of stiffness matrices, need every coordinate.
WIDEST_SPECTRUM = 50.0
# What is left of a unit vector beside others when it depends on them.
DEPENDENT = 1e-12
# Fewer coordinates than these save nothing.
FEWEST = 12
# A smaller space pays when it has at most this part of the coordinates.
WORTHWHILE = 0.5


@dataclass
class Subspace:
    """The Krylov space of one axis, and the coordinates in its leading part.

    Attributes
    ----------
    whole
        Coordinates of the whole axis.
    krylov
        Orthonormal columns (n, K) in these, by falling importance.
    block
        How many columns the space was started from.
    closed
        Whether the matrices map the space into itself: it then holds every factor.
    size, rotation
        Columns in use, and the rotation that makes the matrices diagonal there; None while the whole axis is in use.
    """

    whole: AxisCoordinates
    krylov: Vector
    block: int
    closed: bool
    size: int = 0
    rotation: Vector | None = None

    @property
    def margin(self) -> int:
        """Trailing coefficients that have to be negligible."""
        return self.block + 1

    def first_fit(self, whole: Vector, weights: Vector) -> AxisCoordinates | None:
        """Shrink to what a factor on the whole axis needs, with a reserve; None when that does not pay.

        Parameters
        ----------
        weights
            Size (m,) of each mode beside the largest.
        """
        coefficients = self.krylov.T @ whole
        if (np.abs(whole - self.krylov @ coefficients) * weights).max() > NEGLIGIBLE:
            return None
        large = np.flatnonzero((np.abs(coefficients) * weights).max(axis=1) > NEGLIGIBLE)
        needed = int(large[-1]) + 1 if len(large) else 1
        size = min(max(FEWEST, needed + needed // 4 + self.margin), self.krylov.shape[1])
        return self._lead(size) if size <= WORTHWHILE * len(self.krylov) else None

    def refit(self, factor: Vector, weights: Vector) -> AxisCoordinates | None:
        """Take more coordinates where the trailing ones of a factor in those in use count; None where they do not."""
        if self.rotation is None or (self.closed and self.size == self.krylov.shape[1]):
            return None
        tail = self.rotation[-self.margin :] @ factor
        if (np.abs(tail) * weights).max() <= 10 * NEGLIGIBLE:
            return None
        larger = 2 * self.size
        if larger <= self.krylov.shape[1]:
            return self._lead(larger)
        self.rotation = None
        return self.whole

    def _lead(self, size: int) -> AxisCoordinates:
        """Use the first columns only: their coordinates, in which the matrices are diagonal again."""
        leading = self.krylov[:, :size]
        matrices, rotation = [np.ones(size)], np.eye(size)
        if len(self.whole.matrices) > 1:
            values, rotation = np.linalg.eigh(leading.T @ (self.whole.matrices[1][:, None] * leading))
            matrices.append(values)
        self.size, self.rotation = size, rotation
        assert self.whole.basis is not None
        basis = np.ascontiguousarray(self.whole.basis @ (leading @ rotation))
        return replace(self.whole, matrices=matrices, basis=basis, order=np.arange(size))

    def to_whole(self, factor: Vector) -> Vector:
        """Take a factor (size, m) to the coordinates of the whole axis."""
        return factor if self.rotation is None else self.krylov[:, : self.size] @ (self.rotation @ factor)

    def from_whole(self, factor: Vector) -> Vector:
        """Take a factor (n, m) on the whole axis to the coordinates in use."""
        if self.rotation is None:
            return factor
        return np.ascontiguousarray(self.rotation.T @ (self.krylov[:, : self.size].T @ factor))


def find_subspaces(
    coordinates: Sequence[AxisCoordinates], loads: Sequence[Vector], starts: Sequence[Vector]
) -> list[Subspace | None]:
    """Return the Krylov space of each axis that may do with few coordinates; None for the others.

    Parameters
    ----------
    coordinates, loads
        Per axis its working coordinates, and load vectors (n, loads) in them.
    starts
        Per axis columns (n, k) that new modes start from.
    """
    known: dict[tuple[int, bytes], tuple[Vector, int, bool] | None] = {}
    found: list[Subspace | None] = []
    for c, load, start in zip(coordinates, loads, starts, strict=True):
        if not _eligible(c):
            found.append(None)
            continue
        key = (id(c), load.tobytes())
        if key not in known:
            known[key] = _krylov(c, np.hstack([start, load]))
        space = known[key]
        found.append(None if space is None else Subspace(c, *space))
    return found


def _eligible(c: AxisCoordinates) -> bool:
    if not c.diagonal or c.basis is None or not np.array_equal(c.matrices[0], np.ones(len(c.order))):
        return False
    if len(c.matrices) == 1:
        return True
    values = np.abs(c.matrices[1])
    definite = bool((c.matrices[1] > 0).all() or (c.matrices[1] < 0).all())
    return not definite or values.max() <= WIDEST_SPECTRUM * values.min()


def _krylov(c: AxisCoordinates, block: Vector) -> tuple[Vector, int, bool] | None:
    """Orthonormal basis of block, A block, A^2 block, ...; None when it starts too large."""
    n = len(c.order)
    most = int(WORTHWHILE * n)
    basis, count = np.zeros((most, n)), 0  # rows, for speed
    candidates = [column / size for column in block.T if (size := float(np.linalg.norm(column))) > 0.0]
    begun, done = 0, 0
    scaled = c.matrices[1] / np.abs(c.matrices[1]).max() if len(c.matrices) > 1 else None
    while candidates and count < most:
        known, rest = basis[:count], candidates.pop(0)
        for _ in range(2):
            rest = rest - (rest @ known.T) @ known
        norm = float(np.linalg.norm(rest))
        if norm > DEPENDENT:
            rest = rest / norm
            rest = rest - (rest @ known.T) @ known
            basis[count] = rest / np.linalg.norm(rest)
            count += 1
        if not candidates:
            begun = begun or count
            if scaled is not None and done < count:
                candidates.append(scaled * basis[done])
                done += 1
    if begun == 0 or begun > most // 2:
        return None
    return np.ascontiguousarray(basis[:count].T), begun, not candidates
