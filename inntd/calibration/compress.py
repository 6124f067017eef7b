r"""Many observations of a model of M coefficients as M + 1 numbers: least squares sees no more of them.

With rows R (K, M) and values y, :math:`\|R c - y\|^2 = \|T c - b\|^2 + \rho^2`, T, b and ρ from one triangular
factorisation of [R, y]. On a grid each axis is compressed first: its rows have an orthonormal basis of few columns.
Nothing is squared, so nothing is lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from inntd.axes import Axis
from inntd.calibration.coefficients import Factors
from inntd.calibration.response import LinearResponse, Rows
from inntd.calibration.terms import Ragged
from inntd.models.cp_form import CPForm
from inntd.models.separated import SeparatedModel

Array = npt.NDArray[np.float64]

BLOCK = 1 << 14  # rows factorised at once
ROUND_OFF = 1e-15  # singular values of an axis' rows, relative to the largest, that are none


@dataclass(frozen=True, eq=False)
class Compressed:
    """Fewer observations with the same least squares: a response, its values, and the sum of squares out of reach."""

    response: LinearResponse
    values: Array
    rest: float


def compress(response: LinearResponse, values: Array, rest: float = 0.0) -> Compressed:
    """Return M + 1 rows or fewer for K of them."""
    modes = response.rows.shape[1]
    if len(response.rows) <= modes + 1:
        return Compressed(response, values, rest)
    joined = np.column_stack([response.rows, values])
    return _of_triangle(response, _triangle([joined], modes + 1), rest)


def compress_rows(rows: Rows, values: Array, scale: float | Array) -> Compressed:
    """Return M + 1 rows or fewer, divided by the scales, for K that are never there all at once."""

    def joined() -> Iterator[Array]:
        at = 0
        for block in rows.blocks:
            own = scale if isinstance(scale, float) else scale[at : at + len(block), None]
            yield np.column_stack([block, values[at : at + len(block)]]) / own
            at += len(block)

    empty = LinearResponse(np.empty((0, rows.width)), rows.coefficients)
    return _of_triangle(empty, _triangle(joined(), rows.width + 1), 0.0)


def _triangle(blocks: Iterable[Array], columns: int) -> Array:
    """Return the triangular factor of blocks above each other."""
    triangle, step = np.empty((0, columns)), max(BLOCK, 2 * columns)
    for block in blocks:
        for start in range(0, len(block), step):
            triangle = np.asarray(np.linalg.qr(np.vstack([triangle, block[start : start + step]]), mode="r"))
    return triangle


def _of_triangle(response: LinearResponse, triangle: Array, rest: float) -> Compressed:
    modes = triangle.shape[1] - 1
    beyond = triangle[modes:, modes]
    return Compressed(
        response.with_rows(triangle[:modes, :modes]), triangle[:modes, modes], rest + float(beyond @ beyond)
    )


def compress_grid(
    model: SeparatedModel, vectors: Mapping[str, Array], values: Array, free: Sequence[str]
) -> Compressed:
    """Return the rows of a grid in orthonormal functions of each axis, without making those of all its points."""
    axes = {axis.name: axis for axis in model.axes}
    form = model._form()
    tensor = values.reshape([len(vector) for vector in vectors.values()])
    small: dict[Axis, Array] = {}
    whole = float(np.linalg.norm(tensor))
    bases = []
    for name, vector in vectors.items():
        axis = axes[name]
        seen = Ragged.single(vector).matrix(axis) @ form.factors[form.axes.index(axis)]
        basis, scales, right = np.linalg.svd(seen, full_matrices=False)
        kept = max(1, int((scales > ROUND_OFF * scales[0]).sum()))
        small[axis] = scales[:kept, None] * right[:kept]
        bases.append(basis[:, :kept])
    image = tensor
    for basis in bases:  # the first axis is contracted and becomes the last one
        image = np.tensordot(image, basis, axes=(0, 0))
    rest = _distance(tensor, image, bases) if whole > 0 else 0.0
    return compress(_small_response(form, small, [axes[name] for name in free]), image.ravel(), rest)


def _distance(tensor: Array, image: Array, bases: Sequence[Array]) -> float:
    """Return the sum of squares of a tensor without its projection."""
    back = image
    for basis in bases:
        back = np.tensordot(back, basis, axes=(0, 1))
    difference = (tensor - back).ravel()
    return float(difference @ difference)


def _small_response(form: Any, small: Mapping[Axis, Array], free: Sequence[Axis]) -> LinearResponse:
    """Return the response on the grid of few rows per axis."""
    shape = [len(rows) for rows in small.values()]
    own = [form.factors[form.axes.index(axis)] for axis in free]
    if isinstance(form, CPForm):
        product = np.ones((1, form.modes))
        for rows in small.values():
            product = (product[:, None, :] * rows[None, :, :]).reshape(-1, form.modes)
        return LinearResponse(product, Factors(tuple(free), tuple(own), outer=False))
    size = int(np.prod([factor.shape[1] for factor in own]))
    order = [form.axes.index(axis) for axis in (*small, *free)]
    core = np.transpose(form.core, order).reshape(*(form.core.shape[d] for d in order[: len(shape)]), size)
    for rows in small.values():
        core = np.moveaxis(np.tensordot(core, rows, axes=(0, 1)), -1, len(shape) - 1)
    return LinearResponse(core.reshape(-1, size), Factors(tuple(free), tuple(own), outer=True))
