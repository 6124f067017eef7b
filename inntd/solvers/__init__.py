"""Solve without data: Galerkin in separated form."""

from inntd.models.result import Answer, ErrorEstimate
from inntd.solvers.dual_residual import error_at, goal_error
from inntd.solvers.goals import Goal, GoalError
from inntd.solvers.guarantee import ErrorBound, error_bound
from inntd.solvers.solve import solve

__all__ = [
    "Answer",
    "ErrorBound",
    "ErrorEstimate",
    "Goal",
    "GoalError",
    "error_at",
    "error_bound",
    "goal_error",
    "solve",
]
