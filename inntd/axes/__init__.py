"""One coordinate: its mesh, its basis and its matrices."""

from inntd.axes.axis import Axis, Face

__all__ = ["Axis", "Face"]
