"""What models of every form do: evaluation, slices, integrals, norms, sums and files."""

from __future__ import annotations

import numbers
import os
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, TypeAlias, TypeVar

import numpy as np
import torch

from inntd import _checks
from inntd.axes import Axis
from inntd.models import comparison, files, memory
from inntd.models.conveniences import Conveniences
from inntd.models.doubled import Array
from inntd.models.error import Separated, relative_error
from inntd.models.factored import Factored
from inntd.models.factors import check_comparable
from inntd.models.forms import Form
from inntd.models.metric import integrals
from inntd.models.norms import exp
from inntd.models.points import Extrapolate, check_coordinates, check_points
from inntd.models.rows import contract

Norm: TypeAlias = Literal["L2", "H1"]
NORMS: tuple[Norm, ...] = ("L2", "H1")
Model = TypeVar("Model", bound="SeparatedModel")


class SeparatedModel(Conveniences, Factored):
    """A function of D coordinates from functions of one; `CPModel` and `TuckerModel` say how these are combined."""

    exact_statistics: bool = True
    __array_ufunc__ = None  # a NumPy number on the left leaves the arithmetic to the model
    file_kind: ClassVar[str]  # what files call this class of models

    @abstractmethod
    def _values(self, points: torch.Tensor) -> torch.Tensor:
        """Return the values (K,) at points that were checked."""

    @abstractmethod
    def _traced_values(self, points: torch.Tensor) -> torch.Tensor:
        """Return the values by an operator that checks the points itself, for torch.compile."""

    @abstractmethod
    def _jet(self, points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return values, gradients and second derivatives at points that were checked."""

    @abstractmethod
    def _grid(self, vectors: Sequence[torch.Tensor]) -> torch.Tensor:
        """Return the values on the grid of coordinates that were checked."""

    @abstractmethod
    def _grid_bytes(self, sizes: Sequence[int]) -> int:
        """Return the memory that a grid takes while it is computed."""

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
        if torch.compiler.is_compiling() and isinstance(points, torch.Tensor) and extrapolate == "raise":
            return self._traced_values(points)
        points = check_points(points, self.axes, self._first, extrapolate)
        return self._values(points)

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
        return self._jet(points)

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
        arrays = self._grid_vectors(given, self._first)
        sizes = [x.numel() for x in arrays if x.ndim == 1]
        shape = " x ".join(map(str, sizes)) or "1"
        needed = self._grid_bytes([x.numel() for x in arrays])
        memory.refuse_beyond(f"a grid of {shape} values", needed, memory_limit_gb,
                             "use fewer points, hold axes still, or evaluate part by part")  # fmt: skip
        return self._grid([x.reshape(-1) for x in arrays]).reshape(sizes)

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
        model or float
            A fixed model of the same class; a float when no axis remains.

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

    def inner(self, other: SeparatedModel) -> float:
        """Return the L2 inner product with another model on the same intervals; form and meshes may differ."""
        return comparison.inner(self._form(), self._comparable(other)._form())

    def norm(self, kind: Norm = "L2") -> float:
        """Return the L2 norm over all axes, or the H1 norm: with all first derivatives along axes of kind space."""
        return exp(comparison.log_length(self._form(), self._check_norm(kind)))

    def distance(self, other: SeparatedModel, kind: Norm = "L2") -> float:
        """Return the norm of the difference to another model on the same intervals; form and meshes may differ.

        Unlike ``inner(u, u) - 2 inner(u, v) + inner(v, v)`` it does not lose half of the digits, and tells models apart
        that agree to 14: see `inntd.models.comparison`.
        """
        return exp(self._log_distance(other, kind))

    def relative_distance(self, other: SeparatedModel, kind: Norm = "L2") -> float:
        """Return the distance to another model over that model's norm; it does not overflow with many axes.

        Raises
        ------
        ValueError
            When `other` is zero.
        """
        size = comparison.log_length(self._comparable(other)._form(), self._check_norm(kind))
        if size == -np.inf:
            raise ValueError("other must not vanish: a distance relative to zero is not defined; use distance")
        return exp(self._log_distance(other, kind) - size)

    def error(self, exact: Separated | SeparatedModel) -> float:
        """Return the relative L2 distance to an exact solution that need not be in the model's space.

        Parameters
        ----------
        exact : SeparatedFunction, or model
            ``.axes``, and ``.terms``: pairs of a number and one vectorised function (or None for one) per axis.

        Raises
        ------
        TypeError
            When `exact` is none of these.
        ValueError
            When the axes do not match, or `exact` is zero.
        """
        if isinstance(exact, SeparatedModel):
            return self.relative_distance(exact)
        if not (hasattr(exact, "axes") and hasattr(exact, "terms")):
            raise TypeError(
                "exact must be a model or a sum of products of functions of one axis each, such as problem.exact, "
                f"got {type(exact).__name__}; problem.exact is None where no exact solution was given or where it does "
                "not factor by axis: then compare values, model(points) with problem.exact_function(points)"
            )
        return relative_error(self._form(), exact)

    # --------------------------------------------------------------------------------------------------- arithmetic

    def __add__(self: Model, other: Any) -> Model:
        operand = self._operand(other)
        return NotImplemented if operand is None else self._joined(operand, 1.0)

    def __sub__(self: Model, other: Any) -> Model:
        operand = self._operand(other)
        return NotImplemented if operand is None else self._joined(operand, -1.0)

    def __radd__(self: Model, other: Any) -> Model:
        return self.__add__(other)

    def __rsub__(self: Model, other: Any) -> Model:
        return (-self).__add__(other)

    def __mul__(self: Model, number: Any) -> Model:
        if not _is_number(number):
            return NotImplemented
        return self._with(self._form().times(_checks.finite_float("number", number)))

    def __rmul__(self: Model, number: Any) -> Model:
        return self.__mul__(number)

    def __truediv__(self: Model, number: Any) -> Model:
        if not _is_number(number):
            return NotImplemented
        return self.__mul__(1.0 / float(number))

    def __neg__(self: Model) -> Model:
        return self * -1.0

    @property
    def rounding_error(self) -> float | None:
        """The relative L2 distance to the model that this one was rounded from; None when it was not rounded."""
        return self.metadata.get("rounding_error")

    # -------------------------------------------------------------------------------------------------------- files

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
        files.save(self, path, overwrite=overwrite, metadata=metadata)

    # ---------------------------------------------------------------------------------------------------- internals

    def _reduced(self, rows: Mapping[Axis, Array]) -> Any:
        found = self._form().reduced(rows) if rows else self._form()
        return self._with(found) if isinstance(found, Form) else found

    def _row(self, axis: Axis, value: Any) -> Array:
        x = np.asarray(value.detach().cpu() if isinstance(value, torch.Tensor) else value)
        if x.ndim != 0 or x.dtype.kind not in "fiu":
            raise TypeError(f"{axis.name} must be a number, got {value!r}; for many coordinates use grid")
        point = torch.tensor([float(x)], dtype=torch.float64)
        check_coordinates(point, axis, name=axis.name)
        factor = torch.from_numpy(self._array(axis))
        row: Array = contract(axis, factor, point)[0].numpy()
        return row

    def _operand(self: Model, other: Any) -> Model | None:
        """Return a model of this class to add: a number is a constant function."""
        if isinstance(other, type(self)):
            check_comparable(self.axes, other.axes, same_mesh=True)
            return other
        if not _is_number(other):
            return None
        return self._with(type(self._form()).constant(self.axes, _checks.finite_float("number", other)))

    def _joined(self: Model, other: Model, sign: float) -> Model:
        dtype = torch.promote_types(self.dtype, other.dtype)
        return type(self)._from_form(self._form().plus(other._form(), sign), dtype).to(self.device)

    def _rounded(self: Model, form: Form, error: float) -> Model:
        model = self._with(form)
        model.metadata["rounding_error"] = error
        return model

    def _comparable(self, other: SeparatedModel) -> SeparatedModel:
        if not isinstance(other, SeparatedModel):
            raise TypeError(f"other must be a CPModel or a TuckerModel, got {type(other).__name__}")
        check_comparable(self.axes, other.axes)
        return other

    def _log_distance(self, other: SeparatedModel, kind: Norm) -> float:
        return comparison.log_distance(self._form(), self._comparable(other)._form(), self._check_norm(kind))

    def _check_norm(self, kind: Norm) -> Norm:
        kind = _checks.one_of("kind", kind, NORMS)
        if kind == "H1" and not any(axis.kind == "space" and not axis.discrete for axis in self.axes):
            raise ValueError("kind must be 'L2' for a model without an axis of kind 'space', got 'H1'")
        return kind


def check_rounding(rank: Any, tolerance: float | None) -> float | None:
    """Return the tolerance of a rounding, or raise unless either it or the rank is given."""
    if (rank is None) == (tolerance is None):
        raise ValueError(f"round must be given either rank or tolerance, got rank={rank}, tolerance={tolerance}")
    return None if tolerance is None else _checks.finite_float("tolerance", tolerance, positive=True)


def _measure(axis: Axis) -> float:
    return float(axis.size) if axis.discrete else axis.domain[1] - axis.domain[0]


def _is_number(value: Any) -> bool:
    if isinstance(value, bool):
        return False
    return isinstance(value, numbers.Real) or (isinstance(value, torch.Tensor | np.ndarray) and value.ndim == 0)
