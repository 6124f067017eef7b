"""Experiments: what was seen in each of them, on the same model, and the part that least squares works with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.linalg import cholesky, solve_triangular

from inntd import _checks
from inntd.calibration.compress import compress, compress_grid, compress_rows
from inntd.calibration.losses import Loss
from inntd.calibration.observations import Observations, Resolved
from inntd.calibration.response import LinearResponse, Response, make_response, make_rows, point_response
from inntd.calibration.terms import Terms
from inntd.models.reduced import ReducedModel
from inntd.models.separated import SeparatedModel

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Part:
    """What least squares sees of an experiment: residuals of a response, in standard deviations where these are known.

    Parameters
    ----------
    response
        n values of the free coordinates.
    values
        (n,) their measured counterparts.
    scale
        Divides residuals: one number, (n,) numbers, or the lower triangle of a covariance.
    rest
        Sum of squares that no parameter changes.
    """

    response: Response
    values: Array
    scale: float | Array
    rest: float

    def residuals(self, p: Array) -> Array:
        """Return residuals (S, n) at coordinates (S, F)."""
        return np.asarray(self._scaled((self.response.values(p) - self.values).T).T)

    def jacobian(self, p: Array) -> tuple[Array, Array]:
        """Return residuals (n,) and derivatives (n, F) at coordinates (F,)."""
        value, derivative = self.response.jacobian(p)
        return self._scaled((value - self.values)[:, None])[:, 0], self._scaled(derivative)

    def _scaled(self, columns: Array) -> Array:
        return whitened(columns, self.scale)


@dataclass(frozen=True, eq=False)
class Experiment:
    """One experiment on a model whose known coordinates are held still."""

    name: str
    model: Any
    free: tuple[str, ...]
    seen: Resolved

    @property
    def count(self) -> int:
        """The number K of observations."""
        return len(self.seen.values)

    @property
    def scale(self) -> float | Array:
        """What residuals are divided by: one where the noise is unknown."""
        return scale_of(self.seen.noise)

    def part(self, loss: Loss) -> Part:
        """Return what least squares works with: as few rows as there are functions, unless the loss is robust."""
        scale, values = self.scale, self.seen.values
        if self.seen.grid is not None and loss == "linear" and isinstance(self.model, SeparatedModel):
            small = compress_grid(self.model, self.seen.grid, values, self.free)
            return Part(small.response, small.values, scale, small.rest / float(scale) ** 2)
        terms = self.seen.all_terms()
        if loss == "linear" and terms.gather is None and np.ndim(scale) < 2:
            rows = make_rows(self.model, terms, self.free)
            if rows is not None:
                small = compress_rows(rows, values, scale)
                return Part(small.response, small.values, 1.0, small.rest)
        response = make_response(self.model, terms, self.free)
        if loss != "linear" or not isinstance(response, LinearResponse):
            return Part(response, values, scale, 0.0)
        white = compress(response.with_rows(whitened(response.rows, scale)), whitened(values[:, None], scale)[:, 0])
        return Part(white.response, white.values, 1.0, white.rest)

    def predicted(self, p: Array) -> Array:
        """Return what the model gives for every observation (K,) at coordinates (F,)."""
        if self.seen.grid is not None:
            fixed = dict(zip(self.free, p.tolist(), strict=True))
            values = self.model.at(fixed)
            if isinstance(values, float):
                return np.full(1, values)
            return np.asarray(values.grid(self.seen.grid).double().numpy().ravel(), dtype=np.float64)
        terms = self.seen.all_terms()
        make = point_response if terms.are_points else make_response
        return np.asarray(make(self.model, terms, self.free).values(p[None])[0])


def make_experiments(model: Any, observations: Any, free: Sequence[str]) -> tuple[Experiment, ...]:
    """Return the experiments on a model, checked."""
    return tuple(_experiment(name, model, own, free) for name, own in named_observations(observations).items())


def named_observations(observations: Any) -> dict[str, Observations]:
    """Return the observations by name of experiment: one, several in a row, several by name."""
    if isinstance(observations, Observations):
        return {"1": observations}
    if isinstance(observations, Mapping) and observations and all(
        isinstance(own, Observations | Mapping) or hasattr(own, "columns") for own in observations.values()
    ):  # fmt: skip
        return {str(name): _observations(own) for name, own in observations.items()}
    if isinstance(observations, list | tuple):
        if not observations:
            raise ValueError("observations must hold at least one experiment, got none")
        return {str(e + 1): _observations(own) for e, own in enumerate(observations)}
    return {"1": _observations(observations)}


def _observations(given: Any) -> Observations:
    return given if isinstance(given, Observations) else Observations.table(given)


def _experiment(name: str, model: Any, observations: Observations, free: Sequence[str]) -> Experiment:
    try:
        seen = observations.resolve(model.axes, free)
    except ValueError as mistake:
        raise ValueError(f"{mistake} (experiment {name})" if name != "1" else str(mistake)) from None
    fixed = dict(seen.fixed)
    if isinstance(model, ReducedModel):
        fixed |= _constant_parameters(model, seen)
        if len(fixed) > len(seen.fixed) and seen.terms is not None:
            columns = {axis: own for axis, own in seen.terms.columns.items() if axis not in fixed}
            seen = Resolved(seen.values, seen.noise, Terms(columns, seen.terms.size, seen.terms.gather), None, fixed,
                            seen.notes)  # fmt: skip
    held = model.at(fixed) if fixed else model
    order = tuple(axis.name for axis in held.axes if axis.name in free)
    return Experiment(name, held, tuple(one for one in free if one in order), seen)


def _constant_parameters(model: ReducedModel, seen: Resolved) -> dict[str, float]:
    """Return the parameters that are the same for all observations: the equations are then solved once for all."""
    if seen.terms is None:
        return {}
    own = {axis.name: seen.terms.columns.get(axis.name) for axis in model.parameter_axes}
    return {name: float(column.points[0]) for name, column in own.items()
            if column is not None and seen.terms.are_points and np.ptp(column.points) == 0}  # fmt: skip


def scale_of(noise: float | Array | None) -> float | Array:
    """Return what residuals are divided by: a number, numbers, or the lower triangle of a covariance matrix."""
    if noise is None:
        return 1.0
    if isinstance(noise, float) or noise.ndim == 1:
        return noise
    if not np.allclose(noise, noise.T, rtol=1e-10, atol=0):
        raise ValueError("noise must be a symmetric matrix to be a covariance")
    try:
        return np.asarray(cholesky(noise, lower=True))
    except np.linalg.LinAlgError:
        raise ValueError("noise must be a positive definite matrix to be a covariance; add the instruments' own "
                         "variance to its diagonal") from None  # fmt: skip


def whitened(columns: Array, scale: float | Array) -> Array:
    """Return columns (n, C) in standard deviations."""
    if isinstance(scale, float):
        return columns if scale == 1.0 else columns / scale
    if scale.ndim == 1:
        return columns / scale[:, None]
    return np.asarray(solve_triangular(scale, columns, lower=True))


def common_noise(experiments: Sequence[Experiment], noise: Any) -> tuple[Experiment, ...]:
    """Return the experiments with the noise that was given for all of them; what an experiment says counts more."""
    if noise is None:
        return tuple(experiments)
    if np.ndim(noise) == 0:
        number = _checks.finite_float("noise", noise, positive=True)
        return tuple(_with_noise(own, number) if own.seen.noise is None else own for own in experiments)
    if len(experiments) > 1:
        raise ValueError("noise of several experiments must be a number, or be given with each of their observations")
    array = _checks.real_array("noise", noise)
    own = experiments[0]
    if array.ndim > 2 or any(size != own.count for size in array.shape):
        raise ValueError(f"noise must be a number, {own.count} numbers or a matrix of {own.count} x {own.count}, "
                         f"got shape {array.shape}")  # fmt: skip
    if not np.isfinite(array).all() or (array.ndim == 1 and not (array > 0).all()):
        raise ValueError("noise must hold positive finite standard deviations, or a finite covariance matrix")
    return (_with_noise(own, array),)


def _with_noise(own: Experiment, noise: float | Array) -> Experiment:
    seen = own.seen
    terms, grid = (seen.all_terms(), None) if not isinstance(noise, float) else (seen.terms, seen.grid)
    return Experiment(own.name, own.model, own.free, Resolved(seen.values, noise, terms, grid, seen.fixed, seen.notes))
