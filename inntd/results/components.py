r"""Orthogonal components of separated models: what all exact second moments are sums of.

With a density on every random axis, each function of one axis is its mean plus a part of mean zero. Products of such
parts over different sets of axes are orthogonal, so that a separated function falls into orthogonal components (the
functional analysis of variance; Hoeffding 1948, Sobol' 1993, and for separated models Konakli and Sudret, "Global
sensitivity analysis using low-rank tensor approximations", Reliab. Eng. Syst. Saf. 156, 2016). A component is chosen by
one *part* per random axis: its mean, the rest, or both. The square of its norm is a share of the variance.

The variance is the sum over the axes d of the components "both" before d, "rest" on d, "mean" behind d: a sum of
squares, where :math:`E[u^2] - E[u]^2` would lose the digits of a small variance.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
import numpy.typing as npt
import torch

from inntd.axes import Axis
from inntd.models.cp_form import CPForm
from inntd.models.rows import contract
from inntd.models.sweep import triangular_of_chunks
from inntd.models.tucker_form import TuckerForm
from inntd.results.densities import Density
from inntd.results.setting import Setting

Array = npt.NDArray[np.float64]

POINTS_AT_ONCE = 1 << 14  # quadrature points of an axis
NUMBERS_AT_ONCE = 1 << 22  # of coordinates of components at points: 32 MB


class Part(Enum):
    """Which part of the functions of a random axis a component has."""

    MEAN = "mean"
    REST = "rest"
    BOTH = "both"


Parts = tuple[Part, ...]


@dataclass(frozen=True)
class Split:
    """The functions of one random axis: means (r,), and the parts of mean zero in orthonormal coordinates (k, r)."""

    means: Array
    rest: Array

    def block(self, part: Part) -> Array:
        """Return a part in orthonormal coordinates, of which the first is that of the constant."""
        if part is Part.MEAN:
            return self.means[None, :]
        return self.rest if part is Part.REST else np.vstack([self.means, self.rest])


def split(density: Density, factor: Array) -> Split:
    """Split the functions of one axis, by nodal values (size, r), into means and the rest.

    Nodal values are taken relative to their first, so that constants have no rest at all.
    """
    base = factor[0]
    points, weights = density.rule(2)
    pieces = [slice(k, k + POINTS_AT_ONCE) for k in range(0, len(points), POINTS_AT_ONCE)]
    own = np.ascontiguousarray(factor - base)

    def values(piece: slice) -> Array:
        return values_at(density.axis, own, points[piece])

    means = np.sum([weights[piece] @ values(piece) for piece in pieces], axis=0)
    rest = triangular_of_chunks(np.sqrt(weights[piece])[:, None] * (values(piece) - means) for piece in pieces)
    return Split(base + means, rest)


def values_at(axis: Axis, factor: Array, points: Array) -> Array:
    """Return the functions (K, r) of one axis at points (K,)."""
    return np.asarray(contract(axis, torch.from_numpy(np.ascontiguousarray(factor)), torch.from_numpy(points)))


class Components(ABC):
    """The components of a separated model over its random axes.

    Parameters
    ----------
    setting : Setting
        Of a CP or Tucker model.
    """

    def __init__(self, setting: Setting, form: CPForm | TuckerForm) -> None:
        self.kept = setting.kept
        self.random = [density.axis for density in setting.random]
        self.count = len(self.random)
        self.factors = dict(zip(form.axes, form.factors, strict=True))
        self.splits = [split(density, self.factors[density.axis]) for density in setting.random]

    @abstractmethod
    def log_norm(self, parts: Parts) -> float:
        """Return the logarithm of the norm of a component, -inf for zero; no axis may be kept."""

    def log_norms(self, before: Part, after: Part) -> list[float]:
        """Return that of the components `before` up to an axis, the rest on it, `after` behind it, for each axis."""
        return [self.log_norm(parts) for parts in self.telescoped(range(self.count), before, after)]

    @abstractmethod
    def coordinates(self, parts: Parts, points: Array) -> Array:
        """Return a component's orthonormal coordinates (K, n) at points (K, D) of the kept axes."""

    @abstractmethod
    def log_size(self) -> float:
        """Return the logarithm of the size of what is added up, which rounding errors are relative to."""

    @abstractmethod
    def sizes(self, points: Array) -> Array:
        """Return the size (K,) of what is added up at points of the kept axes."""

    def telescoped(self, chosen: Sequence[int], before: Part, after: Part, others: Part | None = None) -> list[Parts]:
        """Return components that add up to the difference of `before` and `after` on all chosen axes.

        Parameters
        ----------
        chosen : sequence of int
            Numbers of random axes.
        before, after : Part
            Both and mean, for which all components have the rest on one axis.
        others : Part, optional
            On axes that are not chosen.
        """
        found = []
        for k, d in enumerate(chosen):
            parts = [others or Part.MEAN] * self.count
            for e in chosen[:k]:
                parts[e] = before
            for e in chosen[k + 1 :]:
                parts[e] = after
            parts[d] = Part.REST
            found.append(tuple(parts))
        return found

    def squares(self, components: Sequence[Parts], points: Array) -> Array:
        """Return the sums (K,) of the squares of components at points of the kept axes."""
        total = np.zeros(len(points))
        for parts in components:
            for piece in self._pieces(len(points)):
                total[piece] += np.sum(self.coordinates(parts, points[piece]) ** 2, axis=1)
        return total

    def _pieces(self, count: int) -> list[slice]:
        step = max(1, NUMBERS_AT_ONCE // self.widest)
        return [slice(k, k + step) for k in range(0, count, step)]

    @property
    @abstractmethod
    def widest(self) -> int:
        """About how many numbers one point takes."""

    def _rows(self, points: Array) -> list[Array]:
        return [values_at(axis, self.factors[axis], points[:, d]) for d, axis in enumerate(self.kept)]
