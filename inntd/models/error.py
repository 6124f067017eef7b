"""Distance of a model to a separated function that need not be in its space."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from inntd.axes import Axis
from inntd.axes.functions import Function
from inntd.models.comparison import log_difference
from inntd.models.cp_form import CPForm
from inntd.models.doubled import Array
from inntd.models.forms import Form
from inntd.models.metric import Columns, block
from inntd.models.norms import exp, log_norm
from inntd.models.tucker_form import TuckerForm


class Separated(Protocol):
    """A sum of products of functions of one coordinate each."""

    @property
    def axes(self) -> Sequence[Axis]:
        """The coordinates, D of them."""
        ...

    @property
    def terms(self) -> Sequence[tuple[float, Sequence[Callable[[Array], Any] | None]]]:
        """Pairs of a number and D vectorised functions, None for the constant one."""
        ...


def relative_error(form: Form, exact: Separated) -> float:
    r"""Return :math:`\\|u - u_{exact}\\| / \\|u_{exact}\\|` in L2 over all axes.

    Both are sampled at Gauss points of each axis, on cells that are halved where a function of `exact` is narrow, and
    brought into orthonormal coordinates together; the norm of the difference then loses no digits (`norms.py`). Errors
    of 1e-14 are seen as such, on any number of axes.

    Parameters
    ----------
    form : Form
    exact : Separated
        Its axes are matched by name; the model may have more.

    Raises
    ------
    ValueError
        When the axes do not match, or `exact` vanishes (its relative error is then not defined).
    """
    coefficients = np.array([coefficient for coefficient, _ in exact.terms], dtype=np.float64)
    joint = [
        _joint_block(axis, factor, functions)
        for axis, factor, functions in zip(form.axes, form.factors, _by_axis(form.axes, exact), strict=True)
    ]
    terms = [matrix[:, factor.shape[1] :] for matrix, factor in zip(joint, form.factors, strict=True)]
    size = log_norm(terms, coefficients) if coefficients.size else -math.inf
    if size == -math.inf:
        raise ValueError("exact must not vanish: an error relative to zero is not defined; use model.norm()")
    if isinstance(form, TuckerForm):
        joint[0] = np.hstack([joint[0][:, : form.core.shape[0]], terms[0] * coefficients])
        return exp(log_difference(form, CPForm(form.axes, terms), joint) - size)
    modes = form.factors[0].shape[1]
    return exp(log_norm(joint, np.concatenate([np.ones(modes), -coefficients])) - size)


def _by_axis(axes: Sequence[Axis], exact: Separated) -> list[list[Callable[[Array], Any] | None]]:
    """Return the functions of all terms for each axis of the model."""
    positions = {axis.name: d for d, axis in enumerate(exact.axes)}
    unknown = sorted(set(positions) - {axis.name for axis in axes})
    if unknown:
        raise ValueError(f"exact must be a function of the model's axes, got others: {', '.join(unknown)}")
    for axis in axes:
        other = exact.axes[positions[axis.name]] if axis.name in positions else axis
        if other.domain != axis.domain or other.discrete != axis.discrete:
            raise ValueError(f"exact must have the model's interval on axis {axis.name!r}, got {other!r} and {axis!r}")
    return [
        [functions[positions[axis.name]] if axis.name in positions else None for _, functions in exact.terms]
        for axis in axes
    ]


def _joint_block(axis: Axis, factor: Array, functions: Sequence[Callable[[Array], Any] | None]) -> Array:
    """Return the block (k, M + terms) of one axis. Functions that several terms share are sampled once."""
    distinct: dict[Any, int] = {}
    sampled: list[Function] = []
    column = []
    for function in functions:
        column.append(distinct.setdefault(_key(function), len(distinct)))
        if len(distinct) > len(sampled):
            sampled.append(_one if function is None else function)
    found = block([Columns(axis, factor)], sampled)
    modes = factor.shape[1]
    return found[:, [*range(modes), *(modes + c for c in column)]]


def _one(x: Array) -> float:
    return 1.0


def _key(function: Any) -> Any:
    try:
        hash(function)
    except TypeError:
        return id(function)
    return function
