r"""Problems with parameters as affine operators: :math:`A(\mu) = \sum_q \theta_q(\mu) A_q` on merged axes.

The axes that are not merged carry functions of the parameters only, and the equation is meant at each parameter, not
tested along them. Products of the coefficients' functions are interpolated on the parameters' axes, on finer copies of
these where they are too coarse.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse
import torch

from inntd.axes import Axis
from inntd.axes.banded import BandedMatrix
from inntd.axes.halving import halved
from inntd.models.memory import refuse_beyond
from inntd.models.products import Products
from inntd.problems import Problem
from inntd.problems.separate import AxisForm, AxisFunction, LoadForm
from inntd.solvers.lifting import Lifting, lift
from inntd.solvers.merged import SparseSpace, transposition
from inntd.solvers.operator import axis_matrix, load_vector

Array = npt.NDArray[np.float64]
# A function of a parameter: a coefficient's, times nodal values of the lifted boundary data (by column).
Key = tuple[AxisFunction | None, int | None]
Keys = tuple[Key, ...]

PLACES, SAFETY = 8, 2.0  # where errors of interpolation are looked for in each element, and times what is seen
FINEST = 20_000  # elements of a parameter's axis on which functions are interpolated


@dataclass(frozen=True)
class Affine:
    """A parametric operator and load on merged axes.

    Attributes
    ----------
    axes
        All axes of the problem.
    merged, parameters
        Which of them are merged, and which are not.
    space
        Matrices and loads on the free functions of the merged axes.
    free
        Places (n,) of these among all nodal values of the merged axes.
    products
        Functions of the parameters: those of the operator (Q), of the load (R) and of the lifted values (L).
    lifted
        Nodal values (all nodes, L) that the last of them multiply.
    interpolation
        Largest relative error of the functions of one parameter.
    """

    axes: tuple[Axis, ...]
    merged: tuple[int, ...]
    parameters: tuple[int, ...]
    space: SparseSpace
    free: npt.NDArray[np.intp]
    products: Products
    lifted: Array
    interpolation: float

    @property
    def terms(self) -> int:
        """Number Q of terms of the operator."""
        return len(self.space.terms)


def affine_problem(problem: Problem, merged: Sequence[int], goal: float) -> Affine:
    """Assemble a problem as an affine operator on merged axes.

    Parameters
    ----------
    problem
        Linear; its operator may differentiate along merged axes only.
    merged
        Positions of the axes to be merged.
    goal
        Relative error that the parameters' functions may have.

    Raises
    ------
    ValueError
        When an axis that is not merged is differentiated or has conditions, or a parameter's function cannot be
        interpolated on its axis.
    MemoryError
        When the matrices would not fit, with their size in GB.
    """
    parameters = tuple(d for d in range(len(problem.axes)) if d not in merged)
    _check_parameters(problem, parameters)
    lifting = lift(problem)
    box = _Box.of(problem, tuple(merged), lifting)
    operator: dict[Keys, list[tuple[float, tuple[AxisForm, ...]]]] = {}
    for term in problem.operator:
        key: Keys = tuple((term.forms[d].weight, None) for d in parameters)
        operator.setdefault(key, []).append((term.coefficient, tuple(term.forms[d] for d in merged)))
    load: dict[Keys, Array] = {}
    for source in problem.load:
        key = tuple((source.forms[d].weight, None) for d in parameters)
        _add(load, key, source.coefficient * box.source([source.forms[d] for d in merged]))
    lifted: dict[Keys, Array] = {}
    for coefficient, place in lifting.terms:
        key = tuple((None, place[d]) for d in parameters)
        _add(lifted, key, coefficient * box.lifted([place[d] for d in merged]))
        for weights, members in operator.items():
            image = tuple((weights[i][0], place[d]) for i, d in enumerate(parameters))
            for factor, forms in members:
                _add(load, image, -coefficient * factor * box.image(forms, [place[d] for d in merged]))
    if not load:
        load[tuple((None, None) for _ in parameters)] = np.zeros(box.free.size)
    keys = [*operator, *load, *lifted]
    axes = [problem.axes[d] for d in parameters]
    products, error = _products(axes, keys, [lifting.vectors[d] for d in parameters], goal)
    space = box.space(list(operator.values()), np.stack(list(load.values()), axis=1))
    count = int(np.prod([problem.axes[d].size for d in merged]))
    nodal = np.stack(list(lifted.values()), axis=1) if lifted else np.zeros((count, 0))
    return Affine(problem.axes, tuple(merged), parameters, space, box.free_places, products, nodal, error)


def _add(known: dict[Keys, Array], key: Keys, vector: Array) -> None:
    known[key] = known[key] + vector if key in known else vector


def _check_parameters(problem: Problem, parameters: Sequence[int]) -> None:
    if not parameters:
        raise ValueError(
            "merge must leave at least one axis, for the reduced basis is a function of it: use method='direct' for a "
            "problem without parameters"
        )
    for d in parameters:
        name = problem.axes[d].name
        derived = any(term.forms[d].trial or term.forms[d].test or term.forms[d].place for term in problem.operator)
        derived = derived or any(term.forms[d].test or term.forms[d].place is not None for term in problem.load)
        fixed = any(face.axis.name == name for condition in problem.conditions for face in condition.faces)
        if derived or fixed or d == problem.component:
            reason = "has conditions" if fixed else "couples components" if d == problem.component else "differentiates"
            what = "the operator" if not fixed else "the problem"
            raise ValueError(f"merge must hold {name!r}: {what} {reason} along it, got only the others")


@dataclass(frozen=True)
class _Box:
    """Merged axes with their nodes on a grid: which are free, and Kronecker products on them."""

    axes: tuple[Axis, ...]
    slices: tuple[slice, ...]
    mask: npt.NDArray[np.bool_]
    vectors: list[Array]

    @classmethod
    def of(cls, problem: Problem, merged: tuple[int, ...], lifting: Lifting) -> _Box:
        axes = tuple(problem.axes[d] for d in merged)
        slices = tuple(lifting.free[d] for d in merged)
        shape = [max(0, own.stop - own.start) for own in slices]
        mask = np.ones(shape, dtype=bool)
        for i, d in enumerate(merged):
            fixed = lifting.fixed[d]
            if fixed is None:
                continue
            assert problem.component is not None
            component = merged.index(problem.component)
            own = fixed if i < component else fixed.T
            sizes = [n if e in (i, component) else 1 for e, n in enumerate(shape)]
            mask &= ~own.reshape(sizes)
        if not mask.any():
            raise ValueError("the conditions fix every node of the merged axes: there is nothing to solve")
        return cls(axes, slices, mask, [lifting.vectors[d] for d in merged])

    @property
    def free(self) -> npt.NDArray[np.intp]:
        """Places of the free functions among those of the free slices."""
        return np.flatnonzero(self.mask)

    @property
    def free_places(self) -> npt.NDArray[np.intp]:
        """Places of the free functions among all nodal values."""
        places = np.arange(int(np.prod([axis.size for axis in self.axes]))).reshape([axis.size for axis in self.axes])
        found: npt.NDArray[np.intp] = places[self.slices][self.mask]
        return found

    def source(self, forms: Sequence[LoadForm]) -> Array:
        return self._product([load_vector(axis, form) for axis, form in zip(self.axes, forms, strict=True)])

    def image(self, forms: Sequence[AxisForm], places: Sequence[int]) -> Array:
        columns = [
            self._axis_matrix(i, form) @ np.ascontiguousarray(self.vectors[i][:, place])
            for i, (form, place) in enumerate(zip(forms, places, strict=True))
        ]
        return self._product(columns)

    def lifted(self, places: Sequence[int]) -> Array:
        return _kron([own[:, place] for own, place in zip(self.vectors, places, strict=True)])

    def _product(self, columns: Sequence[Array]) -> Array:
        inner = [column[own] for column, own in zip(columns, self.slices, strict=True)]
        found: Array = _kron(inner)[self.free]
        return found

    def _axis_matrix(self, i: int, form: AxisForm) -> BandedMatrix:
        return axis_matrix(self.axes[i], form)

    def space(self, terms: Sequence[Sequence[tuple[float, tuple[AxisForm, ...]]]], load: Array) -> SparseSpace:
        mass, norm = self._inner_products()
        forms = [{term[i] for members in [*terms, mass, norm] for _, term in members} for i in range(len(self.axes))]
        known = [{form: self._restricted(i, form) for form in sorted(own, key=str)} for i, own in enumerate(forms)]
        patterns = [_pattern(list(own.values())) for own in known]
        count = float(np.prod([float(pattern.nnz) for pattern in patterns]))
        refuse_beyond("the matrices of the merged axes", int(8 * count * (2 * len(terms) + 8)), None,
                      "use fewer elements, or merge fewer axes")  # fmt: skip
        data = [{form: _entries(matrix, pattern) for form, matrix in own.items()}
                for own, pattern in zip(known, patterns, strict=True)]  # fmt: skip
        merged, order = _merged_pattern(patterns, self.free if not self.mask.all() else None)

        def entries(members: Sequence[tuple[float, tuple[AxisForm, ...]]]) -> Array:
            total = np.zeros(int(count))
            for factor, term in members:
                total += factor * _kron([own[form] for own, form in zip(data, term, strict=True)])
            return total[order]

        rows = np.stack([entries(members) for members in terms])
        return SparseSpace(merged, rows, transposition(merged), load, entries(mass), entries(norm))

    def _restricted(self, i: int, form: AxisForm) -> BandedMatrix:
        keep = np.zeros(self.axes[i].size, dtype=bool)
        keep[self.slices[i]] = True
        return self._axis_matrix(i, form).restrict(keep)

    def _inner_products(self) -> tuple[Any, Any]:
        plain = [AxisForm()] * len(self.axes)
        mass = [(1.0, tuple(plain))]
        derived = [
            (1.0, tuple(AxisForm(1, 1) if e == i else AxisForm() for e in range(len(plain))))
            for i, axis in enumerate(self.axes)
            if not axis.discrete
        ]
        return mass, mass + derived


def _kron(factors: Sequence[Array]) -> Array:
    found = factors[0]
    for factor in factors[1:]:
        found = np.kron(found, factor).astype(np.float64, copy=False)
    return found


def _pattern(matrices: Sequence[BandedMatrix]) -> Any:
    """Return the union of the sparsity patterns of one axis, made symmetric, as CSR with sorted rows of ones."""
    total = sum(abs(matrix.tosparse()) for matrix in matrices)
    pattern = (total + total.T).tocsr()
    pattern.data[:] = 1.0
    pattern.sort_indices()
    return pattern


def _entries(matrix: BandedMatrix, pattern: Any) -> Array:
    """Return the entries of a matrix in the order of a pattern that holds it."""
    n = pattern.shape[0]
    rows = np.repeat(np.arange(n), np.diff(pattern.indptr))
    dense = matrix.toarray() if n <= 2000 else matrix.tosparse().tolil()
    found = dense[rows, pattern.indices]
    return np.asarray(found.todense() if scipy.sparse.issparse(found) else found, dtype=np.float64).ravel()


def _merged_pattern(patterns: Sequence[Any], free: npt.NDArray[np.intp] | None) -> tuple[Any, npt.NDArray[np.intp]]:
    """Return the pattern of Kronecker products on the free functions, and where its entries stand in such products."""
    rows, columns = np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int64)
    for pattern in patterns:
        n = pattern.shape[0]
        own = np.repeat(np.arange(n), np.diff(pattern.indptr))
        rows = (rows[:, None] * n + own).ravel()
        columns = (columns[:, None] * n + pattern.indices).ravel()
    size = int(np.prod([pattern.shape[0] for pattern in patterns]))
    places = np.arange(len(rows))
    if free is not None:
        new = np.full(size, -1)
        new[free] = np.arange(len(free))
        kept = (new[rows] >= 0) & (new[columns] >= 0)
        rows, columns, places, size = new[rows[kept]], new[columns[kept]], places[kept], len(free)
    merged = scipy.sparse.coo_array((places.astype(np.float64), (rows, columns)), shape=(size, size)).tocsr()
    merged.sort_indices()
    return merged, merged.data.astype(np.intp)


def _products(
    axes: Sequence[Axis], keys: Sequence[Keys], lifted: Sequence[Array], goal: float
) -> tuple[Products, float]:
    """Interpolate the functions of the parameters; return their largest relative error as well."""
    index = np.zeros((len(keys), len(axes)), dtype=np.int64)
    fine, columns, errors, worst = [], [], [], 0.0
    true: list[tuple[_Function, ...]] = []
    for d, axis in enumerate(axes):
        known: dict[Key, int] = {}
        for q, key in enumerate(keys):
            index[q, d] = known.setdefault(key[d], len(known))
        functions = [_Function.of(axis, key, lifted[d]) for key in known]
        true.append(tuple(functions))
        own, error = _fine_enough(axis, functions, goal)
        fine.append(own)
        columns.append(torch.from_numpy(np.stack([f(own.nodes[: own.size]) for f in functions], axis=1)))
        errors.append(_largest_errors(own, functions))
        worst = max(worst, error)
    ones = np.ones(len(keys))
    return Products(tuple(fine), tuple(columns), index, ones, tuple(errors), None, tuple(true), ones), worst


@dataclass(frozen=True, eq=False)
class _Function:
    """A function of one parameter: a coefficient's weight, times interpolated nodal values of lifted boundary data."""

    axis: Axis
    weight: AxisFunction | None
    lifted: Array | None

    @classmethod
    def of(cls, axis: Axis, key: Key, lifted: Array) -> _Function:
        weight, place = key
        return cls(axis, weight, None if place is None else lifted[:, place])

    def __call__(self, x: Array) -> Array:
        found = np.ones_like(x) if self.weight is None else self.weight(x)
        if self.lifted is not None:
            rows, basis = self.axis.tabulate(x)
            found = found * np.einsum("kw,kw->k", basis, self.lifted[rows])
        return found


