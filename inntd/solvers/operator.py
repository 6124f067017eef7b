"""The separated discrete system: distinct 1-D matrices and vectors, and which of them each term uses.

A = sum_t c_t (x)_d A_d^(t) and b = sum_r w_r (x)_d p_d^(r), see Eq. (12)-(14) of the INN-TD paper. Only 1-D
integrals are ever computed, and equal ones only once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from inntd.axes import Axis, assembly
from inntd.axes.banded import BandedMatrix
from inntd.problems import Problem
from inntd.problems.separate import AxisForm, LoadForm
from inntd.solvers.lifting import Lifting, lift

Vector = npt.NDArray[np.float64]


@dataclass
class DiscreteSystem:
    """Galerkin system of a problem, on all nodes; `free` marks those that are not fixed by Dirichlet values.

    Attributes
    ----------
    matrices
        Per axis, its distinct matrices; the mass matrix is always first.
    terms, coefficients
        Operator: (T, D) indices into `matrices`, and (T,) factors.
    vectors
        Per axis, its distinct load vectors, an (n_d, Q_d) array.
    load_terms, load_signs, load_logs
        Load: (R, D) indices into `vectors`; signs and logarithms of the (R,) factors, which may be beyond float64
        in many dimensions.
    component
        Position of the component axis of a vector problem, None for a scalar.
    fixed
        Per axis, an (n_free, components) array of bools: nodes that are free for some component but fixed by a
        Dirichlet value for this one; None where all components share their free nodes.
    load_error
        Relative error of load vectors that were separated numerically.
    """

    axes: tuple[Axis, ...]
    free: tuple[slice, ...]
    matrices: list[list[BandedMatrix]]
    terms: npt.NDArray[np.int32]
    coefficients: Vector
    vectors: list[Vector]
    load_terms: npt.NDArray[np.int32]
    load_signs: Vector
    load_logs: Vector
    lifting: Lifting
    component: int | None = None
    fixed: list[npt.NDArray[np.bool_] | None] = field(default_factory=list)
    load_error: float = 0.0


def assemble(problem: Problem, start: Sequence[Vector | None] | None = None) -> DiscreteSystem:
    """Assemble the separated system of a linear problem.

    Parameters
    ----------
    problem
        Problem whose operator and load are sums of products of 1-D forms.
    start
        Where an earlier solution goes on: its CP factors (n_d, M) at the end, None for the axis of time.
    """
    matrices, terms = _operator(problem)
    coefficients = np.array([term.coefficient for term in problem.operator])
    lifting = lift(problem, start)
    sources, source_terms = _sources(problem)
    images, sizes, image_terms = _images(matrices, terms, lifting)
    offsets = np.array([columns.shape[1] for columns in sources], dtype=np.int32)
    vectors = [np.hstack(pair) for pair in zip(sources, images, strict=True)]
    load_terms = np.concatenate([source_terms, image_terms + offsets])
    lifted = np.array([coefficient for coefficient, _ in lifting.terms])
    factors = np.concatenate([[term.coefficient for term in problem.load], -np.outer(coefficients, lifted).ravel()])
    round_off = [np.append(np.zeros(own.shape[1]), size) for own, size in zip(sources, sizes, strict=True)]
    reduced = _reduce_load(vectors, round_off, load_terms, factors, lifting.free)
    error = max((separation.error for separation in problem.separations), default=0.0)
    return DiscreteSystem(
        problem.axes,
        lifting.free,
        matrices,
        terms,
        coefficients,
        *reduced,
        lifting,
        problem.component,
        lifting.fixed,
        error,
    )


def adjoint(system: DiscreteSystem, vectors: Sequence[Vector], weights: Vector) -> DiscreteSystem:
    """Return the transposed system with another load and no boundary values.

    Parameters
    ----------
    system
        The system of a problem.
    vectors
        Per axis, the columns (n_d, R) of the load on all nodes.
    weights
        (R,) factors of the products of columns.
    """
    turned: dict[int, BandedMatrix] = {}
    for matrix in (matrix for own in system.matrices for matrix in own):
        if id(matrix) not in turned:
            turned[id(matrix)] = matrix if matrix.symmetric else matrix.T
    count = len(weights)
    terms = np.repeat(np.arange(count, dtype=np.int32)[:, None], len(system.axes), axis=1)
    reduced = _reduce_load(list(vectors), [np.zeros(count)] * len(vectors), terms, weights, system.free)
    none = Lifting(system.free, [np.zeros((axis.size, 0)) for axis in system.axes], [], system.fixed)
    return DiscreteSystem(
        system.axes,
        system.free,
        [[turned[id(matrix)] for matrix in own] for own in system.matrices],
        system.terms,
        system.coefficients,
        *reduced,
        none,
        system.component,
        system.fixed,
    )


def _operator(problem: Problem) -> tuple[list[list[BandedMatrix]], npt.NDArray[np.int32]]:
    mass = AxisForm(0, 0, None)
    matrices = [[assembly.matrix(axis)] for axis in problem.axes]  # of the component axis: the unit matrix
    known: list[dict[AxisForm, int]] = [{mass: 0} for _ in problem.axes]
    terms = np.zeros((len(problem.operator), len(problem.axes)), dtype=np.int32)
    for t, term in enumerate(problem.operator):
        for d, form in enumerate(term.forms):
            if form not in known[d]:
                known[d][form] = len(matrices[d])
                matrices[d].append(axis_matrix(problem.axes[d], form))
            terms[t, d] = known[d][form]
    return matrices, terms


def axis_matrix(axis: Axis, form: AxisForm) -> BandedMatrix:
    """Return the matrix of one axis of a bilinear term, on all nodes."""
    if isinstance(form.place, tuple):
        return assembly.component_matrix(axis, *form.place)
    if form.place is not None:
        return assembly.face_matrix(axis.start if form.place == "start" else axis.end, form.trial, form.test)
    return assembly.matrix(axis, form.trial, form.test, form.weight)


def _sources(problem: Problem) -> tuple[list[Vector], npt.NDArray[np.int32]]:
    """Load vectors of the source, distinct per axis, and which of them each term uses."""
    known: list[dict[LoadForm, int]] = [{} for _ in problem.axes]
    terms = np.zeros((len(problem.load), len(problem.axes)), dtype=np.int32)
    for r, term in enumerate(problem.load):
        for d, form in enumerate(term.forms):
            terms[r, d] = known[d].setdefault(form, len(known[d]))
    vectors = []
    for axis, forms in zip(problem.axes, known, strict=True):
        columns = [load_vector(axis, form) for form in forms]
        vectors.append(np.stack(columns, axis=1) if columns else np.zeros((axis.size, 0)))
    return vectors, terms


def load_vector(axis: Axis, form: LoadForm) -> Vector:
    """Return the vector of one axis of a load, on all nodes."""
    if isinstance(form.place, int):
        return np.asarray(np.arange(axis.size) == form.place, dtype=np.float64)
    if form.place is not None:
        return assembly.face_load(axis.start if form.place == "start" else axis.end, form.test)
    function = form.weight if form.weight is not None else np.ones_like
    column: Vector = assembly.load(axis, [function], test=form.test)[:, 0]
    return column


def _images(
    matrices: list[list[BandedMatrix]], terms: npt.NDArray[np.int32], lifting: Lifting
) -> tuple[list[Vector], list[Vector], npt.NDArray[np.int32]]:
    """Every matrix times every nodal vector of the lifting, their round-off, and the products of the lifted load."""
    images = [
        np.hstack([matrix @ vectors for matrix in own]) for own, vectors in zip(matrices, lifting.vectors, strict=True)
    ]
    round_off = [
        np.concatenate([1e-14 * _row_sum(matrix) * np.linalg.norm(vectors, axis=0) for matrix in own])
        for own, vectors in zip(matrices, lifting.vectors, strict=True)
    ]
    nodal = np.array([place for _, place in lifting.terms], dtype=np.int32).reshape(-1, len(matrices))
    counts = np.array([vectors.shape[1] for vectors in lifting.vectors], dtype=np.int32)
    places = terms[:, None, :] * counts + nodal[None, :, :]
    return images, round_off, places.reshape(-1, len(matrices))


def _row_sum(matrix: BandedMatrix) -> float:
    """Largest sum of absolute values in a row: the maximum norm of the matrix."""
    return float(np.abs(matrix.band).sum(axis=1).max())


def _reduce_load(
    vectors: list[Vector],
    round_off: list[Vector],
    terms: npt.NDArray[np.int32],
    factors: Vector,
    free: tuple[slice, ...],
) -> tuple[list[Vector], npt.NDArray[np.int32], Vector, Vector]:
    """Normalise the vectors on the free nodes, drop terms that vanish there and add up equal ones.

    A vector counts as zero when its norm is below the round-off of the product that made it; the axes' lengths set
    the scale of each vector, so vectors are never compared with one another's size.
    """
    signs, logs = np.sign(factors), np.full(len(factors), -np.inf)
    logs[factors != 0] = np.log(np.abs(factors[factors != 0]))
    terms = terms.copy()
    reduced = []
    for d, columns in enumerate(vectors):
        kept, index, scale = _distinct(columns[free[d]], round_off[d])
        alive = index[terms[:, d]] >= 0
        terms, signs, logs = terms[alive], signs[alive], logs[alive]
        logs = logs + np.log(np.abs(scale[terms[:, d]]))
        signs = signs * np.sign(scale[terms[:, d]])
        terms[:, d] = index[terms[:, d]]
        full = np.zeros((len(columns), kept.shape[1]))
        full[free[d]] = kept
        reduced.append(full)
    return reduced, *_add_equal(terms, signs, logs)


def _distinct(columns: Vector, round_off: Vector) -> tuple[Vector, npt.NDArray[np.intp], Vector]:
    """Return unit columns without repetition, each given column's place among them (-1: zero) and its factor."""
    norms = np.linalg.norm(columns, axis=0)
    index, scale = np.full(columns.shape[1], -1), np.ones(columns.shape[1])
    kept: list[Vector] = []
    for k, norm in enumerate(norms):
        if not norm > round_off[k]:
            continue
        unit = columns[:, k] / norm
        for j, other in enumerate(kept):
            projection = float(other @ unit)
            if abs(abs(projection) - 1.0) < 1e-12 and np.abs(unit - projection * other).max() < 1e-13:
                index[k], scale[k] = j, projection * norm
                break
        else:
            index[k], scale[k] = len(kept), norm
            kept.append(unit)
    stacked = np.stack(kept, axis=1) if kept else np.zeros((len(columns), 0))
    return stacked, index, scale


def _add_equal(
    terms: npt.NDArray[np.int32], signs: Vector, logs: Vector
) -> tuple[npt.NDArray[np.int32], Vector, Vector]:
    if len(terms) == 0:
        return terms, signs, logs
    distinct, place = np.unique(terms, axis=0, return_inverse=True)
    place = place.reshape(-1)
    peak = np.full(len(distinct), -np.inf)
    np.maximum.at(peak, place, logs)
    total, size = np.zeros(len(distinct)), np.zeros(len(distinct))
    np.add.at(total, place, signs * np.exp(logs - peak[place]))
    np.add.at(size, place, np.exp(logs - peak[place]))
    alive = np.abs(total) > 1e-15 * size
    return distinct[alive].astype(np.int32), np.sign(total[alive]), peak[alive] + np.log(np.abs(total[alive]))
