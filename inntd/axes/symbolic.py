"""Objects that stand in SymPy expressions: arithmetic on them gives SymPy expressions."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import sympy


def _binary(function: Callable[[Any, Any], Any], *, swapped: bool = False) -> Callable[[Any, Any], Any]:
    def apply(self: Any, other: Any) -> Any:
        if hasattr(other, "shape") and not hasattr(other, "_sympy_"):
            return NotImplemented
        try:
            left, right = sympy.sympify(self), sympy.sympify(other, strict=True)
        except sympy.SympifyError:
            return NotImplemented
        return function(right, left) if swapped else function(left, right)

    return apply


class Symbolic:
    """Base of axes, unknowns and test functions: they mix with SymPy through `_sympy_`.

    Equality stays identity, so that such objects can be keys of dictionaries.
    """

    def _sympy_(self) -> sympy.Expr:
        raise NotImplementedError

    __add__ = _binary(operator.add)
    __radd__ = _binary(operator.add, swapped=True)
    __sub__ = _binary(operator.sub)
    __rsub__ = _binary(operator.sub, swapped=True)
    __mul__ = _binary(operator.mul)
    __rmul__ = _binary(operator.mul, swapped=True)
    __truediv__ = _binary(operator.truediv)
    __rtruediv__ = _binary(operator.truediv, swapped=True)
    __pow__ = _binary(operator.pow)
    __rpow__ = _binary(operator.pow, swapped=True)
    __lt__ = _binary(operator.lt)
    __le__ = _binary(operator.le)
    __gt__ = _binary(operator.gt)
    __ge__ = _binary(operator.ge)

    def __neg__(self) -> Any:
        return -self._sympy_()

    def __pos__(self) -> Any:
        return self._sympy_()
