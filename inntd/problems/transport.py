"""Transport without diffusion: a value is needed where the flow enters, and none may be given where it leaves.

Galerkin says little of it: without a value at the inflow the smallest singular value falls exponentially with the
number of elements, and with values at both ends the matrix may be regular, but its solution oscillates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from inntd.axes import Axis, Face
from inntd.problems.coefficients import Coefficient, weighted
from inntd.problems.conditions import Dirichlet, shown_faces
from inntd.problems.determined import coupled
from inntd.problems.separate import BilinearTerm
from inntd.problems.setting import Setting
from inntd.problems.stability import Component

_ZERO = 1e-9  # of the largest velocity at a face


@dataclass(frozen=True)
class _Gate:
    """A face that the flow passes: `enters` is 1 where it enters everywhere, -1 where it leaves everywhere, else 0."""

    axis: int
    face: Face
    enters: int
    partly: bool
    given: bool

    def reversed(self) -> _Gate:
        """Return the face for the opposite direction."""
        return replace(self, enters=-self.enters)


def check_transport(
    setting: Setting, axes: Sequence[Axis], operator: Sequence[BilinearTerm], conditions: Sequence[Dirichlet]
) -> list[str]:
    """Refuse transport whose values are missing at the inflow or given at the outflow; return what is doubtful.

    Parameters
    ----------
    setting, axes, operator, conditions
        Of the problem, as for :func:`inntd.problems.stability.doubts`.

    Raises
    ------
    ValueError
        The flow enters through a whole face where nothing is given, or leaves through a whole face with given values.
    """
    found: list[str] = []
    for own in Component.all(setting, axes, operator, conditions):
        gates = _gates(own)
        if not any(axes[gate.axis].kind == "space" for gate in gates):
            continue
        timeless = not any(axes[gate.axis].kind == "time" for gate in gates)
        if timeless and coupled(setting, operator):
            continue  # u_x = w, w_x = f takes two values of u: counted for all components together
        mixed = _coupled_axes(setting, operator, own.index)
        gates = min(_directions(own, gates), key=lambda each: sum(map(_wrong, each)))
        space = [gate for gate in gates if axes[gate.axis].kind == "space" and gate.axis not in mixed]
        _refuse(own.name, space)
        found += [_doubt(own.name, gate) for gate in space if gate.enters == 0 and gate.partly and not gate.given]
    return found


def _gates(own: Component) -> list[_Gate]:
    """Return both faces of every axis along which the component is carried without diffusion."""
    gates = []
    for d, axis in enumerate(own.axes):
        second = any((d, 1, 1) in orders or (d, 0, 1) in orders for orders in own.groups)
        if axis.kind not in ("space", "time") or axis.periodic or second or d in own.weakly_given:
            continue
        terms = own.groups.get(((d, 1, 0),))
        for face, inward in ((axis.start, 1), (axis.end, -1)) if terms else ():
            low, high = _velocity(own, d, face, terms or ())
            small = _ZERO * max(abs(low), abs(high))
            sign = int(low > small) - int(high < -small)
            gates.append(_Gate(d, face, sign * inward, low < -small and high > small, own.fixed(face)))
    return gates


def _velocity(own: Component, d: int, face: Face, terms: Sequence[BilinearTerm]) -> tuple[float, float]:
    """Return bounds of the velocity on a face; (0, 0) where it cannot be computed."""
    points = [np.array([face.coordinate]) if e == d else each for e, each in enumerate(own.points)]
    try:
        return Coefficient(own.axes, points, weighted(terms)).bounds()
    except ValueError:  # infinite at the end of the axis
        return 0.0, 0.0


def _directions(own: Component, gates: list[_Gate]) -> list[list[_Gate]]:
    """Return the faces for the direction in which the equation runs; for both where nothing tells it.

    Diffusion in other axes tells it, and the side of the initial value in time; alone, u_x + u = f may be solved from
    either end.
    """
    backward = [gate.reversed() for gate in gates]
    if own.diffusion:
        return [gates if own.sign > 0 else backward]
    for gate in gates:
        if own.axes[gate.axis].kind == "time" and gate.given and gate.enters:
            return [gates if gate.enters > 0 else backward]
    return [gates, backward]


def _wrong(gate: _Gate) -> int:
    return int(gate.enters == 1 and not gate.given) + int(gate.enters == -1 and gate.given)


def _coupled_axes(setting: Setting, operator: Sequence[BilinearTerm], index: int) -> set[int]:
    """Return the axes along which derivatives couple a component with others: then it has no direction of its own."""
    if setting.component is None:
        return set()
    found: set[int] = set()
    for term in operator:
        place = term.forms[setting.component].place
        if isinstance(place, tuple) and place[0] != place[1] and index in place:
            found |= {d for d, form in enumerate(term.forms) if form.trial or form.test}
    return found


def _refuse(name: str, gates: Sequence[_Gate]) -> None:
    missing = [gate.face for gate in gates if gate.enters == 1 and not gate.given]
    extra = [gate.face for gate in gates if gate.enters == -1 and gate.given]
    if missing:
        faces = shown_faces(missing)
        instead = f" instead of {shown_faces(extra)}" if extra else ""
        raise ValueError(
            f"conditions: {name} is carried along {missing[0].axis.name} without diffusion, and nothing is given on "
            f"{faces}, where the flow enters: the equation leaves the solution open there; give {name} on "
            f"{faces}{instead}, or make the axis periodic"
        )
    if extra:
        faces = shown_faces(extra)
        raise ValueError(
            f"conditions contradict the equation: {name} is carried along {extra[0].axis.name} without diffusion, so "
            f"its values on {faces}, where the flow leaves, follow from those where it enters, but others are given; "
            f"leave out the condition on {faces}, or add diffusion"
        )


def _doubt(name: str, gate: _Gate) -> str:
    return (
        f"{name} is carried along {gate.face.axis.name} without diffusion, and nothing is given on {gate.face}, "
        f"through which the flow seems to enter for some values of the other coordinates: there the equation leaves "
        f"the solution open; give {name} on {gate.face}, or limit the other axes"
    )
