"""Expressions in problem files: a whitelist over Python's syntax tree into SymPy; nothing is evaluated.

Every step is counted, including the size of the named expressions that are inserted, so the tree of the result is
bounded by a budget that one file shares; numbers stay within what a float holds.
"""

from __future__ import annotations

import ast
import warnings
from typing import Any, ClassVar

import sympy

from inntd.problems.arithmetic import ArithmeticRules
from inntd.problems.calls import CallRules
from inntd.problems.names import NameRules
from inntd.problems.tensor import Tensor
from inntd.problems.whitelist import MAX_DEPTH, MAX_LENGTH, Value, kind_of


class Parser(NameRules, ArithmeticRules, CallRules):
    """Reads one expression.

    Parameters
    ----------
    place
        Where the expression stands, for messages: `"problem.toml: [problem] strong"`.
    lookup
        Returns the value of a name and its size in steps, or raises KeyError.
    known
        The names that `lookup` knows, for suggestions.
    budget
        What is left for the whole file.
    """

    rules: ClassVar = {
        ast.Constant: ArithmeticRules._constant,
        ast.Name: NameRules._name,
        ast.Subscript: NameRules._subscript,
        ast.Attribute: NameRules._face,
        ast.UnaryOp: ArithmeticRules._unary,
        ast.BinOp: ArithmeticRules._binary,
        ast.Compare: ArithmeticRules._compare,
        ast.BoolOp: ArithmeticRules._boolean,
        ast.Tuple: ArithmeticRules._list,
        ast.List: ArithmeticRules._list,
        ast.Call: CallRules._call,
    }

    def parse(self, text: str) -> sympy.Expr:
        """Return a scalar expression; see :meth:`parse_any`."""
        tree, value = self._evaluated(text)
        if not isinstance(value, sympy.Expr):
            self._refuse(tree, f"a number or a scalar expression is expected, got {kind_of(value)}")
        return value

    def part(self, value: Any) -> Any:
        """Return a number of the file, or a parsed text."""
        return self.parse_any(value) if isinstance(value, str) else sympy.sympify(value)

    def parse_any(self, text: str) -> sympy.Expr | Tensor | tuple[Any, ...]:
        """Return a scalar, a vector or matrix, or a list as a tuple.

        Raises
        ------
        ValueError
            Anything else than the whitelisted syntax, with the column; an expression that is too large.
        """
        tree, value = self._evaluated(text)
        if not isinstance(value, (sympy.Expr, Tensor, tuple)):
            self._refuse(tree, f"a number or a scalar expression is expected, got {kind_of(value)}")
        return value

    def _evaluated(self, text: str) -> tuple[ast.expr, Value]:
        if len(text) > MAX_LENGTH:
            raise ValueError(f"{self.place}: an expression may have {MAX_LENGTH} characters, got {len(text)}")
        self._text = " ".join(text.split())  # columns then count in the text on one line
        tree = self._syntax_tree()
        return tree, self._value(tree, {}, 0)

    def _syntax_tree(self) -> ast.expr:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return ast.parse(self._text, mode="eval").body
        except SyntaxError as error:
            column = f", column {error.offset}" if error.offset else ""
            raise ValueError(f"{self.place}{column}: {error.msg}, in {self._shown()}") from None
        except (RecursionError, MemoryError):
            raise ValueError(f"{self.place}: the expression is nested too deeply; at most {MAX_DEPTH} levels") from None
        except ValueError as error:
            raise ValueError(f"{self.place}: {error}, in {self._shown()}") from None

    def _shown(self) -> str:
        return repr(self._text if len(self._text) <= 80 else self._text[:77] + "...")
