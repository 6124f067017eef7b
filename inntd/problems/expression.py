"""The language in which physics is stated: unknowns, test functions, differential operators, indicators."""

from inntd.problems.contractions import dot, identity, inner, sym, tr, transpose
from inntd.problems.faces import on
from inntd.problems.fields import TestFunction, Unknown, test_function, unknown
from inntd.problems.indicator import Indicator, indicator
from inntd.problems.operators import diff, div, dt, grad, laplacian
from inntd.problems.tensor import Tensor

__all__ = [
    "Indicator",
    "Tensor",
    "TestFunction",
    "Unknown",
    "diff",
    "div",
    "dot",
    "dt",
    "grad",
    "identity",
    "indicator",
    "inner",
    "laplacian",
    "on",
    "sym",
    "test_function",
    "tr",
    "transpose",
    "unknown",
]
