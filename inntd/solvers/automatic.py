"""The choice of a route when the user leaves it to the solver, and the checks that an answer must pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from inntd.models.memory import USABLE, available_bytes
from inntd.models.result import Step
from inntd.solvers.alternating import FLOOR, ROUNDING, Outcome, Plan, interrupted, solve_alternating
from inntd.solvers.direct import direct_bytes, direct_route, solve_direct, system_has_fixed
from inntd.solvers.free import FreeSystem, Vector, definite_sign, free_system, symmetric
from inntd.solvers.minimal_residual import solve_minimal_residual
from inntd.solvers.nullspace import SINGULAR, cancellation, constant_nullspace, singular_message
from inntd.solvers.operator import DiscreteSystem
from inntd.solvers.product import Root
from inntd.solvers.residual import Separated, estimated_error, relative_residual
from inntd.solvers.tucker_galerkin import DEFAULT_MODES, solve_tucker

Watch = Callable[[Step], None] | None

# Two axes: a few modes by alternating updates are faster than any direct solution, many are not.
FEW_MODES = 8
# With the default rank, a few coupled axes: how many modes are tried before Tucker-Galerkin.
MANY_MODES = 200
SOME_MODES = 30
# Where minimal residual and Tucker-Galerkin are worth a try when alternating updates fail.
MANY_TERMS = 16
# Functions of one axis in a load that few modes of a solution do not follow.
MANY_LOADS = 10
COUPLED_AXES = 6
DIRECT_SECONDS = 20.0


def solve_automatic(system: DiscreteSystem, plan: Plan, watch: Watch = None) -> Outcome:
    """Solve by alternating updates where they are at home, and by other routes where they are not."""
    if system_has_fixed(system) or len(system.axes) == 1:
        return solve_by_updates(system, plan, watch)
    axes = len(system.axes)
    if axes == 2:
        free = free_system(system)
        route = direct_route(free, constant_nullspace(system))
        fits = direct_bytes(free) <= USABLE * available_bytes()
        if route is not None and route.seconds <= DIRECT_SECONDS and fits:
            return _two_axes(system, free, plan, watch)
    coupled = int((system.terms != 0).any(axis=0).sum())  # the others see their mass matrix only
    if 3 <= coupled < COUPLED_AXES and axes <= COUPLED_AXES and plan.tolerance and plan.rank >= MANY_MODES:
        return _some_axes(system, plan, watch)
    return _many_axes(system, plan, watch)


def _some_axes(system: DiscreteSystem, plan: Plan, watch: Watch) -> Outcome:
    """Try some modes; where they do not do, a core tensor holds more than ever more modes would.

    What travels needs many modes for certain: there the core comes first.
    """
    if _travelling(system):
        found = _by_tucker(system, plan, watch, "the load has many functions of time")
        return (
            found if found.status in ("converged", "interrupted") else _better(found, _many_axes(system, plan, watch))
        )
    outcome = _many_axes(system, replace(plan, rank=SOME_MODES), watch)
    short = outcome.status == "max_rank"
    stuck = outcome.status == "stagnated" and outcome.route == "alternating" and outcome.estimate > ROUNDING
    if not (short or stuck) or constant_nullspace(system):
        return _many_axes(system, plan, watch) if short else outcome
    reason = f"{SOME_MODES} modes by alternating updates do not reach the tolerance" if short else "modes stagnate"
    try:
        found = _by_tucker(system, plan, watch, reason)
    except KeyboardInterrupt:
        return interrupted(outcome)
    if found.status in ("converged", "interrupted") or stuck:
        return _better(outcome, found)
    return _better(found, _many_axes(system, plan, watch))


def _by_tucker(system: DiscreteSystem, plan: Plan, watch: Watch, reason: str) -> Outcome:
    found = solve_tucker(system, replace(plan, rank=DEFAULT_MODES), watch)
    return replace(found, notes=(*found.notes, f"{reason}: solved by Tucker-Galerkin instead"), route="tucker")


def _travelling(system: DiscreteSystem) -> bool:
    """Whether the load takes many different functions of time and of some other axis, as that of a moving source."""
    if constant_nullspace(system):
        return False
    counts = [own.shape[1] for own in system.vectors]
    times = [d for d, axis in enumerate(system.axes) if axis.kind == "time"]
    return any(counts[d] >= MANY_LOADS and max(counts[:d] + counts[d + 1 :], default=0) >= MANY_LOADS for d in times)


def _better(*tried: Outcome) -> Outcome:
    """Return what converged, or else the outcome of the least estimate; interrupted, if the last was."""
    converged = [outcome for outcome in tried if outcome.status == "converged"]
    best = min(converged or tried, key=lambda outcome: outcome.estimate)
    if tried[-1].status == "interrupted":
        return replace(best, status="interrupted", message=tried[-1].message)
    return best


def _many_axes(system: DiscreteSystem, plan: Plan, watch: Watch) -> Outcome:
    """Solve by alternating updates; when these fail on an operator that is not definite, by other routes."""
    if plan.give_up is not None:
        plan = replace(plan, rank=min(plan.rank, plan.give_up))
    outcome = solve_by_updates(system, plan, watch)
    if not _dissatisfied(outcome, plan):
        return outcome
    free = free_system(system)
    if definite_sign(free) != 0:
        return outcome
    try:
        return _rescued(system, free, outcome, plan, watch)
    except KeyboardInterrupt:
        return interrupted(outcome)


def _dissatisfied(outcome: Outcome, plan: Plan) -> bool:
    """Whether alternating updates of a Galerkin system ended worse than they should."""
    if outcome.status == "interrupted" or (plan.tolerance is not None and plan.tolerance <= FLOOR):
        return False
    if outcome.status == "diverged" and "singular" in outcome.message:
        return False
    return outcome.status in ("stagnated", "diverged") or outcome.repaired > 0


def _rescued(system: DiscreteSystem, free: FreeSystem, outcome: Outcome, plan: Plan, watch: Watch) -> Outcome:
    """Try the routes for indefinite and convective operators, and return the outcome with the least estimate."""
    tried = [outcome]
    if symmetric(free) or _convective(system):
        few_axes = 3 <= len(free.sizes) <= COUPLED_AXES
        for name, route, solver, suits in (
            ("minimal residual", "minimal_residual", solve_minimal_residual, len(free.terms) <= MANY_TERMS),
            ("Tucker-Galerkin", "tucker", solve_tucker, few_axes and plan.tolerance is not None),
        ):
            if not suits or constant_nullspace(system):
                continue
            own = replace(plan, rank=min(plan.rank, DEFAULT_MODES)) if solver is solve_tucker else plan
            found = solver(system, own, watch)
            reason = "the operator is indefinite" if outcome.repaired else "Galerkin updates stagnated"
            note = f"{reason}: solved by {name} instead of alternating"
            tried.append(replace(found, notes=(*found.notes, note), route=route))
            if found.status in ("converged", "interrupted"):
                break
    return _better(*tried)


def solve_by_updates(system: DiscreteSystem, plan: Plan, watch: Watch = None) -> Outcome:
    """Solve by alternating updates, and check the answer.

    What lies in the kernel of its operator is no answer; and where modes settle without being right, as they may with
    first-order terms or when progress stops, the error is estimated from the residual.
    """
    outcome = solve_alternating(system, plan, watch)
    if outcome.status == "interrupted":
        return outcome
    try:
        if outcome.status == "converged" and _untested(system):
            outcome = _confirmed(system, outcome, plan)
        return _checked(system, outcome, plan)
    except KeyboardInterrupt:
        return interrupted(outcome)


def _checked(system: DiscreteSystem, outcome: Outcome, plan: Plan) -> Outcome:
    """Refuse what is no answer, and estimate the error anew where the change by the last modes says little."""
    message = singular_message(cancellation(system, outcome.factors))
    if message is not None:
        return replace(outcome, status="diverged", message=message)
    doubtful = outcome.status in ("stagnated", "diverged") or outcome.repaired or _convective(system)
    if not doubtful or system_has_fixed(system) or outcome.factors[0].shape[1] == 0:
        return outcome
    return _by_residual(free_system(system), outcome, plan)


def _untested(system: DiscreteSystem) -> bool:
    """Whether some component of a vector field meets its own test function in no term, as the pressure of Stokes'."""
    if system.component is None:
        return False
    own = [np.diag(system.matrices[system.component][j].toarray()) for j in set(system.terms[:, system.component])]
    return not np.any(own, axis=0).all()


