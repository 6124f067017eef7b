"""The unknowns of a calibration: names, bounds, and which experiment has which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from inntd import _checks
from inntd.axes import Axis

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Parameters:
    """P unknowns in a box.

    Parameters
    ----------
    names
        ``"k"`` of a shared parameter, ``"k[monday]"`` of one that each experiment has for itself.
    axes
        (P,) names of the axes.
    low, high
        (P,) ends of the box.
    places
        By experiment, the positions of its free coordinates among the unknowns.
    """

    names: tuple[str, ...]
    axes: tuple[str, ...]
    low: Array
    high: Array
    places: tuple[tuple[int, ...], ...]

    @property
    def width(self) -> Array:
        """Lengths of the box (P,)."""
        return self.high - self.low

    def from_unit(self, z: Array) -> Array:
        """Return values from coordinates in [0, 1]."""
        return np.asarray(np.clip(self.low + z * self.width, self.low, self.high))

    def to_unit(self, theta: Array) -> Array:
        """Return coordinates in [0, 1]."""
        return np.asarray(np.clip((theta - self.low) / self.width, 0.0, 1.0))


def make_parameters(
    axes: Sequence[Axis], free: Any, bounds: Any, separate: Any, experiments: Sequence[str]
) -> Parameters:
    """Return the unknowns of all experiments, checked."""
    own = {axis.name: axis for axis in axes}
    chosen = _names("free", free, list(own))
    discrete = [name for name in chosen if own[name].discrete]
    if discrete:
        raise ValueError(
            f"free must name continuous axes, got the discrete axis {discrete[0]!r}: calibrate once for each of its "
            "values, and compare the misfits"
        )
    apart = _names("separate", separate, list(chosen)) if separate else ()
    boxes = [_box(own[name], given) for name, given in zip(chosen, _by_name("bounds", bounds, chosen), strict=True)]
    names: list[str] = []
    kept: list[int] = []
    places: list[list[int]] = [[] for _ in experiments]
    for f, name in enumerate(chosen):
        for e, experiment in enumerate(experiments):
            if e == 0 or name in apart:
                names.append(f"{name}[{experiment}]" if name in apart else name)
                kept.append(f)
            places[e].append(len(names) - 1)
    low, high = np.array([boxes[f] for f in kept]).T
    return Parameters(tuple(names), tuple(chosen[f] for f in kept), low, high, tuple(tuple(own) for own in places))


def by_parameter(name: str, given: Any, parameters: Parameters) -> list[Any]:
    """Return what is given for each unknown, by its own name or its axis', or in order; None where nothing is."""
    if isinstance(given, Mapping):
        known = {*parameters.names, *parameters.axes}
        odd = [key for key in given if key not in known]
        if odd:
            raise ValueError(f"{name} must name unknowns, {', '.join(parameters.names)}, got {odd[0]!r}")
        return [given.get(one, given.get(axis)) for one, axis in zip(parameters.names, parameters.axes, strict=True)]
    return _by_name(name, given, parameters.names)


def _by_name(name: str, given: Any, names: Sequence[str]) -> list[Any]:
    if given is None:
        return [None] * len(names)
    if isinstance(given, Mapping):
        odd = [key for key in given if key not in names]
        if odd:
            raise ValueError(f"{name} must name free axes, {', '.join(names)}, got {odd[0]!r}")
        return [given.get(one) for one in names]
    if isinstance(given, str) or not isinstance(given, Sequence | np.ndarray):
        raise TypeError(
            f"{name} must be a mapping by name, or a sequence in the order {', '.join(names)}, got {given!r}"
        )
    if len(given) != len(names):
        raise ValueError(f"{name} must have one entry for each of {', '.join(names)}, got {len(given)}")
    return list(given)


def _names(argument: str, given: Any, known: Sequence[str]) -> tuple[str, ...]:
    if isinstance(given, str | Axis):
        given = [given]
    if not isinstance(given, Sequence) or not given:
        raise ValueError(f"{argument} must name at least one of {', '.join(known)}, got {given!r}")
    names = tuple(one.name if isinstance(one, Axis) else one for one in given)
    for name in names:
        if name not in known:
            raise ValueError(f"{argument} must name one of {', '.join(known)}, got {name!r}")
    if len(set(names)) < len(names):
        raise ValueError(f"{argument} must name each axis once, got {', '.join(names)}")
    return names


def _box(axis: Axis, given: Any) -> tuple[float, float]:
    if given is None:
        return axis.domain
    if isinstance(given, str) or np.shape(given) != (2,):
        raise ValueError(f"bounds of {axis.name} must be a pair (low, high), got {given!r}")
    low, high = (_checks.finite_float(f"bounds of {axis.name}", end) for end in given)
    if not low < high:
        raise ValueError(f"bounds of {axis.name} must have low < high, got {low:g} and {high:g}")
    start, stop = axis.domain
    if low < start or high > stop:
        raise ValueError(f"bounds of {axis.name} must lie in [{start:g}, {stop:g}], where the model is known, "
                         f"got [{low:g}, {high:g}]")  # fmt: skip
    return low, high
