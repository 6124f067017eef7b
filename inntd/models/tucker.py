"""Tucker models: functions of each coordinate, combined by a core tensor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from inntd.axes import Axis
from inntd.models import fused, tucker_fused
from inntd.models import tucker_functional as functional
from inntd.models.conversions import cp_of_tucker
from inntd.models.cp import CPModel
from inntd.models.factored import as_array, parameter
from inntd.models.factors import (
    check_axes,
    check_comparable,
    check_core,
    check_factors,
    check_one_device,
    check_ranks,
    common_dtype,
    random_tucker,
)
from inntd.models.separated import SeparatedModel, check_rounding
from inntd.models.tucker_form import TuckerForm, refuse_core
from inntd.models.tucker_rounding import round_tucker

MOST_AXES = 32  # indices of a NumPy array


class TuckerModel(SeparatedModel):
    r"""A separated function of D coordinates with a core of ranks r_1, …, r_D: the Tucker form of INN-TD.

    .. math:: u(x_1, \dots, x_D) = \sum_{r_1 \dots r_D} G[r_1, \dots, r_D] \prod_{d=1}^{D} \sum_i N_{d,i}(x_d)\,
        U_d[i, r_d]

    with the basis functions :math:`N_{d,i}` of axis d. The basis is nodal: columns of the factors :math:`U_d` are
    nodal values of functions of one coordinate, and the core :math:`G` says how they are multiplied and added up. Up to
    about six coupled axes this takes fewer functions than the sum of products of a `CPModel`, and its best
    approximation is found without iterating much; the core grows as the product of the ranks.

    A new model has a trainable core and trainable factors. Models made from factors, by arithmetic, or by slicing are
    fixed; ``model.requires_grad_()`` makes them trainable.

    Parameters
    ----------
    axes : sequence of Axis
        The D coordinates, in the order of the columns of points; names must differ; at most 32.
    rank : int or sequence of D int
        The ranks r_d, at least 1; one number stands for all axes.
    core : array or tensor (r_1, ..., r_D), optional
        Copied. Given together with `factors`; by default random numbers, so that the model is about one everywhere.
    factors : sequence of D arrays or tensors (axis.size, r_d), optional
        Copied.
    dtype : torch.float32 or torch.float64, default torch.float64
    seed : int, default 0
        Of the random numbers.

    Attributes
    ----------
    core : torch.nn.Parameter (r_1, ..., r_D)
    factors : torch.nn.ParameterList
        D parameters (axis.size, r_d).
    metadata : dict
        Anything that JSON carries, saved along: where the model came from, the problem's text, an error estimate.

    Raises
    ------
    ValueError, TypeError
        When an argument is none of these, shapes do not fit, or numbers are not finite.
    MemoryError
        When the core does not fit, with its size in GB.

    References
    ----------
    Tucker, "Some mathematical notes on three-mode factor analysis", Psychometrika 31, 1966. Guo et al., "Interpolating
    Neural Network - Tensor Decomposition (INN-TD)", ICML 2025, arXiv 2503.02041.

    Examples
    --------
    >>> import numpy as np, inntd as it
    >>> x, y = it.Axis("x", 0, 1, elements=8), it.Axis("y", 0, 2, elements=8)
    >>> powers = [np.vander(axis.nodes, 3, increasing=True) for axis in (x, y)]  # 1, x, x² and 1, y, y²
    >>> u = it.TuckerModel.from_factors([x, y], [[0, 0, 1], [0, 3, 0], [5, 0, 0]], powers)  # y² + 3 x y + 5 x²
    >>> u
    TuckerModel(rank=(3, 3), axes=(x: [0, 1], 8 elements, y: [0, 2], 8 elements), 63 parameters, float64)
    >>> u(np.array([[0.2, 1.0]]))
    tensor([1.8000], dtype=torch.float64)
    >>> round(u.integrate(), 10), round(u.at(x=0.2, y=1.0), 10)
    (9.0, 1.8)
    """

    file_kind = "tucker"
    core: torch.nn.Parameter

    def __init__(
        self,
        axes: Sequence[Axis],
        rank: int | Sequence[int],
        *,
        core: Any = None,
        factors: Sequence[Any] | None = None,
        dtype: torch.dtype = torch.float64,
        seed: int = 0,
    ) -> None:
        axes = _check_count(check_axes(axes))
        ranks = check_ranks(axes, rank)
        if (core is None) != (factors is None):
            raise ValueError("core and factors must be given together, got only one of them")
        if core is None or factors is None:
            refuse_core("a Tucker model", ranks, "use lower ranks, or a CPModel")
            core, factors = random_tucker(axes, ranks, seed)
        tensor = check_core(axes, core)
        if tuple(tensor.shape) != ranks:
            raise ValueError(f"core must have shape {ranks}, got {tuple(tensor.shape)}")
        given = check_factors(axes, factors, ranks)
        check_one_device([tensor, *given])
        super().__init__(axes, given, dtype)
        self.core = parameter(tensor, dtype)
        self._handle = fused.AxesHandle(axes)

    @classmethod
    def from_factors(
        cls, axes: Sequence[Axis], core: Any, factors: Sequence[Any], *, dtype: torch.dtype | None = None
    ) -> TuckerModel:
        """Return a model with a given core and given nodal values, fixed until ``requires_grad_()``.

        Parameters
        ----------
        axes : sequence of D Axis
        core : array or tensor (r_1, ..., r_D)
            Copied.
        factors : sequence of D arrays or tensors (axis.size, r_d)
            Copied.
        dtype : torch.dtype, optional
            By default float32 if the core and all factors are, else float64.
        """
        axes = _check_count(check_axes(axes))
        tensor = check_core(axes, core)
        given = check_factors(axes, factors, tuple(tensor.shape))
        model = cls(
            axes, tuple(tensor.shape), core=tensor, factors=given, dtype=dtype or common_dtype([tensor, *given])
        )
        return model.requires_grad_(False)

    @property
    def rank(self) -> tuple[int, ...]:
        """The ranks r_1, …, r_D: how many functions each axis has."""
        return tuple(self.core.shape)

    def round(self, *, rank: int | Sequence[int] | None = None, tolerance: float | None = None) -> TuckerModel:
        """Return a model of lower ranks close to this one in L2, and say how close.

        Parameters
        ----------
        rank : int or sequence of D int, optional
            Largest ranks; one number stands for all axes.
        tolerance : float, optional
            Largest relative L2 error, above 0. The lowest ranks that are found to keep it. Give this or `rank`.

        Returns
        -------
        TuckerModel
            Its factors are orthonormal functions, in the order of falling singular values; its ``rounding_error`` is
            the relative L2 distance to this model, measured to full precision.

        Notes
        -----
        A truncated higher-order singular value decomposition, improved by orthogonal iteration: see
        `inntd.models.tucker_rounding`. The error is at most √D times the best one for the ranks, mostly close
        to it.

        Examples
        --------
        >>> import inntd as it
        >>> axes = [it.Axis(name, 0, 1, elements=8) for name in "xyz"]
        >>> u = it.TuckerModel.from_factors(axes, [[[1.0]]], [axis.nodes[:, None] ** 2 for axis in axes])
        >>> v = (u + 1 + u).round(tolerance=1e-12)
        >>> v.rank, v.rounding_error < 1e-14, v.relative_distance(2 * u + 1) < 1e-14
        ((2, 2, 2), True, True)
        """
        tolerance = check_rounding(rank, tolerance)
        ranks = None if rank is None else check_ranks(self.axes, rank)
        rounded = round_tucker(self._form(), ranks, tolerance)
        return self._rounded(rounded.form, rounded.error)

    # ------------------------------------------------------------------------------------------------- conversions

    def to_cp(self, *, rank: int | None = None, tolerance: float | None = None) -> CPModel:
        """Return the model as a sum of products: exactly by default, with one mode per fibre of the core.

        Parameters
        ----------
        rank : int, optional
            Largest number of modes: the exact ones are rounded, see `CPModel.round`.
        tolerance : float, optional
            Largest relative L2 error of that.

        Returns
        -------
        CPModel
            At most the product of all ranks but the largest modes; its ``rounding_error`` is the relative L2 distance
            to this model where it was rounded.

        Raises
        ------
        MemoryError
            When the modes do not fit, with their size in GB.

        Examples
        --------
        >>> import inntd as it
        >>> u = it.TuckerModel([it.Axis(name, 0, 1, elements=8) for name in "xyz"], [4, 2, 3])
        >>> u.to_cp().rank, u.to_cp().relative_distance(u) < 1e-14
        (6, True)
        """
        exact = CPModel._from_form(cp_of_tucker(self._form()), self.dtype).to(self.device)
        return exact if rank is None and tolerance is None else exact.round(rank=rank, tolerance=tolerance)

    def to_tensorly(self) -> Any:
        """Return core and nodal values as a `tensorly.tucker_tensor.TuckerTensor` of NumPy arrays.

        Examples
        --------
        >>> import inntd as it
        >>> u = it.TuckerModel([it.Axis(name, 0, 1, elements=8) for name in "xyz"], [4, 2, 3])
        >>> u.to_tensorly().rank
        (4, 2, 3)
        """
        from tensorly.tucker_tensor import TuckerTensor

        core, *factors = (part.detach().cpu().numpy().copy() for part in (self.core, *self.factors))
        return TuckerTensor((core, factors))

    @classmethod
    def from_tensorly(cls, axes: Sequence[Axis], tucker: Any) -> TuckerModel:
        """Return the model that interpolates the nodal values of a `tensorly.tucker_tensor.TuckerTensor`.

        Parameters
        ----------
        axes : sequence of Axis
            One per factor.
        tucker : TuckerTensor, or pair of a core (r_1, ..., r_D) and factors (n_d, r_d)

        Examples
        --------
        >>> import inntd as it, numpy as np, tensorly
        >>> x, y = it.Axis("x", 0, 1, elements=8), it.Axis("y", 0, 1, elements=8)
        >>> values = np.exp(-np.add.outer(x.nodes, y.nodes) ** 2)
        >>> u = it.TuckerModel.from_tensorly([x, y], tensorly.decomposition.tucker(values, rank=[5, 5]))
        >>> round(u.at(x=0.5, y=0.25), 4), round(float(np.exp(-0.75**2)), 4)
        (0.5698, 0.5698)
        """
        core, factors = tucker
        return cls.from_factors(axes, core, list(factors))

    # ---------------------------------------------------------------------------------------------------- internals

    def _operand(self, other: Any) -> TuckerModel | None:
        if isinstance(other, CPModel):
            check_comparable(self.axes, other.axes, same_mesh=True)
            return other.to_tucker()
        return super()._operand(other)

    def _form(self) -> TuckerForm:
        return TuckerForm(self.axes, self._arrays(), as_array(self.core))

    @classmethod
    def _from_form(cls, form: TuckerForm, dtype: torch.dtype) -> TuckerModel:
        return cls.from_factors(form.axes, form.core, form.factors, dtype=dtype)

    def _traced_values(self, points: torch.Tensor) -> torch.Tensor:
        return tucker_fused.traced_values(self._handle, self.core, list(self.factors), points)

    def _values(self, points: torch.Tensor) -> torch.Tensor:
        return functional.values(self.axes, self.core, list(self.factors), points)

    def _jet(self, points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        return functional.jet(self.axes, self.core, list(self.factors), points)

    def _grid(self, vectors: Sequence[torch.Tensor]) -> torch.Tensor:
        return functional.grid(self.axes, self.core, list(self.factors), vectors)

    def _grid_bytes(self, sizes: Sequence[int]) -> int:
        return functional.grid_bytes(self.rank, sizes, self.dtype.itemsize)


def _check_count(axes: tuple[Axis, ...]) -> tuple[Axis, ...]:
    if len(axes) > MOST_AXES:
        raise ValueError(f"a TuckerModel must have at most {MOST_AXES} axes, got {len(axes)}: use a CPModel")
    return axes