def _confirmed(system: DiscreteSystem, outcome: Outcome, plan: Plan) -> Outcome:
    """Solve once more from other starting values: what they decide, the equations do not determine.

    Mixed problems are singular for bases that do not fit together (equal orders for velocity and pressure, say), and
    modes settle anywhere in the kernel without a sign of it.
    """
    again = solve_alternating(system, replace(plan, seed=plan.seed + 1))
    if again.status == "interrupted":
        return interrupted(outcome)
    apart = _distance(system, outcome.factors, again.factors)
    allowed = 30.0 * max(outcome.estimate, plan.tolerance or 0.0, again.estimate, SINGULAR)
    if apart <= allowed:
        return outcome
    message = (
        f"two runs from different starting values are {apart:.1e} apart: the system is singular or nearly so, as mixed "
        "problems are whose bases do not fit together, or which leave the level of a pressure open; add a term with "
        "the component that meets its own test function in none, such as a small multiple of it, or use another form"
    )
    return replace(outcome, status="diverged", message=message, estimate=max(apart, outcome.estimate))


def _distance(system: DiscreteSystem, first: Sequence[Vector], second: Sequence[Vector]) -> float:
    """Return the L2 norm of the difference of two separated functions, relative to the first."""
    own = free_system(system).matrices
    roots = [Root.of(matrices[0]) for matrices in own]
    joined = [
        root @ np.ascontiguousarray(np.hstack(pair))
        for root, pair in zip(roots, zip(first, second, strict=True), strict=True)
    ]
    count = first[0].shape[1]
    ones = np.ones(joined[0].shape[1])
    signs = np.where(np.arange(ones.size) < count, 1.0, -1.0)
    size = Separated([columns[:, :count] for columns in joined], ones[:count]).log_norm()
    apart = Separated(joined, signs).log_norm()
    return float(np.exp(min(apart - size, 700.0))) if size > -np.inf else 0.0


