"""What an instrument sees of a field: values at points, means and integrals along axes, weighted sums of points."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from inntd import _checks
from inntd.axes import Axis
from inntd.axes.functions import evaluate
from inntd.calibration.terms import Ragged, Terms

Array = npt.NDArray[np.float64]

WEIGHT_POINTS = 4  # more Gauss points per element for a weight function
LINE_PANELS, LINE_POINTS = 64, 6


@dataclass(frozen=True)
class Integral:
    """An integral along one axis, a sum on a discrete one.

    Parameters
    ----------
    start, stop : float, optional
        By default the ends of the axis.
    weight : callable, optional
        A vectorised function of the coordinate, such as the sensitivity of an instrument.

    Examples
    --------
    >>> import inntd as it
    >>> x = it.Axis("x", 0, 2, elements=8)
    >>> points, weights = Integral(0.5, 1.5).quadrature(x)
    >>> bool(abs(weights @ points**3 - (1.5**4 - 0.5**4) / 4) < 1e-14)
    True
    """

    start: float | None = None
    stop: float | None = None
    weight: Callable[[Array], Any] | None = None

    def quadrature(self, axis: Axis) -> tuple[Array, Array]:
        """Return points and weights that integrate the model exactly along an axis."""
        low, high = self._ends(axis)
        if axis.discrete:
            points = np.arange(np.ceil(low), np.floor(high) + 1)
            weights = np.ones(len(points))
        else:
            breaks = np.asarray(axis.table.breaks)
            cuts = np.concatenate([[low], breaks[(breaks > low) & (breaks < high)], [high]])
            xi, w = np.polynomial.legendre.leggauss(
                axis.table.degree // 2 + 1 + (WEIGHT_POINTS if self.weight is not None else 0)
            )
            half = 0.5 * np.diff(cuts)[:, None]
            points = (0.5 * (cuts[1:] + cuts[:-1])[:, None] + half * xi).ravel()
            weights = (half * w).ravel()
        if self.weight is not None:
            weights = weights * evaluate(axis.name, self.weight, points)
        return points, weights

    def _ends(self, axis: Axis) -> tuple[float, float]:
        low, high = axis.domain
        given = [low if self.start is None else self.start, high if self.stop is None else self.stop]
        start, stop = axis.check_points([_checks.finite_float("start or stop", end) for end in given], "ends") \
            if not axis.discrete else np.asarray(given, dtype=np.float64)  # fmt: skip
        if not start < stop and not (axis.discrete and start == stop):
            raise ValueError(f"axis {axis.name!r}: an integral must end after its start, got {start:g} to {stop:g}")
        return float(start), float(stop)


@dataclass(frozen=True)
class Mean(Integral):
    """A mean along one axis: the integral over the length, or over the integral of the weight.

    Examples
    --------
    >>> import inntd as it
    >>> points, weights = Mean().quadrature(it.Axis("x", 0, 2, elements=8))
    >>> round(float(weights @ points**2), 12)
    1.333333333333
    """

    def quadrature(self, axis: Axis) -> tuple[Array, Array]:
        """Return points and weights, whose sum is one."""
        points, weights = super().quadrature(axis)
        total = float(weights.sum())
        if total == 0:
            raise ValueError(f"axis {axis.name!r}: the weight of a mean must not integrate to zero")
        return points, weights / total


@dataclass(frozen=True)
class PointSum:
    """A weighted sum of values at points.

    Parameters
    ----------
    coordinates : mapping of names to vectors (Q,) or numbers
    weights : vector (Q,)

    Examples
    --------
    >>> PointSum({"x": [0.2, 0.4], "t": 1.0}, [1, -1]).weights  # a difference of two sensors
    array([ 1., -1.])
    """

    coordinates: Mapping[str, Any]
    weights: Any

    def __post_init__(self) -> None:
        weights = _checks.finite_vector("weights", self.weights)
        object.__setattr__(self, "weights", weights)
        columns = {}
        for name, given in self.coordinates.items():
            column = np.asarray(given, dtype=np.float64)
            if column.ndim > 1 or (column.ndim == 1 and column.shape != weights.shape):
                raise ValueError(f"{name} must be {len(weights)} numbers, as weights, or one, got shape {column.shape}")
            columns[name] = np.broadcast_to(column, weights.shape)
        object.__setattr__(self, "coordinates", columns)


def line(start: Mapping[str, float], stop: Mapping[str, float], *, mean: bool = False) -> PointSum:
    """Return the integral, or the mean, along a straight line between two points of some axes.

    Parameters
    ----------
    start, stop : mapping of names to numbers
        Both name the same axes; the length counts all of them.
    mean : bool, default False

    Examples
    --------
    >>> ray = line({"x": 0, "y": 0, "t": 0.5}, {"x": 3, "y": 4, "t": 0.5})
    >>> round(float(ray.weights.sum()), 12)
    5.0
    """
    if set(start) != set(stop) or not start:
        raise ValueError(f"start and stop of a line must name the same axes, got {list(start)} and {list(stop)}")
    xi, w = np.polynomial.legendre.leggauss(LINE_POINTS)
    place = ((np.arange(LINE_PANELS)[:, None] + 0.5 * (1 + xi)) / LINE_PANELS).ravel()
    weights = np.tile(0.5 * w / LINE_PANELS, LINE_PANELS)
    ends = {name: (float(start[name]), float(stop[name])) for name in start}
    length = float(np.linalg.norm([b - a for a, b in ends.values()]))
    if length == 0:
        raise ValueError("start and stop of a line must differ, got the same point twice")
    return PointSum({n: a + (b - a) * place for n, (a, b) in ends.items()}, weights * (1.0 if mean else length))


Functional: TypeAlias = "Mapping[str, float | Integral] | PointSum"


def functional_terms(functionals: Sequence[Functional], axes: Sequence[Axis]) -> Terms:
    """Return functionals on these axes, checked, as terms."""
    places: dict[str, list[tuple[Array, Array]]] = {axis.name: [] for axis in axes}
    owner: list[int] = []
    weights: list[float] = []
    for k, functional in enumerate(functionals):
        given = functional.coordinates if isinstance(functional, PointSum) else functional
        if set(given) != set(places):
            raise ValueError(f"functionals[{k}] must say where it is on {', '.join(places)}, and on nothing else: "
                             f"got {', '.join(given) or 'nothing'}")  # fmt: skip
        count = len(functional.weights) if isinstance(functional, PointSum) else 1
        owner += [k] * count
        weights += functional.weights.tolist() if isinstance(functional, PointSum) else [1.0]
        for axis in axes:
            places[axis.name] += _quadratures(given[axis.name], axis, count, f"functionals[{k}]")
    return Terms.of({name: Ragged.of(own) for name, own in places.items()}, owner, weights, len(functionals))


def _quadratures(given: Any, axis: Axis, count: int, label: str) -> list[tuple[Array, Array]]:
    if isinstance(given, Integral):
        return [given.quadrature(axis)]
    points = axis.check_points(np.broadcast_to(np.asarray(given, dtype=np.float64), (count,)), label)
    return [(point, np.ones(1)) for point in points.reshape(-1, 1)]
