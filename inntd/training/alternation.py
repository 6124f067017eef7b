"""The state of alternating least squares, and the update of one factor."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import scipy.linalg

from inntd._kernels import core, threads
from inntd.axes import Axis
from inntd.training.block_banded import BlockBanded
from inntd.training.samples import Samples, group
from inntd.training.smoothness import Smoothness

Array = npt.NDArray[np.float64]

PROXIMAL = 1e-13  # of the largest entry of the diagonal: keeps singular systems solvable, and moves no fixed point
PRODUCTS_AT_ONCE = 8192  # samples


class Alternation:
    """The factors of a model, and one update of each.

    Columns of the factors have mean square one; the modes' sizes are kept in `amplitudes`.

    Parameters
    ----------
    axes : sequence of D Axis
    samples : Samples
    factors : sequence of D + 1 arrays (axis.size, M)
        To begin with; the last one (C, M) is that of the outputs, and is left alone where there is only one.
    penalties : sequence of D Smoothness
    ridge : float
    random : numpy.random.Generator

    Attributes
    ----------
    loss, penalised : float
        Mean squared error after the last update, without and with the penalties.
    """

    def __init__(
        self,
        axes: Sequence[Axis],
        samples: Samples,
        factors: Sequence[Array],
        penalties: Sequence[Smoothness],
        ridge: float,
        random: np.random.Generator,
    ) -> None:
        self.axes, self.samples_x, self.y, self.weights = axes, samples.x, samples.y, samples.weights
        self.penalties, self.ridge, self.random = penalties, ridge, random
        self.groups = [group(axis, column) for axis, column in zip(axes, samples.x, strict=True)]
        self.amplitudes: Array = np.ones(factors[0].shape[1])
        self.factors: list[Array] = []
        for factor in factors:
            unit, size = _normalised(factor, factor)
            self.factors.append(unit)
            self.amplitudes = self.amplitudes * size
        self.functions = [groups.functions(u) for groups, u in zip(self.groups, self.factors[:-1], strict=True)]
        self.loss = self.penalised = math.inf

    def sweep(self) -> None:
        """Update every factor once."""
        for d in range(len(self.axes)):
            self.update(d)
        if self.y.shape[1] > 1:
            self.update_outputs()

    def on(self, samples: Samples, more: Sequence[Array] = ()) -> Alternation:
        """Return this model, with `more` columns of its D + 1 factors if given, to go on with other samples."""
        factors = [*self.factors[:-1], self.factors[-1] * self.amplitudes]
        if more:
            factors = [np.concatenate(pair, axis=1) for pair in zip(factors, more, strict=True)]
        return Alternation(self.axes, samples, factors, self.penalties, self.ridge, self.random)

    def mean_square(self) -> float:
        """Return the mean squared error."""
        outputs = self.factors[-1] * self.amplitudes
        total = 0.0
        for begin in range(0, len(self.y), PRODUCTS_AT_ONCE):
            part = slice(begin, begin + PRODUCTS_AT_ONCE)
            residual = self.y[part] - self.products(begin) @ outputs.T
            total += float(np.sum(self.weights[part, None] * residual**2))
        return total / self.y.size

    def update(self, d: int) -> None:
        """Minimise the penalised loss over the factor of axis d, by a step from where it is."""
        old, penalty = self.factors[d] * self.amplitudes, self.penalties[d]
        matrix, gradient, loss = self.normal_equations(d)
        before = loss + self.penalty(d, old)
        matrix.add_penalty(diagonals := self._penalty_diagonals(d))
        gradient -= _product(diagonals, old, self.axes[d].periodic)
        matrix.add_penalty([np.full(old.shape, PROXIMAL * float(matrix.diagonal().max()))])
        signs, image = penalty.probe(old.shape[1], self.random)
        step, answer = np.moveaxis(matrix.solve(np.stack([gradient, image], axis=-1)), -1, 0)
        new = old + step
        self._accept(d, new, before - float(np.sum(step * gradient)))
        trace = float(np.sum(signs * (penalty.differences @ answer)))
        penalty.update(new, trace, self.loss / self._degrees_of_freedom())
        self.functions[d] = self.groups[d].functions(self.factors[d])

    def update_outputs(self) -> None:
        """Minimise the penalised loss over the factor of the outputs."""
        d, modes = len(self.axes), len(self.amplitudes)
        old = self.factors[d] * self.amplitudes
        gram, gradient, loss = np.zeros((modes, modes)), np.zeros_like(old), 0.0
        for begin in range(0, len(self.y), PRODUCTS_AT_ONCE):
            g, w = self.products(begin), self.weights[begin : begin + PRODUCTS_AT_ONCE, None]
            residual = self.y[begin : begin + PRODUCTS_AT_ONCE] - g @ old.T
            gram += (w * g).T @ g
            gradient += (w * residual).T @ g
            loss += float(np.sum(w * residual**2))
        (diagonal,) = self._penalty_diagonals(d)
        system = gram / self.y.size + np.diag(diagonal[0])
        gradient = gradient / self.y.size - diagonal * old
        system += PROXIMAL * system.diagonal().max() * np.eye(modes)
        step = scipy.linalg.solve(system, gradient.T, assume_a="pos").T
        before = loss / self.y.size + self.penalty(d, old)
        self._accept(d, old + step, before - float(np.sum(step * gradient)))

    def normal_equations(self, d: int) -> tuple[BlockBanded, Array, float]:
        """Return the matrix of axis d, half of the negative gradient (size, M) of the loss, and the loss."""
        axis, groups, outputs = self.axes[d], self.groups[d], self.factors[-1]
        modes, (count, width, terms), sums = len(self.amplitudes), groups.rows.shape, groups.products.shape[-1]
        functions = list(self.functions)
        functions[d] = groups.functions(self.factors[d] * self.amplitudes)
        moments, slopes = np.empty((count, sums, modes, modes)), np.empty((count, terms, modes))
        samples = (functions, *self._places(), self.y, self.weights, outputs)
        loss = core.normal_equations(*samples, d, groups.order, groups.bounds, moments, slopes, threads())
        moments *= outputs.T @ outputs / self.y.size
        pulls = np.matmul(groups.rows, slopes / self.y.size)
        blocks = np.matmul(groups.products.reshape(count, width**2, sums), moments.reshape(count, sums, -1))
        matrix, gradient = BlockBanded(axis.size, max(width, 3), modes, axis.periodic), np.zeros((axis.size, modes))
        for first, pull, block in zip(groups.first.tolist(), pulls, blocks, strict=True):
            gradient[(first + np.arange(width)) % axis.size] += pull
            matrix.add(first, block.reshape(width, width, modes, modes))
        return matrix, gradient, loss / self.y.size

    def products(self, begin: int) -> Array:
        """Return the products (k, M) of the modes' values along all axes, for the next samples."""
        out = np.empty((min(PRODUCTS_AT_ONCE, len(self.y) - begin), len(self.amplitudes)))
        samples = (self.functions, *self._places(), self.y, self.weights, self.factors[-1])
        core.sample_products(*samples, begin, out, threads())
        return out

    def _places(self) -> tuple[list[npt.NDArray[np.int32]], list[Array]]:
        return [groups.place for groups in self.groups], [groups.local for groups in self.groups]

    def penalty(self, d: int, factor: Array) -> float:
        """Return the penalties for another factor of axis d, amplitudes included."""
        diagonals, periodic = self._penalty_diagonals(d), d < len(self.axes) and self.axes[d].periodic
        return float(np.sum(factor * _product(diagonals, factor, periodic)))

    def balanced(self, scale: float, merged: bool) -> list[Array]:
        """Return the factors of the model times a number, evenly scaled; with one output it is merged on request."""
        spread = (self.amplitudes * scale) ** (1 / len(self.axes))
        factors = [factor * spread for factor in self.factors[:-1]]
        return [factors[0] * self.factors[-1], *factors[1:]] if merged else [*factors, self.factors[-1]]

    def _accept(self, d: int, new: Array, penalised: float) -> None:
        self.penalised = max(penalised, 0.0)
        self.loss = max(penalised - self.penalty(d, new), 0.0)
        self.factors[d], self.amplitudes = _normalised(new, self.factors[d])

    def _penalty_diagonals(self, d: int) -> list[Array]:
        """Return the block diagonals (size, M) of the penalties on the factor of axis d."""
        modes, size = len(self.amplitudes), len(self.factors[d])
        own = np.full(modes, self.ridge)
        for e, penalty in enumerate(self.penalties):
            if e != d:
                own += penalty.weight * penalty.energy(self.factors[e])
        main = np.tile(own / size, (size, 1))
        if d == len(self.axes):
            return [main]
        penalty = self.penalties[d]
        above = [np.tile(penalty.weight * diagonal[:, None], (1, modes)) for diagonal in penalty.diagonals()]
        return [main + above[0], *above[1:]]

    def _degrees_of_freedom(self) -> float:
        parameters = sum(factor.size for factor in self.factors)
        return max(self.y.size - parameters, 0.1 * self.y.size)


def _normalised(factor: Array, otherwise: Array) -> tuple[Array, Array]:
    """Return columns of mean square one, and the roots of the mean squares; for zero columns other ones."""
    size = np.sqrt(np.mean(factor**2, axis=0))
    return np.where(size > 0, factor / np.where(size > 0, size, 1), otherwise), size


def _product(diagonals: Sequence[Array], x: Array, periodic: bool) -> Array:
    """Return the product of a symmetric matrix, given by its main diagonal and those above, with x (size, M)."""
    out = diagonals[0] * x
    for k, diagonal in enumerate(diagonals[1:], 1):
        rows = len(diagonal)
        columns = (np.arange(rows) + k) % len(x)
        out[:rows] += diagonal * x[columns]
        np.add.at(out, columns, diagonal * x[:rows])
    return out
