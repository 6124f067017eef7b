"""Interpolating Neural Network - Tensor Decomposition: solve, train and invert in many dimensions."""

from inntd._version import __version__
from inntd.axes import Axis

__all__ = ["Axis", "__version__"]
