"""Cross approximation: from a function of several coordinates to a sum of products, from few of its values.

On every axis the values of a function on the grid, taken at sample positions on the other axes, are the columns of a
matrix; its leading left singular vectors span what the function does along that axis. They are fixed by their values
at as many rows, the pivots, chosen by QR with column pivoting (the discrete empirical interpolation of Drmac and
Gugercin, SIAM J. Sci. Comput. 38, 2016). What is left is the small array of the function's values at the pivots of all
axes: a Tucker form from samples (Oseledets, Savostyanov and Tyrtyshnikov, SIAM J. Matrix Anal. Appl. 30, 2008). Two
axes end with a singular value decomposition of it, more with `canonical.py`. The error is measured at random points
off the grid, and where it is large there are new samples.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.linalg

from inntd.problems.canonical import canonical
from inntd.problems.tabulated import Grid, Tabulated

Array = npt.NDArray[np.float64]
#: Points (K, k) to values (K,).
Pointwise = Callable[[Array], Array]

FIRST_SAMPLES = 48
MOST_SAMPLES = 768
MOST_ENTRIES = 2_000_000  # of a matrix of samples, and of the small array
CHECKS = 4096
FIBRES = 12  # that the grid has to resolve
ROUNDS = 8
INSIDE = 1e-6
LONG = 4096  # points from which on a part of them chooses the samples


@dataclass(frozen=True)
class Separated:
    """A sum of R products, and how far it is off.

    Parameters
    ----------
    grids
        One per axis.
    values
        Per axis the values of the R functions on the grid, (N_d, R).
    error
        Root of the mean squared error over that of the function, at random points.
    """

    grids: tuple[Grid, ...]
    values: tuple[Array, ...]
    error: float

    @property
    def rank(self) -> int:
        """The number of products."""
        return int(self.values[0].shape[1])

    def __call__(self, points: Array) -> Array:
        """Return the values (K,) at points (K, k)."""
        total = np.ones((len(points), self.rank))
        for d, (grid, values) in enumerate(zip(self.grids, self.values, strict=True)):
            total *= np.stack([Tabulated(grid, column)(points[:, d]) for column in values.T], axis=1)
        summed: Array = total.sum(axis=1)
        return summed


class Cross:
    """The separation of one function to a tolerance.

    Parameters
    ----------
    function
        Points (K, k) to finite values (K,).
    grids
        Of its k axes, at least two.
    tolerance
        Largest relative error.
    limit
        Largest number of products.
    """

    def __init__(self, function: Pointwise, grids: Sequence[Grid], tolerance: float, limit: int) -> None:
        self.function, self.tolerance, self.limit = function, tolerance, limit
        self.random = np.random.default_rng(0)
        self.checks = self._check_points(grids)
        self.expected = function(self.checks)
        self.scale = float(np.abs(self.expected).max())
        self.samples = self._sample_points(grids, FIRST_SAMPLES)
        self.grids = tuple(grids)
        self._refine(np.concatenate([self.samples[:FIBRES], self.checks[np.argsort(-np.abs(self.expected))[:2]]]))

    def run(self) -> Separated:
        """Return the best separation found; its error may be above the tolerance."""
        if self.scale == 0.0:
            empty = tuple(np.zeros((grid.points.size, 0)) for grid in self.grids)
            return Separated(self.grids, empty, 0.0)
        best: Separated | None = None
        inner = 0.1 * self.tolerance
        for _ in range(ROUNDS):
            found, cut, off = self._attempt(inner)
            if best is None or found.error < best.error:
                best = found
            if best.error <= self.tolerance or cut:
                break
            worst = self.checks[np.argsort(-off)[: 2 * FIBRES]]
            self._refine(worst[:FIBRES])
            more = self._sample_points(self.grids, FIRST_SAMPLES)
            self.samples = np.concatenate([self.samples, worst, more])
            inner *= 0.3
        assert best is not None
        return best

    def _attempt(self, inner: float) -> tuple[Separated, bool, Array]:
        """Return a separation, whether the number of products alone keeps it from being better, and its errors."""
        bases, pivots, cut = [], [], False
        for d in range(len(self.grids)):
            basis, crowded = self._basis(d, inner)
            *_, order = scipy.linalg.qr(basis.T, mode="economic", pivoting=True)
            bases.append(basis)
            pivots.append(np.sort(order[: basis.shape[1]]))
            cut |= crowded
        core = self._core(bases, pivots)
        factors, limited = canonical(core, 3.0 * inner, self.limit)
        values = [basis @ factor for basis, factor in zip(bases, factors, strict=True)]
        roots = [np.sqrt(grid.weights)[:, None] for grid in self.grids]
        values = [value / root for value, root in zip(values, roots, strict=True)]
        found = Separated(self.grids, tuple(values), 0.0)
        off = np.abs(found(self.checks) - self.expected)
        error = float(np.sqrt(np.mean(off**2) / np.mean(self.expected**2)))
        return Separated(self.grids, tuple(values), error), cut or limited, off

    def _basis(self, d: int, inner: float) -> tuple[Array, bool]:
        """Return what the function does along axis d, orthonormal columns (N_d, r), and whether r had to be cut."""
        grid = self.grids[d]
        size = grid.points.size
        while True:
            columns = min(len(self.samples), max(FIRST_SAMPLES, MOST_ENTRIES // size))
            chosen = self._telling(d, self.samples[-columns:], inner)
            matrix = self._fibres(d, grid.points, chosen) * np.sqrt(grid.weights)[:, None]
            u, sizes, _ = np.linalg.svd(matrix, full_matrices=False)
            tails = np.sqrt(np.append(np.cumsum(sizes[::-1] ** 2)[::-1], 0.0))
            rank = max(1, int(np.flatnonzero(tails <= inner * tails[0])[0]))
            enough = 2 * rank <= columns or columns >= 2 * size or rank == min(size, 2 * self.limit)
            if enough or len(self.samples) >= MOST_SAMPLES or columns < len(self.samples):
                break
            self.samples = np.concatenate([self.samples, self._sample_points(self.grids, len(self.samples))])
        most = 2 * self.limit if len(self.grids) == 2 else self.limit
        return u[:, : min(rank, most)], rank > most

    def _telling(self, d: int, samples: Array, inner: float) -> Array:
        """Return the samples whose fibres span those of all on a part of a long grid: fewer to take on all of it."""
        grid = self.grids[d]
        if grid.points.size <= 2 * LONG:
            return samples
        part = np.unique(np.linspace(0, grid.points.size - 1, LONG).astype(np.int64))
        matrix = self._fibres(d, grid.points[part], samples) * np.sqrt(grid.weights[part])[:, None]
        _, r, order = scipy.linalg.qr(matrix, mode="economic", pivoting=True)
        sizes = np.abs(np.diag(r))
        telling: Array = samples[order[: np.count_nonzero(sizes > 0.1 * inner * sizes[0]) + 4]]
        return telling

    def _core(self, bases: Sequence[Array], pivots: Sequence[npt.NDArray[np.int64]]) -> Array:
        """Return the array that, times the bases, equals the function at the pivots of all axes."""
        shape = tuple(len(chosen) for chosen in pivots)
        if np.prod([float(n) for n in shape]) > MOST_ENTRIES:
            raise TooManyEntries(shape)
        positions = [grid.points[chosen] for grid, chosen in zip(self.grids, pivots, strict=True)]
        points = np.stack([x.reshape(-1) for x in np.meshgrid(*positions, indexing="ij")], axis=1)
        core: Array = self.function(points).reshape(shape)
        for d, (basis, chosen, grid) in enumerate(zip(bases, pivots, self.grids, strict=True)):
            root = np.sqrt(grid.weights[chosen])
            moved: Array = np.moveaxis(core, d, 0)
            scaled = moved.reshape(shape[d], -1) * root[:, None]
            solved = np.linalg.solve(basis[chosen], scaled)
            core = np.moveaxis(np.asarray(solved).reshape(moved.shape), 0, d)
        return core

    def _fibres(self, d: int, x: Array, others: Array) -> Array:
        """Return the values (len(x), S) along axis d through S points."""
        points = np.repeat(others[None, :, :], len(x), axis=0)
        points[:, :, d] = x[:, None]
        values: Array = self.function(points.reshape(-1, others.shape[1])).reshape(len(x), len(others))
        return values

    def _refine(self, through: Array) -> None:
        """Make the grids resolve the function along lines through some points."""
        if self.scale > 0.0:
            accuracy = max(0.1 * self.tolerance, 1e-13) * self.scale
            self.grids = tuple(
                grid.refined(lambda x, d=d: self._fibres(d, x, through), accuracy)  # type: ignore[misc]
                for d, grid in enumerate(self.grids)
            )

    def _sample_points(self, grids: Sequence[Grid], count: int) -> Array:
        """Return points of the grids: spread over them, every other one gathered at the ends."""
        shares = self.random.random((count, len(grids)))
        shares[::2] = 0.5 - 0.5 * np.cos(np.pi * shares[::2])
        columns = [
            grid.points[np.minimum((share * grid.points.size).astype(np.int64), grid.points.size - 1)]
            for grid, share in zip(grids, shares.T, strict=True)
        ]
        return np.stack(columns, axis=1)

    def _check_points(self, grids: Sequence[Grid]) -> Array:
        """Return random points of the box, half of them uniform, a quarter near its ends, a quarter around peaks."""
        shares = self.random.random((CHECKS, len(grids)))
        quarter = CHECKS // 4
        shares[:quarter] = 0.5 - 0.5 * np.cos(np.pi * shares[:quarter])
        values = np.abs(self.function(_placed(grids, shares[quarter:])))
        peaks = shares[quarter:][np.argsort(values)[-16:]]
        spread = 10.0 ** self.random.uniform(-3, -0.5, (quarter, 1))
        near = peaks[self.random.integers(len(peaks), size=quarter)]
        near = near + spread * self.random.standard_normal(near.shape)
        inside = np.clip(near, INSIDE, 1.0 - INSIDE)  # at the ends themselves functions may be singular
        return _placed(grids, np.concatenate([shares, inside]))


class TooManyEntries(ValueError):
    """The function does too many things along its axes for the small array of their combinations."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__(f"{' x '.join(map(str, shape))} combinations")
        self.shape = shape


def _placed(grids: Sequence[Grid], shares: Array) -> Array:
    """Return the points at shares of the lengths of the axes; of a discrete axis its values."""
    columns = []
    for grid, share in zip(grids, shares.T, strict=True):
        low, high = grid.axis.domain
        if grid.axis.discrete:
            columns.append(np.minimum((share * grid.axis.size).astype(np.int64), grid.axis.size - 1).astype(float))
        else:
            columns.append(np.clip(low + (high - low) * share, low, high))
    return np.stack(columns, axis=1)
