"""How many conditions the equations take along an axis: none without derivatives, the rank of a first-order system.

Along an axis in which the equations are B w_x + ... = 0 with a matrix B that does not depend on x, as many conditions
are needed on both faces together as B has rank: for ordinary differential equations by their order, for hyperbolic
systems because every characteristic enters through one of the faces.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from inntd.axes import Axis
from inntd.problems.coefficients import sample_points
from inntd.problems.conditions import Dirichlet
from inntd.problems.separate import BilinearTerm
from inntd.problems.setting import Setting

_PLACES = 5
_ZERO = 1e-9


def check_counts(
    setting: Setting, axes: Sequence[Axis], operator: Sequence[BilinearTerm], conditions: Sequence[Dirichlet]
) -> None:
    """Refuse systems with more or fewer conditions along an axis of first order than its equations take.

    Parameters
    ----------
    setting, axes, operator, conditions
        Of the problem.

    Raises
    ------
    ValueError
        Too many conditions, or too few; names the axis, the components and both numbers.
    """
    _check_idle(setting, axes, operator, conditions)
    if setting.component is None:
        return
    for d, axis in enumerate(axes):
        ranks = _ranks(setting, axes, operator, d)
        if axis.kind not in ("space", "time") or axis.periodic or not ranks:
            continue
        given = _given(setting, axis, conditions)
        least, most = min(ranks), max(ranks)
        if least <= len(given) <= most:
            continue
        carried = ", ".join(setting.names()[k] for k in _carried(setting, operator, d))
        needs = f"{least} condition{'s' * (least != 1)}" if least == most else f"{least} to {most} conditions"
        got = f"{len(given)}: {', '.join(given)}" if given else "none"
        lead = "conditions contradict each other" if len(given) > most else "conditions are missing"
        raise ValueError(
            f"{lead}: the equations are of first order in {axis.name} for {carried} and take {needs} on {axis.start} "
            f"and {axis.end} together, got {got}; {'leave some out' if len(given) > most else 'add some'}"
        )


def _check_idle(
    setting: Setting, axes: Sequence[Axis], operator: Sequence[BilinearTerm], conditions: Sequence[Dirichlet]
) -> None:
    """Refuse values on the faces of axes along which nothing is differentiated: they follow from the equation."""
    position = {id(axis): d for d, axis in enumerate(axes)}
    for condition in conditions:
        own = range(setting.components) if condition.component is None else (condition.component,)
        for face in condition.faces:
            d = position[id(face.axis)]
            idle = [k for k in own if not _acts(setting, operator, d, k)]
            if idle:
                name = ", ".join(setting.names()[k] for k in idle)
                raise ValueError(
                    f"conditions contradict the equation: {name} is given on {face}, but no term differentiates it "
                    f"along {face.axis.name}, so its values there follow from the equation; leave out this condition"
                )


def _acts(setting: Setting, operator: Sequence[BilinearTerm], d: int, k: int) -> bool:
    """Tell whether a component stands in a term with a derivative along an axis, its own or the other's."""
    for term in operator:
        place = (0, 0) if setting.component is None else term.forms[setting.component].place
        if (term.forms[d].trial or term.forms[d].test) and isinstance(place, tuple) and k in place:
            return True
    return False


def _ranks(setting: Setting, axes: Sequence[Axis], operator: Sequence[BilinearTerm], d: int) -> set[int]:
    """Return the ranks of the matrix of first derivatives at some points; none where it has no such meaning."""
    assert setting.component is not None
    if any(term.forms[d].test or term.forms[d].place is not None for term in operator):
        return set()
    terms = [term for term in operator if term.forms[d].trial]
    if not terms or any(term.forms[d].weight is not None for term in terms):
        return set()
    if any(form.trial + form.test > 1 for term in terms for form in term.forms) or _mixed(terms):
        return set()
    random = np.random.default_rng(0)
    ranks = set()
    for _ in range(_PLACES):
        points = [sample_points(axis)[[random.integers(len(sample_points(axis)))]] for axis in axes]
        matrix = np.zeros((setting.components,) * 2)
        for term in terms:
            weights = (float(f.weight(x)[0]) for f, x in zip(term.forms, points, strict=True) if f.weight is not None)
            place = term.forms[setting.component].place
            assert isinstance(place, tuple)
            matrix[place] += term.coefficient * float(np.prod(list(weights)))
        ranks.add(_rank(matrix))
    return ranks


def _mixed(terms: Sequence[BilinearTerm]) -> bool:
    return any(sum(form.trial + form.test for form in term.forms) > 1 for term in terms)


def _rank(matrix: npt.NDArray[np.float64]) -> int:
    rows = np.abs(matrix).max(axis=1)
    sizes = np.linalg.svd(matrix[rows > 0] / rows[rows > 0, None], compute_uv=False)
    return int((sizes > _ZERO * max(1.0, sizes.max(initial=0.0))).sum())


def _carried(setting: Setting, operator: Sequence[BilinearTerm], d: int) -> list[int]:
    return sorted({setting.trial_of(term) for term in operator if term.forms[d].trial})


def _given(setting: Setting, axis: Axis, conditions: Sequence[Dirichlet]) -> list[str]:
    """Return the conditions on the faces of an axis, each once: u[0] on x.start."""
    names = setting.names()
    found: dict[tuple[int, str], str] = {}
    for condition in conditions:
        own = range(len(names)) if condition.component is None else (condition.component,)
        for face in condition.faces:
            if face.axis is axis:
                found |= {(k, face.side): f"{names[k]} on {face}" for k in own}
    return list(found.values())
