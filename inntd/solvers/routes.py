"""The routes from a problem to an answer, with the same arguments each: what `solve` chooses among."""

from __future__ import annotations

import time as clock
from collections.abc import Callable
from typing import Any

import numpy as np

from inntd.axes import Axis
from inntd.models import CPModel, SlabModel, TuckerModel
from inntd.models.reduced import ReducedModel
from inntd.models.result import Answer, ErrorEstimate, Step
from inntd.problems import Problem
from inntd.problems.continuation import time_axis
from inntd.solvers.alternating import Plan
from inntd.solvers.fields import fields_by_name
from inntd.solvers.lifting import lift
from inntd.solvers.options import Merge
from inntd.solvers.reduced_route import solve_reduced_basis
from inntd.solvers.single import solve_single
from inntd.solvers.slab_lengths import Slabs
from inntd.solvers.slabs import solve_slabs

Watch = Callable[[Step], None]


def separated(problem: Problem, plan: Plan, method: str, watch: Watch) -> Answer[CPModel | TuckerModel]:
    """Solve for a CP or Tucker model of all axes together."""
    begin = clock.perf_counter()
    solved = solve_single(problem, plan, method, watch)
    outcome = solved.outcome
    return Answer(
        solved.model,
        outcome.status,
        outcome.message,
        ErrorEstimate(outcome.estimate),
        solved.modes,
        clock.perf_counter() - begin,
        outcome.history,
        solved.notes,
        fields_by_name(problem, solved.model),
        outcome.route,
    )


def reduced(problem: Problem, plan: Plan, merge: Merge | None, watch: Watch) -> Answer[ReducedModel]:
    """Solve in full at a few parameters, and for every other in the span of these solutions."""
    return solve_reduced_basis(problem, merge, plan.tolerance, plan.rank, plan.seed, watch)


def marched(
    problem: Problem | Callable[[Axis], Problem],
    plan: Plan,
    method: str,
    slabs: Slabs,
    time: Axis | None,
    watch: Watch,
) -> Answer[SlabModel]:
    """Solve one part of time after the other."""
    return solve_slabs(problem, slabs, time, plan, method, watch)


def boundary_values(problem: Problem, *, slabs: bool = False) -> Answer[Any]:
    """Return what there is when a user presses Ctrl-C before any solution: boundary and initial values alone."""
    factors = lift(problem).factors() or [np.zeros((axis.size, 1)) for axis in problem.axes]
    model: Any = CPModel.from_factors(problem.axes, factors)
    if slabs:
        model = SlabModel([model], time_axis(problem))
    message = "stopped by the user before any modes were found: the model holds the boundary values alone"
    fields = fields_by_name(problem, model) if not slabs else {}
    return Answer(model, "interrupted", message, ErrorEstimate(float("inf")), 0, 0.0, fields=fields)
