"""What kind of problem it is: how strong its parameters and its convection are, from the stated coefficients alone.

Coefficients are looked at where random points of the box lie, along one parameter after the other: nothing is
assembled. What differs between two problems of one kind, the solution, is not known here.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from inntd.axes import Axis
from inntd.problems import Problem
from inntd.problems.separate import BilinearTerm

Array = npt.NDArray[np.float64]
# Axis, order of the unknown's derivative and of the test function's, for each axis that is differentiated.
Orders = tuple[tuple[int, int, int], ...]

SAMPLES = 64  # random points of the box
ALONG = 17  # points along each parameter, its ends among them
STRONG = 4.0  # contrast above which few modes do not do
CONVECTIVE = 50.0  # Péclet number of the whole domain, likewise
TURN = 0.2  # angle, in radians, by which a parameter turns the direction of convection


@dataclass(frozen=True)
class Traits:
    """What decides on a route.

    Attributes
    ----------
    contrasts
        For each parameter that the coefficients of derivatives depend on: their largest over their smallest value as it
        varies and all else stands still; infinite where they change sign or vanish.
    turns
        Parameters that turn the direction of convection.
    peclet
        Largest velocity times length over diffusion; zero without convection, infinite without diffusion.
    mesh_peclet
        The same for half an element.
    """

    contrasts: dict[str, float] = field(default_factory=dict)
    turns: tuple[str, ...] = ()
    peclet: float = 0.0
    mesh_peclet: float = 0.0

    @property
    def strong(self) -> list[str]:
        """Parameters whose contrast is too large for few modes."""
        return [name for name, contrast in self.contrasts.items() if contrast > STRONG]

    @property
    def contrast(self) -> float:
        """Largest contrast."""
        return max(self.contrasts.values(), default=1.0)

    def __str__(self) -> str:
        parts = []
        if self.contrasts:
            count = len(self.contrasts)
            several = f"{count} parameters" if count > 1 else f"the parameter {next(iter(self.contrasts))}"
            varying = f"vary {self.contrast:.3g}-fold" if np.isfinite(self.contrast) else "change sign or vanish"
            parts.append(f"coefficients {varying} at most with {several}" if np.isfinite(self.contrast) else
                         f"coefficients {varying} with {several}")  # fmt: skip
        else:
            parts.append("no coefficient of a derivative depends on a parameter")
        if self.peclet:
            parts.append(f"the Péclet number is up to {self.peclet:.3g}, of an element {self.mesh_peclet:.2g}")
        if self.turns:
            parts.append(f"{', '.join(self.turns)} turns the direction of convection")
        return ", ".join(parts)


def traits_of(problem: Problem, seed: int = 0) -> Traits:
    """Look at the coefficients of a problem.

    Examples
    --------
    >>> import inntd as it
    >>> x, k = it.Axis("x", 0, 1, elements=8), it.Axis("k", 1, 30, elements=8, kind="parameter")
    >>> u, v = it.unknown("u", x, k), it.test_function()
    >>> form = (1 + k) * it.diff(v, x) * it.diff(u, x) + 100 * v * it.diff(u, x) - v
    >>> print(traits_of(it.Problem(weak=form, conditions=[u.on(x.start) == 0])))
    coefficients vary 15.5-fold at most with the parameter k, the Péclet number is up to 50, of an element 3.1
    """
    groups = _groups(problem)
    if not groups:
        return Traits()
    table = _Table.of(problem, seed)
    diffusion, velocity = _by_axis(problem, groups, second=True), _by_axis(problem, groups, second=False)
    contrasts: dict[str, float] = {}
    turns: list[str] = []
    peclet, mesh = _peclet(table, diffusion, velocity, None)
    for p, axis in enumerate(problem.axes):
        if axis.kind != "parameter":
            continue
        seen = [own for own in (*diffusion.values(), *velocity.values()) if any(term.forms[p].weight for term in own)]
        if not seen:
            continue
        contrasts[axis.name] = max((_contrast(table.along(own, p)) for own in diffusion.values()), default=1.0)
        angle, relative = _turn([table.along(own, p) for own in velocity.values()])
        if angle > TURN:
            turns.append(axis.name)
        contrasts[axis.name] = max(contrasts[axis.name], relative)
        worst = _peclet(table, diffusion, velocity, p)
        peclet, mesh = max(peclet, worst[0]), max(mesh, worst[1])
    return Traits(contrasts, tuple(turns), peclet, mesh)


def _groups(problem: Problem) -> dict[tuple[Orders, object], list[BilinearTerm]]:
    """Return the terms that are integrated over the box, by what they differentiate and by component."""
    groups: dict[tuple[Orders, object], list[BilinearTerm]] = {}
    for term in problem.operator:
        places = [form.place for form in term.forms]
        if "start" in places or "end" in places:
            continue
        orders = tuple((d, form.trial, form.test) for d, form in enumerate(term.forms) if form.trial or form.test)
        pair = None if problem.component is None else places[problem.component]
        groups.setdefault((orders, pair), []).append(term)
    return groups


def _by_axis(
    problem: Problem, groups: dict[tuple[Orders, object], list[BilinearTerm]], *, second: bool
) -> dict[tuple[int, object], list[BilinearTerm]]:
    """Return the coefficients of second or first derivatives along axes of space, by axis and component."""
    found: dict[tuple[int, object], list[BilinearTerm]] = {}
    for (orders, pair), terms in groups.items():
        if len(orders) == 1 and problem.axes[orders[0][0]].kind == "space":
            d, trial, test = orders[0]
            if (trial and test) if second else (trial + test == 1):
                found.setdefault((d, pair), []).extend(terms)
    return found


@dataclass(frozen=True)
class _Table:
    """Random points of the box, and more of them along each parameter."""

    axes: tuple[Axis, ...]
    points: list[Array]
    rows: list[Array]

    @classmethod
    def of(cls, problem: Problem, seed: int) -> _Table:
        random = np.random.default_rng(seed)
        points = [_random(axis, random) for axis in problem.axes]
        return cls(problem.axes, points, [_steps(axis) for axis in problem.axes])

    def at(self, terms: list[BilinearTerm]) -> Array:
        """Return the values (SAMPLES,) of a sum of terms at the points."""
        return self._sum(terms, None)[:, 0]

    def along(self, terms: list[BilinearTerm], p: int) -> Array:
        """Return the values (SAMPLES, ALONG) with one coordinate of the points varied."""
        return self._sum(terms, p)

    def _sum(self, terms: list[BilinearTerm], p: int | None) -> Array:
        count = 1 if p is None else len(self.rows[p])
        total = np.zeros((SAMPLES, count))
        for term in terms:
            value = np.full((SAMPLES, 1), term.coefficient)
            for d, form in enumerate(term.forms):
                if form.weight is not None:
                    own = form.weight(self.rows[d])[None, :] if d == p else form.weight(self.points[d])[:, None]
                    value = value * own
            total = total + value
        return total


def _random(axis: Axis, random: np.random.Generator) -> Array:
    if axis.discrete:
        return random.integers(axis.size, size=SAMPLES).astype(np.float64)
    start, stop = axis.domain
    return start + (stop - start) * random.uniform(0.001, 0.999, SAMPLES)


def _steps(axis: Axis) -> Array:
    if axis.discrete:
        return np.unique(np.rint(np.linspace(0, axis.size - 1, ALONG)))
    start, stop = axis.domain
    inset = 1e-9 * (stop - start)
    return np.linspace(start + inset, stop - inset, ALONG)


def _contrast(values: Array) -> float:
    """Return the largest ratio within a row of values (SAMPLES, ALONG); rows of zeros say nothing."""
    low, high = np.abs(values).min(axis=1), np.abs(values).max(axis=1)
    changes = (values.min(axis=1) < 0) & (values.max(axis=1) > 0)
    some = high > 0
    if (changes & some).any() or (low[some] <= 1e-12 * high[some]).any():
        return float("inf")
    return float((high[some] / low[some]).max(initial=1.0))


def _turn(velocities: list[Array]) -> tuple[float, float]:
    """Return the largest angle by which velocities (SAMPLES, ALONG) turn, and the contrast of their size."""
    if not velocities:
        return 0.0, 1.0
    vectors = np.stack(velocities, axis=-1)
    sizes = np.linalg.norm(vectors, axis=-1)
    some = (sizes > 1e-12 * sizes.max(initial=1e-300)).all(axis=1)
    if not some.any():
        return 0.0, 1.0
    units = vectors[some] / sizes[some][..., None]
    cosines = np.einsum("skd,sd->sk", units, units[:, units.shape[1] // 2])
    return float(np.arccos(np.clip(cosines.min(), -1.0, 1.0))), _contrast(sizes[some])


def _peclet(
    table: _Table,
    diffusion: dict[tuple[int, object], list[BilinearTerm]],
    velocity: dict[tuple[int, object], list[BilinearTerm]],
    p: int | None,
) -> tuple[float, float]:
    """Return the largest Péclet numbers of the domain and of half an element."""
    whole = mesh = 0.0
    for (d, pair), terms in velocity.items():
        speed = np.abs(table._sum(terms, p))
        if not speed.any():
            continue
        axis = table.axes[d]
        spread = np.abs(table._sum(diffusion[d, pair], p)) if (d, pair) in diffusion else np.zeros_like(speed)
        ratio = float(np.divide(speed, spread, out=np.full_like(speed, np.inf), where=spread > 0)[speed > 0].max())
        length = axis.domain[1] - axis.domain[0]
        whole, mesh = max(whole, ratio * length), max(mesh, 0.5 * ratio * float(np.diff(axis.nodes).max()))
    return whole, mesh
