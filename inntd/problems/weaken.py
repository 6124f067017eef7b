"""From the strong form to the weak form: multiply with the test function, integrate second space derivatives by parts.

Boundary terms are dropped, which leaves the natural condition of each operator (zero flux) where no Dirichlet condition
stands.
"""

from __future__ import annotations

import sympy

from inntd.problems.algebra import Key, Terms, raised
from inntd.problems.expand import Separator
from inntd.problems.fields import FieldSymbol, TestFunction, has_unknown
from inntd.problems.operators import Components, Divergence, Dot, Gradient, Laplacian, Operator


def weak_form(strong: sympy.Expr, test: TestFunction) -> sympy.Expr:
    """Return the weak form of `strong = 0`; raw second derivatives stay for :func:`by_parts`."""
    return _weaken(strong, sympy.S.One, test._sympy_())


def _weaken(e: sympy.Expr, factor: sympy.Expr, v: sympy.Expr) -> sympy.Expr:
    if not has_unknown(e):
        return factor * e * v
    if e.is_Add:
        return sympy.Add(*(_weaken(part, factor, v) for part in e.args))
    if e.is_Mul:
        unknowns = [part for part in e.args if has_unknown(part)]
        if len(unknowns) == 1:
            rest = sympy.Mul(*(part for part in e.args if part is not unknowns[0]))
            return _weaken(unknowns[0], factor * rest, v)
    if isinstance(e, Laplacian):
        return sympy.Add(*(_weaken_flux(sympy.S.One, Gradient(w), factor, v) for w in sympy.Add.make_args(e.args[0])))
    if isinstance(e, Divergence):
        coefficient, vector = e.args
        if isinstance(vector, Gradient):
            parts = sympy.Add.make_args(vector.args[0])
            return sympy.Add(*(_weaken_flux(coefficient, Gradient(w), factor, v) for w in parts))
        return _weaken_flux(coefficient, vector, factor, v)
    return factor * e * v


def _weaken_flux(k: sympy.Expr, vector: sympy.Basic, factor: sympy.Expr, v: sympy.Expr) -> sympy.Expr:
    """Return the weak form of factor · div(k · vector)."""
    second_order = any(has_unknown(part) for part in vector.args) and not isinstance(vector, Components)
    if isinstance(vector, Components):
        second_order = any(_differentiated(part) for part in vector.args)
    if not second_order:  # advection in conservative form, or a source: kept as it stands
        return factor * Divergence(k, vector) * v
    constant, rest = factor.as_independent(*factor.free_symbols, as_Add=False) if factor.free_symbols else (factor, 1)
    return -constant * k * Dot(Gradient(rest * v), vector)


def _differentiated(component: sympy.Expr) -> bool:
    """Tell whether a component of a flux holds a derivative of the unknown."""
    return any(symbol.index for symbol in component.atoms(FieldSymbol)) or bool(component.atoms(Operator))


def by_parts(separator: Separator, terms: Terms) -> Terms:
    """Integrate what is still of second order in space by parts.

    A pure derivative gives c v u_dd → -(c v)_d u_d, a mixed one half of each: 2 c v u_de → -(c v)_d u_e - (c v)_e u_d.
    """
    return separator.add(_lower(separator, key, number) for key, number in terms.items())


def _lower(separator: Separator, key: Key, number: float) -> Terms:
    trial, test, factors = key
    orders = {axis: order for axis, order in trial or () if axis in separator.space}
    if sum(orders.values()) <= 1:
        return {key: number}
    if sum(orders.values()) > 2:
        raise ValueError(
            f"strong must be of second order in space at most, got a derivative of order {sum(orders.values())} "
            f"in {', '.join(separator.axes[axis].name for axis in orders)}"
        )
    pieces: list[Terms] = []
    for axis in orders:
        lowered = raised(trial or (), axis, -1)
        share = -number / len(orders)
        pieces.append({(lowered, raised(test or (), axis), factors): share})
        pieces.append(separator.differentiate_factor((lowered, test, factors), share, axis))
    return separator.add(pieces)
