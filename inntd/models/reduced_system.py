r"""Reduced systems: a parametric operator in the span of N functions, solved at any parameter, and its residual.

Either by Galerkin's method, :math:`\sum_q \theta_q A_q c = \sum_r \theta_r b_r` with N x N matrices, or by the least
residual in a dual norm, which serves operators that are not coercive. The residual of the full system is known through
the coordinates of its terms in an orthonormal basis of the dual space, so that its norm has all digits: expanded into
inner products it would end at the root of the machine precision (Buhr, Engwer, Ohlberger and Rave, "A numerically
stable a posteriori error estimator for reduced basis approximations of elliptic equations", WCCM XI, 2014).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from scipy.linalg import lapack

from inntd.models.successive import SuccessiveConstraints

Array = npt.NDArray[np.float64]
Tensor = torch.Tensor
Projection = Literal["galerkin", "minimal_residual"]

AT_ONCE = 1 << 21  # numbers of batched matrices that are worked on together


@dataclass(frozen=True)
class Coercivity:
    r"""A lower bound of the coercivity constant: the least of :math:`\theta_q(\mu) / \bar\theta_q` (min-theta).

    It holds in the energy norm, that of the positive terms with weights :math:`\bar\theta_q`, for the others are skew
    or do not lower the energy (Rozza, Huynh and Patera, Archives of Computational Methods in Engineering 15, 2008).

    Attributes
    ----------
    terms : array (T,) of int
        The terms that it is taken over.
    reference : array (T,)
        Their weights in the energy norm.
    sign : array (Q,)
        For each term of the operator the sign that its function must not leave; 0 where it may have any.
    """

    terms: npt.NDArray[np.int64]
    reference: Array
    sign: Array

    def bound(self, theta: Array, errors: Array | None = None) -> Array:
        """Return the bounds (K,) for functions (K, Q), known up to errors (K, Q); not positive where there is none."""
        ratios = theta[:, self.terms] / self.reference
        if errors is not None:
            ratios = ratios - errors[:, self.terms] / np.abs(self.reference)
        least: Array = ratios.min(axis=1)
        lost = (theta * self.sign < 0).any(axis=1)
        return np.where(lost, np.minimum(least, 0.0), least)


@dataclass(frozen=True)
class ReducedSystem:
    """Matrices of N functions that are orthonormal in the energy norm.

    Attributes
    ----------
    operator : array (Q, N, N)
    load : array (R, N)
    residual_operator : array (Q, m, N)
        Coordinates of the images of the functions, orthonormal in the dual norm.
    residual_load : array (R, m)
    projection : {"galerkin", "minimal_residual"}
    coercivity : Coercivity or SuccessiveConstraints, optional
        What makes bounds of the residual.
    smallest : float
        Lower bound of the least eigenvalue of the energy norm against L2, both squared; 0 where it is not known.
    """

    operator: Array
    load: Array
    residual_operator: Array
    residual_load: Array
    projection: Projection = "galerkin"
    coercivity: Coercivity | SuccessiveConstraints | None = None
    smallest: float = 0.0

    @property
    def size(self) -> int:
        """The number N of functions."""
        return int(self.load.shape[1])

    @property
    def symmetric(self) -> bool:
        """Whether all matrices are symmetric."""
        return bool(np.array_equal(self.operator, self.operator.transpose(0, 2, 1)))

    def __post_init__(self) -> None:
        # Solves of one parameter take microseconds: what does not depend on it is laid out before.
        definite = self.coercivity is not None and self.symmetric
        object.__setattr__(self, "_flat", np.ascontiguousarray(self.operator).reshape(len(self.operator), -1))
        object.__setattr__(self, "_definite", definite)

    _flat: Array | None = None
    _definite: bool = False

    def solve_one(self, theta: Array, theta_load: Array) -> Array:
        """Return the coefficients (N,) for functions (Q,) and (R,) at one parameter.

        Raises
        ------
        numpy.linalg.LinAlgError
            When the reduced matrix is singular.
        """
        if self.projection == "minimal_residual":
            return np.asarray(self.solve(theta[None], theta_load[None])[0])
        n = self.size
        assert self._flat is not None
        if n == 0:  # the solution vanishes
            return np.zeros(0)
        matrix = (theta @ self._flat).reshape(n, n).T  # the transpose lies as LAPACK wants it
        right = theta_load @ self.load
        if self._definite:
            _, found, info = lapack.dposv(matrix, right, lower=1, overwrite_a=1, overwrite_b=1)
            if info == 0:
                return np.asarray(found)
            matrix = (theta @ self._flat).reshape(n, n).T
        lu, pivots, info = lapack.dgetrf(matrix, overwrite_a=1)
        if info != 0:
            raise np.linalg.LinAlgError("the reduced matrix is singular")
        found, _ = lapack.dgetrs(lu, pivots, right, trans=1)
        return np.asarray(found)

    def solve(self, theta: Array, theta_load: Array) -> Array:
        """Return the coefficients (K, N) for functions (K, Q) and (K, R)."""
        found = self.solve_tensors(torch.from_numpy(theta), torch.from_numpy(theta_load))
        values: Array = found.numpy()
        return values

    def solve_tensors(self, theta: Tensor, theta_load: Tensor) -> Tensor:
        """Return the coefficients (K, N), differentiable with respect to the functions (K, Q) and (K, R)."""
        rows = self.residual_load.shape[1] if self.projection == "minimal_residual" else self.size
        step = max(1, AT_ONCE // max(1, rows * self.size))
        parts = [self._solve_part(theta[k : k + step], theta_load[k : k + step]) for k in range(0, len(theta), step)]
        return torch.cat(parts) if parts else torch.zeros((0, self.size), dtype=torch.float64)

    def _solve_part(self, theta: Tensor, theta_load: Tensor) -> Tensor:
        if self.size == 0:
            return torch.zeros((len(theta), 0), dtype=torch.float64)
        if self.projection == "galerkin":
            matrix = torch.tensordot(theta, torch.from_numpy(self.operator), 1)
            found: Tensor = torch.linalg.solve(matrix, theta_load @ torch.from_numpy(self.load))
            return found
        matrix = torch.tensordot(theta, torch.from_numpy(self.residual_operator), 1)
        right = theta_load @ torch.from_numpy(self.residual_load)
        q, r = torch.linalg.qr(matrix)
        image = q.transpose(-1, -2) @ right.unsqueeze(-1)
        solved: Tensor = torch.linalg.solve_triangular(r, image, upper=True).squeeze(-1)
        return solved

    def residual(self, theta: Array, theta_load: Array, coefficients: Array) -> Array:
        """Return the dual norms (K,) of the residuals of coefficients (K, N), to all digits."""
        terms = np.concatenate([self.residual_load, -_rows(self.residual_operator)])
        weights = np.concatenate(
            [theta_load, (theta[:, :, None] * coefficients[:, None, :]).reshape(len(theta), -1)], axis=1
        )
        norms: Array = np.linalg.norm(weights @ terms, axis=1)
        return norms

    def inf_sup(self, theta: Array) -> Array:
        """Return the least dual norms (K,) of images of functions of norm one: bounds from above of the true constants.

        As the functions grow in number they come close to these, which tell where the operator is nearly singular.
        """
        step = max(1, AT_ONCE // max(1, self.residual_load.shape[1] * self.size))
        if self.size == 0:
            return np.ones(len(theta))
        parts = []
        for k in range(0, len(theta), step):
            triangle = np.linalg.qr(np.tensordot(theta[k : k + step], self.residual_operator, 1), mode="r")
            parts.append(np.linalg.svd(triangle, compute_uv=False)[:, -1])
        return np.concatenate(parts)

    def spread(self, errors: Array, load_errors: Array, coefficients: Array) -> Array:
        """Return how much the dual norms (K,) of residuals may be off by errors (K, Q) and (K, R) of the functions."""
        images = np.einsum("qmn,kn->kqm", self.residual_operator, coefficients)
        sizes = np.linalg.norm(images, axis=2), np.linalg.norm(self.residual_load, axis=1)
        found: Array = (errors * sizes[0]).sum(axis=1) + load_errors @ sizes[1]
        return found

    def bound(
        self,
        theta: Array,
        theta_load: Array,
        coefficients: Array,
        errors: tuple[Array, Array] | None = None,
    ) -> Array:
        """Return guaranteed bounds (K,) of the errors in the energy norm; infinite where coercivity is not certain.

        With `errors` of the functions, (K, Q) and (K, R), against solutions with the true functions.
        """
        if self.coercivity is None:
            return np.full(len(theta), np.inf)
        norms = self.residual(theta, theta_load, coefficients)
        if errors is not None:
            norms = norms + self.spread(*errors, coefficients)
        alpha = self.coercivity.bound(theta, None if errors is None else errors[0])
        bounds: Array = np.divide(norms, alpha, out=np.full(len(theta), np.inf), where=alpha > 0)
        return bounds


def _rows(residual_operator: Array) -> Array:
    """Return the terms (Q N, m) of the residual's operator part."""
    q, m, n = residual_operator.shape
    rows: Array = residual_operator.transpose(0, 2, 1).reshape(q * n, m)
    return rows
