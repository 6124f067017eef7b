"""Interpolating Neural Network - Tensor Decomposition: solve, train and invert in many dimensions."""

from inntd._checks import StabilityWarning
from inntd._version import __version__
from inntd.axes import Axis, CHiDeNNBasis, LinearBasis
from inntd.models import CPModel, TuckerModel, load
from inntd.problems import (
    Problem,
    coefficient,
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
from inntd.solvers import Answer, ErrorEstimate, solve

__all__ = [
    "Answer",
    "Axis",
    "CHiDeNNBasis",
    "CPModel",
    "ErrorEstimate",
    "LinearBasis",
    "Problem",
    "StabilityWarning",
    "TuckerModel",
    "__version__",
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
    "load",
    "on",
    "solve",
    "sym",
    "test_function",
    "tr",
    "transpose",
    "unknown",
]
