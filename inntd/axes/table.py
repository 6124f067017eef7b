"""From a mesh and a basis to the core's table of piecewise polynomials, shared by all axes that are equal."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace

import numpy as np

from inntd._kernels import core
from inntd.axes._cache import BoundedCache
from inntd.axes.basis import Basis, Patches
from inntd.axes.grading import bounded_sizes, is_bounded
from inntd.axes.mesh import Mesh

_tables: BoundedCache[core.BasisTable] = BoundedCache(
    64 * 2**20, size=lambda table: 20 * table.pieces + 12 * table.coefficients.size
)

LARGEST_LOSS = 1e-13  # relative error of basis functions that rounding may cause in extended precision


def patch_table(label: str, mesh: Mesh, basis: Basis, key: Hashable) -> core.BasisTable:
    """Return the table of a patch basis.

    Raises
    ------
    ValueError
        When a patch does not fit on the mesh.
    """
    return _tables.get(key, lambda: _build(label, mesh, basis))


def discrete_table(size: int) -> core.BasisTable:
    """Return the table of `size` separate values: one constant function around each."""
    return _tables.get(("discrete", size), lambda: _build_discrete(size))


def _build(label: str, mesh: Mesh, basis: Basis) -> core.BasisTable:
    try:
        patches = basis.patches(mesh.size)
    except ValueError as error:
        raise ValueError(f"{label}: {error}") from None
    _check_fit(label, mesh, patches)
    patches = _shorten(mesh, basis, patches)
    breaks = np.array(mesh.breaks, dtype=np.int64)
    table, condition, node, lost = core.build_stencil(
        mesh.nodes, patches.s, patches.p, patches.a, patches.kernel, patches.shifted, mesh.periodic, breaks
    )
    if not lost <= LARGEST_LOSS:
        raise ValueError(
            f"{label}: the moment matrix of the {patches.kernel} kernel is too ill-conditioned at node {node} "
            f"({mesh.nodes[node]}), cond(G) = {condition:.1e}: even extended precision would leave an error of "
            f"{lost:.0e} in the basis; use a smaller a (got {patches.a[node]:g}) or s (got {patches.s[node]}), "
            "or kernel='lagrange'"
        )
    return table


def _check_fit(label: str, mesh: Mesh, patches: Patches) -> None:
    """Raise unless the largest patch fits on the mesh; between breaks the core shortens patches by itself."""
    if mesh.breaks or not (patches.shifted or mesh.periodic):
        return
    s, room = int(patches.s.max()), mesh.longest_segment()
    if 2 * s + 1 <= room:
        return
    if mesh.periodic:
        need, kind, has = 2 * s + 2, "elements on a periodic axis", mesh.elements
    else:
        need, kind, has = 2 * s + 1, "nodes", mesh.size
    largest = (room - 1) // 2
    remedy = f"use s={largest}, or more elements" if largest > 0 else "use basis=LinearBasis(), or more elements"
    if s == 0:
        remedy = "use more elements"
    raise ValueError(f"{label}: s={s} is too large for the mesh: its patches need {need} {kind}, got {has}: {remedy}")


def _shorten(mesh: Mesh, basis: Basis, patches: Patches) -> Patches:
    """Shorten Lagrange patches where the mesh is graded too strongly, unless their sizes were given one by one."""
    if not is_bounded(basis):
        return patches
    sizes, node, _ = bounded_sizes(mesh, patches.s)
    return patches if node < 0 else replace(patches, s=sizes, p=2 * sizes)


def _build_discrete(size: int) -> core.BasisTable:
    return core.BasisTable(
        np.arange(size + 1) - 0.5,
        np.zeros(size, dtype=np.int32),
        np.arange(size, dtype=np.int64),
        np.ones((1, 1, 1)),
        size,
        True,
        False,
    )
