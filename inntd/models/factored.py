"""What every model of factors is: a torch module with axes and one factor for each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
import torch

from inntd.axes import Axis
from inntd.models.doubled import Array
from inntd.models.factors import check_dtype
from inntd.models.forms import Form
from inntd.models.named import Named

Model = TypeVar("Model", bound="Factored")


class Factored(Named, torch.nn.Module, ABC):
    """Axes and factors, and how they are found; the models derived from it say what they mean."""

    axes: tuple[Axis, ...]
    factors: torch.nn.ParameterList
    metadata: dict[str, Any]

    def __init__(self, axes: tuple[Axis, ...], factors: Sequence[torch.Tensor], dtype: torch.dtype) -> None:
        super().__init__()
        self.axes = axes
        self.factors = torch.nn.ParameterList([parameter(factor, dtype) for factor in factors])
        self.metadata = {}

    @abstractmethod
    def _form(self) -> Form:
        """Return the numbers of the model in float64, sharing memory where they are that already."""

    @classmethod
    @abstractmethod
    def _from_form(cls: type[Model], form: Any, dtype: torch.dtype) -> Model:
        """Return a fixed model."""

    @property
    @abstractmethod
    def rank(self) -> Any:
        """How many functions there are per axis."""

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
        count = sum(numbers.numel() for numbers in self.parameters())
        kind = str(self.dtype).removeprefix("torch.")
        trainable = ", trainable" if any(numbers.requires_grad for numbers in self.parameters()) else ""
        return f"rank={self.rank}, axes=({', '.join(shown)}), {count} parameters, {kind}{place}{trainable}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.extra_repr()})"

    # ---------------------------------------------------------------------------------------------------- internals

    @property
    def _first(self) -> torch.Tensor:
        factor: torch.Tensor = self.factors[0]
        return factor

    def _array(self, axis: Axis) -> Array:
        return as_array(self.factors[self.axes.index(axis)])

    def _arrays(self) -> list[Array]:
        return [as_array(factor) for factor in self.factors]

    def _with(self: Model, form: Form) -> Model:
        """Return a fixed model of this dtype and device."""
        return type(self)._from_form(form, self.dtype).to(self.device)


def parameter(numbers: torch.Tensor, dtype: torch.dtype) -> torch.nn.Parameter:
    """Return numbers that can be trained."""
    return torch.nn.Parameter(numbers.to(check_dtype(dtype)))


def as_array(numbers: torch.Tensor) -> Array:
    """Return numbers in float64, sharing memory where they are that already."""
    array: Array = numbers.detach().cpu().numpy().astype(np.float64, copy=False)
    return array


def _describe(axis: Axis) -> str:
    if axis.discrete:
        return f"{axis.name}: {axis.size} values"
    return f"{axis.name}: [{axis.domain[0]:g}, {axis.domain[1]:g}], {axis.elements} elements"
