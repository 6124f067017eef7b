"""What every model of factors is: a torch module with axes and one factor for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch

from inntd import _checks
from inntd.axes import Axis
from inntd.models.factors import check_axes, check_factors, random_factors

DTYPES = (torch.float32, torch.float64)
Model = TypeVar("Model", bound="Factored")


class Factored(torch.nn.Module):
    """Axes and factors, and how they are found; `CPModel` says what they mean."""

    axes: tuple[Axis, ...]
    factors: torch.nn.ParameterList
    metadata: dict[str, Any]

    def __init__(
        self,
        axes: Sequence[Axis],
        rank: int,
        *,
        factors: Sequence[Any] | None = None,
        dtype: torch.dtype = torch.float64,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.axes = check_axes(axes)
        rank = _checks.positive_int("rank", rank)
        if dtype not in DTYPES:
            raise TypeError(f"dtype must be torch.float32 or torch.float64, got {dtype!r}")
        if factors is None:
            factors = random_factors(self.axes, rank, seed)
        given = check_factors(self.axes, factors, rank)
        self.factors = torch.nn.ParameterList([torch.nn.Parameter(factor.to(dtype)) for factor in given])
        self.metadata = {}

    @classmethod
    def from_factors(
        cls: type[Model], axes: Sequence[Axis], factors: Sequence[Any], *, dtype: torch.dtype | None = None
    ) -> Model:
        """Return a model with given nodal values of its modes, fixed until ``requires_grad_()``.

        Parameters
        ----------
        axes : sequence of D Axis
        factors : sequence of D arrays or tensors (axis.size, M)
            Copied.
        dtype : torch.dtype, optional
            By default float32 if all factors are, else float64.
        """
        axes = check_axes(axes)
        given = check_factors(axes, factors, None)
        if dtype is None:
            dtype = torch.float32 if all(factor.dtype == torch.float32 for factor in given) else torch.float64
        model = cls(axes, given[0].shape[1], factors=given, dtype=dtype)
        return model.requires_grad_(False)

    @property
    def rank(self) -> int:
        """The number of modes M."""
        return int(self.factors[0].shape[1])

    @property
    def dtype(self) -> torch.dtype:
        """The type of the factors."""
        return self._first.dtype

    @property
    def device(self) -> torch.device:
        """Where the factors are."""
        return self._first.device

    def extra_repr(self) -> str:
        """Describe the model in one line."""
        shown = [_describe(axis) for axis in self.axes[:4]]
        shown += [f"… {len(self.axes) - 4} more"] if len(self.axes) > 4 else []
        place = "" if self.device.type == "cpu" else f", {self.device}"
        count = sum(factor.numel() for factor in self.factors)
        kind = str(self.dtype).removeprefix("torch.")
        trainable = ", trainable" if any(factor.requires_grad for factor in self.factors) else ""
        return f"rank={self.rank}, axes=({', '.join(shown)}), {count} parameters, {kind}{place}{trainable}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.extra_repr()})"

    # ---------------------------------------------------------------------------------------------------- internals

    @property
    def _first(self) -> torch.Tensor:
        factor: torch.Tensor = self.factors[0]
        return factor

    def _array(self, axis: Axis) -> npt.NDArray[np.float64]:
        factor: torch.Tensor = self.factors[self.axes.index(axis)]
        array: npt.NDArray[np.float64] = factor.detach().cpu().numpy().astype(np.float64, copy=False)
        return array

    def _arrays(self) -> list[npt.NDArray[np.float64]]:
        return [self._array(axis) for axis in self.axes]

    def _with(self: Model, axes: Sequence[Axis], factors: Sequence[npt.NDArray[np.float64]]) -> Model:
        """Return a fixed model of this dtype and device."""
        return type(self).from_factors(axes, factors, dtype=self.dtype).to(self.device)

    def _named(self, mapping: Mapping[str, Any] | None, named: Mapping[str, Any]) -> dict[Axis, Any]:
        both = sorted(set(mapping or {}) & set(named))
        if both:
            raise TypeError(f"each axis must be given once, got twice: {', '.join(both)}")
        return {self._find(name): value for name, value in {**(mapping or {}), **named}.items()}

    def _find(self, axis: Axis | str) -> Axis:
        for own in self.axes:
            if own is axis or own.name == (axis.name if isinstance(axis, Axis) else axis):
                return own
        name = axis.name if isinstance(axis, Axis) else axis
        raise ValueError(f"axis must be one of {', '.join(a.name for a in self.axes)}, got {name!r}")

    def _chosen(self, axes: Sequence[Axis | str]) -> list[Axis]:
        found = [self._find(axis) for axis in axes] if axes else list(self.axes)
        if len(set(found)) < len(found):
            raise ValueError(f"each axis must be named once, got {', '.join(axis.name for axis in found)}")
        return found


def _describe(axis: Axis) -> str:
    if axis.discrete:
        return f"{axis.name}: {axis.size} values"
    return f"{axis.name}: [{axis.domain[0]:g}, {axis.domain[1]:g}], {axis.elements} elements"
