"""Many axes: factors of a CP model by alternating Gauss-Newton steps, then all of them by Levenberg-Marquardt.

Alternating finds the basin, the joint iteration converges in it: both are needed. Residuals are taken at Sobol' points.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import scipy.linalg

from inntd.axes import Axis
from inntd.models.result import Status
from inntd.pinn.constraints import OnFace
from inntd.pinn.residual import Residual

Array = npt.NDArray[np.float64]
Factors = list[Array]

#: Relative to the diagonal, so that modes that do nothing stay where they are.
MARQUARDT = 1e-8
#: Alternating sweeps for each new mode.
SWEEPS = 8
#: Random modes that are tried, per mode that is there, and their size beside these.
CANDIDATES, SHARE = 4, 0.3
#: A mode that changes the function by less, and does not reduce the mean square by a factor, is left out: beyond the
#: solution's own modes, more of them only fit the error of the mesh, and degenerate.
SETTLED, WORTHWHILE = 1e-3, 4.0
POINTS = 8192
HALVINGS = 8
GIVEN_UP = 1e8


class PointSystem:
    """A residual of separated functions at scattered points, zero on some faces.

    Parameters
    ----------
    residual
        Of one unknown.
    faces
        Zero values only.
    axes
        With the meshes to use.
    points
        (K, D).
    """

    def __init__(self, residual: Residual, faces: Sequence[OnFace], axes: Sequence[Axis], points: Array) -> None:
        self.residual, self.axes = residual, tuple(axes)
        self.coordinates = list(points.T)
        self.free = []
        for d, axis in enumerate(axes):
            keep = np.ones(axis.size, dtype=bool)
            for face in faces:
                if face.axis == d:
                    keep[0 if face.side == "start" else -1] = False
            self.free.append(keep)
        self.bases = [
            [_dense(axis, points[:, d], k)[:, self.free[d]] for k in range(residual.order(d) + 1)]
            for d, axis in enumerate(axes)
        ]
        self.scale = 1.0 / math.sqrt(len(points))

    def values(self, factors: Factors) -> list[list[Array]]:
        """Return every mode's functions and derivatives (K, M), by axis and order."""
        return [[b @ u for b in own] for own, u in zip(self.bases, factors, strict=True)]

    def product(self, values: list[list[Array]], orders: Sequence[int], without: int | None = None) -> Array:
        """Return the modes' products (K, M), of all axes or all but one."""
        parts = [own[k] for d, (own, k) in enumerate(zip(values, orders, strict=True)) if d != without]
        return np.prod(parts, axis=0)  # type: ignore[no-any-return]

    def derivatives(self, values: list[list[Array]]) -> list[Array]:
        """Return what the residual asks for, at the points."""
        return [self.product(values, q.orders).sum(axis=1) for q in self.residual.derivatives]

    def residuals(self, values: list[list[Array]]) -> Array:
        """Return the residuals (K,), whose squares sum up to their mean square."""
        found: Array = self.scale * self.residual.values(self.coordinates, self.derivatives(values))[0]
        return found

    def loss(self, factors: Factors) -> float:
        """Return the mean square; infinite where something is not finite."""
        with np.errstate(all="ignore"):
            total = float(np.sum(self.residuals(self.values(factors)) ** 2))
        return total if np.isfinite(total) else math.inf

    def jacobian(self, values: list[list[Array]], d: int) -> Array:
        """Return the derivatives (K, n_d · M) of the residuals with respect to one factor."""
        slopes = self.scale * self.residual.partial_derivatives(self.coordinates, self.derivatives(values))[0]
        by_order: dict[int, Array] = {}
        for slope, q in zip(slopes, self.residual.derivatives, strict=True):
            part = slope[:, None] * self.product(values, q.orders, without=d)
            by_order[q.orders[d]] = by_order.get(q.orders[d], 0.0) + part
        total = sum(self.bases[d][k][:, :, None] * part[:, None, :] for k, part in by_order.items())
        return np.asarray(total).reshape(len(slopes[0]), -1)

    def norm(self, factors: Factors) -> float:
        """Return the root mean square of the function at the points."""
        values = self.values(factors)
        total = self.product(values, [0] * len(self.axes)).sum(axis=1)
        return self.scale * float(np.linalg.norm(total))

    def whole(self, factors: Factors) -> Factors:
        """Return the factors with their fixed nodes."""
        found = []
        for keep, factor in zip(self.free, factors, strict=True):
            full = np.zeros((len(keep), factor.shape[1]))
            full[keep] = factor
            found.append(full)
        return found


