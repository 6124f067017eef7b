"""Tucker models: functions of each coordinate, combined by a core tensor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from inntd import _checks
from inntd.axes import Axis
from inntd.models import tucker_functional as functional
from inntd.models.factored import as_array, parameter
from inntd.models.factors import (
    check_axes,
    check_core,
    check_factors,
    check_one_device,
    common_dtype,
    random_tucker,
)
from inntd.models.separated import SeparatedModel
from inntd.models.tucker_form import TuckerForm, refuse_core

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

    # ---------------------------------------------------------------------------------------------------- internals

    def _form(self) -> TuckerForm:
        return TuckerForm(self.axes, self._arrays(), as_array(self.core))

    @classmethod
    def _from_form(cls, form: TuckerForm, dtype: torch.dtype) -> TuckerModel:
        return cls.from_factors(form.axes, form.core, form.factors, dtype=dtype)

    def _values(self, points: torch.Tensor) -> torch.Tensor:
        return functional.values(self.axes, self.core, list(self.factors), points)

    def _jet(self, points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        return functional.jet(self.axes, self.core, list(self.factors), points)

    def _grid(self, vectors: Sequence[torch.Tensor]) -> torch.Tensor:
        return functional.grid(self.axes, self.core, list(self.factors), vectors)

    def _grid_bytes(self, sizes: Sequence[int]) -> int:
        return functional.grid_bytes(self.rank, sizes, self.dtype.itemsize)


def check_ranks(axes: Sequence[Axis], rank: Any) -> tuple[int, ...]:
    """Return one rank per axis from an integer or a sequence of them."""
    if not isinstance(rank, Sequence):
        return (_checks.positive_int("rank", rank),) * len(axes)
    if len(rank) != len(axes):
        raise ValueError(f"rank must be one integer, or one per axis ({len(axes)}), got {len(rank)}")
    return tuple(_checks.positive_int(f"rank of axis {a.name!r}", r) for a, r in zip(axes, rank, strict=True))


def _check_count(axes: tuple[Axis, ...]) -> tuple[Axis, ...]:
    if len(axes) > MOST_AXES:
        raise ValueError(f"a TuckerModel must have at most {MOST_AXES} axes, got {len(axes)}: use a CPModel")
    return axes
