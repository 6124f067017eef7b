"""The same problem on other axes: its separated forms know coordinates, but no meshes."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from inntd.axes import Axis
from inntd.problems.align import Alignment, align

if TYPE_CHECKING:
    from inntd.problems.problem import Problem


def on_axes(problem: Problem, axes: Sequence[Axis]) -> Problem:
    """Return a problem on other meshes of some of its axes; see `Problem.on_axes`."""
    known = {axis.name: axis for axis in problem.axes}
    for axis in axes:
        _check(axis, known)
    known |= {axis.name: axis for axis in axes}
    moved = copy.copy(problem)
    moved._moved = True
    _exchange(moved, Alignment(problem.axes, tuple(known[axis.name] for axis in problem.axes)))
    if problem._given["align"]:
        alignment = align(moved.axes, moved.operator, moved.load, moved.conditions)
        _exchange(moved, alignment)
        moved.notes = alignment.notes
    return moved


def _check(axis: Axis, known: dict[str, Axis]) -> None:
    if not isinstance(axis, Axis):
        raise TypeError(f"axes must be inntd.Axis objects, got {axis!r}")
    if axis.name not in known:
        raise ValueError(f"axes must be those of the problem, {', '.join(known)}, got {axis.name!r}")
    old = known[axis.name]
    for what, own, other in (
        ("interval", axis.domain, old.domain),
        ("kind", axis.kind, old.kind),
        ("discrete", axis.discrete, old.discrete),
        ("periodic", axis.periodic, old.periodic),
    ):
        if own != other:
            raise ValueError(f"axis {axis.name!r} must keep its {what}, {other}, got {own}")


def _exchange(problem: Problem, alignment: Alignment) -> None:
    """Put the new axes wherever the old ones stand."""
    problem.axes = alignment.after
    problem.conditions = tuple(map(alignment.condition, problem.conditions))
    problem.setting = replace(problem.setting, axes=alignment.after)
    if problem.exact is not None:
        problem.exact = problem.exact_function = alignment.function(problem.exact)
