"""Acceleration of alternating sweeps: extrapolation along the last step, restarted where it does not pay.

Sweeps converge slowly where modes nearly depend on each other. Nesterov's extrapolation, with a restart whenever a
sweep changes more than the one before it, halves the number of sweeps (Mitchell, Ye and De Sterck, "Nesterov
acceleration of alternating least squares for canonical tensor decomposition", 2020); it costs nothing but a copy.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from inntd._kernels import core

Vector = npt.NDArray[np.float64]
Modes = tuple[list[Vector], Vector]

# Changes fluctuate from sweep to sweep: only a clearly larger one restarts.
RESTART = 1.2


class Momentum:
    """Extrapolates the modes of a solver from sweep to sweep.

    Attributes
    ----------
    steps
        Sweeps since the last restart; the extrapolation grows with it to one whole step.
    """

    def __init__(self) -> None:
        self.steps = 0
        self._before: Modes | None = None
        self._change = float("inf")

    def push(self, solver: core.Alternating, modes: Modes, change: float) -> None:
        """Extrapolate the solver's modes from those after the last sweep, which changed them by `change`."""
        if self._before is not None and change <= RESTART * self._change:
            self.steps += 1
            weight = self.steps / (self.steps + 3)
            factors = [
                np.ascontiguousarray(new + weight * (new - old))
                for new, old in zip(modes[0], self._before[0], strict=True)
            ]
            amplitudes = np.abs(modes[1] + weight * (modes[1] - self._before[1]))
            solver.assign(factors, np.ascontiguousarray(amplitudes))
        else:
            self.steps = 0
        self._before, self._change = modes, change
