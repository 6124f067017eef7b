"""Interpolating Neural Network - Tensor Decomposition: solve, train and invert in many dimensions."""

from inntd._version import __version__
from inntd.axes import Axis, CHiDeNNBasis, LinearBasis

__all__ = ["Axis", "CHiDeNNBasis", "LinearBasis", "__version__"]
