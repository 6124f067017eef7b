"""From CP to Tucker forms and back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from inntd.models import memory
from inntd.models.comparison import log_distance, log_length
from inntd.models.cp_form import CPForm
from inntd.models.doubled import Array
from inntd.models.norms import exp
from inntd.models.orthonormal import orthonormal_columns
from inntd.models.rounding import Modes
from inntd.models.sweep import absorb, prefixes, suffixes
from inntd.models.tucker_form import TuckerForm, refuse_core
from inntd.models.tucker_rounding import Rounded, round_tucker

SPARE = 10  # functions beyond twice the rank among which a rounding looks for the best
LARGEST_CORE = 1 << 22  # numbers up to which there are any to spare
SHARE = 0.5  # of the tolerance, for what is cut off before there is a core


def tucker_of_cp(form: CPForm, ranks: Sequence[int] | None = None, tolerance: float | None = None) -> Rounded:
    """Return a CP form as a Tucker form: exactly, of at most the given ranks, or within a relative L2 error.

    The unfoldings' singular vectors come from the CP form itself, without the full core: an unfolding is one axis'
    block times the Khatri-Rao product of the others, of which a triangular factor will do.
    """
    modes = Modes.of(form.axes, form.factors)
    if modes is None:
        return Rounded(TuckerForm.constant(form.axes, 0.0), 0.0)
    functions, columns = [], []
    for axis, factor in zip(form.axes, modes.factors, strict=True):
        basis, coordinates, exponent = orthonormal_columns(axis, factor)
        functions.append(basis)
        columns.append(np.ldexp(coordinates, exponent))
    exact = ranks is None and tolerance is None
    if not exact:
        bases = _leading(columns, modes.weights, ranks, SHARE * (tolerance or 0.0))
        functions = [function @ base for function, base in zip(functions, bases, strict=True)]
        columns = [base.T @ matrix for matrix, base in zip(columns, bases, strict=True)]
    remedy = "give rank= or tolerance=" if exact else "a lower rank, or a larger tolerance, takes less"
    refuse_core("a Tucker form", [matrix.shape[0] for matrix in columns], remedy)
    columns[0] = columns[0] * modes.weights
    core, exponent = CPForm(form.axes, columns).dense(columns)
    core = np.ldexp(core, exponent) * exp(modes.log)
    found = TuckerForm(form.axes, functions, core)
    if exact:
        return Rounded(found, 0.0)
    rest = None if tolerance is None else tolerance * math.sqrt(1 - SHARE**2)
    found = round_tucker(found, ranks, rest).form
    return Rounded(found, exp(log_distance(form, found, "L2") - log_length(form, "L2")))


def cp_of_tucker(form: TuckerForm) -> CPForm:
    """Return a Tucker form as a CP form: one mode for every fibre of the core that is not zero."""
    if len(form.axes) == 1:
        return CPForm(form.axes, [form.factors[0] @ form.core[:, None]])
    alive = [np.any(form.core != 0, axis=d) for d in range(form.core.ndim)]
    longest = min(range(form.core.ndim), key=lambda d: int(np.count_nonzero(alive[d])))
    places = list(np.nonzero(alive[longest]))
    modes = max(1, int(np.count_nonzero(alive[longest])))
    memory.refuse_beyond(f"a CP form of {modes} modes", 16 * modes * sum(axis.size for axis in form.axes), None,
                         "round first")  # fmt: skip
    if not alive[longest].any():
        return CPForm.constant(form.axes, 0.0)
    index: tuple[Any, ...] = (slice(None), *places)
    fibres = np.moveaxis(form.core, longest, 0)[index]
    others = iter(places)
    factors = [factor @ fibres if d == longest else factor[:, next(others)] for d, factor in enumerate(form.factors)]
    return CPForm(form.axes, factors)


def _leading(columns: Sequence[Array], weights: Array, ranks: Sequence[int] | None, tolerance: float) -> list[Array]:
    """Return for each axis the leading left singular vectors of the unfolding of a sum of products of columns (k, M).

    Together they leave out less than `tolerance`, relative; with ranks given, a few more than these are returned.
    """
    before, after = prefixes(columns), suffixes(columns)
    bases = []
    if ranks is not None:
        plenty = [min(2 * rank + SPARE, matrix.shape[0]) for rank, matrix in zip(ranks, columns, strict=True)]
        ranks = plenty if math.prod(plenty) <= LARGEST_CORE else ranks
    for d, matrix in enumerate(columns):
        others = absorb(before[d], after[d])
        vectors, sizes, _ = np.linalg.svd((matrix * weights) @ others.T, full_matrices=False)
        if ranks is not None:
            rank = ranks[d]
        else:
            tails = np.sqrt(np.cumsum(sizes[::-1] ** 2)[::-1])  # what is left out from each one on
            rank = int(np.count_nonzero(tails > tolerance * tails[0] / math.sqrt(len(columns))))
        bases.append(vectors[:, : max(1, rank)])
    return bases
