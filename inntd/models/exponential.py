"""The exponential of a field: what a fit of logarithms gives."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch

from inntd import _checks
from inntd.axes import Axis
from inntd.models.metric import integrals
from inntd.models.points import Extrapolate
from inntd.models.separated import SeparatedModel

SAMPLES = 1 << 16  # points of means over more axes than a grid of quadrature points is made for


class ExponentialModel(torch.nn.Module):
    r"""The function :math:`\exp(g(x))` of a separated model g: positive, and a product where g is a sum.

    Evaluation, jets, grids and slices are those of g, with the chain rule. Integrals, means and norms have no closed
    form: they are sampled (`exact_statistics` is False), with standard errors.

    Parameters
    ----------
    exponent : SeparatedModel
        The field g.

    Attributes
    ----------
    exponent : SeparatedModel
    metadata : dict
        Anything that JSON carries, saved along.

    Examples
    --------
    >>> import numpy as np, inntd as it
    >>> x = it.Axis("x", 0, 1, elements=8)
    >>> u = ExponentialModel(it.CPModel.from_factors([x], [2 * x.nodes[:, None]]))  # exp(2 x)
    >>> value, gradient, second = u.jet(np.array([[0.5]]))
    >>> [round(float(part), 9) for part in (value, gradient, second)] == [round(k * np.e, 9) for k in (1, 2, 4)]
    True
    """

    exact_statistics: bool = False
    file_kind: ClassVar[str] = "exponential"

    def __init__(self, exponent: SeparatedModel) -> None:
        super().__init__()
        if not isinstance(exponent, SeparatedModel):
            raise TypeError(f"exponent must be a CPModel or a TuckerModel, got {type(exponent).__name__}")
        self.exponent = exponent
        self.metadata: dict[str, Any] = {}

    @property
    def axes(self) -> tuple[Axis, ...]:
        """The coordinates, in the order of the columns of points."""
        return self.exponent.axes

    @property
    def dtype(self) -> torch.dtype:
        """The number type of the exponent."""
        return self.exponent.dtype

    def forward(self, points: Any, *, extrapolate: Extrapolate = "raise") -> torch.Tensor:
        """Return the values (K,) at points (K, D); see the exponent's `forward`."""
        return torch.exp(self.exponent(points, extrapolate=extrapolate))

    def jet(
        self, points: Any, *, extrapolate: Extrapolate = "raise"
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return values (K,), gradients (K, D) and diagonal second derivatives (K, D) at points (K, D)."""
        g, slope, second = self.exponent.jet(points, extrapolate=extrapolate)
        value = torch.exp(g)
        return value, value[:, None] * slope, value[:, None] * (second + slope**2)

    def grid(self, *arguments: Any, **vectors: Any) -> torch.Tensor:
        """Return the values on the grid spanned by one vector per axis; see the exponent's `grid`."""
        return torch.exp(self.exponent.grid(*arguments, **vectors))

    def at(self, coordinates: Mapping[str, Any] | None = None, /, **fixed: Any) -> Any:
        """Return the field of the remaining axes with others held still; a float when none remains."""
        found = self.exponent.at(coordinates, **fixed)
        return ExponentialModel(found) if isinstance(found, SeparatedModel) else math.exp(found)

    def integrate(self, *axes: Axis | str, samples: int = SAMPLES, seed: int = 0) -> float:
        """Return the integral over all axes, a sum over discrete ones, from samples; see `sampled_mean`."""
        self._check_all(axes)
        return self.sampled_mean(samples=samples, seed=seed)[0] * self._volume()

    def mean(self, *axes: Axis | str, samples: int = SAMPLES, seed: int = 0) -> float:
        """Return the mean over all axes from samples; see `sampled_mean`.

        Raises
        ------
        ValueError
            When only some axes are named: the mean over them is no exponential of a separated function.
        """
        self._check_all(axes)
        return self.sampled_mean(samples=samples, seed=seed)[0]

    def norm(self, *, samples: int = SAMPLES, seed: int = 0) -> float:
        """Return the L2 norm over all axes from samples; see `sampled_mean`."""
        return math.sqrt(self.sampled_mean(power=2.0, samples=samples, seed=seed)[0] * self._volume())

    def sampled_mean(self, *, power: float = 1.0, samples: int = SAMPLES, seed: int = 0) -> tuple[float, float]:
        """Return the mean of a power of the function over all axes, and its standard error.

        Points are a scrambled low-discrepancy set (Sobol's), split into 16 independent ones for the error.

        Examples
        --------
        >>> import inntd as it
        >>> x = it.Axis("x", 0, 1, elements=8)
        >>> u = ExponentialModel(it.CPModel.from_factors([x], [x.nodes[:, None]]))
        >>> mean, error = u.sampled_mean()
        >>> bool(abs(mean - (math.e - 1)) < 5 * error < 1e-5)
        True
        """
        from scipy.stats import qmc

        count = _checks.positive_int("samples", samples, minimum=32)
        count = 1 << max(1, math.ceil(math.log2(count / 16)))
        random = np.random.default_rng(_checks.positive_int("seed", seed, minimum=0))
        means = []
        for _ in range(16):
            unit = qmc.Sobol(len(self.axes), rng=random, bits=60).random(count)
            points = torch.from_numpy(np.stack([_placed(a, u) for a, u in zip(self.axes, unit.T, strict=True)], axis=1))
            with torch.no_grad():
                g = self.exponent(points.to(self.exponent.factors[0])).double()
            means.append(float(torch.exp(power * g).mean()))
        return float(np.mean(means)), float(np.std(means, ddof=1) / math.sqrt(len(means)))

    def save(
        self, path: str | os.PathLike[str], *, overwrite: bool = False, metadata: Mapping[str, Any] | None = None
    ) -> None:
        """Write the field to a file that `inntd.load` reads, to the bit; see `SeparatedModel.save`."""
        from inntd.models.files import save

        save(self, path, overwrite=overwrite, metadata=metadata)

    def __repr__(self) -> str:
        return f"ExponentialModel({self.exponent!r})"

    def _volume(self) -> float:
        return math.prod(float(integrals(axis).sum()) for axis in self.axes)

    def _check_all(self, axes: tuple[Axis | str, ...]) -> None:
        named = {axis if isinstance(axis, str) else axis.name for axis in axes}
        known = [axis.name for axis in self.axes]
        for name in named:
            _checks.one_of("axis", name, known)
        if named and named != set(known):
            raise ValueError(
                f"axes must be all of {', '.join(known)}, got {', '.join(sorted(named))}: the mean of an exponential "
                "over some axes is no exponential of a separated function; hold the others still with at(...) first"
            )


def _placed(axis: Axis, unit: np.ndarray[Any, np.dtype[np.float64]]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return coordinates of an axis from numbers in [0, 1)."""
    start, stop = axis.domain
    whole = np.minimum(np.floor(unit * axis.size), axis.size - 1.0)
    placed: np.ndarray[Any, np.dtype[np.float64]] = whole if axis.discrete else start + (stop - start) * unit
    return placed
