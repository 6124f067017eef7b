"""Independent solutions of separated discrete systems, and the true algebraic error of models against them.

Of inntd's code only the assembled 1-D matrices, the load vectors and the nodal factors of the model are used; systems
are solved here, by NumPy and SciPy alone. Symmetric axes are diagonalised (`eigh`); one other axis may be left, and is
solved by a Schur form; small systems without that structure are solved as one Kronecker matrix. An axis of a parameter
acts through its eigenvalues: where there are many of them, those in `sampled` are drawn at random with the load's
density, and the norms are estimated from the draws. For many axes the solution of a sum of one-dimensional operators is
evaluated at random points instead, as a sum of exponentials.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import harness  # before NumPy: one thread
import numpy as np
import oracle
import scipy.linalg
import scipy.sparse
import scipy.sparse.linalg

import inntd as it
from inntd.solvers.operator import assemble

Array = harness.Array

KEPT, KEPT_OF_MANY = 1e-12, 1e-6  # part of a load below which an eigenvector is left out
MANY = 5_000_000  # coefficients
DENSE = 4500  # unknowns of a Kronecker matrix that is solved as a dense one
POINTS = 4000
QUADRATURE = 160  # exponentials
PRECISE = 1e-12  # separation of coefficients


@dataclass
class System:
    """Matrices (n_d, n_d) per axis, the mass first, terms of products of them, and the load, on free nodes."""

    matrices: list[list[Array]]
    terms: list[tuple[float, tuple[int, ...]]]
    loads: list[Array]
    load_terms: list[tuple[float, tuple[int, ...]]]
    free: list[slice]
    lifted: bool

    @classmethod
    def of(cls, problem: it.Problem) -> System:
        """Assemble a problem, with its coefficients separated precisely."""
        found = assemble(problem.refined(PRECISE))
        matrices = [
            [matrix.toarray()[free, free] for matrix in own]
            for own, free in zip(found.matrices, found.free, strict=True)
        ]
        weights = found.load_signs * np.exp(found.load_logs)
        return cls(
            matrices,
            [(float(c), tuple(map(int, term))) for c, term in zip(found.coefficients, found.terms, strict=True)],
            [vectors[free] for vectors, free in zip(found.vectors, found.free, strict=True)],
            [(float(w), tuple(map(int, term))) for w, term in zip(weights, found.load_terms, strict=True)],
            list(found.free),
            bool(found.lifting.terms),
        )

    def others(self, d: int) -> list[int]:
        """Return the matrices beside the mass that the operator uses on an axis."""
        return sorted({term[d] for _, term in self.terms} - {0})

    def spectrum(self, d: int) -> tuple[Array, Array] | None:
        """Return eigenvalues and mass-orthonormal eigenvectors of an axis' only matrix; None if there is none such."""
        others = self.others(d)
        if len(others) != 1 or not symmetric(self.matrices[d][others[0]]):
            return None
        return scipy.linalg.eigh(self.matrices[d][others[0]], self.matrices[d][0])

    def fixed(self, axis: int, vector: Array) -> System:
        """Return the system of the coefficient of one eigenvector of an axis."""
        values = [float(vector @ matrix @ vector) for matrix in self.matrices[axis]]
        rest = [d for d in range(len(self.matrices)) if d != axis]
        load = vector @ self.loads[axis]
        return System(
            [self.matrices[d] for d in rest],
            [(c * values[term[axis]], tuple(term[d] for d in rest)) for c, term in self.terms],
            [self.loads[d] for d in rest],
            [(w * float(load[term[axis]]), tuple(term[d] for d in rest)) for w, term in self.load_terms],
            [self.free[d] for d in rest],
            self.lifted,
        )

    def merged(self) -> System:
        """Add up terms that differ on one axis only."""
        matrices, terms = [list(own) for own in self.matrices], self.terms
        for d in range(len(matrices)):
            groups: dict[tuple[int, ...], list[tuple[float, int]]] = {}
            for c, term in terms:
                groups.setdefault(term[:d] + term[d + 1 :], []).append((c, term[d]))
            terms = []
            for key, members in groups.items():
                if len({j for _, j in members}) == 1:
                    terms.append((sum(c for c, _ in members), (*key[:d], members[0][1], *key[d:])))
                    continue
                matrices[d].append(sum(c * matrices[d][j] for c, j in members))
                terms.append((1.0, (*key[:d], len(matrices[d]) - 1, *key[d:])))
        return System(matrices, terms, self.loads, self.load_terms, self.free, self.lifted)


def symmetric(matrix: Array) -> bool:
    """Whether a matrix equals its transpose up to round-off."""
    return bool(np.abs(matrix - matrix.T).max() <= 1e-12 * np.abs(matrix).max())


