"""Nodes where functions break: a mesh with given points among its nodes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.interpolate import PchipInterpolator

from inntd.axes.mesh import Mesh

Array = npt.NDArray[np.float64]

#: Of the length of the axis: points that are closer to an end or to each other are one point.
_SAME = 1e-12
#: A given node moves to a break when it is this close, in elements.
_CLOSE = 1 / 3


def break_points(mesh: Mesh, points: Sequence[float]) -> list[float]:
    """Return all break points of a mesh, old and new, sorted; the ends are none, but for the seam of a ring."""
    start, end = float(mesh.nodes[0]), float(mesh.nodes[-1])
    small = _SAME * (end - start)
    old = [float(mesh.nodes[i]) for i in mesh.breaks]
    found = list(old)
    for point in sorted(points):
        if min(point - start, end - point) <= small:
            if not mesh.periodic:
                continue
            point = start
        if all(abs(point - other) > small for other in found):
            found.append(point)
    return sorted(found)


def nodes_with(mesh: Mesh, points: Sequence[float], *, given: bool) -> Array:
    """Return the nodes of a mesh changed so that all points (sorted, inside) are among them.

    Parameters
    ----------
    mesh : Mesh
        Its breaks, which must be among the points, stay where they are.
    points : sequence of float
        Where nodes are needed.
    given : bool
        Whether the user chose the nodes one by one: then only the nearest node moves, if it is close, or else one is
        inserted. Otherwise all nodes between two points move a little, so that the mesh stays as even as it was.
    """
    tolerance = 8 * np.finfo(np.float64).eps * float(np.abs(mesh.nodes).max())
    nearest = np.abs(mesh.nodes[:, None] - np.asarray(points)[None, :]).min(axis=0) if len(points) else np.zeros(0)
    if np.all(nearest <= tolerance):
        return mesh.nodes
    return _insert(mesh, points) if given else _spread(mesh, points)


def _insert(mesh: Mesh, points: Sequence[float]) -> Array:
    nodes: Array = mesh.nodes.copy()
    movable = np.ones(len(nodes), dtype=bool)
    movable[[0, -1, *mesh.breaks]] = False
    for point in points:
        i = int(np.argmin(np.abs(nodes - point)))
        if nodes[i] == point:
            movable[i] = False
            continue
        neighbour = i + 1 if point > nodes[i] else i - 1
        if movable[i] and abs(point - nodes[i]) <= _CLOSE * abs(nodes[neighbour] - nodes[i]):
            nodes[i], movable[i] = point, False
        else:
            place = int(np.searchsorted(nodes, point))
            nodes, movable = np.insert(nodes, place, point), np.insert(movable, place, False)
    return nodes


def _spread(mesh: Mesh, points: Sequence[float]) -> Array:
    """Give each part between points the elements that lay in it, rounded, and space them as before."""
    index = np.arange(len(mesh.nodes), dtype=np.float64)
    inner = [point for point in points if point > mesh.nodes[0]]
    places = np.concatenate([[0.0], np.interp(inner, mesh.nodes, index), [index[-1]]])
    values = [float(mesh.nodes[0]), *inner, float(mesh.nodes[-1])]
    counts = np.maximum(np.diff(np.rint(places).astype(np.int64)), 1)
    position = PchipInterpolator(index, mesh.nodes) if not mesh.uniform else None
    parts = []
    for k, count in enumerate(counts):
        share = np.arange(count) / count
        if position is None:
            part = values[k] + (values[k + 1] - values[k]) * share
        else:
            part = position(places[k] + (places[k + 1] - places[k]) * share)
            part[0] = values[k]
        parts.append(part)
    nodes: Array = np.append(np.concatenate(parts), values[-1])
    return nodes