def _fine_enough(axis: Axis, functions: Sequence[Callable[[Array], Array]], goal: float) -> tuple[Axis, float]:
    """Halve the elements of an axis until functions are interpolated well enough."""
    own = axis
    while True:
        error = _interpolation_error(own, functions)
        if error <= goal:
            return own, error
        if 2 * own.elements > FINEST:
            raise ValueError(
                f"the coefficients' functions of {axis.name!r} cannot be interpolated on its axis to {goal:.0e}: with "
                f"{own.elements} elements the relative error is {error:.1e}, as where they jump; solve for each side "
                "of the jump alone, or loosen tolerance"
            )
        own = halved(own)


def _interpolation_error(axis: Axis, functions: Sequence[Callable[[Array], Array]]) -> float:
    if axis.discrete:
        return 0.0
    nodes = axis.nodes
    places = (nodes[:-1, None] + np.diff(nodes)[:, None] * np.array([0.11, 0.5, 0.77])).ravel()
    index, basis = axis.tabulate(places)
    worst = 0.0
    for function in functions:
        values, exact = function(nodes[: axis.size]), function(places)
        off = np.abs(np.einsum("kw,kw->k", basis, values[index]) - exact)
        # Relative at each place: a conductivity of 0.1 must be as good as one of 10.
        size = np.maximum(np.abs(exact), 0.01 * np.abs(values).max(initial=0.0))
        worst = max(worst, float((off[size > 0] / size[size > 0]).max(initial=0.0)))
    return worst


def _largest_errors(axis: Axis, functions: Sequence[Callable[[Array], Array]]) -> Array:
    """Return twice the largest error of interpolating each function, as seen at many places in each element."""
    if axis.discrete:
        return np.zeros(len(functions))
    nodes = axis.nodes
    places = (nodes[:-1, None] + np.diff(nodes)[:, None] * (np.arange(PLACES) + 0.5) / PLACES).ravel()
    index, basis = axis.tabulate(places)
    return np.array(
        [
            SAFETY * np.abs(np.einsum("kw,kw->k", basis, function(nodes[: axis.size])[index]) - function(places)).max()
            for function in functions
        ]
    )
