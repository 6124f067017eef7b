"""Time slabs: a long or travelling solution, one part of time after the other.

Over the whole path of a travelling source a solution needs hundreds of modes, in a slab of a few of its radii a few
dozen. Each slab's end is rounded, the error of that is measured, and the next slab goes on from there: its modes only
hold what changes.
"""

from __future__ import annotations

import itertools
import math
import time as clock
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from inntd.axes import Axis
from inntd.models import CPModel, SlabModel, TuckerModel, memory
from inntd.models.result import Answer, ErrorEstimate, SlabStep, Status, Step
from inntd.problems import Problem
from inntd.problems.continuation import initial_conditions, on_time_axis, time_axis
from inntd.solvers.alternating import Plan
from inntd.solvers.fields import fields_by_name
from inntd.solvers.single import Solved, solve_single
from inntd.solvers.slab_lengths import Slabs, split

Vector = np.ndarray[Any, np.dtype[np.float64]]

# Of the tolerance of a slab, for the separation of coefficients and, without a tolerance, of its error for rounding.
SEPARATION = 0.1
ROUNDING = 0.3
ROUND_OFF = 1e-13
# Growth steps without progress: what travels is found slowly, mode by mode.
PATIENCE = 20
SETTLING = 1.25


@dataclass(frozen=True)
class Slab:
    """A slab that is solved.

    Attributes
    ----------
    problem, model
        On its part of the time axis.
    error
        Estimated L2 error of its own, absolute.
    brought
        Estimated L2 error, over all axes but time, that it has started with.
    """

    problem: Problem
    solved: Solved
    model: CPModel | TuckerModel
    error: float
    brought: float
    norm: float

    @property
    def length(self) -> float:
        """Its length in time."""
        start, stop = time_axis(self.problem).domain
        return stop - start

    @property
    def total(self) -> float:
        """Estimated absolute L2 error, with what was brought: it is taken to grow no more."""
        return math.hypot(self.error, self.brought * math.sqrt(self.length))


@dataclass
class March:
    """The slabs so far; `start` and `brought` are what the next one goes on from."""

    slabs: list[Slab] = field(default_factory=list)
    history: list[SlabStep] = field(default_factory=list)
    start: list[Vector | None] | None = None
    start_norm: float = 0.0
    brought: float = 0.0
    begun: float = field(default_factory=clock.perf_counter)

    def seconds(self) -> float:
        """Wall time since the start."""
        return clock.perf_counter() - self.begun


def solve_slabs(
    problem: Problem | Callable[[Axis], Problem],
    slabs: Slabs,
    time: Axis | None,
    plan: Plan,
    method: str,
    watch: Callable[[Step], None],
) -> Answer[SlabModel]:
    """March through time; see `inntd.solve`.

    A slab that does not converge ends the march. Errors of slabs and of roundings are combined as independent ones
    that do not grow in time, as they do not where energy is lost: a hierarchical estimate, no bound.
    """
    axis, nodes, first = _first_problem(problem, slabs, time)
    parts = [axis.part(a, b) for a, b in itertools.pairwise(nodes)]
    plan = replace(plan, patience=PATIENCE, settling=SETTLING)
    if plan.tolerance is not None:
        # Every slab adds its own error and that of a rounding.
        plan = replace(plan, tolerance=plan.tolerance / math.sqrt(2 * len(parts)))
    _refuse_memory(first, parts, plan)
    march = March()
    stopped: tuple[Status, str] | None = None
    try:
        for k, part in enumerate(parts):
            stopped = _advance(march, first, part, plan, method, watch, last=k + 1 == len(parts))
            if stopped is not None:
                break
    except KeyboardInterrupt:
        if not march.slabs:
            raise
        stopped = "interrupted", "stopped by the user; the slabs before are kept"
    return _answer(march, axis, nodes, plan, stopped)


def _first_problem(
    problem: Problem | Callable[[Axis], Problem], slabs: Slabs, time: Axis | None
) -> tuple[Axis, list[int], Problem]:
    """Return the whole time axis, the nodes where slabs meet, and a problem to state all slabs after."""
    if isinstance(problem, Problem):
        if time is not None:
            raise ValueError("time is for problems that are functions of it; this one has its own time axis already")
        initial_conditions(problem)
        axis, nodes = split(time_axis(problem), slabs, problem)
        return axis, nodes, problem
    if not callable(problem):
        raise TypeError(f"problem must be an inntd.Problem or a function that makes one, got {type(problem).__name__}")
    if not isinstance(time, Axis) or time.kind != "time":
        raise TypeError(f"time must be the time axis that a function of it is split along, got {time!r}")
    axis, nodes = split(time, slabs)
    first = problem(axis.part(nodes[0], nodes[1]))
    if not isinstance(first, Problem):
        raise TypeError(f"problem must return an inntd.Problem, got {type(first).__name__}")
    initial_conditions(first)
    return axis, nodes, first


def _refuse_memory(problem: Problem, parts: Sequence[Axis], plan: Plan) -> None:
    """Refuse models that will not fit, before any is computed."""
    others = sum(axis.size for axis in problem.axes if axis.kind != "time")
    numbers = sum(3 * plan.rank * (others + part.size) for part in parts)
    memory.refuse_beyond(f"a march of {len(parts)} slabs with {plan.rank} modes each", 8 * numbers, None,
                         "use fewer slabs or modes, or solve parts of time one after the other")  # fmt: skip


