"""Tucker models as autograd functions over the compiled core: values with their backward pass, and jets.

The contract is that of `fused`, with a core (r_1, ..., r_D) and factors (axis.size, r_d): derivatives of first order
are compiled, those of higher order are compositions, and `torch.compile` sees registered operators.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from inntd import _kernels
from inntd.axes import Axis
from inntd.models.fused import AxesHandle, compose_gradients
from inntd.models.points import check_coordinates
from inntd.models.tucker_composed import composed_values

Tensor = torch.Tensor
Axes = Sequence[Axis]


# ---- calls of the core -------------------------------------------------------------------------------------------


def _arrays(axes: Axes, core: Tensor, factors: Sequence[Tensor]) -> tuple[list[Any], Tensor, list[Tensor]]:
    """Return what the compiled core takes: tables, the flat core, factors."""
    tables = [axis.table for axis in axes]
    return tables, core.detach().contiguous().reshape(-1), [factor.detach().contiguous() for factor in factors]


def plain_values(axes: Axes, core: Tensor, factors: Sequence[Tensor], points: Tensor) -> Tensor:
    """Return the values (K,), outside of any graph."""
    out = points.new_empty(points.shape[0])
    arrays = _arrays(axes, core, factors)
    _kernels.core.tucker_values(*arrays, points.detach().contiguous(), out, _kernels.threads())
    return out


def plain_jet(axes: Axes, core: Tensor, factors: Sequence[Tensor], points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return values (K,), gradients (K, D) and second derivatives (K, D), outside of any graph."""
    points = points.detach().contiguous()
    u, gradient, second = points.new_empty(points.shape[0]), torch.empty_like(points), torch.empty_like(points)
    arrays = _arrays(axes, core, factors)
    _kernels.core.tucker_jet(*arrays, points, u, gradient, second, _kernels.threads())
    return u, gradient, second


def values_gradients(
    axes: Axes, core: Tensor, factors: Sequence[Tensor], points: Tensor, slopes: Tensor, by_points: bool
) -> tuple[Tensor, list[Tensor], Tensor | None]:
    """Return the gradients of ``(slopes * u(points)).sum()`` by core, factors and, if asked for, points."""
    tables, numbers, arrays = _arrays(axes, core, factors)
    by_core, by_factors = torch.empty_like(numbers), [torch.empty_like(array) for array in arrays]
    points = points.detach().contiguous()
    point_gradient = torch.empty_like(points) if by_points else None
    _kernels.core.tucker_gradients(
        tables, numbers, arrays, points, slopes.detach().contiguous(), by_core, by_factors, point_gradient,
        _kernels.threads(),
    )  # fmt: skip
    return by_core.reshape(core.shape), by_factors, point_gradient


# ---- autograd function -------------------------------------------------------------------------------------------


class _Values(torch.autograd.Function):
    """u(points); arguments after the axes are the points, the core and the factors."""

    @staticmethod
    def forward(ctx: Any, axes: tuple[Axis, ...], points: Tensor, core: Tensor, *factors: Tensor) -> Tensor:
        ctx.axes = axes
        ctx.save_for_backward(points, core, *factors)
        return plain_values(axes, core, factors, points)

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor | None, ...]:
        points, core, *factors = ctx.saved_tensors
        if torch.is_grad_enabled():
            outputs = composed_values(ctx.axes, core, factors, points)
            return (None, *compose_gradients(outputs, [points, core, *factors], slopes))
        by_points = ctx.needs_input_grad[1]
        by_core, by_factors, by = values_gradients(ctx.axes, core, factors, points, slopes[0], by_points)
        return (None, by, by_core, *by_factors)


def values(axes: Axes, core: Tensor, factors: Sequence[Tensor], points: Tensor) -> Tensor:
    """Return the values (K,), differentiable by core, factors and points any number of times."""
    out: Tensor = _Values.apply(tuple(axes), points, core, *factors)  # type: ignore[no-untyped-call]
    return out


# ---- operators for torch.compile ---------------------------------------------------------------------------------


@torch.library.custom_op("inntd::tucker_values", mutates_args=())
def _values_operator(points: Tensor, core: Tensor, factors: list[Tensor], handle: int) -> Tensor:
    axes = AxesHandle.of(handle)
    for d, axis in enumerate(axes):
        check_coordinates(points[:, d], axis)
    return plain_values(axes, core, factors, points)


@_values_operator.register_fake
def _(points: Tensor, core: Tensor, factors: list[Tensor], handle: int) -> Tensor:
    return points.new_empty(points.shape[0])


@torch.library.custom_op("inntd::tucker_gradients", mutates_args=())
def _gradients_operator(
    points: Tensor, core: Tensor, factors: list[Tensor], slopes: Tensor, handle: int
) -> list[Tensor]:
    by_core, by_factors, by = values_gradients(AxesHandle.of(handle), core, factors, points, slopes, True)
    assert by is not None
    return [by, by_core, *by_factors]


@_gradients_operator.register_fake
def _(points: Tensor, core: Tensor, factors: list[Tensor], slopes: Tensor, handle: int) -> list[Tensor]:
    return [torch.empty_like(points), torch.empty_like(core), *(torch.empty_like(factor) for factor in factors)]


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    points, core, factors, ctx.handle = inputs
    ctx.save_for_backward(points, core, *factors)


def _values_backward(ctx: Any, slopes: Tensor) -> tuple[Tensor, Tensor, list[Tensor], None]:
    points, core, *factors = ctx.saved_tensors
    by_points, by_core, *by_factors = _gradients_operator(points, core, factors, slopes, ctx.handle)
    return by_points, by_core, by_factors, None


_values_operator.register_autograd(_values_backward, setup_context=_keep)


def traced_values(handle: AxesHandle, core: Tensor, factors: Sequence[Tensor], points: Tensor) -> Tensor:
    """Return the values (K,) by a registered operator, which `torch.compile` keeps as one node of its graph.

    Points outside the mesh are found when the operator runs.
    """
    out: Tensor = _values_operator(points, core, list(factors), handle.number)
    return out
