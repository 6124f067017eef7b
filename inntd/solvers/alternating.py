"""Greedy growth with block updates of all modes: the solver for separated Galerkin systems.

Modes are added a few at a time on the residual, as in the INN-TD paper's Algorithm 3; then sweeps update **all**
modes of one axis after the other. Without these updates a greedy expansion stagnates.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from inntd._kernels import core
from inntd.models.result import Status, Step
from inntd.solvers.coordinates import AxisCoordinates
from inntd.solvers.momentum import Momentum
from inntd.solvers.operator import DiscreteSystem
from inntd.solvers.working import WorkingSystem

Vector = npt.NDArray[np.float64]

logger = logging.getLogger(__name__)

# Below this relative change a double-precision alternating solve only moves round-off about.
FLOOR = 1e-12
# Estimates below which rounding is what ends progress, rather than the route.
ROUNDING = 1e-8
# Modes from which on they may be settled while they grow.
FIRST_SETTLING = 8
# So large a relative change by further modes means that the modes asked for are no answer yet.
FEW = 0.1


@dataclass(frozen=True)
class Plan:
    """How to grow and when to stop.

    Parameters
    ----------
    tolerance
        Relative L2 change by which the run counts as converged; None grows to `rank` regardless.
    rank
        Largest number of modes.
    block
        Modes per growth step at most.
    updates
        Whether all modes are updated after each growth; False is the pure greedy algorithm of the paper.
    seed
        Of the random part of new modes' starting values.
    proximal
        Strength of the proximal term, relative to the mean diagonal.
    growth_sweeps
        Sweeps over new modes alone, at most.
    fewest_sweeps, most_sweeps
        Sweeps over all modes after a growth step.
    final_sweeps, idle_sweeps
        Sweeps over all modes at the largest rank, at most; and how many may pass without a smaller change.
    settled
        Change per sweep, relative to that by the last growth step, at which the modes count as settled.
    patience
        Growth steps without progress after which the run counts as stagnated.
    settling
        How many times as many modes there are when all are settled once more while they grow: where modes come slowly
        the few sweeps after each leave them far from the best. None: only at the end.
    background
        L2 norm of what the modes are added to, such as an earlier solution: changes are relative to no less.
    give_up
        With an automatic choice: modes after which it is time for an altogether different route, if there is one.
    """

    tolerance: float | None
    rank: int
    block: int = 5
    updates: bool = True
    seed: int = 0
    proximal: float = 1e-13
    growth_sweeps: int = 4
    fewest_sweeps: int = 2
    most_sweeps: int = 12
    final_sweeps: int = 40
    idle_sweeps: int = 30
    settled: float = 0.05
    patience: int = 6
    settling: float | None = None
    background: float = 0.0
    give_up: int | None = None


@dataclass
class State:
    """The solver between two steps; `kept` holds the last good factors and amplitudes.

    Modes of a vector field belong to one component each, in turn: their factor on the component axis is a unit vector
    and does not change, so that conditions on single components, and smoothness, stay those of scalar fields.
    """

    solver: core.Alternating
    coordinates: list[AxisCoordinates]
    scale: float
    starts: list[Vector]
    random: np.random.Generator
    started: float
    kept: tuple[list[Vector], Vector] = field(default_factory=lambda: ([], np.zeros(0)))
    history: list[Step] = field(default_factory=list)
    estimate: float = float("inf")
    norm: float = 0.0
    background: float = 0.0  # of the plan, over the load's scale
    repaired: int = 0
    failed: bool = False
    component: int | None = None  # position of the component axis
    working: WorkingSystem | None = None  # None: the coordinates stay as they are

    @property
    def components(self) -> int:
        """Number of components, 1 for a scalar."""
        return 1 if self.component is None else len(self.coordinates[self.component].order)

    def append(self, count: int) -> None:
        """Append modes of random starting values."""
        begin = self.solver.rank
        classes = [(begin + i) % self.components for i in range(count)]
        columns = [
            np.ascontiguousarray(start[:, classes]) if d == self.component else _mixture(start, self.random, count)
            for d, start in enumerate(self.starts)
        ]
        self.solver.append(columns, classes)

    def fit(self, *, always: bool = False) -> bool:
        """Fit the coordinates to the modes kept; True when there had been too few, so that sweeps have to follow."""
        fitted = self.working.fit(self.kept, always=always) if self.working is not None else None
        if self.working is None or fitted is None:
            return False
        self.kept, lacking = fitted
        self.coordinates, self.starts = self.working.coordinates, self.working.starts()
        self.solver = self.working.solver()
        self.solver.assign(*self.kept)
        return lacking


@dataclass(frozen=True)
class Outcome:
    """Nodal factors on the free nodes and how the run ended.

    They are the modes of a CP model, or the bases of a Tucker model if there is a `core`; `route` is the method that
    found them.
    """

    factors: list[Vector]
    status: Status
    message: str
    estimate: float
    history: tuple[Step, ...]
    repaired: int
    core: Vector | None = None
    notes: tuple[str, ...] = ()
    route: str = "alternating"


def nothing_free(system: DiscreteSystem) -> Outcome | None:
    """Return the outcome of a system whose conditions fix every node, None for all others."""
    if all(free.stop > free.start for free in system.free):
        return None
    nothing = [np.zeros((max(0, free.stop - free.start), 0)) for free in system.free]
    return Outcome(nothing, "converged", "the conditions fix every node: nothing to solve", 0.0, (), 0)


def solve_alternating(system: DiscreteSystem, plan: Plan, watch: Callable[[Step], None] | None = None) -> Outcome:
    """Grow and update modes until the plan's tolerance or rank is reached.

    Parameters
    ----------
    system
        Assembled separated system.
    plan
        Growth and stopping rules.
    watch
        Called after every step.

    Returns
    -------
    Outcome
        Also when interrupted or not converged: the best modes so far and the reason.
    """
    return nothing_free(system) or run(start(system, plan), plan, watch)


def run(state: State, plan: Plan, watch: Callable[[Step], None] | None = None) -> Outcome:
    """Grow and update the modes of a solver that is ready for steps; Ctrl-C ends it with the best modes so far."""
    try:
        status, message = _run(state, plan, watch)
    except KeyboardInterrupt:
        status, message = "interrupted", "stopped by the user; the modes found so far are kept"
    return Outcome(_nodal_factors(state), status, message, state.estimate, tuple(state.history), state.repaired)


def interrupted(outcome: Outcome) -> Outcome:
    """Return an outcome for a user who pressed Ctrl-C after its modes were found, while they were being judged."""
    message = "stopped by the user; the modes found so far are kept"
    return replace(outcome, status="interrupted", message=message)


def start(system: DiscreteSystem, plan: Plan) -> State:
    """Put a system into working coordinates, ready for steps."""
    working = WorkingSystem(system, plan.proximal)
    random, now = np.random.default_rng(plan.seed), time.perf_counter()
    return State(
        working.solver(),
        working.coordinates,
        working.scale,
        working.starts(),
        random,
        now,
        background=plan.background * float(np.exp(-working.scale)),
        component=system.component,
        working=working,
    )


def _run(state: State, plan: Plan, watch: Callable[[Step], None] | None) -> tuple[Status, str]:
    best, best_modes, since_best, settled = float("inf"), (state.coordinates, state.kept), 0, FIRST_SETTLING
    while state.solver.rank < plan.rank:
        state.fit()
        if plan.settling is not None and state.solver.rank >= plan.settling * settled:
            if not _settle(state, plan):
                return "diverged", "a block update failed; the modes before it are kept (try a finer mesh)"
            settled = state.solver.rank
        before = state.kept
        step = grow(state, plan, min(plan.rank - state.solver.rank, _block_size(state, plan)))
        if state.failed:
            return "diverged", "a block update failed; the modes before it are kept (try a finer mesh or another seed)"
        state.estimate = step.estimate
        if watch is not None:
            watch(step)
        if plan.tolerance is None:
            continue
        if step.estimate <= plan.tolerance:
            if state.fit(always=True):
                continue
            if step.estimate <= 0.1 * plan.tolerance and before[0]:
                state.kept = before  # the change estimates the error of the modes before, which is small enough
            return "converged", f"the last growth changed the solution by {step.estimate:.1e} of its norm"
        since_best = 0 if step.estimate < 0.7 * best else since_best + 1
        if step.estimate < best:
            best, best_modes = step.estimate, (state.coordinates, state.kept)
        if since_best >= plan.patience:
            state.estimate, (state.coordinates, state.kept) = best, best_modes
            return "stagnated", _stagnation_advice(state, best, plan)
    return _finish(state, plan)


def _stagnation_advice(state: State, best: float, plan: Plan) -> str:
    if plan.tolerance is not None and plan.tolerance <= FLOOR:
        return f"a tolerance of {plan.tolerance:.0e} is below round-off: loosen tolerance to {10 * FLOOR:.0e} or more"
    if state.repaired:
        return (
            f"{state.repaired} indefinite block systems; the estimate stays near {best:.1e}: Galerkin with "
            "alternating updates does not suit indefinite operators (more modes or another method may help)"
        )
    if any(not coordinates.symmetric for coordinates in state.coordinates):
        return (
            f"the estimate stays near {best:.1e}, and the true error may be larger: first-order terms make the "
            "operator nonsymmetric, and alternating updates bear that only while they are mild; refine the mesh"
        )
    return f"the estimate stays near {best:.1e}: loosen tolerance, or use fewer coupled axes"


def _block_size(state: State, plan: Plan) -> int:
    """One mode at a time at first: measured over many solutions, larger blocks end with up to five times the modes,
    because random starts crowd together. Later the cost of updating everything after each mode counts more. Vector
    fields get one mode per component instead of one."""
    each = max(1, min(plan.block, state.solver.rank // state.components // 12)) if plan.updates else 1
    return state.components * each


def grow(state: State, plan: Plan, count: int) -> Step:
    """Add `count` modes on the residual, then update all modes; one step of the solver.

    The step's estimate is the relative L2 change of the whole solution in this step: the hierarchical estimate of
    the error before it.
    """
    solver = state.solver
    begin = solver.rank
    state.append(count)
    sweeps, correction = 0, 0.0
    for _ in range(plan.growth_sweeps):
        report = solver.sweep(begin)
        sweeps += 1
        state.repaired += report.repaired
        if _rejected(state, report):
            return _record(state, float("inf"), sweeps)
        settled = abs(report.norm - correction) <= 1e-2 * report.norm
        correction = report.norm
        if settled and report.change <= 0.1 * report.norm:
            break
    total, norm = correction, correction
    # A correction far below the goal is round-off: updating with it would only let redundant modes drift.
    negligible = correction <= 1e-3 * max(plan.tolerance or 0.0, FLOOR) * max(state.norm, state.background)
    if plan.updates and begin > 0 and not negligible:
        changes, norm, done = _update_all(state, plan)
        total, sweeps = max(correction, changes), sweeps + done
    else:
        norm = solver.norm()
    if not state.failed:
        state.kept, state.norm = _snapshot(solver), norm
    # Changes are measured through Gram matrices of the updates: below the floor they are cancellation.
    norm = max(norm, state.background)
    return _record(state, max(total / norm, FLOOR) if norm > 0 else 0.0, sweeps)


def _update_all(state: State, plan: Plan) -> tuple[float, float, int]:
    """Sweep over all modes while it pays: stop when the change is small or falls by less than two thirds."""
    total, previous, norm = 0.0, float("inf"), 1.0
    for sweep in range(1, plan.most_sweeps + 1):
        report = state.solver.sweep(0)
        state.repaired += report.repaired
        if _rejected(state, report):
            return float("inf"), 1.0, sweep
        total, norm = total + report.change, report.norm
        goal = 0.1 * plan.tolerance if plan.tolerance is not None else FLOOR
        small = report.change <= max(goal, FLOOR) * norm
        slow = sweep >= plan.fewest_sweeps and report.change > previous / 3
        if small or slow:
            break
        previous = report.change
    return total, norm, sweep


def _finish(state: State, plan: Plan) -> tuple[Status, str]:
    """Settle the modes at the largest rank, and estimate the error by what a few more would change."""
    state.fit()
    while plan.updates:
        if not _settle(state, plan):
            return "diverged", "a block update failed in the last sweeps; the modes before it are kept"
        if not state.fit(always=True):
            break
    kept = state.kept
    trial = grow(state, plan, _block_size(state, plan))
    state.kept = kept
    state.history[-1] = Step(plan.rank, trial.estimate, trial.sweeps, trial.seconds)
    state.estimate = trial.estimate
    if plan.tolerance is None and trial.estimate <= FEW:
        return "converged", f"all {plan.rank} modes asked for were computed and settled"
    if plan.tolerance is None:
        return "max_rank", f"further modes would change the solution by {trial.estimate:.0%} of its norm: raise rank"
    if trial.estimate <= plan.tolerance:
        return "converged", f"further modes would change the solution by {trial.estimate:.1e} of its norm"
    return "max_rank", f"{plan.rank} modes do not reach the tolerance: raise rank"


def _settle(state: State, plan: Plan) -> bool:
    """Sweep over all modes, accelerated, until that changes much less than the last modes did; False on failure.

    While sweeps converge quickly they go on: exact modes then settle to the last digit.
    """
    momentum, changes = Momentum(), []
    enough = max(plan.settled * state.history[-1].estimate, FLOOR) if state.history else FLOOR
    best, smallest = state.kept, float("inf")
    for _ in range(plan.final_sweeps):
        report = state.solver.sweep(0)
        if _rejected(state, report):
            state.kept = best
            return False
        if report.change > 10 * smallest:  # redundant modes drift apart
            state.kept = best
            break
        state.kept = _snapshot(state.solver)
        if report.change < smallest:
            best, smallest = state.kept, report.change
        changes.append(report.change)
        late, early = changes[-plan.idle_sweeps :], changes[: -plan.idle_sweeps]
        idle = bool(early) and min(late) > 0.9 * min(early)
        slow = len(changes) > 2 and report.change > 0.5 * changes[-3]
        if report.change <= FLOOR * report.norm or (slow and report.change <= enough * report.norm) or idle:
            break
        if slow:
            momentum.push(state.solver, state.kept, report.change)
    state.solver.assign(*state.kept)
    return True


def _mixture(columns: Vector, random: np.random.Generator, count: int) -> Vector:
    weights = 2 * random.standard_normal((columns.shape[1], count))
    weights[0] = 1.0
    return np.ascontiguousarray(columns @ weights)


def _rejected(state: State, report: core.SweepReport) -> bool:
    state.failed = bool(report.failed) or not np.isfinite(report.change)
    return state.failed


def _snapshot(solver: core.Alternating) -> tuple[list[Vector], Vector]:
    return [solver.factor(d) for d in range(solver.axes)], solver.amplitudes


def _record(state: State, estimate: float, sweeps: int) -> Step:
    seconds = time.perf_counter() - state.started
    step = Step(state.solver.rank, estimate, sweeps, seconds)
    state.history.append(step)
    logger.debug("%d modes, change %.1e, %d sweeps", step.modes, estimate, sweeps)
    return step


def _nodal_factors(state: State) -> list[Vector]:
    """Return the kept modes on the free nodes; amplitudes and the load's scale are spread evenly over the axes."""
    factors, amplitudes = state.kept
    if not factors:
        return [np.zeros((len(c.order), 0)) for c in state.coordinates]
    share = np.exp(state.scale / len(factors))
    weight = np.abs(amplitudes) ** (1.0 / len(factors))
    return [c.to_nodes(factor) * (share * weight) for c, factor in zip(state.coordinates, factors, strict=True)]
