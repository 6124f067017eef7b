"""One-dimensional matrices and loads: all that separated problems ever integrate."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
import numpy.typing as npt

from inntd import _checks
from inntd._kernels import core
from inntd.axes._cache import BoundedCache
from inntd.axes.axis import Axis, Face
from inntd.axes.banded import BandedMatrix
from inntd.axes.functions import Function, evaluate
from inntd.axes.quadrature import AdaptiveRule

Array = npt.NDArray[np.float64]

_matrices: BoundedCache[BandedMatrix] = BoundedCache(128 * 2**20, size=lambda matrix: matrix.nbytes)
_loads: BoundedCache[Array] = BoundedCache(32 * 2**20, size=lambda load: load.nbytes)


def matrix(axis: Axis, trial: int = 0, test: int = 0, weight: Function | None = None) -> BandedMatrix:
    r"""Return :math:`A_{ij} = \int w(x)\, N_i^{(test)}(x)\, N_j^{(trial)}(x)\, dx`: rows belong to test functions.

    Parameters
    ----------
    axis : Axis
        Integrals over a discrete axis are sums.
    trial, test : int, default 0
        Orders of the derivatives.
    weight : callable, optional
        Vectorised, float64 array (K,) to array (K,) or one number; 1 by default. Where it is narrow the quadrature is
        refined by itself, down to round-off. Its attribute `breaks` (a tuple of floats), if it has one, tells where
        it jumps or has kinks, which saves the search. What hides between the first quadrature points (4 or more per
        element, 1024 or more per axis: peaks narrower than 1e-4 of a short axis) must be told so too.

    Raises
    ------
    ValueError
        When the weight is not finite at a quadrature point, or a derivative is asked of a discrete axis.

    Notes
    -----
    Results are shared between axes with equal `key`, and between equal weights if their class defines equality: treat
    them as read-only.

    Examples
    --------
    >>> import inntd as it
    >>> axis = it.Axis("x", 0, 3, elements=3, basis=it.LinearBasis())
    >>> matrix(axis, 1, 1).toarray()
    array([[ 1., -1.,  0.,  0.],
           [-1.,  2., -1.,  0.],
           [ 0., -1.,  2., -1.],
           [ 0.,  0., -1.,  1.]])
    """
    trial, test = _order(axis, "trial", trial), _order(axis, "test", test)
    if weight is None:
        return _matrices.get((axis.key, trial, test), lambda: _plain_matrix(axis, trial, test))
    if not _has_value(weight):
        return _weighted_matrix(axis, trial, test, weight)
    return _matrices.get((axis.key, trial, test, weight), lambda: _weighted_matrix(axis, trial, test, weight))


def mass(axis: Axis) -> BandedMatrix:
    """Return the integrals of N_i N_j; on a discrete axis the identity."""
    return matrix(axis, 0, 0)


def stiffness(axis: Axis) -> BandedMatrix:
    """Return the integrals of N_i' N_j'."""
    return matrix(axis, 1, 1)


def advection(axis: Axis) -> BandedMatrix:
    """Return the integrals of N_i N_j': rows belong to test functions, which are not derived."""
    return matrix(axis, 1, 0)


def load(axis: Axis, functions: Function | Sequence[Function], test: int = 0) -> Array:
    r"""Return :math:`b_{ir} = \int f_r(x)\, N_i^{(test)}(x)\, dx`, an array (size, R).

    Parameters
    ----------
    axis : Axis
        Integrals over a discrete axis are sums.
    functions : callable or sequence of callables
        As the weights of `matrix`; one callable is a sequence of one.
    test : int, default 0
        Order of the derivative.

    Examples
    --------
    >>> import inntd as it
    >>> load(it.Axis("x", 0, 2, elements=2, basis=it.LinearBasis()), lambda x: 1.0).ravel()
    array([0.5, 1. , 0.5])
    """
    test = _order(axis, "test", test)
    several: Sequence[Function] = [functions] if callable(functions) else list(functions)
    columns: dict[int, Array] = {}
    for i, function in enumerate(several):
        if _has_value(function):
            known = _loads.peek((axis.key, test, function))
            if known is not None:
                columns[i] = known
    missing = [i for i in range(len(several)) if i not in columns]
    if missing:
        fresh = _loads_of(axis, [several[i] for i in missing], test)
        for i, column in zip(missing, fresh.T, strict=True):
            columns[i] = column.copy()
            if _has_value(several[i]):
                _loads.get((axis.key, test, several[i]), lambda i=i: columns[i])  # type: ignore[misc]
    return np.stack([columns[i] for i in range(len(several))], axis=1) if several else np.zeros((axis.size, 0))


