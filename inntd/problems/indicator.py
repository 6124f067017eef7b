"""Indicator functions: one where a relation holds, zero elsewhere."""

from __future__ import annotations

from typing import Any

import sympy
from sympy.logic.boolalg import Boolean, BooleanFunction


class Indicator(sympy.Expr):  # type: ignore[misc]
    """One where the relation holds, zero elsewhere; it jumps, so it is never differentiated."""

    is_real = True
    is_nonnegative = True

    def __new__(cls, relation: Boolean) -> sympy.Expr:
        if relation in (sympy.true, sympy.false):  # a replaced symbol may decide the relation
            return sympy.S.One if relation == sympy.true else sympy.S.Zero
        return super().__new__(cls, relation)

    def _eval_derivative(self, symbol: sympy.Symbol) -> sympy.Expr:
        raise ValueError(
            f"{self} is differentiated in {symbol}, but an indicator jumps and has no derivative; "
            "keep it outside of diff, grad, div and laplacian, or give the weak form"
        )

    def _sympystr(self, printer: Any) -> str:
        return f"indicator({printer._print(self.args[0])})"

    _sympyrepr = _sympystr

    def _numpycode(self, printer: Any) -> str:
        where = printer._module_format("numpy.where")
        return f"{where}({printer._print(self.args[0])}, 1.0, 0.0)"


def indicator(relation: Any) -> sympy.Expr:
    """Return the factor that is one where a relation holds and zero elsewhere.

    Parameters
    ----------
    relation
        A SymPy relation between expressions, such as `z >= 0.5`, or several joined with `&`, `|`, `~`.

    Raises
    ------
    TypeError
        The argument is no relation (`==` on axes compares the objects and gives a plain bool).
    ValueError
        The relation is an equality, which holds nowhere but on a set of measure zero.

    Examples
    --------
    >>> import inntd as it
    >>> z = it.Axis("z", 0, 1, elements=4)
    >>> 3 * it.indicator(z >= 0.5)
    3*indicator(z >= 0.5)
    """
    if isinstance(relation, bool) or not isinstance(relation, Boolean) or isinstance(relation, sympy.Symbol):
        raise TypeError(f"relation must be a SymPy relation such as x >= 0.5, got {relation!r}")
    for part in relation.atoms(sympy.Eq, sympy.Ne):
        raise ValueError(f"relation must be built from <, <=, >, >=, got {part}, which holds on no interval or all")
    if not isinstance(relation, (sympy.core.relational.Relational, BooleanFunction)) and relation not in (
        sympy.true,
        sympy.false,
    ):
        raise TypeError(f"relation must be built from <, <=, >, >= with &, |, ~, got {relation!r}")
    return Indicator(relation)
