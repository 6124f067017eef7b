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

from dataclasses import dataclass
from typing import Any

import numpy as np

from inntd.models import CPModel, TuckerModel
from inntd.models.cp_form import CPForm
from inntd.models.forms import Form
from inntd.models.norms import exp
from inntd.models.result import Answer
from inntd.problems import Problem
from inntd.solvers.below import Below, NoBoundError, below_of
from inntd.solvers.exponential_sums import exponential_sum
from inntd.solvers.operator import DiscreteSystem, assemble
from inntd.solvers.residual_form import TooLargeError, free_form, residual_form

ACCURACY = 1e-3  # of the sums of exponentials; it makes bounds larger by half of this
FULL_TENSOR = 1_000_000  # coefficients of which none is left to exponentials
MOST_WORK = 2e10  # operations that the norms may take


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
        return f"guaranteed: at most {self.relative:.1e} (L2, relative), {self.energy:.1e} (energy)"


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
    return bound_of(assemble(problem), model)


def bound_of(system: DiscreteSystem, model: CPModel | TuckerModel) -> ErrorBound:
    """Bound the error of a model of an assembled system; see `error_bound`."""
    try:
        below = below_of(system)
        rest = residual_form(below.system, free_form(system, model))
        scale = below.system.scale
        energy = exp(log_dual_norm(below, rest) + scale)
        l2 = exp(log_dual_norm(below, rest, 2) + scale) if below.commuting else energy / np.sqrt(below.lowest)
    except (NoBoundError, TooLargeError) as failure:
        return ErrorBound(None, None, None, str(failure))
    size = model.norm()
    if l2 == 0.0:
        return ErrorBound(energy, 0.0, 0.0)
    return ErrorBound(energy, float(l2), float(l2 / (size - l2)) if l2 < size else float("inf"))


def log_dual_norm(below: Below, rest: Form, power: int = 1) -> float:
    """Return the logarithm of the root of (r, B^-power r), not too small.

    Parameters
    ----------
    below
        The operator B.
    rest
        The residual r on the free nodes.
    power
        1 for the norm dual to that of B, 2 for the L2 norm of B^-1 r.

    Raises
    ------
    NoBoundError
        When the norms would take too long.
    """
    return 0.5 * _log_square(below, rest, power)


def _log_square(below: Below, rest: Form, power: int) -> float:
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
    _refuse_work(rest, len(inverse.weights), sum(below.system.sizes))
    logs = []
    for weight, t in zip(inverse.weights, inverse.exponents, strict=True):
        # Exponents are taken from the smallest eigenvalue on, which may be negative on a single axis.
        damped = [
            column * np.exp(-0.5 * t * (own - own.min()))[:, None]
            for column, own in zip(columns, below.values, strict=True)
        ]
        logs.append(np.log(weight) - t * below.lowest + 2 * rest.log_norm(damped))
    return float(np.logaddexp.reduce(logs)) - float(np.log1p(-inverse.error))


def _refuse_work(rest: Form, terms: int, nodes: int) -> None:
    if not isinstance(rest, CPForm):
        return
    columns = rest.factors[0].shape[1]
    # Norms of many products cost 30 operations for each pair of them, on each axis, in doubled precision.
    work = terms * float(columns) ** 2 * (nodes + 30 * len(rest.factors))
    if work > MOST_WORK:
        raise NoBoundError(f"the residual has {columns} products, whose norms would take {work:.0e} operations")
