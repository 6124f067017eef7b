r"""The penalty of a separated function, with strengths that the data choose.

For a linear part with coefficients :math:`a` and modes with coefficients :math:`c_{d,m}` on axis d the penalty is

.. math:: \sum_l \tau_l a_l^2 + \sum_m \prod_d \Big(\sum_j \tau_{d,j} c_{d,m,j}^2\Big),

the squared norm of each mode's coefficient tensor under weights that are products over the axes: it does not depend
on how a mode's size is spread over its factors. Multiplied by the noise's variance it is, up to a constant, minus
twice the logarithm of a Gaussian prior's density, and the strengths :math:`\tau` and the variance follow from
marginal likelihood by the fixed-point steps of Fellner and Schall (Wood and Fasiolo, Biometrics 73, 2017, 1071): the
number of coefficients that the data determine, over their penalty. A function of an axis that no mode needs
gets an ever larger strength and disappears; so does an axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

WEAKEST, STRONGEST = 1e-6, 1e6
FREE = 1e-6  # strength on the constant of the linear part
USUAL = 10.0
DOUBT = 0.1  # observations that the last strength counts for: it keeps strengths of few coefficients from jumping


@dataclass
class Penalty:
    """Strengths, and the variance of the noise that multiplies them.

    Attributes
    ----------
    linear : array (L,)
    factors : list of D arrays (n_d,)
        The first entry of each, for the constant, is one and stays so.
    variance : float
    """

    linear: Array
    factors: list[Array]
    variance: float = field(default=1.0)

    @classmethod
    def initial(cls, linear: int, sizes: Sequence[int], variance: float) -> Penalty:
        """Return strengths of one, but for the free constant of the linear part."""
        first = np.ones(linear)
        first[:1] = FREE
        return cls(first, [np.ones(size) for size in sizes], variance)

    def copy(self) -> Penalty:
        """Return a copy that shares nothing."""
        return Penalty(self.linear.copy(), [strengths.copy() for strengths in self.factors], self.variance)

    def squares(self, factors: Sequence[Array]) -> Array:
        """Return the penalty (D, M) of each mode's factor on each axis."""
        return np.stack([tau @ factor**2 for tau, factor in zip(self.factors, factors, strict=True)])

    def value(self, linear: Array, factors: Sequence[Array]) -> float:
        """Return the penalty, without the variance."""
        return float(self.linear @ linear**2 + self.squares(factors).prod(axis=0).sum())

    def diagonal(self, factors: Sequence[Array]) -> Array:
        """Return the strength (P,) on each coefficient while the other axes' factors stand still.

        Half of the penalty's gradient is this times the coefficients.
        """
        others = products_of_others(self.squares(factors))
        parts = [np.outer(tau, row).ravel() for tau, row in zip(self.factors, others, strict=True)]
        return np.concatenate([self.linear, *parts])

    def update(self, linear: Array, factors: Sequence[Array], determined: Array, loss: float, count: float) -> None:
        """Take one fixed-point step.

        Parameters
        ----------
        determined : array (P,)
            For each coefficient, how far the data determine it: 1 without a penalty, 0 where the penalty rules.
        loss : float
            Sum of squared residuals.
        count : float
            Number of observations.
        """
        used = len(linear)
        self.linear[1:] = _next(self.linear[1:], determined[1:used], linear[1:] ** 2)
        others = products_of_others(self.squares(factors))
        for tau, factor, row in zip(self.factors, factors, others, strict=True):
            known = determined[used : used + factor.size].reshape(factor.shape).sum(axis=1)
            tau[1:] = _next(tau[1:], known[1:], ((factor**2) @ row)[1:])
            used += factor.size
        self.variance = max(loss / max(count - float(determined.sum()), 0.05 * count), 1e-20)

    def relax(self, strongest: float = 10.0) -> None:
        """Bound the strengths on factors from above, so that a new mode does not collapse to zero."""
        self.factors = [np.minimum(tau, strongest) for tau in self.factors]


def products_of_others(values: Array) -> Array:
    """Return for each row of (D, M) the product of all other rows, without a division.

    Examples
    --------
    >>> products_of_others(np.array([[2.0], [0.0], [5.0]])).ravel()
    array([ 0., 10.,  0.])
    """
    before, after = np.ones_like(values), np.ones_like(values)
    np.cumprod(values[:-1], axis=0, out=before[1:])
    after[:-1] = np.cumprod(values[:0:-1], axis=0)[::-1]
    return before * after


def _next(tau: Array, known: Array, squares: Array) -> Array:
    usual = np.clip(tau, 1e-3, USUAL)
    found: Array = np.clip((known + DOUBT) / (squares + DOUBT / usual), WEAKEST, STRONGEST)
    return found
