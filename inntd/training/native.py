"""A CP model inside the compiled fit loop: its numbers there and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from inntd import _kernels
from inntd.axes import Axis
from inntd.models import CPModel
from inntd.models.factors import random_factors
from inntd.training.coordinates import curvature_coordinates

Array = npt.NDArray[np.float64]
What: TypeAlias = Literal["parameters", "mean", "square", "gradient", "coefficients"]

LARGEST_SMOOTHED = 160  # nodes of an axis: the steps' cost grows like their square


class NativeModel:
    """Factors (axis.size, M), and (C, M) of several outputs, held by the core in float32 or float64.

    The core's model is that of standardised values: `centre` and `scale` (C,) lead back. With `smoothing` Adam moves
    coefficients of smooth to rough functions in place of nodal values (see `smooth_functions`).
    """

    def __init__(
        self,
        axes: Sequence[Axis],
        rank: int,
        outputs: int | None,
        dtype: torch.dtype,
        centre: Array,
        scale: float,
        smoothing: float | None = None,
    ) -> None:
        self.axes, self.rank, self.outputs, self.dtype = tuple(axes), rank, outputs, dtype
        self.centre, self.scale = centre, scale
        make = _kernels.core.CpFit32 if dtype == torch.float32 else _kernels.core.CpFit64
        self.core = make([axis.table for axis in axes], rank, outputs or 0)
        self.functions: dict[int, torch.Tensor] = {}
        for d, axis in enumerate(axes):
            if smoothing is not None and not axis.discrete and 2 < axis.size <= LARGEST_SMOOTHED:
                self.functions[d] = torch.from_numpy(smooth_functions(axis, smoothing))
                self.core.set_functions(d, self.functions[d].to(dtype).contiguous())

    @property
    def shapes(self) -> list[tuple[int, int]]:
        """The shapes of all factors."""
        return [(axis.size, self.rank) for axis in self.axes] + ([(self.outputs, self.rank)] if self.outputs else [])

    def put(self, factors: Sequence[torch.Tensor], what: What = "parameters") -> None:
        """Copy factors, or Adam's numbers of the same shapes, into the core."""
        for d, factor in enumerate(factors):
            self.core.put(what, d, factor.to(self.dtype).contiguous())
        if what == "parameters" and self.functions:
            self.put([self._coefficients(d, factor) for d, factor in enumerate(factors)], "coefficients")

    def _coefficients(self, d: int, factor: torch.Tensor) -> torch.Tensor:
        if d not in self.functions:
            return factor
        found: torch.Tensor = torch.linalg.solve(self.functions[d], factor.double())
        return found

    def take(self, what: What = "parameters") -> list[torch.Tensor]:
        """Return copies of the core's numbers."""
        found = [torch.empty(shape, dtype=self.dtype) for shape in self.shapes]
        for d, factor in enumerate(found):
            self.core.take(what, d, factor)
        return found

    def start(self, seed: int) -> None:
        """Begin with random modes of both signs, and with Adam at rest."""
        factors = random_factors(self.axes, self.rank, seed)
        generator = torch.Generator().manual_seed(seed)
        factors[0] = factors[0] * torch.where(torch.rand(self.rank, generator=generator) < 0.5, -1.0, 1.0)
        if self.outputs:
            factors.append(torch.randn((self.outputs, self.rank), generator=generator, dtype=torch.float64))
        self.put(factors)
        self.rest()

    def rest(self) -> None:
        """Forget Adam's averages."""
        zeros = [torch.zeros(shape, dtype=self.dtype) for shape in self.shapes]
        self.put(zeros, "mean")
        self.put(zeros, "square")

    def standardised(self, y: npt.ArrayLike) -> Array:
        """Return values (K, C) as the core sees them."""
        values: Array = (np.asarray(y, dtype=np.float64).reshape(len(np.asarray(y)), -1) - self.centre) / self.scale
        return values

    def model(self, factors: Sequence[torch.Tensor] | None = None) -> CPModel:
        """Return the model of the given factors, or of the core's, in the units of the data; the mean is one mode."""
        given = [factor.double() for factor in (self.take() if factors is None else factors)]
        given[0] = given[0] * self.scale
        axes = list(self.axes)
        constant = [torch.ones((axis.size, 1), dtype=torch.float64) for axis in axes]
        if self.outputs:
            axes.append(Axis.discrete("output", self.outputs))
            constant.append(torch.from_numpy(self.centre[:, None].copy()))
        else:
            constant[0] = constant[0] * float(self.centre[0])
        if np.any(self.centre):
            given = [torch.cat([factor, one], 1) for factor, one in zip(given, constant, strict=True)]
        return CPModel.from_factors(axes, given)


def smooth_functions(axis: Axis, smoothing: float) -> Array:
    """Return nodal values (size, size) of an axis' orthonormal functions from smooth to rough, the rougher the smaller.

    A function of relative frequency w is divided by w to the power `smoothing`: so much smaller are the steps that
    Adam, which moves all coefficients alike, takes in its direction. In nodal values every step excites the roughest
    functions as much as the others, and their noise is what the rate has to fall for.
    """
    coordinates = curvature_coordinates(axis)
    frequency = np.maximum(coordinates.roughness, 1.0) ** (0.5 if axis.table.degree < 2 else 0.25)
    found: Array = coordinates.nodal * frequency**-smoothing
    return found


def dtype_of(name: Any) -> torch.dtype:
    """Return torch.float32 or torch.float64 from their names, or raise."""
    known = {"float32": torch.float32, "float64": torch.float64}
    text = str(name).removeprefix("torch.")
    if text not in known:
        raise ValueError(f"dtype must be 'float32' or 'float64', got {name!r}")
    return known[text]
