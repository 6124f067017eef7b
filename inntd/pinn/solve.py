"""The PINN mode's front door: one call from a strong form to a model."""

from __future__ import annotations

import sys
import time as clock
from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from inntd import _checks
from inntd._kernels import blas_threads
from inntd._version import __version__
from inntd.axes import Axis
from inntd.models import CPModel, TuckerModel
from inntd.models.result import Answer, ErrorEstimate, Step
from inntd.pinn.compress import compressed
from inntd.pinn.constraints import OnFace, read_conditions
from inntd.pinn.estimate import distance, interpolation_error, shorter
from inntd.pinn.galerkin import weak_of
from inntd.pinn.march import Marched, Settings, march
from inntd.pinn.remesh import monitor, remeshed
from inntd.pinn.residual import Residual
from inntd.pinn.separated_solve import solve_separated
from inntd.problems import Problem

Array = npt.NDArray[np.float64]
Model: TypeAlias = CPModel | TuckerModel
Start: TypeAlias = "Model | Callable[..., Any] | None"
Optimizer = Literal["auto", "gauss_newton", "galerkin", "alternating"]

DEFAULT_TOLERANCE = 1e-8
#: Rounds of remeshing.
ROUNDS = 3
#: The meshes between are solved to this tolerance: only the shape of the gradient is asked of them.
ROUGH = 1e-3
#: Exponent of the causal weight over all of time.
CAUSAL = 8.0
MOST_AXES = 3


