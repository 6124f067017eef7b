"""Fields in time slabs: one model after the other along the axis of time."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import torch

from inntd.axes import Axis
from inntd.models import files, memory
from inntd.models.conveniences import Conveniences
from inntd.models.points import Extrapolate, as_tensor, check_coordinates, check_points
from inntd.models.separated import Norm, SeparatedModel
from inntd.models.tucker import TuckerModel

Part = TypeVar("Part")


class SlabModel(Conveniences, torch.nn.Module):
    """A field of several models, each for a part of one axis: its slab.

    An interface belongs to the slab on its left, so that values there are that slab's end. The next slab starts from
    it, rounded: values are continuous up to the rounding error, which solvers state.

    Parameters
    ----------
    slabs : sequence of models
        CP or Tucker models with the same axes but for one, whose parts follow each other.
    axis : Axis
        The whole of that one.

    Attributes
    ----------
    slabs : torch.nn.ModuleList
    axis : Axis
    metadata : dict
        Anything that JSON carries, saved along.

    Raises
    ------
    TypeError, ValueError
        When parts leave a gap or overlap, or other axes differ.

    Examples
    --------
    >>> import numpy as np, inntd as it
    >>> x, t = it.Axis("x", 0, 1, elements=8), it.Axis("t", 0, 2, elements=16, kind="time")
    >>> halves = [t.part(0, 8), t.part(8, 16)]
    >>> parts = [it.CPModel.from_factors([x, half], [x.nodes[:, None], half.nodes[:, None] ** 2]) for half in halves]
    >>> u = SlabModel(parts, t)  # x t²
    >>> u(np.array([[0.5, 0.4], [1.0, 1.5]]))
    tensor([0.0800, 2.2500], dtype=torch.float64)
    >>> u.interfaces, round(u.integrate(), 12)
    ((1.0,), 1.333333333333)
    """

    file_kind = "slabs"
    exact_statistics = True

    def __init__(self, slabs: Sequence[SeparatedModel], axis: Axis) -> None:
        super().__init__()
        _check(slabs, axis)
        self.slabs = torch.nn.ModuleList(slabs)
        self.axis = axis
        self.metadata: dict[str, Any] = {}

    @property
    def axes(self) -> tuple[Axis, ...]:
        """The coordinates, in the order of the columns of points."""
        return tuple(self.axis if own.name == self.axis.name else own for own in self._models[0].axes)

    @property
    def interfaces(self) -> tuple[float, ...]:
        """Where one slab ends and the next begins."""
        return tuple(self._part(model).domain[1] for model in self._models[:-1])

    @property
    def dtype(self) -> torch.dtype:
        """The type of the factors."""
        found: torch.dtype = self._models[0].dtype
        return found

    def forward(self, points: Any, *, extrapolate: Extrapolate = "raise") -> torch.Tensor:
        """Return the values (K,) at points (K, D); see `CPModel.forward`."""
        return self._by_slab(points, extrapolate, lambda model, own: (model(own),))[0]

    def jet(
        self, points: Any, *, extrapolate: Extrapolate = "raise"
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return values (K,), gradients (K, D) and diagonal second derivatives (K, D) at points (K, D).

        Derivatives along the axis jump at interfaces: there they are those of the slab on the left.
        """
        value, gradient, second = self._by_slab(points, extrapolate, lambda model, own: model.jet(own))
        return value, gradient, second

    def grid(
        self, vectors: Mapping[str, Any] | None = None, /, *, memory_limit_gb: float | None = None, **named: Any
    ) -> torch.Tensor:
        """Return the values on the grid spanned by one vector per axis; see `CPModel.grid`."""
        first = self._models[0]
        given = {axis.name: value for axis, value in first._named(vectors, named).items()}
        if self.axis.name not in given:
            refused: torch.Tensor = first.grid(given)  # it says what is missing
            return refused
        times = as_tensor(self.axis.name, given[self.axis.name], first._first)
        check_coordinates(times.reshape(-1), self.axis, name=self.axis.name)
        sizes = [np.size(value) for value in given.values()]
        memory.refuse_beyond(f"a grid of {' x '.join(map(str, sizes))} values",
                             2 * int(np.prod(sizes, dtype=object)) * self.dtype.itemsize, memory_limit_gb,
                             "use fewer points, hold axes still, or evaluate part by part")  # fmt: skip
        place = self._place(times.reshape(-1))
        parts: list[torch.Tensor] = []
        order: list[torch.Tensor] = []
        if times.ndim == 0 or not times.numel():
            model = self._models[int(place[0]) if times.numel() else 0]
            parts.append(model.grid(given))
            return parts[0]
        for k, model in enumerate(self._models):
            own = (place == k).nonzero()[:, 0]
            if own.numel():
                order.append(own)
                parts.append(model.grid({**given, self.axis.name: times[own]}))
        before = [axis for axis in self.axes[: self._position] if np.ndim(given[axis.name]) == 1]
        joined = torch.cat(parts, dim=len(before))
        return joined.index_select(len(before), torch.argsort(torch.cat(order)))

    def at(self, coordinates: Mapping[str, Any] | None = None, /, **fixed: Any) -> Any:
        """Return the model of the remaining axes with others held still; a float when none remains.

        With the slabs' own axis held still it is a model of one slab.
        """
        given = {axis.name: value for axis, value in self._models[0]._named(coordinates, fixed).items()}
        if self.axis.name not in given:
            return self._with([model.at(given) for model in self._models])
        time = as_tensor(self.axis.name, given[self.axis.name], self._models[0]._first)
        if time.ndim != 0:
            raise TypeError(f"{self.axis.name} must be a number, got {given[self.axis.name]!r}; for many use grid")
        check_coordinates(time.reshape(1), self.axis, name=self.axis.name)
        return self._models[int(self._place(time.reshape(1))[0])].at(given)

    def integrate(self, *axes: Axis | str) -> Any:
        """Return the integral over some axes (all by default): a model, or a float when no axis remains."""
        names = [axis.name for axis in self._models[0]._chosen([_name(axis) for axis in axes])]
        parts = [model.integrate(*names) for model in self._models]
        return _sum(parts) if self.axis.name in names else self._with(parts)

    def mean(self, *axes: Axis | str) -> Any:
        """Return the mean over some axes (all by default): slabs count by their lengths."""
        names = [axis.name for axis in self._models[0]._chosen([_name(axis) for axis in axes])]
        if self.axis.name not in names:
            return self._with([model.mean(*names) for model in self._models])
        whole = self.axis.domain[1] - self.axis.domain[0]
        return _sum([model.mean(*names) * (_length(self._part(model)) / whole) for model in self._models])

    def norm(self, kind: Norm = "L2") -> float:
        """Return the L2 norm over all axes, or the H1 norm."""
        return float(np.linalg.norm([model.norm(kind) for model in self._models]))

    def save(
        self, path: str | os.PathLike[str], *, overwrite: bool = False, metadata: Mapping[str, Any] | None = None
    ) -> None:
        """Write the field to a file that `inntd.load` reads, to the bit; see `CPModel.save`."""
        files.save(self, path, overwrite=overwrite, metadata=metadata)

    def extra_repr(self) -> str:
        """Describe the field in one line."""
        start, stop = self.axis.domain
        ranks = [model.rank for model in self._models]
        return f"{len(ranks)} slabs of {self.axis.name} in [{start:g}, {stop:g}], ranks={ranks}"

    def __repr__(self) -> str:
        return f"SlabModel({self.extra_repr()})"

    # ---------------------------------------------------------------------------------------------------- internals

    @property
    def _models(self) -> list[Any]:
        return list(self.slabs)

    @property
    def _position(self) -> int:
        return [axis.name for axis in self._models[0].axes].index(self.axis.name)

    def _part(self, model: SeparatedModel) -> Axis:
        return model.axes[self._position]

    def _with(self, models: Sequence[SeparatedModel]) -> SlabModel:
        return SlabModel(models, self.axis)

    def _place(self, times: torch.Tensor) -> torch.Tensor:
        """Return the number of the slab of each time; an interface belongs to the slab on its left."""
        inner = torch.tensor(self.interfaces, dtype=times.dtype, device=times.device)
        return torch.bucketize(times.detach().contiguous(), inner)

    def _by_slab(
        self, points: Any, extrapolate: Extrapolate, action: Callable[[Any, torch.Tensor], tuple[torch.Tensor, ...]]
    ) -> list[torch.Tensor]:
        """Return what an action gives at each point, slab by slab."""
        points = check_points(points, self.axes, self._models[0]._first, extrapolate)
        place = self._place(points[:, self._position])
        order, parts = [], []
        for k, model in enumerate(self._models):
            own = (place == k).nonzero()[:, 0]
            if own.numel() or (k == 0 and not len(points)):
                order.append(own)
                parts.append(action(model, points[own]))
        back = torch.argsort(torch.cat(order))
        return [torch.cat(columns)[back] for columns in zip(*parts, strict=True)]


