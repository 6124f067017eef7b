"""What a set of instruments would see of a field, as a function of the free coordinates, with exact derivatives.

Everything that stands still is contracted once: of a separated model there remain K rows of M numbers and, per
evaluation, M products of functions of the free axes alone. Models that do not separate are evaluated at points.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
import torch

from inntd.axes import Axis
from inntd.calibration.coefficients import Coefficients, Factors, Reduced
from inntd.calibration.terms import Terms
from inntd.models import memory
from inntd.models.cp_form import CPForm
from inntd.models.exponential import ExponentialModel
from inntd.models.reduced import ReducedModel
from inntd.models.separated import SeparatedModel
from inntd.models.tucker_form import TuckerForm

Array = npt.NDArray[np.float64]

NUMBERS_AT_ONCE = 1 << 22


class Response(ABC):
    """K values as a function of F free coordinates."""

    @abstractmethod
    def values(self, p: Array) -> Array:
        """Return the values (S, K) at coordinates (S, F)."""

    @abstractmethod
    def jacobian(self, p: Array) -> tuple[Array, Array]:
        """Return values (K,) and derivatives (K, F) at coordinates (F,)."""


@dataclass(frozen=True, eq=False)
class LinearResponse(Response):
    """Rows (K, M) times coefficients (M,) of the free coordinates."""

    rows: Array
    coefficients: Coefficients

    def values(self, p: Array) -> Array:
        """Return the values (S, K) at coordinates (S, F)."""
        found: Array = self.coefficients.values(p) @ self.rows.T
        return found

    def jacobian(self, p: Array) -> tuple[Array, Array]:
        """Return values (K,) and derivatives (K, F) at coordinates (F,)."""
        c, dc = self.coefficients.jacobian(p)
        return self.rows @ c, self.rows @ dc

    def with_rows(self, rows: Array) -> LinearResponse:
        """Return the response of other instruments."""
        return replace(self, rows=rows)


@dataclass(frozen=True, eq=False)
class GatheredExponential(Response):
    """Weighted sums of exponentials of values at points."""

    exponent: LinearResponse
    gather: sp.csr_array | None

    def values(self, p: Array) -> Array:
        """Return the values (S, K) at coordinates (S, F)."""
        with np.errstate(over="ignore"):
            found = np.exp(self.exponent.values(p))
        return found if self.gather is None else np.asarray((self.gather @ found.T).T)

    def jacobian(self, p: Array) -> tuple[Array, Array]:
        """Return values (K,) and derivatives (K, F) at coordinates (F,)."""
        v, dv = self.exponent.jacobian(p)
        with np.errstate(over="ignore"):
            u = np.exp(v)
        du = u[:, None] * dv
        return (u, du) if self.gather is None else (self.gather @ u, self.gather @ du)


@dataclass(frozen=True, eq=False)
class PointResponse(Response):
    """Weighted sums of values at points, of any field."""

    model: Any
    points: Array  # (Q, D), with anything in the free columns
    columns: tuple[int, ...]
    gather: sp.csr_array | None

    def values(self, p: Array) -> Array:
        """Return the values (S, K) at coordinates (S, F)."""
        with torch.no_grad():
            found = [self.model(self._at(one)).double().numpy() for one in p]
        return np.stack([u if self.gather is None else self.gather @ u for u in found])

    def jacobian(self, p: Array) -> tuple[Array, Array]:
        """Return values (K,) and derivatives (K, F) at coordinates (F,)."""
        with torch.no_grad():
            values, gradient, _ = self.model.jet(self._at(p))
        u, du = values.detach().double().numpy(), gradient.detach().double().numpy()[:, list(self.columns)]
        return (u, du) if self.gather is None else (self.gather @ u, self.gather @ du)

    def _at(self, p: Array) -> torch.Tensor:
        points = self.points.copy()
        points[:, list(self.columns)] = p
        return torch.from_numpy(points).to(self.model.dtype)


@dataclass(frozen=True, eq=False)
class Rows:
    """The rows of a linear response, some terms at a time: blocks (t, width), to be run through once."""

    blocks: Iterator[Array]
    width: int
    coefficients: Coefficients


def make_response(model: Any, terms: Terms, free: Sequence[str]) -> Response:
    """Return what the terms see of a model, all of whose other axes are free, in the order of `free`."""
    rows = make_rows(model, terms, free)
    if rows is not None:
        return LinearResponse(_gathered(terms, rows), rows.coefficients)
    if isinstance(model, ExponentialModel):
        points, gather = terms.expanded()
        size = terms.size if gather is None else int(gather.shape[1])
        exponent = make_response(model.exponent, Terms.points(points, size), free)
        assert isinstance(exponent, LinearResponse)
        return GatheredExponential(exponent, gather)
    return point_response(model, terms, free)


def point_response(model: Any, terms: Terms, free: Sequence[str]) -> PointResponse:
    """Return what the terms see of any field, from its values at points."""
    points, gather = terms.expanded()
    axes = {axis.name: axis for axis in model.axes}
    count = len(next(iter(points.values()))) if points else terms.size
    table = np.stack([points.get(name, np.full(count, axis.domain[0])) for name, axis in axes.items()], axis=1)
    return PointResponse(model, table, tuple(list(axes).index(name) for name in free), gather)


def make_rows(model: Any, terms: Terms, free: Sequence[str]) -> Rows | None:
    """Return the rows of the response of a model that separates; None for others."""
    axes = {axis.name: axis for axis in model.axes}
    chosen = [axes[name] for name in free]
    if isinstance(model, SeparatedModel):
        return _separated(model._form(), terms, chosen)
    if isinstance(model, ReducedModel) and not any(axis.name in terms.columns for axis in model.parameter_axes):
        return _reduced(model, terms, chosen)
    return None


def _separated(form: Any, terms: Terms, free: Sequence[Axis]) -> Rows:
    factors = dict(zip(form.axes, form.factors, strict=True))
    own = tuple(factors[axis] for axis in free)
    if isinstance(form, CPForm):
        return Rows(_cp_rows(form, terms), form.modes, Factors(tuple(free), own, outer=False))
    assert isinstance(form, TuckerForm)
    order = _largest_first([axis for axis in form.axes if axis not in free], factors)
    core = np.transpose(form.core, [form.axes.index(axis) for axis in (*order, *free)])
    size = int(np.prod([factor.shape[1] for factor in own]))
    core = core.reshape(*core.shape[: len(order)], size)
    return Rows(_core_rows(core, order, factors, terms), size, Factors(tuple(free), own, outer=True))


def _reduced(model: ReducedModel, terms: Terms, free: Sequence[Axis]) -> Rows:
    factors = {axis: factor.numpy() for axis, factor in zip(model.merged, model.factors, strict=True)}
    merged = [axis for axis in free if axis in factors]
    order = _largest_first([axis for axis in model.merged if axis not in merged], factors)
    core = model.core.numpy()
    core = np.transpose(core, [*(model.merged.index(axis) for axis in (*order, *merged)), core.ndim - 1])
    size = int(np.prod(core.shape[len(order) :]))
    core = core.reshape(*core.shape[: len(order)], size)
    inner = Factors(tuple(merged), tuple(factors[axis] for axis in merged), outer=True)
    places = [tuple(list(free).index(axis) for axis in some) for some in (model.parameter_axes, merged)]
    return Rows(_core_rows(core, order, factors, terms), size, Reduced(model, places[0], inner, places[1]))


def _largest_first(axes: Sequence[Axis], factors: Mapping[Axis, Array]) -> list[Axis]:
    """Return axes by the number of their functions: contracting the largest first leaves least to be done."""
    return sorted(axes, key=lambda axis: -factors[axis].shape[1])


def _cp_rows(form: CPForm, terms: Terms) -> Iterator[Array]:
    """Yield products of what the terms see of each axis' functions, some terms at a time."""
    seen = [(terms.columns[axis.name].matrix(axis), factor)
            for axis, factor in zip(form.axes, form.factors, strict=True) if axis.name in terms.columns]  # fmt: skip
    for part in _parts(terms.size, form.modes):
        product = np.ones((part.stop - part.start, form.modes))
        for matrix, factor in seen:
            product *= matrix[part] @ factor
        yield product