def solve(
    problem: Problem,
    *,
    optimizer: Optimizer = "auto",
    tolerance: float = DEFAULT_TOLERANCE,
    adapt: bool | int = False,
    slabs: int = 1,
    rank: int = 8,
    seed: int = 0,
    causal: float | Literal["auto"] = "auto",
    start: Start = None,
    steps: int = 50,
    estimate: bool = True,
    progress: bool | None = None,
) -> Answer[Model]:
    """Solve a problem in strong form, linear or not, by least squares of its residual.

    The unknowns are the nodal values on the full grid of the axes along which something is differentiated, up to three;
    a second derivative of the basis is square-integrable, so equations are of second order at most. Values and slopes
    that conditions give are kept exactly. Axes without derivatives, such as parameters, are solved node by node, each
    from its neighbour.

    Parameters
    ----------
    problem
        Stated with ``strong=``; nothing is implied at faces without conditions.
    optimizer
        ``"gauss_newton"``: Newton steps of the least-squares problem, factorised in banded form (by orthogonal
        transformations on a single axis), with backtracking. ``"galerkin"``: Newton's method for the weak form over
        space and time at once, where faces in space without conditions have no flux; for smooth starts, of first order
        in time. ``"alternating"``: for more than three axes, a CP model that grows mode by mode, by alternating
        Gauss-Newton steps for each factor and Levenberg-Marquardt for all; zero values on faces, one unknown.
        ``"auto"`` chooses by the number of axes; a note says why.
    tolerance
        Relative L2 length of a step at which to stop, and of what compression to fewer modes may change.
    adapt
        Whether to move the nodes of space axes to where the solution is steep, and how often; True means three times.
    slabs
        Number of parts of the time axis, of equal numbers of elements, solved one after the other.
    rank, seed
        Of ``"alternating"`` only: the largest number of modes; of its random modes and points.
    causal
        Exponent of the weight that falls over time, since early errors grow into late ones. ``"auto"``: 8 for
        nonlinear equations of first order in time, divided by the number of slabs; else 0.
    start
        Where to begin: a model, or a function of the coordinates as arrays, one per axis of the unknown. By default
        the given values continued inward, and from one parameter and slab the next.
    steps
        Largest number of steps for each solve.
    estimate
        Whether to solve once more with shorter patches, for the error estimate.
    progress
        Whether to show a progress bar on standard error; by default on a terminal only.

    Returns
    -------
    Answer
        Its model is a :class:`~inntd.CPModel` for one or two axes, else a :class:`~inntd.TuckerModel`. The
        discretisation error is that of the solution with patches one hop shorter, which is cautious; the residual is
        no measure of it. Ctrl-C returns the best values so far.

    Raises
    ------
    ValueError
        A condition is missing for the order of the equation; a derivative that the basis does not carry; a residual
        that is not finite at the start; conditions that the optimiser does not take.
    MemoryError
        The grid is too large for a banded factorisation.

    Examples
    --------
    >>> import inntd as it
    >>> t = it.Axis("t", 0, 1, elements=20, kind="time")
    >>> u = it.unknown("u", t)
    >>> answer = it.pinn.solve(it.Problem(strong=it.dt(u) + u**2, conditions=[u.at(t=0) == 1]))  # 1 / (1 + t)
    >>> answer.status, abs(answer.model.at(t=1.0) - 0.5) < 1e-8
    ('converged', True)
    """
    if not isinstance(problem, Problem):
        raise TypeError(f"problem must be an inntd.Problem, got {type(problem).__name__}")
    begin = clock.perf_counter()
    _checks.one_of("optimizer", optimizer, ("auto", "gauss_newton", "galerkin", "alternating"))
    tolerance = _checks.relative_error("tolerance", tolerance)
    most = _checks.positive_int("steps", steps)
    rounds = ROUNDS * adapt if isinstance(adapt, bool) else _checks.positive_int("adapt", adapt, minimum=0)
    residual = Residual(problem)
    weak = weak_of(problem) if optimizer == "galerkin" else None
    if weak is None:
        residual.check_continuity()
    faces = read_conditions(problem, residual, natural=weak is not None)
    if optimizer == "alternating" or (optimizer == "auto" and len(residual.differentiated) > MOST_AXES):
        if slabs != 1 or rounds or start is not None:
            raise ValueError("slabs, adapt and start are not for optimizer 'alternating', which many axes take")
        with _Progress(progress) as bar, blas_threads(None):
            return solve_separated(residual, faces, tolerance, most, rank, seed, estimate, bar.show)
    why = _why(residual, optimizer)
    with _Progress(progress) as bar, blas_threads(None):
        axes = list(residual.axes)
        axes, cuts = _with_slabs(axes, slabs, residual)
        exponent = _causal(causal, residual, len(cuts or [0, 0]) - 1)
        values = _start(start, residual, axes)
        notes = [why]
        for number in range(rounds):
            rough = Settings(max(ROUGH, tolerance), most, cuts, exponent, bar.show, weak)
            found = march(residual, faces, axes, rough, values)
            if found.status == "interrupted":
                return _answer(problem, residual, axes, found, None, tolerance, notes, begin)
            axes, values = _moved(residual, axes, found.values)
            notes.append(_shown_mesh(axes, residual, number))
        settings = Settings(tolerance, most, cuts, exponent, bar.show, weak)
        found = march(residual, faces, axes, settings, values)
        error = None
        if estimate and found.status in ("converged", "stagnated"):
            error = _estimate(residual, faces, axes, settings, found)
    return _answer(problem, residual, axes, found, error, tolerance, notes, begin)


def _why(residual: Residual, optimizer: str) -> str:
    names = [residual.axes[d].name for d in residual.differentiated]
    sizes = [residual.axes[d].size for d in residual.differentiated]
    if not names:
        raise ValueError("strong: nothing is differentiated, so this is no differential equation")
    if len(names) > MOST_AXES:
        raise ValueError(
            f"strong: {len(names)} axes are differentiated ({', '.join(names)}), and the full grid is for {MOST_AXES} "
            "at most; use optimizer='alternating'"
        )
    shown = " x ".join(map(str, sizes))
    how = "QR, which does not square the condition number" if len(names) == 1 else "banded Cholesky factorisation"
    if optimizer == "galerkin":
        return f"galerkin was asked for: the weak form over {', '.join(names)}, {shown} nodes, by banded elimination"
    chosen = "chosen" if optimizer == "auto" else "asked for"
    return (
        f"gauss_newton was {chosen}: the full grid over {', '.join(names)} has {shown} nodes, few enough for {how}; "
        "the solution is compressed afterwards"
    )


