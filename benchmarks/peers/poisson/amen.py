"""S1's discrete system solved by torchTT's AMEn (tensor trains) and by inntd, side by side.

Both get the same 1-D matrices, on one thread, and the same figure to meet. AMEn runs with the settings that were
fastest for it on these cases, over a list of tolerances: the fastest run that meets the figure counts.
"""

from __future__ import annotations

import statistics
import sys
import warnings
from typing import TYPE_CHECKING, Any

import common  # before NumPy: one thread
import harness
import numpy as np
import torch

if TYPE_CHECKING:
    import torchtt

TOLERANCES = (1e-6, 1e-7, 1e-8, 1e-10)
SETTINGS = {"preconditioner": "c", "kickrank": 1, "max_full": 250, "nswp": 40}


def solve(case: harness.Case, eps: float) -> tuple[float, float, list[common.Array], common.Axis1D]:
    """Return the wall and CPU seconds, assembly included, the cores of the inner nodes' values, and the axis."""
    import torchtt

    dimension, axis = case.fields["dimension"], common.make_axis(case)
    harness.forget()

    def action() -> tuple[torchtt.TT, common.Axis1D]:
        system = common.assemble(axis)
        operator = torchtt.TT([_tensor(core) for core in common.operator_train(dimension, system)])
        load = torchtt.TT([_tensor(core) for core in common.load_train(dimension, system)]).round(1e-14)
        return torchtt.solvers.amen_solve(operator, load, eps=eps, **SETTINGS), system

    seconds, busy, (solution, system) = harness.clocked(action)
    return seconds, busy, [core.numpy() for core in solution.cores], system


def _tensor(core: common.Array) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(core))


def runs(case: harness.Case, repeat: int) -> tuple[str, list[dict[str, Any]]]:
    """Run AMEn over the tolerances."""
    import torchtt

    found = []
    for eps in TOLERANCES:
        torch.manual_seed(0)
        several = [solve(case, eps) for _ in range(repeat)]
        found.append(
            {
                "error": max(common.relative_error(cores, system) for _, _, cores, system in several),
                "seconds": statistics.median(run[0] for run in several),
                "seconds_cpu": statistics.median(run[1] for run in several),
                "settings": {"eps": eps, **SETTINGS, "ranks": max(core.shape[0] for core in several[0][2])},
            }
        )
        # Tighter tolerances only take longer; one more is tried, for the loosest is not always the fastest.
        if sum(run["error"] <= case.error for run in found) == 2:
            break
    name = f"torchTT AMEn ({'C++' if torchtt.cpp_enabled() else 'Python'})"
    return name, found


if __name__ == "__main__":
    warnings.filterwarnings("ignore")  # torchTT's own
    sys.exit(common.main(__doc__, "torchtt", range(2, 21), runs))
