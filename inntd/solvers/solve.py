"""The public solver: one call from a problem to a model."""

from __future__ import annotations

import functools
import time as clock
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypedDict, overload

from inntd.axes import Axis
from inntd.models import CPModel, SlabModel, TuckerModel
from inntd.models.reduced import ReducedModel
from inntd.models.result import Answer
from inntd.problems import Problem
from inntd.solvers import routes
from inntd.solvers.adaptivity import Adapt, solve_adaptive
from inntd.solvers.fallback import solve_by_choice
from inntd.solvers.finish import finished
from inntd.solvers.options import Method, Options, Progress, SeparatedMethod
from inntd.solvers.slab_lengths import Slabs

if TYPE_CHECKING:
    from typing_extensions import Unpack


class Common(TypedDict, total=False):
    """Arguments that every route takes."""

    rank: int | None
    tolerance: float | None
    adapt: Adapt | None
    seed: int
    threads: int | None
    progress: bool | None


@overload
def solve(problem: Problem, *, method: SeparatedMethod, **common: Unpack[Common]) -> Answer[CPModel | TuckerModel]: ...


@overload
def solve(
    problem: Problem,
    *,
    method: Literal["reduced_basis"],
    merge: Sequence[Axis | str] | None = None,
    **common: Unpack[Common],
) -> Answer[ReducedModel]: ...


@overload
def solve(
    problem: Problem | Callable[[Axis], Problem],
    *,
    slabs: Slabs,
    time: Axis | None = None,
    method: Literal["auto"] | SeparatedMethod = "auto",
    **common: Unpack[Common],
) -> Answer[SlabModel]: ...


@overload
def solve(problem: Problem, *, method: Literal["auto"] = "auto", **common: Unpack[Common]) -> Answer[Any]: ...


def solve(
    problem: Problem | Callable[[Axis], Problem],
    *,
    slabs: Slabs | None = None,
    time: Axis | None = None,
    rank: int | None = None,
    tolerance: float | None = None,
    method: Method = "auto",
    merge: Sequence[Axis | str] | None = None,
    adapt: Adapt | None = None,
    seed: int = 0,
    threads: int | None = None,
    progress: bool | None = None,
) -> Answer[Any]:
    """Solve a linear problem without data, by Galerkin in a form that suits it.

    Parameters
    ----------
    problem
        Statement of the physics. With `slabs`, also a function from a time axis to the problem on it, for sources that
        do not separate over all of time: it is called with the axis of the first slab.
    rank
        Number of modes: computed exactly so many when no tolerance is given, at most so many otherwise (default 200).
    tolerance
        Relative L2 error over all axes to be reached, as estimated (default 1e-6 when no rank is given either). It is
        about the discrete system, and about the mesh as well with `adapt`.
    method
        ``"auto"`` chooses by the class of the problem (see :mod:`inntd.solvers.choice`), tries another route where one
        fails, and says so in the answer's notes; with a `rank` the answer is a separated model. By hand:
        ``"alternating"``: greedy growth of a CP model with updates of all modes. ``"greedy"``: the paper's Algorithm 3
        without updates, for comparison. ``"direct"``: all coefficients at once by diagonalising the axes, then the best
        modes; for two axes, or a few short ones. ``"tucker"``: the best combination of the functions of a few CP modes
        (`rank` of them, default 6), updated axis by axis, for up to about six coupled axes; gives a `TuckerModel`.
        ``"minimal_residual"``: alternating updates that minimise the residual, for indefinite operators.
        ``"reduced_basis"``: full solutions at a few parameters, picked by the residual, and Galerkin in their span for
        every other; for strong or many coupled parameters, and convection; gives a `ReducedModel`. Its `tolerance` is
        that of the worst parameter.
    merge
        With ``"reduced_basis"`` only: the axes that full solutions are functions of, or their names; by default all but
        those of kind ``"parameter"``.
    adapt
        ``"mesh"``: where the mesh's part of the error is too large, solve again on other meshes of the axes that carry
        it, with more nodes where they are needed and larger patches for smooth solutions, until mesh and discrete
        system together meet the `tolerance`. Ends and breaks stay nodes, and nodes that were given one by one; a basis
        that was given stays. None: the mesh stays, and with a tolerance its part of the error is estimated and told.
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
        ``"interrupted"``; before there is any, a model of the boundary values alone. The model is of the class that the
        route gives: `CPModel`, `TuckerModel`, `ReducedModel` or `SlabModel`.

    Raises
    ------
    ValueError
        If an argument is out of range, or the problem has no unique solution.
    MemoryError
        When what a route needs does not fit, with its size in GB, before it is taken.

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
    if isinstance(problem, Problem) and problem.beyond:
        raise ValueError(f"problem is not for inntd.solve ({problem.beyond}): use inntd.pinn.solve(problem)")
    begin = clock.perf_counter()
    options = Options(rank, tolerance, method, merge, seed, threads, progress)
    if adapt is not None:
        fixed: dict[str, Any] = {"time": time, "rank": rank, "method": method, "merge": merge, "seed": seed}
        fixed |= {"threads": threads, "progress": progress}
        return solve_adaptive(problem, tolerance, adapt, slabs, functools.partial(solve, **fixed))
    with options.running() as bar:
        try:
            answer = _answer(problem, slabs, time, options, bar)
        except KeyboardInterrupt:
            if not isinstance(problem, Problem):
                raise
            answer = routes.boundary_values(problem, slabs=slabs is not None)
    return finished(answer, options, begin)


def _answer(
    problem: Problem | Callable[[Axis], Problem],
    slabs: Slabs | None,
    time: Axis | None,
    options: Options,
    bar: Progress,
) -> Answer[Any]:
    """Follow the route that was chosen by hand, or leave the choice to the problem."""
    if slabs is not None:
        if options.method == "reduced_basis":
            raise ValueError("slabs do not go with method='reduced_basis': leave one of the two out")
        bar.begin("time slabs")
        return routes.marched(problem, options.plan, options.method, slabs, time, bar.show)
    if not isinstance(problem, Problem):
        raise TypeError(f"problem must be an inntd.Problem, got {type(problem).__name__}")
    if time is not None:
        raise ValueError(f"time is for problems that are functions of it, together with slabs; got time={time!r}")
    if options.method == "auto":
        return solve_by_choice(problem, options, bar)
    bar.begin(options.method)
    if options.method == "reduced_basis":
        return routes.reduced(options.refined(problem), options.plan, options.merge, bar.show)
    return routes.separated(options.refined(problem), options.plan, options.method, bar.show)
