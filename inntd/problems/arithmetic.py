"""Arithmetic, comparisons and lists in expressions, within bounds that keep numbers finite."""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping
from typing import Any

import sympy

from inntd.problems.tensor import Tensor
from inntd.problems.walker import Walker
from inntd.problems.whitelist import (
    ALLOWED,
    COMPARISONS,
    MAX_EXPONENT,
    MAX_NUMBER,
    MAX_STEPS,
    Value,
    is_comparison,
    kind_of,
    name_of,
)


class ArithmeticRules(Walker):
    """Numbers, operators, and what holds several values."""

    def _constant(self, node: ast.Constant, variables: Mapping[str, int], depth: int) -> sympy.Expr:
        value = node.value
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            self._refuse(node, f"{type(value).__name__} constants are not allowed; {ALLOWED}")
        if not abs(value) <= MAX_NUMBER:
            self._refuse(node, f"the number is too large; at most {MAX_NUMBER:g}")
        return sympy.Integer(value) if isinstance(value, int) else sympy.Float(value)

    def _unary(self, node: ast.UnaryOp, variables: Mapping[str, int], depth: int) -> Value:
        operand = self._value(node.operand, variables, depth)
        if isinstance(node.op, ast.Not) and is_comparison(operand):
            return sympy.Not(operand)
        if isinstance(node.op, (ast.USub, ast.UAdd)) and isinstance(operand, (sympy.Expr, Tensor)):
            return -operand if isinstance(node.op, ast.USub) else operand
        self._refuse(node, f"this operator is not allowed here; {ALLOWED}")

    def _binary(self, node: ast.BinOp, variables: Mapping[str, int], depth: int) -> Value:
        """Walk down the left operands in a loop: a long sum is no deep nesting."""
        chain = [node]
        while isinstance(chain[-1].left, ast.BinOp):
            chain.append(chain[-1].left)
        value = self._value(chain[-1].left, variables, depth)
        for link in reversed(chain):
            if not self.budget.take(1):
                self._refuse(link, f"the expressions of the file are too large: more than {MAX_STEPS} steps")
            value = self._combine(link, value, self._value(link.right, variables, depth))
        return value

    def _combine(self, node: ast.BinOp, left: Any, right: Any) -> Value:
        joined = isinstance(node.op, (ast.Add, ast.Sub)) and (isinstance(left, Tensor) or isinstance(right, Tensor))
        plain = (sympy.Expr, Tensor, tuple) if joined else (sympy.Expr, Tensor)
        if not all(isinstance(side, plain) and not is_comparison(side) for side in (left, right)):
            self._refuse(
                node,
                "lists and comparisons take no arithmetic, but for a list added to a vector; comparisons go into "
                "indicator or piecewise",
            )
        result: Value
        try:
            if isinstance(node.op, ast.Add):
                result = left + right
            elif isinstance(node.op, ast.Sub):
                result = left - right
            elif isinstance(node.op, ast.Mult):
                result = left * right
            elif isinstance(node.op, ast.Div):
                result = self._divide(node, left, right)
            elif isinstance(node.op, ast.Pow):
                result = self._power(node, left, right)
            else:
                self._refuse(node, f"{name_of(node.op)} not allowed in an expression; {ALLOWED}")
        except TypeError as error:
            self._refuse(node, str(error))
        return self._checked(node, result) if isinstance(result, sympy.Expr) else result

    def _divide(self, node: ast.BinOp, left: Value, right: Value) -> Value:
        if isinstance(right, sympy.Expr) and right.is_zero:
            self._refuse(node, "division by zero")
        return left / right  # type: ignore[operator]

    def _power(self, node: ast.BinOp, base: Value, exponent: Value) -> Value:
        if isinstance(base, Tensor) or isinstance(exponent, Tensor):
            self._refuse(node, "a vector has no power; use dot")
        assert isinstance(base, sympy.Expr)
        assert isinstance(exponent, sympy.Expr)
        if exponent.is_number:
            size = abs(float(self._checked(node, exponent)))
            if size > MAX_EXPONENT:
                self._refuse(node, f"the exponent is too large; at most {MAX_EXPONENT}")
            if base.is_zero and not exponent.is_positive:
                self._refuse(node, "division by zero")
            if base.is_number and size * abs(math.log10(abs(float(base)) or 1.0)) > math.log10(MAX_NUMBER):
                self._refuse(node, f"the power is too large or too small; at most {MAX_NUMBER:g}")
        return base**exponent

    def _compare(self, node: ast.Compare, variables: Mapping[str, int], depth: int) -> Value:
        sides = [self._scalar(side, variables, depth) for side in (node.left, *node.comparators)]
        relations = []
        for operator, left, right in zip(node.ops, sides[:-1], sides[1:], strict=True):
            if type(operator) not in COMPARISONS:
                self._refuse(node, f"{name_of(operator)} not allowed; indicators compare with <, <=, >, >=")
            relations.append(COMPARISONS[type(operator)](left, right))
        return sympy.And(*relations)

    def _boolean(self, node: ast.BoolOp, variables: Mapping[str, int], depth: int) -> Value:
        parts = [self._value(part, variables, depth) for part in node.values]
        if not all(map(is_comparison, parts)):
            self._refuse(node, "'and' and 'or' join comparisons inside indicator(...)")
        return sympy.And(*parts) if isinstance(node.op, ast.And) else sympy.Or(*parts)

    def _list(self, node: ast.Tuple | ast.List, variables: Mapping[str, int], depth: int) -> Value:
        items = [self._value(item, variables, depth) for item in node.elts]
        for item, value in zip(node.elts, items, strict=True):
            if not isinstance(value, (sympy.Expr, tuple)):
                self._refuse(item, f"a list holds scalars, or lists as rows of a matrix; got {kind_of(value)}")
        return tuple(items)