def _with_slabs(axes: Sequence[Axis], slabs: int, residual: Residual) -> tuple[list[Axis], tuple[int, ...] | None]:
    """Return the axes with breaks in time at the ends of slabs, and these as numbers of nodes."""
    slabs = _checks.positive_int("slabs", slabs)
    if slabs == 1:
        return list(axes), None
    time = [d for d in residual.differentiated if axes[d].kind == "time" and not axes[d].periodic]
    if not time:
        raise ValueError(f"slabs must be 1 without a time axis that is differentiated, got {slabs}")
    axis = axes[time[0]]
    least = axis.table.degree
    if axis.elements // slabs < least:
        raise ValueError(
            f"slabs must leave {least} elements of {axis.name} for each, got {slabs} slabs of {axis.elements} elements"
        )
    cuts = np.rint(np.linspace(0, axis.elements, slabs + 1)).astype(int)
    broken = list(axes)
    broken[time[0]] = axis.with_breaks(axis.nodes[cuts[1:-1]])
    return broken, tuple(map(int, cuts))


def _causal(causal: float | str, residual: Residual, slabs: int) -> float:
    time = [d for d in residual.differentiated if residual.axes[d].kind == "time"]
    if not time:
        return 0.0
    if causal == "auto":
        return CAUSAL / slabs if not residual.linear and residual.order(time[0]) == 1 else 0.0
    value = _checks.finite_float("causal", causal)
    if value < 0:
        raise ValueError(f"causal must not be negative, got {value}: the first times would count least")
    return value


def _start(start: Start, residual: Residual, axes: Sequence[Axis]) -> Array | None:
    """Return the nodal values to begin from."""
    if start is None:
        return None
    shape = (len(residual.names), *(axis.size for axis in axes))
    nodes = [axis.nodes[: axis.size] for axis in axes]
    if isinstance(start, (CPModel, TuckerModel)):
        names = [axis.name for axis in start.axes if axis.kind != "component"]
        if names != [axis.name for axis in axes]:
            raise ValueError(f"start must be a model over {', '.join(a.name for a in axes)}, got {', '.join(names)}")
        vectors = {axis.name: x for axis, x in zip(axes, nodes, strict=True)}
        component = [axis for axis in start.axes if axis.kind == "component"]
        vectors |= {axis.name: axis.nodes for axis in component}
        grid = np.asarray(start.grid(vectors).detach())
        place = [axis.kind for axis in start.axes].index("component") if component else None
        grid = grid[None] if place is None else np.moveaxis(grid, place, 0)
    elif callable(start):
        grid = np.asarray(start(*np.meshgrid(*nodes, indexing="ij")), dtype=np.float64)
        grid = grid[None] if len(residual.names) == 1 and grid.shape != shape else grid
        grid = np.broadcast_to(grid, shape).copy() if grid.size == 1 else grid
    else:
        raise TypeError(f"start must be a model or a function of the coordinates, got {type(start).__name__}")
    if grid.shape != shape:
        raise ValueError(f"start must give values of shape {shape} (components, then axes), got {grid.shape}")
    return np.array(grid, dtype=np.float64)


def _moved(residual: Residual, axes: Sequence[Axis], values: Array) -> tuple[list[Axis], Array]:
    """Return space axes with nodes where the solution is steep, and the solution there."""
    moved = list(axes)
    for d in residual.differentiated:
        if axes[d].kind == "space":
            moved[d] = remeshed(axes[d], monitor(axes[d], values, d))
            nodes = moved[d].nodes[: moved[d].size]
            index, table = axes[d].tabulate(nodes)
            old = np.moveaxis(values, d + 1, 0)
            flat = np.einsum("kw,kwr->kr", table, old.reshape(len(old), -1)[index])
            values = np.moveaxis(flat.reshape(-1, *old.shape[1:]), 0, d + 1)
    return moved, values


def _shown_mesh(axes: Sequence[Axis], residual: Residual, number: int) -> str:
    parts = []
    for d in residual.differentiated:
        if axes[d].kind == "space":
            lengths = np.diff(axes[d].nodes)
            parts.append(f"{axes[d].name} {lengths.min():.2g} to {lengths.max():.2g}")
    return f"mesh {number + 1} by the gradient: elements of {', '.join(parts)}"