def _convective(system: DiscreteSystem) -> bool:
    """Whether there are first-order terms along axes other than time."""
    return any(
        axis.kind != "time" and not all(matrix.symmetric for matrix in own)
        for axis, own in zip(system.axes, system.matrices, strict=True)
    )


def _by_residual(free: FreeSystem, outcome: Outcome, plan: Plan) -> Outcome:
    """Replace an outcome's estimate by one from the residual, and its status if that contradicts it."""
    estimate = estimated_error(free, outcome.factors)
    if estimate is None:
        if outcome.status == "converged":
            return outcome
        left = relative_residual(free, outcome.factors)
        return replace(outcome, message=f"{outcome.message}; the relative residual is {left:.1e}")
    estimate = max(estimate, FLOOR)
    outcome = replace(outcome, estimate=estimate)
    if plan.tolerance is None and outcome.repaired and estimate > 1.0:
        message = f"the residual tells of an error of {estimate:.1e}: the operator is indefinite; use method='auto'"
        return replace(outcome, status="diverged", message=message)
    if outcome.status == "converged" and plan.tolerance is not None and estimate > 3 * plan.tolerance:
        cause = "the operator is indefinite" if outcome.repaired else "first-order terms are strong for such modes"
        message = (
            f"modes settled, but the residual tells of an error of {estimate:.1e}: {cause}; refine the mesh, or use "
            "method='auto' or 'minimal_residual'"
        )
        return replace(outcome, status="stagnated", message=message)
    if outcome.status == "stagnated":
        if plan.tolerance is not None and FLOOR < estimate <= plan.tolerance:
            message = f"the residual tells of an error of {estimate:.1e}, which is small enough"
            return replace(outcome, status="converged", message=message)
        message = f"{outcome.message}; the residual tells of an error of {estimate:.1e}"
        return replace(outcome, message=message)
    return outcome


def _two_axes(system: DiscreteSystem, free: FreeSystem, plan: Plan, watch: Watch) -> Outcome:
    """Try a few modes when the operator looks definite; else, or when they do not do, solve for all coefficients."""
    reason = "its terms have different signs or are not symmetric, so the operator may be indefinite"
    outcome: Outcome | None = None
    if definite_sign(free) != 0:
        few = replace(plan, rank=min(plan.rank, FEW_MODES))
        outcome = solve_by_updates(system, few, watch)
        if outcome.status in ("converged", "interrupted") and not outcome.repaired:
            return outcome
        reason = f"{FEW_MODES} modes by alternating updates do not reach the tolerance"
        if outcome.status == "max_rank" and plan.rank <= FEW_MODES:
            return outcome
    try:
        outcome = solve_direct(system, plan, watch)
    except KeyboardInterrupt:
        if outcome is None:
            raise
        return interrupted(outcome)
    note = f"two axes, solved directly for all coefficients: {reason}"
    return replace(outcome, notes=(*outcome.notes, note), route="direct")
