"""A plain multilayer perceptron as a model: the baseline that users of physics-informed networks know."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from inntd import _checks
from inntd.axes import Axis
from inntd.models.factors import check_axes

Tensor = torch.Tensor


class MLP(torch.nn.Module):
    """A fully connected network over named axes, with tanh between its layers.

    Coordinates are scaled to [-1, 1]; of a periodic axis the network sees sine and cosine, so that it is periodic. A
    discrete axis of kind ``"component"`` picks one of as many outputs.

    Parameters
    ----------
    axes : sequence of Axis
        The D coordinates, in the order of the columns of points; their meshes are not used.
    width, depth : int, default 32 and 4
        Neurons of each hidden layer, and number of hidden layers.
    seed : int, default 0
        Of the starting weights (Glorot's).
    dtype : torch.float32 or torch.float64, default torch.float64

    Examples
    --------
    >>> import inntd as it, torch
    >>> x, t = it.Axis("x", 0, 1, elements=4), it.Axis("t", 0, 1, elements=4, kind="time")
    >>> model = it.pinn.MLP([x, t], width=8, depth=2)
    >>> values, gradients, seconds = model.jet(torch.rand(5, 2, dtype=torch.float64))
    >>> values.shape, gradients.shape, seconds.shape
    (torch.Size([5]), torch.Size([5, 2]), torch.Size([5, 2]))
    """

    def __init__(
        self,
        axes: Sequence[Axis],
        *,
        width: int = 32,
        depth: int = 4,
        seed: int = 0,
        dtype: torch.dtype = torch.float64,
    ) -> None:
        super().__init__()
        self.axes = tuple(check_axes(axes))
        self.dtype = dtype
        self._component = next((d for d, axis in enumerate(self.axes) if axis.kind == "component"), None)
        plain = [axis for axis in self.axes if axis.kind != "component"]
        self._inside = [d for d, axis in enumerate(self.axes) if axis.kind != "component"]
        outputs = 1 if self._component is None else self.axes[self._component].size
        width, depth = _checks.positive_int("width", width), _checks.positive_int("depth", depth)
        sizes = [sum(2 if axis.periodic else 1 for axis in plain), *[width] * depth, outputs]
        generator = torch.Generator().manual_seed(_checks.positive_int("seed", seed, minimum=0))
        self.layers = torch.nn.ModuleList()
        for before, after in itertools.pairwise(sizes):
            layer = torch.nn.Linear(before, after, dtype=dtype)
            torch.nn.init.xavier_normal_(layer.weight, generator=generator)
            torch.nn.init.zeros_(layer.bias)
            self.layers.append(layer)

    def forward(self, points: Any) -> Tensor:
        """Return the values (K,) at points (K, D)."""
        given = torch.as_tensor(points, dtype=self.dtype)
        if given.ndim != 2 or given.shape[1] != len(self.axes):
            raise ValueError(f"points must have shape (K, {len(self.axes)}), got {tuple(given.shape)}")
        columns = []
        for d in self._inside:
            start, stop = self.axes[d].domain
            scaled = 2 * (given[:, d] - start) / (stop - start) - 1
            periodic = self.axes[d].periodic
            columns += [torch.sin(torch.pi * scaled), torch.cos(torch.pi * scaled)] if periodic else [scaled]
        hidden = torch.stack(columns, dim=1)
        for layer in list(self.layers)[:-1]:
            hidden = torch.tanh(layer(hidden))
        outputs: Tensor = self.layers[-1](hidden)
        if self._component is None:
            return outputs[:, 0]
        return outputs.gather(1, given[:, self._component].detach().long()[:, None])[:, 0]

    def jet(self, points: Any) -> tuple[Tensor, Tensor, Tensor]:
        """Return values (K,), gradients (K, D) and diagonal second derivatives (K, D), by nested differentiation."""
        with torch.enable_grad():
            at = torch.as_tensor(points, dtype=self.dtype).detach().clone().requires_grad_()
            values = self(at)
            (gradients,) = torch.autograd.grad(values.sum(), at, create_graph=True)
            seconds = [torch.autograd.grad(gradients[:, d].sum(), at, create_graph=True)[0][:, d] for d in self._inside]
        found = torch.zeros_like(gradients)
        found[:, self._inside] = torch.stack(seconds, dim=1)
        return values, gradients, found

    def grid(self, vectors: dict[str, Any] | None = None, /, **named: Any) -> Tensor:
        """Return the values on the grid spanned by one vector of coordinates per axis, without a graph."""
        given = {**(vectors or {}), **named}
        missing = [axis.name for axis in self.axes if axis.name not in given]
        if missing:
            raise ValueError(f"grid needs a vector for each axis, got none for {', '.join(missing)}")
        coordinates = [np.atleast_1d(np.asarray(given[axis.name], dtype=np.float64)) for axis in self.axes]
        mesh = np.meshgrid(*coordinates, indexing="ij")
        with torch.no_grad():
            values: Tensor = self(np.stack([m.ravel() for m in mesh], axis=1))
        return values.reshape(mesh[0].shape)
