r"""Penalised least squares over all products of the axes' functions: a convex fit, with one mode per sample.

With orthonormal functions :math:`\varphi_{d,j}` of each axis, :math:`\varphi_{d,0} = 1`, take all products over the
axes and penalise the square of each coefficient by the inverse of the product of the axes' spectra
:math:`\lambda_{d,j} = a_d r_d^{\,j-1}, \lambda_{d,0} = 1`. The minimiser is

.. math:: f(x) = \sum_k \alpha_k \prod_d \Big(1 + \sum_{j \ge 1} \lambda_{d,j}\,
   \varphi_{d,j}(x_{k,d})\, \varphi_{d,j}(x_d)\Big),

a sum of K products: a CP model on the same axes whose factors are known, all but K coefficients that a linear system
gives. It is the posterior mean of a Gaussian process with a product kernel (Rasmussen and Williams, Gaussian Processes
for Machine Learning, 2006, chapters 2 and 5), whose kernel is a sum over all interplays of axes as in analyses of
variance. Amplitudes :math:`a_d` (an axis without influence gets none), decays :math:`r_d` (smooth functions decay
fast) and the noise maximise the marginal likelihood; leave-one-out errors are known without another fit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_solve, lapack, solve_triangular
from scipy.optimize import minimize
from scipy.special import expit

from inntd.training.budget import Budget
from inntd.training.separated_fit import LARGEST_LEVERAGE, Samples

Array = npt.NDArray[np.float64]

STAGES = (300, 100), (1000, 25)  # samples that the spectra are estimated on, and steps of the maximisation
BLOCK = 64  # rows of the kernel matrix at a time: they stay in the cache
FEWEST_MODES, SPARE = 200, 3.0  # of many samples: modes at least, and per coefficient that noise leaves
PART = 1000  # samples at a time, where they are many
ROUND_OFF = 4e-15  # times the number of samples, on the diagonal
NEGLIGIBLE = 1e-18  # of an axis' largest spectral value
START = -2.0, -1.0, 0.0, -8.0  # logarithms: amplitude, odds of the decay, size, noise over size
BOUNDS = (-16.0, 6.0), (-10.0, 4.0), (-8.0, 14.0), (-36.0, 4.0)
BELIEF = (-3.0, 4.0), (-1.0, 3.0)  # means and deviations of the first two: weak, for axes that the samples leave open


@dataclass
class ProductKernel:
    """A fit, in the functions of each axis.

    Attributes
    ----------
    spectra : list of D arrays (n_d,)
    rows : list of D arrays (K, n_d)
        The functions at the samples.
    coefficients : array (K,)
    errors : array (K,)
        What the fit to all others misses at each sample.
    size, noise : float
        Estimated variances: of a coefficient whose spectral values are one, and of the noise at weight one.
    determined : float
        Number of coefficients that the samples determine, against the penalty: up to K without noise.
    """

    spectra: list[Array]
    rows: list[Array]
    coefficients: Array
    errors: Array
    size: float
    noise: float
    determined: float

    @property
    def modes(self) -> int:
        """Number of modes K."""
        return len(self.coefficients)

    @property
    def degrees(self) -> list[int]:
        """The last function of each axis that is used."""
        return [len(spectrum) - 1 for spectrum in self.spectra]

    def nodal_factors(self, tables: Sequence[Array]) -> list[Array]:
        """Return factors (N_d, K) from the values (N_d, n) of the functions of each axis at its nodes."""
        parts = [
            table[:, : len(spectrum)] @ (rows * spectrum).T
            for table, rows, spectrum in zip(tables, self.rows, self.spectra, strict=True)
        ]
        parts[0] = parts[0] * self.coefficients
        return parts

    def reduced(self, random: np.random.Generator) -> ProductKernel:
        """Return some of the modes, drawn at random, without coefficients: as many as a noisy function needs."""
        most = min(self.modes, max(FEWEST_MODES, int(SPARE * self.determined)))
        kept = np.sort(random.permutation(self.modes)[:most])
        return replace(self, rows=[rows[kept] for rows in self.rows], coefficients=np.zeros(most))

    def widened(self, samples: Samples, budget: Budget) -> ProductKernel:
        """Return the fit to more samples by the modes of the same ones: penalised least squares for K coefficients.

        In the coordinates in which the penalty is the sum of squares; leave-one-out errors by the leverages.
        """
        count, most = len(samples.y), self.modes
        budget.charge(3.0 * count * most**2)
        penalty = self._values(self.rows)
        penalty[np.diag_indices_from(penalty)] += ROUND_OFF * most * penalty.diagonal().mean()
        lower = np.linalg.cholesky(penalty)
        ratio = self.noise / self.size
        normal, right = np.diag(np.full(most, max(ratio, ROUND_OFF * count))), np.zeros(most)

        def parts() -> Iterator[tuple[slice, Array, Array]]:
            for begin in range(0, count, PART):
                part = slice(begin, begin + PART)
                root = np.ones(len(samples.y[part])) if samples.root is None else samples.root[part]
                values = self._values([rows[part] for rows in samples.rows])
                yield part, root, solve_triangular(lower, values.T * root, lower=True)

        for part, root, block in parts():
            normal += block @ block.T
            right += block @ (samples.y[part] * root)
        factor = np.linalg.cholesky(normal)
        solution = cho_solve((factor, True), right)
        errors = np.empty(count)
        for part, root, block in parts():
            leverage = (solve_triangular(factor, block, lower=True) ** 2).sum(axis=0)
            errors[part] = (samples.y[part] - solution @ block / root) / (1.0 - np.minimum(leverage, LARGEST_LEVERAGE))
        noise = float(np.mean(errors**2 if samples.root is None else (samples.root * errors) ** 2))
        coefficients = solve_triangular(lower, solution, lower=True, trans="T")
        return replace(self, coefficients=coefficients, errors=errors, noise=noise)

    def _values(self, rows: Sequence[Array]) -> Array:
        """Return the modes (k, K) at other samples, each without its coefficient."""
        values = np.ones((len(rows[0]), self.modes))
        for other, own, spectrum in zip(rows, self.rows, self.spectra, strict=True):
            values *= other[:, : len(spectrum)] @ (own * spectrum).T
        return values


def fit_kernel(samples: Samples, orders: Sequence[Array], random: np.random.Generator, budget: Budget) -> ProductKernel:
    """Return the fit whose spectra maximise the marginal likelihood.

    Parameters
    ----------
    samples : Samples
        The functions of each axis, the constant first.
    orders : list of D arrays (N_d - 1,)
        Exponents of the decay of the functions but the constant: 0, 1, ... by degree; all zero for categories.
    random : Generator
        Draws the samples of the first estimate.
    budget : Budget

    Examples
    --------
    >>> x = np.random.default_rng(0).random((40, 2))
    >>> rows = [np.polynomial.legendre.legvander(2 * c - 1, 8) * np.sqrt(2 * np.arange(9) + 1) for c in x.T]
    >>> samples = Samples(rows, np.sin(3 * x[:, 0]) * x[:, 1])
    >>> found = fit_kernel(samples, [np.arange(8.0)] * 2, np.random.default_rng(0), Budget(1.0))
    >>> found.modes, bool(abs(found.errors).max() < 1e-2)
    (40, True)
    """
    bounds = [*BOUNDS[:2] * len(orders), *BOUNDS[2:]]
    parameters = np.array([*START[:2] * len(orders), *START[2:]])
    order, count = random.permutation(len(samples.y)), len(samples.y)
    for most, steps in STAGES:
        likelihood = _Likelihood(samples.take(np.sort(order[:most])), orders, budget)
        options = {"maxiter": steps, "maxcor": 20}
        found = minimize(likelihood, parameters, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
        parameters = found.x
        if count <= most:
            break
    likelihood = _Likelihood(samples, orders, budget)
    likelihood(parameters)
    return likelihood.fit(parameters)


class _Likelihood:
    """Minus the logarithm of the marginal likelihood, with derivatives, as a function of logarithmic parameters.

    The kernel matrix is built, and its derivatives are summed, a block of rows at a time and above the diagonal only.
    """

    def __init__(self, samples: Samples, orders: Sequence[Array], budget: Budget) -> None:
        self.y, self.orders, self.budget = samples.y, orders, budget
        self.rows = [np.ascontiguousarray(rows[:, 1:]) for rows in samples.rows]
        self.count = len(self.y)
        self.shares = np.ones(self.count) if samples.weights is None else 1.0 / samples.weights
        self.coefficients, self.errors = np.zeros(self.count), np.full(self.count, np.inf)
        self.determined = 0.0

    def __call__(self, parameters: Array) -> tuple[float, Array]:
        doubt, pull = _belief(parameters)
        size, noise = np.exp(parameters[-2]), np.exp(parameters[-1])
        spectra = self.spectra(parameters)
        functions = sum(len(spectrum) for spectrum in spectra)
        self.budget.charge(self.count**2 * (self.count + 2.0 * functions + 10.0 * len(spectra)))
        matrix, diagonal = self._matrix(spectra, size), size * (noise * self.shares + ROUND_OFF * self.count)
        matrix[np.diag_indices_from(matrix)] += diagonal
        factor, failed = lapack.dpotrf(matrix.T, lower=1, clean=0, overwrite_a=1)
        if failed:
            return 1e10, np.zeros_like(parameters)
        self.coefficients, _ = lapack.dpotrs(factor, self.y, lower=1)
        value = 0.5 * float(self.y @ self.coefficients) + float(np.log(factor.diagonal()).sum())
        inverse = lapack.dpotri(factor, lower=1, overwrite_c=1)[0].T  # above the diagonal
        self.errors = self.coefficients / inverse.diagonal()
        self.determined = self.count - size * noise * float(self.shares @ inverse.diagonal())
        slack = inverse.diagonal() - self.coefficients**2
        slope = self._slopes(inverse, spectra, parameters)
        slope[-2] += 0.5 * float(slack @ diagonal)
        slope[-1] = 0.5 * size * noise * float(slack @ self.shares)
        return value + doubt, slope + pull

    def spectra(self, parameters: Array) -> list[Array]:
        """Return the spectral values of each axis but the constant's, without the negligible ones."""
        found = []
        for d, orders in enumerate(self.orders):
            values = np.exp(parameters[2 * d]) * expit(parameters[2 * d + 1]) ** orders
            found.append(values[values >= NEGLIGIBLE * values.max(initial=0.0)])
        return found

    def fit(self, parameters: Array) -> ProductKernel:
        """Return the fit of the last call."""
        size, noise = float(np.exp(parameters[-2])), float(np.exp(parameters[-1]))
        spectra = [np.append(1.0, spectrum) for spectrum in self.spectra(parameters)]
        rows = [
            np.column_stack([np.ones(self.count), rows[:, : len(spectrum) - 1]])
            for rows, spectrum in zip(self.rows, spectra, strict=True)
        ]
        return ProductKernel(spectra, rows, size * self.coefficients, self.errors, size, size * noise, self.determined)

    def _terms(self, spectra: Sequence[Array], begin: int) -> list[Array]:
        """Return each axis' kernel between a block of rows and the columns from there on."""
        found = []
        for rows, spectrum in zip(self.rows, spectra, strict=True):
            used = rows[begin:, : len(spectrum)]
            found.append((used[:BLOCK] * spectrum) @ used.T)
            found[-1] += 1.0
        return found

    def _matrix(self, spectra: Sequence[Array], size: float) -> Array:
        matrix = np.zeros((self.count, self.count))
        for begin in range(0, self.count, BLOCK):
            block = matrix[begin : begin + BLOCK, begin:]
            block[:] = size
            for term in self._terms(spectra, begin):
                block *= term
        return matrix

    def _slopes(self, inverse: Array, spectra: Sequence[Array], parameters: Array) -> Array:
        """Return half the inner products of C^-1 - alpha alpha^T with the kernel matrix' derivatives."""
        slope, size = np.zeros_like(parameters), np.exp(parameters[-2])
        shares = [np.zeros(len(spectrum)) for spectrum in spectra]
        for begin in range(0, self.count, BLOCK):
            terms, end = self._terms(spectra, begin), min(begin + BLOCK, self.count)
            after = inverse[begin:end, begin:] - np.outer(self.coefficients[begin:end], self.coefficients[begin:])
            corner = after[:, : end - begin]
            corner[:] = np.triu(corner, 1) + np.diag(0.5 * corner.diagonal())
            before = [np.full_like(after, size)]
            for term in terms[:-1]:
                before.append(before[-1] * term)
            slope[-2] += float(np.vdot(after, before[-1] * terms[-1]))
            for d in range(len(terms) - 1, -1, -1):
                rows = self.rows[d][begin:, : len(spectra[d])]
                shares[d] += np.einsum("kj,kj->j", rows[: end - begin], (before[d] * after) @ rows)
                after *= terms[d]
        for d, (spectrum, share) in enumerate(zip(spectra, shares, strict=True)):
            slope[2 * d] = float(spectrum @ share)
            rest = 1.0 - expit(parameters[2 * d + 1])
            slope[2 * d + 1] = float((spectrum * self.orders[d][: len(spectrum)]) @ share) * rest
        return slope


def _belief(parameters: Array) -> tuple[float, Array]:
    """Return half the squared distances of amplitudes and decays from what is usual, and their derivatives."""
    value, slope = 0.0, np.zeros_like(parameters)
    for place, (mean, deviation) in enumerate(BELIEF):
        away = (parameters[place:-2:2] - mean) / deviation
        value += 0.5 * float(away @ away)
        slope[place:-2:2] = away / deviation
    return value, slope
