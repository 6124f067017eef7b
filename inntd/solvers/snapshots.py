"""The growing basis of a reduced basis method: full solutions, orthonormal, with the operator in their span."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from inntd.models.reduced_system import Coercivity, Projection, ReducedSystem
from inntd.models.successive import SuccessiveConstraints
from inntd.solvers.merged import MergedSpace, Operator

Array = npt.NDArray[np.float64]

DEPENDENT = 1e-12  # what is left of a vector when it lies in the span of others


@dataclass
class Orthonormal:
    """Vectors that are orthonormal in an inner product, one after the other, with room for all to come."""

    inner: Operator
    room: Array
    count: int = 0

    @property
    def vectors(self) -> Array:
        """The vectors so far (n, count)."""
        return self.room[:, : self.count]

    def add(self, vector: Array) -> Array:
        """Take a vector in, if it is not in the span already; return its coordinates (count,).

        Twice by Gram and Schmidt, which is enough for orthogonality to machine precision.
        """
        coordinates, size = np.zeros(self.count), 0.0
        for _ in range(2):
            image = self.inner @ vector
            size = max(size, float(vector @ image))
            part = self.vectors.T @ image
            vector = vector - self.vectors @ part
            coordinates += part
        size, left = float(np.sqrt(size)), self._length(vector)
        if left <= DEPENDENT * size or self.count == self.room.shape[1]:
            return coordinates
        self.room[:, self.count] = vector / left
        self.count += 1
        return np.append(coordinates, left)

    def _length(self, vector: Array) -> float:
        return float(np.sqrt(max(0.0, float(vector @ (self.inner @ vector)))))


@dataclass
class Snapshots:
    """Functions in the span of full solutions, and the operator in it.

    Attributes
    ----------
    space
        The merged axis.
    inner
        The energy inner product, in which functions are orthonormal and residuals have their dual norm.
    functions
        The basis, orthonormal.
    representers
        Riesz representers of the terms of all residuals, orthonormal.
    """

    space: MergedSpace
    inner: Operator
    functions: Orthonormal
    representers: Orthonormal
    terms: int
    projection: Projection
    coercivity: Coercivity | SuccessiveConstraints | None
    operator: Array
    load: Array
    load_rows: list[Array] = field(default_factory=list)
    operator_rows: list[list[Array]] = field(default_factory=list)

    @classmethod
    def empty(
        cls,
        space: MergedSpace,
        inner: Operator,
        terms: int,
        projection: Projection,
        coercivity: Coercivity | SuccessiveConstraints | None,
        room: int,
    ) -> Snapshots:
        """Return no functions yet, but the representers of the load."""
        n, loads = space.size, space.load.shape[1]
        functions = Orthonormal(inner, np.zeros((n, room), order="F"))
        representers = Orthonormal(inner, np.zeros((n, min(n, loads + terms * room)), order="F"))
        found = cls(space, inner, functions, representers, terms, projection, coercivity,
                    np.zeros((terms, room, room)), np.zeros((loads, room)))  # fmt: skip
        for representer in inner.solve(space.load).T:
            found.load_rows.append(representers.add(representer))
        return found

    @property
    def count(self) -> int:
        """The number of functions."""
        return self.functions.count

    def add(self, solution: Array) -> bool:
        """Take a full solution in; return whether it was new."""
        before = self.count
        self.functions.add(solution)
        if self.count == before:
            return False
        k = before
        function = self.functions.vectors[:, k]
        images = np.stack([self.space.apply(q, function) for q in range(self.terms)], axis=1)
        for q, image in enumerate(images.T):
            self.operator[q, : k + 1, k] = self.functions.vectors.T @ image
            if self.space.symmetric[q]:
                self.operator[q, k, :k] = self.operator[q, :k, k]
            else:
                self.operator[q, k, :k] = self.space.apply_transposed(q, function) @ self.functions.vectors[:, :k]
        self.load[:, k] = self.space.load.T @ function
        self.operator_rows.append([self.representers.add(column) for column in self.inner.solve(images).T])
        return True

    def system(self) -> ReducedSystem:
        """Return the reduced system of the functions so far."""
        k, m = self.count, self.representers.count
        loads = np.zeros((len(self.load_rows), m))
        for r, row in enumerate(self.load_rows):
            loads[r, : len(row)] = row
        images = np.zeros((self.terms, m, k))
        for j, rows in enumerate(self.operator_rows):
            for q, row in enumerate(rows):
                images[q, : len(row), j] = row
        return ReducedSystem(self.operator[:, :k, :k].copy(), self.load[:, :k].copy(), images, loads,
                             self.projection, self.coercivity)  # fmt: skip
