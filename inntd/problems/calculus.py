"""The differential operators on separated sums."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sympy

from inntd.problems.algebra import Terms
from inntd.problems.operators import Components, Divergence, Dot, Gradient, Laplacian, Operator, Partial, TimeDerivative

if TYPE_CHECKING:
    from inntd.problems.expand import Separator


def expand(separator: Separator, e: Operator) -> Terms:
    """Return an operator applied to its arguments as a separated sum."""
    if isinstance(e, TimeDerivative):
        if not separator.time:
            raise ValueError(f"{e} needs an axis of kind 'time'; use Axis(..., kind='time') or diff(..., axis)")
        return separator.differentiate(separator.terms(e.args[0]), separator.time[0])
    if isinstance(e, Partial):
        axis = next(iter(separator.scope(e.args[1]).axes))
        return separator.differentiate(separator.terms(e.args[0]), axis)
    _need_space(separator, e)
    if isinstance(e, Laplacian):
        terms = separator.terms(e.args[0])
        return separator.add(
            separator.differentiate(separator.differentiate(terms, axis), axis) for axis in separator.space
        )
    if isinstance(e, Dot):
        pairs = zip(components(separator, e.args[0]), components(separator, e.args[1]), strict=True)
        return separator.add(separator.multiply_in(e, a, b) for a, b in pairs)
    if isinstance(e, Divergence):
        coefficient = separator.terms(e.args[0])
        parts = zip(separator.space, components(separator, e.args[1]), strict=True)
        return separator.add(
            separator.differentiate(separator.multiply_in(e, coefficient, part), axis) for axis, part in parts
        )
    raise AssertionError(type(e))


def components(separator: Separator, vector: sympy.Basic) -> list[Terms]:
    """Return the components of a vector along the space axes."""
    if isinstance(vector, Gradient):
        terms = separator.terms(vector.args[0])
        return [separator.differentiate(terms, axis) for axis in separator.space]
    assert isinstance(vector, Components)
    if len(vector.args) != len(separator.space):
        names = ", ".join(separator.axes[i].name for i in separator.space)
        raise ValueError(
            f"the vector {vector} must have {len(separator.space)} components, one per space axis ({names}), "
            f"got {len(vector.args)}"
        )
    return [separator.terms(component) for component in vector.args]


def _need_space(separator: Separator, e: Operator) -> None:
    if not separator.space:
        raise ValueError(f"{e} needs axes of kind 'space', the unknown has none; use diff(..., axis)")
