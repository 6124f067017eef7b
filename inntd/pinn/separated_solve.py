"""From a strong form over many axes to a CP model with an error estimate."""

from __future__ import annotations

import math
import time as clock
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from inntd import _checks
from inntd._version import __version__
from inntd.axes import Axis
from inntd.models import CPModel, TuckerModel
from inntd.models.result import Answer, ErrorEstimate, Step
from inntd.pinn.constraints import OnFace
from inntd.pinn.estimate import shorter
from inntd.pinn.residual import Residual
from inntd.pinn.separated import POINTS, PointSystem, SeparatedRun, check_separable, grow, polish, sobol

Array = npt.NDArray[np.float64]


def solve_separated(
    residual: Residual,
    faces: Sequence[OnFace],
    tolerance: float,
    most: int,
    rank: int,
    seed: int,
    estimate: bool,
    watch: Callable[[int, float], None],
) -> Answer[CPModel | TuckerModel]:
    """Grow a CP model and let it converge; see `inntd.pinn.solve`."""
    begin = clock.perf_counter()
    rank, seed = _checks.positive_int("rank", rank), _checks.positive_int("seed", seed, minimum=0)
    check_separable(residual, faces)
    points = sobol(residual.axes, POINTS, seed)
    system = PointSystem(residual, faces, residual.axes, points)
    factors, settled = grow(system, rank, seed, watch)
    if settled is None:
        run = SeparatedRun(factors, "interrupted", "stopped while modes were added; those that were done are kept")
    else:
        run = polish(system, factors, tolerance, most, watch)
    if run.status == "converged" and not settled:
        run.status, run.message = "max_rank", f"all {rank} modes matter, and more might; raise rank"
    model = CPModel.from_factors(residual.axes, system.whole(run.factors))
    error = (
        _estimate(residual, faces, points, system, run, most, seed)
        if estimate and run.status != "interrupted"
        else None
    )
    last = run.steps[-1] if run.steps else 0.0
    modes = model.rank
    seconds = clock.perf_counter() - begin
    model.metadata |= {
        "solver": {"method": "pinn", "version": __version__},
        "status": run.status,
        "error_estimate": error,
    }
    history = tuple(Step(modes, size, k + 1, seconds) for k, size in enumerate(run.steps))
    note = (
        f"alternating was chosen: {len(residual.differentiated)} axes are differentiated, and the unknowns are the "
        f"factors of {modes} modes, at {len(points)} points"
    )
    fields: dict[str, CPModel | TuckerModel] = {residual.names[0]: model}
    return Answer(model, run.status, run.message, ErrorEstimate(last, error), modes, seconds, history, (note,), fields)


def _estimate(
    residual: Residual,
    faces: Sequence[OnFace],
    points: Array,
    system: PointSystem,
    run: SeparatedRun,
    most: int,
    seed: int,
) -> float | None:
    """Return the distance to the solution with patches one hop shorter, at fresh points."""
    shorts: list[Axis] = [shorter(axis) for axis in residual.axes]
    if all(a is b for a, b in zip(residual.axes, shorts, strict=True)):
        return None
    again = polish(PointSystem(residual, faces, shorts, points), run.factors, 1e-6, min(most, 10), lambda n, s: None)
    fresh = sobol(residual.axes, POINTS // 2, seed + 1)
    mine = CPModel.from_factors(residual.axes, system.whole(run.factors))(fresh).numpy()
    other = CPModel.from_factors(shorts, system.whole(again.factors))(fresh).numpy()
    size = float(np.linalg.norm(mine))
    return float(np.linalg.norm(mine - other)) / size if size and math.isfinite(size) else None
