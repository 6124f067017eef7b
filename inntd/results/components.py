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

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
import numpy.typing as npt
import torch

from inntd.axes import Axis
from inntd.models import norms
from inntd.models.cp_form import FAR, CPForm, product
from inntd.models.rows import contract
from inntd.models.separated import SeparatedModel
from inntd.models.sweep import absorb, triangular_of_chunks
from inntd.models.tucker_form import TuckerForm, contracted
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


class CPComponents(Components):
    """Components of sums of products: norms by Hadamard products of Gram matrices, O(D R²)."""

    def __init__(self, setting: Setting, form: CPForm) -> None:
        super().__init__(setting, form)
        self.modes = form.modes
        self._grams: dict[Part, list[norms.ScaledGram]] = {}
        self._roots: dict[Parts, tuple[Array, npt.NDArray[np.int64]]] = {
            (): (np.ones((1, self.modes)), np.zeros(self.modes, dtype=np.int64))
        }

    def log_norm(self, parts: Parts) -> float:
        """Return the logarithm of the norm, to full precision."""
        return norms.log_norm([own.block(part) for own, part in zip(self.splits, parts, strict=True)])

    def log_norms(self, before: Part, after: Part) -> list[float]:
        """Return all of them for the price of two; those of functions of one axis need no Gram matrices."""
        if before is after is Part.MEAN:
            return [self._log_norm_of_one(d) for d in range(self.count)]
        return norms.log_norms_telescoped(*(self._grams_of(part) for part in (before, Part.REST, after)))

    def _log_norm_of_one(self, d: int) -> float:
        mantissas, exponents = product([own.means for e, own in enumerate(self.splits) if e != d], self.modes)
        top = int(exponents[mantissas != 0].max(initial=-FAR))
        weights = np.ldexp(mantissas, np.maximum(exponents - top, -FAR))
        length = float(np.linalg.norm(self.splits[d].rest @ weights))
        return math.log(length) + top * math.log(2) if length > 0 else -math.inf

    def _grams_of(self, part: Part) -> list[norms.ScaledGram]:
        if part not in self._grams:
            self._grams[part] = [norms.ScaledGram.of(own.block(part)) for own in self.splits]
        return self._grams[part]

    def coordinates(self, parts: Parts, points: Array) -> Array:
        """Return the modes at the points, times the triangular factor of their products over the random axes."""
        root, exponents = self._root(parts)
        return np.asarray((self._modes_at(points) * np.ldexp(1.0, exponents)) @ root.T)

    def log_size(self) -> float:
        """Return that of the sum of the modes' norms."""
        _, logs = norms.normalised([own.block(Part.BOTH) for own in self.splits])
        total = logs.sum(axis=0)
        top = float(total.max())
        return top if not math.isfinite(top) else top + math.log(float(np.exp(total - top).sum()))

    def sizes(self, points: Array) -> Array:
        """Return the sums of the modes' norms."""
        _, logs = norms.normalised([own.block(Part.BOTH) for own in self.splits])
        return np.asarray(np.abs(self._modes_at(points)) @ np.exp(logs.sum(axis=0)))

    @property
    def widest(self) -> int:
        """The modes."""
        return 2 * self.modes

    def _modes_at(self, points: Array) -> Array:
        product = np.ones((len(points), self.modes))
        for rows in self._rows(points):
            product = product * rows
        return product

    def _root(self, parts: Parts) -> tuple[Array, npt.NDArray[np.int64]]:
        """Return the triangular factor of the Khatri-Rao product of the parts, and exponents of its columns.

        Components that begin alike share it as far as they do.
        """
        if parts not in self._roots:
            before, exponents = self._root(parts[:-1])
            found = absorb(before, self.splits[len(parts) - 1].block(parts[-1]))
            steps = np.frexp(np.abs(found).max(axis=0, initial=0.0))[1].astype(np.int64)
            self._roots[parts] = np.ldexp(found, -steps), exponents + steps
        return self._roots[parts]


