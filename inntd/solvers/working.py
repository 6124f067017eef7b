"""A system in the coordinates that the alternating solver works in, refitted to the modes as these are found."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from inntd._kernels import core
from inntd.solvers.coordinates import AxisCoordinates, choose_coordinates
from inntd.solvers.mean import mean_pencil, term_means
from inntd.solvers.operator import DiscreteSystem
from inntd.solvers.subspaces import Subspace, find_subspaces

Vector = npt.NDArray[np.float64]
Modes = tuple[list[Vector], Vector]

# Refinement by the mean pencil pays where an axis' block LU is dear; with few matrices and strong parameters it was
# seen to end sweeps far from the block's solution.
MANY_MATRICES = 16
# So many modes tell how many coordinates an axis needs.
FIRST_LOOK = 3
# The modes are looked at again when there are so many times as many.
NEXT_LOOK = 1.25


class WorkingSystem:
    """Coordinates of every axis of a system, and the compiled solver in them.

    Parameters
    ----------
    system
        Assembled separated system.
    proximal
        Strength of the proximal term, relative to the mean diagonal.

    Attributes
    ----------
    coordinates
        Per axis.
    scale
        Logarithm that the load's factors are divided by.
    """

    def __init__(self, system: DiscreteSystem, proximal: float) -> None:
        self.coordinates = [
            c if c.diagonal or len(c.matrices) < MANY_MATRICES else replace(c, mean=mean_pencil(system, d, c.matrices))
            for d, c in enumerate(choose_coordinates(system))
        ]
        self.scale = float(system.load_logs.max()) if len(system.load_logs) else 0.0
        self._system, self._proximal = system, proximal
        # An equation written with the other sign is turned, so that blocks are positive.
        self._sign = -1.0 if term_means(system).sum() < 0 else 1.0
        self._spaces: list[Subspace | None] | None = None
        self._looked = 0

    def solver(self) -> core.Alternating:
        """Return a compiled solver without modes in the present coordinates."""
        system, sign = self._system, self._sign
        fixed = system.fixed or [None] * len(self.coordinates)
        return core.Alternating(
            [
                c.system(load, marks, frozen=d == system.component)
                for d, (c, load, marks) in enumerate(zip(self.coordinates, self._loads(), fixed, strict=True))
            ],
            system.terms,
            sign * system.coefficients,
            np.ascontiguousarray(system.load_terms, dtype=np.int32),
            sign * system.load_signs * np.exp(system.load_logs - self.scale),
            self._proximal,
        )

    def starts(self) -> list[Vector]:
        """Return per axis the columns that new modes are mixed from."""
        system = self._system
        return [
            c.from_nodes(np.eye(axis.size))
            if d == system.component
            else start_columns(c, axis.nodes[: axis.size][free])
            for d, (c, axis, free) in enumerate(zip(self.coordinates, system.axes, system.free, strict=True))
        ]

    def fit(self, modes: Modes, *, always: bool = False) -> tuple[Modes, bool] | None:
        """Fit the coordinates to what modes need; None when they stay as they are.

        Parameters
        ----------
        modes
            Factors in the present coordinates, and amplitudes.
        always
            Look again even where there are hardly more modes than the last time.

        Returns
        -------
        modes
            In the new coordinates.
        lacking
            Whether an axis had too few coordinates: the modes are not good yet.
        """
        factors, amplitudes = modes
        rank = len(amplitudes)
        first = self._spaces is None
        due = rank >= FIRST_LOOK if first else rank >= NEXT_LOOK * self._looked
        if self._system.component is not None or not (due or (always and not first)):
            return None
        self._looked = rank
        weights = amplitudes / max(float(amplitudes.max()), 1e-300)
        if self._spaces is None:
            self._spaces = find_subspaces(self.coordinates, self._loads(), self.starts())
        fitted, coordinates, changed = list(factors), list(self.coordinates), False
        for d, space in enumerate(self._spaces):
            if space is None:
                continue
            whole = space.to_whole(factors[d])
            own = space.first_fit(whole, weights) if first else space.refit(factors[d], weights)
            if own is not None:
                coordinates[d], fitted[d], changed = own, space.from_whole(whole), True
        self.coordinates = coordinates
        return ((fitted, amplitudes), not first) if changed else None

    def _loads(self) -> list[Vector]:
        system = self._system
        return [
            c.load(vectors[free])
            for c, vectors, free in zip(self.coordinates, system.vectors, system.free, strict=True)
        ]


def start_columns(coordinates: AxisCoordinates, nodes: Vector) -> Vector:
    """Constant, linear and quadratic function on the free nodes: new modes start from random mixtures of them.

    Fully random starts are nearly orthogonal to everything in many dimensions; the three together are orthogonal to
    no symmetry class.
    """
    span = max(float(np.ptp(nodes)), 1e-300)
    linear = 2 * (nodes - nodes.mean()) / span
    return coordinates.from_nodes(np.stack([np.ones_like(nodes), linear, linear**2 - 1 / 3], axis=1))
