"""A coordinate with a name, a mesh and a basis."""

from __future__ import annotations

import warnings
from collections.abc import Hashable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal, Protocol, TypeAlias, overload

import numpy as np
import numpy.typing as npt
import sympy

from inntd import _checks
from inntd._kernels import core
from inntd.axes.arguments import check_name, check_string, choose_basis
from inntd.axes.basis import Basis, CHiDeNNBasis, basis_from_dict
from inntd.axes.breaking import break_points, nodes_with
from inntd.axes.functions import Function, evaluate
from inntd.axes.grading import warn_of_patches
from inntd.axes.mesh import Mesh, make_mesh
from inntd.axes.symbolic import Symbolic
from inntd.axes.table import discrete_table, patch_table

Array = npt.NDArray[np.float64]
Kind: TypeAlias = Literal["space", "parameter", "time", "component"]
KINDS: tuple[Kind, ...] = ("space", "parameter", "time", "component")


@dataclass(frozen=True, eq=False)
class Face:
    """One end of an axis: the whole face of the box where that coordinate is at its start or end."""

    axis: Axis
    side: Literal["start", "end"]

    @property
    def coordinate(self) -> float:
        """Where the face lies."""
        return self.axis.domain[0 if self.side == "start" else 1]

    @property
    def index(self) -> int:
        """The basis function that is one on the face; all others vanish there."""
        return 0 if self.side == "start" else self.axis.size - 1

    def __repr__(self) -> str:
        return f"{self.axis.name}.{self.side}"


def _discrete_axis(name: str, size: int, *, kind: Kind = "component", unit: str = "") -> Axis:
    """Return an axis of `size` separate values 0, 1, …, such as the components of a vector.

    Its basis functions are one at their own value and zero at the others; integrals over it are sums. (Of an axis,
    the attribute `discrete` tells whether it is such a one.)

    Parameters
    ----------
    name : str
        As for `Axis`.
    size : int
        Number of values.
    kind : {"component", "space", "parameter", "time"}, default "component"
        What the values are.
    unit : str, default ""
        For labels.

    Examples
    --------
    >>> import inntd as it
    >>> c = it.Axis.discrete("c", 3)
    >>> c, c.discrete
    (Axis.discrete('c', 3), True)
    """
    axis = Axis.__new__(Axis)
    axis.name = check_name(name)
    label = f"axis {axis.name!r}"
    axis.kind = _checks.one_of(f"{label}: kind", kind, KINDS)
    axis.unit = check_string(f"{label}: unit", unit)
    axis._discrete = True
    count = _checks.positive_int(f"{label}: size", size)
    values = np.arange(count, dtype=np.float64)
    values.setflags(write=False)
    axis._mesh = Mesh(values, True, False, (), ("discrete", count))
    axis.basis = None
    axis.key = axis._mesh.key
    axis.table = discrete_table(count)
    return axis


class _DiscreteConstructor(Protocol):
    def __call__(self, name: str, size: int, *, kind: Kind = ..., unit: str = ...) -> Axis: ...


class _Discrete:
    """`Axis.discrete(name, size)` makes a discrete axis; `axis.discrete` tells whether `axis` is one."""

    @overload
    def __get__(self, instance: None, owner: type[Axis]) -> _DiscreteConstructor: ...
    @overload
    def __get__(self, instance: Axis, owner: type[Axis]) -> bool: ...
    def __get__(self, instance: Axis | None, owner: type[Axis]) -> _DiscreteConstructor | bool:
        return _discrete_axis if instance is None else instance._discrete


