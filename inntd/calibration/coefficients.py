"""The free side of a response: products of functions of the free axes, and solutions of reduced systems."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch

from inntd.axes import Axis
from inntd.models.reduced import ReducedModel

Array = npt.NDArray[np.float64]


class Coefficients(Protocol):
    """M functions of F free coordinates."""

    def values(self, p: Array) -> Array:
        """Return the values (S, M) at coordinates (S, F)."""
        ...

    def jacobian(self, p: Array) -> tuple[Array, Array]:
        """Return values (M,) and derivatives (M, F) at coordinates (F,)."""
        ...


@dataclass(frozen=True, eq=False)
class Factors:
    """Products of one function per free axis: mode by mode, or every one with every other (`outer`)."""

    axes: tuple[Axis, ...]
    factors: tuple[Array, ...]
    outer: bool

    def values(self, p: Array) -> Array:
        """Return the values (S, M) at coordinates (S, F)."""
        return self._product([self._rows(f, p[:, f], 0) for f in range(len(self.axes))], len(p))

    def jacobian(self, p: Array) -> tuple[Array, Array]:
        """Return values (M,) and derivatives (M, F) at coordinates (F,)."""
        count = len(self.axes)
        rows = [self._rows(f, p[f : f + 1], 0) for f in range(count)]
        slopes = [self._rows(f, p[f : f + 1], 1) for f in range(count)]
        columns = [self._product([*rows[:f], slopes[f], *rows[f + 1 :]], 1)[0] for f in range(count)]
        value = self._product(rows, 1)[0]
        return value, np.stack(columns, axis=1) if columns else np.empty((len(value), 0))

    def _rows(self, f: int, x: Array, order: int) -> Array:
        index, values = self.axes[f].tabulate(x, order)
        found: Array = np.einsum("sw,swm->sm", values, self.factors[f][index])
        return found

    def _product(self, rows: list[Array], count: int) -> Array:
        product = np.ones((count, 1))
        for own in rows:
            product = (product[:, :, None] * own[:, None, :]).reshape(count, -1) if self.outer else product * own
        return product


@dataclass(frozen=True, eq=False)
class Reduced:
    """Products of free merged axes' functions with the solution of a reduced basis' equations."""

    model: ReducedModel
    parameters: tuple[int, ...]  # the free coordinates that are parameters, in the model's order
    merged: Factors
    places: tuple[int, ...]  # the free coordinates that are merged

    def values(self, p: Array) -> Array:
        """Return the values (S, M) at coordinates (S, F)."""
        with torch.no_grad():
            weights = self.model._weights(torch.from_numpy(p[:, list(self.parameters)])).numpy()
        functions = self.merged.values(p[:, list(self.places)])
        return np.asarray((functions[:, :, None] * weights[:, None, :]).reshape(len(p), -1))

    def jacobian(self, p: Array) -> tuple[Array, Array]:
        """Return values (M,) and derivatives (M, F) at coordinates (F,)."""
        weights, slopes = self._weights(p[list(self.parameters)])
        functions, own = self.merged.jacobian(p[list(self.places)])
        value = np.outer(functions, weights).ravel()
        derivatives = np.empty((len(value), len(p)))
        for i, f in enumerate(self.parameters):
            derivatives[:, f] = np.outer(functions, slopes[:, i]).ravel()
        for i, f in enumerate(self.places):
            derivatives[:, f] = np.outer(own[:, i], weights).ravel()
        return value, derivatives

    def _weights(self, mu: Array) -> tuple[Array, Array]:
        """Return the weights (N,) and their derivatives (N, parameters), in one backward pass over N copies."""
        count = self.model._weights(torch.from_numpy(mu[None])).shape[1]
        copies = torch.from_numpy(np.tile(mu, (count, 1))).requires_grad_()
        with torch.enable_grad():
            found = self.model._weights(copies)
            (slopes,) = torch.autograd.grad(found.diagonal().sum(), copies)
        return found[0].detach().numpy(), slopes.numpy()
