"""One problem from its statement to a model, by one route: what `solve` does once, and a march once per slab."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from inntd.models import CPModel, TuckerModel
from inntd.models.result import Step
from inntd.problems import Problem
from inntd.solvers.alternating import Outcome, Plan, nothing_free
from inntd.solvers.automatic import solve_automatic, solve_by_updates
from inntd.solvers.direct import solve_direct
from inntd.solvers.minimal_residual import solve_minimal_residual
from inntd.solvers.nullspace import constant_nullspace
from inntd.solvers.operator import DiscreteSystem, Vector, assemble
from inntd.solvers.tucker_galerkin import solve_tucker

Method = Literal["auto", "alternating", "greedy", "direct", "tucker", "minimal_residual"]
Route = Callable[[DiscreteSystem, Plan, Callable[[Step], None] | None], Outcome]

ROUTES: dict[str, Route] = {
    "auto": solve_automatic,
    "alternating": solve_by_updates,
    "greedy": solve_by_updates,
    "direct": solve_direct,
    "tucker": solve_tucker,
    "minimal_residual": solve_minimal_residual,
}

# Routes that bear conditions on single components of a vector.
BY_COMPONENT = ("auto", "alternating", "greedy")


@dataclass(frozen=True)
class Solved:
    """What came of one problem.

    Attributes
    ----------
    model
        With the lifted values.
    outcome
        How the route ended; its factors have been used.
    notes
        Choices, in words.
    added
        L2 norm of what the route has found, without the lifted values; only where an earlier solution went on.
    """

    model: CPModel | TuckerModel
    outcome: Outcome
    notes: tuple[str, ...]
    added: float = 0.0

    @property
    def modes(self) -> int:
        """Modes that were found, without those of the lifted values."""
        core = self.outcome.core
        return int(self.outcome.factors[0].shape[1] if core is None else max(core.shape))


def solve_single(
    problem: Problem,
    plan: Plan,
    method: str,
    watch: Callable[[Step], None],
    start: Sequence[Vector | None] | None = None,
) -> Solved:
    """Assemble and solve a problem.

    Parameters
    ----------
    problem, plan, method
        What, and how.
    watch
        Called after every step.
    start
        Where an earlier solution goes on: its CP factors (n_d, M) at the end, None for the axis of time.
    """
    system = assemble(problem, start)
    singular = constant_nullspace(system, problem.setting.names())
    if method not in BY_COMPONENT:
        _check_shared_faces(system, problem, method)
    outcome = nothing_free(system) or _interruptible(ROUTES[method], system, plan, watch)
    found = _found(system, outcome)
    model = _with_lifting(system, found)
    added = found.norm() if start is not None else 0.0
    notes = list(outcome.notes)
    if problem.separations:
        worst = max(separation.error for separation in problem.separations)
        notes.append(f"factors separated numerically: {len(problem.separations)}, with errors up to {worst:.1e}")
    if singular:
        model = _without_mean(model)
        notes.append("only natural or periodic boundaries: the solution is fixed by a zero mean")
    if outcome.repaired:
        notes.append(f"{outcome.repaired} block systems were indefinite and solved by elimination")
    if method not in ("auto", outcome.route):
        outcome = replace(outcome, route=method)
    if problem.component is not None:
        model.metadata["components"] = problem.setting.names()
    return Solved(model, outcome, tuple(notes), added)


def _interruptible(route: Route, system: DiscreteSystem, plan: Plan, watch: Callable[[Step], None]) -> Outcome:
    """Follow a route; Ctrl-C before it has any modes leaves the lifted boundary values alone."""
    try:
        return route(system, plan, watch)
    except KeyboardInterrupt:
        nothing = [np.zeros((free.stop - free.start, 0)) for free in system.free]
        message = "stopped by the user before any modes were found: the model holds the boundary values alone"
        return Outcome(nothing, "interrupted", message, float("inf"), (), 0)


def _check_shared_faces(system: DiscreteSystem, problem: Problem, method: str) -> None:
    for axis, fixed in zip(system.axes, system.fixed, strict=True):
        if fixed is not None:
            names = problem.setting.names()
            only = ", ".join(names[k] for k in np.flatnonzero(fixed.any(axis=0)))
            raise ValueError(
                f"conditions fix {only} on a face of {axis.name} but leave other components free there; "
                f"method={method!r} needs Dirichlet conditions on the same faces for all of {', '.join(names)}: "
                "use method='auto'"
            )


def _found(system: DiscreteSystem, outcome: Outcome) -> CPModel | TuckerModel:
    """Put the modes on all nodes."""
    factors = []
    for axis, free, inner in zip(system.axes, system.free, outcome.factors, strict=True):
        full = np.zeros((axis.size, inner.shape[1]))
        full[free] = inner
        factors.append(full)
    if outcome.core is not None:
        return TuckerModel.from_factors(system.axes, outcome.core, factors)
    if factors[0].shape[1] == 0:
        factors = [np.zeros((axis.size, 1)) for axis in system.axes]
    return CPModel.from_factors(system.axes, factors)


def _with_lifting(system: DiscreteSystem, found: CPModel | TuckerModel) -> CPModel | TuckerModel:
    """Add the modes of the lifted boundary values."""
    lifted = system.lifting.factors()
    if not lifted:
        return found
    if isinstance(found, TuckerModel):
        return found + _lifted_tucker(system)
    own = CPModel.from_factors(system.axes, lifted)
    return found + own if any(np.any(factor.numpy()) for factor in found.factors) else own


def _lifted_tucker(system: DiscreteSystem) -> TuckerModel:
    """Return the lifted boundary values with their distinct nodal vectors as columns."""
    core = np.zeros([vectors.shape[1] for vectors in system.lifting.vectors])
    for coefficient, place in system.lifting.terms:
        core[place] += coefficient
    return TuckerModel.from_factors(system.axes, core, system.lifting.vectors)


def _without_mean(model: CPModel | TuckerModel) -> CPModel | TuckerModel:
    without: CPModel | TuckerModel = model - float(model.mean(*model.axes))
    return without
