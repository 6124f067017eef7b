r"""Powers 1/x and 1/x² as sums of exponentials, with a proven error: what inverts sums of commuting operators.

.. math:: x^{-p} = \frac{1}{\Gamma(p)} \int_{-\infty}^{\infty} e^{p s} \exp(-x e^s)\, ds

By Poisson's summation formula the trapezoidal rule of step h is off by at most
:math:`2 \sum_{m \ge 1} |\Gamma(p - 2 \pi i m / h)| / \Gamma(p)` for every x, relative to the integral; what is cut off
on both sides is bounded by a geometric sum and by an incomplete Gamma function. References: Braess and Hackbusch,
"Approximation of 1/x by exponential sums in [1, ∞)", IMA J. Numer. Anal. 25, 2005 (whose best sums need fewer terms);
Hackbusch, "Tensor Spaces and Numerical Tensor Calculus", 2012, section 9.8.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.special

Array = npt.NDArray[np.float64]

FREQUENCIES = np.arange(1, 5)  # beyond, the Gamma function is below 1e-30 for all steps that are tried
STEPS = np.geomspace(2.0, 0.1, 61)


@dataclass(frozen=True)
class ExponentialSum:
    """Weights w and exponents t with sum_k w_k exp(-t_k x) close to a power of x on an interval.

    Attributes
    ----------
    weights, exponents : array (K,)
        All positive.
    error : float
        Largest relative error on the interval, proven up to round-off.
    """

    weights: Array
    exponents: Array
    error: float

    def __call__(self, x: npt.ArrayLike) -> Array:
        """Return the sum at points of any shape."""
        values: Array = np.exp(-np.multiply.outer(np.asarray(x, dtype=np.float64), self.exponents)) @ self.weights
        return values


def exponential_sum(lowest: float, highest: float, accuracy: float = 1e-3, power: int = 1) -> ExponentialSum:
    """Return a sum of exponentials close to x**-power on [lowest, highest].

    The number of terms grows as the logarithms of highest / lowest and of 1 / accuracy.

    Parameters
    ----------
    lowest, highest
        Of the spectrum; positive.
    accuracy
        Largest relative error, from 1e-12 to 0.5.
    power
        1, 2, ….

    Examples
    --------
    >>> inverse = exponential_sum(1.0, 1e6, accuracy=1e-4)
    >>> x = np.geomspace(1.0, 1e6, 1000)
    >>> bool(np.abs(inverse(x) * x - 1).max() <= inverse.error <= 1e-4), len(inverse.weights)
    (True, 36)
    """
    if not 0 < lowest <= highest < np.inf:
        raise ValueError(f"lowest and highest must be positive and in order, got {lowest} and {highest}")
    if not 1e-12 <= accuracy <= 0.5:
        raise ValueError(f"accuracy must lie between 1e-12 and 0.5, got {accuracy}")
    errors = np.array([_trapezoidal_error(step, power) for step in STEPS])
    place = int(np.argmax(errors <= 0.5 * accuracy))
    h, factorial = float(STEPS[place]), float(scipy.special.gamma(power))
    # Left of the first exponent a geometric sum is cut off, right of the last one an incomplete Gamma function.
    first = (0.25 * accuracy * factorial * np.expm1(power * h) / h) ** (1 / power) / highest
    last = float(scipy.special.gammainccinv(power, 0.25 * accuracy)) / lowest
    last = max(last, power / lowest)  # beyond, the integrand falls
    count = max(1, int(np.ceil(np.log(last / first) / h)) + 1)
    exponents = first * np.exp(h * np.arange(count))
    left = h * (first * highest) ** power / np.expm1(power * h) / factorial
    right = float(scipy.special.gammaincc(power, lowest * exponents[-1]))
    weights = h * exponents**power / factorial
    return ExponentialSum(weights, exponents, float(errors[place] + left + right))


def _trapezoidal_error(step: float, power: int) -> float:
    """Return the relative error of the trapezoidal rule on the whole line."""
    values = scipy.special.loggamma(power - 2j * np.pi * FREQUENCIES / step).real
    return float(2 * np.exp(values).sum() / scipy.special.gamma(power))
