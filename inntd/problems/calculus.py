"""The differential operators and tensor products on separated sums."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import sympy

from inntd.problems.algebra import AT_END, AT_START, MAX_TERMS, NOTHING, Terms
from inntd.problems.nodes import (
    Components,
    Divergence,
    Dot,
    Entry,
    FaceSymbol,
    Gradient,
    Identity,
    Inner,
    Laplacian,
    OnFace,
    Operator,
    Partial,
    Symmetric,
    TimeDerivative,
    Trace,
    Transpose,
)
from inntd.problems.shapes import ShapeError, Value, combine, each, shape_of, shown_shape
from inntd.problems.text import shorten

if TYPE_CHECKING:
    from inntd.problems.expand import Separator


def expand(separator: Separator, e: Operator) -> Value:
    """Return an operator applied to its arguments: a separated sum, or a vector or matrix of them."""
    return _RULES[type(e)](separator, e)


def _time_derivative(separator: Separator, e: Operator) -> Value:
    if not separator.time:
        raise ValueError(f"{shorten(e)} needs an axis of kind 'time'; use Axis(..., kind='time') or diff(..., axis)")
    axis = separator.time[0]
    return each(lambda terms: separator.differentiate(terms, axis), separator.value(e.args[0]))


def _partial(separator: Separator, e: Operator) -> Value:
    axis = next(iter(separator.scope(e.args[1]).axes))
    return each(lambda terms: separator.differentiate(terms, axis), separator.value(e.args[0]))


def _laplacian(separator: Separator, e: Operator) -> Value:
    _need_space(separator, e)

    def of_scalar(terms: Terms) -> Terms:
        return separator.add(
            separator.differentiate(separator.differentiate(terms, axis), axis) for axis in separator.space
        )

    return each(of_scalar, separator.value(e.args[0]))


def _gradient(separator: Separator, e: Operator) -> Value:
    _need_space(separator, e)
    return each(
        lambda terms: [separator.differentiate(terms, axis) for axis in separator.space], separator.value(e.args[0])
    )


def _divergence(separator: Separator, e: Operator) -> Value:
    _need_space(separator, e)
    value = _tensor(separator, e.args[0], e)
    rows = [value] if isinstance(value[0], dict) else value
    for row in rows:
        _need_width(separator, row, e.args[0])
    sums: list[Value] = [
        separator.add(separator.differentiate(part, axis) for axis, part in zip(separator.space, row, strict=True))
        for row in rows
    ]
    return sums if rows is value else sums[0]


def _components(separator: Separator, e: Operator) -> Value:
    values = [separator.value(argument) for argument in e.args]
    shapes = {shape_of(value) for value in values}
    if len(shapes) > 1:
        raise ShapeError(
            f"the rows of {shorten(e)} must have the same length, got {' and '.join(map(shown_shape, sorted(shapes)))}"
        )
    return values


def _entry(separator: Separator, e: Operator) -> Value:
    value, index = _tensor(separator, e.args[0], e), int(e.args[1])
    if index >= len(value):
        raise ShapeError(f"the index in {shorten(e)} must be between 0 and {len(value) - 1}, got {index}")
    chosen: Value = value[index]
    return chosen


def _dot(separator: Separator, e: Operator) -> Value:
    left, right = (_tensor(separator, argument, e) for argument in e.args)
    rows = [left] if isinstance(left[0], dict) else left
    if len(rows[0]) != len(right):
        for argument, value in zip(e.args, (left, right), strict=True):
            if isinstance(argument, Components) and separator.space:
                _need_width(separator, value, argument)
        raise ShapeError(
            f"{shorten(e)} multiplies a {shown_shape(shape_of(left))} and a {shown_shape(shape_of(right))}, "
            "whose inner lengths differ"
        )
    _check_size(len(rows) * len(_entries(right)), e)
    result = [_contract(separator, e, row, right) for row in rows]
    return result if rows is left else result[0]


def _contract(separator: Separator, e: Operator, row: list[Terms], right: list[Any]) -> Value:
    products = [separator.scaled(e, a, b) for a, b in zip(row, right, strict=True)]
    return combine(separator.add, products, [e] * len(products))


def _inner(separator: Separator, e: Operator) -> Value:
    left, right = (separator.value(argument) for argument in e.args)
    if shape_of(left) != shape_of(right):
        raise ShapeError(
            f"{shorten(e)} needs two vectors or two matrices of the same shape, got a {shown_shape(shape_of(left))} "
            f"and a {shown_shape(shape_of(right))}"
        )
    pairs = zip(_entries(left), _entries(right), strict=True)
    return separator.add(separator.multiply_in(e, a, b) for a, b in pairs)


def _trace(separator: Separator, e: Operator) -> Value:
    matrix = _square(separator, e)
    return separator.add(row[i] for i, row in enumerate(matrix))


def _transpose(separator: Separator, e: Operator) -> Value:
    matrix = _matrix(separator, e)
    return [list(column) for column in zip(*matrix, strict=True)]


def _symmetric(separator: Separator, e: Operator) -> Value:
    matrix = _square(separator, e)
    return [
        [separator.scale(separator.add([row[j], matrix[j][i]]), 0.5) for j in range(len(row))]
        for i, row in enumerate(matrix)
    ]


def _identity(separator: Separator, e: Operator) -> Value:
    _need_space(separator, e)
    count = len(separator.space)
    return [[{(None, None, NOTHING): 1.0} if i == j else {} for j in range(count)] for i in range(count)]


def _on_face(separator: Separator, e: Operator) -> Value:
    terms = separator.terms(e.args[-1])
    pieces = []
    for symbol in e.args[:-1]:
        assert isinstance(symbol, FaceSymbol)
        for axis, place in _positions(separator, symbol, e):
            pieces.append(separator.restrict(terms, axis, place))
    return separator.add(pieces)


def _positions(separator: Separator, symbol: FaceSymbol, e: Operator) -> list[tuple[int, sympy.Expr]]:
    """Return the axes and the ends that a face, or the whole boundary, stands for."""
    if symbol.face is None:
        axes = [axis for axis in separator.space if not separator.axes[axis].periodic]
        return [(axis, place) for axis in axes for place in (AT_START, AT_END)]
    for axis, own in enumerate(separator.axes):
        if own is symbol.face.axis:
            return [(axis, AT_START if symbol.face.side == "start" else AT_END)]
    raise ValueError(f"{shorten(e)}: the axis {symbol.face.axis.name} must be one of the axes of the unknown")


_RULES: dict[type[Operator], Callable[[Separator, Operator], Value]] = {
    TimeDerivative: _time_derivative,
    Partial: _partial,
    Laplacian: _laplacian,
    Gradient: _gradient,
    Divergence: _divergence,
    Components: _components,
    Entry: _entry,
    Dot: _dot,
    Inner: _inner,
    Trace: _trace,
    Transpose: _transpose,
    Symmetric: _symmetric,
    Identity: _identity,
    OnFace: _on_face,
}


def _check_size(products: int, e: Operator) -> None:
    if products > MAX_TERMS:
        raise ShapeError(f"{shorten(e)} needs {products} products of entries, more than {MAX_TERMS}")


def _entries(value: Value) -> list[Terms]:
    if isinstance(value, dict):
        return [value]
    return [entry for row in value for entry in _entries(row)]


def _tensor(separator: Separator, argument: sympy.Basic, e: Operator) -> list[Any]:
    value = separator.value(argument)
    if isinstance(value, dict):
        raise ShapeError(f"{shorten(e)} needs a vector or a matrix, got the scalar {shorten(argument)}")
    return value


def _matrix(separator: Separator, e: Operator) -> list[list[Terms]]:
    value = separator.value(e.args[0])
    if len(shape_of(value)) != 2:
        raise ShapeError(
            f"{shorten(e)} needs a matrix, such as grad(u) of a vector u, "
            f"got the {shown_shape(shape_of(value))} {shorten(e.args[0])}"
        )
    assert isinstance(value, list)
    return value


def _square(separator: Separator, e: Operator) -> list[list[Terms]]:
    matrix = _matrix(separator, e)
    if len(matrix) != len(matrix[0]):
        raise ShapeError(
            f"{shorten(e)} needs a square matrix, got a {shown_shape(shape_of(matrix))}: "
            "the vector must have one component per space axis"
        )
    return matrix


def _need_width(separator: Separator, row: list[Terms], vector: sympy.Basic) -> None:
    if len(row) != len(separator.space):
        names = ", ".join(separator.axes[i].name for i in separator.space)
        raise ShapeError(
            f"the vector {shorten(vector)} must have {len(separator.space)} components, one per space axis ({names}), "
            f"got {len(row)}"
        )


def _need_space(separator: Separator, e: Operator) -> None:
    if not separator.space:
        raise ValueError(f"{shorten(e)} needs axes of kind 'space', the unknown has none; use diff(..., axis)")
