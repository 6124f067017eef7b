"""Tucker-Galerkin: the best combination of all products of the functions that a few CP modes found on each axis.

CP modes span good subspaces long before their sum is accurate. The Galerkin system on the product of these subspaces
is small and linear; its solution is a Tucker model. Updating the subspace of one axis after the other, by solving with
that axis in full and truncating the result, is the higher-order orthogonal iteration of De Lathauwer, De Moor and
Vandewalle (SIAM J. Matrix Anal. Appl. 21, 2000) with the operator in place of a given tensor.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import scipy.sparse.linalg

from inntd.models.memory import refuse_beyond
from inntd.models.result import Status, Step
from inntd.solvers.alternating import FLOOR, Outcome, Plan, solve_alternating
from inntd.solvers.core_system import solve_core, subspace
from inntd.solvers.direct import system_has_fixed
from inntd.solvers.free import FreeSystem, Vector, free_system
from inntd.solvers.nullspace import cancellation, constant_nullspace, singular_message
from inntd.solvers.operator import DiscreteSystem
from inntd.solvers.product import AxisSpace, Root, load_tensor, spectral_space
from inntd.solvers.residual import estimated_error

MOST_AXES = 8
DEFAULT_MODES = 6
MOST_MODES = 48
DEFAULT_TOLERANCE = 1e-6
CLEARLY = 100.0  # a function counts as missing when the last one kept is so much above the goal
START_GOAL = 1e-4  # of the CP modes' norm: what their subspaces leave out
LARGEST_TENSOR = 4_000_000  # coefficients with one axis in full
LONGEST_AXIS = 1500  # nodes up to which an axis is taken in full
MOST_SWEEPS = 6
QUASI_OPTIMAL = 1.5  # Galerkin errors over best approximations, in experiments
SQUARED = 1e-7  # goals below which inner products have too few digits
FIRST_GOAL = 10.0  # the first sweep leaves out so much more: its subspaces are provisional
# Functions from which on an axis is long, and how many of its leading ones are looked for at first.
LONG = 256
FEW_OF_LONG = 48


@dataclass
class State:
    """A Tucker solution under way.

    `spaces` are the current coordinates of each axis, `full` those of whole axes; `bases` and `core` the last solution,
    with columns of nodal values that are orthonormal in L2.
    """

    spaces: list[AxisSpace]
    bases: list[Vector]
    core: Vector
    capped: float = 0.0
    missed: list[float] = field(default_factory=list)
    dropped: dict[int, float] = field(default_factory=dict)
    full_rank: dict[int, bool] = field(default_factory=dict)
    full: dict[int, AxisSpace] = field(default_factory=dict)

    @property
    def bounded(self) -> bool:
        """Whether the rank of some axis is as large as those of the others let it be: the truth may need more."""
        return any(self.full_rank.values())


def solve_tucker(system: DiscreteSystem, plan: Plan, watch: Callable[[Step], None] | None = None) -> Outcome:
    """Find subspaces by a few CP modes, then solve on their product and update them until the tolerance holds.

    Parameters
    ----------
    system
        Up to about six coupled axes.
    plan
        Its rank is the number of CP modes to start from; its tolerance (default 1e-6) chooses the ranks.
    watch
        Called after every sweep.

    Raises
    ------
    ValueError
        If there are too many axes, or the problem leaves a constant undetermined.
    """
    _check(system)
    begin = time.perf_counter()
    goal = plan.tolerance or DEFAULT_TOLERANCE
    plan, free = replace(plan, tolerance=goal), free_system(system)
    _refuse_memory(free)
    history: list[Step] = []
    start_goal = START_GOAL
    while True:
        start = solve_alternating(system, replace(plan, tolerance=None, final_sweeps=2, most_sweeps=4), watch)
        history += start.history
        if start.status in ("interrupted", "diverged") or start.factors[0].shape[1] == 0 or start.estimate == 0.0:
            return start
        singular = singular_message(cancellation(system, start.factors))
        if singular is not None:
            return replace(start, status="diverged", message=singular)
        try:
            state = _initial(free, start.factors, start_goal)
        except (np.linalg.LinAlgError, KeyboardInterrupt) as error:
            stopped = isinstance(error, KeyboardInterrupt)
            message = "stopped by the user; the CP modes are kept" if stopped else f"{error}; the CP modes are kept"
            return replace(start, status="interrupted" if stopped else "diverged", message=message)
        estimate, status, message = _sweeps(free, state, plan, history, begin, watch)
        # Modes that reach the goal themselves span the solution, if nothing of their span was left out.
        spanned = start_goal < goal and max(estimate, start.estimate) <= goal
        if status == "interrupted" or not state.bounded or spanned or plan.rank >= MOST_MODES:
            break
        # With one other coupled axis the rank cannot exceed that axis': only more modes help.
        plan, start_goal = replace(plan, rank=min(2 * plan.rank, MOST_MODES)), 0.01 * goal
    if state.bounded and status == "converged" and not spanned:
        estimate, status = max(estimate, start.estimate), "stagnated"
        message = f"{plan.rank} CP modes do not span the solution: use method='direct' or 'alternating'"
    return _two_axes_judged(free, _outcome(free, state, history, estimate, status, message), goal)


def _two_axes_judged(free: FreeSystem, outcome: Outcome, goal: float) -> Outcome:
    """Of two axes the residual tells the error: with one other axis, updates cannot find what both subspaces miss."""
    if len(free.sizes) != 2 or outcome.core is None:
        return outcome
    estimate = estimated_error(free, [outcome.factors[0] @ outcome.core, outcome.factors[1]])
    if estimate is None or (estimate <= goal) == (outcome.status == "converged"):
        return outcome if estimate is None else replace(outcome, estimate=max(estimate, FLOOR))
    if estimate <= goal:
        message = f"the residual tells of an error of {estimate:.1e}"
        return replace(outcome, status="converged", estimate=estimate, message=message)
    status: Status = outcome.status if outcome.status != "converged" else "stagnated"
    message = f"the residual tells of an error of {estimate:.1e}: use method='direct', or raise rank"
    return replace(outcome, status=status, estimate=estimate, message=message)


def _check(system: DiscreteSystem) -> None:
    count = len(system.axes)
    if not 2 <= count <= MOST_AXES:
        raise ValueError(
            f"method must not be 'tucker' for {count} axes: the core grows as the product of the ranks, which serves 2 "
            f"to {MOST_AXES} axes; use method='alternating'"
        )
    if system_has_fixed(system):
        raise ValueError(
            "method must not be 'tucker' when components of a vector have Dirichlet values on different faces; use "
            "method='alternating'"
        )
    if constant_nullspace(system):
        raise ValueError(
            "method must not be 'tucker' for a solution that is fixed by a zero mean only; use method='alternating'"
        )


def _refuse_memory(free: FreeSystem) -> None:
    """Refuse axes whose eigenvectors will not fit, before any are computed; the largest core is bounded anyway."""
    vectors = sum(2 * n * n for d, n in enumerate(free.sizes) if free.used(d) != [0] and n <= LONGEST_AXIS)
    refuse_beyond("the bases of a Tucker model", 8 * vectors, None, "use fewer elements, or method='alternating'")


def _initial(free: FreeSystem, factors: Sequence[Vector], goal: float) -> State:
    """Solve on the product of the CP modes' subspaces."""
    bases = initial_bases(free, factors, goal)
    spaces = [subspace(free, d, basis) for d, basis in enumerate(bases)]
    state = State(spaces, [], np.zeros(0))
    _solve(free, state)
    return state


