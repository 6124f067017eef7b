"""Solve without data: Galerkin in separated form."""

from inntd.models.result import Answer, ErrorEstimate
from inntd.solvers.solve import solve

__all__ = ["Answer", "ErrorEstimate", "solve"]
