r"""Norms of separated tensors to full precision: an orthogonalising sweep over the axes.

A separated tensor :math:`T = \sum_m w_m\, b_1^{(m)} \otimes \dots \otimes b_D^{(m)}` is given by its `blocks`, one array
:math:`B_d` of shape (k_d, M) per axis, in orthonormal coordinates of that axis. :math:`\|T\|^2` from the Gram matrices
:math:`B_d^T B_d` loses half of the digits when modes cancel, as they do in a difference of two models. Here the
Khatri-Rao product of the axes seen so far is replaced, axis by axis, by the triangular factor of its QR decomposition:
the columns keep their inner products, and the norm comes from vectors instead of from their squares. It is the
orthogonalisation of a tensor train (Oseledets, "Tensor-train decomposition", SIAM J. Sci. Comput. 33, 2011) whose
cores are diagonal in the modes. Columns are normalised and their lengths kept as logarithms, so that nothing overflows
with a hundred axes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

ROWS_AT_ONCE = 1 << 22  # numbers of a Khatri-Rao product held at once: 32 MB


def triangular(matrix: Array) -> Array:
    """Return R of the QR decomposition of `matrix` (rows, M), or the matrix itself when it has no more rows than M."""
    if matrix.shape[0] <= matrix.shape[1]:
        return matrix
    factor: Array = np.linalg.qr(matrix, mode="r")
    return factor


def triangular_of_chunks(chunks: Iterable[Array]) -> Array:
    """Return R of the matrix whose rows come in `chunks`, holding one chunk at a time."""
    factor: Array | None = None
    for chunk in chunks:
        factor = triangular(chunk if factor is None else np.concatenate((factor, chunk)))
    if factor is None:
        raise ValueError("chunks must hold at least one matrix")
    return factor


def normalised(blocks: Sequence[Array]) -> tuple[list[Array], Array]:
    """Return the blocks with columns of length one, and the logarithms of the lengths (D, M).

    Columns of zeros stay zero and have the logarithm -inf.
    """
    unit, logs = [], []
    for block in blocks:
        largest = np.abs(block).max(axis=0, initial=0.0)  # divided out before squaring, which overflows at 1e154
        scaled = block / np.where(largest > 0, largest, 1.0)
        lengths = np.linalg.norm(scaled, axis=0)
        unit.append(scaled / np.where(lengths > 0, lengths, 1.0))
        with np.errstate(divide="ignore"):
            logs.append(np.log(largest) + np.log(lengths))
    return unit, np.stack(logs)


def absorb(left: Array, block: Array) -> Array:
    """Return the triangular factor (at most M, M) of the Khatri-Rao product of `left` (k, M) and `block` (l, M)."""
    rows, modes = block.shape
    step = max(1, ROWS_AT_ONCE // max(1, rows * modes))
    products = (
        (left[i : i + step, None, :] * block[None, :, :]).reshape(-1, modes) for i in range(0, left.shape[0], step)
    )
    return triangular_of_chunks(products)


def prefixes(blocks: Sequence[Array]) -> list[Array]:
    """Return for each axis the triangular factor of the Khatri-Rao product of all axes before it.

    The first is a row of ones. One more entry than `blocks`: the last stands for all axes.
    """
    seen = [np.ones((1, blocks[0].shape[1]))]
    for block in blocks:
        seen.append(absorb(seen[-1], block))
    return seen


def suffixes(blocks: Sequence[Array]) -> list[Array]:
    """Return for each axis the triangular factor of the Khatri-Rao product of all axes after it."""
    return prefixes(list(reversed(blocks)))[-2::-1]


def log_norm(blocks: Sequence[Array], weights: Array | None = None) -> float:
    r"""Return the logarithm of the norm of :math:`\sum_m w_m \bigotimes_d b_d^{(m)}`; -inf for zero.

    Parameters
    ----------
    blocks : sequence of D arrays (k_d, M)
        In orthonormal coordinates of each axis.
    weights : array (M,), optional
        Ones by default.

    Examples
    --------
    >>> import numpy as np
    >>> ones = np.ones((3, 1))
    >>> round(log_norm([ones] * 1000) / np.log(3), 9)  # the norm itself is 3^500
    500.0
    """
    unit, logs = normalised(blocks)
    scale, top = _scaled(logs.sum(axis=0), weights)
    if not math.isfinite(top):
        return top
    keep = np.flatnonzero(scale)
    unit = [block[:, keep] for block in unit]
    return _log(_joined(prefixes(unit[:-1])[-1] if len(unit) > 1 else None, unit[-1], scale[keep]), top)


def log_norms_replaced(blocks: Sequence[Array], replaced: Sequence[Array | None]) -> list[float]:
    r"""Return the logarithms of the norms with one axis' block replaced by another, for each axis in turn.

    With the derivatives of the factors as replacements these are the norms of the partial derivatives. All of them
    together cost two sweeps, one from each side.

    Parameters
    ----------
    blocks : sequence of D arrays (k_d, M)
    replaced : sequence of D arrays (l_d, M) or None
        None where no norm is wanted: -inf is returned there.
    """
    unit, logs = normalised(blocks)
    before, after = prefixes(unit[:-1]), suffixes(unit)
    found = []
    for d, other in enumerate(replaced):
        if other is None:
            found.append(-math.inf)
            continue
        (block,), (lengths,) = normalised([other])
        scale, top = _scaled(np.delete(logs, d, axis=0).sum(axis=0) + lengths, None)
        found.append(_log(_joined(absorb(before[d], block), after[d], scale), top) if math.isfinite(top) else top)
    return found


def log_sum(logs: Sequence[float]) -> float:
    """Return the logarithm of the root of the sum of squares of numbers given by their logarithms."""
    top = max(logs)
    return top if not math.isfinite(top) else top + 0.5 * math.log(math.fsum(math.exp(2 * (x - top)) for x in logs))


def exp(log: float) -> float:
    """Return the exponential, infinity where it overflows."""
    return math.exp(log) if log < 709.78 else (math.nan if math.isnan(log) else math.inf)


def _joined(left: Array | None, right: Array, scale: Array) -> float:
    """Return the norm of the matrix left · diag(scale) · rightᵀ; `left` is a row of ones by default."""
    product = right @ scale if left is None else (left * scale) @ right.T
    return float(np.linalg.norm(product))


def _scaled(logs: Array, weights: Array | None) -> tuple[Array, float]:
    """Return the modes' weights divided by the largest size, and the logarithm of that size."""
    if weights is not None:
        with np.errstate(divide="ignore"):
            logs = logs + np.log(np.abs(weights))
    top = float(np.max(logs, initial=-math.inf))
    if not math.isfinite(top):
        return np.zeros_like(logs), top
    sizes: Array = np.exp(logs - top)
    return sizes if weights is None else sizes * np.sign(weights), top


def _log(norm: float, top: float) -> float:
    return math.log(norm) + top if norm > 0 else (math.nan if math.isnan(norm) else -math.inf)
