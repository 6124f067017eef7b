"""Dense NumPy oracles: explicit products in float64, sharing no code with the compiled core."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Table:
    """The arguments of `_core.BasisTable`, kept as NumPy arrays."""

    breaks: Array
    kind: npt.NDArray[np.int32]
    first: npt.NDArray[np.int64]
    coefficients: Array
    size: int
    uniform: bool
    periodic: bool


def lagrange_monomials(nodes: Array) -> Array:
    """Coefficients (degree + 1, width) of the Lagrange polynomials of `nodes`, lowest power first."""
    return np.linalg.inv(np.vander(nodes, increasing=True))


def patch_table(breaks: npt.ArrayLike, half_width: int, *, periodic: bool = False) -> Table:
    """Lagrange polynomials on the 2 `half_width` nodes nearest to each piece; shifted at the ends unless periodic.

    `half_width` 1 gives linear hats. The functions are not the product's basis (they lack its blending of patches):
    they only have to be a table with the same structure.
    """
    breaks = np.asarray(breaks, dtype=np.float64)
    pieces, width = len(breaks) - 1, 2 * half_width
    length = breaks[-1] - breaks[0]
    first = np.arange(pieces) - half_width + 1
    if not periodic:
        first = np.clip(first, 0, len(breaks) - width)
    blocks: list[Array] = []
    for piece in range(pieces):
        a, b = breaks[piece], breaks[piece + 1]
        index = first[piece] + np.arange(width)
        nodes = breaks[index % pieces] + length * (index // pieces) if periodic else breaks[index]
        blocks.append(lagrange_monomials((2 * nodes - a - b) / (b - a)))
    coefficients, kind = np.unique(np.round(np.stack(blocks), 13), axis=0, return_inverse=True)
    steps = np.diff(breaks)
    return Table(
        breaks=breaks,
        kind=np.ascontiguousarray(kind.reshape(-1), dtype=np.int32),
        first=np.ascontiguousarray(first % pieces if periodic else first, dtype=np.int64),
        coefficients=np.ascontiguousarray(coefficients),
        size=pieces if periodic else pieces + 1,
        uniform=bool(np.allclose(steps, steps[0], rtol=1e-13)),
        periodic=periodic,
    )


def random_table(rng: np.random.Generator, pieces: int, width: int, degree: int, *, periodic: bool = False) -> Table:
    """Random polynomials on random pieces: nothing but the structure of a table, every coefficient different."""
    size = pieces if periodic else pieces + 1
    if width > size and not periodic:
        raise ValueError("a table that is not periodic needs width <= size")
    first = rng.integers(0, size if periodic else size - width + 1, pieces)
    return Table(
        breaks=np.cumsum(rng.uniform(0.1, 1.0, pieces + 1)),
        kind=rng.permutation(pieces).astype(np.int32),
        first=first.astype(np.int64),
        coefficients=rng.standard_normal((pieces, degree + 1, width)),
        size=size,
        uniform=False,
        periodic=periodic,
    )


def locate(table: Table, points: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Piece of each point: the right one at a break, the last one at the end."""
    found = np.searchsorted(table.breaks, np.asarray(points, dtype=np.float64), side="right") - 1
    return np.clip(found, 0, len(table.kind) - 1)


def basis_matrix(table: Table, points: npt.ArrayLike, order: int = 0) -> Array:
    """Dense (K, size) matrix of the order-th derivative of every basis function at every point."""
    x = np.asarray(points, dtype=np.float64)
    matrix = np.zeros((len(x), table.size))
    for row, piece in enumerate(locate(table, x)):
        a, b = table.breaks[piece], table.breaks[piece + 1]
        polynomials = np.polynomial.Polynomial
        for k in range(table.coefficients.shape[2]):
            polynomial = polynomials(table.coefficients[table.kind[piece], :, k])
            value = polynomial.deriv(order)((2 * x[row] - a - b) / (b - a)) * (2 / (b - a)) ** order
            matrix[row, (table.first[piece] + k) % table.size] += value
    return matrix


def cp_jet(tables: list[Table], factors: list[Array], points: Array) -> tuple[Array, Array, Array]:
    """Values (K,), gradients (K, D) and diagonal second derivatives (K, D) by explicit products."""
    points = np.asarray(points, dtype=np.float64)
    columns = [
        [basis_matrix(table, points[:, d], order) @ np.asarray(factor, dtype=np.float64) for order in range(3)]
        for d, (table, factor) in enumerate(zip(tables, factors, strict=True))
    ]

    def product(axis: int | None, order: int) -> Array:
        total = np.ones_like(columns[0][0])
        for d, column in enumerate(columns):
            total = total * column[order if d == axis else 0]
        return total.sum(axis=1)

    axes = range(len(tables))
    gradient = np.stack([product(d, 1) for d in axes], axis=1)
    second = np.stack([product(d, 2) for d in axes], axis=1)
    return product(None, 0), gradient, second


def cp_scale(tables: list[Table], factors: list[Array]) -> tuple[float, float, float]:
    """Sizes that round-off in values, gradients and second derivatives is proportional to: sums of absolute terms."""
    bounds = []
    for table, factor in zip(tables, factors, strict=True):
        powers = np.abs(table.coefficients).sum(axis=2)  # (kinds, degree + 1), for |xi| <= 1
        degree = np.arange(powers.shape[1])
        step = float(np.diff(table.breaks).min())
        largest = np.abs(factor).max(axis=0, initial=0.0)
        bounds.append(
            [
                largest * float((powers * degree**order).sum(axis=1).max()) * (2 / step) ** order + 1e-300
                for order in range(3)
            ]
        )
    product = np.prod([bound[0] for bound in bounds], axis=0)
    ratios = [max(float(np.max(bound[order] / bound[0], initial=1.0)) for bound in bounds) for order in range(3)]
    total = float(product.sum()) + 1e-300
    return total, total * ratios[1], total * ratios[2]
