"""CP models as autograd functions over the compiled core: values and jets, with their backward passes.

The contract: points (K, D) are inside the mesh, on the CPU, of the factors' dtype; factors have shape (axis.size, M).
Derivatives of first order are compiled. Where derivatives of derivatives are asked for (``create_graph=True``), the
backward pass is a composition of torch's operations instead, which differentiates itself.

Under `torch.compile` the same kernels are called through registered operators, opaque to the compiler: no graph break.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, ClassVar
from weakref import WeakValueDictionary

import torch

from inntd import _kernels
from inntd.axes import Axis
from inntd.models.composed import composed_jet, composed_values
from inntd.models.points import check_coordinates

Tensor = torch.Tensor
Tensors = tuple[Tensor, ...]


# ---- calls of the core -------------------------------------------------------------------------------------------


def plain_values(axes: Sequence[Axis], factors: Sequence[Tensor], points: Tensor) -> Tensor:
    """Return the values (K,), outside of any graph."""
    out = points.new_empty(points.shape[0])
    tables, arrays = [axis.table for axis in axes], [factor.detach().contiguous() for factor in factors]
    _kernels.core.cp_values(tables, arrays, points.detach().contiguous(), out, _kernels.threads())
    return out


def plain_jet(axes: Sequence[Axis], factors: Sequence[Tensor], points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return values (K,), gradients (K, D) and second derivatives (K, D), outside of any graph."""
    points = points.detach().contiguous()
    u, gradient, second = points.new_empty(points.shape[0]), torch.empty_like(points), torch.empty_like(points)
    tables, arrays = [axis.table for axis in axes], [factor.detach().contiguous() for factor in factors]
    _kernels.core.cp_jet(tables, arrays, points, u, gradient, second, _kernels.threads())
    return u, gradient, second


def values_gradients(
    axes: Sequence[Axis], factors: Sequence[Tensor], points: Tensor, slopes: Tensor, by_points: bool
) -> tuple[list[Tensor], Tensor | None]:
    """Return the gradients of ``(slopes * u(points)).sum()`` by the factors and, if asked for, by the points."""
    arrays = [factor.detach().contiguous() for factor in factors]
    gradients = [torch.empty_like(array) for array in arrays]
    points = points.detach().contiguous()
    point_gradient = torch.empty_like(points) if by_points else None
    _kernels.core.cp_gradients(
        [axis.table for axis in axes], arrays, points, slopes.detach().contiguous(), gradients, point_gradient,
        _kernels.threads(),
    )  # fmt: skip
    return gradients, point_gradient


def jet_gradients(
    axes: Sequence[Axis], factors: Sequence[Tensor], points: Tensor, slopes: Sequence[Tensor | None]
) -> list[Tensor]:
    """Return the factors' gradients of a jet's three parts times `slopes`, where None stands for zeros."""
    arrays = [factor.detach().contiguous() for factor in factors]
    gradients = [torch.empty_like(array) for array in arrays]
    points = points.detach().contiguous()
    shapes = (points.shape[0],), points.shape, points.shape
    a, b, c = (
        points.new_zeros(shape) if slope is None else slope.detach().contiguous()
        for slope, shape in zip(slopes, shapes, strict=True)
    )
    tables = [axis.table for axis in axes]
    _kernels.core.cp_jet_gradients(tables, arrays, points, a, b, c, gradients, _kernels.threads())
    return gradients


# ---- autograd functions ------------------------------------------------------------------------------------------


class _Values(torch.autograd.Function):
    """u(points); arguments after the axes are the points and the factors."""

    @staticmethod
    def forward(ctx: Any, axes: tuple[Axis, ...], points: Tensor, *factors: Tensor) -> Tensor:
        ctx.axes = axes
        ctx.save_for_backward(points, *factors)
        return plain_values(axes, factors, points)

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor | None, ...]:
        points, *factors = ctx.saved_tensors
        if torch.is_grad_enabled():
            return (None, *compose_gradients(composed_values(ctx.axes, factors, points), [points, *factors], slopes))
        gradients, by_points = values_gradients(ctx.axes, factors, points, slopes[0], ctx.needs_input_grad[1])
        return (None, by_points, *gradients)


