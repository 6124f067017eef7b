"""The end of every solve: an answer of any route gets its time, its origin, and what its estimate means."""

from __future__ import annotations

import time as clock
from dataclasses import replace
from typing import Any

import numpy as np

from inntd._version import __version__
from inntd.models.result import Answer
from inntd.solvers.alternating import FLOOR, ROUNDING
from inntd.solvers.options import Options


def finished(answer: Answer[Any], options: Options, begin: float) -> Answer[Any]:
    """Return an answer as it is handed out.

    Parameters
    ----------
    answer
        Of any route.
    options
        What was asked for.
    begin
        When the solve began, by `time.perf_counter`.
    """
    answer = replace(_with_floor(answer, options.plan.tolerance), seconds=clock.perf_counter() - begin)
    estimate = answer.error_estimate.total
    answer.model.metadata |= {
        "solver": {"method": options.method, "route": answer.route, "seed": options.seed, "version": __version__},
        "status": answer.status,
        "error_estimate": estimate if np.isfinite(estimate) else None,
    }
    return answer


def _with_floor(answer: Answer[Any], tolerance: float | None) -> Answer[Any]:
    """Say how far float64 goes, where it ends an answer before its tolerance.

    No route tells errors below `FLOOR`: an estimate that is less is one of what was left out, not of rounding.
    """
    estimate, status = answer.error_estimate, answer.status
    if tolerance is None or status not in ("converged", "stagnated", "max_rank") or estimate.algebraic == 0.0:
        return answer
    reached = max(estimate.algebraic, FLOOR)
    below = tolerance < reached <= FLOOR
    if not below and not (status == "stagnated" and tolerance < reached <= ROUNDING):
        return answer
    floor = f"the floor here is about {reached:.0e}, by rounding, above the tolerance {tolerance:.0e}"
    return replace(
        answer,
        status="stagnated",
        message=f"{answer.message.split(':')[0]}: {floor}; loosen tolerance",
        error_estimate=replace(estimate, algebraic=reached),
    )
