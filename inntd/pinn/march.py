"""Everything on one mesh: parameters node by node, time slab after slab, each from the nearest solution."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from inntd.axes import Axis
from inntd.axes.assembly import face_load
from inntd.models.result import Status
from inntd.pinn.constraints import OnFace
from inntd.pinn.discretisation import Discretisation, Weight
from inntd.pinn.galerkin import Galerkin, Weak
from inntd.pinn.gauss_newton import Run, gauss_newton
from inntd.pinn.residual import Residual
from inntd.pinn.weighting import CausalWeight, MeshWeight

Array = npt.NDArray[np.float64]

#: The worse the later: a run is called by the worst of its parts.
_SEVERITY: tuple[Status, ...] = ("converged", "max_rank", "stagnated", "diverged", "interrupted")


@dataclass(frozen=True)
class Settings:
    """How to solve on one mesh.

    Parameters
    ----------
    tolerance
        Relative L2 length of a step at which to stop.
    most
        Steps of Gauss-Newton per solve.
    slabs
        Numbers of the nodes in time where one slab ends and the next begins, the two ends included; None for one solve.
    causal
        The exponent of the causal weight over all of time.
    watch
        Called after each step.
    weak
        The weak form to solve instead of the strong one's least squares.
    """

    tolerance: float
    most: int
    slabs: tuple[int, ...] | None = None
    causal: float = 0.0
    watch: Callable[[int, float], None] = lambda number, size: None
    weak: Weak | None = None


@dataclass
class Marched:
    """Nodal values (components, n_1, ..., n_D) on all axes, and how the worst solve among them ended."""

    values: Array
    status: Status = "converged"
    message: str = "all steps became small"
    steps: list[float] = field(default_factory=list)

    def add(self, run: Run, where: str) -> None:
        """Note how one solve ended."""
        self.steps += run.steps
        if _SEVERITY.index(run.status) >= _SEVERITY.index(self.status):
            self.status, self.message = run.status, run.message + (f" ({where})" if where else "")


def march(
    residual: Residual, faces: Sequence[OnFace], axes: Sequence[Axis], settings: Settings, start: Array | None = None
) -> Marched:
    """Solve on one mesh.

    Parameters
    ----------
    residual, faces
        The equations and the conditions.
    axes
        Those of the residual, with the meshes to use.
    settings
        How.
    start
        Nodal values on all axes to begin from; by default zero, and from one parameter the next.
    """
    parameters = [d for d in range(len(axes)) if d not in residual.differentiated]
    shape = (len(residual.names), *(axis.size for axis in axes))
    whole = Marched(np.zeros(shape) if start is None else start.copy())
    for index in itertools.product(*(range(axes[d].size) for d in parameters)):
        where = _at(parameters, index, len(axes))
        fixed = {d: float(axes[d].nodes[i]) for d, i in zip(parameters, index, strict=True)}
        near = whole.values[where] if start is not None else _nearest(whole.values, parameters, index)
        shown = ", ".join(f"{axes[d].name}={value:.6g}" for d, value in fixed.items())
        whole.values[where] = _in_time(residual, faces, axes, settings, near, fixed, whole, shown)
        if whole.status == "interrupted":
            break
    return whole


def _at(parameters: Sequence[int], index: Sequence[int], count: int) -> tuple[int | slice, ...]:
    """Return what picks the solution at one value of each parameter."""
    chosen: list[int | slice] = [slice(None)] * (count + 1)
    for d, i in zip(parameters, index, strict=True):
        chosen[d + 1] = i
    return tuple(chosen)


def _nearest(values: Array, parameters: Sequence[int], index: tuple[int, ...]) -> Array:
    """Return the solution at the neighbour that was solved last, zero for the first."""
    count = values.ndim - 1
    for place in reversed(range(len(index))):
        if index[place] > 0:
            before = (*index[:place], index[place] - 1, *index[place + 1 :])
            near: Array = values[_at(parameters, before, count)].copy()
            return near
    return np.zeros_like(values[_at(parameters, index, count)])


def _in_time(
    residual: Residual,
    faces: Sequence[OnFace],
    axes: Sequence[Axis],
    settings: Settings,
    near: Array,
    fixed: dict[int, float],
    whole: Marched,
    shown: str,
) -> Array:
    """Solve at one value of each parameter, slab after slab."""
    time = next((d for d in residual.differentiated if axes[d].kind == "time"), None)
    slabs = settings.slabs if time is not None else None
    if slabs is None or time is None:
        return _solved(residual, faces, axes, settings, near, fixed, whole, shown, time)
    values: Array = near.copy()
    place = residual.differentiated.index(time)
    own = list(faces)
    for first, last in itertools.pairwise(slabs):
        part = axes[time].part(first, last)
        here = (slice(None),) * (place + 1) + (slice(first, last + 1),)
        parts = [part if d == time else axis for d, axis in enumerate(axes)]
        begin = values[here].copy()
        text = ", ".join(filter(None, [shown, f"slab from {axes[time].name}={part.domain[0]:.6g}"]))
        found = _solved(residual, own, parts, settings, begin, fixed, whole, text, time)
        values[here] = found
        if whole.status in ("interrupted", "diverged"):
            break
        following = np.moveaxis(values, place + 1, 0)
        if not following[last + 1 :].any():  # nothing to begin from: a constant is nearer than zero
            following[last + 1 :] = following[last]
        own = [f for f in faces if f.axis != time] + list(_handed_over(residual, time, place, part, found))
    return values


def _handed_over(residual: Residual, time: int, place: int, part: Axis, values: Array) -> Iterator[OnFace]:
    """Yield the initial conditions of the next slab: values, and slopes where the equation is of second order."""
    moved = np.moveaxis(values, place + 1, 1)
    slope = face_load(part.end, 1)
    for k in range(len(residual.names)):
        order = residual.order(time, k)
        if order:
            yield OnFace(k, time, "start", False, np.array(moved[k, -1]))
        if order > 1:
            yield OnFace(k, time, "start", True, np.asarray(np.tensordot(slope, moved[k], 1)))


def _solved(
    residual: Residual,
    faces: Sequence[OnFace],
    axes: Sequence[Axis],
    settings: Settings,
    near: Array,
    fixed: dict[int, float],
    whole: Marched,
    shown: str,
    time: int | None,
) -> Array:
    weights: list[Weight] = [
        MeshWeight(place) for place, d in enumerate(residual.differentiated) if residual.order(d) > 1 and d != time
    ]
    if time is not None and settings.causal:
        start, end = residual.axes[time].domain
        weights.append(CausalWeight(residual.differentiated.index(time), settings.causal / (end - start)))
    if settings.weak is None:
        system = Discretisation(residual, faces, axes, weights, fixed)
    else:
        system = Galerkin(settings.weak, faces, axes, fixed)
    begin = near.copy() if near.any() else system.constraints.extension()
    system.constraints.impose(begin)
    run = gauss_newton(system, begin, tolerance=settings.tolerance, most=settings.most, watch=settings.watch)
    whole.add(run, shown)
    return run.values
