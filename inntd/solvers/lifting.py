"""Dirichlet values in separated form: a field that equals the data on the fixed faces and vanishes inside.

The interpolant of the data minus its part on the free nodes, g - (x)_d Q_d g, has twice as many terms as the data. A
transfinite lifting would need fewer, but reproduces sums of 1-D functions exactly and so hides errors.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from inntd.axes import Axis
from inntd.problems import Problem
from inntd.problems.conditions import Dirichlet
from inntd.problems.separate import AxisFunction

Vector = npt.NDArray[np.float64]


@dataclass
class Lifting:
    """Separated nodal values sum_r c_r (x)_d vectors[d][:, terms[r][1][d]].

    `free` is the range of nodes of each axis that no condition fixes.
    """

    free: tuple[slice, ...]
    vectors: list[Vector]
    terms: list[tuple[float, tuple[int, ...]]] = field(default_factory=list)

    def factors(self) -> list[Vector]:
        """Return CP factors (n_d, terms); the coefficients are on the first axis."""
        if not self.terms:
            return []
        coefficients = np.array([coefficient for coefficient, _ in self.terms])
        places = np.array([place for _, place in self.terms])
        factors = [vectors[:, places[:, d]] for d, vectors in enumerate(self.vectors)]
        factors[0] = factors[0] * coefficients
        return factors


def lift(problem: Problem) -> Lifting:
    """Build the lifting of all Dirichlet conditions of a problem.

    Conditions are taken one after the other; a later one fills only what the earlier ones left free, which makes the
    field single-valued where faces meet (the values agree there, the problem has checked that).
    """
    axes = problem.axes
    builder = _Builder(axes)
    masks: list[tuple[tuple[bool, bool], ...]] = []
    for condition in problem.conditions:
        mask = _fixed_ends(axes, condition)
        for coefficient, functions in condition.value.terms:
            builder.add(coefficient, functions, tuple(masks), None)
            builder.add(-coefficient, functions, tuple(masks), mask)
        masks.append(mask)
    free = tuple(
        slice(
            1 if any(mask[d][0] for mask in masks) else 0, axis.size - (1 if any(mask[d][1] for mask in masks) else 0)
        )
        for d, axis in enumerate(axes)
    )
    return builder.finish(free)


def _fixed_ends(axes: tuple[Axis, ...], condition: Dirichlet) -> tuple[tuple[bool, bool], ...]:
    faces = {(id(face.axis), face.side) for face in condition.faces}
    return tuple(((id(axis), "start") in faces, (id(axis), "end") in faces) for axis in axes)


class _Builder:
    def __init__(self, axes: tuple[Axis, ...]) -> None:
        self.axes = axes
        self.keys: list[dict[tuple[AxisFunction | None, bool, bool], int]] = [{} for _ in axes]
        self.columns: list[list[Vector]] = [[] for _ in axes]
        self.terms: list[tuple[float, tuple[int, ...]]] = []

    def add(
        self,
        coefficient: float,
        functions: tuple[AxisFunction | None, ...],
        earlier: tuple[tuple[tuple[bool, bool], ...], ...],
        mask: tuple[tuple[bool, bool], ...] | None,
    ) -> None:
        """Add one product whose nodal vectors vanish at the ends that the masks name."""
        masks = earlier if mask is None else (*earlier, mask)
        place = []
        for d, function in enumerate(functions):
            start, end = any(m[d][0] for m in masks), any(m[d][1] for m in masks)
            place.append(self._column(d, function, start, end))
        self.terms.append((coefficient, tuple(place)))

    def _column(self, d: int, function: AxisFunction | None, start: bool, end: bool) -> int:
        key = (function, start, end)
        if key not in self.keys[d]:
            axis = self.axes[d]
            column = np.ones(axis.size) if function is None else np.array(axis.interpolate(function), dtype=np.float64)
            column[:1] *= not start
            column[-1:] *= not end
            self.keys[d][key] = len(self.columns[d])
            self.columns[d].append(column)
        return self.keys[d][key]

    def finish(self, free: tuple[slice, ...]) -> Lifting:
        vectors = [
            np.stack(columns, axis=1) if columns else np.zeros((axis.size, 0))
            for columns, axis in zip(self.columns, self.axes, strict=True)
        ]
        return Lifting(free, vectors, self.terms)
