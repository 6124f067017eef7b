"""The protocol that every answer keeps: a function of several named coordinates."""

from __future__ import annotations

import os
from typing import Any, Protocol, runtime_checkable

import torch

from inntd.axes import Axis
from inntd.models.points import Extrapolate


@runtime_checkable
class Field(Protocol):
    """A function of D named coordinates that can be evaluated, sliced, averaged and saved.

    Functions that work on any answer (plots, statistics, export) ask for no more than this.

    Examples
    --------
    >>> import numpy as np, inntd as it
    >>> x = it.Axis("x", 0, 1, elements=8)
    >>> isinstance(it.CPModel.from_factors([x], [x.nodes[:, None]]), Field)
    True
    """

    @property
    def axes(self) -> tuple[Axis, ...]:
        """The coordinates, in the order of the columns of points."""
        ...

    @property
    def exact_statistics(self) -> bool:
        """Whether means, integrals and norms are exact; else they come from samples, with standard errors."""
        ...

    def __call__(self, points: Any, *, extrapolate: Extrapolate = "raise") -> torch.Tensor:
        """Return the values (K,) at points (K, D)."""
        ...

    def jet(
        self, points: Any, *, extrapolate: Extrapolate = "raise"
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return values (K,), gradients (K, D) and diagonal second derivatives (K, D) at points (K, D)."""
        ...

    def grid(self, *arguments: Any, **vectors: Any) -> torch.Tensor:
        """Return the values on the grid spanned by one vector per axis."""
        ...

    def at(self, *arguments: Any, **fixed: Any) -> Any:
        """Return the field of the remaining coordinates with others held still; a float when none remains."""
        ...

    def integrate(self, *axes: Axis | str) -> Any:
        """Return the integral over some axes (all by default): a field, or a float when no axis remains."""
        ...

    def mean(self, *axes: Axis | str) -> Any:
        """Return the mean over some axes (all by default): a field, or a float when no axis remains."""
        ...

    def norm(self) -> float:
        """Return the L2 norm."""
        ...

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write the field to a file."""
        ...
