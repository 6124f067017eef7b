"""From a mesh and a basis to the core's table of piecewise polynomials, shared by all axes that are equal."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np

from inntd._kernels import core
from inntd.axes._cache import BoundedCache
from inntd.axes.basis import Basis, Patches
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
    """Raise unless the patches of both nodes of every element fit between the breaks or ends around it."""
    if not patches.shifted and not mesh.periodic:
        return
    nodes = mesh.segment_sizes()
    left = patches.s[: mesh.elements]
    right = np.append(patches.s, patches.s[0])[1 : mesh.elements + 1] if mesh.periodic else patches.s[1:]
    needed = 2 * np.maximum(left, right) + 1
    wrong = np.flatnonzero(needed > nodes)
    if wrong.size:
        e = int(wrong[0])
        s, room = int(needed[e] - 1) // 2, int(nodes[e])
        part = f"the part between breaks around {mesh.nodes[e]}" if mesh.breaks else "the mesh"
        closing = " (one element more is needed to close the circle)" if mesh.periodic and not mesh.breaks else ""
        largest = (room - 1) // 2
        basis = f"s={largest}" if largest > 0 else "basis=LinearBasis()"
        raise ValueError(
            f"{label}: s={s} is too large for the mesh: its patches need {2 * s + 1} nodes, and {part} has "
            f"{room}{closing}: use {basis}, or more elements"
        )


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
