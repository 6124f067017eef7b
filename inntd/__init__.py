"""Interpolating Neural Network - Tensor Decomposition: solve, train and invert in many dimensions."""

from typing import TYPE_CHECKING, Any

from inntd import pinn
from inntd._checks import StabilityWarning
from inntd._version import __version__
from inntd.axes import Axis, CHiDeNNBasis, LinearBasis
from inntd.models import CPModel, SlabModel, TuckerModel, load
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

if TYPE_CHECKING:
    from inntd.training.estimators import INNClassifier, INNRegressor

__all__ = [
    "Answer",
    "Axis",
    "CHiDeNNBasis",
    "CPModel",
    "ErrorEstimate",
    "INNClassifier",
    "INNRegressor",
    "LinearBasis",
    "Problem",
    "SlabModel",
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
    "pinn",
    "solve",
    "sym",
    "test_function",
    "tr",
    "transpose",
    "unknown",
]


def __getattr__(name: str) -> Any:
    """Import the estimators when they are first asked for: scikit-learn takes a second to import."""
    if name not in ("INNClassifier", "INNRegressor"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from inntd.training import estimators

    return getattr(estimators, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