class TuckerComponents(Components):
    """Components of models with a core, contracted with one axis after the other: O(D r^(D+1)).

    The functions of each random axis are taken in orthonormal coordinates. `_ones` are those of the constant function's
    projection on their span, and `_rests` map to what is left without it.
    """

    def __init__(self, setting: Setting, form: TuckerForm) -> None:
        super().__init__(setting, form)
        matrices, self._ones, self._rests = [np.eye(self.factors[axis].shape[1]) for axis in form.axes], [], []
        self._places = [form.axes.index(axis) for axis in self.random]
        for d, own in zip(self._places, self.splits, strict=True):
            orthonormal, matrices[d] = _orthonormal(own)
            self._ones.append(orthonormal[0])
            self._rests.append(orthonormal[1:])
        core, self._exponent = contracted(form.core, matrices)
        order = [d for d in range(core.ndim) if d not in self._places] + self._places
        self._core = core.transpose(order)  # kept axes first
        self._tensors: dict[Parts, Array] = {}

    def log_norm(self, parts: Parts) -> float:
        """Return the logarithm of the norm."""
        length = float(np.linalg.norm(self._tensor(parts)))
        return math.log(length) + self._exponent * math.log(2) if length > 0 else -math.inf

    def coordinates(self, parts: Parts, points: Array) -> Array:
        """Return the core of the component with the kept axes' functions at the points."""
        found = self._at(self._tensor(parts), points)
        return np.ldexp(found.reshape(len(points), -1), self._exponent)

    def log_size(self) -> float:
        """Return that of the norm: coordinates are orthonormal, so nothing larger is added up."""
        length = float(np.linalg.norm(self._core))
        return math.log(length) + self._exponent * math.log(2) if length > 0 else -math.inf

    def sizes(self, points: Array) -> Array:
        """Return norms over the random axes."""
        return np.asarray(np.linalg.norm(self.coordinates((Part.BOTH,) * self.count, points), axis=1))

    @property
    def widest(self) -> int:
        """The core without its first axis."""
        return max(1, int(self._core.size) // int(self._core.shape[0]))

    def _tensor(self, parts: Parts) -> Array:
        """Return the core of a component: without axes of which it has the mean."""
        if parts in self._tensors:
            return self._tensors[parts]
        found = self._core
        for d in reversed(range(self.count)):
            if parts[d] is Part.MEAN:
                found = np.tensordot(found, self._ones[d], axes=(len(self.kept) + d, 0))
        place = len(self.kept)
        for d, part in enumerate(parts):
            if part is Part.REST:
                found = np.moveaxis(np.tensordot(found, self._rests[d], axes=(place, 1)), -1, place)
            place += part is not Part.MEAN
        if self.kept:  # asked for again, points by points
            self._tensors[parts] = found
        return np.asarray(found)

    def _at(self, tensor: Array, points: Array) -> Array:
        if not self.kept:
            return np.asarray(np.broadcast_to(tensor, (len(points), *tensor.shape)))
        first, *others = self._rows(points)
        found = np.tensordot(first, tensor, axes=(1, 0))
        for rows in others:
            found = np.einsum("kr,kr...->k...", rows, found)
        return np.asarray(found)


def _orthonormal(own: Split) -> tuple[Array, Array]:
    """Return Q (k, n) and R (n, r) with the functions' means, and the rest below, as Q R, and n at most r.

    Where the constant is in the functions' span it is a coordinate of its own, so that large means and small rests do
    not mix.
    """
    _, sizes, directions = np.linalg.svd(own.rest, full_matrices=False)
    round_off = np.finfo(np.float64).eps * max(float(np.abs(own.means).max()), float(sizes.max(initial=0.0)))
    alive = sizes > 4 * round_off
    block = np.vstack([own.means, sizes[alive, None] * directions[alive]])
    if block.shape[0] <= block.shape[1]:
        return np.eye(block.shape[0]), block
    orthonormal, matrix = np.linalg.qr(block)
    return orthonormal, matrix


def components_of(setting: Setting) -> Components:
    """Return the components of the setting's model."""
    model: SeparatedModel = setting.field
    form = model._form()
    if isinstance(form, CPForm):
        return CPComponents(setting, form)
    assert isinstance(form, TuckerForm)
    return TuckerComponents(setting, form)
