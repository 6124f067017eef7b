r"""Greedy reduced bases: full solutions at the parameters where the present answer is worst, Galerkin in their span.

The worst parameter of a training set is found by the dual norm of the residual, which costs nothing that depends on the
mesh. Where the operator is coercive with a computable bound (min-theta, or successive constraints), the same norm over
that bound *bounds* the error in the energy norm; elsewhere it is divided by the inf-sup constant of the functions so
far, which is no bound. The full solution that comes next tells the true error there: from the ratio of both, the
relative L2 error over the training set is *estimated*, without the bound's pessimism.

References: Prud'homme et al., "Reliable real-time solution of parametrized partial differential equations", J. Fluids
Eng. 124, 2002; Hesthaven, Rozza and Stamm, "Certified Reduced Basis Methods for Parametrized PDEs", 2016.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import torch

from inntd.axes import Axis
from inntd.models.memory import refuse_beyond
from inntd.models.reduced_system import Projection, ReducedSystem
from inntd.models.result import Status, Step
from inntd.models.successive import SuccessiveConstraints
from inntd.solvers.affine import Affine
from inntd.solvers.coercivity import Norm, energy_norm
from inntd.solvers.factorise import SingularError
from inntd.solvers.merged import MergedSpace
from inntd.solvers.snapshots import Snapshots
from inntd.solvers.training_set import training_points

Array = npt.NDArray[np.float64]

FLOOR = 1e-12  # relative errors below are rounding
SAFETY = 2.0  # the L2 error may be larger where the residual is not largest
RECENT = 4  # full solutions of which the ratios of error and residual are taken
SOLVED = 1e-6  # relative residual above which a full solution is none


@dataclass
class Greedy:
    """A reduced basis under way.

    Attributes
    ----------
    points, theta, theta_load
        Training set (K, P), and its functions (K, Q) and (K, R).
    alpha
        Lower bounds (K,) of the coercivity constant there, None without.
    chosen
        Which of them have their full solution in the basis.
    ratios
        For each full solution the relative L2 error that it revealed over the indicator that led to it.
    """

    space: MergedSpace
    axes: Sequence[Axis]
    points: Array
    theta: Array
    theta_load: Array
    norm: Norm
    alpha: Array | None
    snapshots: Snapshots
    chosen: list[int] = field(default_factory=list)
    ratios: list[float] = field(default_factory=list)
    history: list[Step] = field(default_factory=list)
    estimate: float = float("inf")
    bound: float = float("inf")


@dataclass(frozen=True)
class Reduced:
    """What the greedy algorithm found.

    Attributes
    ----------
    functions
        Basis (n, N) on the free functions of the merged axes.
    estimate
        Of the largest relative L2 error over the training set.
    bound
        Of the largest relative error in the energy norm there: guaranteed, or infinite.
    snapshots
        Parameters (N, P) of the full solutions.
    """

    functions: Array
    system: ReducedSystem
    status: Status
    message: str
    estimate: float
    bound: float
    snapshots: Array
    history: tuple[Step, ...]
    notes: tuple[str, ...]


def reduce(
    affine: Affine, tolerance: float | None, rank: int, seed: int, watch: Callable[[Step], None] | None = None
) -> Reduced:
    """Build a reduced basis until the estimated relative L2 error is at most the tolerance at all training parameters.

    Parameters
    ----------
    affine
        The parametric operator on merged axes.
    tolerance
        None: as many functions as `rank` says.
    rank
        Largest number of full solutions.
    seed
        Of the training set.
    watch
        Called after every full solution.

    Raises
    ------
    MemoryError
        When basis and residuals would not fit, with their size in GB.
    """
    rank = min(rank, affine.space.size)
    _refuse(affine.space, affine.terms, rank)
    begin = time.perf_counter()
    greedy = _start(affine, rank, seed)
    try:
        status, message = _grow(greedy, tolerance, rank, begin, watch)
    except KeyboardInterrupt:
        status, message = "interrupted", "stopped by the user; the full solutions found so far are kept"
    return _result(greedy, status, message)


def _refuse(space: MergedSpace, terms: int, rank: int) -> None:
    vectors = rank + min(space.size, space.load.shape[1] + terms * rank)
    refuse_beyond(f"a reduced basis of up to {rank} functions and their residuals", 8 * space.size * vectors
                  + 2 * space.nbytes(), None, "give a lower rank, or use fewer elements")  # fmt: skip


def _start(affine: Affine, rank: int, seed: int) -> Greedy:
    axes = [affine.axes[d] for d in affine.parameters]
    points = training_points(axes, seed)
    with torch.no_grad():
        values = affine.products(torch.from_numpy(points)).numpy()
    loads = affine.space.load.shape[1]
    theta, theta_load = values[:, : affine.terms], values[:, affine.terms : affine.terms + loads]
    norm = energy_norm(affine.space, theta)
    projection: Projection = "galerkin" if norm.coercivity is not None else "minimal_residual"
    snapshots = Snapshots.empty(affine.space, norm.inner, affine.terms, projection, norm.coercivity, rank)
    return Greedy(affine.space, axes, points, theta, theta_load, norm, norm.constants(theta), snapshots)


def _grow(
    greedy: Greedy, tolerance: float | None, rank: int, begin: float, watch: Callable[[Step], None] | None
) -> tuple[Status, str]:
    while True:
        indicator, worst = _survey(greedy)
        if greedy.chosen:
            greedy.history.append(Step(greedy.snapshots.count, greedy.estimate, 1, time.perf_counter() - begin))
            if watch is not None:
                watch(greedy.history[-1])
            ended = _ended(greedy, tolerance, rank)
            if ended is not None:
                return ended
        if indicator == 0.0 and not greedy.chosen:
            return "converged", "the load vanishes at all training parameters: so does the solution"
        ended = _advance(greedy, worst, indicator, tolerance)
        if ended is not None:
            return ended


def _survey(greedy: Greedy) -> tuple[float, int]:
    """Solve the reduced system at all training parameters; return the largest indicator and where it is."""
    system = greedy.snapshots.system()
    found = system.solve(greedy.theta, greedy.theta_load)
    norms = system.residual(greedy.theta, greedy.theta_load, found)
    alpha = system.inf_sup(greedy.theta) if greedy.alpha is None else greedy.alpha
    size = np.linalg.norm(found, axis=1) if greedy.chosen else np.ones(len(norms))
    bounds = np.divide(norms, alpha, out=np.full(len(norms), np.inf), where=alpha > 0)
    relative = np.divide(bounds, size, out=np.full(len(norms), np.inf), where=size > 0)
    relative[(norms == 0) & (size == 0)] = 0.0
    relative[~np.isfinite(relative)] = np.inf
    worst = int(np.argmax(relative))
    largest = float(relative[worst])
    # |u| >= |u_N| - bound: relative to the unknown solution, not to the reduced one.
    certain = system.coercivity is not None and bool(greedy.chosen) and largest < 1
    greedy.bound = largest / (1 - largest) if certain else float("inf")
    if greedy.ratios:
        greedy.estimate = max(SAFETY * largest * max(greedy.ratios[-RECENT:]), FLOOR)
    return largest, worst


def _ended(greedy: Greedy, tolerance: float | None, rank: int) -> tuple[Status, str] | None:
    count = greedy.snapshots.count
    if tolerance is not None and greedy.estimate <= tolerance:
        return "converged", f"the largest relative error over {len(greedy.points)} parameters is about "\
                            f"{greedy.estimate:.1e}"  # fmt: skip
    if count >= rank:
        if tolerance is None:
            return "converged", f"{count} full solutions, as asked for"
        return "max_rank", f"{count} full solutions do not reach the tolerance {tolerance:.0e}: raise rank"
    return None


def _advance(greedy: Greedy, worst: int, indicator: float, tolerance: float | None) -> tuple[Status, str] | None:
    """Solve in full at the worst parameter, and learn from it what the indicator is worth."""
    if worst in greedy.chosen:
        return "stagnated", (
            f"the residual is largest where a full solution is known already, {_place(greedy, worst)}: rounding "
            f"ends it at an estimated error of {greedy.estimate:.0e}; loosen tolerance"
        )
    try:
        solution = _full_solution(greedy, worst)
    except SingularError as failure:
        return "diverged", (
            f"the full solution fails at {_place(greedy, worst)}: {failure}; the operator loses its inverse there: "
            "leave the place out of the parameters' intervals"
        )
    error = _true_error(greedy, solution, worst)
    if greedy.chosen and 0 < indicator < np.inf:
        greedy.ratios.append(error / indicator)
    greedy.chosen.append(worst)
    if not greedy.snapshots.add(solution):
        greedy.estimate = max(error, FLOOR)
        if tolerance is not None and greedy.estimate <= tolerance:
            return "converged", f"the next full solution, at {_place(greedy, worst)}, lies in the span of the others"
        return "stagnated", (
            f"the full solution at {_place(greedy, worst)} lies in the span of the others: rounding ends it at "
            f"an estimated error of {greedy.estimate:.0e}; loosen tolerance"
        )
    return None


def _full_solution(greedy: Greedy, place: int) -> Array:
    theta, right = greedy.theta[place], greedy.space.load @ greedy.theta_load[place]
    solution = greedy.space.operator(theta).solve(right)
    image = sum(factor * greedy.space.apply(q, solution) for q, factor in enumerate(theta))
    left = float(np.linalg.norm(image - right))
    if not left <= SOLVED * float(np.linalg.norm(right)):
        raise SingularError(f"its relative residual is {left / float(np.linalg.norm(right)):.0e}")
    return solution


def _true_error(greedy: Greedy, solution: Array, place: int) -> float:
    """Return the relative L2 error of the reduced solution where the full one is known."""
    system = greedy.snapshots.system()
    one = slice(place, place + 1)
    coefficients = system.solve(greedy.theta[one], greedy.theta_load[one])[0]
    off = solution - greedy.snapshots.functions.vectors @ coefficients
    mass = greedy.space.mass
    size = float(solution @ (mass @ solution))
    return float(np.sqrt(max(0.0, float(off @ (mass @ off))) / size)) if size > 0 else 0.0


def _place(greedy: Greedy, place: int) -> str:
    """Return a parameter in words."""
    return ", ".join(f"{axis.name} = {x:.4g}" for axis, x in zip(greedy.axes, greedy.points[place], strict=True))


def _result(greedy: Greedy, status: Status, message: str) -> Reduced:
    count = greedy.snapshots.count
    chosen = greedy.chosen[:count]
    notes = [f"{count} full solutions, picked by the residual from {len(greedy.points)} parameters"]
    system = greedy.snapshots.system()
    if system.coercivity is None:
        notes.append(f"no bound of the error, only an estimate: {greedy.norm.reason(greedy.axes, greedy.points)}")
    else:
        system = replace(system, smallest=greedy.norm.smallest(greedy.space))
        if isinstance(system.coercivity, SuccessiveConstraints):
            notes.append(
                f"coercivity in the norm of H1 from {len(system.coercivity.alpha)} eigenvalues (successive constraints)"
            )
    if system.coercivity is not None and np.isfinite(greedy.bound):
        notes.append(
            f"guaranteed at these parameters: the relative error in the energy norm is at most {greedy.bound:.1e} "
            "(model.error_bound tells it at any other)"
        )
    return Reduced(
        greedy.snapshots.functions.vectors,
        system,
        status,
        message,
        0.0 if not greedy.chosen and status == "converged" else greedy.estimate,
        greedy.bound,
        greedy.points[chosen],
        tuple(greedy.history),
        tuple(notes),
    )
