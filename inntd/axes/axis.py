"""A coordinate with a name, a mesh and a basis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import sympy

from inntd.axes.symbolic import Symbolic


@dataclass(frozen=True, eq=False)
class Face:
    """One end of an axis: the whole face of the box where that coordinate is at its start or end."""

    axis: Axis
    side: str  # "start" or "end"


class Axis(Symbolic):
    """Placeholder until the axes are written."""

    def __init__(
        self,
        name: str,
        start: float,
        stop: float,
        *,
        elements: int = 10,
        kind: str = "space",
        s: int = 3,
        periodic: bool = False,
        **_: Any,
    ) -> None:
        self.name, self.domain, self.kind, self.periodic = name, (float(start), float(stop)), kind, periodic
        self.nodes: npt.NDArray[np.float64] = np.linspace(start, stop, elements + 1)

    @property
    def start(self) -> Face:
        return Face(self, "start")

    @property
    def end(self) -> Face:
        return Face(self, "end")

    def _sympy_(self) -> sympy.Symbol:
        return sympy.Symbol(self.name, real=True)
