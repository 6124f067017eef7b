"""Whether systems determine their unknowns: their equations on coarse meshes, where singular matrices can be seen.

A condition that is missing, or one too many, the level of a pressure, an equation that follows from the others, bases
of velocity and pressure that do not fit: all make the Galerkin matrix singular on every mesh. Two small ones of
different parity tell it at once, and the kernel tells of what.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from inntd._checks import StabilityWarning
from inntd.axes import Axis, assembly
from inntd.problems.coefficients import sample_points
from inntd.problems.conditions import Dirichlet
from inntd.problems.separate import AxisForm, BilinearTerm
from inntd.problems.setting import Setting

Array = npt.NDArray[np.float64]

_MOST = 700  # unknowns of a coarse system, whose singular values take 0.1 s
_ELEMENTS = ((7, 8), (5, 6), (3, 4), (2, 3))  # the first that are few enough
_SINGULAR = 1e-11
_EQUILIBRATIONS = 3


@dataclass(frozen=True)
class Kernel:
    """Solutions of the homogeneous equations on one mesh, as columns over components and nodes, and that mesh."""

    vectors: Array
    mesh: tuple[Axis, ...]
    component: int  # position of the component axis

    @property
    def dimension(self) -> int:
        """How many solutions there are."""
        return int(self.vectors.shape[1])

    def components(self) -> list[int]:
        """Return the components that the solutions leave open."""
        parts = np.moveaxis(self.vectors.reshape(*(axis.size for axis in self.mesh), -1), self.component, 0)
        sizes = np.array([np.linalg.norm(part) for part in parts])
        return [int(k) for k in np.flatnonzero(sizes > 1e-6 * sizes.max())]

    def motion(self) -> dict[tuple[int, str], float]:
        """Return a solution that is linear in the coordinates, by component and axis name ("" for the constant)."""
        space = [axis for axis in self.mesh if axis.kind == "space" and not axis.periodic]
        keys = [(k, axis) for axis in (None, *space) for k in range(self.mesh[self.component].size)]
        linear = np.stack([self._linear(*key) for key in keys], axis=1)
        left = linear - self.vectors @ (np.linalg.pinv(self.vectors) @ linear)
        for count in (len(keys) - len(keys) * len(space) // (1 + len(space)), len(keys)):  # constants, if they do
            _, sizes, right = np.linalg.svd(left[:, :count], full_matrices=False)
            if sizes[-1] < 1e-6:
                largest = np.abs(right[-1]).max()
                return {
                    (k, axis.name if axis else ""): float(value / largest)
                    for (k, axis), value in zip(keys[:count], right[-1], strict=True)
                    if abs(value) > 1e-6 * largest
                }
        return {}

    def _linear(self, component: int, along: Axis | None) -> Array:
        columns = []
        for d, axis in enumerate(self.mesh):
            if d == self.component:
                columns.append((np.arange(axis.size) == component).astype(np.float64))
            else:
                columns.append(axis.nodes / np.ptp(axis.nodes) if axis is along else np.ones(axis.size))
        whole = np.ones(1)
        for column in columns:
            whole = np.kron(whole, column)
        return whole


def check_determined(
    setting: Setting, axes: Sequence[Axis], operator: Sequence[BilinearTerm], conditions: Sequence[Dirichlet]
) -> None:
    """Refuse systems whose equations and conditions leave components undetermined.

    Parameters
    ----------
    setting, axes, operator, conditions
        Of the problem.

    Raises
    ------
    ValueError
        The equations are singular on two coarse meshes; names the components and what may be missing.
    """
    if setting.component is None:
        _check_scalar(axes, operator, conditions)
    if not coupled(setting, operator):
        return
    kernels = coarse_kernels(setting, axes, operator, conditions)
    if kernels and all(kernel.dimension for kernel in kernels):
        raise ValueError(
            f"the equations and conditions leave the solution undetermined: {_why(setting, operator, kernels)}"
        )


def _check_scalar(axes: Sequence[Axis], operator: Sequence[BilinearTerm], conditions: Sequence[Dirichlet]) -> None:
    """Refuse problems for one unknown which leave whole functions of some axes, or first-order terms' level, open."""
    fixed = {face.axis.name for condition in conditions for face in condition.faces}
    loose = [d for d, axis in enumerate(axes) if axis.name not in fixed and not axis.discrete]
    for d in loose:
        if len(axes) > 1 and all(term.forms[d].trial for term in operator):
            others = ", ".join(axis.name for e, axis in enumerate(axes) if e != d)
            raise ValueError(
                "conditions: the operator leaves the solution undetermined: every term differentiates along "
                f"{axes[d].name!r}, which has no Dirichlet condition, so any function of {others} solves the "
                f"homogeneous problem; add a condition on {axes[d].name}.start or {axes[d].name}.end"
            )
    if not all(any(term.forms[d].trial for d in loose) for term in operator):
        return
    for axis, forms in zip(axes, zip(*(term.forms for term in operator), strict=True), strict=True):
        if any(form.trial != form.test for form in forms):
            raise ValueError(
                f"conditions: first-order terms along {axis.name!r} with natural or periodic boundaries everywhere "
                f"leave the solution undetermined; prescribe values on a face, for instance on {axis.name}.start"
            )


