r"""Minimal residual: for operators that are indefinite, or so nonsymmetric that Galerkin's projections mislead.

:math:`\|A u - b\|^2` in a norm dual to L2 is minimised by the same growth and updates as the Galerkin system: its
normal equations :math:`A^T W A u = A^T W b` are separated, symmetric and positive definite, with a product of two
matrices on each axis for each pair of terms. W is the inverse mass matrix where an axis is diagonalised, and the
inverse of its diagonal elsewhere, which keeps products banded (with twice the width) and differs from it by bounded
factors.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from inntd._kernels import core
from inntd.axes.banded import BandedMatrix
from inntd.models.result import Step
from inntd.solvers.alternating import FLOOR, Outcome, Plan, State, interrupted, run
from inntd.solvers.coordinates import AxisCoordinates, fold, reordered_bands
from inntd.solvers.free import FreeSystem, Vector, free_system
from inntd.solvers.operator import DiscreteSystem
from inntd.solvers.product import spectral_space
from inntd.solvers.residual import estimated_error, relative_residual
from inntd.solvers.working import start_columns

Indices = npt.NDArray[np.int32]

LARGEST_DENSE_AXIS = 1500  # nodes up to which diagonalising an axis pays: products then stay diagonal
MOST_TERMS = 40  # their number enters squared


@dataclass(frozen=True)
class _Axis:
    """One axis of the normal equations: coordinates with all products, load columns, and where each one is."""

    coordinates: AxisCoordinates
    products: dict[tuple[int, int], int]
    loads: Vector
    images: dict[tuple[int, int], int]


def solve_minimal_residual(system: DiscreteSystem, plan: Plan, watch: Callable[[Step], None] | None = None) -> Outcome:
    """Minimise the residual over separated functions, mode by mode with updates of all modes.

    Parameters
    ----------
    system
        Any operator that is not singular, of at most 40 terms.
    plan
        Growth and stopping rules, as of the alternating solver.
    watch
        Called after every step.

    Raises
    ------
    ValueError
        If the operator has too many terms, or components of a vector are fixed on different faces.
    """
    if len(system.terms) > MOST_TERMS:
        raise ValueError(
            f"method must not be 'minimal_residual' for an operator of {len(system.terms)} separated terms: their "
            f"number enters squared, and {MOST_TERMS} is the most; use method='alternating'"
        )
    if any(own is not None for own in system.fixed):
        raise ValueError(
            "method must not be 'minimal_residual' when components of a vector have Dirichlet values on different "
            "faces; use method='alternating'"
        )
    free = free_system(system)
    if min(free.sizes) == 0 or len(free.load_weights) == 0:
        nothing = [np.zeros((n, 0)) for n in free.sizes]
        return Outcome(nothing, "converged", "neither source nor boundary values: the solution is zero", 0.0, (), 0)
    outcome = run(_state(system, free, plan), plan, watch)
    if outcome.status == "interrupted" or outcome.factors[0].shape[1] == 0:
        return outcome
    try:
        return _judged(free, outcome, plan)
    except KeyboardInterrupt:
        return interrupted(outcome)


def _judged(free: FreeSystem, outcome: Outcome, plan: Plan) -> Outcome:
    """Estimate the error from the residual: a small change says little in the norm of normal equations."""
    left = relative_residual(free, outcome.factors)
    estimate = estimated_error(free, outcome.factors)
    told = f"relative residual {left:.1e}"
    if estimate is None:
        return replace(outcome, message=f"{outcome.message}; {told}")
    estimate = max(estimate, FLOOR)
    if plan.tolerance is None:
        message = f"all {outcome.factors[0].shape[1]} modes asked for were computed; {told}"
        return replace(outcome, estimate=estimate, message=message)
    if estimate <= plan.tolerance:
        message = f"the residual tells of an error of {estimate:.1e} ({told})"
        return replace(outcome, status="converged", estimate=estimate, message=message)
    status = outcome.status
    remedy = outcome.message
    if status == "converged":
        status = "stagnated"
        remedy = (
            "modes settled before the error did: raise rank and lower tolerance, or use method='direct' or 'tucker'"
        )
    message = f"{remedy}; the residual tells of an error of {estimate:.1e} ({told})"
    return replace(outcome, status=status, estimate=estimate, message=message)


def _state(system: DiscreteSystem, free: FreeSystem, plan: Plan) -> State:
    axes = _axes(free, system.component)
    terms, coefficients = _terms(free, axes)
    load_terms, weights = _loads(free, axes)
    peak = [float(np.abs(axis.loads).max()) for axis in axes]
    loads = [np.ascontiguousarray(axis.loads / top) for axis, top in zip(axes, peak, strict=True)]
    solver = core.Alternating(
        [
            axis.coordinates.system(load, frozen=d == system.component)
            for d, (axis, load) in enumerate(zip(axes, loads, strict=True))
        ],
        terms,
        coefficients,
        load_terms,
        weights,
        plan.proximal,
    )
    every = [axis.coordinates for axis in axes]
    starts = [
        own.from_nodes(np.eye(axis.size))
        if d == system.component
        else start_columns(own, axis.nodes[: axis.size][where])
        for d, (own, axis, where) in enumerate(zip(every, system.axes, system.free, strict=True))
    ]
    scale = free.scale + float(np.sum(np.log(peak)))
    random, now = np.random.default_rng(plan.seed), time.perf_counter()
    return State(solver, every, scale, starts, random, now, component=system.component)


def _axes(free: FreeSystem, component: int | None) -> list[_Axis]:
    """Put every axis into coordinates; axes that share matrices share the eigenvectors."""
    known: dict[tuple[object, ...], AxisCoordinates | None] = {}
    axes = []
    for d, own in enumerate(free.matrices):
        used = free.used(d)
        key = (tuple(used), d == component, *(id(matrix) for matrix in own))
        if key not in known:
            known[key] = None if d == component else _spectral(own, used)
        spectral = known[key]
        axes.append(_diagonal_axis(free, d, spectral) if spectral is not None else _banded_axis(free, d))
    return axes


def _spectral(own: list[BandedMatrix], used: list[int]) -> AxisCoordinates | None:
    others = [j for j in used if j != 0]
    if len(others) > 1 or not all(own[j].symmetric for j in others) or own[0].shape[0] > LARGEST_DENSE_AXIS:
        return None
    space = spectral_space(own, used)
    assert space is not None
    assert space.diagonals is not None
    n = own[0].shape[0]
    diagonals = [np.ones(n) if values is None else np.ascontiguousarray(values) for values in space.diagonals]
    return AxisCoordinates(diagonals, True, True, space.basis, np.arange(n), own[0])


def _diagonal_axis(free: FreeSystem, d: int, spectral: AxisCoordinates) -> _Axis:
    """Products of diagonals are diagonals: 1, λ and λ²."""
    used = free.used(d)
    matrices: list[Vector] = [np.ones(free.sizes[d])]
    products: dict[tuple[int, int], int] = {}
    for i in used:
        for j in used:
            if (j, i) in products:
                products[i, j] = products[j, i]
            elif i == j == 0:
                products[i, j] = 0
            else:
                products[i, j] = len(matrices)
                matrices.append(spectral.matrices[i] * spectral.matrices[j])
    vectors = spectral.load(free.loads[d])
    images = {(j, q): k * vectors.shape[1] + q for k, j in enumerate(used) for q in range(vectors.shape[1])}
    loads = np.hstack([spectral.matrices[j][:, None] * vectors for j in used])
    return _Axis(replace(spectral, matrices=matrices), products, loads, images)


def _banded_axis(free: FreeSystem, d: int) -> _Axis:
    """Products A_i^T W A_j of bands, with W the inverse of the mass matrix' diagonal."""
    own, used, n = free.matrices[d], free.used(d), free.sizes[d]
    mass = own[0]
    order = fold(n) if mass.periodic else np.arange(n)
    bands = reordered_bands([own[j] for j in (0, *used)], order)
    metric, matrices = bands[0], dict(zip(used, bands[1:], strict=True))
    weight = 1.0 / metric[:, metric.shape[1] // 2]
    products: dict[tuple[int, int], int] = {}
    found: list[Vector] = []
    for i in used:
        for j in used:
            products[i, j] = 1 + len(found)
            found.append(_band_product(matrices[i], weight, matrices[j]))
    missing = found[0].shape[1] // 2 - metric.shape[1] // 2
    stacked = [np.ascontiguousarray(np.pad(metric, ((0, 0), (missing, missing)))), *found]
    vectors = free.loads[d][order]
    images = {(j, q): k * vectors.shape[1] + q for k, j in enumerate(used) for q in range(vectors.shape[1])}
    loads = np.hstack([BandedMatrix(matrices[j]).T @ np.ascontiguousarray(weight[:, None] * vectors) for j in used])
    symmetric = all(BandedMatrix(band).symmetric for band in stacked)
    return _Axis(AxisCoordinates(stacked, False, symmetric, None, order, mass), products, loads, images)


def _band_product(a: Vector, weight: Vector, b: Vector) -> Vector:
    """Return the band of A^T W B for bands (n, 2 w + 1)."""
    n, w = len(a), a.shape[1] // 2
    out = np.zeros((n, 4 * w + 1))
    for p in range(-w, w + 1):  # entry (k, k + p) of A meets (k, k + q) of B: row k + p, column k + q
        rows = np.arange(max(0, -p), n - max(0, p))
        for q in range(-w, w + 1):
            out[rows + p, 2 * w + q - p] += a[rows, w + p] * weight[rows] * b[rows, w + q]
    return out


def _terms(free: FreeSystem, axes: list[_Axis]) -> tuple[Indices, Vector]:
    """Products of all pairs of terms, equal ones added up."""
    total: dict[tuple[int, ...], float] = {}
    for s, first in enumerate(free.terms):
        for t, second in enumerate(free.terms):
            key = tuple(axis.products[int(i), int(j)] for axis, i, j in zip(axes, first, second, strict=True))
            total[key] = total.get(key, 0.0) + float(free.coefficients[s] * free.coefficients[t])
    return np.array(list(total), dtype=np.int32), np.array(list(total.values()))


def _loads(free: FreeSystem, axes: list[_Axis]) -> tuple[Indices, Vector]:
    places, weights = [], []
    for coefficient, term in zip(free.coefficients, free.terms, strict=True):
        for weight, vectors in zip(free.load_weights, free.load_terms, strict=True):
            places.append([axis.images[int(j), int(q)] for axis, j, q in zip(axes, term, vectors, strict=True)])
            weights.append(float(coefficient * weight))
    return np.array(places, dtype=np.int32), np.array(weights)
