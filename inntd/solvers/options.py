"""What a user asks a solver for, checked once, and the surroundings that a solve runs in."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from tqdm import tqdm

from inntd import _checks
from inntd._kernels import blas_threads
from inntd.axes import Axis
from inntd.models.result import Step
from inntd.problems import Problem
from inntd.solvers.alternating import Plan
from inntd.solvers.single import ROUTES
from inntd.solvers.tucker_galerkin import DEFAULT_MODES

SeparatedMethod: TypeAlias = Literal["alternating", "greedy", "direct", "tucker", "minimal_residual"]
Method: TypeAlias = Literal["auto", "reduced_basis"] | SeparatedMethod
Merge: TypeAlias = Sequence[Axis | str]

DEFAULT_TOLERANCE = 1e-6
# Share of the tolerance that numerical separation of coefficients may take.
SEPARATION = 0.1
DEFAULT_LARGEST_RANK = 200


@dataclass(frozen=True)
class Options:
    """Arguments of :func:`inntd.solve` that say how to solve; see there.

    Raises
    ------
    ValueError, TypeError
        When one is out of range, or two do not go together.
    """

    rank: int | None = None
    tolerance: float | None = None
    method: Method = "auto"
    merge: Merge | None = None
    seed: int = 0
    threads: int | None = None
    progress: bool | None = None

    def __post_init__(self) -> None:
        put = object.__setattr__
        put(self, "method", _checks.one_of("method", self.method, (*ROUTES, "reduced_basis")))
        if self.rank is not None:
            put(self, "rank", _checks.positive_int("rank", self.rank))
        if self.tolerance is not None:
            put(self, "tolerance", _checks.relative_error("tolerance", self.tolerance))
        put(self, "seed", _checks.positive_int("seed", self.seed, minimum=0))
        if self.merge is not None and self.method != "reduced_basis":
            raise ValueError(
                f"merge must be given with method='reduced_basis' only, got it with method={self.method!r}"
            )
        if self.threads is not None:
            put(self, "threads", _checks.positive_int("threads", self.threads))

    @property
    def plan(self) -> Plan:
        """How to grow and when to stop."""
        tolerance = DEFAULT_TOLERANCE if self.rank is None and self.tolerance is None else self.tolerance
        largest = DEFAULT_MODES if self.method == "tucker" else DEFAULT_LARGEST_RANK
        return Plan(tolerance, self.rank or largest, updates=self.method != "greedy", seed=self.seed)

    def refined(self, problem: Problem) -> Problem:
        """Return a problem whose coefficients are separated as well as the tolerance asks for."""
        return problem if self.tolerance is None else problem.refined(SEPARATION * self.tolerance)

    @contextmanager
    def running(self) -> Iterator[Progress]:
        """Set the numbers of threads and show a progress bar, as long as the solve takes."""
        before = torch.get_num_threads()
        if self.threads is not None:
            torch.set_num_threads(self.threads)
        bar = Progress(self.progress, self.plan.rank)
        try:
            with blas_threads(self.threads):
                yield bar
        finally:
            bar.close()
            torch.set_num_threads(before)


class Progress:
    """A bar that counts modes, and shows the route and its estimate."""

    def __init__(self, wanted: bool | None, total: int) -> None:
        shown = sys.stderr.isatty() if wanted is None else bool(wanted)
        self.bar = tqdm(total=total, unit="mode", desc="solve", disable=not shown, leave=False)

    def begin(self, route: str) -> None:
        """Start to count anew for another route."""
        self.bar.reset()
        self.bar.set_description_str(f"solve: {route}")

    def show(self, step: Step) -> None:
        """Show one more step."""
        self.bar.set_postfix_str(f"estimate {step.estimate:.1e}")
        self.bar.update(step.modes - self.bar.n)

    def close(self) -> None:
        """Take the bar away."""
        self.bar.close()