@dataclass
class Solution:
    """A tensor of coefficients of mass-orthonormal columns (n_d, r_d): its Euclidean norm is that in L2."""

    bases: list[Array]
    tensor: Array
    masses: list[Array]

    def off(self, form: Form) -> tuple[float, float]:
        """Return the squared norms of the difference to a form, and of the solution."""
        inner = [b.T @ m @ own for b, m, own in zip(self.bases, self.masses, form.columns, strict=True)]
        square = float(((form.mapped(inner) - self.tensor) ** 2).sum())
        grams = [own.T @ m @ own for m, own in zip(self.masses, form.columns, strict=True)]
        for d, (b, own, mass) in enumerate(zip(self.bases, form.columns, self.masses, strict=True)):
            if b.shape[1] < b.shape[0]:  # what lies outside of the kept eigenvectors
                outside = own - b @ inner[d]
                square += max(0.0, form.square([*grams[:d], outside.T @ mass @ outside, *grams[d + 1 :]]))
        return square, float((self.tensor**2).sum())


def combined(columns: Sequence[Array], weights: Array) -> Array:
    """Return sum_k w_k (x)_d columns[d][:, k] as a full tensor."""
    left = columns[0] * weights
    for own in columns[1:-1]:
        left = (left[:, None, :] * own[None]).reshape(-1, own.shape[1])
    total = left @ columns[-1].T if len(columns) > 1 else left.sum(axis=1)
    return np.asarray(total.reshape([len(own) for own in columns]))


def solve(system: System) -> Solution:
    """Solve on all coefficients."""
    system = system.merged()
    spectra = [_axis(system, d, KEPT) for d in range(len(system.matrices))]
    sizes = [len(own[0]) if pair is None else len(pair[0]) for own, pair in zip(system.matrices, spectra, strict=True)]
    if np.prod(sizes) > MANY:
        spectra = [_axis(system, d, KEPT_OF_MANY) for d in range(len(system.matrices))]
    rest = [d for d, pair in enumerate(spectra) if pair is None]
    masses = [own[0] for own in system.matrices]
    if len(rest) > 1:
        return _kronecker(system, masses)
    bases, values = [], []
    for d, pair in enumerate(spectra):
        if pair is None:
            upper = np.linalg.cholesky(masses[d]).T
            pair = np.full((len(upper), 0), np.nan), np.linalg.inv(upper)
        values.append(pair[0])
        bases.append(pair[1])
    weights = np.array([w for w, _ in system.load_terms])
    columns = [bases[d].T @ system.loads[d][:, [term[d] for _, term in system.load_terms]] for d in range(len(bases))]
    load = combined(columns, weights)
    if not rest:
        symbol = sum(c * _product(system, term, values, None) for c, term in system.terms)
        return Solution(bases, load / symbol, masses)
    axis = rest[0]
    right = np.moveaxis(load, axis, -1)
    matrices = [bases[axis].T @ own @ bases[axis] for own in system.matrices[axis]]
    symbols: dict[int, Array] = {}
    for c, term in system.terms:
        symbols[term[axis]] = symbols.get(term[axis], 0.0) + c * _product(system, term, values, axis)
    flat = right.reshape(-1, right.shape[-1])
    each = {j: np.broadcast_to(own, right.shape[:-1]).reshape(-1) for j, own in symbols.items()}
    tensor = _lines([matrices[j] for j in each], list(each.values()), flat).reshape(right.shape)
    return Solution(bases, np.moveaxis(tensor, -1, axis), masses)


def _axis(system: System, d: int, kept: float) -> tuple[Array, Array] | None:
    """Return eigenvalues and the eigenvectors that the load reaches; None for an axis that is not diagonalised."""
    own, others = system.matrices[d], system.others(d)
    loads = system.loads[d]
    if not others:  # the solution is in the span of the load
        columns = np.linalg.solve(own[0], loads)
        root = np.linalg.cholesky(own[0]).T
        u, sizes, _ = np.linalg.svd(root @ columns, full_matrices=False)
        basis = np.linalg.solve(root, u[:, sizes > 1e-14 * sizes[0]])
        return np.ones(basis.shape[1]), basis
    found = system.spectrum(d)
    if found is None:
        return None
    values, basis = found
    parts = np.abs(basis.T @ loads)
    chosen = (parts > kept * parts.max(axis=0)).any(axis=1)
    return values[chosen], basis[:, chosen]


def _product(system: System, term: tuple[int, ...], values: Sequence[Array], skipped: int | None) -> Array:
    """Return the products of a term's eigenvalues on all axes but one."""
    product: Array = np.ones(())
    for d, j in enumerate(term):
        if d != skipped:
            product = np.multiply.outer(product, np.ones(len(values[d])) if j == 0 else values[d])
    return product


