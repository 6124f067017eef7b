"""Differential operators and tensors as nodes of SymPy expressions.

They stay unevaluated until a problem knows the axes. Vectors and matrices are SymPy expressions like scalars, so that
sums and multiples are SymPy's own; which of them is a scalar, a vector or a matrix is found by :func:`rank_of` where
the expression tells, and by :mod:`inntd.problems.calculus` otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import sympy

from inntd.axes import Face
from inntd.problems.fields import FieldSymbol, Unknown

if TYPE_CHECKING:
    from inntd.problems import conditions


class Operator(sympy.Expr):  # type: ignore[misc]
    """What a differential operator or a tensor operation makes; its derivative commutes with it."""

    label = ""

    def __new__(cls, *arguments: sympy.Basic) -> Operator:
        return super().__new__(cls, *arguments)  # type: ignore[no-any-return]

    def _sympystr(self, printer: Any) -> str:
        return f"{self.label}({', '.join(printer._print(argument) for argument in self.args)})"

    _sympyrepr = _sympystr

    def _eval_derivative(self, symbol: sympy.Symbol) -> sympy.Expr:
        return Partial(self, symbol)


class Partial(Operator):
    """A derivative of something that cannot be differentiated before the axes are known."""

    label = "diff"


class TimeDerivative(Operator):
    """The derivative in the axis of kind time."""

    label = "dt"

    def at(self, point: Mapping[str, float] | None = None, /, **fixed: float) -> conditions.Trace:
        """Return its trace at one end of the time axis: `dt(u).at(t=0) == 0`, a condition for `inntd.pinn.solve`."""
        (inside,) = self.args
        if not isinstance(inside, FieldSymbol) or not isinstance(inside.field, Unknown) or inside.index:
            raise TypeError(f"conditions are about unknowns, their components and first derivatives, got ({self}).at()")
        time = next(axis for axis in inside.field.axes if axis.kind == "time")
        slope: FieldSymbol = inside.diff(time._sympy_())
        return slope.at(point, **fixed)


class Laplacian(Operator):
    """The sum of the second derivatives in the space axes."""

    label = "laplacian"


class Gradient(Operator):
    """The derivatives in the space axes: of a scalar a vector, of a vector the matrix of ∂u_i/∂x_j."""

    label = "grad"


class Divergence(Operator):
    """The divergence of a vector, or of the rows of a matrix."""

    label = "div"


class Components(Operator):
    """A vector given by its components, or a matrix given by its rows."""

    def _sympystr(self, printer: Any) -> str:
        return f"({', '.join(printer._print(component) for component in self.args)})"

    _sympyrepr = _sympystr


class Entry(Operator):
    """One component of a vector, or one row of a matrix."""

    def _sympystr(self, printer: Any) -> str:
        whole = printer._print(self.args[0])
        return f"{whole if isinstance(self.args[0], Operator) else f'({whole})'}[{self.args[1]}]"

    _sympyrepr = _sympystr


class Dot(Operator):
    """The product of two vectors, of a matrix and a vector, or of two matrices."""

    label = "dot"


class Inner(Operator):
    """The sum of the products of all entries."""

    label = "inner"


class Trace(Operator):
    """The sum of the diagonal of a matrix."""

    label = "tr"


class Symmetric(Operator):
    """The symmetric part of a matrix."""

    label = "sym"


class Transpose(Operator):
    """The transposed matrix."""

    label = "transpose"


class Identity(Operator):
    """The unit matrix over the space axes."""

    label = "identity"


class FaceSymbol(sympy.AtomicExpr):  # type: ignore[misc]
    """A face of the box, or with None the whole boundary, as an argument of :class:`OnFace`."""

    __slots__ = ("face",)
    face: Face | None

    def __new__(cls, face: Face | None) -> FaceSymbol:
        self: FaceSymbol = super().__new__(cls)
        self.face = face
        return self

    def __getnewargs__(self) -> tuple[Any, ...]:
        return (self.face,)

    def _hashable_content(self) -> tuple[Any, ...]:
        return ("", "", 0) if self.face is None else (self.face.axis.name, self.face.side, id(self.face.axis))

    def _sympystr(self, printer: Any) -> str:
        return "'boundary'" if self.face is None else f"{self.face.axis.name}.{self.face.side}"

    _sympyrepr = _sympystr


class OnFace(Operator):
    """An integral over faces: the faces, and last the integrand."""

    label = "on"


def rank_of(expression: sympy.Basic) -> int | None:
    """Return 0 for a scalar, 1 for a vector, 2 for a matrix; None where only the unknown beside it tells.

    A test function takes its shape from its unknown, so nothing about it is known before a problem is made.
    """
    if isinstance(expression, FieldSymbol):
        return _rank_of_field(expression)
    if isinstance(expression, Operator):
        return _rank_of_node(expression)
    if expression.is_Add or expression.is_Mul:
        ranks = [rank_of(argument) for argument in expression.args]
        known = max((rank for rank in ranks if rank is not None), default=0)
        return None if known == 0 and None in ranks else known
    return 0


def _rank_of_field(symbol: FieldSymbol) -> int | None:
    if symbol.component is not None:
        return 0
    if isinstance(symbol.field, Unknown):
        return 0 if symbol.field.components is None else 1
    return None


def _rank_of_node(node: Operator) -> int | None:
    if isinstance(node, (Symmetric, Transpose, Identity)):
        return 2
    if isinstance(node, (Partial, TimeDerivative, Laplacian)):
        return rank_of(node.args[0])
    if isinstance(node, Components):
        return 1 + max((rank_of(argument) or 0 for argument in node.args), default=0)
    change = {Gradient: 1, Divergence: -1, Entry: -1}.get(type(node))
    if change is not None:
        rank = rank_of(node.args[0])
        return None if rank is None else rank + change
    if isinstance(node, Dot):
        left, right = (rank_of(argument) for argument in node.args)
        return None if left is None or right is None else left + right - 2
    return 0


def is_tensor(expression: sympy.Basic) -> bool:
    """Tell whether an expression is certainly no scalar."""
    if expression.is_Add or expression.is_Mul:
        return any(map(is_tensor, expression.args))
    return isinstance(expression, Gradient) or (rank_of(expression) or 0) > 0


def parts_of(tensor: sympy.Expr) -> Iterator[tuple[sympy.Expr, sympy.Expr]]:
    """Yield the coefficients and the bases of a sum of multiples of vectors or matrices, multiplied out."""
    for term in sympy.Add.make_args(tensor):
        factors = sympy.Mul.make_args(term)
        bases = [factor for factor in factors if is_tensor(factor)]
        if not bases:  # a vector that does not show it: a test function
            bases = [factor for factor in factors if rank_of(factor) is None]
        if len(bases) != 1:
            yield sympy.S.One, term
            continue
        coefficient = sympy.Mul(*(factor for factor in factors if factor is not bases[0]))
        if bases[0].is_Add:
            yield from ((coefficient * inner, base) for inner, base in parts_of(bases[0]))
        else:
            yield coefficient, bases[0]
