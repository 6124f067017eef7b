"""The mean operator on an axis with many matrices: a pair of matrices near whose span the others lie.

A coefficient that varies mildly over space and parameters, with many terms, gives an axis many stiffness matrices; its
block systems are then solved by a few steps of refinement with the operator of the mean coefficient, which is cheap.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.linalg

from inntd.solvers.operator import DiscreteSystem

Vector = npt.NDArray[np.float64]

# The dense eigenvectors cost 10 n^3 operations once.
LARGEST = 512


@dataclass(frozen=True)
class MeanPencil:
    """The pair's common eigenbasis, and what the matrices are nearest to.

    Attributes
    ----------
    basis
        Columns (n, n) in which the mass matrix becomes the identity.
    values
        Diagonal (n,) of the mean matrix there.
    weights
        Per matrix (J, 2): it is about the first times the mass matrix plus the second times the mean matrix.
    """

    basis: Vector
    values: Vector
    weights: Vector


def mean_pencil(system: DiscreteSystem, axis: int, bands: list[Vector]) -> MeanPencil | None:
    """Return the mean pencil of an axis in its working order; None when it has few matrices, or too long ones.

    Parameters
    ----------
    bands
        Its matrices on the free nodes, (n, 2 b + 1) each; the first is the mass matrix.
    """
    n = len(bands[0])
    if len(bands) < 3 or n > LARGEST or not all(matrix.symmetric for matrix in system.matrices[axis]):
        return None
    shares = np.zeros(len(bands))
    np.add.at(shares, system.terms[:, axis], term_means(system, axis))
    mean: Vector = np.tensordot(shares[1:], np.stack(bands[1:]), axes=1)
    if not np.abs(mean).max() > 0.0:
        return None
    mass, dense = _dense(bands[0]), _dense(mean)
    values, vectors = scipy.linalg.eigh(dense, mass, check_finite=False)
    if not values.min() > 0.0:
        return None
    diagonals = np.stack([_quadratic_forms(band, vectors) for band in bands])
    # The smooth functions count as much as the rough ones: errors are relative to the mean matrix.
    pair = np.stack([1 / values, np.ones(n)], axis=1)
    weights = np.linalg.lstsq(pair, (diagonals / values).T, rcond=None)[0].T
    return MeanPencil(np.ascontiguousarray(vectors), np.ascontiguousarray(values), np.ascontiguousarray(weights))


def _quadratic_forms(band: Vector, vectors: Vector) -> Vector:
    """Return v^T A v for every column v of a symmetric banded matrix."""
    n, b = len(band), band.shape[1] // 2
    forms = band[:, b] @ vectors**2
    for k in range(1, min(b, n - 1) + 1):
        forms += 2 * band[: n - k, b + k] @ (vectors[: n - k] * vectors[k:])
    return np.asarray(forms)


def term_means(system: DiscreteSystem, skipped: int | None = None) -> Vector:
    """Return every term's coefficient times the means of its diagonals, each beside the largest of its axis.

    Parameters
    ----------
    skipped
        Axis that is left out.
    """
    product = system.coefficients.astype(np.float64)
    for d, own in enumerate(system.matrices):
        if d != skipped:
            means = np.array([matrix.band[:, matrix.half_bandwidth].mean() for matrix in own])
            product = product * (means / np.abs(means).max())[system.terms[:, d]]
    return product


def _dense(band: Vector) -> Vector:
    n, b = len(band), band.shape[1] // 2
    dense = np.zeros((n, n))
    for k in range(-b, b + 1):
        rows = np.arange(max(0, -k), min(n, n - k))
        dense[rows, rows + k] = band[rows, b + k]
    return dense