@dataclass
class SeparatedRun:
    """How it went; the factors hold the free nodes only."""

    factors: Factors
    status: Status = "stagnated"
    message: str = ""
    steps: list[float] = field(default_factory=list)


def sobol(axes: Sequence[Axis], count: int, seed: int) -> Array:
    """Return at least `count` points (K, D) that fill the box evenly."""
    from scipy.stats import qmc  # takes a second to import

    power = max(1, math.ceil(math.log2(count)))
    unit = qmc.Sobol(len(axes), seed=seed).random_base2(power)
    low, high = np.array([axis.domain for axis in axes]).T
    points: Array = low + (high - low) * unit
    return points


def smooth_start(system: PointSystem, rank: int, seed: int) -> Factors:
    """Return random sums of a few sines, the lower the larger."""
    random = np.random.default_rng(seed)
    factors = []
    for axis, keep in zip(system.axes, system.free, strict=True):
        share = (axis.nodes[: axis.size] - axis.nodes[0]) / (axis.nodes[-1] - axis.nodes[0])
        waves = np.stack([np.sin(k * np.pi * share) / k for k in range(1, 5)], axis=1)
        factors.append((waves @ random.standard_normal((waves.shape[1], rank)))[keep])
    return factors


def grow(
    system: PointSystem, rank: int, seed: int, watch: Callable[[int, float], None]
) -> tuple[Factors, bool | None]:  # fmt: skip
    """Add one mode after the other, each the best of a few random ones, and sweep over all factors.

    All modes at once end in a local minimum with some of them missing; one by one they do not, in the experiments.

    Returns
    -------
    factors
        Of the free nodes.
    settled
        Whether the last mode changed little, and was left out; else `rank` was reached. None after Ctrl-C.
    """
    factors, loss = [np.zeros((int(keep.sum()), 0)) for keep in system.free], math.inf
    for number in range(1, rank + 1):
        try:
            tried, reached = _with_best_mode(system, factors, number, seed + 100 * number)
            for _ in range(SWEEPS):
                tried, reached = _sweep(system, tried, reached)
        except KeyboardInterrupt:
            if number == 1:
                raise
            return factors, None
        watch(number, math.sqrt(reached))
        little = number > 1 and _distance(system, factors, tried) < SETTLED * system.norm(tried)
        if little and reached > loss / WORTHWHILE:
            return factors, True
        factors, loss = tried, reached
    return factors, math.sqrt(loss) == 0.0


def _with_best_mode(system: PointSystem, factors: Factors, number: int, seed: int) -> tuple[Factors, float]:
    """Return the factors with that one of some random modes which leaves the least residual."""
    new = smooth_start(system, CANDIDATES * number, seed)
    share = 1.0 if number == 1 else SHARE
    best: tuple[float, Factors] | None = None
    for c in range(CANDIDATES * number):
        tried = [
            np.concatenate([old, share * own[:, c : c + 1]], axis=1) for old, own in zip(factors, new, strict=True)
        ]
        loss = system.loss(tried)
        if best is None or loss < best[0]:
            best = loss, tried
    assert best is not None
    if not math.isfinite(best[0]):
        raise ValueError("the residual is not finite at the start; give another seed")
    return best[1], best[0]


def polish(
    system: PointSystem, factors: Factors, tolerance: float, most: int, watch: Callable[[int, float], None]
) -> SeparatedRun:  # fmt: skip
    """Let all factors converge together, by Levenberg-Marquardt.

    Parameters
    ----------
    system, factors
        What, and from where (free nodes only).
    tolerance
        Relative change of the function in one step at which to stop.
    most
        Steps.
    watch
        Called after each step.
    """
    run = SeparatedRun(factors, message=f"{most} joint steps did not suffice; allow more steps, or another rank")
    try:
        _levenberg_marquardt(system, run, system.loss(factors), tolerance, most, watch)
    except KeyboardInterrupt:
        run.status, run.message = "interrupted", "stopped; the best factors are kept"
    return run