def _check(slabs: Sequence[SeparatedModel], axis: Axis) -> None:
    if not slabs:
        raise ValueError("slabs must hold at least one model, got none")
    for model in slabs:
        if not isinstance(model, SeparatedModel):
            raise TypeError(f"slabs must be CP or Tucker models, got {type(model).__name__}")
    names = [own.name for own in slabs[0].axes]
    if axis.name not in names:
        raise ValueError(f"axis must be one of {', '.join(names)}, got {axis.name!r}")
    end, small = axis.domain[0], 1e-12 * _length(axis)
    for k, model in enumerate(slabs):
        if [own.name for own in model.axes] != names:
            raise ValueError(f"slabs[{k}] must have the axes {', '.join(names)} in this order, got "
                             f"{', '.join(own.name for own in model.axes)}")  # fmt: skip
        for own, other in zip(model.axes, slabs[0].axes, strict=True):
            if own.name != axis.name and own.key != other.key:
                raise ValueError(f"slabs[{k}] must have the mesh of the others on axis {own.name!r}, got {own!r} "
                                 f"and {other!r}")  # fmt: skip
        start, stop = model.axes[names.index(axis.name)].domain
        if abs(start - end) > small:
            raise ValueError(f"slabs[{k}] must start where the part before ends, {axis.name}={end:g}, got {start:g}")
        end = stop
    if abs(end - axis.domain[1]) > small:
        raise ValueError(f"the last of slabs must end with the axis, {axis.name}={axis.domain[1]:g}, got {end:g}")


def _name(axis: Axis | str) -> str:
    return axis.name if isinstance(axis, Axis) else axis


def _length(axis: Axis) -> float:
    return axis.domain[1] - axis.domain[0]


def _sum(parts: Sequence[Any]) -> Any:
    """Return the sum of numbers, or of models, which may be of two forms."""
    if len({type(part) for part in parts}) > 1:
        parts = [part.to_cp() if isinstance(part, TuckerModel) else part for part in parts]
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total
