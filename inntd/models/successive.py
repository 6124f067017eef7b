r"""The successive constraint method, online: a lower bound of a coercivity constant by a small linear program.

For :math:`A(\mu) = \sum_q \theta_q(\mu) A_q` the constant is the least of :math:`\sum_q \theta_q(\mu) y_q` over the
Rayleigh quotients :math:`y_q = v^T A_q v / \|v\|^2` of all functions v. These lie in a box, and above the constants
that are known at some parameters: the least over all y with these constraints is a lower bound. Reference: Huynh,
Rozza, Sen and Patera, "A successive constraint linear optimization method for lower bounds of parametric coercivity and
inf-sup stability constants", Comptes Rendus Mathématique 345, 2007.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.optimize

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class SuccessiveConstraints:
    """Constraints on the Rayleigh quotients of an operator's terms, all of them proven up to round-off.

    Attributes
    ----------
    lower, upper : array (Q,)
        Ends of the box.
    theta : array (J, Q)
        Functions at the parameters where the constant is known, times the sign.
    alpha : array (J,)
        Lower bounds of the constants there.
    sign : float
        1, or -1 for an operator that is negative.

    Examples
    --------
    >>> import numpy as np  # y_1 in [0, 1] and y_2 in [-1, 1], and y_1 + y_2 is at least 0.5
    >>> known = SuccessiveConstraints(np.array([0.0, -1.0]), np.ones(2), np.ones((1, 2)), np.array([0.5]), 1.0)
    >>> known.bound(np.array([[1.0, 1.0], [1.0, 0.5], [1.0, 0.0]]))
    array([0.5 , 0.25, 0.  ])
    """

    lower: Array
    upper: Array
    theta: Array
    alpha: Array
    sign: float

    def bound(self, theta: Array, errors: Array | None = None) -> Array:
        """Return the bounds (K,) for functions (K, Q), known up to errors (K, Q); not positive where there is none."""
        found = np.array([float(self.by_dual(self.dual(row), row[None])[0]) for row in theta])
        if errors is not None:
            found = found - errors @ np.maximum(np.abs(self.lower), np.abs(self.upper))
        return found

    def dual(self, theta: Array) -> Array:
        """Return the multipliers (J,) of the constraints in the linear program of functions (Q,)."""
        found = scipy.optimize.linprog(
            self.sign * theta,
            A_ub=-self.theta,
            b_ub=-self.alpha,
            bounds=np.stack([self.lower, self.upper], axis=1),
            method="highs",
        )
        if found.ineqlin is None or found.status != 0:
            return np.zeros(len(self.alpha))
        return np.maximum(-np.asarray(found.ineqlin.marginals, dtype=np.float64), 0.0)

    def by_dual(self, multipliers: Array, theta: Array) -> Array:
        """Return bounds (K,) for functions (K, Q) from any multipliers: weak duality forgives those that are not best.

        That way the tolerance of the linear program does not matter.
        """
        rest = self.sign * theta - multipliers @ self.theta
        values: Array = multipliers @ self.alpha + np.minimum(rest * self.lower, rest * self.upper).sum(axis=1)
        return values
