"""Samples of the posterior distribution by emcee, an affine-invariant ensemble of walkers."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from inntd.calibration.objective import Objective

Array = npt.NDArray[np.float64]

WALKERS = 32
SPREAD = 0.5  # of the walkers' start, in standard errors


@dataclass(frozen=True, eq=False)
class Samples:
    """Values drawn from the posterior distribution.

    Parameters
    ----------
    names : tuple of str
    values : array (N, P)
    correlation_steps : float
        Steps of a walker between independent samples; the run was long enough if it is much shorter than the run.
    acceptance : float
        Share of accepted proposals, about 0.2 to 0.5 in a good run.
    effective : float
        How many independent samples these are worth.
    """

    names: tuple[str, ...]
    values: Array
    correlation_steps: float
    acceptance: float
    effective: float

    def intervals(self, level: float = 0.95) -> dict[str, tuple[float, float]]:
        """Return the ends between which the middle part of the samples lies."""
        low, high = np.quantile(self.values, [0.5 - 0.5 * level, 0.5 + 0.5 * level], axis=0)
        return {name: (float(a), float(b)) for name, a, b in zip(self.names, low, high, strict=True)}


def sample_posterior(
    objective: Objective, z: Array, deviations: Array, steps: int, seed: int, *, noise_known: bool
) -> Samples:
    """Return samples from walkers around the best unit coordinates (P,), the first third of the run left out.

    An unknown noise is integrated out, with a density proportional to its inverse (Jeffreys).
    """
    emcee = _emcee()
    unknowns = len(z)
    walkers = max(WALKERS, 2 * unknowns + 2)
    random = np.random.default_rng(seed)
    start = z + SPREAD * np.clip(deviations, 1e-12, 0.5) * random.standard_normal((walkers, unknowns))
    inside = np.abs(start - 2 * np.floor(start / 2 + 0.5))  # reflected at the ends of the box

    def logarithm(points: Array) -> Array:
        within = ((points >= 0) & (points <= 1)).all(axis=1)
        found = np.full(len(points), -np.inf)
        if within.any():
            theta = objective.parameters.from_unit(points[within])
            if noise_known or objective.loss != "linear":
                found[within] = -0.5 * objective.misfit(theta)
            else:
                squares = (objective.data(theta) ** 2).sum(axis=1) + objective.rest
                known = (objective.known(theta) ** 2).sum(axis=1)
                found[within] = -0.5 * objective.count * np.log(np.maximum(squares, 1e-300)) - 0.5 * known
        return np.where(np.isnan(found), -np.inf, found)

    sampler = emcee.EnsembleSampler(walkers, unknowns, logarithm, vectorize=True)
    sampler.random_state = np.random.RandomState(seed).get_state()  # what emcee draws from
    sampler.run_mcmc(inside, steps)
    time = float(np.max(sampler.get_autocorr_time(tol=0)))
    chain = sampler.get_chain(discard=steps // 3)
    values = objective.parameters.from_unit(chain.reshape(-1, unknowns))
    effective = len(values) / max(time, 1.0)
    return Samples(objective.parameters.names, values, time, float(np.mean(sampler.acceptance_fraction)), effective)


def _emcee() -> Any:
    try:
        return importlib.import_module("emcee")
    except ImportError:
        raise ImportError(
            "sampling needs emcee, which is not installed: pip install 'inntd[sampling]'; "
            "intervals by Laplace and by profile likelihood need nothing"
        ) from None