class Axis(Symbolic):
    r"""A coordinate: its name, its interval with a mesh, and the basis on that mesh.

    In SymPy expressions an axis stands for the real symbol of its name.

    Parameters
    ----------
    name : str
        An identifier, or a member of a family such as ``"x[3]"``.
    start, stop : float, optional
        The interval. Left out when `nodes` are given.
    elements : int, optional
        Number of elements; nodes are equally spaced unless `grading` says otherwise.
    nodes : sequence of float, optional
        All nodes, strictly increasing, instead of `start`, `stop` and `elements`.
    grading : float, optional
        Nodes at ``start + (stop - start) * (j / elements) ** grading``: dense near the start when above 1.
    periodic : bool, default False
        The end is the start: patches wrap around and the last node is no function of its own.
    breaks : sequence of float, default ()
        Interior nodes that no patch crosses, where functions may have kinks: interfaces of materials, ends of sources.
        `Problem` adds those that it finds in coefficients and sources. Where two are so close that fewer than 2s+1
        nodes lie between them, patches are shorter there.
    kind : {"space", "parameter", "time"}, default "space"
        Gradients act on axes of kind space, `dt` on the one of kind time.
    basis : LinearBasis or CHiDeNNBasis, optional
        By default ``CHiDeNNBasis(s=3)``, with a smaller `s` when no part of the mesh has 7 nodes between breaks.
    s, p, a : optional
        Shorthands: ``s=2`` is ``basis=CHiDeNNBasis(s=2)``.
    unit : str, default ""
        For labels.

    Raises
    ------
    ValueError, TypeError
        When the arguments do not make a mesh, or the basis does not fit on it; the message names the axis.

    Examples
    --------
    >>> import inntd as it
    >>> x = it.Axis("x", 0, 1, elements=10)
    >>> x
    Axis('x', 0.0, 1.0, elements=10, s=3)
    >>> x.size, x.domain
    (11, (0.0, 1.0))
    >>> t = it.Axis("t", 0, 1, elements=4, grading=2, kind="time", s=1)
    >>> t.nodes
    array([0.    , 0.0625, 0.25  , 0.5625, 1.    ])
    """

    discrete = _Discrete()

    def __init__(
        self,
        name: str,
        start: float | None = None,
        stop: float | None = None,
        *,
        elements: int | None = None,
        nodes: npt.ArrayLike | None = None,
        grading: float | None = None,
        periodic: bool = False,
        breaks: npt.ArrayLike = (),
        kind: Kind = "space",
        basis: Basis | None = None,
        s: Any = None,
        p: Any = None,
        a: Any = None,
        unit: str = "",
    ) -> None:
        self.name = check_name(name)
        label = f"axis {self.name!r}"
        self.kind: Kind = _checks.one_of(f"{label}: kind", kind, KINDS)
        if self.kind == "component":
            raise ValueError(f"{label}: kind 'component' is for discrete axes: use Axis.discrete({self.name!r}, size)")
        self.unit = check_string(f"{label}: unit", unit)
        self._discrete = False
        if not isinstance(periodic, bool | np.bool_):
            raise TypeError(f"{label}: periodic must be True or False, got {periodic!r}")
        self._mesh = make_mesh(
            self.name,
            start,
            stop,
            elements=elements,
            nodes=nodes,
            grading=grading,
            periodic=bool(periodic),
            breaks=breaks,
        )
        self._nodes_given = nodes is not None and not self._mesh.uniform
        self._basis_given = any(value is not None for value in (basis, s, p, a))
        self.basis: Basis | None = choose_basis(label, self._mesh, basis, s, p, a)
        self.key: Hashable = (self._mesh.key, self.basis.key)
        self.table: core.BasisTable = patch_table(label, self._mesh, self.basis, self.key)
        warn_of_patches(label, self._mesh, self.basis)

    @property
    def nodes(self) -> Array:
        """Coordinates of all nodes (n_elements + 1,), also when periodic; read-only."""
        return self._mesh.nodes

    @property
    def domain(self) -> tuple[float, float]:
        """The first and the last coordinate."""
        return float(self.nodes[0]), float(self.nodes[-1])

    @property
    def elements(self) -> int:
        """Number of elements; of a discrete axis the number of its values."""
        return len(self.nodes) if self.discrete else self._mesh.elements

    @property
    def size(self) -> int:
        """Number of basis functions."""
        return self._mesh.size

    @property
    def periodic(self) -> bool:
        """Whether the end is the start."""
        return self._mesh.periodic

    @cached_property
    def breaks(self) -> tuple[float, ...]:
        """Coordinates of the nodes that no patch crosses."""
        return tuple(float(self.nodes[i]) for i in self._mesh.breaks)

    def with_breaks(self, points: npt.ArrayLike) -> Axis:
        """Return this axis with more breaks, and with nodes there.

        On a mesh made from `elements`, all nodes between two breaks move a little, so that it stays as even as it was;
        of `nodes` given one by one only the nearest moves, by a third of its element at most, or one is inserted.

        Parameters
        ----------
        points : sequence of float
            Inside the axis. Its ends are breaks already; the seam of a periodic axis is not.

        Returns
        -------
        Axis
            Another axis of the same name, interval and basis; this one if nothing changes.

        Raises
        ------
        ValueError
            A point lies outside, or the axis is discrete.

        Examples
        --------
        >>> import inntd as it
        >>> it.Axis("x", 0, 1, elements=8, s=1).with_breaks([0.3])
        Axis('x', 0.0, 1.0, elements=8, breaks=(0.3,), s=1)
        >>> it.Axis("x", nodes=[0, 1, 2, 3, 4, 6], s=1).with_breaks([1.1, 3.5]).nodes
        array([0. , 1.1, 2. , 3. , 3.5, 4. , 6. ])
        """
        x = self.check_points(points, "breaks")
        if self.discrete:
            raise ValueError(f"axis {self.name!r} is discrete: it has no patches that a break could stop")
        wanted = break_points(self._mesh, x.tolist())
        if len(wanted) == len(self._mesh.breaks):
            return self
        nodes = nodes_with(self._mesh, wanted, given=self._nodes_given)
        basis = self._basis_on(nodes) if self._basis_given else None
        options: dict[str, Any] = {"periodic": self.periodic, "kind": self.kind, "unit": self.unit, "basis": basis}
        axis = Axis(self.name, nodes=nodes, breaks=wanted, **options)
        axis._nodes_given = self._nodes_given
        return axis

    def part(self, first: int, last: int) -> Axis:
        """Return the axis between two of its nodes, with the same mesh and basis there.

        Parameters
        ----------
        first, last : int
            Numbers of the nodes.

        Examples
        --------
        >>> import inntd as it
        >>> it.Axis("t", 0, 2, elements=16, kind="time").part(8, 16)
        Axis('t', 1.0, 2.0, elements=8, kind='time', s=3)
        """
        first = _checks.positive_int("first", first, minimum=0)
        last = _checks.positive_int("last", last, minimum=first + 1, maximum=len(self.nodes) - 1)
        if self.discrete or self.periodic:
            raise ValueError(f"axis {self.name!r} has no parts: it is {'discrete' if self.discrete else 'periodic'}")
        nodes = self.nodes[first : last + 1]
        inside = [point for point in self.breaks if nodes[0] < point < nodes[-1]]
        basis = None if self.basis is None or not self._basis_given else self.basis.taken(np.arange(first, last + 1))
        axis = Axis(self.name, nodes=nodes, breaks=inside, kind=self.kind, unit=self.unit, basis=basis)
        axis._nodes_given = self._nodes_given
        return axis

    def _basis_on(self, nodes: Array) -> Basis | None:
        """Return the basis for other nodes: what was given one by one goes to the nodes nearest in the mesh."""
        count = len(nodes) - 1 if self.periodic else len(nodes)
        place = np.interp(nodes[:count], self.nodes, np.arange(len(self.nodes)))
        return None if self.basis is None else self.basis.taken(np.rint(place).astype(np.int64) % self.size)

    @cached_property
    def start(self) -> Face:
        """The face at the first coordinate."""
        return Face(self, "start")

    @cached_property
    def end(self) -> Face:
        """The face at the last coordinate."""
        return Face(self, "end")

    def check_points(self, x: npt.ArrayLike, name: str = "points") -> Array:
        """Return coordinates (K,) as float64 inside the axis, or raise.

        Rounding beyond the ends is forgiven and clipped off; a discrete axis takes its values only.
        """
        label = f"axis {self.name!r}: {name}"
        points = _checks.finite_vector(label, x, minimum_size=0)
        low, high = self.domain
        slack = 4 * np.finfo(np.float64).eps * max(abs(low), abs(high))
        outside = np.flatnonzero((points < low - slack) | (points > high + slack))
        if outside.size:
            i = int(outside[0])
            raise ValueError(
                f"{label} must lie in [{low}, {high}], got {outside.size} outside of {points.size}, "
                f"the first {points[i]} at index {i}"
            )
        if self.discrete:
            odd = np.flatnonzero(points != np.rint(points))
            if odd.size:
                raise ValueError(f"{label} must be whole numbers on this discrete axis, got {points[odd[0]]}")
        inside: Array = np.clip(points, low, high)
        return inside

    def tabulate(self, points: npt.ArrayLike, order: int = 0) -> tuple[npt.NDArray[np.int64], Array]:
        """Return which basis functions are nonzero at points, and their values or derivatives.

        Parameters
        ----------
        points : array (K,)
            Inside the axis. A node belongs to the element on its right (the last to the last element).
        order : int, default 0
            Order of the derivative.

        Returns
        -------
        index : array (K, width) of int64
            Basis functions, wrapped around on a periodic axis.
        values : array (K, width)
            Their derivatives of that order.
        """
        x = self.check_points(points)
        order = _checks.positive_int("order", order, minimum=0)
        piece, values = np.empty(x.size, dtype=np.int64), np.empty((x.size, self.table.width))
        core.tabulate(self.table, x, piece, values, order)
        index = self._first[piece][:, None] + np.arange(self.table.width)
        if self.periodic:
            index %= self.size
        return index, values

    @cached_property
    def _first(self) -> npt.NDArray[np.int64]:
        return self.table.first

    def interpolate(self, function: Function) -> Array:
        """Return the nodal values (size,) of a vectorised function: the basis is nodal, so they are its coefficients.

        Examples
        --------
        >>> import inntd as it
        >>> it.Axis("x", 0, 2, elements=2).interpolate(lambda x: x**2)
        array([0., 1., 4.])
        """
        values: Array = evaluate(self.name, function, self.nodes[: self.size]).copy()
        return values

    def to_dict(self) -> dict[str, Any]:
        """Return everything about the axis in types that JSON carries without loss.

        Examples
        --------
        >>> import inntd as it
        >>> x = it.Axis("x", 0, 1, elements=10, s=2)
        >>> it.Axis.from_dict(x.to_dict()).key == x.key
        True
        """
        fields: dict[str, Any] = {"name": self.name, "kind": self.kind, "unit": self.unit}
        if self.discrete:
            return fields | {"discrete": True, "size": self.size}
        if self._mesh.uniform:
            fields |= {"start": self.domain[0], "stop": self.domain[1], "elements": self.elements}
        else:
            fields["nodes"] = self.nodes.tolist()
        assert self.basis is not None
        return fields | {"periodic": self.periodic, "breaks": list(self.breaks), "basis": self.basis.to_dict()}

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Axis:
        """Return the axis that `to_dict` described, to the bit."""
        if not isinstance(fields, dict):
            raise TypeError(f"an axis must be described by a table of fields, got {type(fields).__name__}")
        known = ("name", "kind", "unit", "discrete", "size", "start", "stop", "elements", "nodes", "periodic", "breaks")
        for field in fields:
            _checks.one_of("field of an axis", field, (*known, "basis"))
        given = dict(fields)
        if given.pop("discrete", False):
            return _discrete_axis(**given)
        basis = given.pop("basis", None)
        with warnings.catch_warnings():  # whoever made the axis has been warned
            warnings.simplefilter("ignore", _checks.StabilityWarning)
            return cls(**given, basis=None if basis is None else basis_from_dict(basis))

    def _sympy_(self) -> sympy.Symbol:
        return sympy.Symbol(self.name, real=True)

    def __repr__(self) -> str:
        if self.discrete:
            return f"Axis.discrete({self.name!r}, {self.size})"
        parts = [repr(self.name), *map(repr, self.domain), f"elements={self.elements}"]
        if self.periodic:
            parts.append("periodic=True")
        if self.breaks:
            parts.append(f"breaks={self.breaks}")
        if self.kind != "space":
            parts.append(f"kind={self.kind!r}")
        if isinstance(self.basis, CHiDeNNBasis) and self.basis == replace(CHiDeNNBasis(), s=self.basis.s):
            parts.append(f"s={self.basis.s}")
        else:
            parts.append(f"basis={self.basis}")
        return f"Axis({', '.join(parts)})"

    # An axis never changes and is known by its identity: a copy would be another coordinate.
    def __copy__(self) -> Axis:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Axis:
        return self

    def __reduce__(self) -> Any:
        return Axis.from_dict, (self.to_dict(),)
