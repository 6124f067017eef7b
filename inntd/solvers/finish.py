"""The end of every solve: an answer of any route gets its time, its origin, and what its estimate means."""

from __future__ import annotations

import time as clock
from dataclasses import replace
from typing import Any

import numpy as np

from inntd._version import __version__
from inntd.models.result import Answer
from inntd.solvers.options import Options

ROUNDING = 1e-8  # estimates below are those of rounding, where nothing improves them any more


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
    """Say how far float64 goes, where it ends an answer before its tolerance."""
    reached = answer.error_estimate.algebraic
    if answer.status != "stagnated" or tolerance is None or not tolerance < reached <= ROUNDING:
        return answer
    floor = f"rounding ends it: the floor here is about {reached:.0e}, above the tolerance {tolerance:.0e}"
    return replace(answer, message=f"{answer.message}; {floor}")