def check_separable(residual: Residual, faces: Sequence[OnFace]) -> None:
    """Refuse what factors at points do not serve yet: several unknowns, slopes, and values that are not zero."""
    if len(residual.names) > 1:
        raise ValueError(f"optimizer 'alternating' is for one unknown, got {', '.join(residual.names)}")
    for face in faces:
        if face.slope or face.value != 0:
            raise ValueError(
                f"optimizer 'alternating' takes zero values on faces only, got another condition on "
                f"{residual.axes[face.axis].name}.{face.side}: subtract a function with these values from the unknown"
            )


def _sweep(system: PointSystem, factors: Factors, loss: float) -> tuple[Factors, float]:
    """Give each factor its Gauss-Newton step in turn, the others held still."""
    factors = _balanced(factors)
    for d in range(len(factors)):
        values = system.values(factors)
        jacobian = system.jacobian(values, d)
        step = _damped(jacobian.T @ jacobian, -jacobian.T @ system.residuals(values), MARQUARDT)
        part = 1.0
        for _ in range(HALVINGS):
            tried = [*factors[:d], factors[d] + part * step.reshape(factors[d].shape), *factors[d + 1 :]]
            reached = system.loss(tried)
            if reached < loss:
                factors, loss = tried, reached
                break
            part /= 2
    return factors, loss


def _levenberg_marquardt(
    system: PointSystem, run: SeparatedRun, loss: float, tolerance: float, most: int,
    watch: Callable[[int, float], None],
) -> None:  # fmt: skip
    damping = 1e-3
    for number in range(most):
        factors = _balanced(run.factors)
        values = system.values(factors)
        jacobian = np.concatenate([system.jacobian(values, d) for d in range(len(factors))], axis=1)
        gram, right = jacobian.T @ jacobian, -jacobian.T @ system.residuals(values)
        size = system.norm(factors)
        while damping < GIVEN_UP:
            step = _damped(gram, right, damping)
            ends = np.cumsum([factor.size for factor in factors])[:-1]
            parts = zip(np.split(step, ends), factors, strict=True)
            tried = [factor + part.reshape(factor.shape) for part, factor in parts]
            reached = system.loss(tried)
            if reached < loss:
                break
            damping *= 4
        else:
            run.status, run.message = "converged", "no joint step reduces the residual any more"
            return
        change = abs(system.norm(tried) - size) / size + _distance(system, factors, tried) / size
        run.factors, loss, damping = tried, reached, max(damping / 5, 1e-14)
        run.steps.append(change)
        watch(number, change)
        if change <= tolerance:
            run.status, run.message = "converged", f"the last joint step changed the solution by {change:.1e}"
            return


def _distance(system: PointSystem, one: Factors, two: Factors) -> float:
    """Return the root mean square of the difference at the points."""
    zero = [0] * len(system.axes)
    left, right = (system.product(system.values(f), zero).sum(axis=1) for f in (one, two))
    return system.scale * float(np.linalg.norm(left - right))


def _damped(gram: Array, right: Array, damping: float) -> Array:
    """Return the Marquardt step: the diagonal is raised by a share, by more where the rest is singular."""
    scale = np.sqrt(np.maximum(np.diag(gram), 1e-14 * np.trace(gram) / len(gram) + 1e-300))
    scaled = gram / np.multiply.outer(scale, scale)
    for more in (0.0, 1e-12, 1e-10, 1e-8):
        try:
            factor = scipy.linalg.cho_factor(scaled + (damping + more) * np.eye(len(gram)), check_finite=False)
        except np.linalg.LinAlgError:
            continue
        return scipy.linalg.cho_solve(factor, right / scale, check_finite=False) / scale  # type: ignore[no-any-return]
    return np.zeros_like(right)


def _balanced(factors: Factors) -> Factors:
    """Give the factors of each mode equal norms."""
    norms = np.stack([np.linalg.norm(factor, axis=0) for factor in factors])
    norms[norms == 0.0] = 1.0
    mean = np.exp(np.log(norms).mean(axis=0))
    return [factor * (mean / own) for factor, own in zip(factors, norms, strict=True)]


def _dense(axis: Axis, x: Array, order: int) -> Array:
    index, values = axis.tabulate(x, order)
    dense = np.zeros((len(x), axis.size))
    np.add.at(dense, (np.arange(len(x))[:, None], index), values)
    return dense