class _Jet(torch.autograd.Function):
    """The jet at points; its gradient by the points, third derivatives, is always composed."""

    @staticmethod
    def forward(ctx: Any, axes: tuple[Axis, ...], points: Tensor, *factors: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        ctx.axes = axes
        ctx.save_for_backward(points, *factors)
        ctx.set_materialize_grads(False)
        return plain_jet(axes, factors, points)

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor | None) -> tuple[Tensor | None, ...]:
        points, *factors = ctx.saved_tensors
        if torch.is_grad_enabled() or ctx.needs_input_grad[1]:
            graph = torch.is_grad_enabled()
            with torch.enable_grad():
                inputs = (
                    [points, *factors]
                    if graph
                    else [t.detach().requires_grad_(t.requires_grad) for t in (points, *factors)]
                )
                outputs = composed_jet(ctx.axes, inputs[1:], inputs[0])
                return (None, *compose_gradients(outputs, inputs, slopes, graph))
        return (None, None, *jet_gradients(ctx.axes, factors, points, slopes))


def compose_gradients(
    outputs: Tensor | Sequence[Tensor], inputs: list[Tensor], slopes: Sequence[Tensor | None], graph: bool = True
) -> Tensors:
    """Return the gradients of a composition by those of its inputs that are watched."""
    outputs = [outputs] if isinstance(outputs, Tensor) else list(outputs)
    wanted = [tensor for tensor in inputs if tensor.requires_grad]
    kept = [(output, slope) for output, slope in zip(outputs, slopes, strict=True) if slope is not None]
    found = iter(
        torch.autograd.grad(
            [output for output, _ in kept], wanted, [slope for _, slope in kept], create_graph=graph, allow_unused=True
        )
    )
    return tuple(next(found) if tensor.requires_grad else None for tensor in inputs)  # type: ignore[misc]


def values(axes: Sequence[Axis], factors: Sequence[Tensor], points: Tensor) -> Tensor:
    """Return the values (K,), differentiable by factors and points any number of times."""
    out: Tensor = _Values.apply(tuple(axes), points, *factors)  # type: ignore[no-untyped-call]
    return out


def jet(axes: Sequence[Axis], factors: Sequence[Tensor], points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return values, gradients and second derivatives, differentiable by factors and points any number of times."""
    u, gradient, second = _Jet.apply(tuple(axes), points, *factors)  # type: ignore[no-untyped-call]
    return u, gradient, second


# ---- operators for torch.compile ---------------------------------------------------------------------------------


class AxesHandle:
    """A number that stands for a model's axes where only numbers and tensors may be passed."""

    _numbers = itertools.count()
    _known: ClassVar[WeakValueDictionary[int, AxesHandle]] = WeakValueDictionary()

    def __init__(self, axes: tuple[Axis, ...]) -> None:
        self.axes = axes
        self.number = next(self._numbers)
        self._known[self.number] = self

    def __reduce__(self) -> tuple[Any, ...]:
        return AxesHandle, (self.axes,)  # a copy, or another process, has a number of its own

    @classmethod
    def of(cls, number: int) -> tuple[Axis, ...]:
        """Return the axes that a number stands for."""
        return cls._known[number].axes


@torch.library.custom_op("inntd::cp_values", mutates_args=())
def _values_operator(points: Tensor, factors: list[Tensor], handle: int) -> Tensor:
    axes = AxesHandle.of(handle)
    for d, axis in enumerate(axes):
        check_coordinates(points[:, d], axis)
    return plain_values(axes, factors, points)


@_values_operator.register_fake
def _(points: Tensor, factors: list[Tensor], handle: int) -> Tensor:
    return points.new_empty(points.shape[0])


@torch.library.custom_op("inntd::cp_gradients", mutates_args=())
def _gradients_operator(
    points: Tensor, factors: list[Tensor], slopes: Tensor, handle: int, by_points: bool
) -> list[Tensor]:
    gradients, by = values_gradients(AxesHandle.of(handle), factors, points, slopes, by_points)
    return [torch.zeros_like(points) if by is None else by, *gradients]


@_gradients_operator.register_fake
def _(points: Tensor, factors: list[Tensor], slopes: Tensor, handle: int, by_points: bool) -> list[Tensor]:
    return [torch.empty_like(points), *(torch.empty_like(factor) for factor in factors)]


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    points, factors, ctx.handle = inputs
    ctx.save_for_backward(points, *factors)


def _values_backward(ctx: Any, slopes: Tensor) -> tuple[Tensor, list[Tensor], None]:
    points, *factors = ctx.saved_tensors
    by_points, *gradients = _gradients_operator(points, factors, slopes, ctx.handle, True)
    return by_points, gradients, None


_values_operator.register_autograd(_values_backward, setup_context=_keep)


def traced_values(handle: AxesHandle, factors: Sequence[Tensor], points: Tensor) -> Tensor:
    """Return the values (K,) by a registered operator, which `torch.compile` keeps as one node of its graph.

    Points outside the mesh are found when the operator runs.
    """
    out: Tensor = _values_operator(points, list(factors), handle.number)
    return out
