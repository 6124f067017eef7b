"""Where to measure: places that together determine the parameters best (greedy D-optimal design)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from inntd import _checks
from inntd.axes import Axis
from inntd.calibration.calibrate import _field
from inntd.calibration.identifiability import BOX_DEVIATION
from inntd.calibration.parameters import Parameters, by_parameter, make_parameters
from inntd.calibration.priors import Normal, make_priors
from inntd.calibration.response import make_response
from inntd.calibration.result import Calibration
from inntd.calibration.starts import spread
from inntd.calibration.tables import columns_of
from inntd.calibration.terms import Terms

Array = npt.NDArray[np.float64]

SAMPLES = 32  # of the parameters, over which the information is averaged
NUMBERS_AT_ONCE = 1 << 22


@dataclass(frozen=True, eq=False)
class Placement:
    """Places in the order in which they were chosen.

    Parameters
    ----------
    indices : array (count,) of int
        Rows of the candidates.
    places : dict
        Their coordinates by name of axis, (count,).
    gains : array (count,)
        By how much each raised the mean logarithm of the information's determinant; half of it is the information that
        the place adds, in nats.
    expected_errors : dict
        By name, the root mean square over the parameters of the standard errors with all places chosen so far,
        (count,); at most that of a uniform distribution over the bounds, or of the prior.
    """

    indices: npt.NDArray[np.int64]
    places: dict[str, Array]
    gains: Array
    expected_errors: dict[str, Array]

    def __str__(self) -> str:
        lines = []
        for n, index in enumerate(self.indices):
            where = ", ".join(f"{name} = {column[n]:.6g}" for name, column in self.places.items())
            errors = ", ".join(f"{name} ± {column[n]:.3g}" for name, column in self.expected_errors.items())
            lines.append(f"{n + 1}. {where or f'candidate {index}'}: then {errors}")
        return "\n".join(lines)


def place_sensors(
    model: Any,
    candidates: Mapping[str, Any],
    count: int,
    *,
    free: Any,
    noise: float,
    record: Mapping[str, Any] | None = None,
    bounds: Any = None,
    prior: Any = None,
    at: Any = None,
    after: Calibration | None = None,
    repeat: bool = False,
    seed: int = 0,
) -> Placement:
    """Choose places to measure from candidates, one after the other, so that parameters become known best.

    Each step takes the candidate that raises the determinant of the information most: its logarithm is averaged over
    values of the parameters, which are not known yet.

    Parameters
    ----------
    model : field
    candidates : mapping of names to vectors (C,) or numbers
        Coordinates of places, one row each.
    count : int
        How many to choose.
    free : str or sequence of str
        The parameters.
    noise : float
        Standard deviation of a measurement.
    record : mapping of one name to a vector, optional
        Each place measures at all of these coordinates of one more axis, such as times.
    bounds, prior
        As in `calibrate`. The prior, where it is normal, counts as information; a uniform distribution over the bounds
        stands for what is not known.
    at : mapping, optional
        Values of the parameters to plan for; by default 32 drawn evenly from the prior, or the bounds.
    after : Calibration, optional
        What is known already: the next places are chosen for its values and its covariance; in place of `bounds`,
        `prior` and `at`.
    repeat : bool, default False
        Whether a place may be chosen again.
    seed : int, default 0

    Returns
    -------
    Placement

    References
    ----------
    Chaloner and Verdinelli, "Bayesian experimental design: a review", Statistical Science 10, 1995.

    Examples
    --------
    >>> import numpy as np, inntd as it
    >>> x = it.Axis("x", 0, 1, elements=16)
    >>> a, b = it.Axis("a", -1, 1, elements=4, s=1), it.Axis("b", 0, 2, elements=4, s=1)
    >>> one = np.ones(5)
    >>> u = it.CPModel.from_factors([x, a, b], [np.stack([x.nodes**0, x.nodes], 1), np.stack([a.nodes, one], 1),
    ...                                         np.stack([one, b.nodes], 1)])  # a + b x
    >>> print(it.place_sensors(u, {"x": np.linspace(0, 1, 11)}, 2, free=["a", "b"], noise=0.01))  # the ends of a line
    1. x = 1: then a ± 0.408, b ± 0.408
    2. x = 0: then a ± 0.01, b ± 0.0141
    """
    model = _field(model)
    count = _checks.positive_int("count", count)
    noise = _checks.finite_float("noise", noise, positive=True)
    if after is not None:
        if any(given is not None for given in (bounds, prior, at)):
            raise ValueError("after must be given without bounds, prior and at: it holds them")
        bounds = _bounds_of(after, free)
    parameters = make_parameters(model.axes, free, bounds, None, ["1"])
    places = _places(model.axes, parameters, candidates, record)
    total = len(next(iter(places.values()))) if places else 1
    if count > total and not repeat:
        raise ValueError(f"count must be at most the {total} candidates, got {count}: add some, or allow repeat=True")
    theta, before = _expected(parameters, prior, at, _checks.positive_int("seed", seed, minimum=0))
    if after is not None:
        theta = np.array([[after.values[name] for name in parameters.names]])
        before = np.asarray(np.linalg.inv(_covariance_of(after, parameters)), dtype=np.float64)
    information = _information(model, parameters, places, record, theta, noise)
    return _greedy(parameters, places, information, before, count, repeat=repeat)


def _places(
    axes: tuple[Axis, ...], parameters: Parameters, candidates: Mapping[str, Any], record: Mapping[str, Any] | None
) -> dict[str, Array]:
    rest = {axis.name: axis for axis in axes if axis.name not in parameters.axes}
    if record is not None and (len(record) != 1 or next(iter(record)) not in rest):
        raise ValueError(f"record must name one axis of {', '.join(rest)}, got {', '.join(record) or 'none'}")
    wanted = [name for name in rest if name not in (record or {})]
    columns, _ = columns_of(candidates)
    if set(columns) != set(wanted):
        raise ValueError(f"candidates must have coordinates on {', '.join(wanted) or 'no axis'}, "
                         f"got {', '.join(columns) or 'none'}")  # fmt: skip
    return {name: rest[name].check_points(columns[name], "candidates") for name in wanted}


def _expected(parameters: Parameters, prior: Any, at: Any, seed: int) -> tuple[Array, Array]:
    """Return the parameters (S, P) to plan for, and what is known of them before, (P, P) in the unit box."""
    priors = make_priors(prior, parameters)
    before = np.full(len(priors), BOX_DEVIATION**-2)
    unit = spread(len(priors), SAMPLES, seed)
    theta = parameters.from_unit(unit)
    for i, own in enumerate(priors):
        if isinstance(own, Normal):
            before[i] += (parameters.width[i] / own.deviation) ** 2
        if own is not None:  # by the inverse of the distribution function on a fine grid
            x = np.linspace(parameters.low[i], parameters.high[i], 2001)
            density = np.exp(-0.5 * own.residual(x) ** 2)
            sums = np.concatenate([[0.0], np.cumsum(0.5 * (density[1:] + density[:-1]))])
            theta[:, i] = np.interp(unit[:, i], sums / sums[-1], x)
    if at is not None:
        given = by_parameter("at", at, parameters)
        if any(value is None for value in given):
            raise ValueError(f"at must have a value for each of {', '.join(parameters.names)}")
        theta = np.array([[_checks.finite_float(f"at of {name}", value)
                           for name, value in zip(parameters.names, given, strict=True)]])  # fmt: skip
        if ((theta < parameters.low) | (theta > parameters.high)).any():
            raise ValueError(f"at must lie inside the bounds, got {', '.join(map(str, given))}")
    return theta, np.diag(before)


def _bounds_of(after: Calibration, free: Any) -> dict[str, tuple[float, float]]:
    names = [free] if isinstance(free, str | Axis) else list(free)
    chosen = [name.name if isinstance(name, Axis) else name for name in names]
    absent = [name for name in chosen if name not in after.names]
    if absent or len(chosen) < len(after.names):
        raise ValueError(
            f"free must be the unknowns of the calibration, {', '.join(after.names)}, got {', '.join(chosen)}"
        )
    return {name: after.bounds[name] for name in chosen}


def _covariance_of(after: Calibration, parameters: Parameters) -> Array:
    order = [after.names.index(name) for name in parameters.names]
    return np.asarray(after.covariance[np.ix_(order, order)] / np.outer(parameters.width, parameters.width))


def _information(
    model: Any, parameters: Parameters, places: Mapping[str, Array], record: Mapping[str, Any] | None,
    theta: Array, noise: float,
) -> Array:  # fmt: skip
    """Return what each candidate tells at each value of the parameters, (S, C, P, P) in the unit box."""
    total = len(next(iter(places.values()))) if places else 1
    columns, times = dict(places), 1
    if record is not None:
        ((name, vector),) = record.items()
        axis = next(axis for axis in model.axes if axis.name == name)
        points = axis.check_points(_checks.finite_vector("record", vector), "record")
        times = len(points)
        columns = {own: np.repeat(column, times) for own, column in places.items()} | {name: np.tile(points, total)}
    response = make_response(model, Terms.points(columns, total * times), parameters.axes)
    found = np.empty((len(theta), total, len(parameters.names), len(parameters.names)))
    for s, own in enumerate(theta):
        rows = response.jacobian(own)[1].reshape(total, times, -1) * parameters.width / noise
        found[s] = np.einsum("ctp,ctq->cpq", rows, rows)
    return found


def _greedy(
    parameters: Parameters, places: Mapping[str, Array], information: Array, before: Array, count: int, *, repeat: bool
) -> Placement:
    known = np.broadcast_to(before, information[:, 0].shape).copy()
    allowed = np.ones(information.shape[1], dtype=bool)
    indices, gains, errors = [], [], []
    for _ in range(count):
        rise = np.linalg.slogdet(known[:, None] + information)[1] - np.linalg.slogdet(known)[1][:, None]
        score = np.where(allowed, rise.mean(axis=0), -np.inf)
        best = int(np.argmax(score))
        indices.append(best)
        gains.append(float(score[best]))
        allowed[best] = repeat
        known = known + information[:, best]
        variances = np.linalg.inv(known).diagonal(axis1=1, axis2=2).mean(axis=0)
        errors.append(np.sqrt(variances) * parameters.width)
    chosen = np.array(indices, dtype=np.int64)
    return Placement(
        chosen,
        {name: column[chosen] for name, column in places.items()},
        np.array(gains),
        dict(zip(parameters.names, np.array(errors).T, strict=True)),
    )