def coarse_kernels(
    setting: Setting, axes: Sequence[Axis], operator: Sequence[BilinearTerm], conditions: Sequence[Dirichlet]
) -> list[Kernel]:
    """Return what the equations leave open on two coarse meshes; nothing where they are too large to look.

    Axes along which nothing is differentiated, such as parameters, are looked at in one point.
    """
    seen = [d for d in range(len(axes)) if d == setting.component or _differentiated(d, operator)]
    places = {d: len(sample_points(axis)) // 3 for d, axis in enumerate(axes) if d not in seen}
    own = [axis for d, axis in enumerate(axes) if d in seen]
    for pair in _ELEMENTS:
        meshes = [[_coarse(axis, count) for axis in own] for count in pair]
        if max(int(np.prod([axis.size for axis in mesh])) for mesh in meshes) <= _MOST:
            return [_kernel(setting, axes, seen, places, mesh, operator, conditions) for mesh in meshes]
    return []


def coupled(setting: Setting, operator: Sequence[BilinearTerm]) -> bool:
    """Tell whether some equation holds a component beside its own."""
    if setting.component is None:
        return False
    places = [term.forms[setting.component].place for term in operator]
    return any(isinstance(place, tuple) and place[0] != place[1] for place in places)


def _differentiated(d: int, operator: Sequence[BilinearTerm]) -> bool:
    return any(term.forms[d].trial or term.forms[d].test or term.forms[d].place is not None for term in operator)


def _coarse(axis: Axis, elements: int) -> Axis:
    if axis.discrete:
        return axis
    start, end = axis.domain
    count = max(elements, 4) if axis.periodic else elements
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StabilityWarning)
        return Axis(axis.name, start, end, elements=count, periodic=axis.periodic, kind=axis.kind, s=1)


def _kernel(
    setting: Setting,
    axes: Sequence[Axis],
    seen: Sequence[int],
    places: dict[int, int],
    mesh: Sequence[Axis],
    operator: Sequence[BilinearTerm],
    conditions: Sequence[Dirichlet],
) -> Kernel:
    shape = [axis.size for axis in mesh]
    whole = np.zeros((int(np.prod(shape)),) * 2)
    points = {d: sample_points(axes[d])[[place]] for d, place in places.items()}
    for term in operator:
        product = np.array([[term.coefficient]])
        for d, form in enumerate(term.forms):
            if d in seen:
                product = np.kron(product, _matrix(mesh[list(seen).index(d)], form))
            elif form.weight is not None:
                product = product * float(form.weight(points[d])[0])
        whole += product
    free = _free(setting, axes, seen, mesh, conditions).ravel()
    matrix = _equilibrated(whole[np.ix_(free, free)])
    _, sizes, right = np.linalg.svd(matrix[0])
    vectors = np.zeros((len(free), int((sizes <= _SINGULAR * sizes[0]).sum())))
    vectors[free] = matrix[1][:, None] * right[len(sizes) - vectors.shape[1] :].T
    assert setting.component is not None
    return Kernel(vectors, tuple(mesh), list(seen).index(setting.component))


