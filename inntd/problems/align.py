"""Axes with the breaks of a problem's functions: solutions have kinks there, which no patch may cross."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from inntd.axes import Axis
from inntd.problems.conditions import Dirichlet
from inntd.problems.pieces import jumps
from inntd.problems.separate import AxisFunction, BilinearTerm, LinearTerm, SeparatedFunction

#: Of more breaks than this share of the elements only jumps are taken, if these are fewer: quadrature splits at all.
_MOST = 1 / 3
_SHOWN = 6
#: What notes say of jumps that the mesh is too coarse for, which costs more than kinks do.
JUMPS_LEFT_OUT = ", jumps included"


@dataclass(frozen=True)
class Alignment:
    """The axes of a problem as the solver takes them, and what was changed, in words."""

    before: tuple[Axis, ...]
    after: tuple[Axis, ...]
    notes: tuple[str, ...] = ()

    def function(self, value: SeparatedFunction) -> SeparatedFunction:
        """Return a separated function over the new axes."""
        return replace(value, axes=self.after)

    def condition(self, condition: Dirichlet) -> Dirichlet:
        """Return a condition on the same faces of the new axes."""
        new = {id(old): axis for old, axis in zip(self.before, self.after, strict=True)}
        faces = tuple(
            axis.start if face.side == "start" else axis.end
            for face in condition.faces
            for axis in [new[id(face.axis)]]
        )
        return replace(condition, faces=faces, value=self.function(condition.value))


def align(
    axes: Sequence[Axis],
    operator: Iterable[BilinearTerm],
    load: Iterable[LinearTerm],
    conditions: Iterable[Dirichlet],
) -> Alignment:
    """Give every axis the breaks of all coefficients, sources and given values that depend on it."""
    functions: list[dict[AxisFunction, None]] = [{} for _ in axes]
    for weights in _weights(operator, load, conditions):
        for position, weight in enumerate(weights):
            if weight is not None:
                functions[position][weight] = None
    aligned = [_aligned(axis, list(own)) for axis, own in zip(axes, functions, strict=True)]
    return Alignment(tuple(axes), tuple(axis for axis, _ in aligned), tuple(note for _, note in aligned if note))


def _weights(
    operator: Iterable[BilinearTerm], load: Iterable[LinearTerm], conditions: Iterable[Dirichlet]
) -> Iterator[Sequence[AxisFunction | None]]:
    yield from ([form.weight for form in term.forms] for term in operator)
    yield from ([form.weight for form in term.forms] for term in load)
    yield from (functions for condition in conditions for _, functions in condition.value.terms)


def _aligned(axis: Axis, functions: Sequence[AxisFunction]) -> tuple[Axis, str]:
    if axis.discrete:
        return axis, ""
    points = {point for function in functions for point in (*function.breaks, *_seam(axis, function))}
    most, left_out = max(1.0, _MOST * axis.elements), ""
    if len(points) > most:
        jumping = {point for function in functions for point in (*_jumps(axis, function), *_seam(axis, function))}
        chosen = jumping if len(jumping) <= most else set()
        left_out = f"axis {axis.name}: {len(points - chosen)} breaks are too many for its {axis.elements} elements: "
        left_out += f"patches cross them{JUMPS_LEFT_OUT if jumping - chosen else ''}; use more elements"
        points = chosen
    changed = axis.with_breaks(sorted(points))
    notes = [_moved(axis, changed)] if changed is not axis else []
    return changed, "; ".join([*notes, left_out] if left_out else notes)


def _jumps(axis: Axis, function: AxisFunction) -> list[float]:
    """Return the breaks at which the function itself jumps, rather than its slope."""
    try:
        return jumps(function, function.breaks, axis.domain)
    except ValueError:  # infinite beside a break
        return list(function.breaks)


def _seam(axis: Axis, function: AxisFunction) -> tuple[float, ...]:
    """Return the start of a ring if the function jumps from its end to its start."""
    if not axis.periodic:
        return ()
    start, end = axis.domain
    try:
        first, last = function(np.array([start, end]))
        size = float(np.abs(function(np.linspace(start, end, 17))).max())
    except ValueError:  # infinite there
        return (start,)
    return (start,) if abs(first - last) > 1e-9 * size else ()


def _moved(before: Axis, after: Axis) -> str:
    """Say which breaks came, and what became of the nodes."""
    new = [point for point in after.breaks if point not in before.breaks]
    shown = ", ".join(f"{point:g}" for point in new[:_SHOWN]) + (", …" if len(new) > _SHOWN else "")
    text = f"axis {after.name}: break{'s' * (len(new) > 1)} at {shown}"
    if np.array_equal(before.nodes, after.nodes):
        return text
    added = after.elements - before.elements
    how = f"{added:+d} element{'s' * (abs(added) != 1)}" if added else "nodes moved"
    return f"{text}, where the mesh had no node: {how}"