def _solve(free: FreeSystem, state: State) -> None:
    core = solve_core(free, state.spaces, load_tensor(free, state.spaces), 0.1 * DEFAULT_TOLERANCE)
    state.bases, state.core = [_basis(space) for space in state.spaces], core


def _sweeps(
    free: FreeSystem,
    state: State,
    plan: Plan,
    history: list[Step],
    begin: float,
    watch: Callable[[Step], None] | None,
) -> tuple[float, Status, str]:
    """Update all axes forth and back until what the updates change has settled."""
    assert plan.tolerance is not None
    order = [d for d in range(len(free.sizes)) if free.used(d) != [0] and free.sizes[d] <= LONGEST_AXIS]
    goal = 0.6 * plan.tolerance / max(1.0, float(np.sqrt(len(order))))
    before, estimate = float("inf"), float("inf")
    try:
        state.full = {d: full_space(free, d) for d in order}
        for sweep in range(MOST_SWEEPS):
            # The last axis of a sweep has seen the best of the others: the next one starts beside it.
            axes = order if sweep == 0 else order[1:] if sweep % 2 == 0 else order[-2::-1]
            state.missed = []
            for d in axes or order:
                provisional = sweep == 0 and d != order[-1] and len(order) > 2
                update_axis(free, state, d, state.full[d], goal * (FIRST_GOAL if provisional else 1.0))
            missed = float(np.sqrt(sum(part**2 for part in state.missed)))
            left = float(np.sqrt(sum(part**2 for part in state.dropped.values())))
            estimate = max(QUASI_OPTIMAL * left, missed * min(1.0, missed / before), FLOOR)
            before = max(missed, FLOOR)
            history.append(Step(max(state.core.shape), estimate, 1, time.perf_counter() - begin))
            if watch is not None:
                watch(history[-1])
            if sweep > 0 and estimate <= plan.tolerance:
                break
            if len(order) < 2 or (sweep > 1 and state.capped > 0 and missed <= 2 * left):
                break
        _solve(free, state)
    except KeyboardInterrupt:
        return estimate, "interrupted", "stopped by the user; the last subspaces are kept"
    except np.linalg.LinAlgError as error:
        return estimate, "diverged", f"{error}; the last subspaces are kept (change the operator, or method='auto')"
    estimate = max(estimate, state.capped)
    if estimate <= plan.tolerance:
        return estimate, "converged", f"what the subspaces leave out is {estimate:.1e} of the norm"
    remedy = "raise rank, or use method='alternating'"
    if state.capped > 0:
        message = f"the core would grow beyond {LARGEST_TENSOR:.0e} coefficients: loosen tolerance, or use fewer axes"
        return estimate, "max_rank", message
    return estimate, "stagnated", f"the subspaces still change the solution by {estimate:.1e}: {remedy}"


