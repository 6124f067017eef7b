"""Exponentials of models: surrogates whose logarithm was fitted."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from inntd.axes import Axis
from inntd.models import files
from inntd.models.conveniences import Conveniences
from inntd.models.cp import CPModel
from inntd.models.points import Extrapolate
from inntd.models.sampling import REPLICATES, sobol_points

SAMPLES = 1 << 16


class ExponentialModel(Conveniences, torch.nn.Module):
    r"""The positive function :math:`u = e^{v}` of a CP model v.

    Means, integrals and norms over all axes are found by scrambled Sobol' points; `standard_error` tells how well.

    Parameters
    ----------
    exponent : CPModel
        The model v.

    Attributes
    ----------
    exponent : CPModel
    standard_error : float
        Of the last mean, integral or norm; NaN before.
    metadata : dict

    Examples
    --------
    >>> import numpy as np, inntd as it
    >>> x = it.Axis("x", 0, 1, elements=8)
    >>> u = ExponentialModel(it.CPModel.from_factors([x], [x.nodes[:, None]]))  # exp(x)
    >>> round(u(np.array([[1.0]])).item(), 6), abs(u.mean() - (np.e - 1)) < 1e-6
    (2.718282, True)
    """

    file_kind = "exponential"
    exact_statistics = False

    def __init__(self, exponent: CPModel) -> None:
        super().__init__()
        if not isinstance(exponent, CPModel):
            raise TypeError(f"exponent must be a CPModel, got {type(exponent).__name__}")
        self.exponent = exponent
        self.metadata: dict[str, Any] = {}
        self.standard_error = float("nan")

    @property
    def axes(self) -> tuple[Axis, ...]:
        """The coordinates."""
        return self.exponent.axes

    @property
    def factors(self) -> torch.nn.ParameterList:
        """The factors of the exponent."""
        return self.exponent.factors

    @property
    def rank(self) -> int:
        """The number of modes of the exponent."""
        return self.exponent.rank

    @property
    def dtype(self) -> torch.dtype:
        """The type of the factors."""
        return self.exponent.dtype

    def forward(self, points: Any, *, extrapolate: Extrapolate = "raise") -> torch.Tensor:
        """Return the values (K,) at points (K, D)."""
        return torch.exp(self.exponent(points, extrapolate=extrapolate))

    def jet(
        self, points: Any, *, extrapolate: Extrapolate = "raise"
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return values (K,), gradients (K, D) and diagonal second derivatives (K, D) at points (K, D)."""
        v, gradient, second = self.exponent.jet(points, extrapolate=extrapolate)
        u = torch.exp(v)
        return u, u[:, None] * gradient, u[:, None] * (second + gradient**2)

    def grid(self, vectors: Mapping[str, Any] | None = None, /, **named: Any) -> torch.Tensor:
        """Return the values on the grid spanned by one vector per axis."""
        return torch.exp(self.exponent.grid(vectors, **named))

    def at(self, coordinates: Mapping[str, Any] | None = None, /, **fixed: Any) -> Any:
        """Return the model of the remaining axes with others held still; a float when none remains."""
        found = self.exponent.at(coordinates, **fixed)
        return float(np.exp(found)) if isinstance(found, float) else ExponentialModel(found)

    def mean(self, *axes: Axis | str) -> float:
        """Return the mean over all axes, from samples; see `standard_error`.

        Raises
        ------
        NotImplementedError
            When only some axes are named: an exponential of a sum of products is none itself.
        """
        return self._sampled(axes, lambda values: values)

    def integrate(self, *axes: Axis | str) -> float:
        """Return the integral over all axes, from samples; see `standard_error`."""
        mean = self.mean(*axes)
        self.standard_error *= self._measure()
        return mean * self._measure()

    def norm(self) -> float:
        """Return the L2 norm, from samples; see `standard_error`."""
        square = self._sampled((), lambda values: values**2) * self._measure()
        found = float(np.sqrt(square))
        self.standard_error = self.standard_error * self._measure() / (2 * found)
        return found

    def save(
        self, path: str | os.PathLike[str], *, overwrite: bool = False, metadata: Mapping[str, Any] | None = None
    ) -> None:
        """Write the model to a file; see `CPModel.save`."""
        files.save(self, path, overwrite=overwrite, metadata=metadata)

    def _measure(self) -> float:
        sizes = [axis.size if axis.discrete else axis.domain[1] - axis.domain[0] for axis in self.axes]
        return float(np.prod(sizes))

    def _sampled(self, axes: tuple[Axis | str, ...], function: Any) -> float:
        names = {axis if isinstance(axis, str) else axis.name for axis in axes}
        if axes and names != {axis.name for axis in self.axes}:
            raise NotImplementedError(
                f"means and integrals of an ExponentialModel are over all axes, got only {', '.join(sorted(names))}: "
                "hold the others still first, with at(...)"
            )
        means = []
        for seed in range(REPLICATES):
            points = sobol_points(self.axes, SAMPLES // REPLICATES, seed)
            with torch.no_grad():
                values = self(torch.from_numpy(points).to(self.dtype)).double().numpy()
            means.append(float(function(values).mean()))
        self.standard_error = float(np.std(means, ddof=1) / np.sqrt(REPLICATES))
        return float(np.mean(means))
