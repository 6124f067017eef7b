"""Residuals of models of any separated form, and what they are paired with: all without the full tensor."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from inntd.models import CPModel, TuckerModel
from inntd.models.cp_form import CPForm
from inntd.models.forms import Form, normal
from inntd.models.norms import ldexp
from inntd.models.tucker_form import TuckerForm
from inntd.solvers.free import FreeSystem
from inntd.solvers.operator import DiscreteSystem

Vector = npt.NDArray[np.float64]

LARGEST_CORE = 10_000_000  # numbers in the core of a residual


class TooLargeError(ValueError):
    """A residual that takes too many numbers; the message says how many."""


def free_form(system: DiscreteSystem, model: CPModel | TuckerModel) -> Form:
    """Return a model's nodal values on the free nodes, where lifted boundary values vanish.

    Their products, which only cancel there, are left out where they are the last ones of a sum, as `solve` puts them.
    """
    arrays = model._arrays()
    if isinstance(model, CPModel):
        arrays = _without(arrays, system.lifting.factors())
    factors = [np.ascontiguousarray(own[free]) for own, free in zip(arrays, system.free, strict=True)]
    if isinstance(model, TuckerModel):
        return TuckerForm(system.axes, factors, model.core.detach().numpy().astype(np.float64))
    return CPForm(system.axes, factors)


def _without(arrays: list[Vector], lifted: list[Vector]) -> list[Vector]:
    count = lifted[0].shape[1] if lifted else 0
    same = count > 0 and all(np.array_equal(own[:, -count:], part) for own, part in zip(arrays, lifted, strict=True))
    return [own[:, :-count] for own in arrays] if same else arrays


def residual_form(system: FreeSystem, form: Form) -> Form:
    """Return exp(-scale) (b - A u) on the free nodes.

    Raises
    ------
    TooLargeError
        When the core of a Tucker residual does not fit.
    """
    share = float(np.exp(-system.scale / len(form.factors)))
    factors = [np.ascontiguousarray(factor * share) for factor in form.factors]
    images = [{j: system.matrices[d][j] @ factor for j in system.used(d)} for d, factor in enumerate(factors)]
    if isinstance(form, TuckerForm):
        return _tucker_residual(system, form, images)
    modes = factors[0].shape[1]
    columns = [
        np.hstack([system.load_columns(d), *(images[d][int(j)] for j in system.terms[:, d])])
        for d in range(len(factors))
    ]
    weights = np.concatenate([system.load_weights, -np.repeat(system.coefficients, modes)])
    columns[0] = columns[0] * weights
    return CPForm(form.axes, columns)


def _tucker_residual(system: FreeSystem, form: TuckerForm, images: Sequence[dict[int, Vector]]) -> TuckerForm:
    """Put load vectors and images side by side on each axis, and the cores of all terms into one."""
    columns, offsets = [], []
    for d, own in enumerate(images):
        loads = system.loads[d].shape[1]
        offsets.append({j: loads + k * form.core.shape[d] for k, j in enumerate(own)})
        columns.append(np.hstack([system.loads[d], *own.values()]))
    sizes = [own.shape[1] for own in columns]
    if float(np.prod([float(n) for n in sizes])) > LARGEST_CORE:
        raise TooLargeError(f"the residual has a core of {' x '.join(map(str, sizes))} numbers")
    core = np.zeros(sizes)
    np.add.at(core, tuple(system.load_terms.T), system.load_weights)
    for coefficient, term in zip(system.coefficients, system.terms, strict=True):
        starts = [own[int(j)] for own, j in zip(offsets, term, strict=True)]
        place = tuple(slice(first, first + rank) for first, rank in zip(starts, form.core.shape, strict=True))
        core[place] -= coefficient * form.core
    return TuckerForm(form.axes, columns, core)


def pairing(first: Form, second: Form) -> float:
    """Return the Euclidean inner product of two tensors in separated form.

    Examples
    --------
    >>> one = CPForm((), [np.ones((3, 1)), np.ones((4, 1))])
    >>> pairing(one, TuckerForm((), [np.ones((3, 2)), np.ones((4, 1))], np.ones((2, 1))))
    24.0
    """
    if isinstance(first, TuckerForm) and not isinstance(second, TuckerForm):
        first, second = second, first
    products = [own.T @ other for own, other in zip(first.factors, second.factors, strict=True)]
    if isinstance(first, TuckerForm):
        tensor, exponent = second.dense(products)
        return ldexp(float(np.sum(tensor * first.core)), exponent)
    if isinstance(second, TuckerForm):
        return _modes_of_tucker(products, second.core)
    total, exponent = np.ones_like(products[0]), 0
    for product in products:
        total, more = normal(total * product)
        exponent += more
    return ldexp(float(total.sum()), exponent)


def _modes_of_tucker(products: Sequence[Vector], core: Vector) -> float:
    """Contract a core with rows (M, r_d), mode by mode, and add up."""
    found, exponent = normal(products[0] @ core.reshape(core.shape[0], -1))
    for product in products[1:]:
        modes, rank = product.shape
        found, more = normal(np.einsum("mr,mrk->mk", product, found.reshape(modes, rank, -1)))
        exponent += more
    return ldexp(float(found.sum()), exponent)