def _outcome(
    free: FreeSystem, state: State, history: list[Step], estimate: float, status: Status, message: str
) -> Outcome:
    share = np.exp(free.scale / len(state.bases))
    ranks = " x ".join(str(r) for r in state.core.shape)
    notes = (f"Tucker-Galerkin in subspaces of ranks {ranks}",)
    factors = [basis * share for basis in state.bases]
    return Outcome(factors, status, message, estimate, tuple(history), 0, state.core, notes)


def full_space(system: FreeSystem, d: int) -> AxisSpace:
    """Return coordinates of a whole axis: the eigenbasis of its matrices, or one orthonormal in the mass."""
    own, used = system.matrices[d], system.used(d)
    if len([j for j in used if j != 0]) <= 1:
        space = spectral_space(own, used, system.loads[d], system.load_error)
        if space is not None:
            return space
    return subspace(system, d, Root.of(own[0]).solve(np.eye(system.sizes[d])))


def initial_bases(system: FreeSystem, factors: Sequence[Vector], goal: float) -> list[Vector]:
    """Return mass-orthonormal bases (n_d, r_d) of the leading subspaces of a CP tensor, axis by axis.

    The leading singular vectors of each unfolding, from small matrices only. Along an axis that the operator does not
    couple, the solution lies in the span of the load: that is taken, and is exact.
    """
    roots = [Root.of(own[0]) for own in system.matrices]
    columns = [root @ np.ascontiguousarray(factor) for root, factor in zip(roots, factors, strict=True)]
    columns = [own / np.linalg.norm(own) for own in columns]
    grams = [own.T @ own for own in columns]
    bases = []
    for d, own in enumerate(columns):
        if system.used(d) == [0]:
            weighted = roots[d].solve(np.unique(system.load_columns(d), axis=1), transposed=True)
        else:
            others = np.ones_like(grams[0])
            for e, gram in enumerate(grams):
                others = others * gram if e != d else others
            values, vectors = np.linalg.eigh(others)
            weighted = own @ (vectors * np.sqrt(np.maximum(values, 0.0)))
        u, sizes, _ = np.linalg.svd(weighted, full_matrices=False)
        keep = max(1, int(np.count_nonzero(sizes > goal * np.linalg.norm(sizes))))
        bases.append(roots[d].solve(np.ascontiguousarray(u[:, :keep])))
    return bases


