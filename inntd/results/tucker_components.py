"""Components of models with a core, by contractions of it."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from inntd.models.tucker_form import TuckerForm, contracted
from inntd.results.components import Components, Part, Parts, Split
from inntd.results.setting import Setting

Array = npt.NDArray[np.float64]


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
