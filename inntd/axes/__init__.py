"""One coordinate: its mesh, its basis and its matrices."""

from inntd.axes.assembly import advection, load, mass, matrix, stiffness
from inntd.axes.axis import Axis, Face
from inntd.axes.banded import BandedMatrix
from inntd.axes.basis import CHiDeNNBasis, LinearBasis
from inntd.axes.quadrature import QuadratureWarning, quadrature_points

__all__ = [
    "Axis",
    "BandedMatrix",
    "CHiDeNNBasis",
    "Face",
    "LinearBasis",
    "QuadratureWarning",
    "advection",
    "load",
    "mass",
    "matrix",
    "quadrature_points",
    "stiffness",
]
