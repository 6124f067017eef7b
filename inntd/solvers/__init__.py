"""Solve without data: Galerkin in separated form."""

from inntd.solvers.solve import solve

__all__ = ["solve"]
