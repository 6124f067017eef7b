"""A strong form on a mesh: the residual at Gauss points, and its linearisation, element by element."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt
import sympy

from inntd.axes import Axis
from inntd.pinn.constraints import Constraints, OnFace
from inntd.pinn.least_squares import Block, solve_by_rows, solve_normal
from inntd.pinn.ordering import Ordering, order_nodes
from inntd.pinn.residual import Residual
from inntd.pinn.tables import AxisPoints, FreeTable, free_table

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

#: Of the coordinates of the differentiated axes, shaped to fit together, and the residual's partial derivatives
#: (E, Q, ...), the factors by which residuals are multiplied.
Weight = Callable[[Sequence[Array], Sequence[AxisPoints]], Array]

_CHUNK = 300_000  # numbers of element matrices held at once: they stay in the cache


class Discretisation:
    """A residual over the tensor grid of its differentiated axes, at one value of each parameter.

    Parameters
    ----------
    residual, faces
        The equations and the conditions.
    axes
        All axes of the residual, with the meshes to use.
    weights
        Factors of the residual; their product counts.
    fixed
        Values of the parameters: positions of axes to numbers.
    """

    def __init__(
        self,
        residual: Residual,
        faces: Sequence[OnFace],
        axes: Sequence[Axis],
        weights: Sequence[Weight] = (),
        fixed: dict[int, float] | None = None,
    ) -> None:
        self.residual, self.all_axes, self.fixed = residual, tuple(axes), fixed or {}
        self.live = residual.differentiated
        self.axes = tuple(axes[d] for d in self.live)
        self.components = len(residual.names)
        own = [_with_parameters(face, self.live, axes, self.fixed) for face in faces if face.axis in self.live]
        self.constraints = Constraints(self.axes, own, self.components)
        self.points = [AxisPoints(axis, self._count(axis), max(residual.order(d), 1)) for d, axis in self._live_axes()]
        self.weights = weights
        self._factor: Array | None = None  # of a linear problem's Jacobian, which is the same in each step

    def _live_axes(self) -> Iterator[tuple[int, Axis]]:
        return zip(self.live, self.axes, strict=True)

    def _count(self, axis: Axis) -> int:
        """Gauss points per element: two serve least squares at s = 3; a single axis can afford more."""
        degree = int(axis.table.degree)
        return degree // 2 + 2 if len(self.live) == 1 else max(2, (degree + 1) // 4)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of arrays of nodal values: (components, n_1, ..., n_D)."""
        return self.components, *(axis.size for axis in self.axes)

    @cached_property
    def coordinates(self) -> list[Array]:
        """The coordinates of all axes at the Gauss points, shaped to fit together."""
        found = [np.full([1] * len(self.live), self.fixed.get(d, np.nan)) for d in range(len(self.all_axes))]
        for place, (d, points) in enumerate(zip(self.live, self.points, strict=True)):
            shape = [1] * len(self.live)
            shape[place] = -1
            found[d] = points.points.reshape(shape)
        return found

    @cached_property
    def _matrices(self) -> list[list[object]]:
        return [[points.matrix(order) for order in range(points.order + 1)] for points in self.points]

    def derivatives(self, values: Array) -> list[Array]:
        """Return the derivatives that the residual asks for, at all Gauss points."""
        return [
            self.derivative(values[q.component], [q.orders[d] for d in self.live]) for q in self.residual.derivatives
        ]

    def derivative(self, values: Array, orders: Sequence[int]) -> Array:
        """Return one derivative of nodal values (n_1, ..., n_D) at all Gauss points."""
        for place, order in enumerate(orders):
            moved = np.moveaxis(values, place, 0)
            flat = self._matrices[place][order] @ moved.reshape(len(moved), -1)  # type: ignore[operator]
            values = np.moveaxis(flat.reshape(-1, *moved.shape[1:]), 0, place)
        return values

    @cached_property
    def quadrature(self) -> Array:
        """The Gauss weights of all points."""
        product: Array = np.ones([1] * len(self.live))
        for place, points in enumerate(self.points):
            shape = [1] * len(self.live)
            shape[place] = -1
            product = product * points.weights.reshape(shape)
        return product

    @cached_property
    def _root_weight(self) -> Array:
        live = [self.coordinates[d] for d in self.live]
        return np.asarray(math.prod((w(live, self.points) for w in self.weights), start=np.sqrt(self.quadrature)))

    def residuals(self, values: Array) -> Array:
        """Return the weighted residuals (E, points...): the sum of their squares is to be least."""
        return self._root_weight * self.residual.values(self.coordinates, self.derivatives(values))

    def loss(self, values: Array) -> float:
        """Return the sum of squares; infinite where something is not finite."""
        with np.errstate(all="ignore"):
            total = float(np.sum(self.residuals(values) ** 2))
        return total if np.isfinite(total) else np.inf

    def where_not_finite(self, values: Array) -> str:
        """Say where the residual is not finite."""
        with np.errstate(all="ignore"):
            bad = ~np.isfinite(self.residual.values(self.coordinates, self.derivatives(values)))
        place = np.argwhere(bad)[0]
        shape = bad.shape[1:]
        at = [float(np.broadcast_to(x, shape)[tuple(place[1:])]) for x in self.coordinates]
        shown = ", ".join(f"{axis.name}={x:.6g}" for axis, x in zip(self.all_axes, at, strict=True))
        return f"equation {place[0]} at {shown} ({int(bad.sum())} of {bad.size} residuals)"

    # --------------------------------------------------------------------------------------------- linearisation

    @cached_property
    def tables(self) -> list[list[FreeTable]]:
        """The free functions by component and axis."""
        return [
            [free_table(points, self.constraints.of(k, place)) for place, points in enumerate(self.points)]
            for k in range(self.components)
        ]

    @cached_property
    def ordering(self) -> Ordering:
        """Where nodes stand in the system."""
        elements = [[self.tables[k][place].index for k in range(self.components)] for place in range(len(self.axes))]
        return order_nodes([axis.size for axis in self.axes], elements, self.components)

    def step(self, values: Array) -> Array:
        """Return the Gauss-Newton step from nodal values: the change that the linearised residual asks for."""
        slopes = self._root_weight * self.residual.partial_derivatives(self.coordinates, self.derivatives(values))
        residuals = self.residuals(values)
        positions = self.ordering.positions(self.components)
        if len(self.axes) == 1 and not self.axes[0].periodic:
            active = self._active(positions)
            compact = np.clip(np.cumsum(active) - 1, 0, None)
            rows = ((compact[where], j, b) for where, j, b in self.blocks(slopes, residuals, positions))
            x = np.zeros(active.size)
            x[active] = solve_by_rows(rows, int(active.sum()))
        else:
            blocks = self.blocks(slopes, residuals, positions)
            known = self._factor if self.residual.linear else None
            x, self._factor = solve_normal(blocks, self.ordering.size, self.ordering.half_bandwidth, known)
        free = x[positions]
        return np.stack([self._extended(free[k], k) for k in range(self.components)])

    def _active(self, positions: Integers) -> npt.NDArray[np.bool_]:
        active = np.zeros(positions.size, dtype=bool)
        for k in range(self.components):
            diagonal = self.tables[k][0].extension.diagonal()
            active[positions[k][diagonal != 0.0]] = True
        return active

    def _extended(self, free: Array, component: int) -> Array:
        """Return the changes of all nodes from those of the free ones."""
        for place, table in enumerate(self.tables[component]):
            moved = np.moveaxis(free, place, 0)
            flat = table.extension @ moved.reshape(len(moved), -1)
            free = np.moveaxis(flat.reshape(moved.shape), 0, place)
        return free

    def blocks(self, slopes: Array, residuals: Array, positions: Integers) -> Iterator[Block]:
        """Yield the elements' positions, Jacobians and negative residuals, some elements at a time."""
        cut = by_element(slopes, self.points, 2)
        right = -by_element(residuals, self.points, 1)
        local = sum(math.prod(t.index.shape[1] for t in self.tables[k]) for k in range(self.components))
        for part in self.chunks():
            where = [self._positions(positions[k], k, part) for k in range(self.components)]
            jacobian = self._jacobian(cut[tuple(part)], part)
            e, equations = len(part[0]), cut.shape[len(self.points)]
            yield (
                np.concatenate(where, axis=1),
                jacobian.reshape(e, -1, local),
                right[tuple(part)].reshape(e, equations, -1).reshape(e, -1),
            )

    def chunks(self) -> Iterator[Integers]:
        """Yield numbers of elements (D, e), in the order of the positions: each part of a system is written once."""
        local = sum(math.prod(t.index.shape[1] for t in self.tables[k]) for k in range(self.components))
        chunk = max(1, _CHUNK // local**2)
        slow = sorted(range(len(self.points)), key=lambda d: -int(self.ordering.places[d].max()))
        counted = np.indices([self.points[d].elements for d in slow]).reshape(len(slow), -1)
        numbers = counted[np.argsort(slow)]
        for first in range(0, numbers.shape[1], chunk):
            yield numbers[:, first : first + chunk]

    def _positions(self, positions: Integers, component: int, part: Integers) -> Integers:
        """Return the positions (e, L) of the functions of one component on some elements."""
        grids = []
        for place, table in enumerate(self.tables[component]):
            shape = [len(part[0])] + [1] * len(self.points)
            shape[place + 1] = -1
            grids.append(table.index[part[place]].reshape(shape))
        found: Integers = positions[tuple(grids)].reshape(len(part[0]), -1)
        return found

    def _jacobian(self, slopes: Array, part: Integers) -> Array:
        """Return the Jacobian (e, E, points, L) from slopes (e, E, Q, points)."""
        columns = []
        for k in range(self.components):
            total: Array | None = None
            for number, q in enumerate(self.residual.derivatives):
                if q.component != k:
                    continue
                basis = self._products(k, [q.orders[d] for d in self.live], part)
                added = slopes[:, :, number, :, None] * basis[:, None]
                total = added if total is None else total + added
            if total is None:
                width = math.prod(table.index.shape[1] for table in self.tables[k])
                total = np.zeros((*slopes.shape[:2], slopes.shape[3], width))
            columns.append(total)
        return np.concatenate(columns, axis=-1)

    def _products(self, component: int, orders: Sequence[int], part: Integers) -> Array:
        """Return products of basis functions (e, points, L)."""
        result: Array = np.ones((len(part[0]), 1, 1))
        for place, order in enumerate(orders):
            own = self.tables[component][place].values[order][part[place]]
            result = result[:, :, None, :, None] * own[:, None, :, None, :]
            result = result.reshape(len(own), result.shape[1] * result.shape[2], -1)
        return result

    def norm(self, values: Array) -> float:
        """Return the L2 norm of nodal values, all components together."""
        squares = [self.derivative(own, [0] * len(self.axes)) ** 2 for own in values]
        return math.sqrt(float(sum(np.sum(self.quadrature * square) for square in squares)))


def by_element(array: Array, points: Sequence[AxisPoints], leading: int) -> Array:
    """Turn (leading..., K_1, ..., K_D) into (elements_1, ..., elements_D, leading..., points)."""
    head = array.shape[:leading]
    split = list(itertools.chain.from_iterable((own.elements, own.count) for own in points))
    cut = array.reshape(*head, *split)
    count = len(points)
    order = [leading + 2 * d for d in range(count)] + list(range(leading)) + [leading + 2 * d + 1 for d in range(count)]
    cut = cut.transpose(order)
    return np.ascontiguousarray(cut).reshape(*cut.shape[: count + leading], -1)


def _with_parameters(face: OnFace, live: Sequence[int], axes: Sequence[Axis], fixed: dict[int, float]) -> OnFace:
    """Return the condition with numbers for the parameters, its axis counted among the differentiated ones."""
    numbers = {axes[d]._sympy_(): sympy.Float(value, 20) for d, value in fixed.items()}
    value = face.value if isinstance(face.value, np.ndarray) else face.value.xreplace(numbers)
    return OnFace(face.component, live.index(face.axis), face.side, face.slope, value)
