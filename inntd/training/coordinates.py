r"""Orthonormal functions of one coordinate, in the order in which data determine them.

Fits work in coordinates of an axis' space in which the mass matrix is the identity and low numbers mean smooth: the
penalty is then a diagonal, and cutting an axis' functions off after the first few leaves the best of them. Two kinds:

- *curvature-diagonal* coordinates of any axis: the constant, the straight line, then the eigenfunctions of
  :math:`\int u''^2` in the order of their roughness;
- *polynomials* by degree (Legendre's), on an axis whose nodes are Chebyshev's and whose patches are the whole axis,
  so that its basis spans exactly the polynomials of the degree of its elements, and is well conditioned.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import eigh

from inntd import _checks
from inntd.axes import Axis, CHiDeNNBasis, mass, matrix

Array = npt.NDArray[np.float64]

LARGEST_DEGREE = 24


@dataclass(frozen=True)
class Coordinates:
    """Functions of one axis, orthonormal over its length: the mean of the product of two is zero or one.

    Attributes
    ----------
    axis : Axis
    nodal : array (axis.size, n)
        Their nodal values; the first function is one.
    roughness : array (n,)
        Growth of the mean squared second derivative: 0 for the constant, 1 for the straight line and from there up.
    """

    axis: Axis
    nodal: Array
    roughness: Array

    def rows(self, x: Array) -> Array:
        """Return the values (K, n) of the functions at coordinates (K,)."""
        index, values = self.axis.tabulate(x)
        found: Array = np.einsum("kw,kwn->kn", values, self.nodal[index])
        return found


def curvature_coordinates(axis: Axis) -> Coordinates:
    """Return the coordinates of an axis in which its mass and curvature matrices are diagonal.

    A discrete axis has no curvature: its coordinates are its values, scaled, in an orthonormal basis that starts with
    the constant. With linear elements, which have no second derivatives, the slope's square is used.

    Examples
    --------
    >>> import inntd as it
    >>> coordinates = curvature_coordinates(it.Axis("x", 0, 1, elements=6, s=2))
    >>> gram = coordinates.nodal.T @ mass(coordinates.axis).toarray() @ coordinates.nodal
    >>> bool(abs(gram - np.eye(7)).max() < 1e-12)
    True
    """
    if axis.discrete:
        start = np.column_stack([np.ones(axis.size), np.eye(axis.size)[:, 1:]])
        nodal = np.linalg.qr(start)[0] * np.sqrt(axis.size)
        return Coordinates(axis, nodal * np.sign(nodal[0, 0]), np.minimum(np.arange(axis.size), 1.0))
    length = axis.domain[1] - axis.domain[0]
    gram = mass(axis).toarray() / length
    order = 2 if axis.table.degree > 1 else 1
    rough = matrix(axis, order, order).toarray() * length ** (2 * order - 1)
    smooth = _smooth_functions(axis)[:, :order]
    smooth = smooth @ np.linalg.inv(np.linalg.cholesky(smooth.T @ gram @ smooth)).T
    rest = _complement(smooth.T @ gram)
    sizes, vectors = eigh(rest.T @ rough @ rest, rest.T @ gram @ rest)
    nodal = np.column_stack([smooth, rest @ vectors])
    growth = np.maximum(sizes / sizes[0], 1.0) if sizes.size else sizes
    return Coordinates(axis, nodal, np.concatenate([[0.0], np.ones(smooth.shape[1] - 1), growth]))


def polynomial_coordinates(name: str, start: float, stop: float, degree: int) -> Coordinates:
    """Return Legendre's polynomials up to a degree of at most `LARGEST_DEGREE`, on an axis that spans them.

    Examples
    --------
    >>> coordinates = polynomial_coordinates("x", 0.0, 2.0, 3)
    >>> coordinates.rows(np.array([0.0, 1.0, 2.0])).round(6)[:, :3]
    array([[ 1.      , -1.732051,  2.236068],
           [ 1.      ,  0.      , -1.118034],
           [ 1.      ,  1.732051,  2.236068]])
    """
    degree = _checks.positive_int("degree", degree, minimum=0, maximum=LARGEST_DEGREE)
    axis = polynomial_axis(name, start, stop, degree)
    unit = np.clip((axis.nodes - start) / (stop - start), 0.0, 1.0)
    orders = np.arange(degree + 1.0)
    return Coordinates(axis, legendre(unit, degree), np.maximum(orders, 1.0) ** 4 * (orders > 0))


def polynomial_axis(name: str, start: float, stop: float, degree: int) -> Axis:
    """Return an axis whose basis spans the polynomials of at least a degree: two elements for each even one."""
    s = max(1, -(-degree // 2))
    unit = 0.5 - 0.5 * np.cos(np.pi * np.arange(2 * s + 1) / (2 * s))
    unit[s], unit[-1] = 0.5, 1.0
    nodes = start + (stop - start) * unit
    nodes[-1] = stop
    with warnings.catch_warnings():  # of long patches, which are unstable on even meshes and not on this one
        warnings.simplefilter("ignore", _checks.StabilityWarning)
        return Axis(name, nodes=nodes, kind="parameter", basis=CHiDeNNBasis(s=(s,) * (2 * s + 1)))


def legendre(unit: Array, degree: int) -> Array:
    """Return the values (K, degree + 1) of Legendre's polynomials, orthonormal on [0, 1]."""
    values = np.polynomial.legendre.legvander(2.0 * unit - 1.0, degree)
    scaled: Array = values * np.sqrt(2.0 * np.arange(degree + 1) + 1.0)
    return scaled


def _smooth_functions(axis: Axis) -> Array:
    """Return the nodal values of the functions without curvature: 1 and, unless periodic, x."""
    one = np.ones(axis.size)
    if axis.periodic or axis.size < 2:
        return one[:, None]
    start, stop = axis.domain
    return np.column_stack([one, (axis.nodes - start) / (stop - start) - 0.5])


def _complement(rows: Array) -> Array:
    """Return an orthonormal basis (n, n - k) of the vectors that k rows (k, n) send to zero."""
    count = rows.shape[0]
    found: Array = np.linalg.qr(rows.T, mode="complete")[0][:, count:]
    return found
