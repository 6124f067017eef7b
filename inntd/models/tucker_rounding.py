r"""Rounding Tucker forms: lower ranks, up to a stated error.

In orthonormal functions of each axis (`metric.py`) the L2 norm of a Tucker form is the Euclidean norm of its core, and
the core can be truncated like a matrix. The leading left singular vectors of its unfoldings give the higher-order
singular value decomposition (HOSVD; De Lathauwer, De Moor and Vandewalle, SIAM J. Matrix Anal. Appl. 21, 2000, 1253),
whose error is at most :math:`\sqrt{D}` times the best one; one or two sweeps of higher-order orthogonal iteration
(HOOI; the same authors, ibid., 1324), which find one axis' best subspace while the others stand still, take up most of
what is left. Errors are sums of squares of what was cut off: nothing cancels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from inntd.models.comparison import log_distance, log_length
from inntd.models.doubled import Array
from inntd.models.forms import normal, scaled
from inntd.models.norms import exp
from inntd.models.orthonormal import orthonormal_columns
from inntd.models.sweep import triangular
from inntd.models.tucker_form import TuckerForm, multiplied

SWEEPS = 2
CAREFUL = 1 - 1e-10  # share of a square that may be cut off, for the rounding of sums of squares


@dataclass(frozen=True)
class Rounded:
    """A form of lower ranks, and its relative L2 distance to the one it came from."""

    form: TuckerForm
    error: float


def round_tucker(form: TuckerForm, ranks: Sequence[int] | None = None, tolerance: float | None = None) -> Rounded:
    """Return a form of at most the given ranks, or of ranks as low as are found to keep `tolerance`.

    Its factors are orthonormal functions, in the order of falling singular values.

    Parameters
    ----------
    form : TuckerForm
    ranks : sequence of D int, optional
        At least 1.
    tolerance : float, optional
        Largest relative L2 error.
    """
    plain, exponent = orthonormal(form)
    size = float(np.linalg.norm(plain.core))
    if size == 0:
        return Rounded(TuckerForm.constant(form.axes, 0.0), 0.0)
    if ranks is not None:
        bases = _of_ranks(plain.core, ranks)
    else:
        assert tolerance is not None
        bases = _within(plain.core, tolerance * size)
    core = _projected(plain.core, bases)
    turns = singular_bases(core)
    factors = [factor @ (base @ turn) for factor, base, turn in zip(plain.factors, bases, turns, strict=True)]
    found = TuckerForm(form.axes, factors, scaled(_projected(core, turns), exponent))
    return Rounded(found, exp(log_distance(form, found, "L2") - log_length(form, "L2")))


def orthonormal(form: TuckerForm) -> tuple[TuckerForm, int]:
    """Return a form whose factors are orthonormal functions, with a core to be multiplied by two to an exponent."""
    core, exponent = normal(form.core)
    factors = []
    for d, (axis, factor) in enumerate(zip(form.axes, form.factors, strict=True)):
        functions, coordinates, step = orthonormal_columns(axis, factor)
        core, more = normal(multiplied(core, coordinates, d))
        factors.append(functions)
        exponent += step + more
    return TuckerForm(form.axes, factors, core), exponent


def singular_bases(core: Array) -> list[Array]:
    """Return the left singular vectors (r_d, min(r_d, others)) of all unfoldings of a core."""
    return [_singular_vectors(core, d) for d in range(core.ndim)]


def _singular_vectors(core: Array, d: int) -> Array:
    unfolding = np.moveaxis(core, d, 0).reshape(core.shape[d], -1)
    vectors: Array = np.linalg.svd(triangular(unfolding.T), full_matrices=False)[2].T
    return vectors


def _projected(core: Array, bases: Sequence[Array], *, but: int | None = None) -> Array:
    """Return the core in the coordinates of a basis (r_d, p_d) on each axis, but for one."""
    for d, base in enumerate(bases):
        if d != but:
            core = multiplied(core, base.T, d)
    return core


def _of_ranks(core: Array, ranks: Sequence[int]) -> list[Array]:
    """Return the bases of HOSVD, improved by HOOI, for given ranks."""
    targets = [min(rank, size) for rank, size in zip(ranks, core.shape, strict=True)]
    for d, rank in enumerate(targets):  # an unfolding has no higher rank than the others together
        targets[d] = min(rank, math.prod(targets[:d]) * math.prod(targets[d + 1 :]))
    bases = [base[:, :rank] for base, rank in zip(singular_bases(core), targets, strict=True)]
    return _iterated(core, bases)


def _within(core: Array, largest: float) -> list[Array]:
    """Return bases of low ranks whose projection is not farther than `largest`."""
    bases = singular_bases(core)
    inside, left = _projected(core, bases), CAREFUL * largest**2
    while True:
        ranks = _cut(inside, left)
        if ranks == list(inside.shape):
            return bases
        bases = _iterated(core, [base[:, :rank] for base, rank in zip(bases, ranks, strict=True)])
        left = CAREFUL * largest**2 - _squared_distance(core, bases)
        inside = _projected(core, bases)
        turns = singular_bases(inside)
        bases = [base @ turn for base, turn in zip(bases, turns, strict=True)]
        inside = _projected(inside, turns)


def _cut(core: Array, square: float) -> list[int]:
    """Return to what ranks a core can be cut by dropping last slices, the smallest first, of at most that square."""
    ranks, gone = list(core.shape), 0.0
    squares = core**2
    while True:
        last = [np.inf if rank == 1 else float(squares.take(rank - 1, axis=d).sum()) for d, rank in enumerate(ranks)]
        d = int(np.argmin(last))
        if gone + last[d] > square or not np.isfinite(last[d]):
            return ranks
        gone += last[d]
        ranks[d] -= 1
        squares = squares.take(range(ranks[d]), axis=d)


def _iterated(core: Array, bases: list[Array]) -> list[Array]:
    """Return bases of the same ranks, each the best one while the others stand still, after some sweeps."""
    if all(base.shape[0] == base.shape[1] for base in bases):
        return bases
    bases = list(bases)
    for _ in range(SWEEPS):
        for d, base in enumerate(bases):
            bases[d] = _singular_vectors(_projected(core, bases, but=d), d)[:, : base.shape[1]]
    return bases


def _squared_distance(core: Array, bases: Sequence[Array]) -> float:
    """Return the squared distance of a core to its projection: what each axis in turn leaves outside."""
    total = 0.0
    for d, base in enumerate(bases):
        inside = multiplied(core, base.T, d)
        total += float(np.sum((core - multiplied(inside, base, d)) ** 2))
        core = inside
    return total
