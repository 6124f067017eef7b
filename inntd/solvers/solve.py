"""The public solver: one call from a problem to a model."""

from __future__ import annotations

import sys
import time as clock
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
from inntd.models import CPModel, SlabModel, TuckerModel
from inntd.models.reduced import ReducedModel
from inntd.models.result import Answer, ErrorEstimate, Step
from inntd.problems import Problem
from inntd.solvers.alternating import Plan
from inntd.solvers.fields import fields_by_name
from inntd.solvers.reduced_route import solve_reduced_basis
from inntd.solvers.single import ROUTES, solve_single
from inntd.solvers.single import Method as SeparatedMethod
from inntd.solvers.slab_lengths import Slabs
from inntd.solvers.slabs import solve_slabs
from inntd.solvers.tucker_galerkin import DEFAULT_MODES

# Share of the tolerance that numerical separation of coefficients may take.
SEPARATION = 0.1

Method = SeparatedMethod | Literal["reduced_basis"]

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


@overload
def solve(
    problem: Problem | Callable[[Axis], Problem],
    *,
    slabs: Slabs,
    time: Axis | None = None,
    rank: int | None = None,
    tolerance: float | None = None,
    method: SeparatedMethod = "auto",
    seed: int = 0,
    threads: int | None = None,
    progress: bool | None = None,
) -> Answer[SlabModel]: ...


def solve(
    problem: Problem | Callable[[Axis], Problem],
    *,
    slabs: Slabs | None = None,
    time: Axis | None = None,
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
        Statement of the physics. With `slabs`, also a function from a time axis to the problem on it, for sources that
        do not separate over all of time: it is called with the axis of the first slab.
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
    slabs
        Solve one time slab after the other, for solutions that travel or last long: the number of slabs, with equal
        shares of the elements in time; or the times where one ends and the next begins, which become nodes; or
        ``"auto"``, about nine radii of a moving source's path each. The end of a slab is rounded, with a stated error,
        and is the start of the next. The model is then a :class:`~inntd.SlabModel`; tolerance and estimates are about
        all slabs together, `rank` is that of each.
    time
        The whole time axis, when `problem` is a function.
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
    if merge is not None and method != "reduced_basis":
        raise ValueError(f"merge must be given with method='reduced_basis' only, got it with method={method!r}")
    if isinstance(problem, Problem) and problem.beyond:
        raise ValueError(f"problem is not for inntd.solve ({problem.beyond}): use inntd.pinn.solve(problem)")
    begin = clock.perf_counter()
    if slabs is not None:
        if method == "reduced_basis":
            raise ValueError("slabs do not go with method='reduced_basis': leave one of the two out")
        with _Threads(threads), blas_threads(threads), _Progress(progress, plan) as bar:
            return solve_slabs(problem, slabs, time, plan, method, bar.show)
    if not isinstance(problem, Problem):
        raise TypeError(f"problem must be an inntd.Problem, got {type(problem).__name__}")
    if time is not None:
        raise ValueError(f"time is for problems that are functions of it, together with slabs; got time={time!r}")
    if tolerance is not None:
        problem = problem.refined(SEPARATION * tolerance)
    with _Threads(threads), blas_threads(threads), _Progress(progress, plan) as bar:
        if method == "reduced_basis":
            return _reduced(problem, merge, plan, bar, begin)
        solved = solve_single(problem, plan, method, bar.show)
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
    )


def _reduced(
    problem: Problem, merge: Sequence[Axis | str] | None, plan: Plan, bar: _Progress, begin: float
) -> Answer[ReducedModel]:
    answer = solve_reduced_basis(problem, merge, plan.tolerance, plan.rank, plan.seed, bar.show)
    estimate = answer.error_estimate.total
    answer.model.metadata |= {
        "solver": {"method": "reduced_basis", "seed": plan.seed, "version": __version__},
        "status": answer.status,
        "error_estimate": estimate if np.isfinite(estimate) else None,
    }
    return replace(answer, seconds=clock.perf_counter() - begin)


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
