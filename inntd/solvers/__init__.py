"""Solve without data: Galerkin in separated form."""

from inntd.models.result import Answer, ErrorEstimate
from inntd.solvers.guarantee import ErrorBound, error_bound
from inntd.solvers.solve import solve

__all__ = ["Answer", "ErrorBound", "ErrorEstimate", "error_bound", "solve"]
