"""The public solver: one call from a problem to a model."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Literal, overload

import numpy as np
import torch
from tqdm import tqdm

from inntd import _checks
from inntd._kernels import blas_threads
from inntd._version import __version__
from inntd.axes import Axis
from inntd.models import CPModel, TuckerModel
from inntd.models.reduced import ReducedModel
from inntd.models.result import Answer, ErrorEstimate, Step
from inntd.problems import Problem
from inntd.solvers.alternating import Outcome, Plan, nothing_free
from inntd.solvers.automatic import solve_automatic, solve_by_updates
from inntd.solvers.direct import solve_direct
from inntd.solvers.fields import fields_by_name
from inntd.solvers.minimal_residual import solve_minimal_residual
from inntd.solvers.nullspace import constant_nullspace
from inntd.solvers.operator import DiscreteSystem, assemble
from inntd.solvers.reduced_route import solve_reduced_basis
from inntd.solvers.tucker_galerkin import DEFAULT_MODES, solve_tucker

# Share of the tolerance that numerical separation of coefficients may take.
SEPARATION = 0.1

SeparatedMethod = Literal["auto", "alternating", "greedy", "direct", "tucker", "minimal_residual"]
Method = SeparatedMethod | Literal["reduced_basis"]
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
DEFAULT_TOLERANCE = 1e-6
DEFAULT_LARGEST_RANK = 200


@overload
def solve(
    problem: Problem,
    *,
    rank: int | None = None,
    tolerance: float | None = None,
    method: SeparatedMethod = "auto",
    seed: int = 0,
    threads: int | None = None,
    progress: bool | None = None,
) -> Answer[CPModel | TuckerModel]: ...


@overload
def solve(
    problem: Problem,
    *,
    rank: int | None = None,
    tolerance: float | None = None,
    method: Literal["reduced_basis"],
    merge: Sequence[Axis | str] | None = None,
    seed: int = 0,
    threads: int | None = None,
    progress: bool | None = None,
) -> Answer[ReducedModel]: ...


def solve(
    problem: Problem,
    *,
    rank: int | None = None,
    tolerance: float | None = None,
    method: Method = "auto",
    merge: Sequence[Axis | str] | None = None,
    seed: int = 0,
    threads: int | None = None,
    progress: bool | None = None,
) -> Answer[Any]:
    """Solve a linear problem without data, by Galerkin in separated (CP) form.

    Parameters
    ----------
    problem
        Statement of the physics.
    rank
        Number of modes: computed exactly so many when no tolerance is given, at most so many otherwise (default 200).
    tolerance
        Relative L2 error over all axes at which to stop adding modes, judged by the change in the last growth step
        (default 1e-6 when no rank is given either).
    method
        ``"alternating"``: greedy growth with updates of all modes. ``"greedy"``: the paper's Algorithm 3 without
        updates, for comparison. ``"direct"``: all coefficients at once by diagonalising the axes, then the best modes;
        for two axes, or a few short ones. ``"tucker"``: the best combination of the functions of a few CP modes
        (`rank` of them, default 6), updated axis by axis, for up to about six coupled axes; gives a `TuckerModel`.
        ``"minimal_residual"``: alternating updates that minimise the residual, for indefinite operators. ``"auto"``:
        alternating, and another route where it does not suit; a note in the answer says why. ``"reduced_basis"``: full
        solutions at a few parameters, picked by the residual, and Galerkin in their span for every other; for strong or
        many coupled parameters, and convection; gives a `ReducedModel`. Its `tolerance` is that of the worst parameter.
    merge
        With ``"reduced_basis"`` only: the axes that full solutions are functions of, or their names; by default all but
        those of kind ``"parameter"``.
    seed
        Of the starting values; one seed gives the same bits on one machine.
    threads
        Of the core, and of the dense linear algebra of NumPy and SciPy; by default torch's setting for the core and one
        for the linear algebra, whose matrices are small.
    progress
        Whether to show a progress bar on standard error; by default on a terminal only.

    Returns
    -------
    Answer
        Model, status, error estimate and history. Ctrl-C returns the best model so far, with status
        ``"interrupted"``.

    Raises
    ------
    ValueError
        If an argument is out of range, or the problem has no unique solution.

    References
    ----------
    Guo et al., "Interpolating Neural Network - Tensor Decomposition", ICML 2025, Algorithm 3.

    Examples
    --------
    >>> import inntd as it
    >>> from sympy import pi, sin
    >>> x, y = it.Axis("x", 0, 1, elements=16), it.Axis("y", 0, 1, elements=16)
    >>> u, v = it.unknown("u", x, y), it.test_function()
    >>> source = 2 * pi**2 * sin(pi * x) * sin(pi * y)
    >>> poisson = it.Problem(weak=it.dot(it.grad(v), it.grad(u)) - v * source, conditions=[u.on(x, y) == 0])
    >>> answer = it.solve(poisson, tolerance=1e-8)
    >>> answer.status, answer.model.rank
    ('converged', 1)
    """
    plan = _plan(rank, tolerance, method, seed)
    if not isinstance(problem, Problem):
        raise TypeError(f"problem must be an inntd.Problem, got {type(problem).__name__}")
    if merge is not None and method != "reduced_basis":
        raise ValueError(f"merge must be given with method='reduced_basis' only, got it with method={method!r}")
    begin = time.perf_counter()
    if tolerance is not None:
        problem = problem.refined(SEPARATION * tolerance)
    if method == "reduced_basis":
        return _reduced(problem, merge, plan, threads, progress, begin)
    with _Threads(threads), blas_threads(threads), _Progress(progress, plan) as bar:
        system = assemble(problem)
        singular = constant_nullspace(system, problem.setting.names())
        if method not in BY_COMPONENT:
            _check_shared_faces(system, problem, method)
        outcome = nothing_free(system) or _interruptible(ROUTES[method], system, plan, bar.show)
    model = _model(system, outcome)
    notes = list(outcome.notes)
    if problem.separations:
        worst = max(separation.error for separation in problem.separations)
        notes.append(f"factors separated numerically: {len(problem.separations)}, with errors up to {worst:.1e}")
    if singular:
        model = _without_mean(model)
        notes.append("only natural or periodic boundaries: the solution is fixed by a zero mean")
    if outcome.repaired:
        notes.append(f"{outcome.repaired} block systems were indefinite and solved by elimination")
    model.metadata |= _provenance(outcome, plan, method)
    if problem.component is not None:
        model.metadata["components"] = problem.setting.names()
    seconds = time.perf_counter() - begin
    return Answer(
        model,
        outcome.status,
        outcome.message,
        ErrorEstimate(outcome.estimate),
        outcome.factors[0].shape[1] if outcome.core is None else max(outcome.core.shape),
        seconds,
        outcome.history,
        tuple(notes),
        fields_by_name(problem, model),
    )


def _reduced(
    problem: Problem,
    merge: Sequence[Axis | str] | None,
    plan: Plan,
    threads: int | None,
    progress: bool | None,
    begin: float,
) -> Answer[ReducedModel]:
    with _Threads(threads), blas_threads(threads), _Progress(progress, plan) as bar:
        answer = solve_reduced_basis(problem, merge, plan.tolerance, plan.rank, plan.seed, bar.show)
    estimate = answer.error_estimate.total
    answer.model.metadata |= {
        "solver": {"method": "reduced_basis", "seed": plan.seed, "version": __version__},
        "status": answer.status,
        "error_estimate": estimate if np.isfinite(estimate) else None,
    }
    return replace(answer, seconds=time.perf_counter() - begin)


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


def _plan(rank: int | None, tolerance: float | None, method: str, seed: int) -> Plan:
    chosen = _checks.one_of("method", method, (*ROUTES, "reduced_basis"))
    if rank is not None:
        rank = _checks.positive_int("rank", rank)
    if tolerance is not None:
        tolerance = _checks.relative_error("tolerance", tolerance)
    if rank is None and tolerance is None:
        tolerance = DEFAULT_TOLERANCE
    seed = _checks.positive_int("seed", seed, minimum=0)
    largest = DEFAULT_MODES if chosen == "tucker" else DEFAULT_LARGEST_RANK
    return Plan(tolerance, rank or largest, updates=chosen != "greedy", seed=seed)


def _model(system: DiscreteSystem, outcome: Outcome) -> CPModel | TuckerModel:
    """Put the modes on all nodes and add those of the lifted boundary values."""
    lifted = system.lifting.factors()
    factors = []
    for axis, free, inner in zip(system.axes, system.free, outcome.factors, strict=True):
        full = np.zeros((axis.size, inner.shape[1]))
        full[free] = inner
        factors.append(full)
    if outcome.core is not None:
        model = TuckerModel.from_factors(system.axes, outcome.core, factors)
        return model + _lifted_tucker(system) if lifted else model
    if lifted:
        factors = [np.hstack(pair) for pair in zip(factors, lifted, strict=True)]
    if factors[0].shape[1] == 0:
        factors = [np.zeros((axis.size, 1)) for axis in system.axes]
    return CPModel.from_factors(system.axes, factors)


def _lifted_tucker(system: DiscreteSystem) -> TuckerModel:
    """Return the lifted boundary values with their distinct nodal vectors as columns."""
    core = np.zeros([vectors.shape[1] for vectors in system.lifting.vectors])
    for coefficient, place in system.lifting.terms:
        core[place] += coefficient
    return TuckerModel.from_factors(system.axes, core, system.lifting.vectors)


def _provenance(outcome: Outcome, plan: Plan, method: str) -> dict[str, Any]:
    """What a saved model tells about its origin; an infinite estimate has no place in JSON."""
    return {
        "solver": {"method": method, "seed": plan.seed, "version": __version__},
        "status": outcome.status,
        "error_estimate": outcome.estimate if np.isfinite(outcome.estimate) else None,
    }


def _without_mean(model: CPModel | TuckerModel) -> CPModel | TuckerModel:
    without: CPModel | TuckerModel = model - float(model.mean(*model.axes))
    return without


class _Threads:
    """Sets torch's number of threads for the length of a solve."""

    def __init__(self, threads: int | None) -> None:
        self.threads = None if threads is None else _checks.positive_int("threads", threads)

    def __enter__(self) -> None:
        self.before = torch.get_num_threads()
        if self.threads is not None:
            torch.set_num_threads(self.threads)

    def __exit__(self, *_: object) -> None:
        torch.set_num_threads(self.before)


class _Progress:
    """A bar that counts modes and shows the estimate."""

    def __init__(self, wanted: bool | None, plan: Plan) -> None:
        shown = sys.stderr.isatty() if wanted is None else bool(wanted)
        self.bar = tqdm(total=plan.rank, unit="mode", desc="solve", disable=not shown, leave=False)

    def __enter__(self) -> _Progress:
        return self

    def show(self, step: Step) -> None:
        self.bar.set_postfix_str(f"estimate {step.estimate:.1e}")
        self.bar.update(step.modes - self.bar.n)

    def __exit__(self, *_: object) -> None:
        self.bar.close()
