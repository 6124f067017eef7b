"""What is done to models through their factors: arrays in, arrays out, in float64."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from inntd.axes import Axis
from inntd.models.doubled import Array
from inntd.models.metric import Columns, block
from inntd.models.norms import exp, log_norm, log_norms_replaced, log_sum, normalised

SAFE_EXPONENT = 60  # powers of two that a factor may take up, also of single precision


def fold(rows: Sequence[Array], rest: Sequence[Array]) -> list[Array]:
    """Multiply the modes of some factors by numbers: what becomes of a model when axes are held still or integrated.

    Parameters
    ----------
    rows : sequence of arrays (M,)
        Every mode's number, for each axis that disappears. Their product may overflow: exponents are kept apart.
    rest : sequence of arrays (n_d, M)
        The factors that remain, at least one.

    Returns
    -------
    list of arrays (n_d, M)
        New factors. Only the first differs, unless the numbers are so large or small that all must share them.
    """
    mantissa, exponent = product(rows, rest[0].shape[1])
    if np.abs(exponent).max(initial=0) <= SAFE_EXPONENT:
        return [rest[0] * np.ldexp(mantissa, exponent), *rest[1:]]
    own = [np.frexp(np.abs(factor).max(axis=0))[1].astype(np.int64) for factor in rest]
    share, left_over = np.divmod(exponent + sum(own), len(rest))
    shared = [np.ldexp(factor, np.clip(share - e, -4000, 4000)) for factor, e in zip(rest, own, strict=True)]
    shared[0] = np.ldexp(shared[0] * mantissa, left_over)
    return shared


def product(rows: Sequence[Array], modes: int) -> tuple[Array, np.ndarray[tuple[int], np.dtype[np.int64]]]:
    """Return the product of rows (M,) as mantissas (M,) and exponents of two (M,)."""
    mantissa, exponent = np.ones(modes), np.zeros(modes, dtype=np.int64)
    for row in rows:
        mantissa, step = np.frexp(mantissa * row)
        exponent += step
    return mantissa, exponent


def total(rows: Sequence[Array], modes: int) -> float:
    """Return the sum over the modes of the products of rows (M,): what remains when no axis does."""
    mantissa, exponent = product(rows, modes)
    if not mantissa.any():
        return 0.0
    top = int(exponent[mantissa != 0].max())
    with np.errstate(under="ignore"):
        return _ldexp(math.fsum(np.ldexp(mantissa, np.maximum(exponent - top, -2000))), top)


def blocks(axes: Sequence[Sequence[Axis]], factors: Sequence[Sequence[Array]]) -> list[Array]:
    """Return one block per axis for the modes of several models side by side.

    Parameters
    ----------
    axes, factors : sequences over models of sequences over axes
    """
    return [
        block([Columns(axis, factor) for axis, factor in zip(*pair, strict=True)])
        for pair in zip(zip(*axes, strict=True), zip(*factors, strict=True), strict=True)
    ]


def derivative_blocks(axes: Sequence[Sequence[Axis]], factors: Sequence[Sequence[Array]]) -> list[Array | None]:
    """Return the blocks of the first derivatives, for axes of kind space; None for the others."""
    return [
        block([Columns(axis, factor, 1) for axis, factor in zip(*pair, strict=True)])
        if pair[0][0].kind == "space" and not pair[0][0].discrete
        else None
        for pair in zip(zip(*axes, strict=True), zip(*factors, strict=True), strict=True)
    ]


def log_length(
    axes: Sequence[Sequence[Axis]], factors: Sequence[Sequence[Array]], signs: Sequence[float], kind: str
) -> float:
    """Return the logarithm of the L2 or H1 norm of a combination of models with coefficients `signs`."""
    parts = [np.full(model[0].shape[1], sign) for model, sign in zip(factors, signs, strict=True)]
    weights = np.concatenate(parts)
    found = blocks(axes, factors)
    length = log_norm(found, weights)
    if kind == "L2":
        return length
    return log_sum([length, *log_norms_replaced(found, derivative_blocks(axes, factors), weights)])


def inner(axes: Sequence[Sequence[Axis]], factors: Sequence[Sequence[Array]]) -> float:
    """Return the L2 inner product of two models."""
    modes = factors[0][0].shape[1]
    unit, logs = normalised(blocks(axes, factors))
    cosines = np.ones((modes, logs.shape[1] - modes))
    for matrix in unit:
        cosines *= matrix[:, :modes].T @ matrix[:, modes:]
    left, right = np.split(logs.sum(axis=0), [modes])
    tops = [float(sizes.max()) for sizes in (left, right)]
    if not all(map(math.isfinite, tops)):
        return 0.0 if -math.inf in tops else math.nan
    value = float(np.exp(left - tops[0]) @ cosines @ np.exp(right - tops[1]))
    return math.copysign(exp(math.log(abs(value)) + sum(tops)), value) if value else 0.0


def _ldexp(value: float, exponent: int) -> float:
    try:
        return math.ldexp(value, exponent)
    except OverflowError:
        return math.copysign(math.inf, value)
