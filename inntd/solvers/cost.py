"""What a reduced basis would cost, before anything of it is assembled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from inntd.axes import assembly
from inntd.models.memory import available_bytes
from inntd.problems import Problem
from inntd.solvers.factorise import WIDEST
from inntd.solvers.training_set import ALONG_ONE, SAMPLES

PER_DIGIT = 10  # full solutions that a digit of accuracy is likely to take
# Operations in a second on one core: banded Cholesky, banded LU, sparse factorisations (of which only a bound by the
# band is known), and products of vectors.
CHOLESKY, ELIMINATION, SPARSE, PRODUCTS = 3e10, 1.2e10, 4e9, 3e9
SHARE = 0.5  # of the memory that is available


@dataclass(frozen=True)
class Cost:
    """Size of merged axes, and an estimate of memory and time."""

    nodes: int
    gigabytes: float
    seconds: float

    def within(self, seconds: float) -> bool:
        """Whether it is likely to take no longer, and memory that is there."""
        return self.seconds <= seconds and 1e9 * self.gigabytes <= SHARE * available_bytes()

    def __str__(self) -> str:
        return f"{self.nodes:,} merged nodes, about {self.gigabytes:.2g} GB and {self.seconds:.3g} s"


def reduced_cost(problem: Problem, merged: Sequence[int], tolerance: float = 1e-4) -> Cost:
    """Estimate the cost of a greedy reduced basis on merged axes.

    What is not symmetric is solved by least residuals, whose look at all training parameters comes to cost more than
    the full solutions.

    Examples
    --------
    >>> import inntd as it
    >>> x, k = it.Axis("x", 0, 1, elements=100, s=1), it.Axis("k", 1, 2, elements=8, kind="parameter")
    >>> u, v = it.unknown("u", x, k), it.test_function()
    >>> cost = reduced_cost(it.Problem(weak=k * it.diff(v, x) * it.diff(u, x) - v, conditions=[u.on(x) == 0]), [0])
    >>> cost.nodes, cost.within(seconds=1.0)
    (101, True)
    """
    sizes, widths = [], []
    for d in merged:
        axis = problem.axes[d]
        width = axis.size - 1 if axis.discrete else assembly.mass(axis).half_bandwidth * (1 + axis.periodic)
        sizes.append(axis.size)
        widths.append(min(width, axis.size - 1))
    order = np.argsort(sizes)[::-1]
    nodes, entries, band = 1.0, 1.0, 0.0
    for d in order:  # the longest axis outermost makes the narrowest band
        band = band * sizes[d] + widths[d]
        nodes, entries = nodes * sizes[d], entries * sizes[d] * (2 * widths[d] + 1)
    parameters = [d for d in range(len(problem.axes)) if d not in merged]
    terms = len({tuple(term.forms[d].weight for d in parameters) for term in problem.operator})
    symmetric = all(form.trial == form.test for term in problem.operator for form in term.forms)
    snapshots = max(1.0, -PER_DIGIT * float(np.log10(tolerance)))
    vectors = snapshots * (1 + terms)
    factors = 2 * nodes * (min(band, WIDEST) + 1) * (1 if symmetric else 3)
    memory = 8 * (entries * (2 * terms + 8) + factors + nodes * vectors)
    rate = SPARSE if band > WIDEST else CHOLESKY if symmetric else ELIMINATION
    seconds = (snapshots + terms + 2) * nodes * min(band, 2 * WIDEST) ** 2 / rate
    seconds += nodes * (2.0 * vectors) ** 2 / PRODUCTS + 2e-8 * entries * (terms + 4)
    if not symmetric:
        seconds += (ALONG_ONE if len(parameters) == 1 else SAMPLES) * terms * snapshots**4 / PRODUCTS
    return Cost(int(nodes), memory / 1e9, float(seconds))
