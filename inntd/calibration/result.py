"""What a calibration found, and what can be asked of it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from inntd import _checks
from inntd.calibration.identifiability import Identifiability
from inntd.calibration.objective import Objective
from inntd.calibration.predictions import Prediction, predict
from inntd.calibration.profile import profile_interval
from inntd.calibration.sampling import Samples, sample_posterior
from inntd.calibration.uncertainty import Uncertainty
from inntd.models.atomic import write_atomically
from inntd.models.result import Status

Array = npt.NDArray[np.float64]
Method = Literal["laplace", "profile"]
METHODS: tuple[Method, ...] = ("laplace", "profile")


@dataclass(frozen=True, eq=False)
class Residuals:
    """Observed and predicted values (K,) of one experiment, and their differences in standard deviations."""

    observed: Array
    predicted: Array
    standardised: Array


@dataclass(frozen=True, eq=False)
class Calibration:
    """The parameters that explain observations, and how well.

    Parameters
    ----------
    names : tuple of str
        The unknowns.
    values : dict
        By name.
    bounds : dict
        The box that was searched.
    covariance : array (P, P)
        By Laplace's approximation, of data and priors. Directions that nothing determines count with the variance of a
        uniform distribution over the box.
    undetermined : tuple of str
        Unknowns that neither data nor priors determine: their values mean nothing, their intervals are the bounds.
    identifiability : Identifiability
        What the data alone determine.
    noise : float or None
        Standard deviation of the observations as estimated; None where it was given.
    misfit : float
        Sum of squares of the residuals in standard deviations (their robust loss, with priors), at the values.
    chi_square : float
        Mean square of the residuals in standard deviations per degree of freedom; about one when model and given noise
        are right.
    observations : int
    others : tuple of dict
        Other values elsewhere in the box that explain the data about as well.
    residuals : dict
        Residuals by experiment.
    status : {"converged", "stagnated", "diverged", "interrupted"}
    message : str
    evaluations : int
    seconds : float
    notes : tuple of str

    Examples
    --------
    >>> import numpy as np, inntd as it
    >>> x, k = it.Axis("x", 0, 1, elements=16), it.Axis("k", 1, 3, elements=16, kind="parameter")
    >>> u = it.CPModel.from_factors([x, k], [np.exp(-x.nodes)[:, None], k.nodes[:, None] ** 2])  # k² exp(-x)
    >>> places = np.linspace(0, 1, 20)
    >>> found = it.calibrate(u, {"x": places, "u": 4 * np.exp(-places)}, free=["k"], noise=0.1)
    >>> round(found.values["k"], 6), round(found.standard_errors["k"], 3), found.undetermined
    (2.0, 0.008, ())
    """

    names: tuple[str, ...]
    values: dict[str, float]
    bounds: dict[str, tuple[float, float]]
    covariance: Array
    undetermined: tuple[str, ...]
    identifiability: Identifiability
    noise: float | None
    misfit: float
    chi_square: float
    observations: int
    others: tuple[dict[str, float], ...]
    residuals: dict[str, Residuals] = field(repr=False)
    status: Status
    message: str
    evaluations: int
    seconds: float
    notes: tuple[str, ...]
    history: tuple[float, ...] = field(repr=False)
    _objective: Objective = field(repr=False)
    _uncertainty: Uncertainty = field(repr=False)

    @property
    def converged(self) -> bool:
        """Whether the search ended at a minimum."""
        return self.status == "converged"

    @property
    def standard_errors(self) -> dict[str, float]:
        """Standard errors by name; infinite for what is undetermined."""
        errors = np.sqrt(np.diag(self.covariance))
        return {name: float("inf") if name in self.undetermined else float(error)
                for name, error in zip(self.names, errors, strict=True)}  # fmt: skip

    @property
    def correlation(self) -> Array:
        """Correlations (P, P) of the unknowns."""
        errors = np.sqrt(np.diag(self.covariance))
        return np.asarray(self.covariance / np.outer(errors, errors))

    def intervals(self, level: float = 0.95, *, method: Method = "laplace") -> dict[str, tuple[float, float]]:
        """Return intervals that hold the true values with a probability, by name.

        Parameters
        ----------
        level : float, default 0.95
        method : {"laplace", "profile"}, default "laplace"
            By the curvature of the misfit; or where the misfit, all other unknowns chosen best, has risen by the
            quantile: asymmetric where the model bends, and slower.

        Returns
        -------
        dict
            Never beyond the bounds; the bounds for what is undetermined.
        """
        level = _probability(level)
        _checks.one_of("method", method, METHODS)
        ends = self._uncertainty.intervals(self._theta, self._low, self._high, self.names, level)
        if method == "profile":
            ends = self._profile(ends, level)
        return {name: (float(a), float(b)) for name, (a, b) in zip(self.names, ends, strict=True)}

    def sample(self, steps: int = 2000, *, seed: int = 0) -> Samples:
        """Return samples of the posterior distribution by `emcee` (``pip install 'inntd[sampling]'``).

        Parameters
        ----------
        steps : int, default 2000
            Of each of 32 walkers or more; the first third is left out.
        seed : int, default 0

        Raises
        ------
        ImportError
            When emcee is not installed.
        """
        steps = _checks.positive_int("steps", steps, minimum=30)
        seed = _checks.positive_int("seed", seed, minimum=0)
        parameters = self._objective.parameters
        errors = np.sqrt(np.diag(self.covariance)) / parameters.width
        z = parameters.to_unit(self._theta)
        return sample_posterior(self._objective, z, errors, steps, seed, noise_known=self.noise is None)

    def predict(
        self, places: Mapping[str, Any], *, level: float = 0.95, noise: bool = False, experiment: str | None = None
    ) -> Prediction:
        """Return the field at places with these values of the unknowns, and bands around it.

        Parameters
        ----------
        places : mapping of names to vectors (K,) or numbers
            Coordinates on all axes that were not free.
        level : float, default 0.95
        noise : bool, default False
            Bands of new observations rather than of the field: with the noise.
        experiment : str, optional
            Whose separate unknowns are meant; the first one's by default.

        Examples
        --------
        >>> import numpy as np, inntd as it
        >>> x, k = it.Axis("x", 0, 1, elements=16), it.Axis("k", 1, 3, elements=16, kind="parameter")
        >>> u = it.CPModel.from_factors([x, k], [np.exp(-x.nodes)[:, None], k.nodes[:, None] ** 2])
        >>> found = it.calibrate(u, {"x": [0.0, 0.5], "u": [4.0, 2.426]}, free="k", noise=0.1)
        >>> found.predict({"x": [0.0, 1.0]}).values.round(2)
        array([4.  , 1.47])
        """
        level = _probability(level)
        return predict(self._objective, self._uncertainty, self._theta, places, level, experiment, noise=noise)

    def to_dict(self) -> dict[str, Any]:
        """Return everything but residuals as JSON carries it; what is not finite is None."""
        intervals = self.intervals()
        return {
            "status": self.status,
            "message": self.message,
            "parameters": {
                name: {
                    "value": self.values[name],
                    "standard_error": _finite(self.standard_errors[name]),
                    "interval": list(intervals[name]),
                    "bounds": list(self.bounds[name]),
                    "determined": name not in self.undetermined,
                }
                for name in self.names
            },
            "covariance": self.covariance.tolist(),
            "noise": self.noise,
            "misfit": _finite(self.misfit),
            "chi_square": _finite(self.chi_square),
            "observations": self.observations,
            "singular_values": self.identifiability.singular_values.tolist(),
            "directions": self.identifiability.directions.tolist(),
            "open_directions": list(self.identifiability.words),
            "others": [dict(other) for other in self.others],
            "evaluations": self.evaluations,
            "seconds": self.seconds,
            "notes": list(self.notes),
        }

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write `to_dict` to a JSON file, whole or not at all."""
        text = json.dumps(self.to_dict(), allow_nan=False, indent=1)
        write_atomically(Path(path), text.encode(), overwrite=overwrite)

    def __str__(self) -> str:
        intervals, errors = self.intervals(), self.standard_errors
        lines = [f"status        {self.status}: {self.message}"]
        for name in self.names:
            low, high = intervals[name]
            told = f"95 % in [{low:.6g}, {high:.6g}]"
            if name in self.undetermined:
                lines.append(f"{name:<12}  NOT determined: anything in [{low:.6g}, {high:.6g}]")
            else:
                lines.append(f"{name:<12}  {self.values[name]:.8g} ± {errors[name]:.2g}  ({told})")
        given = "given" if self.noise is None else f"estimated as {self.noise:.3g}"
        lines.append(f"noise         {given}; {self.chi_square:.3g} = mean square residual in standard deviations")
        lines += [
            f"{'data' if i == 0 else '':<12}  {text}" for i, text in enumerate(str(self.identifiability).split("\n"))
        ]
        lines += [f"also          {_shown(other)} explains the data about as well" for other in self.others]
        lines += [f"note          {note}" for note in self.notes]
        lines.append(
            f"seconds       {self.seconds:.3g} ({self.observations:,} observations, {self.evaluations} evaluations)"
        )
        return "\n".join(lines)

    # ---------------------------------------------------------------------------------------------------- internals

    @property
    def _theta(self) -> Array:
        return np.array([self.values[name] for name in self.names])

    @property
    def _low(self) -> Array:
        return self._objective.parameters.low

    @property
    def _high(self) -> Array:
        return self._objective.parameters.high

    def _profile(self, ends: Array, level: float) -> Array:
        parameters = self._objective.parameters
        z, reach = parameters.to_unit(self._theta), self._uncertainty.quantile(level)
        errors = np.sqrt(np.diag(self.covariance)) / parameters.width
        found = np.array(ends)
        for i in range(len(self.names)):
            if np.isfinite(reach):
                step = float(np.clip(reach * errors[i], 1e-9, 0.5))
                sides = profile_interval(self._objective, z, self.misfit, i, step, reach**2)
                found[i] = self._low[i] + np.array(sides) * parameters.width[i]
        return found


def _probability(level: Any) -> float:
    number = _checks.finite_float("level", level)
    if not 0 < number < 1:
        raise ValueError(f"level must be a probability between 0 and 1, got {number:g}")
    return number


def _finite(number: float) -> float | None:
    return float(number) if np.isfinite(number) else None


def _shown(values: Mapping[str, float]) -> str:
    return ", ".join(f"{name} = {value:.6g}" for name, value in values.items())
