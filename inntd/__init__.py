"""Interpolating Neural Network - Tensor Decomposition: solve, train and invert in many dimensions."""

from typing import TYPE_CHECKING, Any

from inntd import pinn
from inntd._checks import StabilityWarning
from inntd._version import __version__
from inntd.axes import Axis, CHiDeNNBasis, LinearBasis
from inntd.calibration import Calibration, Observations, calibrate, place_sensors
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
from inntd.solvers import Answer, ErrorBound, ErrorEstimate, Goal, GoalError, error_at, error_bound, goal_error, solve

if TYPE_CHECKING:
    from inntd.results import statistics
    from inntd.results.export import export
    from inntd.training.estimators import INNClassifier, INNRegressor

__all__ = [
    "Answer",
    "Axis",
    "CHiDeNNBasis",
    "CPModel",
    "Calibration",
    "ErrorBound",
    "ErrorEstimate",
    "Goal",
    "GoalError",
    "INNClassifier",
    "INNRegressor",
    "LinearBasis",
    "Observations",
    "Problem",
    "SlabModel",
    "StabilityWarning",
    "TuckerModel",
    "__version__",
    "calibrate",
    "coefficient",
    "diff",
    "div",
    "dot",
    "dt",
    "error_at",
    "error_bound",
    "export",
    "goal_error",
    "grad",
    "identity",
    "indicator",
    "inner",
    "laplacian",
    "load",
    "on",
    "pinn",
    "place_sensors",
    "solve",
    "statistics",
    "sym",
    "test_function",
    "tr",
    "transpose",
    "unknown",
]


def __getattr__(name: str) -> Any:
    """Import what takes a second to import when it is first asked for: estimators, statistics and exports."""
    if name == "statistics":
        from inntd.results import statistics

        return statistics
    if name == "export":
        from inntd.results.export import export

        return export
    if name not in ("INNClassifier", "INNRegressor"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from inntd.training import estimators

    return getattr(estimators, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
