"""Newton's method for the weak form, over space and time at once: test functions are those of the solution."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import scipy.linalg
import sympy

from inntd.axes import Axis
from inntd.pinn.constraints import OnFace
from inntd.pinn.discretisation import Discretisation, by_element
from inntd.pinn.residual import Derivative, Residual
from inntd.pinn.strong import Explicit
from inntd.problems import Problem
from inntd.problems.fields import FieldSymbol, TestFunction, fields_in

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

#: Numbers in the band with its fill: 4 GB.
MOST_NUMBERS = 500_000_000


@dataclass(frozen=True)
class Weak:
    """A weak form as the factors of its test functions' derivatives.

    Attributes
    ----------
    coefficients
        One expression per test derivative, as a residual.
    tests
        The derivatives of test functions, by the component they belong to.
    """

    coefficients: Residual
    tests: tuple[Derivative, ...]


def weak_of(problem: Problem) -> Weak:
    """Return the weak form of a problem in strong form: second space derivatives are integrated by parts.

    Examples
    --------
    >>> import inntd as it
    >>> x, t = it.Axis("x", 0, 1, elements=8), it.Axis("t", 0, 1, elements=8, kind="time")
    >>> u = it.unknown("u", x, t)
    >>> weak = weak_of(it.Problem(strong=it.dt(u) - it.laplacian(u) + u**3, conditions=[u.on(x) == 0, u.at(t=0) == 0]))
    >>> weak.tests, weak.coefficients.equations
    ((Derivative(component=0, orders=(0, 0)), Derivative(component=0, orders=(1, 0))),
     [diff(u, t) + u**3, diff(u, x)])
    """
    form = Explicit(problem.setting.axes)(problem.weak)
    slots = problem.setting.slots
    axes = [axis for axis in problem.setting.axes if axis.kind != "component"]
    found: dict[Derivative, FieldSymbol] = {}
    for symbol in fields_in(form):
        if isinstance(symbol.field, TestFunction):
            orders = {name.name: order for name, order in symbol.index}
            component = slots[symbol.field].first + (symbol.component or 0)
            found[Derivative(component, tuple(orders.get(axis.name, 0) for axis in axes))] = symbol
    tests = tuple(sorted(found))
    dummies = {symbol: sympy.Dummy() for symbol in found.values()}
    plain = form.xreplace(dummies)
    coefficients = Residual(problem, [plain.diff(dummies[found[test]]) for test in tests])
    coefficients.check_continuity()
    return Weak(coefficients, tests)


class Galerkin(Discretisation):
    """A weak form over the tensor grid, at one value of each parameter; its step is Newton's.

    Parameters
    ----------
    weak
        The weak form.
    faces, axes, fixed
        As for `Discretisation`.
    """

    def __init__(self, weak: Weak, faces: Sequence[OnFace], axes: Sequence[Axis], fixed: dict[int, float]) -> None:
        self.tests = weak.tests
        super().__init__(weak.coefficients, faces, axes, (), fixed)

    def _count(self, axis: Axis) -> int:
        return int(axis.table.degree) // 2 + 2

    def residuals(self, values: Array) -> Array:
        """Return the residual tested with each free function (size,): a vector, whose norm Newton's method reduces."""
        right = np.zeros(self.ordering.size)
        with np.errstate(all="ignore"):
            factors = self.quadrature * self.residual.values(self.coordinates, self.derivatives(values))
        cut = by_element(factors, self.points, 1)
        for positions, part, numbers in self._parts():
            local = np.einsum("ekp,ekpi->ei", cut[tuple(numbers)], part, optimize=True)
            right += np.bincount(positions.ravel(), local.ravel(), minlength=len(right))
        return right

    def where_not_finite(self, values: Array) -> str:
        """Say where the weak form is not finite."""
        return super().where_not_finite(values).replace("equation", "the factor of test derivative")

    def step(self, values: Array) -> Array:
        """Return Newton's step from nodal values, by banded elimination."""
        size, b = self.ordering.size, min(self.ordering.half_bandwidth, self.ordering.size - 1)
        if (3 * b + 1) * size > MOST_NUMBERS:
            raise MemoryError(
                f"a band of {size} nodes and half bandwidth {b} does not fit; use least squares, or slabs"
            )
        slopes = self.quadrature * self.residual.partial_derivatives(self.coordinates, self.derivatives(values))
        cut = by_element(slopes, self.points, 2)
        band = np.zeros(size * (2 * b + 1))
        for positions, part, numbers in self._parts():
            trial = self._trial(numbers)
            weighted = np.einsum("eklp,elpj->ekpj", cut[tuple(numbers)], trial, optimize=True)
            e, _, _, width = part.shape
            local = part.reshape(e, -1, width).transpose(0, 2, 1) @ weighted.reshape(e, -1, width)
            row, column = positions[:, :, None], positions[:, None, :]
            flat = (column * (2 * b + 1) + b + row - column).ravel()
            low, high = int(flat.min()), int(flat.max()) + 1
            band[low:high] += np.bincount(flat - low, local.ravel(), minlength=high - low)
        matrix = band.reshape(size, 2 * b + 1).T
        matrix[b, np.abs(matrix).sum(axis=0) == 0.0] = 1.0
        x = scipy.linalg.solve_banded((b, b), matrix, -self.residuals(values), check_finite=False)
        free = x[self.ordering.positions(self.components)]
        return np.stack([self._extended(free[k], k) for k in range(self.components)])

    @cached_property
    def _all_positions(self) -> Integers:
        return self.ordering.positions(self.components)

    def _parts(self) -> Iterator[tuple[Integers, Array, Integers]]:
        """Yield positions (e, L), test functions (e, tests, points, L), and which elements, some at a time."""
        for numbers in self.chunks():
            where = [self._positions(self._all_positions[k], k, numbers) for k in range(self.components)]
            yield np.concatenate(where, axis=1), self._functions(self.tests, numbers), numbers

    def _trial(self, numbers: Integers) -> Array:
        return self._functions(self.residual.derivatives, numbers)

    def _functions(self, derivatives: Sequence[Derivative], numbers: Integers) -> Array:
        """Return derivatives of the free functions (e, derivatives, points, L), zero for other components."""
        rows = []
        for q in derivatives:
            own = self._products(q.component, [q.orders[d] for d in self.live], numbers)
            columns = []
            for k in range(self.components):
                width = int(np.prod([table.index.shape[1] for table in self.tables[k]]))
                columns.append(own if k == q.component else np.zeros((*own.shape[:2], width)))
            rows.append(np.concatenate(columns, axis=-1))
        return np.stack(rows, axis=1)
