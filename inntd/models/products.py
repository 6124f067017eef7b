"""Products of one function per axis, several of them at once: the coefficients of affine parametric operators."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch

from inntd._kernels import core
from inntd.axes import Axis
from inntd.models.rows import contract

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

ROUNDING = 1e-12  # relative errors of functions below are rounding


@dataclass(frozen=True)
class Products:
    r"""Q functions :math:`\theta_q(\mu) = c_q \prod_d f_{d, i(q, d)}(\mu_d)` of P coordinates.

    Parameters
    ----------
    axes : tuple of P Axis
    columns : tuple of P tensors (axis.size, F_d)
        Nodal values of the distinct functions of each axis.
    index : array (Q, P)
        Which function of each axis a product takes.
    scale : array (Q,)
        The numbers c_q.
    errors : tuple of P arrays (F_d,), optional
        How far the distinct functions are from those that they stand for, at most; None where that is not known.
    scale_errors : array (Q,), optional
        The same for the numbers, into which functions go when their coordinate is held still.
    functions : tuple of P tuples of callables, optional
        What the distinct functions stand for, while that is known (files do not hold it).
    true_scale : array (Q,), optional
        The numbers with these in the place of interpolated ones.

    Examples
    --------
    >>> import inntd as it, numpy as np
    >>> k = it.Axis("k", 1, 2, elements=4, s=1)
    >>> two = Products((k,), (torch.tensor(np.stack([k.nodes, k.nodes**2], axis=1)),), np.array([[0], [1]]), np.ones(2))
    >>> two(torch.tensor([[1.5]], dtype=torch.float64))
    tensor([[1.5000, 2.2500]], dtype=torch.float64)
    >>> two.at([1.5])
    array([1.5 , 2.25])
    """

    axes: tuple[Axis, ...]
    columns: tuple[torch.Tensor, ...]
    index: Indices
    scale: Array
    errors: tuple[Array, ...] | None = None
    scale_errors: Array | None = None
    functions: tuple[tuple[Callable[[Array], Array], ...], ...] | None = None
    true_scale: Array | None = None

    @property
    def known(self) -> bool:
        """Whether it is known how far values are from the true ones, or that they are the same up to rounding."""
        if self.functions is not None and self.true_scale is not None:
            return True
        if self.errors is None:
            return False
        sizes = [np.abs(columns.numpy()).max(axis=0, initial=0.0) for columns in self.columns]
        functions = all((own <= ROUNDING * size).all() for own, size in zip(self.errors, sizes, strict=True))
        return functions and bool((self._scale_errors() <= ROUNDING * np.abs(self.scale)).all())

    def spread(self, points: torch.Tensor) -> Array:
        """Return how far the values (K, Q) at points (K, P) are from those of the true functions; 0 if not known.

        With the functions themselves at hand it is so much, else it is at most that, as far as was seen.
        """
        if self.functions is not None and self.true_scale is not None:
            true = self.true_scale * np.ones((len(points), 1))
            for d, exact in enumerate(self.functions):
                values = np.stack([f(points[:, d].detach().numpy()) for f in exact], axis=1)
                true = true * values[:, self.index[:, d]]
            difference: Array = np.abs(true - self(points).detach().numpy())
            return difference
        plain = np.abs(self.scale) * np.ones((len(points), 1))
        if self.errors is None:
            return np.zeros_like(plain)
        wide = plain + self._scale_errors()
        for d, (axis, columns, own) in enumerate(zip(self.axes, self.columns, self.errors, strict=True)):
            values = np.abs(contract(axis, columns, points[:, d]).numpy())[:, self.index[:, d]]
            plain, wide = plain * values, wide * (values + own[self.index[:, d]])
        found: Array = np.maximum(wide - plain, 0.0)
        return found

    def _scale_errors(self) -> Array:
        return np.zeros_like(self.scale) if self.scale_errors is None else self.scale_errors

    def __call__(self, points: torch.Tensor) -> torch.Tensor:
        """Return the values (K, Q) at points (K, P), differentiable with respect to these."""
        values = torch.from_numpy(self.scale).expand(points.shape[0], -1)
        for d, (axis, columns) in enumerate(zip(self.axes, self.columns, strict=True)):
            values = values * contract(axis, columns, points[:, d])[:, torch.from_numpy(self.index[:, d])]
        return values

    def at(self, point: Sequence[float] | Array) -> Array:
        """Return the values (Q,) at one point inside the axes, in microseconds and without derivatives."""
        x = np.asarray(point, dtype=np.float64)
        values = self.scale
        for d, (axis, columns, first) in enumerate(zip(self.axes, self._expanded, self._first, strict=True)):
            width = axis.table.width
            piece, rows = np.empty(1, dtype=np.int64), np.empty((1, width))
            core.tabulate(axis.table, x[d : d + 1], piece, rows, 0)
            i = first[piece[0]]
            chosen = columns[i : i + width]
            if len(chosen) < width:  # around the seam of a periodic axis
                chosen = columns[(i + np.arange(width)) % axis.size]
            values = values * (rows[0] @ chosen)
        return values

    def fixed(self, d: int, value: float) -> Products:
        """Return the products as functions of the other coordinates, with that of axis `d` held still."""
        point = torch.tensor([value], dtype=torch.float64)
        row = contract(self.axes[d], self.columns[d], point)[0].numpy()
        true = None if self.functions is None else np.array([float(f(point.numpy())[0]) for f in self.functions[d]])
        return self._without(d, row, 1.0, true)

    def averaged(self, d: int, weights: Array) -> Products:
        """Return the products with the functions of axis `d` replaced by their weighted sums over its nodes."""
        return self._without(d, weights @ self.columns[d].numpy(), float(np.abs(weights).sum()), None)

    def _without(self, d: int, row: Array, weight: float, true: Array | None) -> Products:
        own = row[self.index[:, d]]
        errors, scale_errors = None, None
        if self.errors is not None:
            size, slack = np.abs(self.scale), weight * self.errors[d][self.index[:, d]]
            scale_errors = (size + self._scale_errors()) * (np.abs(own) + slack) - size * np.abs(own)
            errors = self.errors[:d] + self.errors[d + 1 :]
        functions, true_scale = None, None
        if true is not None and self.functions is not None and self.true_scale is not None:
            functions = self.functions[:d] + self.functions[d + 1 :]
            true_scale = self.true_scale * true[self.index[:, d]]
        return replace(
            self,
            axes=self.axes[:d] + self.axes[d + 1 :],
            columns=self.columns[:d] + self.columns[d + 1 :],
            index=np.delete(self.index, d, axis=1),
            scale=self.scale * own,
            errors=errors,
            scale_errors=scale_errors,
            functions=functions,
            true_scale=true_scale,
        )

    def __post_init__(self) -> None:
        # Single points take microseconds: what does not depend on them is laid out before.
        expanded = (columns.numpy()[:, own] for columns, own in zip(self.columns, self.index.T, strict=True))
        object.__setattr__(self, "_expanded", tuple(np.ascontiguousarray(values) for values in expanded))
        object.__setattr__(self, "_first", tuple(np.asarray(axis.table.first).tolist() for axis in self.axes))

    _expanded: tuple[Array, ...] = ()
    _first: tuple[list[int], ...] = ()
