"""Orthogonalising sweeps over separated tensors: Khatri-Rao products reduced to triangular factors.

A separated tensor is given by its `blocks`, one array (k_d, M) per axis, in orthonormal coordinates of that axis. The
Khatri-Rao product of the axes seen so far is replaced, axis by axis, by the triangular factor of its QR decomposition:
the columns keep their inner products, and least-squares problems in them keep their condition instead of squaring it.
It is the orthogonalisation of a tensor train (Oseledets, "Tensor-train decomposition", SIAM J. Sci. Comput. 33, 2011)
whose cores are diagonal in the modes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

ROWS_AT_ONCE = 1 << 22  # numbers of a Khatri-Rao product held at once: 32 MB


def triangular(matrix: Array) -> Array:
    """Return R of the QR decomposition of `matrix` (rows, M), or the matrix itself when it has no more rows than M."""
    if matrix.shape[0] <= matrix.shape[1]:
        return matrix
    return np.asarray(np.linalg.qr(matrix, mode="r"))


def triangular_of_chunks(chunks: Iterable[Array]) -> Array:
    """Return R of the matrix whose rows come in `chunks`, holding one chunk at a time."""
    factor: Array | None = None
    for chunk in chunks:
        factor = triangular(chunk if factor is None else np.concatenate((factor, chunk)))
    if factor is None:
        raise ValueError("chunks must hold at least one matrix")
    return factor


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
