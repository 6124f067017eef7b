r"""Guaranteed bounds of the algebraic error of separated answers, from their residual.

The symmetric part P of an operator A is bounded from below by a sum B of one-dimensional operators, with all constants
computed (`inntd.solvers.below`). With r = b - A u then

.. math:: \|e\|_B^2 \le (e, A e) = (e, r) \le \|e\|_B \|r\|_{B^{-1}}, \qquad
    \|e\|_{L_2} \le \|e\|_B / \sqrt{\lambda_{\min}(B)}.

Where A is symmetric, :math:`\|e\|_A \le \|r\|_{B^{-1}}` as well; where its axes can be diagonalised all at once,
:math:`\|e\|_{L_2} \le \|B^{-1} r\|`, which is the error itself if A = B. The inverses are sums of exponentials with a
proven error, each of which keeps separated forms: the cost is that of some 20 to 60 norms of the residual. All of this
holds up to round-off.

References: Braess and Hackbusch, IMA J. Numer. Anal. 25, 2005; Hackbusch and Khoromskij, Computing 76, 2006; Rozza,
Huynh and Patera, Archives of Computational Methods in Engineering 15, 2008 (min-theta).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from inntd.models import CPModel, TuckerModel
from inntd.models.cp_form import CPForm
from inntd.models.forms import Form
from inntd.models.norms import exp, normalised
from inntd.models.result import Answer, ErrorEstimate
from inntd.problems import Problem
from inntd.problems.refine import on_axes_of
from inntd.solvers.below import Below, NoBoundError, below_of
from inntd.solvers.exponential_sums import exponential_sum
from inntd.solvers.operator import DiscreteSystem, assemble
from inntd.solvers.residual_form import TooLargeError, free_form, residual_form

Vector = npt.NDArray[np.float64]

ACCURACY = 1e-3  # of the sums of exponentials; it makes bounds larger by half of this
FULL_TENSOR = 1_000_000  # coefficients of which none is left to exponentials
MOST_WORK = 2e10  # operations that the norms may take
PRECISE = 100  # operations of a product in doubled precision
ROUNDED = 1e-3  # of a square: what rounding may add to it


@dataclass(frozen=True)
class ErrorBound:
    """Guaranteed bounds of the distance of an answer to the solution of its discrete system, up to round-off.

    Attributes
    ----------
    energy
        Of the error in the norm of the operator's symmetric part, if it is symmetric; else in that of a sum of
        one-dimensional operators below it. None where there is none.
    l2
        Of the L2 norm of the error over all axes.
    relative
        The same relative to the L2 norm of the discrete solution; infinite where the bound exceeds it.
    reason
        Why there is no bound, empty where there is one.
    """

    energy: float | None
    l2: float | None
    relative: float | None
    reason: str = ""

    def __str__(self) -> str:
        if self.relative is None:
            return f"no guaranteed bound: {self.reason}"
        return f"guaranteed: the relative L2 error is at most {self.relative:.1e}"


def error_bound(problem: Problem, answer: Answer[Any] | CPModel | TuckerModel) -> ErrorBound:
    """Bound the algebraic error of a separated answer, guaranteed up to round-off.

    Parameters
    ----------
    problem
        What was solved, as it was given to `solve`.
    answer
        The answer or its model, a `CPModel` or a `TuckerModel` on the problem's axes. (A `ReducedModel` has a method
        of the same name.)

    Returns
    -------
    ErrorBound
        With None and the reason for operators without a computable coercivity constant: indefinite ones, products of
        first-order derivatives, solutions fixed by their mean, components with conditions of their own.

    Notes
    -----
    Relative to the error, the bound grows as the contrast of parameters, and in L2 as the error's frequency where the
    axes have several operators: factors of 1 to 30 are usual. See `inntd.solvers.guarantee` for the method and sources.

    Examples
    --------
    >>> import inntd as it
    >>> x, y = it.Axis("x", 0, 1, elements=16), it.Axis("y", 0, 1, elements=16)
    >>> k = it.Axis("k", 1, 2, elements=8, kind="parameter")
    >>> u, v = it.unknown("u", x, y, k), it.test_function()
    >>> plate = it.Problem(weak=k * it.dot(it.grad(v), it.grad(u)) - v, conditions=[u.on(x, y) == 0])
    >>> few = it.solve(plate, rank=3)
    >>> bound, better = it.error_bound(plate, few), it.error_bound(plate, it.solve(plate, tolerance=1e-6))
    >>> bool(better.relative < 1e-5 < bound.relative < 0.1)
    True
    """
    model = answer.model if isinstance(answer, Answer) else answer
    if not isinstance(model, CPModel | TuckerModel):
        raise TypeError(
            f"answer must hold a CPModel or a TuckerModel, got {type(model).__name__}; a ReducedModel has its own "
            "method error_bound"
        )
    return bound_of(assemble(on_axes_of(problem, model.axes)), model)


def certified(estimate: ErrorEstimate, bound: ErrorBound, tolerance: float | None = None) -> ErrorEstimate:
    """Return an estimate with a guaranteed bound in the place of its algebraic part, where the bound is of use.

    It is where it keeps the tolerance, or is at most twice the estimate; larger ones are better told in a note.

    Examples
    --------
    >>> certified(ErrorEstimate(1e-5), ErrorBound(1e-3, 1e-4, 4e-5), tolerance=1e-4)
    ErrorEstimate(algebraic=4e-05, discretisation=None, by_axis={}, certainty='guaranteed')
    """
    if bound.relative is None or bound.relative > max(tolerance or 0.0, 2.0 * estimate.algebraic):
        return estimate
    return replace(estimate, algebraic=bound.relative, certainty="guaranteed")


def bound_of(system: DiscreteSystem, model: CPModel | TuckerModel, most_work: float = MOST_WORK) -> ErrorBound:
    """Bound the error of a model of an assembled system; see `error_bound`.

    Parameters
    ----------
    system, model
        The discrete system, and a model of its solution with the lifted boundary values.
    most_work
        Operations that the norms of the residual may take.
    """
    try:
        below = below_of(system)
        rest = residual_form(below.system, free_form(system, model))
        scale = below.system.scale
        energy = exp(log_dual_norm(below, rest, 1, most_work) + scale)
        l2 = (
            exp(log_dual_norm(below, rest, 2, most_work) + scale) if below.commuting else energy / np.sqrt(below.lowest)
        )
    except (NoBoundError, TooLargeError) as failure:
        return ErrorBound(None, None, None, str(failure))
    size = model.norm()
    if l2 == 0.0:
        return ErrorBound(energy, 0.0, 0.0)
    return ErrorBound(energy, float(l2), float(l2 / (size - l2)) if l2 < size else float("inf"))


def log_dual_norm(below: Below, rest: Form, power: int = 1, most_work: float = MOST_WORK) -> float:
    """Return the logarithm of the root of (r, B^-power r), not too small.

    Parameters
    ----------
    below
        The operator B.
    rest
        The residual r on the free nodes.
    power
        1 for the norm dual to that of B, 2 for the L2 norm of B^-1 r.
    most_work
        Operations that this may take.

    Raises
    ------
    NoBoundError
        When the norms would take too long.
    """
    return 0.5 * _log_square(below, rest, power, most_work)


def _log_square(below: Below, rest: Form, power: int, most_work: float) -> float:
    columns = [basis.T @ own for basis, own in zip(below.bases, rest.factors, strict=True)]
    count = float(np.prod([float(n) for n in below.system.sizes]))
    if count <= FULL_TENSOR:
        tensor, exponent = rest.dense(columns)
        divisor = below.values[0]
        for own in below.values[1:]:
            divisor = np.add.outer(divisor, own)
        square = float(np.sum(tensor**2 / divisor**power))
        return float(np.log(square)) + 2 * exponent * float(np.log(2.0)) if square > 0 else -np.inf
    inverse = exponential_sum(below.lowest, below.highest, ACCURACY, power)
    changing = [bool(own.max() > own.min()) for own in below.values]
    norms = _Norms.of(rest, columns, changing, len(inverse.weights), most_work)
    logs = []
    for weight, t in zip(inverse.weights, inverse.exponents, strict=True):
        # Exponents are taken from the smallest eigenvalue on, which may be negative on a single axis.
        damping = [np.exp(-0.5 * t * (own - own.min())) for own in below.values]
        logs.append(np.log(weight) - t * below.lowest + 2 * norms.log_norm(damping))
    return float(np.logaddexp.reduce(logs)) - float(np.log1p(-inverse.error))


@dataclass(frozen=True)
class _Norms:
    """Norms of one residual, with coordinates of some axes damped: not too small, and hardly too large.

    Sums of products are squared in plain precision first, with a bound of its rounding. Where that is too much, their
    norm is taken in doubled precision, or with so many products that this would take too long, the bound is kept.

    Attributes
    ----------
    changing
        Which axes are damped: what the others contribute is computed once.
    still, still_logs
        Their product of Gram matrices of normalised columns (R, R), and the logarithms of their columns' lengths (R,).
    """

    rest: Form
    columns: list[Vector]
    changing: list[int]
    still: Vector
    still_logs: Vector
    precise: bool

    @classmethod
    def of(cls, rest: Form, columns: list[Vector], changing: list[bool], terms: int, most_work: float) -> _Norms:
        moving = [d for d, changes in enumerate(changing) if changes]
        if not isinstance(rest, CPForm):
            ranks = [float(own.shape[1]) for own in columns]
            work = terms * float(np.prod(ranks)) * sum(ranks)
            if work > 10 * most_work:  # products of matrices, at full speed
                raise NoBoundError(f"the residual has a core whose norms would take {work:.0e} operations")
            return cls(rest, columns, moving, np.zeros(0), np.zeros(0), True)
        count = columns[0].shape[1]
        nodes = [len(own) for own in columns]
        work = float(count) ** 2 * (sum(nodes) + terms * (sum(nodes[d] for d in moving) + len(moving)))
        if work > most_work:
            raise NoBoundError(f"the residual has {count} products, whose norms would take {work:.0e} operations")
        product, logs = np.ones((count, count)), np.zeros(count)
        for own, changes in zip(columns, changing, strict=True):
            if not changes:
                product, logs = _multiplied(product, logs, own)
        precise = terms * float(count) ** 2 * PRECISE * len(columns) <= most_work
        return cls(rest, columns, moving, product, logs, precise)

    def log_norm(self, damping: Sequence[Vector]) -> float:
        """Return the logarithm of the norm with each row of the columns damped."""
        blocks = [own * factor[:, None] for own, factor in zip(self.columns, damping, strict=True)]
        if not isinstance(self.rest, CPForm):
            return self.rest.log_norm(blocks)
        product, logs = self.still.copy(), self.still_logs
        for d in self.changing:
            product, logs = _multiplied(product, logs, blocks[d])
        top = float(logs.max(initial=-np.inf))
        if top == -np.inf:
            return top
        weights = np.exp(logs - top)
        square = float(weights @ product @ weights)
        operations = sum(len(own) + 2 for own in blocks) + 64
        rounding = np.finfo(np.float64).eps * operations * float(weights.sum()) ** 2
        if rounding > ROUNDED * square and self.precise:
            return self.rest.log_norm(blocks)
        return 0.5 * float(np.log(max(square, 0.0) + rounding)) + top


def _multiplied(product: Vector, logs: Vector, columns: Vector) -> tuple[Vector, Vector]:
    """Multiply a product of Gram matrices (R, R) by that of normalised columns, and add the logarithms of lengths."""
    (unit,), own = normalised([columns])
    product *= unit.T @ unit
    return product, logs + own[0]