def face_matrix(face: Face, trial: int = 0, test: int = 0) -> BandedMatrix:
    r"""Return :math:`N_i^{(test)} N_j^{(trial)}` at one end of an axis: rows belong to test functions.

    Raises
    ------
    ValueError
        The axis has no ends, being periodic or discrete.

    Examples
    --------
    >>> import inntd as it
    >>> face_matrix(it.Axis("x", 0, 2, elements=2, basis=it.LinearBasis()).end).toarray()
    array([[0., 0., 0.],
           [0., 0., 0.],
           [0., 0., 1.]])
    """
    rows, columns = face_load(face, test), face_load(face, trial)
    (i,), (j,) = np.nonzero(rows), np.nonzero(columns)
    band = np.zeros((face.axis.size, 2 * face.axis.table.width - 1))
    b = face.axis.table.width - 1
    band[i[:, None], b + j[None, :] - i[:, None]] = np.outer(rows[i], columns[j])
    return BandedMatrix(band)


def face_load(face: Face, test: int = 0) -> Array:
    """Return the values or derivatives (size,) of all basis functions at one end of an axis.

    Examples
    --------
    >>> import inntd as it
    >>> face_load(it.Axis("x", 0, 2, elements=2, basis=it.LinearBasis()).start, 1)
    array([-1.,  1.,  0.])
    """
    axis = face.axis
    if axis.periodic or axis.discrete:
        raise ValueError(f"axis {axis.name!r} is {'periodic' if axis.periodic else 'discrete'}: it has no faces")
    index, values = axis.tabulate(np.array([face.coordinate]), test)
    column = np.zeros(axis.size)
    column[index[0]] = values[0]
    return column


def component_matrix(axis: Axis, row: int, column: int) -> BandedMatrix:
    """Return the matrix of a discrete axis with a single one, at (row, column): it couples two components.

    Examples
    --------
    >>> import inntd as it
    >>> component_matrix(it.Axis.discrete("c", 2), 0, 1).toarray()
    array([[0., 1.],
           [0., 0.]])
    """
    width = abs(row - column)
    band = np.zeros((axis.size, 2 * width + 1))
    band[row, width + column - row] = 1.0
    return BandedMatrix(band)


def _order(axis: Axis, name: str, value: object) -> int:
    order = _checks.positive_int(name, value, minimum=0)
    if axis.discrete and order > 0:
        raise ValueError(f"axis {axis.name!r} is discrete: {name} must be 0, got {order} (it has no derivatives)")
    return order


def _has_value(function: Function) -> bool:
    """Whether equality means equal functions: identity does not, for an object may change."""
    own_hash: object = type(function).__hash__
    return isinstance(function, Hashable) and own_hash is not object.__hash__


def _new_band(axis: Axis) -> Array:
    return np.zeros((axis.size, 2 * axis.table.width - 1))


def _plain_matrix(axis: Axis, trial: int, test: int) -> BandedMatrix:
    band = _new_band(axis)
    core.assemble_matrix(axis.table, trial, test, band)
    return BandedMatrix(band, axis.periodic)


def _weighted_matrix(axis: Axis, trial: int, test: int, weight: Function) -> BandedMatrix:
    if axis.discrete:
        return BandedMatrix(evaluate(axis.name, weight, axis.nodes)[:, None].copy())
    band = _new_band(axis)
    degree = max(2 * axis.table.degree - trial - test, 0)
    for _, samples in AdaptiveRule(axis, degree).samples([weight]):
        values = np.ascontiguousarray(samples.values[:, :, 0])
        core.add_weighted_matrix(axis.table, samples.piece, samples.xi, values, trial, test, band)
    return BandedMatrix(band, axis.periodic)


def _loads_of(axis: Axis, functions: Sequence[Function], test: int) -> Array:
    if axis.discrete:
        return np.stack([evaluate(axis.name, function, axis.nodes) for function in functions], axis=1)
    out = np.zeros((axis.size, len(functions)))
    degree = max(axis.table.degree - test, 0)
    for which, samples in AdaptiveRule(axis, degree).samples(functions):
        part = np.zeros((axis.size, len(which)))
        core.add_load(axis.table, samples.piece, samples.xi, samples.values, test, part)
        out[:, which] += part
    return out
