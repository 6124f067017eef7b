"""Observations of one experiment: tables of points, fields on grids, and any linear functionals of the field."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from inntd import _checks
from inntd.axes import Axis
from inntd.calibration.functionals import Functional, functional_terms
from inntd.calibration.tables import columns_of
from inntd.calibration.terms import Terms
from inntd.calibration.units import factor_to

Array = npt.NDArray[np.float64]
Missing: TypeAlias = Literal["raise", "drop"]
MISSING: tuple[Missing, ...] = ("raise", "drop")


@dataclass(frozen=True, eq=False)
class Resolved:
    """Observations on the axes of a model, checked.

    Parameters
    ----------
    values
        (K,) what was measured.
    noise
        None, a standard deviation, one per value (K,), or a covariance matrix (K, K).
    terms
        What each value is of the field; None for a grid.
    grid
        Vectors by name, in the order of the values; None for anything else.
    fixed
        Coordinates that are the same for all values.
    notes
        What was done, in words.
    """

    values: Array
    noise: float | Array | None
    terms: Terms | None
    grid: dict[str, Array] | None
    fixed: dict[str, float]
    notes: tuple[str, ...] = ()

    def all_terms(self) -> Terms:
        """Return the terms, also of a grid: one point per value."""
        if self.terms is not None:
            return self.terms
        assert self.grid is not None
        meshes = np.meshgrid(*self.grid.values(), indexing="ij")
        return Terms.points(
            {name: mesh.ravel() for name, mesh in zip(self.grid, meshes, strict=True)}, self.values.size
        )


@dataclass(frozen=True, eq=False)
class Observations(ABC):
    """Measured values of one experiment; made by `table`, `grid` or `functionals`."""

    noise: Any
    fixed: Mapping[str, float]
    units: Mapping[str, Any]
    nan: Missing

    def __post_init__(self) -> None:
        _checks.one_of("nan", self.nan, MISSING)

    @abstractmethod
    def _resolve(self, axes: Sequence[Axis], fixed: dict[str, float]) -> Resolved:
        """Return what was observed on axes that are not held still for all values."""

    def resolve(self, axes: Sequence[Axis], free: Sequence[str]) -> Resolved:
        """Return what was observed on the axes of a model but the free ones, or raise."""
        own = {axis.name: axis for axis in axes}
        fixed = {}
        for name, value in self.fixed.items():
            if name not in own:
                raise ValueError(f"{name} is held still but is no axis of the model; it has {', '.join(own)}")
            if name in free:
                raise ValueError(f"{name} is free, and must not be held still by the observations")
            number = _checks.finite_float(name, value) * self._factor(own[name], {})
            fixed[name] = float(own[name].check_points([number], "the coordinate of all observations")[0])
        rest = [axis for axis in axes if axis.name not in free and axis.name not in fixed]
        return self._resolve(rest, fixed)

    def _factor(self, axis: Axis, headers: Mapping[str, str]) -> float:
        """Return by what coordinates are multiplied: units that are said count, headers if the axis has a unit."""
        if axis.name in self.units:
            return factor_to(axis, self.units[axis.name])
        return factor_to(axis, headers[axis.name]) if axis.name in headers and axis.unit else 1.0

    @staticmethod
    def table(
        data: Any,
        *,
        value: str | None = None,
        noise: Any = None,
        names: Sequence[str] | None = None,
        units: Mapping[str, Any] | None = None,
        nan: Missing = "raise",
        **fixed: float,
    ) -> Observations:
        """Return values at points, one per row.

        Parameters
        ----------
        data : mapping, data frame, structured array, or array (K, C) with `names`
            One column per axis of the model that is neither free nor in `fixed`, and one of values. A header may state
            a unit: ``"x [mm]"`` is turned into the unit of the axis.
        value : str, optional
            The column of values; by default the only one that is not the name of an axis.
        noise : float, vector (K,), matrix (K, K), or str, optional
            Standard deviation of the values, one for each, their covariance matrix, or the name of a column. Unknown by
            default: it is estimated.
        units : mapping, optional
            Units of coordinates by name of axis, or factors into the units of the axes.
        nan : {"raise", "drop"}, default "raise"
            What to do with rows with missing values.
        **fixed : float
            Coordinates of all rows.

        Examples
        --------
        >>> from inntd import Observations
        >>> seen = Observations.table({"x": [0.1, 0.2], "u": [1.0, 1.3]}, noise=0.05, t=0.5)
        """
        return TableObservations(noise, fixed, units or {}, nan, data, value, names)

    @staticmethod
    def grid(
        values: Any,
        vectors: Mapping[str, Any],
        *,
        noise: Any = None,
        units: Mapping[str, Any] | None = None,
        nan: Missing = "raise",
        **fixed: float,
    ) -> Observations:
        """Return a field on the grid spanned by one vector per axis.

        Parameters
        ----------
        values : array (K_1, ..., K_n)
            In the order of `vectors`.
        vectors : mapping of names to vectors (K_d,)
        noise : float or array of the shape of the values, optional
        units, nan, **fixed
            As in `table`.

        Examples
        --------
        >>> from inntd import Observations
        >>> seen = Observations.grid([[1.0, 1.3], [0.9, 1.1]], {"x": [0.1, 0.2], "y": [0.0, 1.0]}, t=0.5)
        """
        return GridObservations(noise, fixed, units or {}, nan, values, dict(vectors))

    @staticmethod
    def functionals(
        values: Any, functionals: Sequence[Functional], *, noise: Any = None, nan: Missing = "raise", **fixed: float
    ) -> Observations:
        """Return values of linear functionals: integrals and means along axes, weighted sums of points.

        Parameters
        ----------
        values : vector (K,)
        functionals : sequence of K mappings or `PointSum`
            A mapping says for every axis where: a number, `Mean` or `Integral`, see `inntd.calibration`.
        noise, nan, **fixed
            As in `table`.

        Examples
        --------
        >>> from inntd import Observations
        >>> from inntd.calibration import Mean, line
        >>> seen = Observations.functionals(
        ...     [0.7, 0.4], [{"x": Mean(0, 0.5), "y": 0.2}, line({"x": 0, "y": 0}, {"x": 1, "y": 1})], t=0.5)
        """
        return FunctionalObservations(noise, fixed, {}, nan, values, tuple(functionals))


@dataclass(frozen=True, eq=False)
class TableObservations(Observations):
    """Values at points."""

    data: Any
    value: str | None
    names: Sequence[str] | None = None

    def _resolve(self, axes: Sequence[Axis], fixed: dict[str, float]) -> Resolved:
        columns, headers = columns_of(self.data, self.names)
        value = self._value_column(columns, axes, fixed)
        absent = [axis.name for axis in axes if axis.name not in columns]
        if absent:
            raise ValueError(
                f"observations must say where they are on {', '.join(absent)}: add a column (there are "
                f"{', '.join(columns)}), hold it still with a number, or let it be free"
            )
        extra = {self.noise: columns[self._known(self.noise, columns)]} if isinstance(self.noise, str) else {}
        used = {axis.name: columns[axis.name] for axis in axes}
        keep, notes = _present({**used, value: columns[value], **extra}, self.nan)
        places = {
            axis.name: axis.check_points(used[axis.name][keep] * self._factor(axis, headers), "observations")
            for axis in axes
        }
        noise = _noise(extra[self.noise] if isinstance(self.noise, str) else self.noise, keep)
        count = int(keep.sum())
        return Resolved(columns[value][keep], noise, Terms.points(places, count), None, fixed, notes)

    def _value_column(self, columns: Mapping[str, Array], axes: Sequence[Axis], fixed: Mapping[str, float]) -> str:
        twice = [name for name in fixed if name in columns]
        if twice:
            raise ValueError(f"{twice[0]} must be given once, got a column and the number {fixed[twice[0]]:g}")
        if self.value is not None:
            return self._known(self.value, columns)
        known = {axis.name for axis in axes} | ({self.noise} if isinstance(self.noise, str) else set())
        found = [name for name in columns if name not in known]
        if len(found) != 1:
            told = ", ".join(found) or "none"
            raise ValueError(f"value must name the column of measured values: those that are no axis are {told}")
        return found[0]

    @staticmethod
    def _known(name: str, columns: Mapping[str, Array]) -> str:
        if name not in columns:
            raise ValueError(f"there is no column {name!r}; there are {', '.join(columns)}")
        return name


@dataclass(frozen=True, eq=False)
class GridObservations(Observations):
    """A field on a grid."""

    values: Any
    vectors: Mapping[str, Any]

    def _resolve(self, axes: Sequence[Axis], fixed: dict[str, float]) -> Resolved:
        own = {axis.name: axis for axis in axes}
        if set(self.vectors) != set(own):
            raise ValueError(
                f"a grid must have a vector for {', '.join(own) or 'no axis'}, got {', '.join(self.vectors)}: hold "
                "other axes still with a number, or let them be free"
            )
        vectors = {
            name: own[name].check_points(
                _checks.finite_vector(name, vector) * self._factor(own[name], {}), "observations"
            )
            for name, vector in self.vectors.items()
        }
        values = _checks.real_array("values", self.values)
        shape = tuple(len(vector) for vector in vectors.values())
        if values.shape != shape:
            raise ValueError(f"values must have the shape {shape} of the grid, got {values.shape}")
        noise = self.noise if self.noise is None or np.ndim(self.noise) == 0 else np.asarray(self.noise)
        if isinstance(noise, np.ndarray):
            if noise.shape != shape:
                raise ValueError(f"noise must be a number or have the shape {shape} of the grid, got {noise.shape}")
            noise = noise.ravel()
        keep, notes = _present({"values": values.ravel()}, self.nan)
        whole = Resolved(values.ravel(), _noise(noise, np.ones(values.size, dtype=bool)), None, vectors, fixed, notes)
        if keep.all() and not isinstance(noise, np.ndarray):
            return whole
        columns = {name: own.points[keep] for name, own in whole.all_terms().columns.items()}
        return Resolved(
            whole.values[keep], _noise(noise, keep), Terms.points(columns, int(keep.sum())), None, fixed, notes
        )


@dataclass(frozen=True, eq=False)
class FunctionalObservations(Observations):
    """Values of linear functionals."""

    values: Any
    functionals_: tuple[Functional, ...] = field(repr=False)

    def _resolve(self, axes: Sequence[Axis], fixed: dict[str, float]) -> Resolved:
        values = _checks.real_array("values", self.values)
        if values.shape != (len(self.functionals_),):
            raise ValueError(f"values must be {len(self.functionals_)} numbers, one per functional, got {values.shape}")
        keep, notes = _present({"values": values}, self.nan)
        chosen = [functional for functional, here in zip(self.functionals_, keep, strict=True) if here]
        return Resolved(values[keep], _noise(self.noise, keep), functional_terms(chosen, axes), None, fixed, notes)


def _present(columns: Mapping[str, Array], nan: Missing) -> tuple[npt.NDArray[np.bool_], tuple[str, ...]]:
    """Return which rows are whole, and what is said of the others; or raise."""
    odd = {name: ~np.isfinite(column) for name, column in columns.items()}
    count = len(next(iter(columns.values())))
    keep = ~np.any(list(odd.values()), axis=0) if odd else np.ones(count, dtype=bool)
    missing = int(count - keep.sum())
    if missing and nan == "raise":
        name = next(name for name, wrong in odd.items() if wrong.any())
        raise ValueError(
            f"observations must be finite, got {missing} of {count} with missing or infinite numbers, the first in "
            f"{name!r} at row {int(np.flatnonzero(odd[name])[0])}; leave such rows out with nan='drop'"
        )
    if not keep.any():
        raise ValueError(
            f"observations must hold at least one value, got {'none' if not count else 'only missing ones'}"
        )
    return keep, (f"{missing} of {count} observations were left out: missing values",) if missing else ()


def _noise(noise: Any, keep: npt.NDArray[np.bool_]) -> float | Array | None:
    """Return the noise of the rows that are kept: None, a number, a vector or a matrix; or raise."""
    if noise is None:
        return None
    if np.ndim(noise) == 0:
        return _checks.finite_float("noise", noise, positive=True)
    array = _checks.real_array("noise", noise)
    if array.shape not in ((keep.size,), (keep.size, keep.size)):
        raise ValueError(
            f"noise must be a number, {keep.size} numbers or a matrix of {keep.size} x {keep.size}, "
            f"got shape {array.shape}"
        )
    array = array[keep] if array.ndim == 1 else array[np.ix_(keep, keep)]
    if not np.isfinite(array).all() or (array.ndim == 1 and not (array > 0).all()):
        raise ValueError("noise must hold positive finite standard deviations, or a finite covariance matrix")
    return array
