"""Gauss-Newton with backtracking on nodal values, which may be stopped at any time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from inntd.models.result import Status
from inntd.pinn.discretisation import Discretisation

Array = npt.NDArray[np.float64]

#: Halvings of a step before it is given up.
HALVINGS = 12
#: A step of this relative length that does not reduce the residual any more is round-off.
ROUND_OFF = 1e-9


@dataclass
class Run:
    """How an optimisation went.

    Attributes
    ----------
    values
        The best nodal values (components, n_1, ..., n_D).
    status, message
        How it ended.
    steps
        Relative lengths of the steps, in L2.
    """

    values: Array
    status: Status
    message: str
    steps: list[float] = field(default_factory=list)


def gauss_newton(
    system: Discretisation,
    start: Array,
    *,
    tolerance: float,
    most: int,
    watch: Callable[[int, float], None] = lambda number, size: None,
) -> Run:
    """Minimise the weighted residual from nodal values that fulfil the conditions.

    Parameters
    ----------
    system
        What is to vanish.
    start
        Nodal values (components, n_1, ..., n_D).
    tolerance
        Relative L2 length of a step at which to stop.
    most
        Largest number of steps.
    watch
        Called after each step with its number and its relative length.

    Raises
    ------
    ValueError
        The residual is not finite at the start; says where.
    """
    values = start
    loss = system.loss(values)
    if not np.isfinite(loss):
        raise ValueError(f"the residual is not finite at the start: {system.where_not_finite(values)}; give a start")
    run = Run(values, "stagnated", f"{most} steps did not suffice; allow more steps, or begin nearer, with start=")
    try:
        for number in range(most):
            step = system.step(values)
            size = system.norm(step) / max(system.norm(values + step), 1e-300)
            taken, better = _backtrack(system, values, step, loss)
            run.steps.append(taken * size)
            if taken:
                values, loss = values + taken * step, better
                run.values = values
            watch(number, taken * size)
            if size <= (tolerance if taken else max(tolerance, ROUND_OFF)):
                run.status, run.message = "converged", f"the last step changed the solution by {size:.1e}"
                return run
            if not taken:
                run.message = (
                    f"no part of the step of relative length {size:.1e} reduces the residual; begin nearer, with "
                    "start=, use more elements, or time slabs"
                )
                return run
    except KeyboardInterrupt:
        run.status, run.message = "interrupted", f"stopped after {len(run.steps)} steps; the best values are kept"
    except np.linalg.LinAlgError as error:
        run.status, run.message = "diverged", f"{error}; the last good values are kept"
    return run


def _backtrack(system: Discretisation, values: Array, step: Array, loss: float) -> tuple[float, float]:
    """Return the first of 1, 1/2, 1/4, ... of the step that reduces the loss, and the loss there; 0 if none does."""
    part = 1.0
    for _ in range(HALVINGS):
        reached = system.loss(values + part * step)
        if reached < loss:
            return part, reached
        part /= 2
    return 0.0, loss
