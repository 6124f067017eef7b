"""Finds rigid motions that the conditions of a vector problem leave free, rotations among them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from inntd.solvers.operator import DiscreteSystem

Vector = npt.NDArray[np.float64]

#: A motion counts as free when the operator makes less than this of it, relative to the sum of its terms' sizes.
_FREE = 1e-8


def free_motion(system: DiscreteSystem) -> dict[tuple[int, str], float]:
    """Return a linear motion that the operator does not see and no condition prevents.

    Candidates are the constants and the coordinates in every component, as far as they vanish where values are
    prescribed: translations, rotations and stretchings.

    Parameters
    ----------
    system
        The assembled system of a vector problem.

    Returns
    -------
    dict
        Coefficients by component and axis name, `""` for the constant; empty when there is no such motion.
    """
    assert system.component is not None
    space = [d for d, axis in enumerate(system.axes) if axis.kind == "space" and not axis.periodic]
    count = system.axes[system.component].size
    candidates = [(k, d) for k in range(count) for d in (-1, *space)]
    allowed = _allowed(system, candidates, count)
    if allowed.shape[1] == 0:
        return {}
    products, sizes = _products(system, candidates)
    reduced = allowed.T @ products @ allowed
    scale = float((np.abs(allowed).T @ sizes @ np.abs(allowed)).max())
    _, singular, right = np.linalg.svd(reduced)
    if singular[-1] > _FREE * scale:
        return {}
    motion = allowed @ right[-1]
    if not _vanishes(system, candidates, motion):
        return {}
    largest = np.abs(motion).max()
    return {
        (k, system.axes[d].name if d >= 0 else ""): float(value / largest)
        for (k, d), value in zip(candidates, motion, strict=True)
        if abs(value) > 1e-6 * largest
    }


def _column(system: DiscreteSystem, candidate: tuple[int, int], d: int) -> Vector:
    """Return one axis' nodal values of a candidate, centred so that all have about one size."""
    axis, (component, coordinate) = system.axes[d], candidate
    if d == system.component:
        return np.asarray(np.arange(axis.size) == component, dtype=np.float64)
    if d != coordinate:
        return np.ones(axis.size)
    nodes: Vector = axis.nodes[: axis.size]
    return nodes / np.ptp(nodes)


def _allowed(system: DiscreteSystem, candidates: list[tuple[int, int]], count: int) -> Vector:
    """Return a basis of the combinations that vanish on all faces with prescribed values, by columns."""
    rows = []
    for k in range(count):
        own = [i for i, (component, _) in enumerate(candidates) if component == k]
        for d, axis in enumerate(system.axes):
            if d == system.component:
                continue
            for end in (0, axis.size - 1):
                if not _fixed(system, d, end, k):
                    continue
                # Every coordinate along the face on its own, and what is left on the face.
                rows += [np.eye(len(candidates))[i] for i in own if candidates[i][1] not in (-1, d)]
                on_face = np.zeros(len(candidates))
                for i in own:
                    if candidates[i][1] in (-1, d):
                        on_face[i] = _column(system, candidates[i], d)[end]
                rows.append(on_face)
    if not rows:
        return np.eye(len(candidates))
    _, singular, right = np.linalg.svd(np.array(rows))
    rank = int((singular > 1e-12 * singular[0]).sum())
    return np.asarray(right[rank:].T)


def _fixed(system: DiscreteSystem, d: int, node: int, component: int) -> bool:
    free = system.free[d]
    if not free.start <= node < free.stop:
        return True
    fixed = system.fixed[d]
    return fixed is not None and bool(fixed[node - free.start, component])


def _products(system: DiscreteSystem, candidates: list[tuple[int, int]]) -> tuple[Vector, Vector]:
    """Return a(w_q, w_p) of all candidates, and the sums of the sizes of its terms."""
    shape = (len(candidates), len(candidates), len(system.terms))
    total = np.broadcast_to(system.coefficients, shape).copy()
    for d, matrices in enumerate(system.matrices):
        columns = np.stack([_column(system, candidate, d) for candidate in candidates], axis=1)
        grams = np.stack([columns.T @ (matrix @ columns) for matrix in matrices], axis=2)
        total *= grams[:, :, system.terms[:, d]]
    return total.sum(axis=2), np.abs(total).sum(axis=2)


def _vanishes(system: DiscreteSystem, candidates: list[tuple[int, int]], motion: Vector) -> bool:
    """Tell whether the operator makes nothing of a motion, tested with everything that is free.

    Sums of products are compared through their Gram matrices, so nothing smaller than the root of round-off is told
    from zero.
    """
    assert system.component is not None
    weights = np.outer(motion, system.coefficients).ravel()
    grams: list[Vector] = []
    for d, matrices in enumerate(system.matrices):
        columns = np.stack([_column(system, candidate, d) for candidate in candidates], axis=1)
        images = np.stack([matrix @ columns for matrix in matrices], axis=2)[:, :, system.terms[:, d]]
        flat = images.reshape(len(columns), -1)
        grams.append(flat[system.free[d]].T @ flat[system.free[d]])
    sizes = np.prod([np.sqrt(np.diagonal(gram)) for gram in grams], axis=0)
    total = float(weights @ np.prod(grams, axis=0) @ weights)
    return abs(total) <= (1e-6 * float(np.abs(weights) @ sizes)) ** 2
