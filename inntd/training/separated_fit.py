r"""A separated function and its samples: residuals, their derivatives, and damped Gauss-Newton steps.

The function is a linear part plus modes,

.. math:: f(x) = \sum_l A_l(x)\, a_l + \sum_m \prod_d \sum_j \varphi_{d,j}(x_d)\, c_{d,j,m},

and a step of Levenberg and Marquardt's method decreases the sum of squared residuals plus the variance times the
penalty of `penalty.py`. The Jacobian is dense: products of modern processors make up for what its structure saves up to
about a thousand coefficients. What a step factorises also tells how far the data determine each coefficient.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.linalg import lapack

from inntd.training.penalty import Penalty

Array = npt.NDArray[np.float64]

ROUND_OFF = 1e-13  # of the largest diagonal entry, added to all: modes keep their size but not how it is spread
LARGEST_LEVERAGE = 0.97
LARGEST_SHARE = 0.8  # of the degrees of freedom that the samples have
TRIES = 8


@dataclass(frozen=True)
class Samples:
    """Observations: the functions of all axes at the points, values there, and weights.

    Attributes
    ----------
    rows : list of D arrays (K, N_d)
    y : array (K,)
    weights : array (K,), optional
        Non-negative, with mean one.
    """

    rows: list[Array]
    y: Array
    weights: Array | None = None

    @cached_property
    def root(self) -> Array | None:
        """Square roots (K,) of the weights."""
        return None if self.weights is None else np.sqrt(self.weights)

    def take(self, which: npt.NDArray[np.int64]) -> Samples:
        """Return some of the observations."""
        weights = None if self.weights is None else self.weights[which]
        return Samples([rows[which] for rows in self.rows], self.y[which], weights)


@dataclass
class SeparatedFit:
    """Coefficients of a separated function with their penalty, between two steps.

    Attributes
    ----------
    terms : list of D int
        Axis d gives its functions 1..terms[d] to the linear part, which starts with the constant.
    linear : array (1 + sum of terms,)
    factors : list of D arrays (n_d, M)
        Of the first n_d functions of axis d.
    penalty : Penalty
    damping : float
        Levenberg and Marquardt's, relative to the normal matrix' diagonal.
    determined : array (P,)
        See `Penalty.update`.
    loss : float
        Sum of squared residuals.
    """

    terms: list[int]
    linear: Array
    factors: list[Array]
    penalty: Penalty
    damping: float = 1e-3
    determined: Array = field(default_factory=lambda: np.zeros(0))
    loss: float = np.inf

    @classmethod
    def empty(cls, terms: Sequence[int], sizes: Sequence[int], variance: float) -> SeparatedFit:
        """Return the zero function, without a mode."""
        count = 1 + sum(terms)
        factors = [np.zeros((size, 0)) for size in sizes]
        return cls(list(terms), np.zeros(count), factors, Penalty.initial(count, sizes, variance))

    @property
    def modes(self) -> int:
        """Number of modes."""
        return int(self.factors[0].shape[1])

    @property
    def parameters(self) -> int:
        """Number of coefficients."""
        return len(self.linear) + sum(factor.size for factor in self.factors)

    @property
    def noise(self) -> float:
        """Estimated variance of the noise."""
        return self.penalty.variance

    def copy(self) -> SeparatedFit:
        """Return a copy that shares nothing."""
        return SeparatedFit(
            list(self.terms), self.linear.copy(), [factor.copy() for factor in self.factors], self.penalty.copy(),
            self.damping, self.determined.copy(), self.loss,
        )  # fmt: skip

    def design(self, rows: Sequence[Array]) -> Array:
        """Return the functions (K, L) of the linear part."""
        parts = [matrix[:, 1 : 1 + count] for matrix, count in zip(rows, self.terms, strict=True)]
        return np.concatenate([np.ones((len(rows[0]), 1)), *parts], axis=1)

    def values(self, rows: Sequence[Array], linear: Array | None = None, factors: list[Array] | None = None) -> Array:
        """Return the function (K,) at points, with other coefficients on request."""
        factors = self.factors if factors is None else factors
        found: Array = self.design(rows) @ (self.linear if linear is None else linear)
        if factors[0].shape[1]:
            product = rows[0][:, : len(factors[0])] @ factors[0]
            for matrix, factor in zip(rows[1:], factors[1:], strict=True):
                product *= matrix[:, : len(factor)] @ factor
            found += product.sum(axis=1)
        return found

    def jacobian(self, rows: Sequence[Array]) -> Array:
        """Return the derivatives (K, P) of the values: linear part, then axis by axis its functions times modes."""
        used = [matrix[:, : len(factor)] for matrix, factor in zip(rows, self.factors, strict=True)]
        functions = [matrix @ factor for matrix, factor in zip(used, self.factors, strict=True)]
        count, before = len(rows[0]), [np.ones((len(rows[0]), self.modes))]
        for function in functions[:-1]:
            before.append(before[-1] * function)
        after, blocks = np.ones_like(before[0]), []
        for d in range(len(used) - 1, -1, -1):
            blocks.append((used[d][:, :, None] * (before[d] * after)[:, None, :]).reshape(count, -1))
            after = after * functions[d]
        return np.concatenate([self.design(rows), *blocks[::-1]], axis=1)

    def coefficients(self) -> Array:
        """Return all coefficients (P,) in the order of the Jacobian's columns."""
        return np.concatenate([self.linear, *(factor.ravel() for factor in self.factors)])

    def parts(self, coefficients: Array) -> tuple[Array, list[Array]]:
        """Return linear part and factors from all coefficients."""
        place, factors = len(self.linear), []
        for factor in self.factors:
            factors.append(coefficients[place : place + factor.size].reshape(factor.shape))
            place += factor.size
        return coefficients[: len(self.linear)].copy(), factors

    def balance(self) -> None:
        """Spread each mode's size evenly over its factors, in the norm of the penalty."""
        if self.modes:
            squares = np.maximum(self.penalty.squares(self.factors), 1e-300)
            mean = np.exp(np.log(squares).mean(axis=0))
            self.factors = [f * np.sqrt(mean / row) for f, row in zip(self.factors, squares, strict=True)]

    def step(self, samples: Samples) -> float:
        """Take a damped Gauss-Newton step and a step of the penalty; return by how much the first lowers the goal."""
        self.balance()
        jacobian, residual, root = self.jacobian(samples.rows), samples.y - self.values(samples.rows), samples.root
        if root is not None:
            jacobian *= root[:, None]
            residual *= root
        normal, strengths, old = jacobian.T @ jacobian, self.penalty.diagonal(self.factors), self.coefficients()
        strengths *= self.penalty.variance
        gradient = jacobian.T @ residual - strengths * old
        gain = self._descend(samples, normal, gradient, strengths, float(residual @ residual))
        self._learn(normal, strengths, samples)
        return gain

    def _descend(self, samples: Samples, normal: Array, gradient: Array, strengths: Array, loss: float) -> float:
        old, variance, diagonal = self.coefficients(), self.penalty.variance, normal.diagonal().copy()
        before = loss + variance * self.penalty.value(self.linear, self.factors)
        self.loss = loss
        for _ in range(TRIES):
            factor = _cholesky(normal, strengths + self.damping * (diagonal + strengths))
            if factor is not None:
                linear, factors = self.parts(old + lapack.dpotrs(factor, gradient, lower=1)[0])
                loss = self._loss(samples, linear, factors)
                after = loss + variance * self.penalty.value(linear, factors)
                if after <= before:
                    self.linear, self.factors, self.loss = linear, factors, loss
                    self.damping = max(0.15 * self.damping, 1e-10)
                    return (before - after) / before if before > 0 else 0.0
            self.damping = max(6.0 * self.damping, 1e-8)
        return 0.0

    def _loss(self, samples: Samples, linear: Array, factors: list[Array]) -> float:
        residual = samples.y - self.values(samples.rows, linear, factors)
        if samples.root is not None:
            residual *= samples.root
        return float(residual @ residual)

    def _learn(self, normal: Array, strengths: Array, samples: Samples) -> None:
        factor = _cholesky(normal, strengths)
        if factor is None:
            return
        inverse, _ = lapack.dtrtri(factor, lower=1)
        self.determined = np.clip(1.0 - strengths * np.einsum("ij,ij->j", inverse, inverse), 0.0, 1.0)
        self.penalty.update(self.linear, self.factors, self.determined, self.loss, len(samples.y))

    def nodal_factors(self, tables: Sequence[Array]) -> list[Array]:
        """Return factors from the values (N_d, n) of each axis' functions at its nodes: constant, additive, modes."""
        used = [d for d, count in enumerate(self.terms) if count]
        places = np.cumsum([1, *self.terms])
        ones = [np.ones((len(table), 1 + len(used))) for table in tables]
        ones[0][:, 0] = self.linear[0]
        for place, d in enumerate(used, start=1):
            ones[d][:, place] = tables[d][:, 1 : 1 + self.terms[d]] @ self.linear[places[d] : places[d + 1]]
        modes = [table[:, : len(factor)] @ factor for table, factor in zip(tables, self.factors, strict=True)]
        return [np.concatenate([one, mode], axis=1) for one, mode in zip(ones, modes, strict=True)]

    @property
    def degrees(self) -> list[int]:
        """The last function of each axis that is used."""
        return [
            max(count, len(factor) - 1 if self.modes else 0)
            for count, factor in zip(self.terms, self.factors, strict=True)
        ]

    def leave_one_out(self, samples: Samples) -> Array:
        """Return the errors (K,) at each sample of the fit to all others, to first order: r / (1 - leverage)."""
        jacobian, residual = self.jacobian(samples.rows), samples.y - self.values(samples.rows)
        if samples.root is not None:
            jacobian *= samples.root[:, None]
        factor = _cholesky(jacobian.T @ jacobian, self.penalty.variance * self.penalty.diagonal(self.factors))
        if factor is None:
            return np.full_like(residual, np.inf)
        solved, _ = lapack.dtrtrs(factor, jacobian.T, lower=1)
        leverage = np.einsum("pk,pk->k", solved, solved)
        if leverage.mean() > LARGEST_SHARE:  # residuals of what interpolates tell nothing
            return np.full_like(residual, np.inf)
        errors: Array = residual / (1.0 - np.minimum(leverage, LARGEST_LEVERAGE))
        return errors


def _cholesky(normal: Array, diagonal: Array) -> Array | None:
    """Return the lower Cholesky factor of a matrix with more on its diagonal; None when there is none."""
    matrix = normal.T.copy(order="F")
    matrix[np.diag_indices_from(matrix)] += diagonal + ROUND_OFF * normal.diagonal().max(initial=0.0)
    factor, failed = lapack.dpotrf(matrix, lower=1, clean=1, overwrite_a=1)
    return None if failed else factor
