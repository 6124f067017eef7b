"""Which coordinates of a field are random, with what densities: what every statistic starts from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from inntd.axes import Axis
from inntd.models import Field, SeparatedModel
from inntd.models.named import Named
from inntd.results.densities import Density, densities_of


class _Names(Named):
    """Axes to be found by name."""

    def __init__(self, axes: Sequence[Axis]) -> None:
        self.axes = tuple(axes)


@dataclass(frozen=True)
class Setting:
    """A field with some random axes.

    Parameters
    ----------
    field : Field
    random : tuple of Density
        One for every random axis.
    kept : tuple of Axis
        The others, in the order of the field.
    """

    field: Any
    random: tuple[Density, ...]
    kept: tuple[Axis, ...]

    @property
    def names(self) -> list[str]:
        """Names of the random axes."""
        return [density.axis.name for density in self.random]

    @property
    def exact(self) -> bool:
        """Whether statistics are computed from factors; else from samples."""
        return isinstance(self.field, SeparatedModel)


def setting(
    field: Any, over: Sequence[Axis | str], densities: Mapping[str, Any] | None = None, renormalise: bool = False
) -> Setting:
    """Return a field with its random axes, or raise.

    Parameters
    ----------
    field : Field
    over : sequence of Axis or str
        The random axes. Of none: all but those of kind ``"component"``, whose values are no population.
    densities, renormalise
        See `densities_of`.

    Raises
    ------
    TypeError, ValueError
        When `field` is no field or holds numbers that are not finite, or names or densities are wrong.
    """
    if not isinstance(field, Field):
        remedy = "; of an estimator take its model_" if hasattr(field, "model_") else ""
        raise TypeError(f"field must be a model such as a CPModel, got {type(field).__name__}{remedy}")
    _refuse_odd_numbers(field)
    chosen = list(over) or [axis for axis in field.axes if axis.kind != "component"]
    if not chosen:
        raise ValueError("a statistic needs a random axis, and all of the field are components: name those meant")
    random = _Names(field.axes)._chosen(chosen)
    ordered = [axis for axis in field.axes if axis in random]
    kept = tuple(axis for axis in field.axes if axis not in random)
    return Setting(field, tuple(densities_of(ordered, densities, renormalise)), kept)


def _refuse_odd_numbers(field: Any) -> None:
    numbers = field.state_dict() if isinstance(field, torch.nn.Module) else {}
    odd = [name for name, tensor in numbers.items() if not bool(torch.isfinite(tensor).all())]
    if odd:
        count = int(np.sum([int((~torch.isfinite(numbers[name])).sum()) for name in odd]))
        raise ValueError(
            f"the field must hold finite numbers, got {count} NaN or infinite in {', '.join(odd)}: its training or "
            "solution failed; look at its status, and repeat it"
        )
