"""Piecewise expressions: whether they have a value everywhere, and where they jump.

SymPy gives `Piecewise((x, x < 1))` no value beyond 1 and differentiates piece by piece, as if nothing jumped: both
would pass silently.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import sympy
from sympy.core.relational import Relational

from inntd.axes import Axis
from inntd.problems.algebra import COORDINATE
from inntd.problems.breaks import breaks, zeros
from inntd.problems.compiled import compile_function
from inntd.problems.text import shorten

Array = Any
_SAMPLES = 4096
_LINES = 3  # along which an expression of several coordinates is followed
_NEAR, _NEARER = 1e-6, 1e-8  # of the length of the axis: what shrinks with the distance is no jump


def check_pieces(expression: sympy.Basic, axes: Sequence[Axis], where: str) -> None:
    """Refuse piecewise expressions without a value somewhere on the axes, found on sample points."""
    known = {axis.name: axis for axis in axes}
    for node in sorted(expression.atoms(sympy.Piecewise), key=str):
        conditions = [condition for _, condition in node.args]
        covered = sympy.Or(*conditions)
        names = {symbol.name for condition in conditions for symbol in condition.free_symbols}
        if covered == sympy.true or not names <= set(known) or any(map(_of_fields, conditions)):
            continue
        place = _uncovered(covered, {name: known[name] for name in sorted(names)})
        if place:
            shown = ", ".join(f"{name}={value:.6g}" for name, value in place.items())
            raise ValueError(
                f"{where}: {shorten(node)} has no value at {shown}, where none of its conditions holds; "
                "end it with (value, True)"
            )


def _of_fields(condition: sympy.Basic) -> bool:
    return any(not isinstance(atom, sympy.Symbol) and atom.free_symbols for atom in condition.atoms())


def _uncovered(covered: sympy.Basic, axes: dict[str, Axis]) -> dict[str, float]:
    symbols = [axis._sympy_() for axis in axes.values()]
    random = np.random.default_rng(0)
    columns = []
    for axis, symbol in zip(axes.values(), symbols, strict=True):
        start, end = axis.domain
        alone = (node for node in covered.atoms(Relational) if node.free_symbols == {symbol})
        places = {p for node in alone for p in zeros((node.lhs - node.rhs).xreplace({symbol: COORDINATE}), start, end)}
        bounds = np.array([start, *sorted(p for p in places if start < p < end), end])
        cell = random.integers(len(bounds) - 1, size=_SAMPLES)  # every interval is looked at, however short
        columns.append(bounds[cell] + (bounds[cell + 1] - bounds[cell]) * random.uniform(0.01, 0.99, _SAMPLES))
    holds = np.broadcast_to(np.asarray(compile_function(symbols, covered)(*columns), dtype=bool), (_SAMPLES,))
    if holds.all():
        return {}
    bad = int(np.argmin(holds))
    return {name: float(column[bad]) for name, column in zip(axes, columns, strict=True)}


def jump_along(expression: sympy.Expr, axis: Axis, axes: Sequence[Axis]) -> float | None:
    """Return where an expression jumps along an axis, None where it is continuous there.

    Of the other coordinates it may depend on, a few places are tried.
    """
    own = axis._sympy_()
    others = [each for each in axes if each is not axis and each._sympy_() in expression.free_symbols]
    random = np.random.default_rng(0)
    for _ in range(_LINES if others else 1):
        fixed = {each._sympy_(): sympy.Float(random.uniform(*each.domain)) for each in others}
        line = expression.xreplace({**fixed, own: COORDINATE})
        points = breaks(line, axis.domain)
        found = jumps(compile_function(COORDINATE, line), points, axis.domain)
        if found:
            return found[0]
    return None


def jumps(function: Callable[[Array], Any], points: Sequence[float], domain: tuple[float, float]) -> list[float]:
    """Return those of some points inside an interval at which a function of one coordinate jumps."""
    if not points:
        return []
    start, end = domain
    places = np.array(points)
    changes = []
    for near in (_NEAR, _NEARER):
        step = near * (end - start)
        with np.errstate(all="ignore"):
            pair = [np.broadcast_to(function(side), places.shape) for side in (places - step, places + step)]
        changes.append(np.abs(pair[1] - pair[0]))
    size = max(1e-300, *(float(np.nanmax(np.abs(values), initial=0.0)) for values in pair))
    jump = ~(changes[1] <= np.maximum(0.5 * changes[0], 1e-9 * size))  # what is infinite there counts as well
    return [point for point, there in zip(points, jump, strict=True) if there]
