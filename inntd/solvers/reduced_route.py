"""From a problem with parameters to a reduced model."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np
import torch

from inntd import _checks
from inntd.axes import Axis
from inntd.models.explicit import truncated
from inntd.models.reduced import ReducedModel
from inntd.models.result import Answer, ErrorEstimate, Step
from inntd.problems import Problem
from inntd.solvers.affine import Affine, affine_problem
from inntd.solvers.lost import told
from inntd.solvers.reduced_basis import Reduced, reduce
from inntd.solvers.training_set import training_points

INTERPOLATION = 1e-3  # share of the tolerance for the functions of the parameters
BEST_INTERPOLATION = 1e-11
COMPRESSION = 1e-13  # relative error of the basis' functions as sums of products


def solve_reduced_basis(
    problem: Problem,
    merge: Sequence[Axis | str] | None,
    tolerance: float | None,
    rank: int,
    seed: int,
    watch: Callable[[Step], None] | None = None,
) -> Answer[ReducedModel]:
    """Solve a problem for all parameters by a greedy reduced basis.

    Parameters
    ----------
    problem
        Linear.
    merge
        The axes that become one; all but those of kind ``"parameter"`` by default.
    tolerance
        Relative L2 error at the worst of the training parameters; None: `rank` full solutions.
    rank
        Most full solutions.
    seed
        Of the training parameters.
    watch
        Called after every full solution.
    """
    begin = time.perf_counter()
    merged = merged_positions(problem, merge)
    goal = max(BEST_INTERPOLATION, INTERPOLATION * (tolerance or 0.0))
    affine = affine_problem(problem, merged, goal)
    found = reduce(affine, tolerance, rank, seed, watch)
    names = ", ".join(problem.axes[d].name for d in merged)
    notes = [
        f"{names} merged to one axis of {affine.space.size} free nodes, {affine.terms} terms",
        *found.notes,
        "estimate: largest relative L2 error at these parameters, from errors that the last full solutions revealed",
    ]
    if affine.interpolation > 1e-14:
        notes.append(f"coefficients interpolated along parameters with errors up to {affine.interpolation:.1e}")
    axes = [affine.axes[d] for d in affine.parameters]
    lost = told(found.system, affine.products, axes, training_points(axes, seed))
    notes += [lost] if lost is not None else []
    model = _model(affine, found)
    model.metadata["snapshots"] = found.snapshots.tolist()
    model.metadata["guaranteed_bound"] = found.bound if np.isfinite(found.bound) else None
    return Answer(
        model,
        found.status,
        found.message,
        ErrorEstimate(found.estimate),
        model.rank,
        time.perf_counter() - begin,
        found.history,
        tuple(notes),
        {problem.unknown.name: model} if len(problem.unknowns) == 1 else {},
        "reduced_basis",
    )


def merged_positions(problem: Problem, merge: Sequence[Axis | str] | None) -> tuple[int, ...]:
    """Return the positions of the axes to merge, in the order of the problem.

    Raises
    ------
    ValueError, TypeError
        When an axis is unknown or named twice, or none is left to merge.
    """
    if merge is None:
        found = [d for d, axis in enumerate(problem.axes) if axis.kind != "parameter"]
        if not found:
            raise ValueError("merge must name the axes to be merged: all of the problem's are of kind 'parameter'")
        return tuple(found)
    if isinstance(merge, str | Axis) or not isinstance(merge, Sequence):
        raise TypeError(f"merge must be a sequence of axes or of their names, such as ('x', 'y'), got {merge!r}")
    known = [axis.name for axis in problem.axes]
    names = [_checks.one_of("merge", axis.name if isinstance(axis, Axis) else axis, known) for axis in merge]
    if not names or len(set(names)) < len(names):
        raise ValueError(f"merge must name each axis once, and at least one, got {', '.join(names) or 'none'}")
    return tuple(sorted(known.index(name) for name in names))


def _model(affine: Affine, found: Reduced) -> ReducedModel:
    """Return the functions on all nodes as a tensor with a basis for each merged axis, and the small system."""
    axes = [affine.axes[d] for d in affine.merged]
    count = found.functions.shape[1]
    nodal = np.zeros((len(affine.lifted), count + affine.lifted.shape[1]))
    nodal[affine.free, :count] = found.functions
    nodal[:, count:] = affine.lifted
    if nodal.shape[1] == 0:  # the solution vanishes
        factors = [np.zeros((axis.size, 1)) for axis in axes]
        core = np.zeros([1] * len(axes) + [0])
    else:
        sizes = np.linalg.norm(nodal, axis=0)
        core, bases = truncated((nodal / np.where(sizes > 0, sizes, 1.0)).reshape(*(axis.size for axis in axes), -1),
                                COMPRESSION)  # fmt: skip
        core, factors = core @ (bases[-1].T * sizes), bases[:-1]
    parameters = [affine.axes[d] for d in affine.parameters]
    tensors = [torch.from_numpy(np.ascontiguousarray(factor)) for factor in factors]
    tensor = torch.from_numpy(np.ascontiguousarray(core))
    return ReducedModel(affine.axes, parameters, affine.products, found.system, tensor, tensors)
