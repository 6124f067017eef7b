"""The choice of a route when the user leaves it to the solver, and the checks that an answer must pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from inntd.models.result import Step
from inntd.solvers.alternating import Outcome, Plan, solve_alternating
from inntd.solvers.direct import direct_route, solve_direct, system_has_fixed
from inntd.solvers.free import FreeSystem, definite_sign, free_system
from inntd.solvers.nullspace import cancellation, constant_nullspace, singular_message
from inntd.solvers.operator import DiscreteSystem

Watch = Callable[[Step], None] | None

# Two axes: a few modes by alternating updates are faster than any direct solution, many are not.
FEW_MODES = 8
DIRECT_SECONDS = 20.0


def solve_automatic(system: DiscreteSystem, plan: Plan, watch: Watch = None) -> Outcome:
    """Solve by alternating updates where they are at home, and by other routes where they are not."""
    free = free_system(system)
    if len(free.sizes) == 2 and not system_has_fixed(system):
        route = direct_route(free, constant_nullspace(system))
        if route is not None and route.seconds <= DIRECT_SECONDS:
            return _two_axes(system, free, plan, watch)
    return solve_by_updates(system, plan, watch)


def solve_by_updates(system: DiscreteSystem, plan: Plan, watch: Watch = None) -> Outcome:
    """Solve by alternating updates, and check the answer: what lies in the kernel of its operator is none."""
    outcome = solve_alternating(system, plan, watch)
    if outcome.status == "interrupted":
        return outcome
    message = singular_message(cancellation(system, outcome.factors))
    return outcome if message is None else replace(outcome, status="diverged", message=message)


def _two_axes(system: DiscreteSystem, free: FreeSystem, plan: Plan, watch: Watch) -> Outcome:
    """Try a few modes when the operator looks definite; else, or when they do not do, solve for all coefficients."""
    reason = "the operator is not symmetric definite"
    if definite_sign(free) != 0:
        few = replace(plan, rank=min(plan.rank, FEW_MODES))
        outcome = solve_by_updates(system, few, watch)
        if outcome.status in ("converged", "interrupted") and not outcome.repaired:
            return outcome
        reason = f"{FEW_MODES} modes by alternating updates do not reach the tolerance"
        if outcome.status == "max_rank" and plan.rank <= FEW_MODES:
            return outcome
    outcome = solve_direct(system, plan, watch)
    return replace(outcome, notes=(*outcome.notes, f"two axes, solved directly for all coefficients: {reason}"))
