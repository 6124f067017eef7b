"""Problems and dense oracles that the tests of the solver's routes share."""

from __future__ import annotations

import functools
import warnings
from typing import Any

import numpy as np
import sympy
from sympy import exp

import inntd as it
from inntd.solvers.operator import assemble

Array = np.ndarray[Any, np.dtype[np.float64]]


def dense_solution(problem: it.Problem) -> Array:
    """Nodal values (n_1, ..., n_D) on all nodes from one dense Kronecker system; conditions are homogeneous."""
    system = assemble(problem)
    keep = [np.arange(axis.size)[free] for axis, free in zip(system.axes, system.free, strict=True)]
    sizes = [len(nodes) for nodes in keep]
    operator = np.zeros((int(np.prod(sizes)),) * 2)
    for coefficient, term in zip(system.coefficients, system.terms, strict=True):
        parts = [system.matrices[d][j].toarray()[np.ix_(keep[d], keep[d])] for d, j in enumerate(term)]
        operator += coefficient * functools.reduce(np.kron, parts)
    load = np.zeros(operator.shape[0])
    for sign, log, term in zip(system.load_signs, system.load_logs, system.load_terms, strict=True):
        parts = [system.vectors[d][keep[d], j] for d, j in enumerate(term)]
        load += sign * np.exp(log) * functools.reduce(np.kron, parts)
    full = np.zeros([axis.size for axis in system.axes])
    full[np.ix_(*keep)] = np.linalg.solve(operator, load).reshape(sizes)
    return full


def nodal_values(model: Any) -> Array:
    """Values of a model at all nodes of its axes."""
    return np.asarray(model.grid({axis.name: axis.nodes[: axis.size] for axis in model.axes}))


def relative_l2(problem: it.Problem, values: Array, expected: Array) -> float:
    """Relative distance of nodal values in the L2 norm of their interpolants."""

    def norm(x: Array) -> float:
        image = x
        for d, own in enumerate(assemble(problem).matrices):
            image = np.moveaxis(np.tensordot(own[0].toarray(), image, axes=(1, d)), 0, d)
        return float(np.sqrt(np.sum(x * image)))

    return norm(values - expected) / norm(expected)


def error_against_dense(problem: it.Problem, answer: Any) -> float:
    """Relative L2 error of an answer against the dense solution of the same discrete system."""
    return relative_l2(problem, nodal_values(answer.model), dense_solution(problem))


def bump(*axes: it.Axis, width: float = 0.1) -> sympy.Expr:
    """A Gaussian away from the middle, of separation rank one."""
    return sympy.prod(exp(-((axis._sympy_() - 0.4 + 0.07 * i) ** 2) / (2 * width**2)) for i, axis in enumerate(axes))


def helmholtz(k_squared: float, elements: int, dimension: int = 2, **options: Any) -> it.Problem:
    """laplacian(u) + k^2 u = a narrow source, zero on the boundary of the unit cube: many modes when k is large."""
    axes = [it.Axis(name, 0, 1, elements=elements, **options) for name in "xyz"[:dimension]]
    u = it.unknown("u", *axes)
    return it.Problem(strong=it.laplacian(u) + k_squared * u - bump(*axes), conditions=[u.on(*axes) == 0])


def rotating(speed: float, elements: int, **options: Any) -> it.Problem:
    """-laplacian(u) + speed (y - 1/2, 1/2 - x) . grad(u) = 1, zero on the boundary of the unit square."""
    x, y = (it.Axis(name, 0, 1, elements=elements, **options) for name in "xy")
    a, b = x._sympy_(), y._sympy_()
    half = sympy.Rational(1, 2)
    u = it.unknown("u", x, y)
    convection = speed * (b - half) * it.diff(u, x) + speed * (half - a) * it.diff(u, y)
    with warnings.catch_warnings():  # layers are meant to be thinner than the mesh
        warnings.simplefilter("ignore", it.StabilityWarning)
        return it.Problem(strong=-it.laplacian(u) + convection - 1 - bump(x, y), conditions=[u.on(x, y) == 0])
