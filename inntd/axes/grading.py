"""Patches on strongly graded meshes: how much interpolation amplifies there, and which patch size still serves.

The functions of a patch sum up in absolute value to its Lebesgue constant. Where the long elements of a graded mesh
lie at an end, the patches next to it reach over ever shorter elements, and that constant explodes: a ratio of 0.5
between neighbours gives 24, 8e3 and 5e7 for s = 2, 3, 4, where equal elements have 2, 5 and 11. Measured energy errors
follow it: on meshes of ratio 0.65, s = 6 leaves half of the solution unless its patches are shortened at that end.
"""

from __future__ import annotations

import warnings
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from inntd._checks import StabilityWarning
from inntd.axes.basis import Basis, CHiDeNNBasis
from inntd.axes.mesh import Mesh

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

#: Patches may amplify this much more than those at the end of a mesh of equal elements.
LARGEST_GROWTH = 100.0
#: Patches that were given one by one and amplify more are warned of: errors of that size show.
WORTH_TELLING = 1e5
#: Patches of this many hops are warned of.
LARGE = 10
#: Patches over neighbouring elements that differ by less than this factor are not looked at.
MILD = 1.02
_PROBES = (np.arange(9) + 0.5) / 9
_CHUNK = 4096


def bounded_sizes(mesh: Mesh, s: npt.NDArray[np.int32]) -> tuple[npt.NDArray[np.int32], int, float]:
    """Return the patch sizes of all functions, shortened where the mesh is graded too strongly for them.

    Parameters
    ----------
    mesh : Mesh
        The nodes and breaks.
    s : array (mesh.size,)
        The sizes wanted.

    Returns
    -------
    sizes : array (mesh.size,)
        At most `s`, at least 1 where `s` is.
    node : int
        Where the wanted patches amplify most, -1 if nowhere too much.
    constant : float
        The Lebesgue constant there.

    Examples
    --------
    >>> from inntd.axes.mesh import make_mesh
    >>> options = dict(elements=None, grading=None, periodic=False, breaks=())
    >>> mesh = make_mesh("x", None, None, nodes=[0.0, *0.5 ** np.arange(12.0, -1, -1)], **options)
    >>> bounded_sizes(mesh, np.full(14, 3, dtype=np.int32))[0].tolist()
    [3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 2, 2]
    """
    sizes = s.astype(np.int64)
    suspects = _suspects(mesh, 2 * int(s.max(initial=0)))
    if suspects.size == 0:
        return s, -1, 0.0
    begin, end = mesh.segments()
    element = np.repeat(suspects, 2)
    node = element + np.tile([0, 1], len(suspects))
    worst, constant, first_round = -1, 0.0, True
    while element.size:
        function = node % mesh.size
        fitting = np.minimum(sizes[function], (end[element] - begin[element]) // 2)
        wide = fitting > 1
        element, node, function, fitting = element[wide], node[wide], function[wide], fitting[wide]
        values = _constants(mesh, element, np.clip(node - fitting, begin[element], end[element] - 2 * fitting), fitting)
        growth = values / np.array([_equal_spacing(size) for size in range(fitting.max(initial=1) + 1)])[fitting]
        bad = ~(growth <= LARGEST_GROWTH)
        if first_round and bad.any():
            i = int(np.argmax(growth))
            worst, constant = int(function[i]), float(values[i])
        first_round = False
        np.minimum.at(sizes, function[bad], fitting[bad] - 1)
        element, node = element[bad], node[bad]
    return (s, -1, 0.0) if worst < 0 else (sizes.astype(np.int32), worst, constant)


def is_bounded(basis: Basis) -> bool:
    """Tell whether patches of this basis are shortened on strongly graded meshes: sizes given one by one are not."""
    return isinstance(basis, CHiDeNNBasis) and _is_lagrange(basis) and not isinstance(basis.s, tuple)


def _is_lagrange(basis: CHiDeNNBasis) -> bool:
    return basis.kernel == "lagrange" and basis.ends == "shifted"


def warn_of_patches(label: str, mesh: Mesh, basis: Basis) -> None:
    """Warn of patches that are allowed but lose digits: very large ones, and own sizes on strongly graded meshes."""
    if not isinstance(basis, CHiDeNNBasis):
        return
    largest = int(np.max(basis.s))
    if largest >= LARGE:
        warnings.warn(
            f"{label}: patches of s={largest} lose digits (condition numbers grow about tenfold with each step, to "
            "1e10 at s=10 with 32 nodes): use s up to 8, and more elements instead",
            StabilityWarning,
            stacklevel=3,
        )
    if isinstance(basis.s, tuple) and _is_lagrange(basis):
        sizes = basis.patches(mesh.size).s
        shorter, node, constant = bounded_sizes(mesh, sizes)
        if constant > WORTH_TELLING:
            warnings.warn(
                f"{label}: the mesh is graded too strongly for s={sizes[node]} at node {node} ({mesh.nodes[node]:g}), "
                f"where interpolation amplifies {constant:.0e} times: use s={shorter[node]} there, or one s for all "
                "nodes, which is shortened where it must be",
                StabilityWarning,
                stacklevel=3,
            )


def _suspects(mesh: Mesh, reach: int) -> Integers:
    """Return the elements within reach of neighbours of different lengths."""
    if mesh.uniform or reach == 0:
        return np.empty(0, dtype=np.int64)
    logarithm = np.log(np.diff(mesh.nodes))
    steps = np.append(np.diff(logarithm), logarithm[0] - logarithm[-1] if mesh.periodic else 0.0)
    near = np.zeros(mesh.elements, dtype=bool)
    for place in np.flatnonzero(np.abs(steps) > np.log(MILD)):
        if mesh.periodic:
            near[np.arange(place - reach, place + reach + 2) % mesh.elements] = True
        else:
            near[max(place - reach, 0) : place + reach + 2] = True
    return np.flatnonzero(near)


def _constants(mesh: Mesh, element: Integers, first: Integers, s: Integers) -> Array:
    """Return the Lebesgue constants, on elements, of patches that begin at the nodes `first`."""
    values = np.empty(len(element))
    for size in np.unique(s):
        which = np.flatnonzero(s == size)
        for begin in range(0, len(which), _CHUNK):
            part = which[begin : begin + _CHUNK]
            nodes = mesh.unwrapped(first[part][:, None] + np.arange(2 * size + 1))
            left, right = mesh.nodes[element[part]], mesh.nodes[element[part] + 1]
            values[part] = _lebesgue(nodes, left, right)
    return values


def _lebesgue(nodes: Array, left: Array, right: Array) -> Array:
    """Return the largest sum of the absolute Lagrange functions of patches (C, m) on the elements [left, right]."""
    x = (nodes - left[:, None]) / (right - left)[:, None]
    apart = np.abs(x[:, :, None] - x[:, None, :])
    apart[:, np.arange(x.shape[1]), np.arange(x.shape[1])] = 1.0
    weights = -np.log(apart).sum(axis=2)
    largest = np.zeros(len(x))
    for probe in _PROBES:
        distance = np.log(np.maximum(np.abs(probe - x), 1e-300))
        terms = np.exp(np.minimum(distance.sum(axis=1)[:, None] - distance + weights, 700.0))
        largest = np.maximum(largest, terms.sum(axis=1))
    return largest


@lru_cache(maxsize=64)
def _equal_spacing(s: int) -> float:
    """Return the Lebesgue constant at the end of a mesh of equal elements."""
    return float(_lebesgue(np.arange(2.0 * s + 1)[None, :], np.zeros(1), np.ones(1))[0])