def _matrix(axis: Axis, form: AxisForm) -> Array:
    if isinstance(form.place, tuple):
        return assembly.component_matrix(axis, *form.place).toarray()
    if form.place is not None:
        face = axis.start if form.place == "start" else axis.end
        return assembly.face_matrix(face, form.trial, form.test).toarray()
    return assembly.matrix(axis, form.trial, form.test, form.weight).toarray()


def _free(
    setting: Setting, axes: Sequence[Axis], seen: Sequence[int], mesh: Sequence[Axis], conditions: Sequence[Dirichlet]
) -> npt.NDArray[np.bool_]:
    free = np.ones([axis.size for axis in mesh], dtype=bool)
    for condition in conditions:
        for face in condition.faces:
            d = next(i for i, axis in enumerate(axes) if axis is face.axis)
            if d not in seen:
                continue
            index: list[Any] = [slice(None)] * len(mesh)
            index[list(seen).index(d)] = 0 if face.side == "start" else -1
            if condition.component is not None:
                assert setting.component is not None
                index[list(seen).index(setting.component)] = condition.component
            free[tuple(index)] = False
    return free


def _equilibrated(matrix: Array) -> tuple[Array, Array]:
    """Scale rows and columns to about one; return the columns' factors as well."""
    left, right = np.ones(len(matrix)), np.ones(len(matrix))
    for _ in range(_EQUILIBRATIONS):
        scaled = np.abs(matrix * left[:, None] * right)
        rows, columns = scaled.max(axis=1), scaled.max(axis=0)
        left /= np.sqrt(np.where(rows > 0, rows, 1.0))
        right /= np.sqrt(np.where(columns > 0, columns, 1.0))
    return matrix * left[:, None] * right, right


def _why(setting: Setting, operator: Sequence[BilinearTerm], kernels: Sequence[Kernel]) -> str:
    """Say what is open, and what may be missing."""
    names, tests, first = setting.names(), setting.names(tests=True), kernels[0]
    shown = ", ".join(names[k] for k in first.components())
    motions = [kernel.motion() for kernel in kernels]
    untested = _untested(setting, operator, first)
    fitting = ""
    if untested and first.dimension > 1:
        k = first.components()[0]
        fitting = (
            f"; bases of equal order for {names[k]} and the components that its equation constrains leave more "
            f"functions open: add a small multiple of dot(grad({names[k]}), grad({tests[k]})) to the weak form"
        )
    if all(motions) and not any(axis for _, axis in motions[0]):
        k = next(iter(motions[0]))[0]
        constant = ", ".join(names[k] for k, _ in motions[0])
        return (
            f"any constant may be added to {constant}, which no Dirichlet condition and no term without derivatives "
            f"fixes (a rigid translation, or the level of a pressure); prescribe {names[k]} on a face, or add a term "
            f"that is not differentiated, such as a small multiple of {names[k]}*{tests[k]}{fitting}"
        )
    if all(motions):
        parts = [f"{c:+.3g} {axis}".strip() + f" in {names[k]}" for (k, axis), c in sorted(motions[0].items())]
        return (
            f"the equations do not see the motion with {', '.join(parts)} (a rigid rotation, say), and no Dirichlet "
            "condition prevents it; prescribe one more component on a face"
        )
    if first.dimension == kernels[1].dimension and not untested:
        plural = "s" * (first.dimension > 1)
        return (
            f"without sources they have {first.dimension} solution{plural} with {shown}; a condition is missing or "
            "stands at the wrong face, or the equations are not listed in the order of their unknowns (each is "
            "multiplied with the test function of its own, which vanishes where that is given)"
        )
    return (
        f"whole functions of {shown} are open: an equation follows from the others, or conditions are missing or "
        f"stand at the wrong faces{fitting}"
    )


def _untested(setting: Setting, operator: Sequence[BilinearTerm], kernel: Kernel) -> bool:
    assert setting.component is not None
    own = {term.forms[setting.component].place for term in operator}
    return not any((k, k) in own for k in kernel.components())
