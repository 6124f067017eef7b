"""The language in which physics is stated: unknowns, test functions, differential operators, indicators."""

from inntd.problems.fields import TestFunction, Unknown, test_function, unknown
from inntd.problems.indicator import Indicator, indicator
from inntd.problems.operators import Vector, diff, div, dot, dt, grad, inner, laplacian

__all__ = [
    "Indicator",
    "TestFunction",
    "Unknown",
    "Vector",
    "diff",
    "div",
    "dot",
    "dt",
    "grad",
    "indicator",
    "inner",
    "laplacian",
    "test_function",
    "unknown",
]
