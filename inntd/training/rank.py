"""Where alternating least squares begins: on a part of the samples, and with how many modes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from inntd.axes import Axis
from inntd.training.alternation import Alternation
from inntd.training.samples import Samples
from inntd.training.smoothness import Smoothness

Array = npt.NDArray[np.float64]
Started: TypeAlias = tuple[Alternation, bool, str]  # the state on all samples, whether interrupted, and why this rank

RANKS = (1, 2, 4, 6, 8, 12, 16, 24, 32, 48, 64)
ENOUGH = 4  # samples per parameter that make a good start
WORTHWHILE = 3  # parts of the samples below which a start on one of them does not pay
SWEEPS = 6  # at the start, and for each rank
HELD_OUT, MOST_HELD_OUT = 0.2, 10_000
WORTH = 0.97  # more modes must lower the error to less than this share
SMALL = 1e-7  # error, of samples of mean square one, that needs no more modes
NEW = 1e-3  # amplitude of modes that are added


def start_factors(axes: Sequence[Axis], outputs: int, modes: int, random: np.random.Generator) -> list[Array]:
    """Return D + 1 factors of modes that are one plus a random linear function of each coordinate.

    Products of many such functions neither vanish nor grow.
    """
    factors = []
    for axis in axes:
        x = random.standard_normal((axis.size, modes)) if axis.discrete else np.linspace(-1, 1, axis.size)[:, None]
        factors.append(1 + random.uniform(-1, 1, modes) * x)
    return [*factors, random.standard_normal((outputs, modes)) if outputs > 1 else np.ones((1, modes))]


def start(
    axes: Sequence[Axis],
    samples: Samples,
    modes: int,
    penalties: Sequence[Smoothness],
    ridge: float,
    random: np.random.Generator,
    late: float,
) -> Started:
    """Return a start with so many modes; where samples are many, it has learnt from a part of them."""
    enough = ENOUGH * modes * sum(axis.size for axis in axes)
    factors = start_factors(axes, samples.y.shape[1], modes, random)
    why = "as asked"
    if len(samples) < WORTHWHILE * enough:
        return Alternation(axes, samples, factors, penalties, ridge, random), False, why
    part = samples.take(np.sort(random.permutation(len(samples))[:enough]))
    state = Alternation(axes, part, factors, penalties, ridge, random)
    interrupted = not _sweep(state, late)
    return state.on(samples), interrupted, why


def chosen_rank(
    axes: Sequence[Axis],
    samples: Samples,
    penalties: Sequence[Smoothness],
    ridge: float,
    random: np.random.Generator,
    late: float,
) -> Started:
    """Return a start with the number of modes that has the least error at samples held out.

    Modes are added to those found before; each number of them learns from a part of the samples in proportion.
    """
    order = random.permutation(len(samples))
    count = min(int(HELD_OUT * len(samples)), MOST_HELD_OUT)
    held, rest = samples.take(order[:count]), order[count:]
    half = late if late == np.inf else (time.perf_counter() + late) / 2  # the other half is for all samples
    best: Alternation | None = None
    state: Alternation | None = None
    least, failed, interrupted = np.inf, 0, False
    weights = [penalty.weight for penalty in penalties]
    for rank in RANKS:
        enough = ENOUGH * rank * sum(axis.size for axis in axes)
        part = samples.take(np.sort(rest[:enough])) if len(rest) else samples
        known = 0 if state is None else len(state.amplitudes)
        more = start_factors(axes, samples.y.shape[1], rank - known, random)
        if state is None:
            state = Alternation(axes, part, more, penalties, ridge, random)
        else:
            more[-1] *= NEW
            state = state.on(part, more)
        interrupted = not _sweep(state, half)
        error = float(np.sqrt(state.on(held).mean_square())) if count else 0.0
        failed = 0 if error < WORTH * least else failed + 1
        if best is None or error < WORTH * least:
            best, least, weights = state, error, [penalty.weight for penalty in penalties]
        if interrupted or failed == 2 or error < SMALL or time.perf_counter() > half or enough > 8 * len(samples):
            break
    assert best is not None
    for penalty, weight in zip(penalties, weights, strict=True):
        penalty.weight = weight
    why = f"relative error {least:.1e} at {count} samples held out, the least of ranks up to {rank}"
    return best.on(samples), interrupted, why


def _sweep(state: Alternation, late: float) -> bool:
    """Sweep a few times; return whether nobody interrupted it."""
    try:
        for _ in range(SWEEPS):
            state.sweep()
            if time.perf_counter() > late:
                break
    except KeyboardInterrupt:
        return False
    return True
