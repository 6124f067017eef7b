"""Reduced models: functions of space combined by a small system that is solved anew for every parameter."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from inntd.axes import Axis, assembly
from inntd.models import files, functional, memory
from inntd.models.conveniences import Conveniences
from inntd.models.cp import CPModel
from inntd.models.explicit import explicit_tucker
from inntd.models.metric import integrals
from inntd.models.named import Named
from inntd.models.points import Extrapolate, check_coordinates, check_points
from inntd.models.products import Products
from inntd.models.reduced_system import ReducedSystem
from inntd.models.rows import contract
from inntd.models.sampling import REPLICATES, sobol_points
from inntd.models.tucker import TuckerModel

Array = npt.NDArray[np.float64]

SAMPLES = 1 << 12  # parameters of which means over them are taken


class ReducedModel(Conveniences, Named, torch.nn.Module):
    r"""The online part of a reduced basis: a field over all axes that solves N equations for every parameter.

    .. math:: u(x, \mu) = \sum_{n=1}^{N} c_n(\mu)\, \zeta_n(x) + \sum_l \vartheta_l(\mu)\, g_l(x), \quad
        \sum_q \theta_q(\mu) A_q\, c(\mu) = \sum_r \theta_r(\mu)\, b_r

    with functions :math:`\zeta_n` of the merged axes (full solutions, made orthonormal), the functions :math:`g_l` of
    lifted boundary values, and small matrices :math:`A_q`. Made by ``inntd.solve(..., method="reduced_basis")``.

    Along merged axes everything is exact, as in a `TuckerModel`. Means over parameters are taken by scrambled Sobol'
    points; `standard_error` tells how well.

    Attributes
    ----------
    axes : tuple of Axis
    merged, parameters : tuple of Axis
        Those of the functions, and those that the equations are solved for.
    system : ReducedSystem
    standard_error : float
        Of the last mean, integral or norm over parameters (of a field: its L2 norm); NaN before.
    metadata : dict

    Examples
    --------
    >>> import inntd as it
    >>> x, k = it.Axis("x", 0, 1, elements=16), it.Axis("k", 1, 10, elements=8, kind="parameter")
    >>> u, v = it.unknown("u", x, k), it.test_function()
    >>> form = it.diff(v, x) * it.diff(u, x) + k * u * v - v
    >>> answer = it.solve(it.Problem(weak=form, conditions=[u.on(x) == 0]), method="reduced_basis", tolerance=1e-8)
    >>> model = answer.model
    >>> k0 = 5.0  # u = (1 - cosh(sqrt(k) (x - 1/2)) / cosh(sqrt(k) / 2)) / k
    >>> bool(abs(model.at(x=0.5, k=k0) - (1 - 1 / np.cosh(k0**0.5 / 2)) / k0) < 1e-7)
    True
    >>> model.at(k=k0)
    TuckerModel(rank=(4,), axes=(x: [0, 1], 16 elements), 72 parameters, float64)
    """

    file_kind = "reduced"
    exact_statistics = False

    def __init__(
        self,
        axes: Sequence[Axis],
        parameters: Sequence[Axis],
        products: Products,
        system: ReducedSystem,
        core: torch.Tensor,
        factors: Sequence[torch.Tensor],
    ) -> None:
        super().__init__()
        self.axes, self.parameter_axes = tuple(axes), tuple(parameters)
        self.merged = tuple(axis for axis in self.axes if axis not in self.parameter_axes)
        self.products, self.system = products, system
        self.core, self.factors = core, tuple(factors)
        self.metadata: dict[str, Any] = {}
        self.standard_error = float("nan")
        self._columns = [self.axes.index(axis) for axis in self.parameter_axes]
        self._ends = [axis.domain for axis in self.parameter_axes]
        self._terms, self._loads = len(system.operator), len(system.load)

    @property
    def rank(self) -> int:
        """The number N of equations."""
        return self.system.size

    @property
    def count(self) -> int:
        """How many numbers an evaluation takes: functions of the merged axes, and the small matrices."""
        arrays = (self.system.operator, self.system.load)
        return sum(tensor.numel() for tensor in (self.core, *self.factors)) + sum(array.size for array in arrays)

    @property
    def dtype(self) -> torch.dtype:
        """The type of all numbers, float64."""
        return self.core.dtype

    def extra_repr(self) -> str:
        """Describe the model in one line."""
        names = ", ".join(axis.name for axis in self.merged)
        return f"rank={self.rank}, merged=({names}), parameters=({', '.join(a.name for a in self.parameter_axes)})"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.extra_repr()})"

    # ------------------------------------------------------------------------------------------------- evaluation

    def coefficients(self, parameters: Sequence[float] | Array) -> Array:
        """Return the coefficients c (N,) at one parameter, in the order of `parameter_axes`: microseconds.

        Raises
        ------
        ValueError
            When a parameter lies outside of its axis, or the number of parameters is wrong.
        """
        if len(parameters) != len(self._ends):
            raise ValueError(f"parameters must be {len(self._ends)} numbers, got {len(parameters)}")
        for value, (start, stop), axis in zip(parameters, self._ends, self.parameter_axes, strict=True):
            if not start <= value <= stop:
                raise ValueError(f"{axis.name} must lie in [{start:g}, {stop:g}], got {value}")
        theta = self.products.at(parameters)
        q = self._terms
        return self.system.solve_one(theta[:q], theta[q : q + self._loads])

    def error_bound(self, parameters: Mapping[str, float] | None = None, /, **named: float) -> float:
        """Return a guaranteed bound of the relative error at one parameter, against the full discrete solution.

        In the energy norm in which the functions are orthonormal (that of the positive terms of the operator, with mean
        coefficients), relative to the solution without lifted boundary values. Infinite where the coercivity of the
        operator is not certain, and where the bound exceeds the solution.
        """
        given = self._named(parameters, named)
        if set(given) != set(self.parameter_axes):
            raise ValueError(f"error_bound must be given {', '.join(axis.name for axis in self.parameter_axes)}")
        point = torch.tensor([[float(given[axis]) for axis in self.parameter_axes]], dtype=torch.float64)
        theta, loads, _ = (part.numpy() for part in self._split(self.products(point)))
        found = self.system.solve(theta, loads)
        bound, size = float(self.system.bound(theta, loads, found)[0]), float(np.linalg.norm(found))
        return bound / (size - bound) if bound < size else 0.0 if bound == 0.0 else float("inf")

    def forward(self, points: Any, *, extrapolate: Extrapolate = "raise") -> torch.Tensor:
        """Return the values (K,) at points (K, D), differentiable with respect to them; see `CPModel.forward`."""
        points = check_points(points, self.axes, self.core, extrapolate)
        parameters = points[:, self._columns]
        if functional.watched([points]):
            weights = self._weights(parameters)
        else:
            distinct, place = torch.unique(parameters, dim=0, return_inverse=True)
            weights = self._weights(distinct)[place]
        step = max(1, functional.NUMBERS_AT_ONCE // max(1, self.core.numel()))
        pieces = [
            (self._functions(points[k : k + step]) * weights[k : k + step]).sum(-1) for k in range(0, len(points), step)
        ]
        return torch.cat(pieces) if pieces else torch.zeros(0, dtype=self.dtype)

    def jet(
        self, points: Any, *, extrapolate: Extrapolate = "raise"
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return values (K,), gradients (K, D) and diagonal second derivatives (K, D) at points (K, D)."""
        points = check_points(points, self.axes, self.core, extrapolate)
        keep = functional.watched([points])
        with torch.enable_grad():
            x = points if points.requires_grad else points.detach().requires_grad_()
            values = self(x)
            (gradient,) = torch.autograd.grad(values.sum(), x, create_graph=True)
            second = [
                torch.autograd.grad(gradient[:, d].sum(), x, create_graph=keep, retain_graph=True)[0][:, d]
                for d in range(len(self.axes))
            ]
        found = values, gradient, torch.stack(second, dim=1)
        return found if keep else (values.detach(), gradient.detach(), found[2].detach())

    def grid(
        self, vectors: Mapping[str, Any] | None = None, /, *, memory_limit_gb: float | None = None, **named: Any
    ) -> torch.Tensor:
        """Return the values on the grid spanned by one vector per axis; see `CPModel.grid`."""
        arrays = dict(zip(self.axes, self._grid_vectors(self._named(vectors, named), self.core), strict=True))
        count = int(np.prod([x.numel() for x in arrays.values()]))
        solves = int(np.prod([arrays[axis].numel() for axis in self.parameter_axes]))
        memory.refuse_beyond(f"a grid of {count} values", 8 * (2 * count + 4 * solves * self.core.shape[-1]),
                             memory_limit_gb, "use fewer points, or evaluate part by part")  # fmt: skip
        mesh = torch.meshgrid(*(arrays[axis].reshape(-1) for axis in self.parameter_axes), indexing="ij")
        weights = self._weights(torch.stack([x.reshape(-1) for x in mesh], dim=1))
        space = self.core
        for axis, factor in zip(self.merged, self.factors, strict=True):
            rows = contract(axis, factor, arrays[axis].reshape(-1))
            space = torch.tensordot(space, rows, dims=([0], [1])).movedim(-1, len(self.merged) - 1)
        # Each axis went to the back of the merged ones, so they are in order again; the functions come last.
        values = weights @ _columns(space).T
        found = values.reshape([arrays[axis].numel() for axis in (*self.parameter_axes, *self.merged)])
        order = [(*self.parameter_axes, *self.merged).index(axis) for axis in self.axes]
        return found.permute(order).reshape([x.numel() for x in arrays.values() if x.ndim == 1])

    # ------------------------------------------------------------------------------------- slices, integrals, means

    def at(self, coordinates: Mapping[str, Any] | None = None, /, **fixed: Any) -> Any:
        """Return the field of the remaining axes with others held still.

        A `TuckerModel` when no parameter remains, a `ReducedModel` while one does, a float when nothing remains.
        """
        rows, values = {}, {}
        for axis, value in self._named(coordinates, fixed).items():
            point = torch.as_tensor(float(value), dtype=self.dtype).reshape(1)
            check_coordinates(point, axis, name=axis.name)
            if axis in self.parameter_axes:
                values[axis] = float(point)
            else:
                rows[axis] = contract(axis, self.factors[self.merged.index(axis)], point)[0]
        products, left = self.products, list(self.parameter_axes)
        for axis, number in values.items():
            products = products.fixed(left.index(axis), number)
            left.remove(axis)
        core, merged, factors = self._contracted(rows)
        if left:
            kept = [axis for axis in self.axes if axis in left or axis in merged]
            found = ReducedModel(kept, left, products, self.system, core, factors)
            found.metadata = dict(self.metadata)
            return found
        theta, loads, lifted = self._split(torch.from_numpy(products.scale)[None])
        weights = torch.cat([self.system.solve_tensors(theta, loads), lifted], dim=1)[0]
        return _field(core @ weights, merged, factors)

    def integrate(self, *axes: Axis | str) -> Any:
        """Return the integral over some axes (all by default): exact over merged ones, by samples over parameters."""
        chosen = self._chosen(axes)
        measure = float(np.prod([_measure(axis) for axis in chosen if axis in self.parameter_axes]))
        rows = {axis: torch.from_numpy(integrals(axis)) for axis in chosen if axis in self.merged}
        return self._averaged(chosen, rows, measure)

    def mean(self, *axes: Axis | str) -> Any:
        """Return the mean over some axes (all by default): exact over merged ones, by samples over parameters.

        Raises
        ------
        NotImplementedError
            When some parameters are named and others are not: hold these still first, with ``at``.
        """
        chosen = self._chosen(axes)
        rows = {axis: torch.from_numpy(integrals(axis) / _measure(axis)) for axis in chosen if axis in self.merged}
        return self._averaged(chosen, rows, 1.0)

    def norm(self) -> float:
        """Return the L2 norm over all axes, from samples of the parameters; see `standard_error`."""
        gram = self._gram()
        squares = [
            float(torch.einsum("kn,nm,km->k", weights, gram, weights).mean()) for weights in self._sampled_weights()
        ]
        size = float(np.prod([_measure(axis) for axis in self.parameter_axes]))
        found = float(np.sqrt(np.mean(squares) * size))
        scatter = float(np.std(squares, ddof=1)) / np.sqrt(REPLICATES) * size
        self.standard_error = scatter / (2 * found) if found > 0 else 0.0
        return found

    # ------------------------------------------------------------------------------------------------- conversions

    def to_tucker(self, *, tolerance: float = 1e-6) -> TuckerModel:
        """Return the field as an explicit Tucker model, interpolated on the axes of the parameters.

        Parameters
        ----------
        tolerance : float, default 1e-6
            Relative L2 error of what is left out. The interpolation between the nodes of the parameters comes on top:
            ``metadata["separation_error"]`` is the whole relative error at random parameters.

        Raises
        ------
        MemoryError
            When the coefficients at all nodes of the parameters do not fit, with their size in GB.
        """
        return explicit_tucker(self, tolerance)

    def to_cp(self, *, tolerance: float = 1e-6) -> CPModel:
        """Return the field as a sum of products; see `to_tucker`."""
        tucker = self.to_tucker(tolerance=0.5 * tolerance)
        found = tucker.to_cp(tolerance=0.5 * tolerance)
        found.metadata |= {"separation_error": tucker.metadata["separation_error"]}
        return found

    def save(
        self, path: str | os.PathLike[str], *, overwrite: bool = False, metadata: Mapping[str, Any] | None = None
    ) -> None:
        """Write the model to a file that `inntd.load` reads; see `CPModel.save`."""
        files.save(self, path, overwrite=overwrite, metadata=metadata)

    # ---------------------------------------------------------------------------------------------------- internals

    def _split(self, theta: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        q, r = self._terms, self._loads
        return theta[:, :q], theta[:, q : q + r], theta[:, q + r :]

    def _weights(self, parameters: torch.Tensor) -> torch.Tensor:
        """Return the weights (K, N + L) of all functions of space."""
        theta, loads, lifted = self._split(self.products(parameters))
        return torch.cat([self.system.solve_tensors(theta, loads), lifted], dim=1)

    def _functions(self, points: torch.Tensor) -> torch.Tensor:
        """Return the functions of space (K, N + L) at points of all axes."""
        found = self.core.expand(1, *self.core.shape)
        for axis, factor in zip(self.merged, self.factors, strict=True):
            rows = contract(axis, factor, points[:, self.axes.index(axis)])
            if found.shape[0] == 1:
                found = (rows @ found.reshape(found.shape[1], found[0, 0].numel())).reshape(len(rows), *found.shape[2:])
            else:
                found = torch.einsum("kr,kr...->k...", rows, found)
        return found

    def _contracted(self, rows: Mapping[Axis, torch.Tensor]) -> tuple[torch.Tensor, list[Axis], list[torch.Tensor]]:
        """Return core, axes and factors without some merged axes; rows hold their functions' values or integrals."""
        core, merged, factors = self.core, list(self.merged), list(self.factors)
        for axis, row in rows.items():
            d = merged.index(axis)
            core = torch.tensordot(row, core, dims=([0], [d]))
            del merged[d], factors[d]
        return core, merged, factors

    def _averaged(self, chosen: Sequence[Axis], weights: Mapping[Axis, torch.Tensor], measure: float) -> Any:
        rows = {axis: row @ self.factors[self.merged.index(axis)] for axis, row in weights.items()}
        core, merged, factors = self._contracted(rows)
        sampled = [axis for axis in self.parameter_axes if axis in chosen]
        if not sampled:
            kept = [axis for axis in self.axes if axis in self.parameter_axes or axis in merged]
            return ReducedModel(kept, self.parameter_axes, self.products, self.system, core, factors)
        if len(sampled) < len(self.parameter_axes):
            others = ", ".join(axis.name for axis in self.parameter_axes if axis not in sampled)
            raise NotImplementedError(
                f"means of a ReducedModel over parameters are over all of them: hold {others} still with at(...) "
                "first, or use to_tucker()"
            )
        means = torch.stack([found.mean(dim=0) for found in self._sampled_weights()])
        mean = means.mean(dim=0)
        off = (means - mean) @ self._gram(core, merged, factors) @ (means - mean).T
        variance = float(off.diagonal().clamp(min=0).sum()) / (REPLICATES - 1) / REPLICATES
        self.standard_error = measure * float(np.sqrt(variance))
        return _field(measure * (core @ mean), merged, factors)

    def _sampled_weights(self) -> list[torch.Tensor]:
        with torch.no_grad():
            return [
                self._weights(torch.from_numpy(sobol_points(self.parameter_axes, SAMPLES // REPLICATES, seed)))
                for seed in range(REPLICATES)
            ]

    def _gram(
        self,
        core: torch.Tensor | None = None,
        merged: Sequence[Axis] | None = None,
        factors: Sequence[torch.Tensor] | None = None,
    ) -> torch.Tensor:
        """Return the L2 inner products (N + L, N + L) of the functions of space."""
        core = self.core if core is None else core
        image = core
        for axis, factor in zip(self.merged if merged is None else merged,
                                self.factors if factors is None else factors, strict=True):  # fmt: skip
            columns = np.ascontiguousarray(factor.numpy())
            small = torch.from_numpy(columns.T @ (assembly.mass(axis) @ columns))
            image = torch.tensordot(image, small, dims=([0], [0])).movedim(-1, image.ndim - 2)
        return _columns(core).T @ _columns(image)


def _field(core: torch.Tensor, merged: Sequence[Axis], factors: Sequence[torch.Tensor]) -> Any:
    return TuckerModel.from_factors(merged, core, factors) if merged else float(core)


def _columns(tensor: torch.Tensor) -> torch.Tensor:
    """Return the last index as columns, also where there are none."""
    return tensor.reshape(tensor.shape[:-1].numel(), tensor.shape[-1])


def _measure(axis: Axis) -> float:
    return float(axis.size) if axis.discrete else axis.domain[1] - axis.domain[0]
