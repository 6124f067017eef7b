r"""Errors of goals by the adjoint problem: dual weighted residuals.

With the adjoint solution z, :math:`A^T z = j`, the error of a functional is known from the residual alone:
:math:`j^T (u_h - u) = z^T (b - A u)`. The value corrected by it is off by :math:`(z_h - z)^T r` only, a product of two
errors: it converges twice as fast, and where a sum B of one-dimensional operators lies below the symmetric part of A,
that product is at most :math:`\|r\|_{B^{-1}} \|j - A^T z\|_{B^{-1}}`, guaranteed. The same with the equations of a mesh
of half the size and longer patches, on which the answer is interpolated, tells the error of the mesh. References:
Becker and Rannacher, "An optimal control approach to a posteriori error estimation in finite element methods", Acta
Numerica 10, 2001; Hesthaven, Rozza and Stamm, "Certified Reduced Basis Methods for Parametrized PDEs", 2016, chapter 4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from inntd.models import CPModel, TuckerModel
from inntd.models.cp_form import CPForm
from inntd.models.forms import Form
from inntd.models.norms import exp
from inntd.models.points import check_points
from inntd.models.reduced import ReducedModel
from inntd.models.result import Answer, Status
from inntd.models.tucker_form import TuckerForm
from inntd.problems import Problem
from inntd.problems.refine import finer, on_axes_of
from inntd.solvers.alternating import Outcome, Plan, nothing_free
from inntd.solvers.automatic import solve_automatic
from inntd.solvers.below import NoBoundError, below_of
from inntd.solvers.free import free_system
from inntd.solvers.goals import DiscreteGoal, Goal, GoalError, discrete_goal
from inntd.solvers.guarantee import log_dual_norm
from inntd.solvers.nullspace import constant_nullspace
from inntd.solvers.operator import DiscreteSystem, adjoint, assemble
from inntd.solvers.reduced_goals import reduced_goal
from inntd.solvers.residual_form import TooLargeError, free_form, pairing, residual_form

Vector = npt.NDArray[np.float64]

ADJOINT_TOLERANCE = 1e-3  # its error is what the estimate is off by, relatively
MOST_MODES = 200
ROUNDING = 1e-15  # of a value, relatively


def goal_error(
    problem: Problem,
    answer: Answer[Any] | CPModel | TuckerModel | ReducedModel,
    goal: Goal,
    *,
    mesh: bool = False,
    tolerance: float = ADJOINT_TOLERANCE,
) -> GoalError:
    """Estimate the error of a linear functional of an answer, by the adjoint problem.

    Parameters
    ----------
    problem
        What was solved.
    answer
        The answer or its model: a `CPModel`, a `TuckerModel`, or a `ReducedModel`.
    goal
        What is of interest: ``Goal(x=0.5, t=1)`` is a value, ``Goal(t=1)`` a mean over all other axes. For a
        `ReducedModel` parameters that are not held still are averaged over samples.
    mesh
        Whether the error of the mesh is estimated too, by equations with all elements halved and longer patches;
        this takes a further adjoint solution. Not for a `ReducedModel`.
    tolerance
        Relative L2 error of the adjoint solutions.

    Returns
    -------
    GoalError
        Value, estimated error, corrected value, and a guaranteed bound where there is one.

    Raises
    ------
    ValueError
        When the goal does not fit the problem, or the solution is fixed by its mean.

    Examples
    --------
    >>> import inntd as it
    >>> from sympy import sin, pi
    >>> x, y = it.Axis("x", 0, 1, elements=8, s=1), it.Axis("y", 0, 1, elements=8, s=1)
    >>> u, v = it.unknown("u", x, y), it.test_function()
    >>> form = it.dot(it.grad(v), it.grad(u)) - 2 * pi**2 * v * sin(pi * x) * sin(pi * y)  # u = sin(pi x) sin(pi y)
    >>> problem = it.Problem(weak=form, conditions=[u.on(x, y) == 0])
    >>> found = it.goal_error(problem, it.solve(problem), it.Goal(), mesh=True)  # the mean is 4 / pi**2
    >>> exact = 4 / float(pi) ** 2
    >>> bool(abs(found.corrected - exact) < 0.2 * abs(found.value - exact))
    True
    """
    model = answer.model if isinstance(answer, Answer) else answer
    if isinstance(model, ReducedModel):
        if mesh:
            raise ValueError("mesh must be False for a ReducedModel: solve on a finer mesh, and compare")
        return reduced_goal(problem, model, goal, tolerance=tolerance).mean()
    if not isinstance(model, CPModel | TuckerModel):
        raise TypeError(
            f"answer must hold a CPModel, a TuckerModel or a ReducedModel, got {type(model).__name__}; of slabs take "
            "the last one's problem and model"
        )
    problem = on_axes_of(problem, model.axes)  # its mesh may be another one, such as an adapted one
    system, functional = assemble(problem), discrete_goal(problem, goal)
    if constant_nullspace(system):
        raise ValueError("problem must not leave a constant open: add a condition, or a term with u, for an adjoint")
    value = pairing(functional.form, model._form())
    found = free_form(system, model)
    own = _weighted_residual(system, functional, found, tolerance, certify=True)
    bound = None if own.bound is None else own.bound + ROUNDING * abs(value)
    if not mesh:
        return GoalError(value, own.estimate, None, bound, own.status)
    fine = finer(problem)
    reached, other = _on_other_mesh(fine, discrete_goal(fine, goal), model, tolerance)
    status = own.status if own.status != "converged" else other.status
    return GoalError(value, own.estimate, reached + other.estimate - value - own.estimate, bound, status)


def error_at(
    problem: Problem, answer: Answer[Any] | CPModel | TuckerModel | ReducedModel, points: npt.ArrayLike, *,
    mesh: bool = False, tolerance: float = ADJOINT_TOLERANCE,
) -> list[GoalError]:  # fmt: skip
    """Estimate the error at points: goals that hold all axes still, each with its own adjoint solution.

    Parameters
    ----------
    problem, answer, mesh, tolerance
        As for `goal_error`.
    points
        (K, D), columns in the order of the problem's axes.

    Examples
    --------
    >>> import inntd as it
    >>> x, y = it.Axis("x", 0, 1, elements=12), it.Axis("y", 0, 1, elements=12)
    >>> u, v = it.unknown("u", x, y), it.test_function()
    >>> problem = it.Problem(weak=it.dot(it.grad(v), it.grad(u)) - v, conditions=[u.on(x, y) == 0])
    >>> (found,) = it.error_at(problem, it.solve(problem, rank=1), [[0.5, 0.5]])
    >>> bool(abs(found.corrected - 0.0736713) < 2e-6 < abs(found.error))  # one mode is off, the corrected value is not
    True
    """
    x = check_points(points, problem.axes, torch.empty(0, dtype=torch.float64), "raise")
    names = [axis.name for axis in problem.axes]
    return [
        goal_error(problem, answer, Goal(dict(zip(names, row, strict=True))), mesh=mesh, tolerance=tolerance)
        for row in x.tolist()
    ]


@dataclass(frozen=True)
class _Weighted:
    """A residual paired with an adjoint solution, a guaranteed bound of what is left, and how that solution ended."""

    estimate: float
    bound: float | None
    status: Status


def _weighted_residual(
    system: DiscreteSystem, functional: DiscreteGoal, found: Form, tolerance: float, *, certify: bool
) -> _Weighted:
    turned = adjoint(system, functional.vectors, functional.weights)
    if nothing_free(turned) is not None or len(turned.load_logs) == 0:
        return _Weighted(0.0, 0.0, "converged")  # the goal sees given values only
    free = free_system(system)
    rest = residual_form(free, found)
    outcome = solve_automatic(turned, Plan(tolerance, MOST_MODES))
    dual = _form(turned, outcome)
    estimate = pairing(dual, rest) * exp(free.scale)
    return _Weighted(estimate, _remainder(system, turned, rest, dual) if certify else None, outcome.status)


def _remainder(system: DiscreteSystem, turned: DiscreteSystem, rest: Form, dual: Form) -> float | None:
    """Return the product of the dual norms of both residuals, None where there is no bound."""
    try:
        below, backward = below_of(system), free_system(turned)
        norms = log_dual_norm(below, rest) + log_dual_norm(below, residual_form(backward, dual))
    except (NoBoundError, TooLargeError):
        return None
    return exp(norms + below.system.scale + backward.scale)


def _form(system: DiscreteSystem, outcome: Outcome) -> Form:
    if outcome.core is not None:
        return TuckerForm(system.axes, outcome.factors, outcome.core)
    return CPForm(system.axes, outcome.factors)


def _on_other_mesh(
    problem: Problem, functional: DiscreteGoal, model: CPModel | TuckerModel, tolerance: float
) -> tuple[float, _Weighted]:
    """Interpolate an answer on another mesh; return its value there, and the error of that against the solution."""
    system = assemble(problem)
    factors = [
        _interpolated(factor, old, new)[free]
        for factor, old, new, free in zip(model._arrays(), model.axes, system.axes, system.free, strict=True)
    ]
    form = model._form()
    core = form.core if isinstance(form, TuckerForm) else None
    found: Form = CPForm(system.axes, factors) if core is None else TuckerForm(system.axes, factors, core)
    value = pairing(functional.on(system.free), found)
    lifted = system.lifting.factors()
    if lifted:
        value += pairing(functional.form, CPForm(system.axes, lifted))
    return value, _weighted_residual(system, functional, found, tolerance, certify=False)


def _interpolated(factor: Vector, old: Any, new: Any) -> Vector:
    index, basis = old.tabulate(new.nodes[: new.size])
    found: Vector = np.einsum("kw,kwm->km", basis, factor[index])
    return found
