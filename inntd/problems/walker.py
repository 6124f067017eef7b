"""The walk over Python's syntax tree: every step is counted, and what is refused is refused with its column."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, NoReturn, TypeAlias

import sympy

from inntd.problems.whitelist import (
    ALLOWED,
    MAX_BITS,
    MAX_DEPTH,
    MAX_NUMBER,
    MAX_STEPS,
    Budget,
    ParseError,
    Value,
    kind_of,
    name_of,
)

Rule: TypeAlias = Callable[[Any, Any, Mapping[str, int], int], Value]


class Walker:
    """Reads one expression by the rules of its subclasses, one per kind of node; see `inntd.problems.parser.Parser`."""

    rules: ClassVar[Mapping[type[ast.AST], Rule]]

    def __init__(
        self, place: str, lookup: Callable[[str], tuple[Value, int]], known: Iterable[str], budget: Budget
    ) -> None:
        self.place, self.lookup, self.known, self.budget = place, lookup, tuple(known), budget
        self._text = ""

    def _refuse(self, node: ast.AST, message: str) -> NoReturn:
        offset = getattr(node, "col_offset", 0)
        column = len(self._text.encode()[:offset].decode(errors="ignore")) + 1
        raise ParseError(f"{self.place}, column {column}: {message}")

    def _value(self, node: ast.expr, variables: Mapping[str, int], depth: int) -> Value:
        if not self.budget.take(1):
            self._refuse(node, f"the expressions of the file are too large: more than {MAX_STEPS} steps")
        if depth > MAX_DEPTH:
            self._refuse(node, f"the expression is nested too deeply; at most {MAX_DEPTH} levels")
        rule = self.rules.get(type(node))
        if rule is None:
            self._refuse(node, f"{name_of(node)} not allowed in an expression; {ALLOWED}")
        return rule(self, node, variables, depth + 1)

    def _scalar(self, node: ast.expr, variables: Mapping[str, int], depth: int) -> sympy.Expr:
        value = self._value(node, variables, depth)
        if not isinstance(value, sympy.Expr):
            self._refuse(
                node, f"a scalar is expected, got {kind_of(value)}; comparisons go into indicator or piecewise"
            )
        return value

    def _integer(self, node: ast.expr, variables: Mapping[str, int], depth: int) -> int:
        value = self._scalar(node, variables, depth)
        if not isinstance(value, sympy.Integer):
            self._refuse(node, f"an integer is expected, got {value}")
        return int(value)

    def _checked(self, node: ast.AST, value: sympy.Expr) -> sympy.Expr:
        """Refuse numbers that are not finite or too large to go on with."""
        if value.has(sympy.zoo, sympy.nan, sympy.oo, -sympy.oo):
            self._refuse(node, "the value is not a finite number")
        coefficient = value.as_coeff_Mul()[0]
        if coefficient.is_Rational and abs(coefficient.p).bit_length() + coefficient.q.bit_length() > MAX_BITS:
            self._refuse(node, "a factor has too many digits")
        if not value.free_symbols and value.is_number:
            try:
                size = abs(float(value))
            except (OverflowError, TypeError):
                size = math.inf
            if not size <= MAX_NUMBER:
                self._refuse(node, f"the number is not real or too large; at most {MAX_NUMBER:g}")
        return value
