"""What statistics are: numbers with a standard error, and functions of the axes that are not random."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from inntd._kernels import blas_threads
from inntd.axes import Axis
from inntd.models.named import Named
from inntd.models.points import check_points

Array = npt.NDArray[np.float64]

_LIKE = torch.zeros(0, dtype=torch.float64)


class Estimate(float):
    """A number found from samples, and its standard error.

    Examples
    --------
    >>> found = Estimate(2.5, 0.01)
    >>> found + 1, found.standard_error, found
    (3.5, 0.01, Estimate(2.5, standard_error=0.01))
    """

    standard_error: float

    def __new__(cls, value: float, standard_error: float) -> Estimate:
        """Make a float that knows its standard error."""
        made = super().__new__(cls, value)
        made.standard_error = float(standard_error)
        return made

    def __reduce__(self) -> tuple[type[Estimate], tuple[float, float]]:
        return Estimate, (float(self), self.standard_error)

    def __repr__(self) -> str:
        return f"Estimate({float(self):.6g}, standard_error={self.standard_error:.2g})"


class Statistic(Named):
    """A statistic of a field over its random axes: a function of the others, computed where it is asked for.

    Parameters
    ----------
    axes : sequence of Axis
        Those that are not random, in the order of the columns of points.
    values : callable
        From points (K, D) to values (K,).
    errors : callable, optional
        From points to standard errors, where values come from samples.
    name : str, default "statistic"
        What it is, for pictures.

    Examples
    --------
    >>> import inntd as it
    >>> from inntd.results.statistics import variance
    >>> x, k = it.Axis("x", 0, 1, elements=8), it.Axis("k", -1, 1, elements=8, kind="parameter")
    >>> u = it.CPModel.from_factors([x, k], [x.nodes[:, None], k.nodes[:, None]])  # x k
    >>> found = variance(u, "k")  # x² / 3
    >>> found
    Statistic('variance', axes=(x))
    >>> found.grid(x=[0.5, 1.0]), round(found.at(x=0.5), 12)
    (tensor([0.0833, 0.3333], dtype=torch.float64), 0.083333333333)
    """

    def __init__(
        self,
        axes: Sequence[Axis],
        values: Callable[[Array], Array],
        errors: Callable[[Array], Array] | None = None,
        name: str = "statistic",
    ) -> None:
        self.axes = tuple(axes)
        self.name = name
        self._values, self._errors = values, errors

    @property
    def exact(self) -> bool:
        """Whether values are exact for the field; else they come from samples."""
        return self._errors is None

    @blas_threads()
    def __call__(self, points: Any) -> torch.Tensor:
        """Return the values (K,) at points (K, D)."""
        return torch.from_numpy(self._values(self._checked(points)))

    def standard_error(self, points: Any) -> torch.Tensor:
        """Return the standard errors (K,) of the values at points (K, D): zeros where these are exact."""
        x = self._checked(points)
        return torch.from_numpy(np.zeros(len(x)) if self._errors is None else self._errors(x))

    def grid(self, vectors: Mapping[str, Any] | None = None, /, **named: Any) -> torch.Tensor:
        """Return the values on the grid spanned by one vector per axis; numbers hold axes still."""
        arrays = self._grid_vectors(self._named(vectors, named), _LIKE)
        mesh = torch.meshgrid(*(x.reshape(-1) for x in arrays), indexing="ij")
        values = self(torch.stack([x.reshape(-1) for x in mesh], dim=1))
        return values.reshape([x.numel() for x in arrays if x.ndim == 1])

    def at(self, coordinates: Mapping[str, Any] | None = None, /, **fixed: Any) -> Any:
        """Return the statistic with some coordinates held still; a float when none remains."""
        given = {axis: float(value) for axis, value in self._named(coordinates, fixed).items()}
        rest = [d for d, axis in enumerate(self.axes) if axis not in given]
        whole = np.array([[given.get(axis, 0.0) for axis in self.axes]])
        if not rest:
            return self(whole).item()

        def filled(points: Array) -> Array:
            found = np.repeat(whole, len(points), axis=0)
            found[:, rest] = points
            return found

        errors = self._errors
        return Statistic(
            [self.axes[d] for d in rest],
            lambda points: self(filled(points)).numpy(),
            None if errors is None else lambda points: self.standard_error(filled(points)).numpy(),
            self.name,
        )

    def plot(self, *names: Axis | str, **options: Any) -> Any:
        """Draw the statistic along one or two of its axes: see `inntd.results.plot_field`."""
        from inntd.results.slices import plot_field

        return plot_field(self, *names, **options)

    def _checked(self, points: Any) -> Array:
        found: Array = check_points(points, self.axes, _LIKE, "raise").numpy()
        return found

    def __repr__(self) -> str:
        return f"Statistic({self.name!r}, axes=({', '.join(axis.name for axis in self.axes)}))"
