"""Expressions in problem files: a whitelist over Python's syntax tree into SymPy; nothing is evaluated.

Every step is counted, including the size of the named expressions that are inserted, so the tree of the result is
bounded by a budget that one file shares; numbers stay within what a float holds.
"""

from __future__ import annotations

import ast
import difflib
import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NoReturn

import sympy
from sympy.logic.boolalg import Boolean

from inntd.problems.faces import on
from inntd.problems.indicator import indicator
from inntd.problems.operators import diff
from inntd.problems.tensor import Tensor
from inntd.problems.whitelist import (
    ALLOWED,
    COMPARISONS,
    CONSTANTS,
    FUNCTIONS,
    MAX_BITS,
    MAX_DEPTH,
    MAX_EXPONENT,
    MAX_LENGTH,
    MAX_NUMBER,
    MAX_PIECES,
    MAX_RANGE,
    MAX_STEPS,
    OPERATORS,
    RESERVED,
    SEVERAL,
    Budget,
    ParseError,
    Value,
    is_comparison,
    kind_of,
    listed,
    name_of,
)

_NO_FUNCTIONS = frozenset({"exact", "range", "boundary"})


class Parser:
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

    def __init__(
        self, place: str, lookup: Callable[[str], tuple[Value, int]], known: Iterable[str], budget: Budget
    ) -> None:
        self.place, self.lookup, self.known, self.budget = place, lookup, tuple(known), budget
        self._text = ""

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

    def _refuse(self, node: ast.AST, message: str) -> NoReturn:
        offset = getattr(node, "col_offset", 0)
        column = len(self._text.encode()[:offset].decode(errors="ignore")) + 1
        raise ParseError(f"{self.place}, column {column}: {message}")

    def _value(self, node: ast.expr, variables: Mapping[str, int], depth: int) -> Value:
        if not self.budget.take(1):
            self._refuse(node, f"the expressions of the file are too large: more than {MAX_STEPS} steps")
        if depth > MAX_DEPTH:
            self._refuse(node, f"the expression is nested too deeply; at most {MAX_DEPTH} levels")
        rule = _RULES.get(type(node))
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

    def _constant(self, node: ast.Constant, variables: Mapping[str, int], depth: int) -> sympy.Expr:
        value = node.value
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            self._refuse(node, f"{type(value).__name__} constants are not allowed; {ALLOWED}")
        if not abs(value) <= MAX_NUMBER:
            self._refuse(node, f"the number is too large; at most {MAX_NUMBER:g}")
        return sympy.Integer(value) if isinstance(value, int) else sympy.Float(value)

    def _name(self, node: ast.Name, variables: Mapping[str, int], depth: int) -> Value:
        if node.id in variables:
            return sympy.Integer(variables[node.id])
        return self._look_up(node, node.id)

    def _look_up(self, node: ast.expr, name: str) -> Value:
        if name in CONSTANTS:
            return CONSTANTS[name]
        if name == "exact" and name not in self.known:
            self._refuse(node, "exact is used here, but the file gives no exact = ...")
        if name == "boundary":
            return name
        if name in RESERVED and name not in self.known:
            self._refuse(node, f"{name} is a function, written {name}(...)")
        try:
            value, size = self.lookup(name)
        except KeyError:
            self._refuse(node, f"unknown name {name}{self._hint(name)} (known: {listed(self.known)})")
        if not self.budget.take(size):
            self._refuse(node, f"the expressions of the file are too large: more than {MAX_STEPS} steps")
        return value

    def _hint(self, name: str) -> str:
        family = [known for known in self.known if known.partition("[")[0] == name]
        if family:
            return f"; a member of the family is written {family[0]}"
        close = difflib.get_close_matches(name, self.known, 1)
        return f"; did you mean {close[0]}?" if close else ""

    def _subscript(self, node: ast.Subscript, variables: Mapping[str, int], depth: int) -> Value:
        indices = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        numbers = [self._integer(index, variables, depth) for index in indices]
        if isinstance(node.value, ast.Name):
            name = f"{node.value.id}[{numbers[0]}]"
            family = any(known.startswith(f"{node.value.id}[") for known in self.known)
            if family or node.value.id not in self.known:  # else a vector or a list named in the file
                return self._indexed(node, self._look_up(node, name), numbers[1:])
        return self._indexed(node, self._value(node.value, variables, depth), numbers)

    def _indexed(self, node: ast.Subscript, value: Value, numbers: list[int]) -> Value:
        for number in numbers:
            if (isinstance(value, tuple) and 0 <= number < len(value)) or (isinstance(value, Tensor) and number >= 0):
                value = value[number]
            elif isinstance(value, (tuple, Tensor)):
                self._refuse(node, f"the index must be 0 or more and inside of the list, got {number}")
            else:
                self._refuse(node, "only families of axes, vectors and matrices take an index, such as x[3], u[0]")
        return value

    def _face(self, node: ast.Attribute, variables: Mapping[str, int], depth: int) -> Value:
        """Return the face x.end; nothing else has a dot."""
        if node.attr in ("start", "end") and isinstance(node.value, (ast.Name, ast.Subscript)):
            name = ast.unparse(node.value)
            if isinstance(node.value, ast.Subscript) and isinstance(node.value.value, ast.Name):
                name = f"{node.value.value.id}[{self._integer(node.value.slice, variables, depth)}]"
            try:
                return self.lookup(f"{name}.{node.attr}")[0]
            except KeyError:
                self._refuse(node, f"{name} is no axis, so it has no face {node.attr}{self._hint(name)}")
        self._refuse(node, f"attribute access is not allowed in an expression; {ALLOWED}")

    def _integer(self, node: ast.expr, variables: Mapping[str, int], depth: int) -> int:
        value = self._scalar(node, variables, depth)
        if not isinstance(value, sympy.Integer):
            self._refuse(node, f"an integer is expected, got {value}")
        return int(value)

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

    def _call(self, node: ast.Call, variables: Mapping[str, int], depth: int) -> Value:
        name = node.func.id if isinstance(node.func, ast.Name) else None
        if name is None or name not in RESERVED or name in CONSTANTS or name in _NO_FUNCTIONS:
            close = difflib.get_close_matches(name or "", sorted(RESERVED - _NO_FUNCTIONS), 1)
            hint = f" (did you mean {close[0]}?)" if close else ""
            self._refuse(node, f"{name or 'this'} cannot be called{hint}; {ALLOWED}")
        if node.keywords:
            self._refuse(node, f"{name} takes no named arguments")
        if name in ("sum", "prod"):
            return self._accumulate(node, name, variables, depth)
        if name == "piecewise":
            return self._checked(node, self._piecewise(node, variables, depth))
        arguments = [self._value(argument, variables, depth) for argument in node.args]
        try:
            result = self._apply(node, name, arguments)
        except ParseError:
            raise
        except (TypeError, ValueError) as error:
            self._refuse(node, f"{name}: {error}")
        return self._checked(node, result) if isinstance(result, sympy.Expr) else result

    def _apply(self, node: ast.Call, name: str, arguments: list[Value]) -> Value:
        if name == "indicator":
            self._count(node, name, arguments, 1, 1)
            return indicator(arguments[0])
        if name == "on":
            return self._on(node, arguments)
        if name in OPERATORS:
            least, most = {"dot": (2, 2), "inner": (2, 2), "diff": (2, 3), "identity": (0, 0)}.get(name, (1, 1))
            self._count(node, name, arguments, least, most)
            if name == "diff" and len(arguments) == 3:
                order = arguments[2]
                if not isinstance(order, sympy.Integer) or not 1 <= order <= 4:
                    self._refuse(node, f"the order of a derivative must be an integer from 1 to 4, got {order}")
                return diff(arguments[0], arguments[1], int(order))
            result: Value = OPERATORS[name](*arguments)
            return result
        if not all(isinstance(argument, sympy.Expr) for argument in arguments):
            self._refuse(node, f"{name} takes scalars")
        if name in SEVERAL:
            self._count(node, name, arguments, 2, 16)
            return SEVERAL[name](*arguments)
        self._count(node, name, arguments, 1, 1)
        return FUNCTIONS[name](arguments[0])

    def _piecewise(self, node: ast.Call, variables: Mapping[str, int], depth: int) -> sympy.Expr:
        """Return SymPy's `Piecewise` of pairs (value, comparison), the last one often (value, True)."""
        if not 1 <= len(node.args) <= MAX_PIECES:
            self._refuse(node, f"piecewise takes 1 to {MAX_PIECES} pairs (value, comparison), got {len(node.args)}")
        pieces: list[tuple[sympy.Expr, Boolean]] = []
        for pair in node.args:
            if not isinstance(pair, (ast.Tuple, ast.List)) or len(pair.elts) != 2:
                self._refuse(pair, "piecewise takes pairs (value, comparison), such as (1, x < 0.5), (2, True)")
            value = self._scalar(pair.elts[0], variables, depth)
            condition = self._condition(pair.elts[1], variables, depth)
            if pieces and pieces[-1][0] == value:  # SymPy would multiply out the conditions of equal neighbours
                pieces[-1] = value, sympy.Or(pieces[-1][1], condition)
            else:
                pieces.append((value, condition))
        if all(condition == sympy.false for _, condition in pieces):
            self._refuse(node, "none of the conditions of piecewise ever holds")
        return sympy.Piecewise(*pieces)

    def _condition(self, node: ast.expr, variables: Mapping[str, int], depth: int) -> Boolean:
        if isinstance(node, ast.Constant) and node.value is True:
            return sympy.true
        condition = self._value(node, variables, depth)
        if not is_comparison(condition):
            self._refuse(node, "the second part of a pair in piecewise is a comparison, or True in the last pair")
        return condition

    def _on(self, node: ast.Call, arguments: list[Value]) -> Value:
        if len(arguments) < 2:
            self._refuse(node, f"on takes faces and an integrand, on(x.end, g*v), got {len(arguments)} arguments")
        faces: list[Value] = []
        for argument in arguments[:-1]:
            if isinstance(argument, sympy.Symbol):
                faces += [self._end(node, argument.name, side) for side in ("start", "end")]
            else:
                faces.append(argument)
        return on(*faces, arguments[-1])

    def _end(self, node: ast.Call, name: str, side: str) -> Value:
        try:
            return self.lookup(f"{name}.{side}")[0]
        except KeyError:
            self._refuse(node, f"on: {name} is no axis, so it has no faces")

    def _count(self, node: ast.Call, name: str, arguments: list[Value], least: int, most: int) -> None:
        if not least <= len(arguments) <= most:
            expected = str(least) if least == most else f"{least} to {most}"
            self._refuse(node, f"{name} takes {expected} argument{'s' * (most > 1)}, got {len(arguments)}")

    def _accumulate(self, node: ast.Call, name: str, variables: Mapping[str, int], depth: int) -> Value:
        if len(node.args) != 1 or not isinstance(node.args[0], (ast.GeneratorExp, ast.ListComp)):
            self._refuse(node, f"{name} needs one expression with 'for', such as {name}(x[i] for i in range(1, 11))")
        comprehension = node.args[0]
        items = [
            self._scalar(comprehension.elt, inside, depth)
            for inside in self._loops(comprehension.generators, dict(variables), depth)
        ]
        if name == "sum":
            return self._checked(node, sympy.Add(*items))
        coefficients = [coefficient for item in items if (coefficient := item.as_coeff_Mul()[0]).is_Rational]
        if sum(abs(c.p).bit_length() + c.q.bit_length() for c in coefficients) > MAX_BITS:
            self._refuse(node, "the product of the factors has too many digits")
        return self._checked(node, sympy.Mul(*items))

    def _loops(self, loops: list[ast.comprehension], variables: dict[str, int], depth: int) -> Iterator[dict[str, int]]:
        if not loops:
            yield variables
            return
        loop = loops[0]
        if not isinstance(loop.target, ast.Name) or loop.is_async:
            self._refuse(loop.target, "'for' needs one plain variable")
        if loop.target.id in RESERVED:
            self._refuse(loop.target, f"{loop.target.id} has a meaning of its own; use another variable")
        if loop.ifs:
            self._refuse(loop.ifs[0], "'if' is not allowed after 'for'")
        for value in self._items(loop.iter, variables, depth):
            yield from self._loops(loops[1:], {**variables, loop.target.id: value}, depth)

    def _items(self, node: ast.expr, variables: Mapping[str, int], depth: int) -> range:
        called = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "range"
        if not called or not isinstance(node, ast.Call) or node.keywords or not 1 <= len(node.args) <= 3:
            self._refuse(node, "'for' runs over range(...) with integers only")
        bounds = [self._integer(argument, variables, depth) for argument in node.args]
        if len(bounds) == 3 and bounds[2] == 0:
            self._refuse(node, "the step of a range must not be 0")
        if max(map(abs, bounds)) > 10**9:
            self._refuse(node, f"a range may have {MAX_RANGE} items")
        items = range(*bounds)
        if len(items) > MAX_RANGE:
            self._refuse(node, f"a range may have {MAX_RANGE} items, got {len(items)}")
        return items


_Rule = Callable[[Parser, Any, Mapping[str, int], int], Value]
_RULES: dict[type[ast.AST], _Rule] = {
    ast.Constant: Parser._constant,
    ast.Name: Parser._name,
    ast.Subscript: Parser._subscript,
    ast.Attribute: Parser._face,
    ast.UnaryOp: Parser._unary,
    ast.BinOp: Parser._binary,
    ast.Compare: Parser._compare,
    ast.BoolOp: Parser._boolean,
    ast.Tuple: Parser._list,
    ast.List: Parser._list,
    ast.Call: Parser._call,
}