def _advance(
    march: March,
    first: Problem,
    part: Axis,
    plan: Plan,
    method: str,
    watch: Callable[[Step], None],
    *,
    last: bool,
) -> tuple[Status, str] | None:
    """Solve one more slab and hand its end over; the reason to stop, if there is one."""
    tolerance = first.separation_tolerance
    if plan.tolerance is not None:
        tolerance = min(tolerance, SEPARATION * plan.tolerance)
    problem = on_time_axis(first, part, continued=bool(march.slabs), separation_tolerance=tolerance)
    background = march.start_norm * math.sqrt(part.domain[1] - part.domain[0])
    try:
        solved = solve_single(problem, replace(plan, background=background), method, watch, march.start)
    except (ValueError, MemoryError, np.linalg.LinAlgError) as failure:
        if not march.slabs:
            raise
        return "diverged", _told(part, str(failure))
    outcome = solved.outcome
    nothing = outcome.status == "interrupted" and not np.isfinite(outcome.estimate)
    if march.slabs and (nothing or outcome.status == "diverged"):
        return outcome.status, _told(part, outcome.message)
    norm = float(solved.model.norm())
    scale = max(solved.added, background) if march.slabs else norm
    slab = Slab(problem, solved, solved.model, outcome.estimate * scale, march.brought, norm)
    march.slabs.append(slab)
    sweeps = sum(step.sweeps for step in outcome.history)
    relative = slab.error / norm if norm > 0 else outcome.estimate
    step = SlabStep(solved.modes, relative, sweeps, march.seconds(), *part.domain, outcome.status)
    march.history.append(step)
    if outcome.status != "converged":
        return outcome.status, _told(part, outcome.message)
    if not last:
        _hand_over(march, slab, plan)
    return None


def _told(part: Axis, message: str) -> str:
    start, stop = part.domain
    return f"the slab of {part.name} from {start:g} to {stop:g}: {message}; the slabs before it are kept"


def _hand_over(march: March, slab: Slab, plan: Plan) -> None:
    """Round the end of a slab: the start of the next."""
    axis = time_axis(slab.problem)
    end = slab.model.at({axis.name: axis.domain[1]})
    end = end.to_cp() if isinstance(end, TuckerModel) else end
    # The slab's error is spread over its length; at its end it counts as much.
    own = slab.error / math.sqrt(slab.length)
    size = float(end.norm())
    tolerance = plan.tolerance
    if tolerance is None:
        tolerance = ROUNDING * own / size if size > 0 else ROUNDING
    rounded = end.round(tolerance=min(max(tolerance, ROUND_OFF), 0.5))
    error = float(rounded.rounding_error or 0.0)
    factors = iter([factor.detach().numpy() for factor in rounded.factors])
    march.start = [None if own_axis.kind == "time" else next(factors) for own_axis in slab.problem.axes]
    march.start_norm = float(rounded.norm())
    march.brought = math.sqrt(march.brought**2 + own**2 + (error * size) ** 2)
    march.history[-1] = replace(march.history[-1], seconds=march.seconds(), handover=error, handover_modes=rounded.rank)


def _answer(
    march: March, axis: Axis, nodes: list[int], plan: Plan, stopped: tuple[Status, str] | None
) -> Answer[SlabModel]:
    """Join the slabs to one field, and say how the march has ended."""
    slabs, count = march.slabs, len(nodes) - 1
    whole = axis if len(slabs) == count else axis.part(0, nodes[len(slabs)])
    model = SlabModel([slab.model for slab in slabs], whole)
    norm = math.sqrt(sum(slab.norm**2 for slab in slabs))
    error = math.sqrt(sum(slab.total**2 for slab in slabs))
    estimate = error / norm if norm > 0 else error
    if stopped is None:
        stopped = _verdict(estimate, count, plan)
    status, message = stopped
    model.metadata["handovers"] = [step.handover for step in march.history[:-1]]
    if "components" in slabs[0].model.metadata:
        model.metadata["components"] = slabs[0].model.metadata["components"]
    worst = max((step.handover for step in march.history), default=0.0)
    notes = [f"{len(slabs)} of {count} time slabs, ends rounded with errors up to {worst:.1e}"]
    notes += list(dict.fromkeys(note for slab in slabs for note in slab.solved.notes))[:8]
    return Answer(
        model,
        status,
        message,
        ErrorEstimate(estimate),
        max(slab.solved.modes for slab in slabs),
        march.seconds(),
        tuple(march.history),
        tuple(notes),
        _fields(slabs, whole, model),
        "slabs",
    )


def _verdict(estimate: float, count: int, plan: Plan) -> tuple[Status, str]:
    """Judge a march whose slabs have all converged."""
    if plan.tolerance is None:
        return "converged", f"all {count} slabs were computed with the modes asked for, and settled"
    tolerance = plan.tolerance * math.sqrt(2 * count)
    if estimate <= tolerance:
        return "converged", f"all {count} slabs converged; their errors and those of {count - 1} handovers add up"
    return "stagnated", (
        f"all {count} slabs converged, but their errors add up to {estimate:.1e}: ask for a tolerance of "
        f"{tolerance**2 / estimate:.0e}"
    )


def _fields(slabs: Sequence[Slab], whole: Axis, model: SlabModel) -> dict[str, SlabModel]:
    """Return one field per unknown."""
    if len(slabs[0].problem.unknowns) == 1:
        return {slabs[0].problem.unknown.name: model}
    each = [fields_by_name(slab.problem, slab.model) for slab in slabs]
    return {name: SlabModel([fields[name] for fields in each], whole) for name in each[0]}
