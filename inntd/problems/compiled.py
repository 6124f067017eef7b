"""SymPy expressions as vectorised NumPy functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import sympy

from inntd.problems.given import sources_in


def compile_function(symbols: sympy.Symbol | Sequence[sympy.Symbol], expression: sympy.Expr) -> Callable[..., Any]:
    """Return a function of arrays, one per symbol.

    SymPy prints a float with 15 digits; with 20 it comes back to the last bit.

    Examples
    --------
    >>> import numpy as np
    >>> x = sympy.Symbol("x")
    >>> compile_function(x, sympy.Float(0.1257302210933933) * x)(np.array([1.0]))[0]
    np.float64(0.1257302210933933)
    """
    exact = expression.xreplace({number: sympy.Float(number, 20) for number in expression.atoms(sympy.Float)})
    sources = sources_in(expression)
    modules: Any = [sources, "scipy"] if sources else "scipy"
    return sympy.lambdify(symbols, exact, modules)  # type: ignore[no-any-return]
