"""Conditions as exact statements about nodal values: fixed nodes, and nodes that follow from their neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import sympy

from inntd.axes import Axis, Face
from inntd.axes.assembly import face_load
from inntd.pinn.residual import Residual
from inntd.problems import Problem
from inntd.problems.compiled import compile_function
from inntd.problems.conditions import Condition, Flux, Slope

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class OnFace:
    """A value, or a slope along the axis, that one component takes on a face: an expression, or nodal values there."""

    component: int
    axis: int
    side: str
    slope: bool
    value: sympy.Expr | Array


@dataclass(frozen=True)
class Dependent:
    """A node of an axis whose value follows from the slope at a face: u_node = slope·gain − Σ weights·u.

    The node is the one on the face, or its neighbour where the face's own value is given.
    """

    node: int
    weights: Array  # (size,), zero at the node itself
    gain: float


@dataclass(frozen=True)
class AxisConstraints:
    """What conditions say of the nodes of one axis, for one component."""

    fixed: tuple[int, ...] = ()
    dependent: tuple[Dependent, ...] = ()


@dataclass
class Constraints:
    """All conditions of a problem on a given mesh.

    Parameters
    ----------
    axes
        Without a component axis; with the nodes that are in use, which may not be those of the problem.
    faces
        From :func:`read_conditions`.
    components
        How many there are.
    """

    axes: Sequence[Axis]
    faces: Sequence[OnFace]
    components: int
    _by_axis: dict[tuple[int, int], AxisConstraints] = field(default_factory=dict)

    def of(self, component: int, d: int) -> AxisConstraints:
        """Return the constraints on the nodes of axis d."""
        key = component, d
        if key not in self._by_axis:
            own = [face for face in self.faces if (face.component, face.axis) == key]
            self._by_axis[key] = _on_axis(self.axes[d], own)
        return self._by_axis[key]

    def impose(self, values: Array) -> None:
        """Make nodal values (components, n_1, ..., n_D) fulfil all conditions, in place: slopes, then values."""
        for condition in sorted(self.faces, key=lambda c: not c.slope):
            nodes = np.moveaxis(values[condition.component], condition.axis, 0)
            given = self._given(condition, nodes.shape[1:])
            axis = self.axes[condition.axis]
            if not condition.slope:
                nodes[_face(axis, condition.side).index] = given
                continue
            for follower in self._followers(condition):
                self._impose_fixed(condition, nodes)
                nodes[follower.node] = follower.gain * given - np.tensordot(follower.weights, nodes, 1)

    def extension(self) -> Array:
        """Return nodal values that continue the given ones inward: linearly between two faces, else constantly.

        Axis after axis what is still missing on its faces is added, so that all faces are met where they agree.
        """
        values = np.zeros((self.components, *(axis.size for axis in self.axes)))
        for k in range(self.components):
            for d, axis in enumerate(self.axes):
                own = [f for f in self.faces if (f.component, f.axis, f.slope) == (k, d, False)]
                nodes = np.moveaxis(values[k], d, 0)
                missing = {f.side: self._given(f, nodes.shape[1:]) - nodes[_face(axis, f.side).index] for f in own}
                if not missing:
                    continue
                begin, end = (missing.get(s, next(iter(missing.values()))) for s in ("start", "end"))
                share = (axis.nodes[: axis.size] - axis.nodes[0]) / (axis.nodes[-1] - axis.nodes[0])
                nodes += np.multiply.outer(1 - share, begin) + np.multiply.outer(share, end)
        return values

    def _impose_fixed(self, slope: OnFace, nodes: Array) -> None:
        """Set the given value on the same face first: the dependent node follows from it."""
        for other in self.faces:
            same = (other.component, other.axis) == (slope.component, slope.axis)
            if same and not other.slope:
                nodes[_face(self.axes[other.axis], other.side).index] = self._given(other, nodes.shape[1:])

    def _followers(self, condition: OnFace) -> list[Dependent]:
        dependent = self.of(condition.component, condition.axis).dependent
        middle = self.axes[condition.axis].size / 2
        return [d for d in dependent if (d.node < middle) == (condition.side == "start")]

    def _given(self, condition: OnFace, shape: tuple[int, ...]) -> Array:
        """Return the values of a condition at the nodes of its face."""
        if isinstance(condition.value, np.ndarray):
            return condition.value
        axis = self.axes[condition.axis]
        others = [own.nodes[: own.size] for d, own in enumerate(self.axes) if d != condition.axis]
        mesh = list(np.meshgrid(*others, indexing="ij")) if others else []
        place = np.full(shape, _face(axis, condition.side).coordinate)
        mesh.insert(condition.axis, place)
        function = compile_function([own._sympy_() for own in self.axes], condition.value)
        given: Array = np.broadcast_to(np.asarray(function(*mesh), dtype=np.float64), shape)
        if not np.isfinite(given).all():
            raise ValueError(
                f"the condition on {axis.name}.{condition.side} is not finite at a node: {condition.value}"
            )
        return given


def read_conditions(problem: Problem, residual: Residual, natural: bool = False) -> list[OnFace]:
    """Return the conditions by component and face, and refuse those that are missing for the orders of the equation.

    `natural`: faces in space without conditions have no flux, as in weak forms; slopes then cannot be given.
    """
    if natural and problem.slopes:
        raise ValueError(f"conditions: {problem.slopes[0]} cannot be given in weak form; use optimizer='gauss_newton'")
    found: list[OnFace] = []
    for condition in problem.written_conditions:
        if isinstance(condition, Flux):
            raise ValueError(
                f"conditions: {condition} is for the weak form; for the strong form give the slope, "
                "diff(u, x).on(x.end) == value"
            )
        found += _by_face(problem, residual, condition)
    _check_enough(found, residual, natural)
    return found


def _by_face(problem: Problem, residual: Residual, condition: Condition) -> list[OnFace]:
    first = problem.setting.slots[condition.unknown].first
    count = condition.unknown.components or 1
    components = range(count) if condition.component is None else [condition.component]
    values = condition.values if len(condition.values) > 1 else condition.values * len(components)
    names = [axis.name for axis in residual.axes]
    return [
        OnFace(first + k, names.index(face.axis.name), face.side, isinstance(condition, Slope), value)
        for face in condition.faces
        for k, value in zip(components, values, strict=True)
    ]


def _check_enough(found: Sequence[OnFace], residual: Residual, natural: bool) -> None:
    """Refuse an axis of order m with fewer than m conditions, where that can be told."""
    for d, axis in enumerate(residual.axes):
        for k, name in enumerate(residual.names):
            order = residual.order(d, k)
            given = [face for face in found if (face.component, face.axis) == (k, d)]
            needed = order if len(residual.names) == 1 or axis.kind == "time" or order > 1 else 0
            if axis.periodic or len(given) >= needed or (natural and axis.kind != "time"):
                continue
            slope = f"diff({name}, {axis.name})"
            if axis.kind == "time":
                missing = f"{name if not given else slope}.at({axis.name}={axis.domain[0]:g}) == value"
            else:
                side = "end" if any(face.side == "start" for face in given) else "start"
                place = f"{axis.name}.{side}"
                missing = f"{name}.on({place}) == value or {slope}.on({place}) == 0 (no flux)"
            raise ValueError(
                f"conditions: the equation is of order {order} in {axis.name}, which takes {order} conditions on "
                f"{name}, got {len(given)}; in strong form none is implied: add {missing}"
            )


def _face(axis: Axis, side: str) -> Face:
    return axis.start if side == "start" else axis.end


def _on_axis(axis: Axis, conditions: Sequence[OnFace]) -> AxisConstraints:
    fixed = {_face(axis, c.side).index for c in conditions if not c.slope}
    dependent: list[Dependent] = []
    for side in {c.side for c in conditions if c.slope}:
        face = _face(axis, side)
        row = face_load(face, 1)
        inward = 1 if side == "start" else -1
        node = face.index + inward if face.index in fixed else face.index
        pivot = row[node]
        weights = row / pivot
        weights[node] = 0.0
        dependent.append(Dependent(node, weights, 1.0 / pivot))
    if len(dependent) == 2 and any(one.weights[other.node] for one in dependent for other in dependent):
        raise ValueError(
            f"axis {axis.name!r}: the slopes at both ends share nodes; use more than {axis.elements} elements, or a "
            "smaller s"
        )
    return AxisConstraints(tuple(sorted(fixed)), tuple(dependent))
