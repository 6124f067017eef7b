r"""Goals of reduced models: a reduced basis of the adjoint problem, and both residuals' product as a bound.

With a reduced adjoint solution z_M, the value corrected by :math:`z_M^T r` is off from that of the full solution by at
most :math:`\|r\| \|r^*\| / \alpha`, with the dual norms of both residuals: the square of what one basis reaches alone.
Where the goal is the load of a symmetric operator (compliance), the solution is its own adjoint. Reference: Hesthaven,
Rozza and Stamm, "Certified Reduced Basis Methods for Parametrized PDEs", 2016, chapter 4.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch

from inntd.models.products import Products
from inntd.models.reduced import ReducedModel
from inntd.models.reduced_system import Coercivity, ReducedSystem
from inntd.models.sampling import sobol_points
from inntd.models.successive import SuccessiveConstraints
from inntd.problems import Problem
from inntd.solvers.affine import Affine, affine_problem
from inntd.solvers.goals import DiscreteGoal, Goal, GoalError, discrete_goal
from inntd.solvers.merged import SparseSpace
from inntd.solvers.reduced_basis import reduce

Array = npt.NDArray[np.float64]

INTERPOLATION = 1e-11
MOST_FUNCTIONS = 100
SAMPLES = 1024  # parameters over which means are taken
WHOLE = "problem must be the one that the model is the solution of, and the model the whole one, not a slice of it"
COMPLIANT = 1e-12  # relative distance of a goal to the load that counts as none


@dataclass(frozen=True)
class ReducedGoal:
    """A goal of a reduced model, evaluated with its error at any parameter in microseconds to milliseconds.

    Attributes
    ----------
    model
        The reduced model.
    dual
        The reduced adjoint system, whose load is the goal.
    operator : array (Q, M, N)
        Terms of the operator between functions of the adjoint and of the solution.
    load : array (M, R)
        Terms of the load, tested with the adjoint's functions.
    functional : array (N + L,)
        The goal of the functions of the solution, and of the lifted boundary values.
    ranges
        By parameter its number, or the range over which the mean is taken.
    """

    model: ReducedModel
    dual: ReducedSystem
    operator: Array
    load: Array
    functional: Array
    ranges: dict[str, float | tuple[float, float]]

    def at(self, parameters: Mapping[str, float] | None = None, /, **named: float) -> GoalError:
        """Return the goal at one parameter, those that the goal holds still left out or given."""
        given = {axis.name: value for axis, value in self.model._named(parameters, named).items()}
        held = {name: value for name, value in self.ranges.items() if isinstance(value, float)} | given
        missing = [axis.name for axis in self.model.parameter_axes if axis.name not in held]
        if missing:
            raise ValueError(f"at must be given {', '.join(missing)}")
        point = np.array([[float(held[axis.name]) for axis in self.model.parameter_axes]])
        value, correction, bound = self.errors(point)
        return _goal_error(float(value[0]), float(correction[0]), float(bound[0]))

    def mean(self) -> GoalError:
        """Return the mean over the parameters that are not held still, by samples; the bound is the mean of bounds."""
        points = sobol_points(self.model.parameter_axes, SAMPLES, seed=0)
        for d, axis in enumerate(self.model.parameter_axes):
            place = self.ranges.get(axis.name, axis.domain)
            start, stop = place if isinstance(place, tuple) else (place, place)
            low, high = axis.domain
            if not low <= start <= stop <= high:
                raise ValueError(f"{axis.name} must lie inside of {axis.domain}, got {place}")
            if not axis.discrete or isinstance(place, float):
                points[:, d] = start + (points[:, d] - low) * ((stop - start) / (high - low) if high > low else 0.0)
        if all(isinstance(self.ranges.get(axis.name), float) for axis in self.model.parameter_axes):
            points = points[:1]
        value, correction, bound = (float(part.mean()) for part in self.errors(points))
        return _goal_error(value, correction, bound)

    def errors(self, points: Array) -> tuple[Array, Array, Array]:
        """Return values, corrections and bounds, each (K,), at parameters (K, P); bounds may be infinite."""
        x = torch.from_numpy(np.ascontiguousarray(points, dtype=np.float64))
        model, system = self.model, self.model.system
        weights = model._weights(x).numpy()
        found = weights[:, : model.rank]
        theta, loads, _ = (part.numpy() for part in model._split(model.products(x)))
        ones = np.ones((len(points), 1))
        adjoint = self.dual.solve(theta, ones)
        tested = np.einsum("kq,qmn,kn->km", theta, self.operator, found)
        correction = np.einsum("km,km->k", adjoint, loads @ self.load.T - tested)
        backward_factor, size_factor = _norm_factors(system, self.dual)
        if not np.isfinite(backward_factor):
            return weights @ self.functional, correction, np.full(len(points), np.inf)
        spread = model.products.spread(x)
        errors, load_errors = spread[:, : theta.shape[1]], spread[:, theta.shape[1] : theta.shape[1] + loads.shape[1]]
        energy = system.bound(theta, loads, found, (errors, load_errors))
        backward = self.dual.residual(theta, ones, adjoint) + self.dual.spread(errors, 0 * ones, adjoint)
        backward = backward_factor * backward
        # Interpolated coefficients change the residual itself, of which the correction knows nothing.
        unseen = size_factor * np.linalg.norm(adjoint, axis=1) * system.spread(errors, load_errors, found)
        return weights @ self.functional, correction, energy * backward + unseen


def _norm_factors(system: ReducedSystem, dual: ReducedSystem) -> tuple[float, float]:
    """Return what dual norms and norms of the adjoint's system are to be multiplied with for those of the solution's.

    Their training sets may differ, and with them the weights of the terms in the energy norm. Infinite without a norm.
    """
    own, other = system.coercivity, dual.coercivity
    if isinstance(own, SuccessiveConstraints) and isinstance(other, SuccessiveConstraints):
        return 1.0, 1.0  # both in the norm of the space
    if (
        not isinstance(own, Coercivity)
        or not isinstance(other, Coercivity)
        or not np.array_equal(own.terms, other.terms)
    ):
        return float("inf"), float("inf")
    ratios = own.reference / other.reference
    return 1.0 / float(np.sqrt(ratios.min())), float(np.sqrt(ratios.max()))


def _goal_error(value: float, correction: float, bound: float) -> GoalError:
    return GoalError(value, correction, None, bound if np.isfinite(bound) else None)


def reduced_goal(problem: Problem, model: ReducedModel, goal: Goal, *, tolerance: float = 1e-3) -> ReducedGoal:
    """Build the reduced basis of a goal's adjoint problem.

    Parameters
    ----------
    problem, model
        What was solved, and its reduced model (not a slice of it).
    goal
        Its weight may be a function of the merged axes only.
    tolerance
        Relative L2 error of the adjoint at the worst parameter.

    Examples
    --------
    >>> import inntd as it
    >>> x, k = it.Axis("x", 0, 1, elements=16), it.Axis("k", 1, 10, elements=8, kind="parameter")
    >>> u, v = it.unknown("u", x, k), it.test_function()
    >>> form = it.diff(v, x) * it.diff(u, x) + k * u * v - v
    >>> problem = it.Problem(weak=form, conditions=[u.on(x) == 0])
    >>> model = it.solve(problem, method="reduced_basis", rank=2).model
    >>> middle = reduced_goal(problem, model, it.Goal(x=0.5))
    >>> k0 = 5.0  # u = (1 - cosh(sqrt(k) (x - 1/2)) / cosh(sqrt(k) / 2)) / k
    >>> exact, found = (1 - 1 / np.cosh(k0**0.5 / 2)) / k0, middle.at(k=k0)
    >>> bool(abs(found.corrected - exact) < 1e-6 < abs(found.value - exact)), found.bound < 1e-4
    (True, True)
    """
    if {axis.name for axis in problem.axes} != {axis.name for axis in model.axes}:
        raise ValueError(WHOLE)
    merged = tuple(d for d, axis in enumerate(problem.axes) if axis.name in {own.name for own in model.merged})
    affine = affine_problem(problem, merged, INTERPOLATION)
    shapes = (affine.terms, affine.space.load.shape[1])
    if shapes != (len(model.system.operator), len(model.system.load)):
        raise ValueError(WHOLE)
    functional = discrete_goal(problem, goal)
    _check_weight(functional, affine)
    full = _on_merged(functional, affine)
    vector, functions = full[affine.free], _nodal(model)
    space = affine.space
    assert isinstance(space, SparseSpace)
    shift = _compliance(affine, model, vector)
    if shift is not None:
        system = model.system
        dual = replace(system, load=shift * system.load, residual_load=shift * system.residual_load)
        tested = functions[affine.free, : model.rank]
    else:
        turned = SparseSpace(space.pattern, space.terms[:, space.transposed], space.transposed, vector[:, None],
                             space.mass_data, space.norm_data)  # fmt: skip
        adjoint = replace(affine, space=turned, products=_with_constant(affine.products, affine.terms),
                          lifted=np.zeros((len(full), 0)))  # fmt: skip
        found = reduce(adjoint, tolerance, MOST_FUNCTIONS, 0)
        dual, tested = found.system, found.functions
    own = np.ascontiguousarray(functions[affine.free, : model.rank])
    operator = np.stack([tested.T @ space.apply(q, own) for q in range(affine.terms)])
    names = {axis.name for axis in model.parameter_axes}
    ranges = {name: place for name, place in goal.places.items() if name in names}
    return ReducedGoal(model, dual, operator, tested.T @ space.load, full @ functions, ranges)


def _check_weight(functional: DiscreteGoal, affine: Affine) -> None:
    for d in set(affine.parameters) & set(functional.weighted):
        name = affine.axes[d].name
        raise ValueError(f"weight must be a function of the merged axes for a ReducedModel, got one of {name}")


def _on_merged(functional: DiscreteGoal, affine: Affine) -> Array:
    """Return the functional of all nodal values of the merged axes."""
    total = np.zeros(int(np.prod([affine.axes[d].size for d in affine.merged])))
    for r, weight in enumerate(functional.weights):
        product: Array = np.ones(1)
        for d in affine.merged:
            product = np.asarray(np.kron(product, functional.vectors[d][:, r]))
        total += weight * product
    return total


def _nodal(model: ReducedModel) -> Array:
    """Return all functions of the merged axes at their nodes (n, N + L)."""
    found = model.core.numpy()
    for factor in model.factors:
        found = np.moveaxis(np.tensordot(found, factor.numpy(), axes=(0, 1)), -1, found.ndim - 2)
    return found.reshape(-1, found.shape[-1])


def _compliance(affine: Affine, model: ReducedModel, vector: Array) -> float | None:
    """Return the goal over the load where they are multiples of one another and the operator is symmetric."""
    load = affine.space.load
    scale = affine.products.scale[affine.terms : affine.terms + 1]
    fixed = load.shape[1] == 1 and all(
        _constant(affine.products, affine.terms, d) for d in range(len(affine.parameters))
    )
    if not (fixed and all(affine.space.symmetric) and model.system.projection == "galerkin" and scale[0] == 1.0):
        return None
    size = float(load[:, 0] @ load[:, 0])
    factor = float(load[:, 0] @ vector) / size if size > 0 else 0.0
    close = np.linalg.norm(vector - factor * load[:, 0]) <= COMPLIANT * np.linalg.norm(vector)
    return factor if close and factor != 0 else None


def _constant(products: Products, q: int, d: int) -> bool:
    """Whether a product's function of one axis is one."""
    return bool((products.columns[d][:, products.index[q, d]] == 1.0).all())


def _with_constant(products: Products, terms: int) -> Products:
    """Return the functions of the operator, and the constant one for a load."""
    columns = tuple(torch.cat([own, torch.ones(len(own), 1, dtype=own.dtype)], dim=1) for own in products.columns)
    last = np.array([[own.shape[1] - 1 for own in columns]], dtype=np.int64)
    one = np.ones(terms + 1)
    return Products(products.axes, columns, np.concatenate([products.index[:terms], last]), one)
