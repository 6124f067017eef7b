"""From the strong form to the weak form: multiply with the test function, integrate second space derivatives by parts.

Boundary terms are dropped, which leaves the natural condition of each operator (zero flux) where no Dirichlet condition
stands.
"""

from __future__ import annotations

from collections.abc import Iterable

import sympy

from inntd.problems.algebra import Key, Terms, raised
from inntd.problems.contractions import dot, inner
from inntd.problems.expand import Separator
from inntd.problems.fields import FieldSymbol, has_unknown
from inntd.problems.nodes import Components, Divergence, Dot, Gradient, Laplacian, Operator, parts_of, rank_of
from inntd.problems.tensor import Tensor


def weak_form(equations: Iterable[tuple[sympy.Expr, FieldSymbol]]) -> sympy.Expr:
    """Return the weak form of equations `strong = 0`, each with its test function.

    Raw second derivatives stay for :func:`by_parts`.
    """
    return sympy.Add(*(_weaken(strong, sympy.S.One, test) for strong, test in equations))


def _weaken(e: sympy.Expr, factor: sympy.Expr, v: FieldSymbol) -> sympy.Expr:
    """Return the weak form of factor · e = 0; of a vector e the test function v is a vector, too."""
    if not has_unknown(e):
        return _tested(e, factor, v)
    if e.is_Add:
        return sympy.Add(*(_weaken(part, factor, v) for part in e.args))
    if e.is_Mul:
        unknowns = [part for part in e.args if has_unknown(part)]
        rest = sympy.Mul(*(part for part in e.args if part not in unknowns))
        if len(unknowns) == 1 and rank_of(rest) == 0:
            return _weaken(unknowns[0], factor * rest, v)
    if isinstance(e, Components):
        return sympy.Add(*(_weaken(part, factor, component(v, k)) for k, part in enumerate(e.args)))
    if isinstance(e, Laplacian):
        return sympy.Add(*(_weaken_flux(Gradient(w), factor, v) for w in sympy.Add.make_args(e.args[0])))
    if isinstance(e, Divergence):
        whole = rank_of(e.args[0]) == 2  # a stress: its natural condition is about all of it
        return sympy.Add(*(_weaken_flux(part, factor, v) for part in ([e.args[0]] if whole else _fluxes(e.args[0]))))
    return _tested(e, factor, v)


def component(v: FieldSymbol, k: int) -> FieldSymbol:
    """Return one component of a test function."""
    return FieldSymbol(v.field, component=k)


def _tested(e: sympy.Expr, factor: sympy.Expr, v: FieldSymbol) -> sympy.Expr:
    return factor * dot(Tensor(e), Tensor(v)) if rank_of(e) else factor * e * v


def _fluxes(flux: sympy.Expr) -> list[sympy.Expr]:
    """Split a flux into parts of one kind each; gradients of sums are split, too."""
    parts = []
    for k, base in parts_of(flux):
        inside = sympy.Add.make_args(base.args[0]) if isinstance(base, Gradient) else ()
        parts += [k * Gradient(w) for w in inside] or [k * base]
    return parts


def _weaken_flux(flux: sympy.Expr, factor: sympy.Expr, v: FieldSymbol) -> sympy.Expr:
    """Return the weak form of factor · div(flux)."""
    parts = list(parts_of(flux))
    if not any(_second_order(k, base) for k, base in parts):  # advection in conservative form, or a source: as it is
        return _tested(Divergence(flux), factor, v)
    constant, rest = factor.as_independent(*factor.free_symbols, as_Add=False) if factor.free_symbols else (factor, 1)
    slope = Gradient(rest * v)
    if rank_of(flux) == 2:
        return -constant * inner(Tensor(flux), Tensor(slope))
    return sympy.Add(*(-constant * k * Dot(slope, base) for k, base in parts))


def _second_order(k: sympy.Expr, base: sympy.Expr) -> bool:
    """Tell whether the divergence of a flux k · base differentiates the unknown twice."""
    if has_unknown(k) and _differentiated(k):
        return True
    if isinstance(base, Components):
        return any(_differentiated(part) for part in base.args)
    return has_unknown(base) and not (isinstance(base, FieldSymbol) and not base.index)


def _differentiated(part: sympy.Expr) -> bool:
    """Tell whether a component of a flux holds a derivative of the unknown."""
    return any(symbol.index for symbol in part.atoms(FieldSymbol)) or bool(part.atoms(Operator))


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
