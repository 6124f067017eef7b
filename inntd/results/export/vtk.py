"""Fields for ParaView: unstructured grids (``.vtu``), one or a series over a further axis."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import numpy as np

from inntd.axes import Axis
from inntd.results.export.optional import require
from inntd.results.export.portable import Array
from inntd.results.export.sampled import Sampled, sampled

CELLS = ("line", "quad", "hexahedron")
MOST_FRAMES = 10_000


def contents(
    model: Any, path: Path, *, name: str = "u", points: Any = None, along: Sequence[str] | None = None
) -> dict[Path, bytes]:
    """Return the files by their names.

    Parameters
    ----------
    model : Field
        Up to three axes to draw along; one more becomes a series, whose ``.pvd`` file gives the coordinate of each
        ``.vtu``; one discrete axis becomes the components of a vector. All others must be held still with `at`.
    path : Path
    name : str, default "u"
        Of the values.
    points : int, or mapping of str to int or vector, optional
        Of each axis, or of some: how many equidistant coordinates, or which. Default: the nodes.
    along : sequence of one to three str, optional
        The axes of space in the picture. Default: those of kind "space"; without any, all continuous ones but time.

    Raises
    ------
    ValueError
        When more axes are left than a picture, a series and a vector hold: the message says which.
    """
    meshio = require("meshio", "vtk", "vtk")
    drawn, series, vector = _roles(tuple(model.axes), along)
    grid = sampled(model, points)
    order = [grid.axes.index(axis) for axis in (*series, *drawn, *vector)]
    values = np.transpose(grid.values, order)
    frames = values if series else values[None]
    if len(frames) > MOST_FRAMES:
        raise ValueError(f"a series must have at most {MOST_FRAMES} files, got {len(frames)}: set points")
    space = [grid.vectors[grid.axes.index(axis)] for axis in drawn]
    width = len(str(len(frames) - 1))
    names = (
        [path.with_name(f"{path.stem}_{k:0{width}}.vtu") for k in range(len(frames))]
        if series
        else [path.with_suffix(".vtu")]
    )
    mesh = _mesh(space)
    shape = (-1, grid.values.shape[order[-1]]) if vector else (-1,)
    files = {
        file: _rendered(meshio, *mesh, {name: _padded(frame.reshape(shape))})
        for file, frame in zip(names, frames, strict=True)
    }
    return files | (_collection(path, series[0], grid, names) if series else {})


def _roles(axes: tuple[Axis, ...], along: Sequence[str] | None) -> tuple[list[Axis], list[Axis], list[Axis]]:
    """Return the axes of the picture, of the series, and of the vector's components."""
    smooth = [axis for axis in axes if not axis.discrete]
    if along is not None:
        unknown = [name for name in along if name not in {axis.name for axis in smooth}]
        if unknown or not 1 <= len(set(along)) == len(along) <= 3:
            raise ValueError(f"along must name one to three of {', '.join(a.name for a in smooth)}, got {list(along)}")
        drawn = [next(axis for axis in smooth if axis.name == name) for name in along]
    else:
        drawn = [axis for axis in smooth if axis.kind == "space"] or [a for a in smooth if a.kind != "time"] or smooth
    rest = [axis for axis in smooth if axis not in drawn]
    vector = [axis for axis in axes if axis.discrete]
    if not drawn:
        raise ValueError("a picture needs an axis that is not discrete, got none")
    left = [*(drawn[3:]), *(rest[1:] if len(rest) > 1 else []), *vector[1:]]
    if left:
        missing = [axis.name for axis in (*drawn[3:], *rest, *vector[1:])]
        raise ValueError(
            "'vtk' holds up to three axes, one more as a series and one discrete axis as components: hold "
            f"{', '.join(missing)} still with at" + (", all but one of them" if len(rest) > 1 else "")
        )
    return drawn, rest, vector


def _mesh(vectors: list[Array]) -> tuple[Array, str, Array]:
    """Return points (N, 3), the kind of cells and their corners, in the order of VTK."""
    shape = [len(vector) for vector in vectors]
    points = np.zeros((int(np.prod(shape)), 3))
    for d, grid in enumerate(np.meshgrid(*vectors, indexing="ij")):
        points[:, d] = grid.ravel()
    number = np.arange(len(points)).reshape(shape)
    corners: list[tuple[int, ...]] = [(0,), (1,)]
    if len(shape) > 1:
        corners = [(0, 0), (1, 0), (1, 1), (0, 1)]
    if len(shape) > 2:
        corners = [(*corner, z) for z in (0, 1) for corner in corners]
    cut = [number[tuple(slice(c, c + n - 1) for c, n in zip(corner, shape, strict=True))].ravel() for corner in corners]
    return points, CELLS[len(shape) - 1], np.stack(cut, axis=1)


def _padded(values: Array) -> Array:
    """Return vectors of two components with a third, zero: ParaView draws arrows of three."""
    return np.pad(values, ((0, 0), (0, 1))) if values.ndim == 2 and values.shape[1] == 2 else values


def _rendered(meshio: Any, points: Array, kind: str, cells: Array, data: dict[str, Array]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:  # meshio writes files only
        file = Path(folder, "u.vtu")
        meshio.Mesh(points, [(kind, cells)], point_data=data).write(file)
        return file.read_bytes()


def _collection(path: Path, axis: Axis, grid: Sampled, names: list[Path]) -> dict[Path, bytes]:
    """Return the file that ParaView opens: which coordinate belongs to which file."""
    sets = "\n".join(
        f'    <DataSet timestep="{value!r}" file={quoteattr(file.name)}/>'
        for value, file in zip(grid.vectors[grid.axes.index(axis)].tolist(), names, strict=True)
    )
    text = f'<?xml version="1.0"?>\n<!-- timestep: {axis.name} -->\n<VTKFile type="Collection" version="0.1">\n'
    text += f"  <Collection>\n{sets}\n  </Collection>\n</VTKFile>\n"
    return {path.with_suffix(".pvd"): text.encode()}
