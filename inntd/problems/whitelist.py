"""What expressions in problem files may hold: functions, names, sizes."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any, TypeAlias

import sympy
from sympy.logic.boolalg import Boolean

from inntd.axes import Face
from inntd.problems.contractions import dot, identity, inner, sym, tr, transpose
from inntd.problems.operators import diff, div, dt, grad, laplacian
from inntd.problems.tensor import Tensor

MAX_LENGTH = 20_000  # characters of one expression
MAX_DEPTH = 60  # nested parentheses, calls and signs
MAX_STEPS = 100_000  # syntax nodes visited in one file
MAX_RANGE = 10_000  # items of one range
MAX_EXPONENT = 1000
MAX_PIECES = 64  # of one piecewise expression
MAX_NUMBER = 1e100
MAX_BITS = 20_000  # of the numerator and the denominator of a factor: 100! has 525

#: A scalar, a vector or matrix, a list (of lists), a comparison, a face, the word boundary.
Value: TypeAlias = "sympy.Expr | Tensor | tuple[Any, ...] | Boolean | Face | str"

FUNCTIONS: dict[str, Callable[..., sympy.Expr]] = {
    "abs": sympy.Abs,
    "acos": sympy.acos,
    "asin": sympy.asin,
    "atan": sympy.atan,
    "cos": sympy.cos,
    "cosh": sympy.cosh,
    "erf": sympy.erf,
    "exp": sympy.exp,
    "log": sympy.log,
    "sign": sympy.sign,
    "sin": sympy.sin,
    "sinh": sympy.sinh,
    "sqrt": sympy.sqrt,
    "tan": sympy.tan,
    "tanh": sympy.tanh,
}
SEVERAL: dict[str, Callable[..., sympy.Expr]] = {"max": sympy.Max, "min": sympy.Min}
OPERATORS: dict[str, Callable[..., Any]] = {
    "diff": diff,
    "div": div,
    "dot": dot,
    "dt": dt,
    "grad": grad,
    "identity": identity,
    "inner": inner,
    "laplacian": laplacian,
    "sym": sym,
    "tr": tr,
    "transpose": transpose,
}
CONSTANTS: dict[str, sympy.Expr] = {"pi": sympy.pi, "E": sympy.E}
#: Names with a meaning of their own in every problem file.
RESERVED = frozenset(
    {
        *FUNCTIONS,
        *SEVERAL,
        *OPERATORS,
        *CONSTANTS,
        "indicator",
        "piecewise",
        "on",
        "boundary",
        "sum",
        "prod",
        "range",
        "exact",
    }
)

COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Lt: sympy.Lt,
    ast.LtE: sympy.Le,
    ast.Gt: sympy.Gt,
    ast.GtE: sympy.Ge,
}
ALLOWED = (
    "allowed are numbers, + - * / **, names and axes of the file, x[i], pi, E, comparisons inside indicator(...), "
    "piecewise((value, comparison), ..., (value, True)), on(x.end, ...), sum(... for i in range(...)), prod(...), and "
    f"{', '.join(sorted({*FUNCTIONS, *SEVERAL, *OPERATORS}))}"
)


class ParseError(ValueError):
    """An expression that is refused, with its place."""


class Budget:
    """How many syntax nodes one file may still take."""

    def __init__(self, steps: int = MAX_STEPS) -> None:
        self.left = steps

    def take(self, steps: int) -> bool:
        """Take some steps; tell whether they were left."""
        self.left -= steps
        return self.left >= 0


_NAMES: dict[type[ast.AST], str] = {
    ast.Attribute: "attribute access",
    ast.Slice: "a range of indices",
    ast.Lambda: "lambda",
    ast.JoinedStr: "a string",
    ast.IfExp: "'if' ... 'else' (use piecewise)",
    ast.GeneratorExp: "'for' outside of sum and prod",
    ast.ListComp: "'for' outside of sum and prod",
    ast.NamedExpr: "assignment",
    ast.BitXor: "^ (powers are written **)",
    ast.Mod: "%",
    ast.FloorDiv: "//",
    ast.MatMult: "@ (use dot)",
    ast.Eq: "==",
    ast.NotEq: "!=",
}


def kind_of(value: object) -> str:
    """Return what a value that is no scalar is called."""
    if isinstance(value, Tensor):
        return f"a {value.kind}"
    if isinstance(value, tuple):
        return "a list"
    return "a face" if isinstance(value, (Face, str)) else "a comparison"


def is_comparison(value: object) -> bool:
    """Tell whether a value is a relation or joined relations."""
    return isinstance(value, Boolean) and not isinstance(value, sympy.Expr)  # a symbol is both


def name_of(node: ast.AST) -> str:
    """Return the beginning of a refusal: what a node of the syntax tree is called."""
    return f"{_NAMES.get(type(node), type(node).__name__)} is"


def listed(names: tuple[str, ...], most: int = 12) -> str:
    """Return names with commas, shortened."""
    return ", ".join(names if len(names) <= most else [*names[: most - 1], "…", names[-1]])
