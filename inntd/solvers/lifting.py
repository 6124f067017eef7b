"""Dirichlet values in separated form: a field that equals the data on the fixed faces and vanishes inside.

The interpolant of the data minus its part on the free nodes, g - (x)_d Q_d g, has twice as many terms as the data. A
transfinite lifting would need fewer, but reproduces sums of 1-D functions exactly and so hides errors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from inntd.axes import Axis
from inntd.problems import Problem
from inntd.problems.conditions import Dirichlet
from inntd.problems.separate import AxisFunction

Vector = npt.NDArray[np.float64]
# Per axis, whether its first and its last node are fixed.
Ends: TypeAlias = tuple[tuple[bool, bool], ...]


@dataclass
class Lifting:
    """Separated nodal values sum_r c_r (x)_d vectors[d][:, terms[r][1][d]].

    Attributes
    ----------
    free
        Range of the nodes of each axis that no condition fixes, of a vector those that are free for some component.
    fixed
        Per axis, None or an (n_free, components) array of bools: which of these nodes is fixed for which component.
    """

    free: tuple[slice, ...]
    vectors: list[Vector]
    terms: list[tuple[float, tuple[int, ...]]] = field(default_factory=list)
    fixed: list[npt.NDArray[np.bool_] | None] = field(default_factory=list)

    def factors(self) -> list[Vector]:
        """Return CP factors (n_d, terms); the coefficients are on the first axis."""
        if not self.terms:
            return []
        coefficients = np.array([coefficient for coefficient, _ in self.terms])
        places = np.array([place for _, place in self.terms])
        factors = [vectors[:, places[:, d]] for d, vectors in enumerate(self.vectors)]
        factors[0] = factors[0] * coefficients
        return factors


def lift(problem: Problem, start: Sequence[Vector | None] | None = None) -> Lifting:
    """Build the lifting of all Dirichlet conditions of a problem.

    Conditions are taken one after the other; a later one fills only what the earlier ones left free, which makes the
    field single-valued where faces meet (the values agree there, the problem has checked that). Components with
    conditions of their own are lifted one by one.

    Parameters
    ----------
    problem
        What to solve.
    start
        Where an earlier solution goes on: its CP factors (n_d, M) at the end, None for the axis of time.
    """
    axes, position = problem.axes, problem.component
    builder = _Builder(axes, position, start)
    # The earlier solution comes last: it fills the inside, up to the faces that other conditions hold.
    conditions = tuple(sorted(problem.conditions, key=lambda condition: condition.continued))
    if position is None or all(condition.component is None for condition in conditions):
        masks = _lift_component(builder, conditions, None)
        return builder.finish(_free(axes, [masks]), [None] * len(axes))
    each = [_lift_component(builder, conditions, k) for k in range(axes[position].size)]
    free = _free(axes, each)
    return builder.finish(free, _fixed(axes, free, each, position))


def _lift_component(builder: _Builder, conditions: tuple[Dirichlet, ...], component: int | None) -> Ends:
    """Add the data of one component (None: of all) to the lifting; return which ends are fixed."""
    masks: list[Ends] = []
    for condition in conditions:
        if component is not None and condition.component not in (None, component):
            continue
        mask = _fixed_ends(builder.axes, condition)
        if condition.continued:
            builder.extend(tuple(masks), component)
        for coefficient, functions in condition.value.terms:
            builder.add(coefficient, functions, tuple(masks), mask, component)
        masks.append(mask)
    return tuple(_covered(tuple(masks), d) for d in range(len(builder.axes)))


def _free(axes: tuple[Axis, ...], each: list[Ends]) -> tuple[slice, ...]:
    """Return the nodes of each axis that are free for some component."""
    return tuple(
        slice(int(all(ends[d][0] for ends in each)), axis.size - int(all(ends[d][1] for ends in each)))
        for d, axis in enumerate(axes)
    )


def _fixed(
    axes: tuple[Axis, ...], free: tuple[slice, ...], each: list[Ends], position: int
) -> list[npt.NDArray[np.bool_] | None]:
    """Return which free nodes are fixed for which component."""
    masks: list[npt.NDArray[np.bool_] | None] = []
    for d, (axis, own) in enumerate(zip(axes, free, strict=True)):
        mask = np.zeros((axis.size, len(each)), dtype=bool)
        if d != position:
            mask[0], mask[-1] = [ends[d][0] for ends in each], [ends[d][1] for ends in each]
        masks.append(mask[own] if mask[own].any() else None)
    return masks


def _fixed_ends(axes: tuple[Axis, ...], condition: Dirichlet) -> Ends:
    faces = {(id(face.axis), face.side) for face in condition.faces}
    return tuple(((id(axis), "start") in faces, (id(axis), "end") in faces) for axis in axes)


def _covered(masks: tuple[Ends, ...], d: int) -> tuple[bool, bool]:
    return any(mask[d][0] for mask in masks), any(mask[d][1] for mask in masks)


class _Builder:
    def __init__(self, axes: tuple[Axis, ...], position: int | None, start: Sequence[Vector | None] | None) -> None:
        self.axes, self.position, self.start = axes, position, start
        self.keys: list[dict[tuple[AxisFunction | int | None, bool, bool], int]] = [{} for _ in axes]
        self.columns: list[list[Vector]] = [[] for _ in axes]
        self.terms: list[tuple[float, tuple[int, ...]]] = []

    def add(
        self,
        coefficient: float,
        functions: tuple[AxisFunction | None, ...],
        earlier: tuple[Ends, ...],
        own: Ends,
        component: int | None,
    ) -> None:
        """Add a product on the nodes that are not fixed earlier, less its part on the nodes that stay free."""
        factors: list[AxisFunction | int | None] = list(functions)
        if self.position is not None:
            factors[self.position] = component
        outer = tuple(self._column(d, f, _covered(earlier, d)) for d, f in enumerate(factors))
        inner = tuple(self._column(d, f, _covered((*earlier, own), d)) for d, f in enumerate(factors))
        if outer != inner:  # else the product vanishes on this condition's faces
            self.terms += [(coefficient, outer), (-coefficient, inner)]

    def extend(self, earlier: tuple[Ends, ...], component: int | None) -> None:
        """Add the earlier solution, constant in time: what is left for the solver is how it changes."""
        if self.start is None:
            raise ValueError("the problem goes on from an earlier solution, which was not given")
        count = next(factor.shape[1] for factor in self.start if factor is not None)
        first = [len(columns) for columns in self.columns]
        for d, (factor, axis) in enumerate(zip(self.start, self.axes, strict=True)):
            values = np.ones((axis.size, count)) if factor is None else factor.copy()
            if d == self.position and component is not None:
                values *= (np.arange(axis.size) == component)[:, None]
            start, end = _covered(earlier, d)
            values[:1] *= not start
            values[-1:] *= not end
            self.columns[d] += list(values[:, :1].T if factor is None else values.T)
        for m in range(count):
            place = [own + (0 if factor is None else m) for own, factor in zip(first, self.start, strict=True)]
            self.terms.append((1.0, tuple(place)))

    def _column(self, d: int, function: AxisFunction | int | None, covered: tuple[bool, bool]) -> int:
        """Index of the nodal values of a function that vanish at the covered ends."""
        key = (function, *covered)
        if key not in self.keys[d]:
            column = self._values(d, function)
            # sin(pi) is 1.2e-16 in float64: such values would be lifted as noise.
            column[np.abs(column) <= 4e-16 * np.abs(column).max()] = 0.0
            column[:1] *= not covered[0]
            column[-1:] *= not covered[1]
            same = [k for k, other in enumerate(self.columns[d]) if np.array_equal(column, other)]
            if not same:
                self.columns[d].append(column)
            self.keys[d][key] = same[0] if same else len(self.columns[d]) - 1
        return self.keys[d][key]

    def _values(self, d: int, function: AxisFunction | int | None) -> Vector:
        axis = self.axes[d]
        if function is None:
            return np.ones(axis.size)
        if isinstance(function, int):  # a component
            return np.asarray(np.arange(axis.size) == function, dtype=np.float64)
        return np.array(axis.interpolate(function), dtype=np.float64)

    def finish(self, free: tuple[slice, ...], fixed: list[npt.NDArray[np.bool_] | None]) -> Lifting:
        vectors = [
            np.stack(columns, axis=1) if columns else np.zeros((axis.size, 0))
            for columns, axis in zip(self.columns, self.axes, strict=True)
        ]
        return Lifting(free, vectors, self.terms, fixed)
