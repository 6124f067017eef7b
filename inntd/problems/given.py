"""Functions given by numbers or code instead of a formula, as nodes of SymPy expressions.

A `Source` is the function itself; `Given(source, x, y)` is the function of coordinates, a factor like any other: it is
added, multiplied, put inside other functions and compiled with them.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import sympy

from inntd.axes import Axis

Array = npt.NDArray[np.float64]
#: Vectorised: k arrays (K,) to an array (K,).
Vectorised = Callable[..., Any]

# Two functions may share a name; SymPy compares atoms by value, so each gets a number of its own.
_serial = itertools.count()


def content_key(*parts: Any) -> str:
    """Return a word that is the same for arrays and texts of the same content only."""
    digest = hashlib.sha256()
    for part in parts:
        data = np.ascontiguousarray(part).tobytes() if isinstance(part, np.ndarray) else repr(part).encode()
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()[:32]


class WithoutDerivative(ValueError):
    """A given function is differentiated that cannot be."""


class Source(sympy.Atom):  # type: ignore[misc]
    """A function of k coordinates that SymPy cannot look into.

    Parameters
    ----------
    name
        How it is printed.
    function
        Takes k float64 arrays of the same shape (K,), returns (K,).
    breaks
        Per coordinate the points where it jumps or has a kink.
    joints
        Per coordinate the points where it is smooth, but changes from one polynomial to the next.
    slope
        Returns the partial derivative in the i-th coordinate; None where there is none.
    modes
        Functions of one coordinate each, (M, k) of them, whose products add up to this one, if it is such a sum.
    note
        What it is, for messages: "a callable".
    domain
        Per coordinate the interval on which it is known; None where that is everywhere.
    key
        What tells it from others of the same name; equal keys are equal functions. By default nothing is equal to it.
    """

    __slots__ = ("breaks", "domain", "function", "joints", "key", "modes", "name", "note", "slope", "slopes")

    name: str
    function: Vectorised
    breaks: tuple[tuple[float, ...], ...]
    joints: tuple[tuple[float, ...], ...]
    slope: Callable[[int], Source] | None
    modes: tuple[tuple[Source, ...], ...] | None
    note: str
    domain: tuple[tuple[float, float], ...] | None
    key: str

    def __new__(
        cls,
        name: str,
        function: Vectorised,
        breaks: Sequence[Sequence[float]],
        *,
        joints: Sequence[Sequence[float]] | None = None,
        slope: Callable[[int], Source] | None = None,
        modes: Sequence[Sequence[Source]] | None = None,
        note: str = "a function",
        domain: Sequence[tuple[float, float]] | None = None,
        key: str | None = None,
    ) -> Source:
        self: Source = super().__new__(cls)
        self.name, self.function, self.note = name, function, note
        self.key = f"n{next(_serial)}" if key is None else key
        self.breaks = tuple(tuple(sorted(map(float, points))) for points in breaks)
        self.joints = ((),) * len(self.breaks) if joints is None else tuple(tuple(map(float, p)) for p in joints)
        self.slope, self.slopes = slope, {}
        self.modes = None if modes is None else tuple(map(tuple, modes))
        self.domain = None if domain is None else tuple(domain)
        return self

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise TypeError(f"the coefficient {self.name} cannot be copied or pickled; make it anew with coefficient(...)")

    def _hashable_content(self) -> tuple[Any, ...]:
        return self.name, self.key

    @property
    def code(self) -> str:
        """Its name in compiled expressions."""
        return f"given_{self.key}"

    @property
    def arity(self) -> int:
        """The number of its coordinates."""
        return len(self.breaks)

    def __call__(self, *coordinates: Any) -> Array:
        """Return the values at coordinates of any shapes that fit together; what is not finite comes back as such."""
        arrays = np.broadcast_arrays(*(np.asarray(c, dtype=np.float64) for c in coordinates))
        values = np.asarray(self.function(*(array.reshape(-1) for array in arrays)), dtype=np.float64)
        return np.broadcast_to(values, (arrays[0].size,)).reshape(arrays[0].shape)

    def derivative(self, position: int) -> Source:
        """Return the partial derivative in one coordinate, the same object every time."""
        if self.slope is None:
            raise WithoutDerivative(
                f"the coefficient {self.name} is {self.note} and has no derivative; keep it outside of diff, grad and "
                "laplacian, or write div(k*grad(u)) or the weak form"
            )
        if position not in self.slopes:
            self.slopes[position] = self.slope(position)
        found: Source = self.slopes[position]
        return found

    def _sympystr(self, printer: Any) -> str:
        return self.name

    _sympyrepr = _sympystr


class Given(sympy.Expr):  # type: ignore[misc]
    """A source as a function of coordinates: `Given(source, x, y)`."""

    is_real = True
    is_finite = True

    def __new__(cls, source: Source, *arguments: Any) -> Given:
        return super().__new__(cls, source, *map(sympy.sympify, arguments))  # type: ignore[no-any-return]

    @property
    def source(self) -> Source:
        """The function."""
        found: Source = self.args[0]
        return found

    @property
    def coordinates(self) -> tuple[sympy.Expr, ...]:
        """What it is taken of."""
        return tuple(self.args[1:])

    def _eval_derivative(self, symbol: sympy.Symbol) -> sympy.Expr:
        total: sympy.Expr = sympy.S.Zero
        for i, argument in enumerate(self.coordinates):
            inner = argument.diff(symbol)
            if inner != 0:
                total += inner * Given(self.source.derivative(i), *self.coordinates)
        return total

    def _eval_evalf(self, prec: int) -> sympy.Expr | None:
        if self.free_symbols:
            return None
        value = float(self.source(*(float(argument) for argument in self.coordinates)))
        return sympy.Float(value) if np.isfinite(value) else sympy.nan

    def _sympystr(self, printer: Any) -> str:
        return f"{self.source.name}({', '.join(printer._print(c) for c in self.coordinates)})"

    _sympyrepr = _sympystr

    def _numpycode(self, printer: Any) -> str:
        return f"{self.source.code}({', '.join(printer._print(c) for c in self.coordinates)})"


def check_domains(expression: sympy.Basic, axes: Sequence[Axis], where: str) -> None:
    """Refuse functions given by samples or models on axes that reach beyond where they are known."""
    known = {axis.name: axis for axis in axes}
    for node in sorted(expression.atoms(Given), key=str):
        for coordinate, (start, end) in zip(node.coordinates, node.source.domain or (), strict=False):
            axis = known.get(coordinate.name) if isinstance(coordinate, sympy.Symbol) else None
            slack = 1e-12 * (end - start)
            if axis is not None and (axis.domain[0] < start - slack or axis.domain[1] > end + slack):
                raise ValueError(
                    f"{where}: the coefficient {node} is {node.source.note} and known for {axis.name} from {start:g} "
                    f"to {end:g}, which does not cover the axis from {axis.domain[0]:g} to {axis.domain[1]:g}; "
                    "it is not extrapolated"
                )


def sources_in(expression: sympy.Basic) -> dict[str, Source]:
    """Return the sources in an expression by their names in compiled code."""
    return {source.code: source for source in expression.atoms(Source)}
