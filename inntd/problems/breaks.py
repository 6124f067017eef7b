"""Where a function of one coordinate jumps or has a kink: quadrature splits its elements there."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import sympy
from scipy.optimize import brentq
from sympy.core.relational import Relational

from inntd.problems.algebra import COORDINATE
from inntd.problems.compiled import compile_function
from inntd.problems.given import Given

_SAMPLES = 2049
KINKS = (sympy.Abs, sympy.sign, sympy.Heaviside)


def breaks(function: sympy.Expr, domain: tuple[float, float]) -> tuple[float, ...]:
    """Return the sorted break points strictly inside the domain.

    Parameters
    ----------
    function
        An expression in the coordinate; relations, `Abs`, `sign`, `Heaviside`, `Max` and `Min` in it make breaks.
    domain
        The ends of the axis.
    """
    start, end = domain
    found: set[float] = set()
    for switch in switches(function):
        found.update(point for point in zeros(switch, start, end) if start < point < end)
    for node in function.atoms(Given):
        for argument, points in zip(node.coordinates, node.source.breaks, strict=True):
            if argument == COORDINATE:
                found.update(point for point in points if start < point < end)
    return tuple(sorted(found))


def joints(function: sympy.Expr, domain: tuple[float, float]) -> tuple[float, ...]:
    """Return the sorted points inside the domain where given functions change from one polynomial to the next."""
    found: set[float] = set()
    for node in function.atoms(Given):
        for argument, points in zip(node.coordinates, node.source.joints, strict=True):
            if argument == COORDINATE:
                found.update(point for point in points if domain[0] < point < domain[1])
    return tuple(sorted(found))


def switches(function: sympy.Basic) -> Iterator[sympy.Expr]:
    """Yield the expressions at whose zeros the function switches."""
    if not function.has(Relational, sympy.Max, sympy.Min, *KINKS):
        return
    for node in sympy.preorder_traversal(function):
        if isinstance(node, Relational):
            yield node.lhs - node.rhs
        elif isinstance(node, KINKS):
            yield node.args[0]
        elif isinstance(node, (sympy.Max, sympy.Min)):
            for i, one in enumerate(node.args):
                yield from (one - other for other in node.args[:i])


def zeros(switch: sympy.Expr, start: float, end: float) -> list[float]:
    """Return where an expression in the coordinate changes its sign; of a linear one outside of the interval, too."""
    if not switch.has(COORDINATE):
        return []
    slope = switch.diff(COORDINATE)
    if slope.is_number and slope.is_finite and not slope.is_zero:  # linear: exact
        return [float(-switch.xreplace({COORDINATE: sympy.S.Zero}) / slope)]
    return _sign_changes(switch, start, end)


def _sign_changes(switch: sympy.Expr, start: float, end: float) -> list[float]:
    compiled = compile_function(COORDINATE, switch)
    points = np.linspace(start, end, _SAMPLES)
    with np.errstate(all="ignore"):
        values = np.broadcast_to(np.asarray(compiled(points), dtype=np.float64), points.shape)
    exact = [float(point) for point, value in zip(points, values, strict=True) if value == 0.0]
    accuracy = 1e-15 * max(abs(start), abs(end))
    between = np.flatnonzero(values[:-1] * values[1:] < 0)
    return exact + [float(brentq(compiled, points[i], points[i + 1], xtol=accuracy)) for i in between]
