"""CP models: sums of products of one function per coordinate."""

from __future__ import annotations

import numbers
import os
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from inntd import _checks
from inntd.axes import Axis
from inntd.models import algebra, functional, memory
from inntd.models.error import Separated, relative_error
from inntd.models.factored import Factored
from inntd.models.factors import check_axes, check_comparable, check_factors
from inntd.models.metric import integrals
from inntd.models.norms import exp
from inntd.models.points import Extrapolate, as_tensor, check_coordinates, check_points
from inntd.models.rounding import round_factors

Norm: TypeAlias = Literal["L2", "H1"]
NORMS: tuple[Norm, ...] = ("L2", "H1")


class CPModel(Factored):
    r"""A separated function of D coordinates with M modes, the canonical polyadic (CP) form of INN-TD.

    .. math:: u(x_1, \dots, x_D) = \sum_{m=1}^{M} \prod_{d=1}^{D} \sum_i N_{d,i}(x_d)\, U_d[i, m]

    with the basis functions :math:`N_{d,i}` of axis d. The basis is nodal: entries of the factors :math:`U_d` are the
    modes' values at the nodes. A discrete axis makes a vector-valued function, with one component per value.

    A new model has trainable factors. Models made from factors, by arithmetic, or by slicing are fixed: they are
    evaluated by the compiled core, without a graph; ``model.requires_grad_()`` makes them trainable.

    Parameters
    ----------
    axes : sequence of Axis
        The D coordinates, in the order of the columns of points; names must differ.
    rank : int
        The number of modes M, at least 1.
    factors : sequence of D arrays or tensors (axis.size, rank), optional
        Copied. By default random numbers around one, scaled so that the model is about one everywhere.
    dtype : torch.float32 or torch.float64, default torch.float64
    seed : int, default 0
        Of the random numbers.

    Attributes
    ----------
    factors : torch.nn.ParameterList
        D parameters (axis.size, rank).
    metadata : dict
        Anything that JSON carries, saved along: where the model came from, the problem's text, an error estimate.

    Raises
    ------
    ValueError, TypeError
        When an argument is none of these, shapes do not fit, or factors are not finite.

    References
    ----------
    Guo et al., "Interpolating Neural Network - Tensor Decomposition (INN-TD)", ICML 2025, arXiv 2503.02041.

    Examples
    --------
    >>> import numpy as np, inntd as it
    >>> x, y = it.Axis("x", 0, 1, elements=8), it.Axis("y", 0, 2, elements=8)
    >>> u = it.CPModel.from_factors([x, y], [x.nodes[:, None] ** 2, y.nodes[:, None]])  # x² y
    >>> u(np.array([[0.3, 1.5]]))
    tensor([0.1350], dtype=torch.float64)
    >>> round(u.integrate(), 12), round(u.at(x=0.5).norm() ** 2, 12)
    (0.666666666667, 0.166666666667)
    """

    exact_statistics: bool = True
    __array_ufunc__ = None  # a NumPy number on the left leaves the arithmetic to the model

    # ------------------------------------------------------------------------------------------------- evaluation

    def forward(self, points: Any, *, extrapolate: Extrapolate = "raise") -> torch.Tensor:
        """Return the values at points.

        Parameters
        ----------
        points : tensor or array (K, D)
            A tensor must have the model's dtype and device. Columns belong to `axes`; on a discrete axis they hold
            the whole numbers 0, 1, ….
        extrapolate : {"raise", "clamp"}, default "raise"
            What to do with points outside the mesh: refuse them, or move them to the nearest end.

        Returns
        -------
        tensor (K,)
            Differentiable with respect to factors and points, any number of times. Across a node first derivatives
            are continuous with the default basis (not with `LinearBasis`, nor at breaks), **second derivatives
            jump**: at the node itself they are those of the element on its right.

        Raises
        ------
        ValueError, TypeError
            When points have another shape, dtype or device, are not finite, or lie outside the mesh.
        """
        points = check_points(points, self.axes, self._first, extrapolate)
        return functional.values(self.axes, list(self.factors), points)

    def jet(
        self, points: Any, *, extrapolate: Extrapolate = "raise"
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return values (K,), gradients (K, D) and diagonal second derivatives (K, D) at points (K, D).

        In one pass, without differentiating a graph. Second derivatives jump at nodes, see `forward`; derivatives
        along a discrete axis are zero.

        Examples
        --------
        >>> import numpy as np, inntd as it
        >>> x = it.Axis("x", 0, 1, elements=8)
        >>> u = it.CPModel.from_factors([x], [x.nodes[:, None] ** 3])
        >>> value, gradient, second = u.jet(np.array([[0.3]]))
        >>> round(gradient.item(), 12), round(second.item(), 11)
        (0.27, 1.8)
        """
        points = check_points(points, self.axes, self._first, extrapolate)
        return functional.jet(self.axes, list(self.factors), points)

    def grid(
        self, vectors: Mapping[str, Any] | None = None, /, *, memory_limit_gb: float | None = None, **named: Any
    ) -> torch.Tensor:
        """Return the values on the grid spanned by one vector of coordinates per axis.

        Parameters
        ----------
        vectors : mapping, optional
            For names that are no identifiers: ``u.grid({"x[1]": a, "x[2]": b})``.
        memory_limit_gb : float, optional
            Refuse larger results. By default most of the available memory.
        **named : vectors (K_d,), or numbers
            Axes given by a number are held still and do not appear in the result.

        Returns
        -------
        tensor (K_1, ..., K_D)
            In the order of the axes.

        Raises
        ------
        MemoryError
            When the result does not fit, with its size in GB; nothing was computed then.
        ValueError, TypeError
            When an axis is missing or unknown, or its coordinates are wrong.

        Examples
        --------
        >>> import inntd as it
        >>> x, y = it.Axis("x", 0, 1, elements=8), it.Axis("y", 0, 2, elements=8)
        >>> u = it.CPModel.from_factors([x, y], [x.nodes[:, None] ** 2, y.nodes[:, None]])
        >>> u.grid(x=[0.5, 1.0], y=[0.5, 1.0, 2.0])
        tensor([[0.1250, 0.2500, 0.5000],
                [0.5000, 1.0000, 2.0000]], dtype=torch.float64)
        """
        given = self._named(vectors, named)
        missing = [axis.name for axis in self.axes if axis not in given]
        if missing:
            raise ValueError(f"grid must be given a vector for every axis, got none for {', '.join(missing)}: "
                             "hold others still with a number")  # fmt: skip
        arrays = {axis: as_tensor(axis.name, value, self._first) for axis, value in given.items()}
        for axis, x in arrays.items():
            if x.ndim > 1:
                raise ValueError(f"{axis.name} must be a vector or a number, got shape {tuple(x.shape)}")
            check_coordinates(x.reshape(-1), axis, name=axis.name)
        sizes = [arrays[axis].numel() for axis in self.axes if arrays[axis].ndim == 1]
        shape = " x ".join(map(str, sizes)) or "1"
        needed = functional.grid_bytes(sizes, self.dtype.itemsize)
        memory.refuse_beyond(f"a grid of {shape} values", needed, memory_limit_gb,
                             "use fewer points, hold axes still, or evaluate part by part")  # fmt: skip
        full = functional.grid(self.axes, list(self.factors), [arrays[axis].reshape(-1) for axis in self.axes])
        return full.reshape(sizes)

    # ------------------------------------------------------------------------------------- slices, integrals, means

    def at(self, coordinates: Mapping[str, Any] | None = None, /, **fixed: Any) -> Any:
        """Return the model of the remaining axes with others held still.

        Parameters
        ----------
        coordinates : mapping, optional
            For names that are no identifiers: ``u.at({"x[1]": 0.5})``.
        **fixed : float
            Coordinates inside the mesh, by name.

        Returns
        -------
        CPModel or float
            A fixed model of the same rank; a float when no axis remains.

        Examples
        --------
        >>> import inntd as it
        >>> x, y = it.Axis("x", 0, 1, elements=8), it.Axis("y", 0, 2, elements=8)
        >>> u = it.CPModel.from_factors([x, y], [x.nodes[:, None] ** 2, y.nodes[:, None]])
        >>> u.at(y=1.0)
        CPModel(rank=1, axes=(x: [0, 1], 8 elements), 9 parameters, float64)
        >>> round(u.at(x=0.5, y=2.0), 12)
        0.5
        """
        return self._reduced({axis: self._row(axis, value) for axis, value in self._named(coordinates, fixed).items()})

    def integrate(self, *axes: Axis | str) -> Any:
        """Return the integral over some axes (all by default), a sum over discrete ones.

        Exact for the model. A fixed model of the remaining axes, or a float when none remains.
        """
        return self._reduced({axis: integrals(axis) @ self._array(axis) for axis in self._chosen(axes)})

    def mean(self, *axes: Axis | str) -> Any:
        """Return the mean over some axes (all by default): the integral over their length, or number of values.

        Exact for the model. A fixed model of the remaining axes, or a float when none remains.
        """
        return self._reduced(
            {axis: (integrals(axis) / _measure(axis)) @ self._array(axis) for axis in self._chosen(axes)}
        )

    # ------------------------------------------------------------------------------------- norms and inner products

    def inner(self, other: CPModel) -> float:
        """Return the L2 inner product with another model on the same intervals; meshes may differ."""
        other = self._comparable(other)
        return algebra.inner([self.axes, other.axes], [self._arrays(), other._arrays()])

    def norm(self, kind: Norm = "L2") -> float:
        """Return the L2 norm over all axes, or the H1 norm: with all first derivatives along axes of kind space."""
        self._check_norm(kind)
        return exp(algebra.log_length([self.axes], [self._arrays()], [1.0], kind))

    def distance(self, other: CPModel, kind: Norm = "L2") -> float:
        """Return the norm of the difference to another model on the same intervals; meshes may differ.

        Unlike ``inner(u, u) - 2 inner(u, v) + inner(v, v)`` it does not lose half of the digits, and tells models apart
        that agree to 14: see `inntd.models.norms`.
        """
        return exp(self._log_distance(other, kind))

    def relative_distance(self, other: CPModel, kind: Norm = "L2") -> float:
        """Return the distance to another model over that model's norm; it does not overflow with many axes.

        Raises
        ------
        ValueError
            When `other` is zero.
        """
        size = algebra.log_length([self._comparable(other).axes], [other._arrays()], [1.0], self._check_norm(kind))
        if size == -np.inf:
            raise ValueError("other must not vanish: a distance relative to zero is not defined; use distance")
        return exp(self._log_distance(other, kind) - size)

    def error(self, exact: Separated | CPModel) -> float:
        """Return the relative L2 distance to an exact solution that need not be in the model's space.

        Parameters
        ----------
        exact : SeparatedFunction, or CPModel
            ``.axes``, and ``.terms``: pairs of a number and one vectorised function (or None for one) per axis.

        Raises
        ------
        ValueError
            When the axes do not match, or `exact` is zero.
        """
        if isinstance(exact, CPModel):
            return self.relative_distance(exact)
        return relative_error(self.axes, self._arrays(), exact)

    # --------------------------------------------------------------------------------------------------- arithmetic

    def __add__(self, other: Any) -> CPModel:
        operand = self._operand(other)
        return NotImplemented if operand is None else self._joined(operand, 1.0)

    def __sub__(self, other: Any) -> CPModel:
        operand = self._operand(other)
        return NotImplemented if operand is None else self._joined(operand, -1.0)

    __radd__ = __add__

    def __rsub__(self, other: Any) -> CPModel:
        return (-self).__add__(other)

    def __mul__(self, number: Any) -> CPModel:
        if not _is_number(number):
            return NotImplemented
        number = _checks.finite_float("number", number)
        factors = self._arrays()
        return self._with(self.axes, [factors[0] * number, *factors[1:]])

    __rmul__ = __mul__

    def __truediv__(self, number: Any) -> CPModel:
        if not _is_number(number):
            return NotImplemented
        return self.__mul__(1.0 / float(number))

    def __neg__(self) -> CPModel:
        return self * -1.0

    def round(self, *, rank: int | None = None, tolerance: float | None = None) -> CPModel:
        """Return a model of fewer modes close to this one in L2, and say how close.

        Parameters
        ----------
        rank : int, optional
            Largest number of modes.
        tolerance : float, optional
            Largest relative L2 error, above 0. The fewest modes that are found to keep it; all of them, less zero and
            repeated ones, when fewer do not. Give this or `rank`.

        Returns
        -------
        CPModel
            Its ``rounding_error`` is the relative L2 distance to this model, measured to full precision.

        Notes
        -----
        One and two axes: the best approximation. More: alternating least squares, see `inntd.models.rounding`; the
        same bits every time.

        Examples
        --------
        >>> import inntd as it
        >>> x, y = it.Axis("x", 0, 1, elements=8), it.Axis("y", 0, 2, elements=8)
        >>> u = it.CPModel.from_factors([x, y], [x.nodes[:, None] ** 2, y.nodes[:, None]])
        >>> v = (u + u + u).round(tolerance=1e-12)
        >>> v.rank, v.rounding_error < 1e-14, v.relative_distance(3 * u) < 1e-14
        (1, True, True)
        """
        if (rank is None) == (tolerance is None):
            raise ValueError(f"round must be given either rank or tolerance, got rank={rank}, tolerance={tolerance}")
        if rank is not None:
            rank = _checks.positive_int("rank", rank)
        if tolerance is not None:
            tolerance = _checks.finite_float("tolerance", tolerance, positive=True)
        rounded = round_factors(self.axes, self._arrays(), rank, tolerance)
        model = self._with(self.axes, rounded.factors)
        model.metadata["rounding_error"] = rounded.error
        return model

    @property
    def rounding_error(self) -> float | None:
        """The relative L2 distance to the model that this one was rounded from; None when it was not rounded."""
        return self.metadata.get("rounding_error")

    # ------------------------------------------------------------------------------------------------- conversions

    def to_tensorly(self) -> Any:
        """Return the nodal values as a `tensorly.cp_tensor.CPTensor` of NumPy arrays, with weights one."""
        from tensorly.cp_tensor import CPTensor

        factors = [factor.detach().cpu().numpy().copy() for factor in self.factors]
        return CPTensor((np.ones(self.rank, dtype=factors[0].dtype), factors))

    @classmethod
    def from_tensorly(cls, axes: Sequence[Axis], cp: Any) -> CPModel:
        """Return the model that interpolates the nodal values of a `tensorly.cp_tensor.CPTensor`.

        Parameters
        ----------
        axes : sequence of Axis
            One per factor.
        cp : CPTensor, or pair of weights (M,) or None, and factors (n_d, M)
        """
        weights, factors = cp
        given = check_factors(check_axes(axes), list(factors), None)
        if weights is not None:
            scale = torch.as_tensor(np.asarray(weights)).to(given[0].dtype).reshape(-1)
            if scale.shape != (given[0].shape[1],):
                raise ValueError(f"weights must have shape ({given[0].shape[1]},), got {tuple(scale.shape)}")
            given[0] = given[0] * scale.to(given[0].device)
        return cls.from_factors(axes, given)

    def save(
        self,
        path: str | os.PathLike[str],
        *,
        overwrite: bool = False,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        """Write the model to a file that `inntd.load` reads, to the bit; see `inntd.models.files`.

        The file is written aside and then renamed: an error, such as a full disk, leaves an old file as it was.

        Parameters
        ----------
        path : path
            ``.inntd`` is the usual suffix.
        overwrite : bool, default False
            Replace an existing file.
        metadata : mapping, optional
            More entries for the model's `metadata` in the file.

        Raises
        ------
        FileExistsError
            When the file exists and `overwrite` is False.
        OSError
            When writing fails.
        """
        from inntd.models.files import save

        save(self, path, overwrite=overwrite, metadata=metadata)

    # ---------------------------------------------------------------------------------------------------- internals

    def _reduced(self, rows: Mapping[Axis, npt.NDArray[np.float64]]) -> Any:
        if not rows:
            return self._with(self.axes, self._arrays())
        rest = [axis for axis in self.axes if axis not in rows]
        if not rest:
            return algebra.total(list(rows.values()), self.rank)
        return self._with(rest, algebra.fold(list(rows.values()), [self._array(axis) for axis in rest]))

    def _row(self, axis: Axis, value: Any) -> npt.NDArray[np.float64]:
        x = np.asarray(value.detach().cpu() if isinstance(value, torch.Tensor) else value)
        if x.ndim != 0 or x.dtype.kind not in "fiu":
            raise TypeError(f"{axis.name} must be a number, got {value!r}; for many coordinates use grid")
        point = torch.tensor([float(x)], dtype=torch.float64)
        check_coordinates(point, axis, name=axis.name)
        factor = torch.from_numpy(self._array(axis))
        row: npt.NDArray[np.float64] = functional.contract(axis, factor, point)[0].numpy()
        return row

    def _operand(self, other: Any) -> CPModel | None:
        """Return a model to add: a number is a constant function."""
        if isinstance(other, CPModel):
            check_comparable(self.axes, other.axes, same_mesh=True)
            return other
        if not _is_number(other):
            return None
        ones = [np.ones((axis.size, 1)) for axis in self.axes]
        ones[0] *= _checks.finite_float("number", other)
        return self._with(self.axes, ones)

    def _joined(self, other: CPModel, sign: float) -> CPModel:
        own, others = self._arrays(), other._arrays()
        others[0] = others[0] * sign
        factors = [np.hstack(pair) for pair in zip(own, others, strict=True)]
        dtype = torch.promote_types(self.dtype, other.dtype)
        return type(self).from_factors(self.axes, factors, dtype=dtype).to(self.device)

    def _comparable(self, other: CPModel) -> CPModel:
        if not isinstance(other, CPModel):
            raise TypeError(f"other must be a CPModel, got {type(other).__name__}")
        check_comparable(self.axes, other.axes)
        return other

    def _log_distance(self, other: CPModel, kind: Norm) -> float:
        self._check_norm(kind)
        axes, factors = [self.axes, self._comparable(other).axes], [self._arrays(), other._arrays()]
        return algebra.log_length(axes, factors, [1.0, -1.0], kind)

    def _check_norm(self, kind: Norm) -> Norm:
        kind = _checks.one_of("kind", kind, NORMS)
        if kind == "H1" and not any(axis.kind == "space" and not axis.discrete for axis in self.axes):
            raise ValueError("kind must be 'L2' for a model without an axis of kind 'space', got 'H1'")
        return kind


def _measure(axis: Axis) -> float:
    return float(axis.size) if axis.discrete else axis.domain[1] - axis.domain[0]


def _is_number(value: Any) -> bool:
    if isinstance(value, bool):
        return False
    return isinstance(value, numbers.Real) or (isinstance(value, torch.Tensor | np.ndarray) and value.ndim == 0)
