"""Axes by name: what is given for each of them, which are meant, and grids of coordinates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from inntd.axes import Axis
from inntd.models.points import as_tensor, check_coordinates


class Named:
    """Something with axes that users name."""

    axes: tuple[Axis, ...]

    def _named(self, mapping: Mapping[str, Any] | None, named: Mapping[str, Any]) -> dict[Axis, Any]:
        both = sorted(set(mapping or {}) & set(named))
        if both:
            raise TypeError(f"each axis must be given once, got twice: {', '.join(both)}")
        return {self._find(name): value for name, value in {**(mapping or {}), **named}.items()}

    def _find(self, axis: Axis | str) -> Axis:
        for own in self.axes:
            if own is axis or own.name == axis:
                return own
            if isinstance(axis, Axis) and own.name == axis.name and own.domain == axis.domain:
                return own  # the same coordinate on another mesh, such as one with the breaks of a problem
        name = axis.name if isinstance(axis, Axis) else axis
        raise ValueError(f"axis must be one of {', '.join(a.name for a in self.axes)}, got {name!r}")

    def _chosen(self, axes: Sequence[Axis | str]) -> list[Axis]:
        found = [self._find(axis) for axis in axes] if axes else list(self.axes)
        if len(set(found)) < len(found):
            raise ValueError(f"each axis must be named once, got {', '.join(axis.name for axis in found)}")
        return found

    def _grid_vectors(self, given: Mapping[Axis, Any], like: torch.Tensor) -> list[torch.Tensor]:
        """Return one vector of coordinates, or number, per axis, or raise."""
        missing = [axis.name for axis in self.axes if axis not in given]
        if missing:
            raise ValueError(f"grid must be given a vector for every axis, got none for {', '.join(missing)}: "
                             "hold others still with a number")  # fmt: skip
        arrays = {axis: as_tensor(axis.name, value, like) for axis, value in given.items()}
        for axis, x in arrays.items():
            if x.ndim > 1:
                raise ValueError(f"{axis.name} must be a vector or a number, got shape {tuple(x.shape)}")
            check_coordinates(x.reshape(-1), axis, name=axis.name)
        return [arrays[axis] for axis in self.axes]
