"""Gauss-Newton in a trust region inside the box, from one start or several; Adam for comparison."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.optimize import least_squares

from inntd.calibration.losses import rho
from inntd.calibration.objective import Objective
from inntd.models.result import Status

Array = npt.NDArray[np.float64]

TOLERANCE = 1e-12
EVALUATIONS = 200
EDGE = 1e-9  # distance from the box's ends at which a search begins


@dataclass(frozen=True, eq=False)
class Found:
    """Where a search ended, in coordinates of the unit box."""

    z: Array
    misfit: float
    status: Status
    evaluations: int
    history: tuple[float, ...] = field(default=(), repr=False)


class Watched:
    """An objective in the unit box that remembers the best point it has seen: what is left when a search breaks off."""

    def __init__(self, objective: Objective, fixed: dict[int, float] | None = None) -> None:
        self.objective = objective
        self.fixed = fixed or {}
        self.free = [i for i in range(len(objective.parameters.names)) if i not in self.fixed]
        self.data_rows = sum(len(part.values) for part in objective.parts)
        self.best: Array | None = None
        self.misfit = np.inf
        self.evaluations = 0
        self.history: list[float] = []

    def full(self, z: Array) -> Array:
        """Return all unit coordinates (P,) from the free ones."""
        whole = np.empty(len(self.free) + len(self.fixed))
        whole[self.free] = z
        for i, value in self.fixed.items():
            whole[i] = value
        return whole

    def residuals(self, z: Array) -> Array:
        """Return all residuals, of data and priors."""
        theta = self.objective.parameters.from_unit(self.full(z))[None]
        with np.errstate(all="ignore"):
            data = self.objective.data(theta)[0]
        r = np.concatenate([data, self.objective.known(theta)[0]])
        self.evaluations += 1
        self._remember(z, r)
        return r

    def jacobian(self, z: Array) -> Array:
        """Return the derivatives of all residuals with respect to the free unit coordinates."""
        parameters = self.objective.parameters
        theta = parameters.from_unit(self.full(z))
        with np.errstate(all="ignore"):
            _, data = self.objective.data_jacobian(theta)
        found: Array = (np.concatenate([data, self.objective.known_jacobian(theta)[1]]) * parameters.width)[
            :, self.free
        ]
        return found

    def loss(self, z: Array) -> Array:
        """Return the losses of squared residuals; priors stay squares."""
        found = rho("linear", z)
        found[:, : self.data_rows] = rho(self.objective.loss, z[: self.data_rows])
        return found

    def _remember(self, z: Array, r: Array) -> None:
        with np.errstate(all="ignore"):
            misfit = float(self.loss(r**2)[0].sum()) + self.objective.rest
        if np.isfinite(misfit) and misfit < self.misfit:
            self.best, self.misfit = z.copy(), misfit
        self.history.append(min(misfit, self.misfit) if np.isfinite(misfit) else self.misfit)


def trust_region(objective: Objective, start: Array, fixed: dict[int, float] | None = None) -> Found:
    """Search from unit coordinates; `fixed` are held still, by position.

    A search that is interrupted or runs into numbers that are not finite ends at the best point that it saw.
    """
    watched = Watched(objective, fixed)
    z = np.clip(start[watched.free], EDGE, 1 - EDGE)
    status: Status = "converged"
    if not watched.free:
        watched.residuals(z)
        return Found(watched.full(z), watched.misfit, status, 1)
    try:
        found = least_squares(
            watched.residuals, z, jac=watched.jacobian, bounds=(0.0, 1.0), method="trf", max_nfev=EVALUATIONS,
            loss="linear" if objective.loss == "linear" else watched.loss,
            ftol=TOLERANCE, xtol=TOLERANCE, gtol=TOLERANCE,
        )  # fmt: skip
        status = "converged" if found.status > 0 else "stagnated"
    except KeyboardInterrupt:
        status = "interrupted"
    except (ValueError, np.linalg.LinAlgError):  # SciPy's words for numbers that are not finite
        status = "diverged"
        if watched.best is None:
            raise
    best = z if watched.best is None else watched.best
    return Found(watched.full(best), watched.misfit, status, watched.evaluations, tuple(watched.history))


def adam(objective: Objective, start: Array, rate: float, steps: int) -> Found:
    """Search by Adam (Kingma and Ba, 2015) in the unit box, clipped to it, as the paper does it."""
    watched = Watched(objective)
    z, m, v = start.copy(), np.zeros_like(start), np.zeros_like(start)
    status: Status = "converged"
    try:
        for step in range(1, steps + 1):
            r, j = watched.residuals(z), watched.jacobian(z)
            gradient = j.T @ (r * watched.loss(r**2)[1])
            if not np.isfinite(gradient).all():
                status = "diverged"
                break
            m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
            ahead = (m / (1 - 0.9**step)) / (np.sqrt(v / (1 - 0.999**step)) + 1e-300)
            z = np.clip(z - rate * ahead, 0.0, 1.0)
    except KeyboardInterrupt:
        status = "interrupted"
    if watched.best is None:
        raise ValueError(not_finite(objective, start))
    return Found(watched.full(watched.best), watched.misfit, status, watched.evaluations, tuple(watched.history))


Search: TypeAlias = Callable[[Objective, Array], Found]


def search(objective: Objective, starts: Array, one: Search = trust_region) -> list[Found]:
    """Search from every start and return what was found, the best first; an interruption ends it with what there is."""
    found: list[Found] = []
    for start in starts:
        found.append(one(objective, start))
        if found[-1].status == "interrupted":
            best = min(found, key=lambda own: own.misfit)
            return [replace(best, status="interrupted")]
    return sorted(found, key=lambda own: own.misfit)


def not_finite(objective: Objective, z: Array) -> str:
    """Say where the model is not finite."""
    theta = objective.parameters.from_unit(z)
    place = ", ".join(f"{name} = {value:.4g}" for name, value in zip(objective.parameters.names, theta, strict=True))
    with np.errstate(all="ignore"):
        wrong = int((~np.isfinite(objective.data(theta[None])[0])).sum())
    return (f"the model must be finite where the observations are, got {wrong} values that are not at {place}: "
            "narrow the bounds")  # fmt: skip
