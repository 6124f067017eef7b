"""The state of alternating least squares, and the update of one factor."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from inntd.axes import Axis
from inntd.training.block_banded import BlockBanded
from inntd.training.samples import Groups, group
from inntd.training.smoothness import Smoothness

Array = npt.NDArray[np.float64]

PROXIMAL = 1e-13  # of the largest entry of the diagonal: keeps singular systems solvable, and moves no fixed point


class Alternation:
    """The factors of a model, and one update of each.

    Columns of the factors have mean square one; the modes' sizes are kept in `amplitudes`.

    Parameters
    ----------
    axes : sequence of D Axis
    x : sequence of D arrays (K,)
        Samples' coordinates.
    y : array (K, C)
        Values of C outputs.
    weights : array (K,)
        Of mean one.
    factors : sequence of D + 1 arrays (axis.size, M)
        To begin with; the last one (C, M) is that of the outputs, and stays all ones for one output.
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
        x: Sequence[Array],
        y: Array,
        weights: Array,
        factors: Sequence[Array],
        penalties: Sequence[Smoothness],
        ridge: float,
        random: np.random.Generator,
    ) -> None:
        self.axes, self.y, self.weights = axes, y, weights
        self.penalties, self.ridge, self.random = penalties, ridge, random
        self.groups = [group(axis, column) for axis, column in zip(axes, x, strict=True)]
        self.amplitudes: Array = np.ones(factors[0].shape[1])
        self.factors: list[Array] = []
        for factor in factors:
            unit, size = _normalised(factor, factor)
            self.factors.append(unit)
            self.amplitudes = self.amplitudes * size
        self.rows = [_evaluated(groups, u) for groups, u in zip(self.groups, self.factors[:-1], strict=True)]
        self.loss = self.penalised = math.inf

    def sweep(self) -> None:
        """Update every factor once."""
        for d in range(len(self.axes)):
            self.update(d)
        if self.y.shape[1] > 1:
            self.update_outputs()

    def update(self, d: int) -> None:
        """Minimise the penalised loss over the factor of axis d, by a step from where it is: rounding errs relative to it."""
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
        self.rows[d] = _evaluated(self.groups[d], self.factors[d])

    def update_outputs(self) -> None:
        """Minimise the penalised loss over the factor of the outputs."""
        old = self.factors[-1] * self.amplitudes
        modes = len(self.amplitudes)
        gram, right, loss = np.zeros((modes, modes)), np.zeros((modes, self.y.shape[1])), 0.0
        for begin in range(0, len(self.y), 4096):
            part = slice(begin, begin + 4096)
            g, w = self._products(None, np.arange(len(self.y))[part]), self.weights[part, None]
            residual = self.y[part] - g @ old.T
            gram += (w * g).T @ g
            right += g.T @ (w * residual)
            loss += float(np.sum(w * residual**2))
        (diagonal,) = self._penalty_diagonals(len(self.axes))
        system = gram / self.y.size + np.diag(diagonal[0])
        gradient = right.T / self.y.size - diagonal * old
        system += PROXIMAL * system.diagonal().max() * np.eye(modes)
        step = np.linalg.solve(system, gradient.T).T
        before = loss / self.y.size + self.penalty(len(self.axes), old)
        self._accept(len(self.axes), old + step, before - float(np.sum(step * gradient)))

    def normal_equations(self, d: int) -> tuple[BlockBanded, Array, float]:
        """Return the matrix of axis d, half of the negative gradient (size, M) of the loss, and the loss."""
        axis, groups, outputs = self.axes[d], self.groups[d], self.factors[-1]
        modes, count = len(self.amplitudes), groups.products.shape[-1]
        width = groups.rows.shape[1]
        values = groups.functions(self.factors[d] * self.amplitudes)
        moments = np.zeros((len(groups.first), count, modes, modes))
        slopes = np.zeros_like(values)
        loss = 0.0
        for which, begin, end in groups.blocks(count * modes):
            samples = groups.order[begin:end]
            g, p, w = self._products(d, samples), groups.polynomials(begin, end, count), self.weights[samples, None]
            lower = p[:, : values.shape[1]]
            residual = self.y[samples] - (g * (lower @ values[which])) @ outputs.T
            loss += float(np.sum(w * residual**2))
            slopes[which] += lower.T @ (g * ((w * residual) @ outputs))
            left = ((w * p)[:, :, None] * g[:, None, :]).reshape(end - begin, -1)
            moments[which] += (left.T @ g).reshape(count, modes, modes)
        moments *= outputs.T @ outputs / self.y.size
        slopes /= self.y.size
        matrix = BlockBanded(axis.size, max(width, 3), modes, axis.periodic)
        gradient = np.zeros((axis.size, modes))
        for which, first in enumerate(groups.first.tolist()):
            place = (first + np.arange(width)) % axis.size
            gradient[place] += groups.rows[which] @ slopes[which]
            blocks = groups.products[which].reshape(width**2, count) @ moments[which].reshape(count, -1)
            matrix.add(first, blocks.reshape(width, width, modes, modes))
        return matrix, gradient, loss / self.y.size

    def penalty(self, d: int, factor: Array) -> float:
        """Return the penalties for another factor of axis d, amplitudes included."""
        diagonals, periodic = self._penalty_diagonals(d), d < len(self.axes) and self.axes[d].periodic
        return float(np.sum(factor * _product(diagonals, factor, periodic)))

    def balanced(self, scale: float) -> list[Array]:
        """Return D + 1 factors of the model times a number; modes are spread evenly over the axes, not the outputs."""
        spread = (self.amplitudes * scale) ** (1 / len(self.axes))
        return [factor * spread for factor in self.factors[:-1]] + [self.factors[-1]]

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

    def _products(self, d: int | None, samples: npt.NDArray[np.int64]) -> Array:
        """Return the products (k, M) of the modes' values along all axes but d."""
        found: Array | None = None
        for e, (groups, rows) in enumerate(zip(self.groups, self.rows, strict=True)):
            if e != d:
                values = rows[samples if groups.place is None else groups.place[samples]]
                found = values if found is None else np.multiply(found, values, out=found)
        return np.ones((len(samples), len(self.amplitudes))) if found is None else found

    def _degrees_of_freedom(self) -> float:
        parameters = sum(factor.size for factor in self.factors)
        return max(self.y.size - parameters, 0.1 * self.y.size)


