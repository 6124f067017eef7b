"""Where one time slab ends and the next begins: by hand, or from how far a source travels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from inntd import _checks
from inntd.axes import Axis, quadrature_points
from inntd.problems import Problem

Array = npt.NDArray[np.float64]
#: How many slabs, where they meet, or the choice left to the source.
Slabs: TypeAlias = int | Sequence[float] | Literal["auto"]

# Path per slab, in radii of a Gaussian source: shorter slabs cost more handovers, longer ones more modes.
RADII = 9.0
SAMPLES = 4  # per element in time, to follow a source
MOST_SAMPLES = 4000
# When slabs are taken without being asked for: paths of so many slabs, and sources of no more terms.
SURELY = 1.5
MOST_TERMS = 300


def split(axis: Axis, slabs: Slabs, problem: Problem | None = None) -> tuple[Axis, list[int]]:
    """Return a time axis with nodes where slabs meet, and the numbers of these nodes, both ends included.

    Parameters
    ----------
    axis
        The whole time axis.
    slabs
        See `inntd.solve`.
    problem
        Whose source says how many slabs to take with ``"auto"``.

    Raises
    ------
    ValueError, TypeError
        When times are out of order or outside the axis, or there are more slabs than the mesh in time allows.

    Examples
    --------
    >>> import inntd as it
    >>> split(it.Axis("t", 0, 1, elements=40, kind="time"), 4)[1]
    [0, 10, 20, 30, 40]
    """
    if isinstance(slabs, str):
        _checks.one_of("slabs", slabs, ("auto",))
        if problem is None:
            raise ValueError("slabs must be a number or times when the problem is a function of the time axis, got "
                             "'auto': its source is not known for all times")  # fmt: skip
        return axis, _checked(axis, _by_path(axis, problem))
    if isinstance(slabs, int):
        count = _checks.positive_int("slabs", slabs)  # which refuses True
        return axis, _checked(axis, np.rint(np.linspace(0, axis.elements, count + 1)).astype(int).tolist())
    times = _times(axis, slabs)
    changed = axis.with_breaks(times)
    return changed, _checked(changed, [int(np.abs(changed.nodes - time).argmin()) for time in
                                       [axis.domain[0], *times, axis.domain[1]]])  # fmt: skip


def _times(axis: Axis, slabs: Sequence[float]) -> list[float]:
    """Return the times inside the axis where slabs meet; its ends may be given along."""
    if not isinstance(slabs, list | tuple | np.ndarray):
        raise TypeError(f"slabs must be a number of slabs, a list of times or 'auto', got {slabs!r}")
    times = _checks.finite_vector("slabs", slabs, minimum_size=0)
    (start, end), name = axis.domain, axis.name
    small = 1e-12 * (end - start)
    if np.any(np.diff(times) <= 0):
        k = int(np.argmax(np.diff(times) <= 0))
        raise ValueError(f"slabs must be increasing times, got {times[k + 1]:g} after {times[k]:g}")
    outside = times[(times < start - small) | (times > end + small)]
    if outside.size:
        raise ValueError(f"slabs must be times of the axis {name}, from {start:g} to {end:g}, got {outside[0]:g}")
    return [float(time) for time in times if start + small < time < end - small]


def _checked(axis: Axis, nodes: list[int]) -> list[int]:
    fewest = int(np.diff(nodes).min())
    needed = 2 * _largest_patch(axis)
    if fewest < max(needed, 1):
        raise ValueError(
            f"slabs must have at least {max(needed, 1)} elements of the axis {axis.name} each, got {fewest} with "
            f"{len(nodes) - 1} slabs and {axis.elements} elements: use more elements, fewer slabs, or a smaller s"
        )
    return nodes


def _largest_patch(axis: Axis) -> int:
    s = getattr(axis.basis, "s", 0)
    return int(np.max(s)) if s is not None else 0


def _by_path(axis: Axis, problem: Problem) -> list[int]:
    """Return interfaces with equal paths of the source in between, nine of its radii or less."""
    times, path = source_path(axis, problem)
    slabs = max(1, int(np.ceil(path[-1] / RADII - 1e-9)))
    slabs = min(slabs, max(1, axis.elements // max(2 * _largest_patch(axis), 1)))
    wanted = np.interp(np.linspace(0, path[-1], slabs + 1), path, times) if path[-1] > 0 else np.array(axis.domain)
    nodes = [int(np.abs(axis.nodes - time).argmin()) for time in wanted]
    even = np.rint(np.linspace(0, axis.elements, slabs + 1)).astype(int).tolist()
    return nodes if np.diff(nodes).min() >= 2 * _largest_patch(axis) else even


def source_path(axis: Axis, problem: Problem) -> tuple[Array, Array]:
    """Return times, and how far the source has travelled until then, in radii of a Gaussian of the same kind.

    What counts is the angle by which the source turns as a function of all other coordinates: that between a Gaussian
    of radius r (standard deviation) and the same a little further, by d, is d / (sqrt(2) r). Sources that only grow or
    fade do not turn.
    """
    times, values, gram = _source(axis, problem)
    products = values @ gram
    norms = np.sqrt(np.maximum(np.einsum("tr,tr->t", products, values), 0.0))
    inner = np.einsum("tr,tr->t", products[:-1], values[1:])
    known = norms > 1e-6 * norms.max()
    both = known[:-1] & known[1:]
    cosine = np.ones(len(inner))
    cosine[both] = inner[both] / (norms[:-1] * norms[1:])[both]
    # The angle from the cosine alone would lose half of the digits, which small angles here can spare.
    turned = np.sqrt(2.0) * np.arccos(np.clip(cosine, -1.0, 1.0))
    turned[turned < 1e-5] = 0.0
    return times, np.concatenate([[0.0], np.cumsum(turned)])


def travels(problem: Problem) -> float | None:
    """Return the path of a source that surely travels, in its radii; None of one that does not, or may not.

    A source that turns within a few functions, as one that oscillates does, has a long path and goes nowhere: over a
    path of so many radii, one that travels takes about as many functions to one per cent.
    """
    times = [axis for axis in problem.axes if axis.kind == "time" and not axis.periodic]
    if not times or not problem.load or len(problem.load) > MOST_TERMS:
        return None
    axis = times[0]
    d = problem.axes.index(axis)
    if len({term.forms[d].weight for term in problem.load}) <= RADII / 2:
        return None
    _, path = source_path(axis, problem)
    length = float(path[-1])
    meshed = axis.elements >= int(np.ceil(length / RADII)) * max(2 * _largest_patch(axis), 1)
    if length < SURELY * RADII or not meshed:
        return None
    _, values, gram = _source(axis, problem)
    energies, vectors = np.linalg.eigh(gram)
    functions = np.linalg.svd(values @ (vectors * np.sqrt(np.maximum(energies, 0.0))), compute_uv=False)
    return length if int((functions > 0.01 * functions[0]).sum()) >= 0.5 * length else None


def _source(axis: Axis, problem: Problem) -> tuple[Array, Array, Array]:
    """Return times, the terms' factors at these (T, R), and inner products (R, R) of their parts in all else."""
    step = max(1, -(-axis.elements * SAMPLES // MOST_SAMPLES))
    nodes = axis.nodes[::step] if axis.elements % step == 0 else np.append(axis.nodes[::step], axis.nodes[-1])
    times = np.interp(np.linspace(0, len(nodes) - 1, SAMPLES * (len(nodes) - 1) + 1), np.arange(len(nodes)), nodes)
    if not problem.load:
        return times, np.zeros((len(times), 1)), np.ones((1, 1))
    gram = np.ones((len(problem.load), len(problem.load)))
    values, sizes = np.ones((len(times), 1)), np.ones(len(problem.load))
    for d, own in enumerate(problem.axes):
        forms = [term.forms[d] for term in problem.load]
        if own.name == axis.name:
            values = np.stack([_values(form.weight, times) for form in forms], axis=1)
        elif own.discrete:
            gram *= [[float(form.place == other.place) for other in forms] for form in forms]
        else:
            points, weights = quadrature_points(own, 4)
            columns = np.stack([_values(form.weight, points) for form in forms], axis=1)
            scale = np.sqrt(np.maximum(weights @ columns**2, 1e-300))
            gram *= (columns / scale).T @ (weights[:, None] * (columns / scale))
            sizes = sizes * scale
    return times, values * sizes * np.array([term.coefficient for term in problem.load]), gram


def _values(weight: object, points: Array) -> Array:
    return np.ones(len(points)) if weight is None else np.asarray(weight(points), dtype=np.float64)  # type: ignore[operator]
