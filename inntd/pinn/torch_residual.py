"""The residual of a strong form and its conditions as functions of tensors, for training by gradients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import sympy
import torch

from inntd.axes import Axis
from inntd.pinn.constraints import OnFace
from inntd.pinn.residual import Residual
from inntd.problems.given import sources_in
from inntd.problems.indicator import Indicator

Tensor = torch.Tensor

_NAMES = ("sin", "cos", "tan", "exp", "sqrt", "sinh", "cosh", "tanh", "asin", "acos", "atan", "log", "abs", "sign")
_FUNCTIONS: dict[str, Any] = {name: getattr(torch, name) for name in _NAMES} | {"Abs": torch.abs}


class JetModel(Protocol):
    """What can be trained: an INN-TD model, an `MLP`, or any module with these."""

    axes: tuple[Axis, ...]

    def jet(self, points: Any) -> tuple[Tensor, Tensor, Tensor]:
        """Return values (K,), gradients (K, D) and diagonal second derivatives (K, D)."""
        ...


class TorchResidual:
    """Residuals of equations and conditions of a model, at points.

    Parameters
    ----------
    residual, faces
        Of the problem.
    axes
        Those of the model, with the component axis.

    Raises
    ------
    ValueError
        A mixed derivative, which jets do not hold; a coefficient given by samples, or an indicator.
    """

    def __init__(self, residual: Residual, faces: Sequence[OnFace], axes: Sequence[Axis]) -> None:
        self.faces, self.axes = list(faces), tuple(axes)
        self.inside = [d for d, axis in enumerate(axes) if axis.kind != "component"]
        self.component = next((d for d, axis in enumerate(axes) if axis.kind == "component"), None)
        self.components = len(residual.names)
        self.derivatives = residual.derivatives
        for q in self.derivatives:
            if sum(1 for order in q.orders if order) > 1:
                raise ValueError("strong: a mixed derivative is not part of model.jet; use inntd.pinn.solve")
        self._values = _compiled(residual.arguments, residual.expressions)
        self._given = [_compiled([axis._sympy_() for axis in residual.axes], [face.value]) for face in faces]

    def equations(self, model: JetModel, points: Tensor) -> list[Tensor]:
        """Return one tensor (K,) per equation, at points (K, D) without a component column."""
        jets = [model.jet(self._with_component(points, k)) for k in range(self.components)]
        derivatives = []
        for q in self.derivatives:
            axis = next((d for d, order in enumerate(q.orders) if order), None)
            own = jets[q.component]
            derivatives.append(own[0] if axis is None else own[q.orders[axis]][:, self.inside[axis]])
        return _full(self._values(*points.T, *derivatives), points)

    def conditions(self, model: JetModel, points: Tensor) -> list[Tensor]:
        """Return one tensor (K,) per condition and face; the points are moved onto the face."""
        found = []
        for face, given in zip(self.faces, self._given, strict=True):
            axis = self.axes[self.inside[face.axis]]
            at = points.clone()
            at[:, face.axis] = axis.domain[0 if face.side == "start" else 1]
            values, gradients, _ = model.jet(self._with_component(at, face.component))
            own = gradients[:, self.inside[face.axis]] if face.slope else values
            found.append(own - _full(given(*at.T), at)[0])
        return found

    def _with_component(self, points: Tensor, component: int) -> Tensor:
        if self.component is None:
            return points
        column = torch.full((len(points), 1), float(component), dtype=points.dtype)
        return torch.cat([points[:, : self.component], column, points[:, self.component :]], dim=1)


def _full(parts: Sequence[Any], points: Tensor) -> list[Tensor]:
    return [torch.as_tensor(part, dtype=points.dtype).expand(len(points)) for part in parts]


def _compiled(arguments: Sequence[sympy.Symbol], expressions: Sequence[Any]) -> Callable[..., Any]:
    for expression in expressions:
        if sources_in(expression) or expression.has(Indicator, sympy.Piecewise):
            raise ValueError(f"{expression} is given by samples or in pieces, which has no form in torch; use solve")
    floats = {number: float(number) for e in expressions for number in e.atoms(sympy.NumberSymbol)}
    plain = [expression.xreplace({k: sympy.Float(v, 20) for k, v in floats.items()}) for expression in expressions]
    return sympy.lambdify(arguments, plain, [_FUNCTIONS, "math"])  # type: ignore[no-any-return]
