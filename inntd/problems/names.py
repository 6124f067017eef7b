"""Names in expressions: constants, axes and their faces, members of families, entries of vectors."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Mapping

import sympy

from inntd.problems.tensor import Tensor
from inntd.problems.walker import Walker
from inntd.problems.whitelist import ALLOWED, CONSTANTS, MAX_STEPS, RESERVED, Value, listed


class NameRules(Walker):
    """What stands for a value by its name."""

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
