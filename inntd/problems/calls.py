"""Functions in expressions: operators, indicators, pieces, faces, and sums and products over ranges."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterator, Mapping

import sympy
from sympy.logic.boolalg import Boolean

from inntd.problems.faces import on
from inntd.problems.indicator import indicator
from inntd.problems.operators import diff
from inntd.problems.walker import Walker
from inntd.problems.whitelist import (
    ALLOWED,
    CONSTANTS,
    FUNCTIONS,
    MAX_BITS,
    MAX_PIECES,
    MAX_RANGE,
    OPERATORS,
    RESERVED,
    SEVERAL,
    ParseError,
    Value,
    is_comparison,
)

_NO_FUNCTIONS = frozenset({"exact", "range", "boundary"})


class CallRules(Walker):
    """What is written name(...)."""

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
