"""The mesh of an axis: checks what users give, and knows when two meshes are the same."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from inntd import _checks

Array = npt.NDArray[np.float64]

# A mesh of so many elements takes tens of gigabytes when it is assembled: a slip of the keyboard, most likely.
LARGEST_MESH = 100_000_000


@dataclass(frozen=True, eq=False)
class Mesh:
    """Nodes of one coordinate, all n + 1 of them, also when periodic (the last then is the first, one period on)."""

    nodes: Array
    uniform: bool  # made by `uniform_nodes` from its ends: these say everything
    periodic: bool
    breaks: tuple[int, ...]  # indices of nodes that no patch crosses
    key: Hashable  # equal for equal meshes

    @property
    def elements(self) -> int:
        """Number of elements."""
        return len(self.nodes) - 1

    @property
    def size(self) -> int:
        """Number of nodes that are different points."""
        return self.elements if self.periodic else self.elements + 1

    def segments(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return, per element, the first and the last node that its patches may use (unwrapped when periodic)."""
        n, far = self.elements, 4 * self.elements + 1000
        ends = [0, *self.breaks, n] if not self.periodic else [-far, *self.breaks, n + far]
        if self.periodic and self.breaks:
            ends[0], ends[-1] = self.breaks[-1] - n, self.breaks[0] + n
        bounds = np.array(ends, dtype=np.int64)
        place = np.searchsorted(bounds, np.arange(n), side="right")
        return bounds[place - 1], bounds[place]

    def unwrapped(self, index: npt.NDArray[np.int64]) -> Array:
        """Return the coordinates of nodes, of any index when periodic."""
        if not self.periodic:
            return self.nodes[index]
        period = self.nodes[-1] - self.nodes[0]
        coordinates: Array = self.nodes[index % self.elements] + (index // self.elements) * period
        return coordinates

    def longest_segment(self) -> int:
        """Return the largest of the numbers of nodes between neighbouring breaks or ends."""
        n, breaks = self.elements, list(self.breaks)
        if self.periodic and not breaks:
            return n - 1  # 2 s + 2 nodes at most: the ends of an element's row must differ
        bounds = [*breaks, breaks[0] + n] if self.periodic else [0, *breaks, n]
        return int(np.diff(bounds).max()) + 1


def make_mesh(
    name: str,
    start: Any,
    stop: Any,
    *,
    elements: Any,
    nodes: Any,
    grading: Any,
    periodic: bool,
    breaks: Any,
) -> Mesh:
    """Return the mesh of axis `name`, or raise for what does not make one."""
    label = f"axis {name!r}"
    if nodes is not None:
        x = _given_nodes(label, nodes, start, stop, elements, grading)
    else:
        x = _made_nodes(label, start, stop, elements, grading)
    x.setflags(write=False)
    uniform = bool(np.array_equal(x, uniform_nodes(float(x[0]), float(x[-1]), len(x) - 1)))
    indices = _break_indices(label, x, breaks, periodic)
    shape = (float(x[0]), float(x[-1]), len(x) - 1)
    points = None if uniform else hashlib.blake2b(x.tobytes(), digest_size=16).digest()
    return Mesh(x, uniform, periodic, indices, (shape, points, periodic, indices))


def uniform_nodes(start: float, stop: float, elements: int) -> Array:
    """Return equally spaced nodes, by a formula that gives the same bits everywhere."""
    nodes: Array = start + (stop - start) * (np.arange(elements + 1) / elements)
    nodes[-1] = stop
    return nodes


def _given_nodes(label: str, nodes: Any, start: Any, stop: Any, elements: Any, grading: Any) -> Array:
    for name, value in (("elements", elements), ("grading", grading)):
        if value is not None:
            raise ValueError(f"{label}: give nodes or {name}, not both")
    x: Array = _checks.finite_vector(f"{label}: nodes", nodes, minimum_size=2).copy()
    _check_increasing(label, x, "nodes must be strictly increasing: sort them and remove repetitions (np.unique)")
    for name, value, node in (("start", start, x[0]), ("stop", stop, x[-1])):
        if value is not None and _checks.finite_float(f"{label}: {name}", value) != node:
            raise ValueError(f"{label}: {name} must be left out or equal the outermost node {node}, got {value}")
    return x


def _made_nodes(label: str, start: Any, stop: Any, elements: Any, grading: Any) -> Array:
    if start is None or stop is None:
        raise ValueError(f"{label}: give start, stop and elements, or nodes; got start={start!r}, stop={stop!r}")
    if elements is None:
        raise ValueError(f"{label}: elements (the number of elements) or nodes must be given")
    a, b = _checks.finite_float(f"{label}: start", start), _checks.finite_float(f"{label}: stop", stop)
    n = _checks.positive_int(f"{label}: elements", elements)
    if n > LARGEST_MESH:
        raise ValueError(
            f"{label}: elements must be at most {LARGEST_MESH:,}, got {n:,}: each 1-D matrix alone would take "
            f"{n * 120 / 1e9:.0f} GB at s=3"
        )
    if not a < b:
        raise ValueError(f"{label}: start must lie below stop, got start={a} and stop={b}")
    if not np.isfinite(b - a):
        raise ValueError(f"{label}: stop - start must be finite, got start={a} and stop={b}")
    if grading is None:
        x = uniform_nodes(a, b, n)
        remedy = "nodes coincide after rounding: use fewer elements, or shift the coordinate toward zero"
    else:
        x = a + (b - a) * (np.arange(n + 1) / n) ** _checks.finite_float(f"{label}: grading", grading, positive=True)
        x[-1] = b
        remedy = "nodes coincide after rounding: use a grading closer to 1, or fewer elements"
    _check_increasing(label, x, remedy)
    return x


def _check_increasing(label: str, x: Array, remedy: str) -> None:
    step = np.diff(x)
    wrong = np.flatnonzero(~(step > 0))
    if wrong.size:
        i = int(wrong[0])
        raise ValueError(f"{label}: {remedy}; got node {i} = {x[i]} and node {i + 1} = {x[i + 1]}")
    # Local coordinates divide by the length of an element: its reciprocal, squared, must be finite.
    if step.min() < 1e-150 or np.abs(x).max() > 1e150:
        raise ValueError(
            f"{label}: nodes must lie within ±1e150 and at least 1e-150 apart, got {x[0]} to {x[-1]}: change the unit"
        )


def _break_indices(label: str, x: Array, breaks: Any, periodic: bool) -> tuple[int, ...]:
    values = np.asarray(breaks, dtype=object).reshape(-1)
    if values.size == 0:
        return ()
    positions = _checks.finite_vector(f"{label}: breaks", np.ravel(breaks))
    tolerance = 8 * np.finfo(np.float64).eps * float(np.abs(x).max())
    indices = set()
    for position in positions:
        i = int(np.argmin(np.abs(x - position)))
        if not x[0] - tolerance <= position <= x[-1] + tolerance:
            raise ValueError(f"{label}: breaks must lie between {x[0]} and {x[-1]}, got {position}")
        if abs(x[i] - position) > tolerance:
            raise ValueError(
                f"{label}: breaks must be nodes, got {position} (nearest node {x[i]}): put it among nodes="
            )
        if periodic:
            i %= len(x) - 1
        elif i in (0, len(x) - 1):
            raise ValueError(f"{label}: breaks must be interior nodes, got the end {position}: leave it out")
        indices.add(i)
    return tuple(sorted(indices))
