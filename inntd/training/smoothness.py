r"""The penalty on curvature that bridges gaps in the data, and its weight from the data.

Each mode pays for the mean square of its second differences along every axis. The weight of an axis is the one of
largest evidence, by the fixed point of Fellner and Schall (Schall, Biometrika 78, 1991, 719; Wood and Fasiolo,
Biometrics 73, 2017, 1071): variance of the residual over variance of the second differences, both over their degrees
of freedom, of which a random probe estimates the number.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.sparse

from inntd import _checks
from inntd.axes import Axis

Array = npt.NDArray[np.float64]

SMALLEST, LARGEST = 1e-10, 1e3  # weights, with samples of mean square one; a smaller one drowns in the ridge


def second_differences(axis: Axis) -> scipy.sparse.csr_array:
    """Return the matrix (rows, size) of second differences of nodal values over the root of the axis' size.

    On uneven nodes they are second divided differences times the mean square of the lengths of elements. Linear
    functions have none; nor has a discrete axis, whose values have no order.

    Examples
    --------
    >>> import inntd as it
    >>> second_differences(it.Axis("x", 0, 4, elements=3, s=1)).toarray() * 2
    array([[ 1., -2.,  1.,  0.],
           [ 0.,  1., -2.,  1.]])
    """
    n = axis.size
    if axis.discrete or n < 3:
        return scipy.sparse.csr_array((0, n))
    h = np.diff(axis.nodes)
    middle = np.arange(n) if axis.periodic else np.arange(1, n - 1)
    before, after = h[middle - 1], h[middle % len(h)]
    scale = float(np.mean(h**2)) * 2 / (before + after) / np.sqrt(n)
    values = np.stack([scale / before, -scale * (1 / before + 1 / after), scale / after], axis=1)
    columns = (middle[:, None] + np.array([-1, 0, 1])) % n
    rows = np.repeat(np.arange(len(middle)), 3)
    return scipy.sparse.coo_array((values.ravel(), (rows, columns.ravel())), shape=(len(middle), n)).tocsr()


def checked_smoothness(value: float | str) -> float | str:
    """Return "auto" or a non-negative number, or raise."""
    if value == "auto":
        return "auto"
    number = _checks.finite_float("smoothness", value)
    if number < 0:
        raise ValueError(f'smoothness must be "auto" or a non-negative number, got {number}')
    return number


class Smoothness:
    """The weight of the second differences of one axis.

    Parameters
    ----------
    axis : Axis
    weight : float or "auto"
        Fixed, or to be found from the data.
    """

    def __init__(self, axis: Axis, weight: float | str) -> None:
        self.differences = second_differences(axis)
        self.gram = (self.differences.T @ self.differences).tocsr()
        self.periodic = axis.periodic
        self.automatic = weight == "auto"
        self.weight = 1e-2 if self.automatic else float(weight)

    def diagonals(self) -> list[Array]:
        """Return the main diagonal and the two above of the penalty's matrix, wrapped around when periodic."""
        n = self.gram.shape[0]
        if not self.periodic:
            return [self.gram.diagonal(k) for k in range(min(3, n))]
        i = np.arange(n)
        return [self.gram[i, (i + k) % n] for k in range(3)]

    def energy(self, factor: Array) -> Array:
        """Return the mean square (M,) of the second differences of each mode."""
        found: Array = np.sum((self.differences @ factor) ** 2, axis=0)
        return found

    def probe(self, modes: int, random: np.random.Generator) -> tuple[Array, Array]:
        """Return random signs in the space of second differences, and their image (size, M)."""
        signs = random.choice([-1.0, 1.0], size=(self.differences.shape[0], modes))
        return signs, self.differences.T @ signs

    def update(self, factor: Array, trace: float, variance: float) -> None:
        """Move the weight to the fixed point for the factor found.

        Parameters
        ----------
        factor : array (size, M)
        trace : float
            Of the penalty's matrix times the inverse of the system's.
        variance : float
            Of the residual, over the number of samples.
        """
        energy = float(self.energy(factor).sum())
        free = self.differences.shape[0] * factor.shape[1] - self.weight * trace
        if self.automatic and self.differences.shape[0]:
            wanted = variance * max(free, 1e-3) / max(energy, 1e-300)
            # A weight that rises too fast freezes modes that have not found their shape yet.
            self.weight = float(np.clip(wanted, SMALLEST, min(LARGEST, 10 * self.weight)))
