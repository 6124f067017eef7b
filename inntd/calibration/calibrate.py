"""The parameters that explain observations: from a model and data to values with intervals."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import stats

from inntd import _checks
from inntd.calibration.experiments import common_noise, make_experiments, named_observations, whitened
from inntd.calibration.losses import LOSSES, Loss
from inntd.calibration.objective import Objective
from inntd.calibration.parameters import Parameters, by_parameter, make_parameters
from inntd.calibration.priors import make_priors
from inntd.calibration.result import Calibration, Residuals
from inntd.calibration.solve import Found, Search, adam, not_finite, search, trust_region
from inntd.calibration.starts import REFINED, STARTS, best_apart, evaluate_in_blocks, spread
from inntd.calibration.uncertainty import Uncertainty, effective_unknowns, uncertainty
from inntd.models.field import Field

Array = npt.NDArray[np.float64]
Optimizer: TypeAlias = Literal["trust_region", "adam"]
OPTIMIZERS: tuple[Optimizer, ...] = ("trust_region", "adam")

ROUNDS = 10  # of estimating an unknown noise again
SETTLED = 1e-4  # its relative change
FLOOR = 1e-15  # noise at least, relative to the size of the observations
NORMAL_MAD = 1.482602218505602  # standard deviation of a normal distribution over its median absolute deviation
SAME = 0.02  # of the box: two searches that end this close ended at the same place
AS_GOOD = 0.95  # level at which another minimum is worth telling


def calibrate(
    model: Field,
    observations: Any,
    *,
    free: Any,
    bounds: Any = None,
    prior: Any = None,
    noise: Any = None,
    separate: Any = None,
    loss: Loss = "linear",
    start: Any = None,
    starts: int = STARTS,
    optimizer: Optimizer = "trust_region",
    rate: float = 0.1,
    steps: int = 500,
    seed: int = 0,
) -> Calibration:
    """Find the coordinates of a model on some axes, its parameters, that explain observations of it.

    Coordinates of the observations are contracted with the model once; after that an evaluation, with exact
    derivatives, costs no more than the free axes do, however many observations there are.

    Parameters
    ----------
    model : field, or an estimator with a `model_`
        Any field of this library. Models that are no sums of products are evaluated at points.
    observations : mapping, data frame, `Observations`, or several of them
        A table has one column for every axis that is not free and one of measured values. Fields on grids, integrals
        and other functionals: `Observations`. A list, or a mapping by name, of these are several experiments.
    free : str or sequence of str or Axis
        The axes whose coordinates are unknown.
    bounds : mapping or sequence of pairs, optional
        The box to search, by axis; within the mesh, and the whole of it by default.
    prior : mapping or sequence, optional
        What is known before: (mean, standard deviation), or a distribution of `scipy.stats`. The density inside the
        bounds counts.
    noise : float, vector, or matrix, optional
        Standard deviation of the observations, one for each, or their covariance. By default it is estimated from what
        the model does not explain, the same for all, and intervals follow Student's distribution.
    separate : str or sequence of str, optional
        The free axes on which every experiment has a coordinate of its own.
    loss : {"linear", "soft_l1", "huber", "cauchy", "arctan"}, default "linear"
        Robust ones make outliers beyond about one standard deviation count less.
    start : mapping or sequence, optional
        Values to begin with; by default the best of `starts` points spread over the box, of which up to four that are
        far from each other are followed.
    starts : int, default 64
    optimizer : {"trust_region", "adam"}, default "trust_region"
        Gauss-Newton in a trust region (scipy.optimize.least_squares); or Adam in coordinates of the unit box with
        `rate` and `steps`, from the best start only: it is what the paper uses, and slower.
    seed : int, default 0
        Of the starts.

    Returns
    -------
    Calibration
        Values, covariance, intervals, misfit, what the data determine, predictions. A search that is interrupted
        returns the best values that it saw.

    Raises
    ------
    ValueError, TypeError
        When an argument is none of these, observations lie outside of the model or are missing, there are fewer of them
        than unknowns (without priors), or the model is finite nowhere.

    References
    ----------
    Seber and Wild, "Nonlinear Regression", Wiley 1989; Guo et al., INN-TD, ICML 2025, section on inverse problems.

    Examples
    --------
    >>> import numpy as np, inntd as it
    >>> x = it.Axis("x", 0, 1, elements=16)
    >>> a, b = it.Axis("a", -1, 1, elements=4, s=1), it.Axis("b", 0, 2, elements=4, s=1)
    >>> one = np.ones(5)
    >>> u = it.CPModel.from_factors([x, a, b], [np.stack([x.nodes**0, x.nodes], 1), np.stack([a.nodes, one], 1),
    ...                                         np.stack([one, b.nodes], 1)])  # a + b x
    >>> found = it.calibrate(u, {"x": [0.0, 0.5, 1.0], "y": [0.1, 0.9, 1.5]}, free=["a", "b"])
    >>> {name: round(value, 6) for name, value in found.values.items()}  # a straight line through three points
    {'a': 0.133333, 'b': 1.4}
    """
    began = time.perf_counter()
    model = _field(model)
    setting = _setting(model, observations, free, bounds, prior, noise, separate, loss)
    _checks.one_of("optimizer", optimizer, OPTIMIZERS)
    rate, steps = _checks.finite_float("rate", rate, positive=True), _checks.positive_int("steps", steps)
    seed = _checks.positive_int("seed", seed, minimum=0)
    points = _points(setting.objective.parameters, start, _checks.positive_int("starts", starts), seed)
    most = 1 if optimizer == "adam" or start is not None else REFINED

    def search_by(objective: Objective, z: Array) -> Found:
        return trust_region(objective, z) if optimizer == "trust_region" else adam(objective, z, rate, steps)

    objective, found = _fit(setting, points, most, search_by)
    return _result(setting, objective, found, began)


@dataclass(frozen=True, eq=False)
class _Setting:
    objective: Objective
    noise_known: bool
    notes: tuple[str, ...]


def _field(model: Any) -> Any:
    found = getattr(model, "model_", model)
    if not isinstance(found, Field):
        raise TypeError(f"model must be a field, such as answer.model, got {type(model).__name__}")
    return found


def _setting(
    model: Any, observations: Any, free: Any, bounds: Any, prior: Any, noise: Any, separate: Any, loss: Loss
) -> _Setting:
    """Return the objective, checked, and what is to be said of the observations."""
    _checks.one_of("loss", loss, LOSSES)
    names = list(named_observations(observations))
    parameters = make_parameters(model.axes, free, bounds, separate, names)
    chosen = tuple(parameters.axes[i] for i in parameters.places[0])
    experiments = common_noise(make_experiments(model, observations, chosen), noise)
    priors = make_priors(prior, parameters)
    known = [own.seen.noise is not None for own in experiments]
    if any(known) and not all(known):
        some = ", ".join(own.name for own in experiments if own.seen.noise is not None)
        raise ValueError(f"noise must be given for all experiments or for none, got it for {some} only")
    if loss != "linear" and any(np.ndim(own.seen.noise) == 2 for own in experiments if own.seen.noise is not None):
        raise ValueError(
            "loss must be 'linear' with a covariance matrix: correlated observations have no outliers one by one"
        )
    count, asked = sum(own.count for own in experiments), len(parameters.names) - sum(one is not None for one in priors)
    if count < asked:
        raise ValueError(
            f"observations must be at least as many as unknowns without a prior, {asked}, got {count}: add some, hold "
            "unknowns still, or give priors"
        )
    notes = [note for own in experiments for note in own.seen.notes]
    for own in experiments:
        values = own.seen.values
        if len(values) > 1 and np.ptp(values) == 0:
            notes.append(
                f"all {len(values)} values of experiment {own.name} are equal, {values[0]:g}: is the sensor stuck?"
            )
    return _Setting(Objective.of(experiments, parameters, priors, loss), all(known), tuple(notes))


def _points(parameters: Parameters, start: Any, count: int, seed: int) -> Array:
    """Return unit coordinates (S, P) to begin with."""
    if start is None:
        return spread(len(parameters.names), count, seed)
    given = by_parameter("start", start, parameters)
    absent = [name for name, value in zip(parameters.names, given, strict=True) if value is None]
    if absent:
        raise ValueError(f"start must have a value for {', '.join(parameters.names)}, got none for {', '.join(absent)}")
    theta = np.array([_checks.finite_float(f"start of {name}", value)
                      for name, value in zip(parameters.names, given, strict=True)])  # fmt: skip
    for name, value, low, high in zip(parameters.names, theta, parameters.low, parameters.high, strict=True):
        if not low <= value <= high:
            raise ValueError(f"start of {name} must lie in [{low:g}, {high:g}], got {value:g}")
    return parameters.to_unit(theta)[None]


# ---- the fit -----------------------------------------------------------------------------------------------------


def _fit(setting: _Setting, points: Array, most: int, one: Search) -> tuple[Objective, list[Found]]:
    """Return the objective with its noise, and what searches found, the best first."""
    objective = setting.objective
    theta = objective.parameters.from_unit(points)
    rows = sum(len(part.values) for part in objective.parts)
    misfit = evaluate_in_blocks(objective.misfit, theta, rows)
    if not np.isfinite(misfit).any():
        raise ValueError(not_finite(objective, points[0]))
    if setting.noise_known:
        return objective, search(objective, best_apart(points, misfit, most), one)
    objective = objective.with_sigma(_noise(objective, theta[int(np.argmin(misfit))], robust=True))
    misfit = evaluate_in_blocks(objective.misfit, theta, rows)
    found = search(objective, best_apart(points, misfit, most), one)
    settled = objective.loss == "linear" and not objective.informed
    for _ in range(1 if settled else ROUNDS):
        best = objective.parameters.from_unit(found[0].z)
        before, sigma = objective.sigma, _noise(objective, best, robust=objective.loss != "linear")
        objective = objective.with_sigma(sigma)
        if settled or found[0].status == "interrupted" or abs(sigma / before - 1) < SETTLED:
            break
        found = [one(objective, found[0].z), *found[1:]]
    again = [
        replace(own, misfit=float(objective.misfit(objective.parameters.from_unit(own.z)[None])[0])) for own in found
    ]
    return objective, [again[0], *sorted(again[1:], key=lambda own: own.misfit)] if not settled else again


def _noise(objective: Objective, theta: Array, *, robust: bool) -> float:
    """Return the noise that residuals at unknowns (P,) tell of."""
    plain = objective.with_sigma(1.0)
    size = np.sqrt(sum(float(own.seen.values @ own.seen.values) for own in objective.experiments) / objective.count)
    least = max(FLOOR * float(size), np.finfo(np.float64).tiny)
    if robust and objective.loss != "linear":
        freedom = max(objective.count - len(theta), 1)
        spread_ = float(np.median(np.abs(plain.data(theta[None])[0])))
        return float(max(NORMAL_MAD * spread_ * np.sqrt(objective.count / freedom), least))
    paid = effective_unknowns(objective, theta)
    return float(max(np.sqrt(plain.squares(theta) / max(objective.count - paid, 1.0)), least))


# ---- the result --------------------------------------------------------------------------------------------------


def _result(setting: _Setting, objective: Objective, found: Sequence[Found], began: float) -> Calibration:
    parameters, best = objective.parameters, found[0]
    theta = parameters.from_unit(best.z)
    freedom = objective.count - effective_unknowns(objective, theta)
    told = uncertainty(objective, theta, float("inf") if setting.noise_known else freedom)
    residuals = {own.name: _residuals(objective, e, theta) for e, own in enumerate(objective.experiments)}
    squares = sum(float(own.standardised @ own.standardised) for own in residuals.values())
    bounds = {name: (float(low), float(high))
              for name, low, high in zip(parameters.names, parameters.low, parameters.high, strict=True)}  # fmt: skip
    return Calibration(
        names=parameters.names,
        values=_named(parameters, theta),
        bounds=bounds,
        covariance=told.covariance,
        undetermined=told.undetermined,
        identifiability=told.identifiability,
        noise=None if setting.noise_known else objective.sigma,
        misfit=best.misfit,
        chi_square=squares / freedom if freedom > 0 else float("nan"),
        observations=objective.count,
        others=_others(objective, found, told),
        residuals=residuals,
        status=best.status,
        message=_message(best, told),
        evaluations=sum(own.evaluations for own in found),
        seconds=time.perf_counter() - began,
        notes=setting.notes + _notes(setting, objective, theta, freedom, told),
        history=best.history,
        _objective=objective,
        _uncertainty=told,
    )


def _residuals(objective: Objective, e: int, theta: Array) -> Residuals:
    own = objective.experiments[e]
    predicted = own.predicted(theta[list(objective.parameters.places[e])])
    scaled = whitened((predicted - own.seen.values)[:, None], own.scale)[:, 0] / objective.sigma
    return Residuals(own.seen.values, predicted, scaled)


def _others(objective: Objective, found: Sequence[Found], told: Uncertainty) -> tuple[dict[str, float], ...]:
    """Return other minima that the data do not rule out; along an open direction there is no end of them."""
    if told.undetermined:
        return ()
    rise = float(stats.chi2.ppf(AS_GOOD, len(found[0].z)))
    kept = [found[0]]
    for other in found[1:]:
        near = any(np.abs(other.z - own.z).max() < SAME for own in kept)
        if not near and other.status == "converged" and other.misfit <= found[0].misfit + rise:
            kept.append(other)
    return tuple(_named(objective.parameters, objective.parameters.from_unit(own.z)) for own in kept[1:])


def _named(parameters: Parameters, theta: Array) -> dict[str, float]:
    return dict(zip(parameters.names, theta.tolist(), strict=True))


def _message(best: Found, told: Uncertainty) -> str:
    words = {
        "converged": "the misfit has a minimum here",
        "stagnated": "the misfit still fell when the evaluations were used up: start from these values again",
        "diverged": "the search ran into values that are not finite; these are the best before: narrow the bounds",
        "interrupted": "interrupted; these are the best values so far",
    }[best.status]
    open_ = ", ".join(told.undetermined)
    return words + (f", but {open_} {'is' if len(told.undetermined) == 1 else 'are'} not determined" if open_ else "")


def _notes(setting: _Setting, objective: Objective, theta: Array, freedom: float, told: Uncertainty) -> tuple[str, ...]:
    notes = []
    parameters = objective.parameters
    z = parameters.to_unit(theta)
    for name, place in zip(parameters.names, z, strict=True):
        if name not in told.undetermined and (place < 1e-6 or place > 1 - 1e-6):
            notes.append(f"{name} is at its {'lower' if place < 0.5 else 'upper'} bound: the data want it beyond")
    if not setting.noise_known and freedom <= 0:
        notes.append("as many unknowns as observations leave nothing to estimate the noise from: give noise")
    if setting.noise_known and freedom > 0 and objective.loss == "linear":
        squares = objective.squares(theta)
        if stats.chi2.sf(squares, freedom) < 1e-3:
            notes.append(
                f"residuals are {np.sqrt(squares / freedom):.2g} times the given noise: the model, or the noise, is off"
            )
    return tuple(notes)
