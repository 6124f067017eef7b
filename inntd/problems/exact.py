"""The exact solution, where it is known: one expression, separated by axis if it can be, else a function of points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sympy

from inntd.axes import Axis
from inntd.problems.algebra import SeparationError, is_coupled
from inntd.problems.assembler import Assembler
from inntd.problems.expand import Separator
from inntd.problems.fields import expression_of, fields_in
from inntd.problems.indicator import Indicator
from inntd.problems.nodes import Operator
from inntd.problems.separate import PointFunction, SeparatedFunction
from inntd.problems.setting import Setting
from inntd.problems.text import shorten
from inntd.problems.wellformed import check_symbols


def exact_expression(exact: Any, setting: Setting) -> sympy.Expr:
    """Return the exact solution as one expression; of several components as a function of the component axis."""
    if setting.component is None:
        parts = [expression_of(exact, "exact")]
    elif isinstance(exact, (list, tuple)) and len(exact) == setting.components:
        parts = [expression_of(part, f"exact[{k}]") for k, part in enumerate(exact)]
    else:
        names = ", ".join(setting.names())
        raise ValueError(
            f"exact must be a list of {setting.components} expressions, one each for {names}, got {exact!r}"
        )
    for part in parts:
        if fields_in(part):
            raise ValueError(f"exact must not contain unknowns or test functions, got {shorten(part)}")
        check_symbols(part, setting.axes, "exact")
    if setting.component is None:
        return parts[0]
    c = setting.axes[setting.component]._sympy_()
    return sympy.Add(*(part * Indicator(sympy.Abs(c - k) < sympy.Rational(1, 2)) for k, part in enumerate(parts)))


def separate_exact(
    expression: sympy.Expr, separator: Separator, assembler: Assembler, axes: Sequence[Axis]
) -> tuple[SeparatedFunction | None, SeparatedFunction | PointFunction]:
    """Return the exact solution separated, None where it does not factor by axis, and as a function of points."""
    try:
        terms = separator.terms(expression)
        if is_coupled(terms) and not expression.has(Operator):  # its own values are better than separated ones
            return None, PointFunction(axes, expression)
        separated = assembler.separated(terms)
    except SeparationError as error:
        if expression.has(Operator):
            raise ValueError(f"exact: {error}") from None
        return None, PointFunction(axes, expression)
    except ValueError as error:
        raise ValueError(f"exact: {error}") from None
    return separated, separated
