"""Block-banded symmetric systems: the normal equations of all modes of one axis together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import scipy.linalg

Array = npt.NDArray[np.float64]


class BlockBanded:
    """A symmetric matrix with M x M blocks A[i, j], nonzero where j - i is less than a width.

    Parameters
    ----------
    size : int
        Number of block rows.
    width : int
        Number of block diagonals kept, from the main one upward.
    modes : int
        Number M of rows of a block.
    periodic : bool, default False
        Block columns wrap around; such systems are solved as dense ones.

    Examples
    --------
    >>> import numpy as np
    >>> matrix = BlockBanded(3, 2, 1)
    >>> matrix.blocks[:, 0], matrix.blocks[:2, 1] = 2.0, -1.0
    >>> matrix.solve(np.array([1.0, 0.0, 1.0]).reshape(3, 1, 1)).ravel()
    array([1., 1., 1.])
    """

    def __init__(self, size: int, width: int, modes: int, periodic: bool = False) -> None:
        self.size, self.width, self.modes, self.periodic = size, min(width, size), modes, periodic
        if periodic:
            self.width = width  # several blocks of a row may belong to one column: they add up
        self.blocks: Array = np.zeros((size, self.width, modes, modes))  # [i, k] is block (i, i + k)

    def diagonal(self) -> Array:
        """Return the diagonal as an array (size, M)."""
        diagonal: Array = np.einsum("imm->im", self.blocks[:, 0])
        return diagonal

    def add(self, first: int, blocks: Array) -> None:
        """Add symmetric blocks (w, w, M, M) to the block rows and columns first .. first + w - 1."""
        for i in range(len(blocks)):
            self.blocks[(first + i) % self.size, : len(blocks) - i] += blocks[i, i:]

    def add_penalty(self, diagonals: Sequence[Array]) -> None:
        """Add diagonals (size or fewer, M) to those of the blocks (i, i), (i, i + 1), ..."""
        modes = np.arange(self.modes)
        for k, values in enumerate(diagonals):
            if values.size:
                self.blocks[: len(values), k, modes, modes] += values

    def solve(self, right: Array) -> Array:
        """Return the solution (size, M, columns) by Cholesky's factors.

        Raises
        ------
        numpy.linalg.LinAlgError
            The matrix is not positive definite.
        """
        b = right.reshape(self.size * self.modes, -1)
        if self.periodic or 2 * self.width > self.size:
            found = scipy.linalg.solve(self.dense(), b, assume_a="pos", check_finite=False)
        else:
            found = scipy.linalg.solveh_banded(self._band().T, b, lower=True, overwrite_ab=True, check_finite=False)
        return np.asarray(found).reshape(right.shape)

    def dense(self) -> Array:
        """Return the whole matrix (size * M, size * M)."""
        n, modes = self.size, self.modes
        dense = np.zeros((n, n, modes, modes))
        for k in range(self.width):
            for i in range(n if self.periodic else n - k):
                j = (i + k) % n
                dense[i, j] += self.blocks[i, k]
                if k:
                    dense[j, i] += self.blocks[i, k].T
        return np.ascontiguousarray(dense.transpose(0, 2, 1, 3)).reshape(n * modes, n * modes)

    def _band(self) -> Array:
        """Return entries (r, r + k) of the matrix as an array (size * M, width * M)."""
        n, modes, width = self.size, self.modes, self.width
        rows = self.blocks.transpose(0, 2, 1, 3).reshape(n, modes, width * modes)
        band = np.zeros((n, modes, width * modes))
        for m in range(modes):
            band[:, m, : width * modes - m] = rows[:, m, m:]
        return band.reshape(n * modes, width * modes)
