"""Components of sums of products, by the Gram matrices and the products of their modes' functions."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from inntd.models import norms
from inntd.models.cp_form import FAR, CPForm, product
from inntd.models.sweep import absorb
from inntd.results.components import Components, Part, Parts
from inntd.results.setting import Setting

Array = npt.NDArray[np.float64]


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
