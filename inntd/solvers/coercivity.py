"""The energy norm of a parametric operator, and a lower bound of its coercivity constant in it, where there is one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from inntd.axes import Axis
from inntd.models.reduced_system import Coercivity
from inntd.models.successive import SuccessiveConstraints
from inntd.solvers.factorise import SingularError
from inntd.solvers.merged import MergedSpace, Operator
from inntd.solvers.successive_constraints import successive_constraints

Array = npt.NDArray[np.float64]

STEPS = 12  # of inverse iteration
MARGINS = (1e-4, 1e-3, 1e-2, 0.1, 0.5)  # by which its result is made smaller until it is certain
VANISHING = 1e-9  # of its largest value: what a coefficient's function must stay above to carry coercivity


@dataclass(frozen=True)
class Norm:
    """An inner product, and the coercivity in it or why there is none that is certain.

    Attributes
    ----------
    lost
        Place in the training set where the symmetric part is not definite, None where no single place is known.
    weights
        Of the operator's terms (Q,) in the inner product; None where it is the norm of the space.
    bounds
        Of the constant at the training parameters (K,), where they are known already.
    """

    inner: Operator
    coercivity: Coercivity | SuccessiveConstraints | None
    lost: int | None = None
    weights: Array | None = None
    bounds: Array | None = None

    def constants(self, theta: Array) -> Array | None:
        """Return lower bounds (K,) of the constant at the training parameters, None without any."""
        if self.coercivity is None or self.bounds is not None:
            return self.bounds
        return self.coercivity.bound(theta)

    def smallest(self, space: MergedSpace) -> float:
        """Return a lower bound of its least eigenvalue against the mass, certified; 0 when none was found."""
        terms = len(space.symmetric)
        weights = np.zeros(terms) if self.weights is None else self.weights
        norm = 0.0 if self.weights is not None else 1.0
        vector, value = np.random.default_rng(0).standard_normal(space.size), 0.0
        for _ in range(STEPS):  # inverse iteration
            vector = self.inner.solve(space.mass @ vector)
            size = float(vector @ (space.mass @ vector))
            value = float(vector @ (self.inner @ vector)) / size
            vector /= np.sqrt(size)
        for margin in MARGINS:
            if space.positive(weights, norm=norm, mass=-(1 - margin) * value):
                return (1 - margin) * value
        return 0.0

    def reason(self, axes: Sequence[Axis], points: Array) -> str:
        """Say why there is no bound of the coercivity constant."""
        if self.lost is None:
            return "neither its terms nor the successive constraint method make the operator coercive for certain"
        place = ", ".join(f"{axis.name} = {x:.4g}" for axis, x in zip(axes, points[self.lost], strict=True))
        return f"the operator's symmetric part is not definite at {place}"


def energy_norm(space: MergedSpace, theta: Array) -> Norm:
    """Return the energy norm of an operator with functions (K, Q) of the training parameters.

    Terms whose symmetric part is positive (or negative, with a negative function) make the norm, with the geometric
    mean of their functions as weights; skew ones cost nothing, and positive ones that vanish somewhere are left out. If
    some term is of neither kind, or changes its sign, the norm is that of the space, and the successive constraint
    method looks for the coercivity of the symmetric part in it.
    """
    found = _of_terms(space, theta)
    if found.coercivity is not None:
        return found
    searched = successive_constraints(space, theta)
    return Norm(space.norm, searched.constraints, searched.lost, bounds=searched.bounds)


def _of_terms(space: MergedSpace, theta: Array) -> Norm:
    """Return the energy norm of terms that have a sign each, without a coercivity where they have none."""
    kinds = [space.definiteness(q) for q in range(theta.shape[1])]
    if "indefinite" in kinds:
        return Norm(space.norm, None)
    signs = np.array([{"zero": 0.0, "positive": 1.0, "negative": -1.0}[kind] for kind in kinds])
    energies = theta * signs  # of which sign the terms are at each parameter
    if energies.min() < 0 < energies.max():
        return Norm(space.norm, None)
    overall = -1.0 if energies.min() < 0 else 1.0
    sizes = np.abs(energies)
    used = np.flatnonzero(sizes.min(axis=0) > VANISHING * sizes.max(axis=0))
    weights = np.zeros(theta.shape[1])
    weights[used] = signs[used] * np.exp(np.log(sizes[:, used]).mean(axis=0))
    inner = space.energy(weights)
    try:
        inner.solve(np.zeros(space.size))
    except SingularError:
        return Norm(space.norm, None)
    return Norm(inner, Coercivity(used, overall * weights[used], overall * signs), weights=weights)