def _normalised(factor: Array, otherwise: Array) -> tuple[Array, Array]:
    """Return columns of mean square one, and the roots of the mean squares; for zero columns other ones."""
    size = np.sqrt(np.mean(factor**2, axis=0))
    return np.where(size > 0, factor / np.where(size > 0, size, 1), otherwise), size


def _evaluated(groups: Groups, factor: Array) -> Array:
    """Return the modes' values along one axis: at its values (groups, M), or at all samples (K, M)."""
    functions = groups.functions(factor)
    if groups.place is not None:
        return np.ascontiguousarray(functions[:, 0])
    rows = np.empty((len(groups.order), factor.shape[1]))
    for which, begin, end in groups.blocks(functions.shape[1]):
        rows[groups.order[begin:end]] = groups.polynomials(begin, end, functions.shape[1]) @ functions[which]
    return rows


def _product(diagonals: Sequence[Array], x: Array, periodic: bool) -> Array:
    """Return the product of a symmetric matrix, given by its main diagonal and those above, with x (size, M)."""
    out = diagonals[0] * x
    for k, diagonal in enumerate(diagonals[1:], 1):
        rows = len(diagonal)
        columns = (np.arange(rows) + k) % len(x)
        out[:rows] += diagonal * x[columns]
        np.add.at(out, columns, diagonal * x[:rows])
    return out
