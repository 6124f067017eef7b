"""What a problem allows but should make its author think: lost coercivity, a wrong direction of time, sharp layers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from inntd.axes import Axis, Face
from inntd.problems.coefficients import Coefficient, sample_points, smallest, weighted
from inntd.problems.conditions import Dirichlet
from inntd.problems.separate import BilinearTerm
from inntd.problems.setting import Setting

_ZERO = 1e-11  # of the largest value
_CLEARLY = (
    1.5  # coefficients with values of both signs should be positive, unless the negative ones are that much larger
)
_LARGEST_PECLET = 1.0  # measured at s = 0..4: errors of 0.1 to 3 % there, growing to 10 % at 3 and 100 % at 30


def doubts(
    setting: Setting, axes: Sequence[Axis], operator: Sequence[BilinearTerm], conditions: Sequence[Dirichlet]
) -> list[str]:
    """Return what deserves a warning, in words with the place and a remedy.

    Parameters
    ----------
    setting
        The unknowns.
    axes
        The axes as they are solved on.
    operator, conditions
        Of the problem.
    """
    found: list[str] = []
    for own in Component.all(setting, axes, operator, conditions):
        found += [*own.coercivity(), *own.direction_of_time(), *own.layers()]
    return found


class Component:
    """The part of the operator that maps one component of the unknown to its own test function."""

    def __init__(
        self,
        index: int,
        name: str,
        component: int | None,
        axes: Sequence[Axis],
        points: Sequence[np.ndarray[Any, np.dtype[np.float64]]],
        operator: Sequence[BilinearTerm],
        conditions: Sequence[Dirichlet],
    ) -> None:
        self.index, self.name, self.axes, self.points, self.conditions = index, name, axes, points, conditions
        self.sizes = [len(each) for each in points]
        self.weakly_given: set[int] = set()  # axes with face terms
        self.groups: dict[tuple[tuple[int, int, int], ...], list[BilinearTerm]] = {}
        for term in operator:
            places = [form.place for form in term.forms]
            self.weakly_given |= {d for d, place in enumerate(places) if place in ("start", "end")}
            pair = None if component is None else places[component]
            if "start" in places or "end" in places or pair not in (None, (index, index)):
                continue
            orders = tuple((d, f.trial, f.test) for d, f in enumerate(term.forms) if f.trial or f.test)
            self.groups.setdefault(orders, []).append(term)
        self.diffusion = {
            d: Coefficient(axes, points, weighted(self.groups[((d, 1, 1),)]))
            for d, axis in enumerate(axes)
            if axis.kind == "space" and ((d, 1, 1),) in self.groups
        }
        self.sign = self._sign()

    @classmethod
    def all(
        cls,
        setting: Setting,
        axes: Sequence[Axis],
        operator: Sequence[BilinearTerm],
        conditions: Sequence[Dirichlet],
    ) -> list[Component]:
        """Return the parts of all components of a problem."""
        points = [sample_points(axis) for axis in axes]
        return [
            cls(index, name, setting.component, axes, points, operator, conditions)
            for index, name in enumerate(setting.names())
        ]

    def _sign(self) -> float:
        """Return the sign that the coefficients of the second derivatives have, or should have."""
        if not self.diffusion:
            return 1.0
        self.ranges = {d: self._range(each) for d, each in self.diffusion.items()}
        lows, highs = zip(*((low[0], -high[0]) for low, high in self.ranges.values()), strict=True)
        return -1.0 if -min(lows) > _CLEARLY * max(highs) else 1.0

    def _range(self, coefficient: Coefficient) -> tuple[tuple[float, list[int]], tuple[float, list[int]]]:
        """Return the smallest value, and minus the largest, with their places; where the sign is plain, bounds do."""
        low, high = coefficient.bounds()
        if low > _ZERO * high or high < _ZERO * low:
            return (low, []), (-high, [])
        return (
            smallest(lambda a: a, [coefficient], self.sizes),
            smallest(lambda a: -a, [coefficient], self.sizes),
        )

    def coercivity(self) -> Iterator[str]:
        """Find coefficients of second derivatives that vanish or change sign; equal ones are told once."""
        found: dict[tuple[str, str], list[str]] = {}
        for d, coefficient in self.diffusion.items():
            low, high = self.ranges[d] if self.sign > 0 else self.ranges[d][::-1]
            value, place = low
            largest = max(abs(low[0]), abs(high[0]))
            zero = abs(value) <= _ZERO * largest
            if value > 0 and not zero:
                continue
            if not place:
                value, place = smallest(lambda a: self.sign * a, [coefficient], self.sizes)
            if zero and self._harmless(coefficient, place):
                continue
            what = f"{'zero' if zero else f'{self.sign * value:g}'}{self._at(coefficient, place)}"
            found.setdefault((str(coefficient), what), []).append(self.axes[d].name)
        for (name, what), names in found.items():
            need = "positive" if self.sign > 0 else "negative"
            yield (
                f"the coefficient {name} of the second derivatives of {self.name} in {', '.join(names)} is {what}: "
                f"coercivity needs it {need}, as it is elsewhere; the solution may not exist, or "
                "oscillate: mend the coefficient, or the ranges of its axes"
            )

    def _harmless(self, coefficient: Coefficient, place: Sequence[int]) -> bool:
        """Whether other terms hold the solution where a parameter switches diffusion off."""
        at_end = any(
            self.axes[d].kind == "parameter" and place[d] in (0, self.sizes[d] - 1) for d in coefficient.depends
        )
        return at_end and any(all(self.axes[d].kind != "space" for d, *_ in orders) for orders in self.groups)

    def direction_of_time(self) -> Iterator[str]:
        """Find parabolic equations whose initial condition stands at the wrong end: they amplify every ripple."""
        for d, axis in enumerate(self.axes):
            terms = self.groups.get(((d, 1, 0),))
            if axis.kind != "time" or terms is None or not self.diffusion:
                continue
            coefficient = Coefficient(self.axes, self.points, weighted(terms, self.sign))
            low = smallest(lambda a: a, [coefficient], self.sizes)[0]
            high = -smallest(lambda a: -a, [coefficient], self.sizes)[0]
            if low <= 0 <= high:
                continue
            right, wrong = (axis.start, axis.end) if low > 0 else (axis.end, axis.start)
            if self.fixed(wrong) and not self.fixed(right):
                yield (
                    f"{self.name} is given on {wrong}, but with these signs of its derivatives in {axis.name} and in "
                    f"space the equation runs from {right}: it amplifies every error without bound; check the signs, "
                    f"or give {self.name} on {right}"
                )

    def layers(self) -> Iterator[str]:
        """Find outflow faces with given values whose boundary layer is thinner than the last element."""
        for d, axis in enumerate(self.axes):
            forward, backward = self.groups.get(((d, 1, 0),), []), self.groups.get(((d, 0, 1),), [])
            if d not in self.diffusion or axis.periodic or not (forward or backward):
                continue
            velocity = Coefficient(self.axes, self.points, weighted(forward) + weighted(backward, -1.0))
            for face, outward, sample in ((axis.start, -1.0, 0), (axis.end, 1.0, self.sizes[d] - 1)):
                if self.fixed(face):
                    yield from self._layer(d, face, outward, sample, velocity)

    def _layer(self, d: int, face: Face, outward: float, sample: int, velocity: Coefficient) -> Iterator[str]:
        length = float(np.diff(face.axis.nodes)[0 if face.side == "start" else -1])

        def negative_peclet(b: Any, a: Any) -> Any:
            safe = np.where(self.sign * a > 0, self.sign * a, np.inf)  # where not, coercivity has been complained of
            return -(outward * self.sign * length / 2) * b / safe

        value, place = smallest(negative_peclet, [velocity, self.diffusion[d]], self.sizes, {d: sample})
        if -value > _LARGEST_PECLET * (1 + 1e-9):
            depends = sorted({*velocity.depends, *self.diffusion[d].depends} - {d})
            where = ", ".join(f"{self.axes[i].name}={self.points[i][place[i]]:.6g}" for i in depends)
            yield (
                f"the flow leaves through {face}, where {self.name} is given, with a mesh Péclet number of {-value:.3g}"
                f"{f' at {where}' if where else ''} (velocity times element length over twice the diffusion): above 1 "
                f"the boundary layer there makes the solution oscillate; use elements at {face} shorter by that factor "
                "(grading, nodes), or a natural condition there"
            )

    def fixed(self, face: Face) -> bool:
        """Tell whether values are given on a face."""
        return any(
            own.axis is face.axis and own.side == face.side and condition.component in (None, self.index)
            for condition in self.conditions
            for own in condition.faces
        )

    def _at(self, coefficient: Coefficient, place: Sequence[int]) -> str:
        where = ", ".join(f"{self.axes[d].name}={self._coordinate(d, place[d]):.6g}" for d in coefficient.depends)
        return f" at {where}" if where else ""

    def _coordinate(self, d: int, place: int) -> float:
        """Return a sample point, or the end of the axis that it stands for."""
        point, (start, end) = float(self.points[d][place]), self.axes[d].domain
        return min((start, end, point), key=lambda each: abs(each - point) > 1e-9 * (end - start))
