"""From a choice of routes to one answer: the next is tried where one fails, and what was tried is told."""

from __future__ import annotations

import time as clock
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from inntd.models.result import Answer
from inntd.problems import Problem
from inntd.solvers import routes
from inntd.solvers.alternating import ROUNDING
from inntd.solvers.choice import Choice, Family, choose
from inntd.solvers.options import DEFAULT_TOLERANCE, Options, Progress

Solve = Callable[[], Answer[Any]]

GIVE_UP = 60  # modes after which a reduced basis is tried, where it suits
NAMES: dict[Family, str] = {"separated": "a separated form", "reduced_basis": "reduced_basis", "slabs": "time slabs"}
MORE = "more modes"


@dataclass
class Attempts:
    """The routes that were tried, what each reached, and in what time."""

    answers: list[Answer[Any]] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    def add(self, name: str, solve: Solve, *, last: bool) -> bool:
        """Follow one more route; return whether that settles it.

        A route that refuses the problem is passed over, unless it is the last and there is no answer at all.
        """
        begin = clock.perf_counter()
        try:
            answer = solve()
        except KeyboardInterrupt:
            if not self.answers:
                raise
            self.told.append(f"{name} was stopped by the user after {clock.perf_counter() - begin:.2g} s")
            best = self.best()
            stopped = "stopped by the user while another route was tried; the best so far is kept"
            self.answers = [replace(best, status="interrupted", message=stopped)]
            return True
        except (ValueError, MemoryError, np.linalg.LinAlgError) as refusal:
            if last and not self.answers:
                raise
            self.told.append(f"{name} refused: {refusal}")
            return False
        self.told.append(
            f"{name} reached {answer.error_estimate.total:.1e} in {answer.seconds:.2g} s ({answer.status})"
        )
        self.answers.append(answer)
        if answer.status == "interrupted" and len(self.answers) > 1:
            self.answers = [replace(self.best(), status="interrupted", message=answer.message)]
        rounded = answer.status == "stagnated" and answer.error_estimate.algebraic <= ROUNDING
        return answer.status in ("converged", "interrupted") or rounded

    def best(self) -> Answer[Any]:
        """Return what converged, or else the answer of the least estimate."""
        ended = [answer for answer in self.answers if answer.status == "converged"]
        return min(ended or self.answers, key=lambda answer: np.nan_to_num(answer.error_estimate.total, nan=np.inf))


def solve_by_choice(problem: Problem, options: Options, bar: Progress) -> Answer[Any]:
    """Solve by the route that suits, and by others where it fails.

    With a number of modes asked for, the answer is a separated model of so many.
    """
    if options.rank is not None:
        choice = Choice(("separated",), f"{options.rank} modes were asked for")
    else:
        choice = choose(problem, options.plan.tolerance or DEFAULT_TOLERANCE)
    attempts, queue = Attempts(), _queue(problem, choice, options, bar)
    for k, (name, solve) in enumerate(queue):
        if name == MORE and attempts.answers and attempts.answers[0].status != "max_rank":
            break  # it was not for want of modes
        bar.begin(name)
        if attempts.add(name, solve, last=k + 1 == len(queue)):
            break
    answer = attempts.best()
    notes = [f"chosen: {NAMES[choice.families[0]]}, because {choice.reason}"]
    if len(attempts.told) > 1:
        notes.append(f"tried: {'; '.join(attempts.told)}; returned: {answer.route or 'the boundary values'}")
    return replace(answer, notes=(*notes, *answer.notes))


def _queue(problem: Problem, choice: Choice, options: Options, bar: Progress) -> list[tuple[str, Solve]]:
    """Return the routes to try, by name; after a few modes and a reduced basis all the modes that are allowed."""
    plan = options.plan
    few = replace(plan, give_up=GIVE_UP) if choice.families[0] == "separated" and len(choice.families) > 1 else plan
    ways: dict[Family, Solve] = {
        "separated": lambda: routes.separated(options.refined(problem), few, "auto", bar.show),
        "reduced_basis": lambda: routes.reduced(options.refined(problem), plan, None, bar.show),
        "slabs": lambda: routes.marched(problem, plan, "auto", "auto", None, bar.show),
    }
    queue = [(NAMES[family], ways[family]) for family in choice.families]
    if few is not plan:
        queue.append((MORE, lambda: routes.separated(options.refined(problem), plan, "auto", bar.show)))
    return queue
