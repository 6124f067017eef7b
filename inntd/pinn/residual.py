"""The residual of a strong form and its partial derivatives, compiled from SymPy to NumPy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import sympy

from inntd.axes import Axis
from inntd.pinn.strong import Explicit
from inntd.problems import Problem
from inntd.problems.fields import FieldSymbol, fields_in
from inntd.problems.given import sources_in
from inntd.problems.text import shorten

Array = npt.NDArray[np.float64]

#: Second derivatives of the basis are square-integrable, third ones are not.
HIGHEST_ORDER = 2


@dataclass(frozen=True, order=True)
class Derivative:
    """A derivative of one component: how often it is differentiated along each axis.

    Parameters
    ----------
    component
        Counted over all unknowns.
    orders
        One number per axis, the component axis left out.
    """

    component: int
    orders: tuple[int, ...]


class Residual:
    """What is to vanish at every point: functions of the coordinates and of derivatives of the unknowns.

    Parameters
    ----------
    problem
        Stated in strong form.
    equations
        Other expressions in the unknowns' derivatives than its own.

    Attributes
    ----------
    axes
        The unknowns' axes as they were declared, the component axis left out: where coefficients have kinks a problem
        may break its own axes, and second derivatives across a break would be infinite.
    derivatives
        The derivatives that the equations hold, of order two at most.
    names
        Of the components.
    arguments, expressions
        The equations in SymPy: symbols of the axes, then one per derivative.

    Raises
    ------
    ValueError
        The problem is in weak form; a derivative of third or higher order, or along a discrete axis.

    Examples
    --------
    >>> import inntd as it, numpy as np
    >>> t = it.Axis("t", 0, 1, elements=8, kind="time")
    >>> u = it.unknown("u", t)
    >>> residual = Residual(it.Problem(strong=it.dt(u) + u**2, conditions=[u.at(t=0) == 1]))
    >>> residual.derivatives
    (Derivative(component=0, orders=(0,)), Derivative(component=0, orders=(1,)))
    >>> residual.values([np.zeros(1)], [np.array([3.0]), np.array([-9.0])])  # at t = 0 with u = 3, u' = -9
    array([[0.]])
    >>> residual.partial_derivatives([np.zeros(1)], [np.array([3.0]), np.array([-9.0])])  # 2 u, 1
    array([[[6.],
            [1.]]])
    """

    def __init__(self, problem: Problem, equations: Sequence[sympy.Expr] | None = None) -> None:
        if not problem.is_strong:
            raise ValueError("problem must be stated in strong form, Problem(strong=...), got a weak form")
        self.names = problem.setting.names()
        self.axes: tuple[Axis, ...] = tuple(axis for axis in problem.setting.axes if axis.kind != "component")
        self.equations = _equations(problem) if equations is None else list(equations)
        self._first = {unknown: slot.first for unknown, slot in problem.setting.slots.items()}
        symbols = {symbol for equation in self.equations for symbol in fields_in(equation)}
        by_derivative: dict[Derivative, list[FieldSymbol]] = {}
        for symbol in symbols:
            by_derivative.setdefault(self._derivative(symbol), []).append(symbol)
        self.derivatives = tuple(sorted(by_derivative))
        for d, axis in enumerate(self.axes):
            if self.order(d) and axis.discrete:
                raise ValueError(f"strong: the axis {axis.name} is discrete, so nothing can be differentiated in it")
        dummies = [sympy.Dummy(f"q{k}", real=True) for k in range(len(self.derivatives))]
        places = zip(self.derivatives, dummies, strict=True)
        renamed = {symbol: dummy for derivative, dummy in places for symbol in by_derivative[derivative]}
        self.arguments = [axis._sympy_() for axis in self.axes] + dummies
        self.expressions = [equation.xreplace(renamed) for equation in self.equations]
        self._dummies = dummies
        self.linear = not any(d.has(*dummies) for d in self._slopes)

    def _derivative(self, symbol: FieldSymbol) -> Derivative:
        orders = {name.name: order for name, order in symbol.index}
        total = sum(orders.values())
        if total > HIGHEST_ORDER:
            raise ValueError(
                f"strong: the derivative {symbol} is of order {total}, and the basis carries order {HIGHEST_ORDER}: "
                "make an unknown of a lower derivative (a mixed system), or use the weak form"
            )
        component = self._first[symbol.field] + (symbol.component or 0)
        return Derivative(component, tuple(orders.get(axis.name, 0) for axis in self.axes))

    def check_continuity(self) -> None:
        """Refuse axes whose functions have kinks where something is differentiated twice."""
        for d, axis in enumerate(self.axes):
            if self.order(d) > 1 and (axis.breaks or getattr(axis.basis, "name", "") == "linear"):
                what = "has breaks" if axis.breaks else "has linear functions"
                raise ValueError(
                    f"strong: the axis {axis.name} {what}, where second derivatives are infinite; leave them out, use "
                    "optimizer='galerkin', or a mixed system of first order"
                )

    def order(self, d: int, component: int | None = None) -> int:
        """Return the highest order along axis d, of one component or of all."""
        own = [q.orders[d] for q in self.derivatives if component in (None, q.component)]
        return max(own, default=0)

    @cached_property
    def differentiated(self) -> tuple[int, ...]:
        """The positions of the axes along which something is differentiated; parameters are the others."""
        return tuple(d for d in range(len(self.axes)) if self.order(d))

    def values(self, coordinates: Sequence[Array], derivatives: Sequence[Array]) -> Array:
        """Return the residuals (E, ...) of E equations.

        Parameters
        ----------
        coordinates
            One array per axis; they fit together, and with those of the derivatives.
        derivatives
            One array per entry of `derivatives`.
        """
        return self._stacked(self._compiled_values(*coordinates, *derivatives), coordinates, derivatives)

    def partial_derivatives(self, coordinates: Sequence[Array], derivatives: Sequence[Array]) -> Array:
        """Return the residuals' derivatives (E, Q, ...) with respect to the Q entries of `derivatives`."""
        flat = self._stacked(self._compiled_slopes(*coordinates, *derivatives), coordinates, derivatives)
        return flat.reshape(len(self.equations), len(self.derivatives), *flat.shape[1:])

    @staticmethod
    def _stacked(parts: Sequence[object], coordinates: Sequence[Array], derivatives: Sequence[Array]) -> Array:
        shape = np.broadcast_shapes(*(a.shape for a in (*coordinates, *derivatives)))
        return np.stack([np.broadcast_to(np.asarray(part, dtype=np.float64), shape) for part in parts])

    @cached_property
    def _slopes(self) -> list[sympy.Expr]:
        return [equation.diff(dummy) for equation in self.expressions for dummy in self._dummies]

    @cached_property
    def _compiled_values(self) -> Callable[..., Any]:
        return _compiled(self.arguments, self.expressions)

    @cached_property
    def _compiled_slopes(self) -> Callable[..., Any]:
        return _compiled(self.arguments, self._slopes)


def _equations(problem: Problem) -> list[sympy.Expr]:
    explicit = Explicit(problem.setting.axes)
    found: list[sympy.Expr] = []
    for equation in problem.equations:
        value = explicit(equation)
        found += value if isinstance(value, list) else [value]
    if any(isinstance(equation, list) for equation in found):
        raise ValueError(f"strong must be scalars or vectors, got a matrix: {shorten(problem.equations)}")
    return found


def _compiled(arguments: Sequence[sympy.Symbol], expressions: Sequence[sympy.Expr]) -> Callable[..., Any]:
    exact = []
    for expression in expressions:
        floats = expression.atoms(sympy.Float)
        exact.append(expression.xreplace({number: sympy.Float(number, 20) for number in floats}))
    sources = {name: source for expression in expressions for name, source in sources_in(expression).items()}
    modules = [sources, "scipy"] if sources else "scipy"
    return sympy.lambdify(arguments, exact, modules, cse=True)  # type: ignore[no-any-return]