def _core_rows(core: Array, axes: Sequence[Axis], factors: Mapping[Axis, Array], terms: Terms) -> Iterator[Array]:
    """Yield the core contracted with what the terms see of all axes but the last index, some terms at a time."""
    seen = [(terms.columns[axis.name].matrix(axis), factors[axis]) for axis in axes]
    for part in _parts(terms.size, max(1, core[0].size if seen else core.size)):
        found = np.broadcast_to(core, (part.stop - part.start, *core.shape)) if not seen else core
        for i, (matrix, factor) in enumerate(seen):
            rows = matrix[part] @ factor
            if i == 0:
                found = rows @ core.reshape(len(core), -1)
            else:  # one product of a row and a matrix per term
                found = np.matmul(rows[:, None, :], found.reshape(*rows.shape, -1))[:, 0]
        yield found.reshape(part.stop - part.start, -1)


def _parts(count: int, width: int) -> Iterator[slice]:
    step = max(1, NUMBERS_AT_ONCE // max(1, width))
    for start in range(0, count, step):
        yield slice(start, min(start + step, count))


def _gathered(terms: Terms, rows: Rows) -> Array:
    """Return the rows (K, width) of the functionals from blocks of rows of their terms."""
    width = rows.width
    memory.refuse_beyond(f"{terms.count} observations of {width} functions", 16 * terms.count * width, None,
                         "use fewer of them, or a model of fewer modes")  # fmt: skip
    if terms.gather is None:
        out, at = np.empty((terms.count, width)), 0
        for block in rows.blocks:
            out[at : at + len(block)] = block
            at += len(block)
        return out
    out, at, columns = np.zeros((terms.count, width)), 0, sp.csc_array(terms.gather)
    for block in rows.blocks:
        out += columns[:, at : at + len(block)] @ block
        at += len(block)
    return out
