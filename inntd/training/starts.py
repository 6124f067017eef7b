"""First guesses of a new mode, and alternating least squares that improve it on what the other modes leave."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from inntd.training.penalty import Penalty
from inntd.training.separated_fit import Samples

Array = npt.NDArray[np.float64]

LOW = 3  # functions of each axis, the constant included, whose interplay is looked at


def interactions(samples: Samples, residual: Array, sizes: Sequence[int]) -> Iterator[list[Array]]:
    """Yield rank-one factors: pairs of axes in the order in which products of their low functions meet the residual."""
    low = [rows[:, 1 : min(LOW, size)] for rows, size in zip(samples.rows, sizes, strict=True)]
    owner = np.repeat(np.arange(len(low)), [part.shape[1] for part in low])
    order = np.concatenate([np.arange(1, part.shape[1] + 1) for part in low])
    columns = np.concatenate(low, axis=1)
    weighted = residual if samples.weights is None else residual * samples.weights
    strength = np.abs(columns.T @ (columns * weighted[:, None]))
    strength[owner[:, None] >= owner[None, :]] = 0.0
    seen = set()
    for place in np.argsort(-strength, axis=None, kind="stable"):
        i, k = divmod(int(place), len(owner))
        pair = (owner[i], owner[k])
        if strength[i, k] == 0.0:
            return
        if pair in seen:
            continue
        seen.add(pair)
        factors = [_unit(size, 0) for size in sizes]
        factors[owner[i]], factors[owner[k]] = _unit(sizes[owner[i]], order[i]), _unit(sizes[owner[k]], order[k])
        yield factors


def random_start(sizes: Sequence[int], random: np.random.Generator) -> list[Array]:
    """Return rank-one factors: one plus small random slopes."""
    factors = [_unit(size, 0) for size in sizes]
    for factor in factors:
        factor[1:2] = 0.3 * random.standard_normal(len(factor[1:2]))
    return factors


def alternate(
    samples: Samples, residual: Array, start: Sequence[Array], penalty: Penalty, sweeps: int = 6
) -> tuple[list[Array], float]:
    """Return rank-one factors after sweeps of alternating least squares, and what they leave of the goal."""
    root = samples.root
    target = residual if root is None else residual * root
    factors = [factor.copy() for factor in start]
    rows = [matrix[:, : len(factor)] for matrix, factor in zip(samples.rows, factors, strict=True)]
    values = np.stack([matrix @ factor for matrix, factor in zip(rows, factors, strict=True)])
    squares = np.array([tau @ factor**2 for tau, factor in zip(penalty.factors, factors, strict=True)])
    for _ in range(sweeps):
        for d, tau in enumerate(penalty.factors):
            others = np.delete(values, d, axis=0).prod(axis=0)
            weight = penalty.variance * float(np.delete(squares, d).prod())
            block = rows[d] * (others if root is None else others * root)[:, None]
            normal = block.T @ block
            normal[np.diag_indices_from(normal)] += weight * tau + 1e-12 * np.trace(normal) + 1e-300
            factors[d] = np.linalg.solve(normal, block.T @ target)
            if d < len(rows) - 1:  # the last one keeps the size
                factors[d] /= max(float(np.linalg.norm(factors[d])), 1e-300)
            values[d], squares[d] = rows[d] @ factors[d], tau @ factors[d] ** 2
    left = target - values.prod(axis=0) * (1.0 if root is None else root)
    return factors, float(left @ left) + penalty.variance * float(squares.prod())


def _unit(size: int, place: int) -> Array:
    factor = np.zeros(size)
    factor[place] = 1.0
    return factor
