"""Unknowns and test functions: what a weak form is linear in, as atoms of SymPy expressions."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import sympy

from inntd.axes import Axis, Face
from inntd.axes.symbolic import Symbolic

if TYPE_CHECKING:
    from inntd.problems.conditions import FluxTrace, Trace

# Two unknowns may share a name; SymPy compares atoms by value, so each gets a number of its own.
_serial = itertools.count()


class FieldSymbol(sympy.AtomicExpr):  # type: ignore[misc]
    """A derivative of an unknown or a test function: the field and how often it is differentiated in which symbol."""

    __slots__ = ("anchor", "component", "field", "index")
    is_real = True

    field: Unknown | TestFunction
    index: tuple[tuple[sympy.Symbol, int], ...]
    anchor: sympy.Symbol | None  # one more symbol that the field depends on, while it is differentiated
    component: int | None  # of a vector; None is the scalar, or the whole vector

    def __new__(
        cls,
        field: Unknown | TestFunction,
        index: tuple[tuple[sympy.Symbol, int], ...] = (),
        anchor: sympy.Symbol | None = None,
        component: int | None = None,
    ) -> FieldSymbol:
        self: FieldSymbol = super().__new__(cls)
        self.field, self.index, self.anchor, self.component = field, index, anchor, component
        return self

    def __getnewargs__(self) -> tuple[Any, ...]:
        return self.field, self.index, self.anchor, self.component

    def _hashable_content(self) -> tuple[Any, ...]:
        anchor = "" if self.anchor is None else self.anchor.name
        component = -1 if self.component is None else self.component
        return self.field.serial, tuple((symbol.name, order) for symbol, order in self.index), anchor, component

    def tied(self, anchor: sympy.Symbol | None) -> FieldSymbol:
        """Return the same derivative, tied to one more symbol or, with None, loose again."""
        return FieldSymbol(self.field, self.index, anchor, self.component)

    def on(self, *where: Axis | Face | str) -> Trace:
        """Return the trace of one component on whole faces: `u[0].on(x.start) == 0`; see :meth:`Unknown.on`.

        Of a first derivative on faces of its own axis, `diff(u, x).on(x.end) == 0`: for `inntd.pinn.solve`.
        """
        if self.index and isinstance(self.field, Unknown):
            return self._slope(self.field._on(where, self.component).faces)
        return self._undifferentiated("on")._on(where, self.component)

    def at(self, point: Mapping[str, float] | None = None, /, **fixed: float) -> Trace:
        """Return the trace of one component at one end of one axis: `u[0].at(t=0) == 0`; see :meth:`Unknown.at`.

        Of a first derivative in that axis, `diff(u, t).at(t=0) == 0`: for `inntd.pinn.solve`.
        """
        if self.index and isinstance(self.field, Unknown):
            return self._slope(self.field._at({**(point or {}), **fixed}, self.component).faces)
        return self._undifferentiated("at")._at({**(point or {}), **fixed}, self.component)

    def flux(self, *where: Axis | Face | str) -> FluxTrace:
        """Return the flux of one component through whole faces; see :meth:`Unknown.flux`."""
        return self._undifferentiated("flux")._flux(where, self.component)

    def _slope(self, faces: tuple[Face, ...]) -> Trace:
        from inntd.problems.conditions import slope_on

        return slope_on(self, faces)

    def _undifferentiated(self, method: str) -> Unknown:
        if not isinstance(self.field, Unknown) or self.index:
            raise TypeError(f"conditions are about unknowns and their components, got ({self}).{method}(...)")
        return self.field

    @property
    def free_symbols(self) -> set[sympy.Symbol]:
        """The symbols the field depends on: SymPy then knows that its derivatives are not zero."""
        anchor = () if self.anchor is None else (self.anchor,)
        return {*self.field.symbols, *anchor, *(symbol for symbol, _ in self.index)}

    def diff(self, *symbols: Any, **assumptions: Any) -> sympy.Expr:
        """Differentiate as SymPy asks its atoms to: `diff(x)`, `diff(x, 2)`, `diff((x, 2))`, `diff(x, y)`."""
        counts: list[tuple[sympy.Symbol, int]] = []
        for entry in map(sympy.sympify, symbols):
            if isinstance(entry, sympy.Symbol):
                counts.append((entry, 1))
            elif isinstance(entry, sympy.Integer) and counts:
                counts[-1] = (counts[-1][0], int(entry))
            elif isinstance(entry, sympy.Tuple) and len(entry) == 2 and isinstance(entry[0], sympy.Symbol):
                counts.append((entry[0], int(entry[1])))
            else:
                raise TypeError(f"{self} is differentiated in axes, got {entry}")
        result: sympy.Expr = self
        for symbol, count in counts:
            result = result._eval_derivative_n_times(symbol, count)
        return result

    def _eval_derivative(self, symbol: sympy.Symbol) -> sympy.Expr:
        if self.field.symbols and symbol not in self.field.symbols:
            return sympy.S.Zero
        orders = dict(self.index)
        orders[symbol] = orders.get(symbol, 0) + 1
        index = tuple(sorted(orders.items(), key=lambda entry: entry[0].name))
        return FieldSymbol(self.field, index, self.anchor, self.component)

    def _eval_derivative_n_times(self, symbol: sympy.Symbol, count: Any) -> sympy.Expr:
        result: sympy.Expr = self
        for _ in range(int(count)):
            if result.is_zero:
                break
            result = result._eval_derivative(symbol)
        return result

    def _sympystr(self, printer: Any) -> str:
        text = self.field.name if self.component is None else f"{self.field.name}[{self.component}]"
        for symbol, order in self.index:
            text = f"diff({text}, {symbol})" if order == 1 else f"diff({text}, {symbol}, {order})"
        return text

    _sympyrepr = _sympystr


class _Field(Symbolic):
    """What unknowns and test functions share."""

    name: str
    symbols: tuple[sympy.Symbol, ...] = ()

    def __init__(self, name: str) -> None:
        if not isinstance(name, str):
            raise TypeError(f"name must be a string, got {name!r}")
        if not name.isidentifier():
            raise ValueError(f"name must be a word of letters, digits and underscores, got {name!r}")
        self.name, self.serial = name, next(_serial)

    def diff(self, axis: Any, order: Any = 1, *more: Any) -> sympy.Expr:
        """Differentiate, as `sympy.diff` would call it: `u.diff(x)`, `u.diff(x, 2)`, `u.diff(x, y)`."""
        if more or not isinstance(order, int):
            return self._sympy_().diff(axis, order, *more)
        return self._sympy_().diff((sympy.sympify(axis), order))

    def __str__(self) -> str:
        return self.name


class Unknown(_Field):
    """The function that a problem is solved for; made by :func:`unknown`."""

    def __init__(self, name: str, *axes: Axis) -> None:
        super().__init__(name)
        if not axes:
            raise ValueError(f"unknown({name!r}) needs at least one axis, got none")
        for axis in axes:
            if not isinstance(axis, Axis):
                raise TypeError(f"axes of the unknown {name} must be inntd.Axis objects, got {axis!r}")
        names = [axis.name for axis in axes]
        repeated = sorted({n for n in names if names.count(n) > 1})
        if repeated:
            raise ValueError(f"axes of the unknown {name} must have different names, got {', '.join(repeated)} twice")
        if name in names:
            raise ValueError(f"the unknown and one of its axes are both called {name!r}; rename one of them")
        if sum(axis.kind == "time" for axis in axes) > 1:
            raise ValueError(f"the unknown {name} has several axes of kind 'time'; one is allowed")
        if sum(axis.kind == "component" for axis in axes) > 1:
            raise ValueError(f"the unknown {name} has several axes of kind 'component'; one is allowed")
        self.axes = axes
        self.component_axis = next((axis for axis in axes if axis.kind == "component"), None)
        self.symbols = tuple(axis._sympy_() for axis in axes if axis is not self.component_axis)
        self._symbol = FieldSymbol(self)

    @property
    def components(self) -> int | None:
        """How many components the unknown has, None for a scalar."""
        return None if self.component_axis is None else self.component_axis.size

    def _sympy_(self) -> sympy.Expr:
        return self._symbol

    def on(self, *where: Axis | Face | str) -> Trace:
        """Return the trace on whole faces; `u.on(...) == value` makes a Dirichlet condition.

        Parameters
        ----------
        *where
            Axes (both of their faces), faces (`x.start`, `y.end`), or `"boundary"`: all faces of the space axes that
            are not periodic.

        Raises
        ------
        ValueError
            Nothing is named, the axis is not one of the unknown's, or it is periodic or discrete.

        Examples
        --------
        >>> import inntd as it
        >>> x, y = it.Axis("x", 0, 1, elements=4), it.Axis("y", 0, 1, elements=4)
        >>> u = it.unknown("u", x, y)
        >>> print(u.on(x, y.start) == x._sympy_() * 2)
        u = 2*x on x.start, x.end, y.start
        """
        return self._on(where, None)

    def _on(self, where: tuple[Any, ...], component: int | None) -> Trace:
        from inntd.problems.conditions import Trace, faces_of

        return Trace(self, faces_of(self, where), component)

    def at(self, point: Mapping[str, float] | None = None, /, **fixed: float) -> Trace:
        """Return the trace at one end of one axis: `u.at(t=0) == 0` is an initial condition.

        Raises
        ------
        ValueError
            Several axes (a corner or an edge is part of a face), an unknown axis, or a value that is not an end of it.

        Examples
        --------
        >>> import inntd as it
        >>> x, t = it.Axis("x", 0, 1, elements=4), it.Axis("t", 0, 1, elements=4, kind="time")
        >>> u = it.unknown("u", x, t)
        >>> print(u.at(t=0) == 0)
        u = 0 on t.start
        """
        return self._at({**(point or {}), **fixed}, None)

    def _at(self, point: Mapping[str, float], component: int | None) -> Trace:
        from inntd.problems.conditions import Trace, face_at

        return Trace(self, (face_at(self, point),), component)

    def flux(self, *where: Axis | Face | str) -> FluxTrace:
        """Return the flux k ∂u/∂n out of whole faces; `u.flux(...) == value` makes a Neumann or Robin condition.

        It is what integration by parts of the strong form's second-order terms leaves on the face, with k > 0: for
        `-div(k * grad(u))` it is k ∂u/∂n, for the divergence of a stress the traction σ·n. The value may contain the
        unknown: `u.flux(x.end) == h * (20 - u)` lets heat in from surroundings at 20. Where nothing is said, the flux
        is zero. In a weak form write a term `on(x.end, value * v)` instead.

        Parameters
        ----------
        *where
            As for :meth:`on`, of axes of kind space.

        Examples
        --------
        >>> import inntd as it
        >>> x = it.Axis("x", 0, 1, elements=4)
        >>> u = it.unknown("u", x)
        >>> print(u.flux(x.end) == 5 * (20 - u))
        flux of u = 100 - 5*u on x.end
        """
        return self._flux(where, None)

    def _flux(self, where: tuple[Any, ...], component: int | None) -> FluxTrace:
        from inntd.problems.conditions import FluxTrace, faces_of

        faces = faces_of(self, where, "flux")
        for face in faces:
            if face.axis.kind != "space":
                raise ValueError(
                    f"{self.name}.flux: {face.axis.name}.{face.side} is no face of the body, since {face.axis.name} "
                    f"is an axis of kind {face.axis.kind!r}"
                )
        return FluxTrace(self, faces, component)

    def __getitem__(self, component: int) -> sympy.Expr:
        raise TypeError(
            f"the unknown {self.name} is a scalar and has no components; give it an axis Axis.discrete(name, size)"
        )

    __iter__ = None

    def __repr__(self) -> str:
        return f"unknown({self.name!r}, {', '.join(axis.name for axis in self.axes)})"


class VectorUnknown(Unknown):
    """An unknown with a component axis: a vector; `u[0]` is a component, arithmetic gives vectors."""

    __array_ufunc__ = None
    _sympy_ = None  # type: ignore[assignment]  # a vector is no number: SymPy leaves the arithmetic to Tensor

    def __getitem__(self, component: int) -> sympy.Expr:
        """Return one component, a SymPy expression with `.on`, `.at` and `.flux`.

        Raises
        ------
        IndexError
            There is no such component; they are counted from 0.
        """
        count = len(self)
        if isinstance(component, bool) or not isinstance(component, (int, np.integer)):
            raise TypeError(f"the component of {self.name} must be an integer, got {component!r}")
        if not 0 <= component < count:
            raise IndexError(f"the component of {self.name} must be between 0 and {count - 1}, got {component}")
        return FieldSymbol(self, component=int(component))

    def __len__(self) -> int:
        count = self.components
        assert count is not None
        return count

    def __iter__(self) -> Iterator[sympy.Expr]:  # type: ignore[override]
        return (self[i] for i in range(len(self)))

    def diff(self, axis: Any, order: Any = 1, *more: Any) -> Any:
        """Differentiate every component; a vector."""
        return _vector(self._symbol.diff(symbol_of(axis), order, *more))


def _vector(expression: sympy.Expr) -> Any:
    from inntd.problems.tensor import Tensor

    return Tensor(expression)


def _delegated(name: str) -> Any:
    def apply(self: VectorUnknown, *other: Any) -> Any:
        return getattr(_vector(self._symbol), name)(*other)

    return apply


for _name in ("neg", "pos", "add", "radd", "sub", "rsub", "mul", "rmul", "truediv", "rtruediv", "pow", "rpow"):
    setattr(VectorUnknown, f"__{_name}__", _delegated(f"__{_name}__"))


class TestFunction(_Field):
    """The test function of a weak form, over the axes of the unknown it meets there; made by :func:`test_function`."""

    __test__ = False  # not a pytest class, whatever its name

    def __init__(self, name: str = "v") -> None:
        super().__init__(name)
        self._symbol = FieldSymbol(self)

    def _sympy_(self) -> sympy.Expr:
        return self._symbol

    def __getitem__(self, component: int) -> sympy.Expr:
        """Return one component of the test function of a vector; the problem checks that there is one."""
        if isinstance(component, bool) or not isinstance(component, (int, np.integer)) or component < 0:
            raise TypeError(f"the component of {self.name} must be an integer, 0 or more, got {component!r}")
        return FieldSymbol(self, component=int(component))

    __iter__ = None  # it does not know how many components it has

    def __repr__(self) -> str:
        return f"test_function({self.name!r})"


def unknown(name: str, *axes: Axis) -> Unknown:
    """Declare the function to solve for.

    Parameters
    ----------
    name
        How it is printed, a word.
    *axes
        The axes it depends on, with different names, at most one of kind `"time"`. With one of kind `"component"`,
        made by `Axis.discrete`, it is a vector.

    Returns
    -------
    Unknown
        Mixes with SymPy expressions; `u.on(...)`, `u.at(...)` and `u.flux(...)` make conditions. Of a vector, `u[0]`
        is a component.

    Raises
    ------
    TypeError
        Something is not an :class:`inntd.Axis`.
    ValueError
        No axis, repeated names, several time axes.

    Examples
    --------
    >>> import inntd as it
    >>> x = it.Axis("x", 0, 1, elements=4)
    >>> u = it.unknown("u", x)
    >>> 2 * u + it.diff(x * u, x)
    diff(u, x)*x + 3*u
    >>> c = it.Axis.discrete("c", 2)
    >>> w = it.unknown("w", c, x)
    >>> w[0] * x, it.sym(it.grad(w))
    (w[0]*x, sym(grad(w)))
    """
    vector = any(isinstance(axis, Axis) and axis.kind == "component" for axis in axes)
    return (VectorUnknown if vector else Unknown)(name, *axes)


def test_function(name: str = "v") -> TestFunction:  # noqa: PT028 (not a test)
    """Declare the test function; it takes its axes from the unknown that it meets in the weak form.

    That of a vector is a vector with components `v[0]`, `v[1]`, …. With several unknowns, test functions belong to
    them in the order in which both were declared.

    Differentiate it with :func:`diff`, :func:`grad` and :func:`dt`; SymPy's own `diff` knows of no axes and takes an
    expression such as `2*v` for a constant.

    Examples
    --------
    >>> import inntd as it
    >>> v = it.test_function()
    >>> it.grad(v)
    grad(v)
    """
    return TestFunction(name)


test_function.__test__ = False  # type: ignore[attr-defined]  # not a pytest test, whatever its name


def fields_in(expression: sympy.Basic) -> list[FieldSymbol]:
    """Return the unknowns, test functions and derivatives in an expression, in a fixed order."""
    return sorted(expression.atoms(FieldSymbol), key=FieldSymbol._hashable_content)


def has_unknown(expression: sympy.Basic) -> bool:
    """Tell whether an expression contains an unknown."""
    return any(isinstance(symbol.field, Unknown) for symbol in expression.atoms(FieldSymbol))


def symbol_of(axis: Any, argument: str = "axis") -> sympy.Symbol:
    """Return the symbol of an axis given as an :class:`inntd.Axis` or as a SymPy symbol."""
    symbol = axis._sympy_() if isinstance(axis, Axis) else axis
    if not isinstance(symbol, sympy.Symbol):
        raise TypeError(f"{argument} must be an inntd.Axis, got {axis!r}")
    return symbol


def expression_of(value: Any, argument: str) -> sympy.Expr:
    """Return a number, a SymPy expression, an axis or a field as a SymPy expression; strings are never parsed."""
    if isinstance(value, np.generic):  # older SymPy does not know the scalars of newer NumPy
        value = value.item()
    if not isinstance(value, (str, bool)):
        try:
            expression = sympy.sympify(value, strict=True)
        except (sympy.SympifyError, TypeError, ValueError, AttributeError):
            expression = None
        if isinstance(expression, sympy.Expr):
            return expression
    raise TypeError(f"{argument} must be a number or a SymPy expression, got {_shown(value)}")


def _shown(value: object) -> str:
    text = repr(value)
    return f"{text if len(text) <= 80 else text[:77] + '...'} of type {type(value).__name__}"