def update_axis(system: FreeSystem, state: State, d: int, full: AxisSpace, goal: float) -> None:
    """Solve with one axis in full, and take the leading part of the result as the axis' new subspace."""
    spaces = [full if e == d else space for e, space in enumerate(state.spaces)]
    tensor = solve_core(system, spaces, load_tensor(system, spaces), 0.1 * goal)
    flat = np.moveaxis(tensor, d, 0).reshape(full.size, -1)
    values, vectors = _leading(flat, goal, precise=goal < SQUARED)
    tails = np.append(np.cumsum(values[::-1])[::-1], 0.0)
    if tails[0] == 0.0:
        raise np.linalg.LinAlgError("the projected solution vanishes")
    allowed = max(1, LARGEST_TENSOR // max(1, *_others(system, state, d)))
    wanted = max(1, int(np.argmax(tails <= goal**2 * tails[0])))
    keep = min(wanted, allowed)
    leading = np.ascontiguousarray(vectors[:, :keep])
    old = full.load(system.matrices[d][0] @ np.ascontiguousarray(_basis(state.spaces[d])))
    # The part of it outside of the old subspace, not the difference of two norms, which would end at 1e-8.
    state.missed.append(float(np.linalg.norm(flat - old @ (old.T @ flat)) / np.sqrt(tails[0])))
    smallest = float(np.sqrt(values[keep - 1] / tails[0]))
    state.full_rank[d] = keep == flat.shape[1] < full.size and smallest > CLEARLY * goal
    state.dropped[d] = float(np.sqrt(tails[keep] / tails[0]))
    if wanted > allowed:
        state.capped = max(state.capped, state.dropped[d])
    basis = full.to_nodes(leading)
    state.bases = [basis if e == d else _basis(space) for e, space in enumerate(state.spaces)]
    state.core = np.moveaxis((leading.T @ flat).reshape(keep, *np.moveaxis(tensor, d, 0).shape[1:]), 0, d)
    state.spaces[d] = subspace(system, d, basis)


def _leading(flat: Vector, goal: float, *, precise: bool) -> tuple[Vector, Vector]:
    """Return squared singular values and left singular vectors of an unfolding, largest first.

    From the small matrix of its inner products, which costs half of the digits: where they are needed, from a
    triangular factor.
    """
    if not precise:
        gram = flat @ flat.T
        few = _few_leading(gram, goal) if len(gram) >= LONG else None
        if few is not None:
            return few
        values, vectors = np.linalg.eigh(gram)
        return np.maximum(values[::-1], 0.0), vectors[:, ::-1]
    small = np.asarray(np.linalg.qr(flat.T, mode="r")).T if flat.shape[1] > flat.shape[0] else flat
    vectors, sizes, _ = np.linalg.svd(small, full_matrices=False)
    return sizes**2, vectors


def _few_leading(gram: Vector, goal: float) -> tuple[Vector, Vector] | None:
    """Return the leading eigenvalues of a long axis' gram matrix and what is left as one more; None if it is too much.

    By Lanczos' method: a long axis needs few of them. The eigenvector of the rest is none, and is never used.
    """
    total = float(np.trace(gram))
    try:
        values, vectors = scipy.sparse.linalg.eigsh(gram, k=FEW_OF_LONG, v0=np.ones(len(gram)), tol=1e-12)
    except scipy.sparse.linalg.ArpackError:
        return None
    values, vectors = np.maximum(values[::-1], 0.0), vectors[:, ::-1]
    rest = max(total - float(values.sum()), 0.0)
    if not rest <= 0.1 * goal**2 * total:
        return None
    return np.append(values, rest), np.column_stack([vectors, np.zeros(len(gram))])


def _basis(space: AxisSpace) -> Vector:
    assert space.basis is not None
    return space.basis


def _others(system: FreeSystem, state: State, d: int) -> list[int]:
    """Return the numbers of coefficients, per function of axis `d`, when another axis is taken in full."""
    sizes = [space.size for space in state.spaces]
    found = []
    for e, n in enumerate(system.sizes):
        if e != d and system.used(e) != [0]:
            size = state.full[e].size if e in state.full else n  # fewer than nodes, where loads reach few
            found.append(size * int(np.prod([r for f, r in enumerate(sizes) if f not in (d, e)])))
    return found