def _lines(matrices: Sequence[Array], symbols: Sequence[Array], load: Array) -> Array:
    """Solve (sum_j symbols[j][k] A_j) x = load[k] for each k, where A_j are two matrices or one, by Schur forms."""
    n = load.shape[1]
    if len(matrices) == 1:
        return np.linalg.solve(matrices[0], (load / symbols[0][:, None]).T).T
    if len(matrices) > 2:
        raise ValueError(f"an axis that is not diagonalised may have two matrices, got {len(matrices)}")
    first, second, left, right = scipy.linalg.qz(*matrices, output="complex")
    x = np.ascontiguousarray((load @ left.conj()).T)
    for i in range(n - 1, -1, -1):
        row = symbols[0] * (first[i, i + 1 :] @ x[i + 1 :]) + symbols[1] * (second[i, i + 1 :] @ x[i + 1 :])
        x[i] = (x[i] - row) / (symbols[0] * first[i, i] + symbols[1] * second[i, i])
    return (right @ x).real.T


def _kronecker(system: System, masses: Sequence[Array]) -> Solution:
    """Solve as one matrix: dense, or sparse with refinement."""
    sizes = [len(own) for own in masses]
    total: Any = None
    for c, term in system.terms:
        product: Any = scipy.sparse.csr_array(np.array([[c]]))
        for d, j in enumerate(term):
            product = scipy.sparse.kron(product, scipy.sparse.csr_array(system.matrices[d][j]), format="csr")
        total = product if total is None else total + product
    load = combined(
        [own[:, [term[d] for _, term in system.load_terms]] for d, own in enumerate(system.loads)],
        np.array([w for w, _ in system.load_terms]),
    ).ravel()
    if len(load) <= DENSE:
        solver: Any = scipy.linalg.lu_factor(total.toarray())
        apply = lambda right: scipy.linalg.lu_solve(solver, right)  # noqa: E731
    else:
        apply = scipy.sparse.linalg.splu(total.tocsc(), permc_spec="MMD_AT_PLUS_A").solve
    found = apply(load)
    found += apply(load - total @ found)
    uppers = [np.linalg.cholesky(mass).T for mass in masses]
    tensor = found.reshape(sizes)
    for d, upper in enumerate(uppers):
        tensor = np.moveaxis(np.tensordot(upper, tensor, axes=(1, d)), 0, d)
    return Solution([np.linalg.inv(upper) for upper in uppers], tensor, list(masses))


@dataclass
class Form:
    """A CP or Tucker model on the free nodes: columns (n_d, r_d) per axis, and the numbers that combine them.

    Attributes
    ----------
    core
        Weights (r,) of the products of columns of equal number, or the Tucker core (r_1, ..., r_D).
    """

    columns: list[Array]
    core: Array

    @classmethod
    def of(cls, model: Any, system: System) -> Form:
        """Return a model's nodal values."""
        if not hasattr(model, "factors") or hasattr(model, "merged"):
            model = model.to_cp(tolerance=1e-10)
        columns = [factor.detach().numpy()[free] for factor, free in zip(model.factors, system.free, strict=True)]
        return cls(columns, model.core.detach().numpy() if hasattr(model, "core") else np.ones(columns[0].shape[1]))

    def mapped(self, columns: Sequence[Array]) -> Array:
        """Return the combination of other columns (m_d, r_d) as a full tensor (m_1, ..., m_D)."""
        if self.core.ndim == 1:
            return combined(columns, self.core)
        tensor = self.core
        for own in columns:  # the first axis becomes the last
            tensor = np.tensordot(tensor, own, axes=(0, 1))
        return np.asarray(tensor)

    def square(self, grams: Sequence[Array]) -> float:
        """Return the squared norm of the combination of columns of which these are the inner products."""
        if self.core.ndim == 1:
            return float(np.prod([np.outer(self.core, self.core), *grams], axis=0).sum())
        return float((self.core * self.mapped(grams)).sum())

    def fixed(self, d: int, vector: Array) -> Form:
        """Return the form on the other axes, where a functional takes an axis' columns to numbers."""
        numbers, rest = vector @ self.columns[d], self.columns[:d] + self.columns[d + 1 :]
        return Form(rest, self.core * numbers if self.core.ndim == 1 else np.tensordot(self.core, numbers, (d, 0)))

    def at(self, tables: Sequence[Array]) -> Array:
        """Return the values (K,) where the tables (K, n_d) tell the nodes' basis functions."""
        rows = [table @ own for table, own in zip(tables, self.columns, strict=True)]
        if self.core.ndim == 1:
            return np.asarray(np.prod(rows, axis=0) @ self.core)
        values = np.tensordot(rows[0], self.core, axes=1)
        for own in rows[1:]:
            values = np.einsum("ki...,ki->k...", values, own)
        return np.asarray(values)


