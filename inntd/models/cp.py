"""CP models: sums of products of one function per coordinate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from inntd import _checks
from inntd.axes import Axis
from inntd.models import functional, fused
from inntd.models.conversions import tucker_of_cp
from inntd.models.cp_form import CPForm
from inntd.models.factors import check_axes, check_factors, check_ranks, common_dtype, random_factors
from inntd.models.rounding import round_factors
from inntd.models.separated import SeparatedModel, check_rounding

if TYPE_CHECKING:
    from inntd.models.tucker import TuckerModel


class CPModel(SeparatedModel):
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

    file_kind = "cp"

    def __init__(
        self,
        axes: Sequence[Axis],
        rank: int,
        *,
        factors: Sequence[Any] | None = None,
        dtype: torch.dtype = torch.float64,
        seed: int = 0,
    ) -> None:
        axes, rank = check_axes(axes), _checks.positive_int("rank", rank)
        if factors is None:
            factors = random_factors(axes, rank, seed)
        super().__init__(axes, check_factors(axes, factors, [rank] * len(axes)), dtype)
        self._handle = fused.AxesHandle(axes)

    @classmethod
    def from_factors(cls, axes: Sequence[Axis], factors: Sequence[Any], *, dtype: torch.dtype | None = None) -> CPModel:
        """Return a model with given nodal values of its modes, fixed until ``requires_grad_()``.

        Parameters
        ----------
        axes : sequence of D Axis
        factors : sequence of D arrays or tensors (axis.size, M)
            Copied.
        dtype : torch.dtype, optional
            By default float32 if all factors are, else float64.
        """
        axes = check_axes(axes)
        given = check_factors(axes, factors, None)
        model = cls(axes, given[0].shape[1], factors=given, dtype=dtype or common_dtype(given))
        return model.requires_grad_(False)

    @property
    def rank(self) -> int:
        """The number of modes M."""
        return int(self.factors[0].shape[1])

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
        tolerance = check_rounding(rank, tolerance)
        if rank is not None:
            rank = _checks.positive_int("rank", rank)
        rounded = round_factors(self.axes, self._arrays(), rank, tolerance)
        return self._rounded(CPForm(self.axes, rounded.factors), rounded.error)

    # ------------------------------------------------------------------------------------------------- conversions

    def to_tucker(self, *, rank: int | Sequence[int] | None = None, tolerance: float | None = None) -> TuckerModel:
        """Return the model with a core tensor: exactly by default, in orthonormal functions of each axis.

        Parameters
        ----------
        rank : int or sequence of D int, optional
            Largest ranks; one number stands for all axes.
        tolerance : float, optional
            Largest relative L2 error: the lowest ranks that are found to keep it. Give this or `rank`, or neither.

        Returns
        -------
        TuckerModel
            Where it was rounded, its ``rounding_error`` is the relative L2 distance to this model, measured to full
            precision.

        Raises
        ------
        MemoryError
            When the core does not fit, with its size in GB; with many modes on many axes the exact one is large.

        Examples
        --------
        >>> import inntd as it
        >>> x, y = it.Axis("x", 0, 1, elements=8), it.Axis("y", 0, 2, elements=8)
        >>> u = it.CPModel.from_factors([x, y], [x.nodes[:, None] ** [2, 1, 0], y.nodes[:, None] ** [0, 1, 1]])
        >>> v = u.to_tucker()  # of x², x y and y
        >>> v.rank, v.relative_distance(u) < 1e-14
        ((3, 2), True)
        """
        from inntd.models.tucker import TuckerModel

        exact = rank is None and tolerance is None
        if not exact:
            tolerance = check_rounding(rank, tolerance)
        ranks = None if rank is None else check_ranks(self.axes, rank)
        rounded = tucker_of_cp(self._form(), ranks, tolerance)
        model = TuckerModel._from_form(rounded.form, self.dtype).to(self.device)
        if not exact:
            model.metadata["rounding_error"] = rounded.error
        return model

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

    # ---------------------------------------------------------------------------------------------------- internals

    def _form(self) -> CPForm:
        return CPForm(self.axes, self._arrays())

    @classmethod
    def _from_form(cls, form: CPForm, dtype: torch.dtype) -> CPModel:
        return cls.from_factors(form.axes, form.factors, dtype=dtype)

    def _traced_values(self, points: torch.Tensor) -> torch.Tensor:
        return fused.traced_values(self._handle, list(self.factors), points)

    def _values(self, points: torch.Tensor) -> torch.Tensor:
        return functional.values(self.axes, list(self.factors), points)

    def _jet(self, points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        return functional.jet(self.axes, list(self.factors), points)

    def _grid(self, vectors: Sequence[torch.Tensor]) -> torch.Tensor:
        return functional.grid(self.axes, list(self.factors), vectors)

    def _grid_bytes(self, sizes: Sequence[int]) -> int:
        return functional.grid_bytes(sizes, self.dtype.itemsize)
