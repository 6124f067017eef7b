"""The same problem on finer axes: what goal-oriented estimates of a mesh's error compare with."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from inntd.axes import Axis, CHiDeNNBasis
from inntd.problems.align import Alignment
from inntd.problems.problem import Problem

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


def finer(problem: Problem) -> Problem:
    """Return a problem with all elements halved and patches one hop longer; what was separated stays as it is.

    Examples
    --------
    >>> import inntd as it
    >>> x = it.Axis("x", 0, 1, elements=8)
    >>> u = it.unknown("u", x)
    >>> finer(it.Problem(strong=-it.laplacian(u) - 2, conditions=[u.on(x) == 0])).axes
    (Axis('x', 0.0, 1.0, elements=16, s=4),)
    """
    return moved(problem, [halved(axis, hops=1) for axis in problem.axes])


def moved(problem: Problem, axes: Sequence[Axis]) -> Problem:
    """Return a problem on other meshes of its axes: itself, if they are the same.

    Parameters
    ----------
    problem
        Its separated forms know coordinates, but no meshes.
    axes
        With the names and intervals of its own, in their order.

    Raises
    ------
    ValueError
        When they are others.
    """
    for own, other in zip(problem.axes, axes, strict=False):
        if (own.name, own.domain, own.discrete) != (other.name, other.domain, other.discrete):
            break
    else:
        if len(axes) == len(problem.axes):
            if all(own.key == other.key for own, other in zip(problem.axes, axes, strict=True)):
                return problem
            alignment = Alignment(problem.axes, tuple(axes))
            found = copy.copy(problem)
            found.axes = alignment.after
            found.conditions = tuple(map(alignment.condition, problem.conditions))
            return found
    names = ", ".join(axis.name for axis in problem.axes)
    raise ValueError(
        f"answer must be one of this problem, over its axes {names}, got {', '.join(axis.name for axis in axes)}"
    )