class Direct:
    """The solution of a problem's discrete system on all coefficients.

    Parameters
    ----------
    problem
        What is solved.
    sampled
        Names of axes of which `draws` eigenvalues are drawn at random.
    draws
        How many combinations.
    """

    def __init__(self, problem: it.Problem, sampled: Sequence[str] = (), draws: int = 1) -> None:
        self.system = System.of(problem)
        names = [axis.name for axis in problem.axes]
        self.places = sorted((names.index(name) for name in sampled), reverse=True)
        random = np.random.default_rng(0)
        spectra = [_drawn(self.system, d) for d in self.places]
        self.parts = []  # solution, functions on the sampled axes, and probability
        for _ in range(draws if self.places else 1):
            own, vectors, probability = self.system, [], 1.0
            for d, (basis, density) in zip(self.places, spectra, strict=True):
                k = int(random.choice(len(density), p=density))
                own, probability = own.fixed(d, basis[:, k]), probability * density[k]
                vectors.append(self.system.matrices[d][0] @ basis[:, k])
            self.parts.append((solve(own), vectors, probability))

    def error(self, model: Any) -> float:
        """Return the relative L2 distance of a model to the solution."""
        form = Form.of(model, self.system)
        off = size = 0.0
        for solution, vectors, probability in self.parts:
            own = form
            for d, vector in zip(self.places, vectors, strict=True):
                own = own.fixed(d, vector)
            squares = solution.off(own)
            off, size = off + squares[0] / probability, size + squares[1] / probability
        return float(np.sqrt(off)) / float(model.norm()) if self.system.lifted else float(np.sqrt(off / size))


def _drawn(system: System, d: int) -> tuple[Array, Array]:
    """Return the eigenvectors of an axis, and the probabilities with which they are drawn."""
    found = system.spectrum(d)
    assert found is not None
    density = ((found[1].T @ system.loads[d]) ** 2).sum(axis=1)
    return found[1], density / density.sum()


class AtPoints:
    """The solution of a definite sum of one-dimensional operators on many axes, at random points.

    1 / x is the integral of exp(s - x exp(s)) over s, by the trapezoidal rule.
    """

    def __init__(self, problem: it.Problem) -> None:
        self.system = system = System.of(problem)
        factors = {c for c, _ in system.terms}
        if len(factors) > 1 or any(sum(j != 0 for j in term) != 1 for _, term in system.terms):
            raise ValueError("the operator must be a sum of one-dimensional ones of equal factors")
        scale = factors.pop()
        spectra = [system.spectrum(d) for d in range(len(system.matrices))]
        points, _ = harness.uniform(np.random.default_rng(0), problem, POINTS)
        meshes = [oracle.Mesh.of(axis) for axis in problem.axes]
        self.tables = [mesh.tabulate(x)[0][:, own] for mesh, x, own in zip(meshes, points.T, system.free, strict=True)]
        self.volume = float(np.prod([axis.domain[1] - axis.domain[0] for axis in problem.axes]))
        values, shown, loads = [], [], []
        for pair, own, table in zip(spectra, system.loads, self.tables, strict=True):
            assert pair is not None
            values.append(abs(pair[0]))
            shown.append(table @ pair[1])
            loads.append(pair[1].T @ own)
        low, high = (sum(float(f(own)) for own in values) for f in (np.min, np.max))
        nodes, step = np.linspace(np.log(1e-15 / high), np.log(40.0 / low), QUADRATURE, retstep=True)
        places = np.array([term for _, term in system.load_terms])
        weights = np.array([w for w, _ in system.load_terms]) * np.sign(spectra[0][0][-1]) / scale * float(step)
        self.exact = np.zeros(POINTS)
        for t in np.exp(nodes):
            product = np.broadcast_to(t * weights, (POINTS, len(weights)))
            for d, (show, own, load) in enumerate(zip(shown, values, loads, strict=True)):
                product = product * (show @ (np.exp(-t * own)[:, None] * load))[:, places[:, d]]
            self.exact += product.sum(axis=1)

    def error(self, model: Any) -> float:
        """Return the relative L2 distance of a model to the solution."""
        off = Form.of(model, self.system).at(self.tables) - self.exact
        if not self.system.lifted:
            return float(np.linalg.norm(off) / np.linalg.norm(self.exact))
        return float(np.sqrt(self.volume * np.mean(off**2))) / float(model.norm())
