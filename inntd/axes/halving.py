"""A finer mesh of the same axis: every element halved, and patches made longer on request."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from inntd.axes.axis import Axis
from inntd.axes.basis import CHiDeNNBasis

LARGEST_S = 6  # patches beyond are not made longer: they lose digits


def halved(axis: Axis, hops: int = 0) -> Axis:
    """Return an axis with a node in the middle of each element.

    Parameters
    ----------
    axis
        A discrete one is returned as it is.
    hops
        By how much its patches become longer, which raises the order.

    Examples
    --------
    >>> import inntd as it
    >>> halved(it.Axis("x", 0, 1, elements=4, s=1))
    Axis('x', 0.0, 1.0, elements=8, s=1)
    >>> halved(it.Axis("x", nodes=[0, 1, 4], s=1)).nodes
    array([0. , 0.5, 1. , 2.5, 4. ])
    """
    if axis.discrete:
        return axis
    nodes = np.sort(np.concatenate([axis.nodes, 0.5 * (axis.nodes[1:] + axis.nodes[:-1])]))
    basis = axis._basis_on(nodes)
    if isinstance(basis, CHiDeNNBasis):
        basis = _longer(basis, hops)
    assert basis is not None
    fields = axis.to_dict() | {"basis": basis.to_dict()}
    if "elements" in fields and not fields["breaks"]:
        return Axis.from_dict(fields | {"elements": 2 * axis.elements})
    kept = {key: value for key, value in fields.items() if key not in ("start", "stop", "elements", "nodes")}
    return Axis.from_dict(kept | {"nodes": nodes.tolist()})


def _longer(basis: CHiDeNNBasis, hops: int) -> CHiDeNNBasis:
    """Return a basis with longer patches; radial kernels keep theirs."""
    if basis.kernel != "lagrange" or hops == 0:
        return basis
    many = basis.s if isinstance(basis.s, tuple) else (basis.s,)
    longer = tuple(max(s, min(s + hops, LARGEST_S)) for s in many)
    return replace(basis, s=longer if isinstance(basis.s, tuple) else longer[0], p=None)
