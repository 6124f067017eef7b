"""Exact solution of separated systems of few axes: all coefficients at once, then only as many modes as needed.

Two axes are a matrix equation sum_t A_t U B_t^T = F: solved by diagonalising both axes, or one axis and banded systems
for the other; for two nonsymmetric axes by the generalised Schur form of Gardiner, Laub, Amato and Moler ("Solution of
the Sylvester matrix equation AXB^T + CXD^T = E", ACM TOMS 18, 1992); small general ones by sparse elimination. The
singular values of U in L2 tell exactly what leaving out modes costs.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import scipy.sparse
import scipy.sparse.linalg

from inntd.axes.banded import BandedMatrix
from inntd.models.memory import refuse_beyond
from inntd.models.result import Status, Step
from inntd.solvers.alternating import Outcome, Plan
from inntd.solvers.compress import truncated_matrix, truncated_tensor
from inntd.solvers.free import FreeSystem, Vector, free_system
from inntd.solvers.nullspace import cancellation, constant_nullspace, singular_message
from inntd.solvers.operator import DiscreteSystem
from inntd.solvers.product import AxisSpace, banded_space, load_tensor, solve_product, spectral_space
from inntd.solvers.schur import solve_sylvester

Way = Literal["spectral", "banded", "schur", "sparse"]

LARGEST_TENSOR = 4_000_000  # coefficients of three or more axes; two axes are bounded by their time
LARGEST_MATRIX = 16_000_000
LARGEST_SPARSE = 40_000


@dataclass(frozen=True)
class Route:
    """How to solve directly: the way, the axis that is not diagonalised, and the seconds that it is likely to take."""

    way: Way
    axis: int | None
    seconds: float


def direct_route(system: FreeSystem, nullspace: bool = False) -> Route | None:
    """Choose a direct way by its likely time on one core; None when there is none.

    The model of the time was fitted to one machine: 2.5e-10 n^3 s for an eigendecomposition, 2e-8 n^3 s for a
    generalised Schur form, 1 GFlop/s for banded systems and 5 GFlop/s for products.
    """
    sizes, dimension = system.sizes, len(system.sizes)
    total = float(np.prod(sizes))
    if total > (LARGEST_MATRIX if dimension == 2 else LARGEST_TENSOR) or min(sizes) == 0:
        return None
    plain = [d for d in range(dimension) if not _diagonalisable(system, d)]
    eigen = [2.5e-10 * n**3 + 4e-10 * n * total for n in sizes]
    ways = []
    if not plain:
        ways.append(Route("spectral", None, sum(eigen)))
    if len(plain) <= 1 and not nullspace:
        for d in plain or range(dimension):
            others = sum(cost for e, cost in enumerate(eigen) if e != d)
            ways.append(Route("banded", d, others + _banded_seconds(system, d, total / sizes[d])))
    if dimension == 2 and len(plain) == 2 and not nullspace and len(system.merged(0).merged(1).terms) == 2:
        d = int(np.argmin(sizes))
        schur = 2e-8 * sizes[d] ** 3 + _banded_seconds(system, 1 - d, 4.0 * sizes[d])
        ways.append(Route("schur", 1 - d, schur + 4e-9 * sizes[d] * total))
    if len(plain) > 1 and total <= LARGEST_SPARSE and dimension <= 3 and not nullspace:
        exponent = 1.75 if dimension == 2 else 2.2
        ways.append(Route("sparse", None, 1e-7 * total**exponent * (1 if dimension == 2 else 0.1)))
    return min(ways, key=lambda route: route.seconds) if ways else None


def solve_direct(system: DiscreteSystem, plan: Plan, watch: Callable[[Step], None] | None = None) -> Outcome:
    """Solve a discrete system on all its coefficients, and keep as many modes as the plan asks for.

    Parameters
    ----------
    system
        Two axes, or a few with few nodes.
    plan
        Its tolerance bounds the relative L2 norm of what is left out, its rank the number of modes.
    watch
        Called with the one step that this takes.

    Raises
    ------
    ValueError
        If the operator has no structure that a direct solution could use, or is too large.
    """
    started = time.perf_counter()
    nullspace = constant_nullspace(system)
    free = free_system(system)
    route = direct_route(free, nullspace) if not system_has_fixed(system) else None
    if route is None:
        sizes = " x ".join(str(n) for n in free.sizes)
        raise ValueError(
            f"method must not be 'direct' for an operator of {len(free.terms)} terms on {sizes} nodes: no axes that "
            "can be diagonalised, or too many coefficients; use method='auto'"
        )
    refuse_beyond("a direct solution of all coefficients", direct_bytes(free), None,
                  "use fewer elements, or method='alternating'")  # fmt: skip
    tensor, margin, spaces = _coefficients(free, route, nullspace)
    if not np.isfinite(tensor).all():
        return _nothing(
            free, "the operator is singular: change the coefficient of the negative term, or the conditions"
        )
    outcome = _compressed(free, spaces, tensor, plan, 1e-15 / max(margin, 1e-15), started)
    if route.way != "spectral" and outcome.core is None:
        margin = cancellation(system, outcome.factors)
    message = singular_message(margin)
    if message is not None:
        outcome = replace(outcome, status="diverged", message=message)
    if watch is not None:
        watch(outcome.history[-1])
    return outcome


def direct_bytes(system: FreeSystem) -> int:
    """Return the memory of a direct solution: a few arrays of all coefficients, and eigenvectors of each axis."""
    return 8 * (4 * int(np.prod(system.sizes, dtype=object)) + 3 * sum(n * n for n in system.sizes))


def system_has_fixed(system: DiscreteSystem) -> bool:
    """Whether single components of a vector field are fixed at nodes that are free for others."""
    return any(fixed is not None for fixed in getattr(system, "fixed", None) or [])


def spectral_spaces(system: FreeSystem, skipped: int | None = None) -> list[AxisSpace]:
    """Diagonalise the axes, but for one; axes that share matrices share the work."""
    known: dict[tuple[object, ...], AxisSpace] = {}
    spaces = []
    for d, own in enumerate(system.matrices):
        used = system.used(d)
        if d == skipped:
            spaces.append(banded_space(own, used))
            continue
        key = (tuple(used), *(id(matrix) for matrix in own))
        if key not in known:
            found = spectral_space(own, used)
            if found is None:
                raise ValueError(f"axis {d} cannot be diagonalised")
            known[key] = found
        spaces.append(known[key])
    return spaces


def _diagonalisable(system: FreeSystem, d: int) -> bool:
    used = [j for j in system.used(d) if j != 0]
    own = system.matrices[d]
    if not all(own[j].symmetric for j in used):
        return False
    return len(used) <= 1 or (len(used) == 2 and 0 not in system.used(d) and any(_positive(own[j]) for j in used))


def _positive(matrix: BandedMatrix) -> bool:
    """Whether a symmetric matrix is positive definite."""
    try:
        np.linalg.cholesky(matrix.toarray())
    except np.linalg.LinAlgError:
        return False
    return True


def _banded_seconds(system: FreeSystem, d: int, count: float) -> float:
    b = max(matrix.half_bandwidth for matrix in system.matrices[d]) * (2 if system.matrices[d][0].periodic else 1)
    return count * (4e-5 + 4e-9 * system.sizes[d] * b * b)


def _coefficients(free: FreeSystem, route: Route, nullspace: bool) -> tuple[Vector, float, list[AxisSpace]]:
    if route.way in ("spectral", "banded"):
        spaces = spectral_spaces(free, route.axis)
        solved = solve_product(free, spaces, load_tensor(free, spaces), nullspace)
        return solved.tensor, solved.margin, spaces
    spaces = [banded_space(own, free.used(d)) for d, own in enumerate(free.matrices)]
    load = load_tensor(free, spaces)
    if route.way == "sparse":
        return _sparse(free, spaces, load), 1.0, spaces
    merged = free.merged(0).merged(1)
    fresh = [banded_space(own, merged.used(d)) for d, own in enumerate(merged.matrices)]
    assert route.axis is not None
    return solve_sylvester(merged, fresh, load, route.axis), 1.0, spaces


def _sparse(free: FreeSystem, spaces: list[AxisSpace], load: Vector) -> Vector:
    """Solve by sparse elimination on the Kronecker products."""
    total = scipy.sparse.csc_array((load.size, load.size))
    for coefficient, term in zip(free.coefficients, free.terms, strict=True):
        product = scipy.sparse.csr_array(np.array([[coefficient]]))
        for d, j in enumerate(term):
            order = spaces[d].order
            assert order is not None
            matrix = free.matrices[d][j].tosparse()[order][:, order]
            matrix.eliminate_zeros()
            product = scipy.sparse.kron(product, matrix, format="csr")
        total = total + product.tocsc()
    right = load.reshape(-1)
    try:
        # Small diagonal pivots are taken, because others fill the factors; one refinement makes up for them.
        factors = scipy.sparse.linalg.splu(total, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.01)
    except RuntimeError:  # exactly singular
        return np.full(load.shape, np.nan)
    solved = factors.solve(right)
    solved += factors.solve(right - total @ solved)
    return np.asarray(solved).reshape(load.shape)


def _compressed(
    free: FreeSystem, spaces: list[AxisSpace], tensor: Vector, plan: Plan, round_off: float, started: float
) -> Outcome:
    """Keep the modes that matter; their number and what is left out decide the status."""
    for d, space in enumerate(spaces):
        if space.root is not None:
            moved = np.moveaxis(tensor, d, 0)
            tensor = np.moveaxis((space.root @ moved.reshape(space.size, -1)).reshape(moved.shape), 0, d)
    goal = 0.0 if plan.tolerance is None else 0.5 * plan.tolerance
    if tensor.ndim <= 2:
        columns, dropped = truncated_matrix(tensor.reshape(tensor.shape[0], -1), goal, plan.rank)
        core, modes = None, columns[0].shape[1]
        columns = columns[: tensor.ndim]
    else:
        core, columns, dropped = truncated_tensor(tensor, goal, plan.rank)
        modes = max(core.shape)
    share = np.exp(free.scale / len(spaces))
    factors = [
        space.to_nodes(column if space.root is None else space.root.solve(column)) * share
        for space, column in zip(spaces, columns, strict=True)
    ]
    estimate = max(dropped, round_off)
    history = (Step(modes, estimate, 0, time.perf_counter() - started),)
    status: Status = "converged"
    message = f"all coefficients were computed; what the modes leave out is {dropped:.1e} of the norm"
    if plan.tolerance is not None and dropped > plan.tolerance:
        status, message = "max_rank", f"{modes} modes leave out {dropped:.1e} of the norm: raise rank"
    return Outcome(factors, status, message, estimate, history, 0, core)


def _nothing(free: FreeSystem, message: str) -> Outcome:
    factors = [np.zeros((n, 0)) for n in free.sizes]
    return Outcome(factors, "diverged", message, float("inf"), (Step(0, float("inf"), 0, 0.0),), 0)
