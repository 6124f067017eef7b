"""Meshes that adapt: solve, estimate, refine the axes that carry the error, until the total is small enough.

The estimate of a mesh comes from the factors of its solution (`discretisation.py`). The next mesh's solution is a
better one: its distance to the last tells what the last estimate was worth, and where that was too little, later ones
are multiplied by what was missing. So no estimate is believed before two meshes were compared.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from inntd import _checks
from inntd.axes import Axis
from inntd.models import SlabModel, comparison, memory, norms
from inntd.models.reduced import ReducedModel
from inntd.models.result import Answer, ErrorEstimate, MeshStep, Status
from inntd.problems import Problem
from inntd.problems.continuation import time_axis
from inntd.solvers.discretisation import AxisError, axis_errors, estimate_of, form_of, total, without_mesh
from inntd.solvers.refinement import refined_axes
from inntd.solvers.slab_lengths import Slabs, split

Adapt = Literal["mesh"]
#: Takes a problem, and by name a tolerance of the discrete system alone and the times where slabs meet.
Solve = Callable[..., Answer[Any]]

#: Shares of the tolerance: a mesh aims at the one, its discrete system is solved to the other at least.
MESH, ALGEBRAIC = 0.4, 0.2
#: Where the solution is not yet resolved, by its decay with the patch size, the total must be this much smaller.
RESOLVED, MARGIN = 0.4, 0.65
#: On meshes that are not the last the discrete system is solved to this share of the error to be expected.
BALANCE = 0.1
#: Of the first mesh nothing is known: its system is solved to this, or to what the tolerance asks.
FIRST = 1e-3
#: By what the error is to fall from one mesh to the next, at most.
BOLDEST = 0.03
MOST_MESHES = 16
#: Meshes without progress, a fall of the total by this factor, after which the loop ends.
PATIENCE, PROGRESS = 3, 0.8
#: An estimate that comparing meshes found too small is multiplied by this at most.
MOST_MISSING = 100.0
#: Vectors of the length of an axis that a solver holds, for each mode and for matrices.
VECTORS_PER_MODE, VECTORS = 8, 400
INTERRUPTED = "stopped by the user; the best mesh so far is kept"


@dataclass
class Search:
    """The meshes so far.

    Attributes
    ----------
    best
        The answer of the least total, with its estimate.
    errors
        Of the last mesh, by element.
    missing
        By what factor the estimates from factors are multiplied.
    """

    tolerance: float
    begun: float
    history: list[MeshStep] = field(default_factory=list)
    best: Answer[Any] | None = None
    last: Answer[Any] | None = None
    errors: list[AxisError] = field(default_factory=list)
    missing: float = 1.0

    @property
    def step(self) -> MeshStep:
        """The last mesh."""
        return self.history[-1]

    def restart(self) -> None:
        """Forget the meshes so far."""
        self.history, self.best, self.last, self.errors, self.missing = [], None, None, [], 1.0

    def take(self, answer: Answer[Any]) -> None:
        """Judge the solution on one more mesh."""
        errors = axis_errors(answer.model, by_element=True)
        if self.last is not None:
            self._compare(answer, errors)
        estimate = estimate_of(ErrorEstimate(answer.error_estimate.algebraic), errors, self.missing)
        estimate = replace(estimate, certainty="estimate")
        answer = replace(answer, error_estimate=estimate)
        step = MeshStep(
            answer.modes,
            estimate.algebraic,
            sum(own.sweeps for own in answer.history),
            time.perf_counter() - self.begun,
            estimate.discretisation or 0.0,
            estimate.by_axis,
            tuple(answer.model.axes),
            answer.status,
        )
        self.history.append(step)
        self.last, self.errors = answer, errors
        if self.best is None or not estimate.total > self.best.error_estimate.total or self._confirms(estimate):
            self.best = answer

    def _confirms(self, estimate: ErrorEstimate) -> bool:
        """Tell whether a finer mesh is good enough, where the best was not yet compared with any."""
        return len(self.history) == 2 and estimate.total <= self.tolerance

    def _compare(self, answer: Answer[Any], errors: Sequence[AxisError]) -> None:
        """Learn from the distance to the last solution what its estimate was worth."""
        assert self.last is not None
        guessed = total(self.errors)
        seen = distance(self.last.model, answer.model) - self.step.estimate - answer.error_estimate.algebraic
        if guessed > 0 and total(errors) < guessed:
            self.missing = min(max(1.0, seen / guessed), MOST_MISSING)

    def allowed(self) -> float:
        """Return the total that is small enough: with a margin where estimates are rough."""
        main = [each for each in self.errors if self.missing * each.error > 0.1 * self.tolerance]
        return self.tolerance if all(each.decay <= RESOLVED for each in main) else MARGIN * self.tolerance

    def goal(self) -> float:
        """Return the error that the next mesh aims at, as the factors tell it."""
        wanted = max(MESH * self.tolerance, BOLDEST * self.step.discretisation)
        if self.step.discretisation <= wanted:  # compare with a mesh that is a little better
            wanted = 0.3 * self.step.discretisation
        return wanted / self.missing


def solve_adaptive(
    problem: Problem | Callable[[Axis], Problem],
    tolerance: float | None,
    adapt: str,
    slabs: Slabs | None,
    solve: Solve,
) -> Answer[Any]:
    """Solve a problem on meshes that adapt, until mesh and discrete system together meet the tolerance.

    Parameters
    ----------
    problem
        Its axes are the first mesh. Their ends and breaks stay nodes, and nodes that were given one by one; a basis
        that was given stays.
    tolerance
        Relative L2 error over all axes.
    adapt
        ``"mesh"``.
    slabs
        Time slabs, see `inntd.solve`: they meet at the same times on all meshes.
    solve
        From a problem on other axes, `tolerance` and `slabs` to an answer.

    Raises
    ------
    ValueError, TypeError
        When an argument is out of range.
    """
    _checks.one_of("adapt", adapt, ("mesh",))
    if tolerance is None:
        raise ValueError("adapt='mesh' needs a tolerance to adapt to, got none: give tolerance=, such as 1e-4")
    if not isinstance(problem, Problem):
        raise TypeError(f"adapt='mesh' needs an inntd.Problem, which it states on other axes, "
                        f"got {type(problem).__name__}")  # fmt: skip
    tolerance = _checks.relative_error("tolerance", tolerance)
    if slabs is not None:
        problem, slabs = at_times(problem, slabs)
    search = Search(tolerance, time.perf_counter())
    try:
        status, message = _refine(search, problem, slabs, solve)
    except KeyboardInterrupt:
        if search.best is None:
            raise
        status, message = "interrupted", INTERRUPTED
    return _answer(search, status, message)


def _refine(search: Search, problem: Problem, slabs: Slabs | None, solve: Solve) -> tuple[Status, str]:
    """Solve on one mesh after the other until there is a reason to stop; return it."""
    aim = max(ALGEBRAIC * search.tolerance, FIRST)
    while True:
        answer = solve(problem, tolerance=aim, slabs=slabs)
        if slabs is None and isinstance(answer.model, SlabModel):
            # The solver chose slabs by itself: begin again with these times, so that meshes can be compared.
            problem, slabs = at_times(problem, _meetings(answer.model))
            search.restart()
            continue
        search.take(answer)
        stopped = _stopped(search)
        if stopped is not None:
            return stopped
        axes = refined_axes(search.errors, search.goal())
        refused = _too_large(problem, axes, search)
        if refused is not None:
            return "stagnated", refused
        problem = problem.on_axes(*axes)
        aim = max(ALGEBRAIC * search.tolerance, min(BALANCE * search.goal(), FIRST))


def _meetings(model: SlabModel) -> list[float]:
    """Return the times where slabs meet."""
    own = [next(axis for axis in slab.axes if axis.name == model.axis.name) for slab in model.slabs]  # type: ignore[union-attr]
    return [float(axis.domain[1]) for axis in own[:-1]]


def at_times(problem: Problem, slabs: Slabs) -> tuple[Problem, list[float]]:
    """Return a problem with breaks where time slabs meet, which so stay where they are, and these times."""
    axis, nodes = split(time_axis(problem), slabs, problem)
    times = [float(axis.nodes[k]) for k in nodes[1:-1]]
    return problem.on_axes(axis.with_breaks(times)), times


def _stopped(search: Search) -> tuple[Status, str] | None:
    """Return how the search ends, if it does."""
    step, tolerance = search.step, search.tolerance
    if step.status == "interrupted":
        return "interrupted", INTERRUPTED
    if not math.isfinite(step.total):
        return step.status, _of_last(search)
    if step.total <= search.allowed() and len(search.history) > 1:
        return "converged", f"mesh and discrete system together are within the tolerance after {_meshes(search)}"
    if step.status != "converged" and step.estimate > tolerance and step.discretisation <= MESH * tolerance:
        return step.status, f"the mesh is fine enough, but not the solution on it: {_of_last(search)}"
    if len(search.history) >= MOST_MESHES:
        return "stagnated", f"{_meshes(search)} did not reach the tolerance"
    totals = [own.total for own in search.history]
    if len(totals) > PATIENCE and min(totals[-PATIENCE:]) > PROGRESS * min(totals[:-PATIENCE]):
        return "stagnated", f"the last {PATIENCE} of {_meshes(search)} brought no progress: {_of_last(search)}"
    return None


def _meshes(search: Search) -> str:
    count = len(search.history)
    return f"{count} mesh{'es' * (count > 1)}"


def _of_last(search: Search) -> str:
    assert search.last is not None
    return without_mesh(search.last.message)


def _too_large(problem: Problem, axes: Sequence[Axis], search: Search) -> str | None:
    """Tell why a mesh is refused, with its size."""
    known = {axis.name: axis for axis in problem.axes} | {axis.name: axis for axis in axes}
    if all(known[axis.name].key == axis.key for axis in problem.axes):
        return "no axis can be refined any further"
    sizes = [axis.size for axis in known.values()]
    needed = 8 * sum(sizes) * (VECTORS_PER_MODE * search.step.modes + VECTORS)
    if len(sizes) == 2:  # solved directly, with all coefficients
        needed += 4 * 8 * math.prod(sizes)
    try:
        memory.refuse_beyond(f"a mesh of {' x '.join(map(str, sizes))} nodes", needed, None,
                             f"the tolerance would take it; {search.step.total:.1e} is reached")  # fmt: skip
    except MemoryError as error:
        return str(error)
    return None


def distance(first: Any, second: Any) -> float:
    """Return the L2 distance of two solutions of the same problem on different meshes, relative to the second."""
    if isinstance(first, SlabModel):
        parts = list(zip(first.slabs, second.slabs, strict=True))
        size = second.norm()
        each = [float(a.distance(b)) for a, b in parts]  # type: ignore[operator]  # torch takes them for tensors
        return math.hypot(*each) / size if size > 0 else 0.0
    if isinstance(first, ReducedModel):
        forms = form_of(first), form_of(second)
        size, apart = comparison.log_length(forms[1], "L2"), comparison.log_distance(*forms, "L2")
        return norms.exp(apart - size) if size > -math.inf else 0.0
    return float(first.relative_distance(second)) if float(second.norm()) > 0 else 0.0


def _answer(search: Search, status: Status, message: str) -> Answer[Any]:
    best = search.best
    assert best is not None
    estimate = best.error_estimate
    if status != "converged":
        parts = f"{estimate.algebraic:.1e} of the discrete system, {estimate.discretisation:.1e} of the mesh"
        message = f"{message} (error {estimate.total:.1e}: {parts}; tolerance {search.tolerance:.1e})"
    sizes = " x ".join(str(axis.size) for axis in best.model.axes)
    notes = [note for note in best.notes if "adapt='mesh'" not in note]
    notes.append(f"{_meshes(search)}, at the end of {sizes} nodes")
    if search.missing > 1.0:
        notes.append(f"comparing meshes raised the estimate {search.missing:.1f} times")
    best.model.metadata |= {
        "status": status,
        "error_estimate": estimate.total if math.isfinite(estimate.total) else None,
    }
    seconds = time.perf_counter() - search.begun
    history = tuple(search.history)
    return replace(best, status=status, message=message, seconds=seconds, history=history, notes=tuple(notes))
