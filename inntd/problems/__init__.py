"""The physics, stated once: unknowns, weak and strong forms, conditions, problem files."""

from inntd.problems.conditions import Condition, Dirichlet
from inntd.problems.expression import (
    diff,
    div,
    dot,
    dt,
    grad,
    identity,
    indicator,
    inner,
    laplacian,
    on,
    sym,
    test_function,
    tr,
    transpose,
    unknown,
)
from inntd.problems.problem import Problem
from inntd.problems.separate import (
    AxisForm,
    AxisFunction,
    BilinearTerm,
    LinearTerm,
    LoadForm,
    SeparatedFunction,
)
from inntd.problems.sources import coefficient

__all__ = [
    "AxisForm",
    "AxisFunction",
    "BilinearTerm",
    "Condition",
    "Dirichlet",
    "LinearTerm",
    "LoadForm",
    "Problem",
    "SeparatedFunction",
    "coefficient",
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