def _estimate(
    residual: Residual, faces: Sequence[OnFace], axes: Sequence[Axis], settings: Settings, found: Marched
) -> tuple[float, dict[str, float]] | None:
    """Return the distance to the solution with shorter patches plus the axes' interpolation errors, and the latter."""
    shorts = [shorter(axis) for axis in axes]
    if all(a is b for a, b in zip(axes, shorts, strict=True)):
        return None
    parameters = [d for d in range(len(axes)) if d not in residual.differentiated]
    shares = {axis.name: interpolation_error(axes, found.values, d) for d, axis in enumerate(axes)}
    total = sum(shares.values())
    picked = [sorted({0, axes[d].size // 2, axes[d].size - 1}) for d in parameters]
    sub = found.values
    few_axes, few_shorts = list(axes), list(shorts)
    for d, chosen in zip(parameters, picked, strict=True):
        sub = np.take(sub, chosen, axis=d + 1)
        few_axes[d] = few_shorts[d] = _points_axis(axes[d], chosen)
    again = march(residual, faces, few_shorts, settings, sub)
    if again.status not in ("converged", "stagnated"):
        return None
    total += distance(few_axes, sub, few_shorts, again.values)
    found.steps += again.steps
    return total, shares


def _points_axis(axis: Axis, chosen: Sequence[int]) -> Axis:
    """Return an axis whose nodes are some of the nodes of a parameter axis."""
    if len(chosen) == axis.size:
        return axis
    return Axis(axis.name, nodes=axis.nodes[list(chosen)], kind=axis.kind, s=1)


def _answer(
    problem: Problem,
    residual: Residual,
    axes: Sequence[Axis],
    found: Marched,
    error: tuple[float, dict[str, float]] | None,
    tolerance: float,
    notes: Sequence[str],
    begin: float,
) -> Answer[Model]:
    component = problem.setting.component
    all_axes, values = list(axes), found.values
    if component is None:
        values = values[0]
    else:
        all_axes.insert(component, problem.setting.axes[component])
        values = np.moveaxis(values, 0, component)
    model, modes, lost = compressed(all_axes, values, tolerance)
    last = found.steps[-1] if found.steps else 0.0
    total, shares = error if error is not None else (None, {})
    estimate = ErrorEstimate(lost + last, total, shares)
    seconds = clock.perf_counter() - begin
    model.metadata |= {
        "solver": {"method": "pinn", "version": __version__},
        "status": found.status,
        "error_estimate": total,
    }
    history = tuple(Step(modes, size, k + 1, seconds) for k, size in enumerate(found.steps))
    fields = _fields(problem, all_axes, found.values, axes, tolerance, model)
    return Answer(model, found.status, found.message, estimate, modes, seconds, history, tuple(notes), fields)


def _fields(
    problem: Problem, all_axes: Sequence[Axis], values: Array, axes: Sequence[Axis], tolerance: float, model: Model
) -> dict[str, Model]:
    """Return one model per unknown."""
    if len(problem.unknowns) == 1:
        return {problem.unknown.name: model}
    found: dict[str, Model] = {}
    for unknown in problem.unknowns:
        first, count = problem.setting.slots[unknown].first, unknown.components
        if unknown.component_axis is None or count is None:
            found[unknown.name] = compressed(axes, values[first], tolerance)[0]
            continue
        place = unknown.axes.index(unknown.component_axis)
        own = list(axes)
        own.insert(place, unknown.component_axis)
        found[unknown.name] = compressed(own, np.moveaxis(values[first : first + count], 0, place), tolerance)[0]
    return found


class _Progress:
    """A bar that counts steps and shows their lengths."""

    def __init__(self, wanted: bool | None) -> None:
        shown = sys.stderr.isatty() if wanted is None else bool(wanted)
        self.bar = tqdm(unit="step", desc="pinn", disable=not shown, leave=False)

    def __enter__(self) -> _Progress:
        return self

    def show(self, number: int, size: float) -> None:
        """Count a step."""
        self.bar.set_postfix_str(f"change {size:.1e}")
        self.bar.update()

    def __exit__(self, *_: object) -> None:
        self.bar.close()
