"""Galerkin systems on tensor products of small subspaces: the core of a Tucker solution.

Axes whose matrices stay simultaneously diagonal in the subspace cost nothing; one more axis is solved by a generalised
Schur form or small dense systems; beyond that the system is solved densely, or iteratively with the nearest system
that has only one such axis as preconditioner.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.linalg
import scipy.sparse.linalg

from inntd.solvers.free import FreeSystem, Vector
from inntd.solvers.product import AxisSpace, solve_product, undiagonalised

LARGEST_DENSE = 2000
MOST_ITERATIONS = 60
RESTART = 30


def subspace(system: FreeSystem, d: int, basis: Vector) -> AxisSpace:
    """Project the matrices of an axis on the span of mass-orthonormal columns, and diagonalise them if possible.

    Parameters
    ----------
    basis
        Nodal values (n_d, r) with basis^T M basis = 1.
    """
    own = system.matrices[d]
    used = system.used(d)
    others = [j for j in used if j != 0]
    projected: list[Vector | None] = [None] * len(own)
    for j in used:
        projected[j] = np.eye(basis.shape[1]) if j == 0 else basis.T @ (own[j] @ np.ascontiguousarray(basis))
    size = basis.shape[1]
    if len(others) > 1 or not all(own[j].symmetric for j in others):
        return AxisSpace(size, basis, dense=projected)
    diagonals: list[Vector | None] = [None] * len(own)
    diagonals[0] = np.ones(size)
    if others:
        values, rotation = np.linalg.eigh(_required(projected[others[0]]))
        diagonals[others[0]] = values
        basis = basis @ rotation
    return AxisSpace(size, basis, diagonals)


def solve_core(system: FreeSystem, spaces: Sequence[AxisSpace], load: Vector, goal: float) -> Vector:
    """Solve the projected system for its tensor of coefficients.

    Parameters
    ----------
    spaces
        Diagonal or dense in every axis.
    load
        Tensor in the spaces' coordinates.
    goal
        Relative residual of iterations, where they are needed.

    Raises
    ------
    numpy.linalg.LinAlgError
        If the projected operator is singular.
    """
    rest = undiagonalised(spaces)
    if len(rest) <= 1:
        found = solve_product(system, spaces, load).tensor
    elif load.size <= LARGEST_DENSE:
        found = np.asarray(np.linalg.solve(_dense(system, spaces), load.reshape(-1))).reshape(load.shape)
    else:
        found = _iterate(system, spaces, load, goal)
    if not np.isfinite(found).all():
        raise np.linalg.LinAlgError("the projected operator is singular")
    return found


def apply_core(system: FreeSystem, spaces: Sequence[AxisSpace], tensor: Vector) -> Vector:
    """Return the projected operator times a tensor of coefficients."""
    total = np.zeros(tensor.shape)
    for coefficient, term in zip(system.coefficients, system.terms, strict=True):
        image = np.multiply(tensor, float(coefficient), dtype=np.float64)
        for d, j in enumerate(term):
            space = spaces[d]
            if space.diagonals is not None:
                shape = [1] * tensor.ndim
                shape[d] = -1
                image = image * _required(space.diagonals[j]).reshape(shape)
            elif j != 0 or not _is_identity(space):
                assert space.dense is not None
                image = np.moveaxis(np.tensordot(_required(space.dense[j]), image, axes=(1, d)), 0, d)
        total += image
    return total


def _is_identity(space: AxisSpace) -> bool:
    """Whether the mass matrix is one: it is in mass-orthonormal bases, and not in nodal ones."""
    return space.basis is not None


def _required(matrix: Vector | None) -> Vector:
    if matrix is None:
        raise AssertionError("a matrix that the operator uses was not projected")
    return matrix


def _dense(system: FreeSystem, spaces: Sequence[AxisSpace]) -> Vector:
    size = int(np.prod([space.size for space in spaces]))
    total = np.zeros((size, size))
    for coefficient, term in zip(system.coefficients, system.terms, strict=True):
        parts = []
        for space, j in zip(spaces, term, strict=True):
            if space.diagonals is not None:
                parts.append(np.diag(_required(space.diagonals[j])))
            else:
                assert space.dense is not None
                parts.append(_required(space.dense[j]))
        product = parts[0]
        for part in parts[1:]:
            product = np.asarray(np.kron(product, part), dtype=np.float64)
        total += float(coefficient) * product
    return total


def _iterate(system: FreeSystem, spaces: Sequence[AxisSpace], load: Vector, goal: float) -> Vector:
    nearest, rotations = _nearest(system, spaces)
    shape = load.shape

    def rotated(tensor: Vector, back: bool) -> Vector:
        for d, rotation in rotations.items():
            tensor = np.moveaxis(np.tensordot(rotation if back else rotation.T, tensor, axes=(1, d)), 0, d)
        return tensor

    def precondition(x: Vector) -> Vector:
        solved = solve_product(system, nearest, rotated(x.reshape(shape), False)).tensor
        return rotated(solved, True).reshape(-1)

    size = load.size
    operator = scipy.sparse.linalg.LinearOperator(
        (size, size), lambda x: apply_core(system, spaces, x.reshape(shape)).reshape(-1), dtype=np.float64
    )
    right = load.reshape(-1)
    # Preconditioned on the left, by hand: the residual is then measured like the error.
    found, _ = scipy.sparse.linalg.gmres(
        scipy.sparse.linalg.LinearOperator((size, size), lambda x: precondition(operator.matvec(x)), dtype=np.float64),
        precondition(right),
        rtol=goal,
        restart=RESTART,
        maxiter=max(1, MOST_ITERATIONS // RESTART),
    )
    return np.asarray(found).reshape(shape)


def _nearest(system: FreeSystem, spaces: Sequence[AxisSpace]) -> tuple[list[AxisSpace], dict[int, Vector]]:
    """Replace all undiagonalised axes but the largest by the diagonals of their matrices in a common basis."""
    rest = undiagonalised(spaces)
    kept = max(rest, key=lambda d: (not _symmetric(spaces[d]), spaces[d].size))
    nearest, rotations = list(spaces), {}
    for d in rest:
        if d == kept:
            continue
        dense = spaces[d].dense
        assert dense is not None
        parts = [0.5 * (matrix + matrix.T) for matrix in dense if matrix is not None]
        largest = max(
            parts, key=lambda part: float(np.linalg.norm(part - np.trace(part) / len(part) * np.eye(len(part))))
        )
        rotation = scipy.linalg.eigh(largest, check_finite=False)[1]
        diagonals = [None if m is None else np.einsum("ij,ik,kj->j", rotation, m, rotation) for m in dense]
        nearest[d] = AxisSpace(spaces[d].size, spaces[d].basis, diagonals)
        rotations[d] = rotation
    return nearest, rotations


def _symmetric(space: AxisSpace) -> bool:
    assert space.dense is not None
    return all(m is None or np.abs(m - m.T).max() <= 1e-10 * np.abs(m).max() for m in space.dense)
