"""The same problem on finer axes, and on those of an answer: what estimates of a mesh's error compare with."""

from __future__ import annotations

from collections.abc import Sequence

from inntd.axes import Axis
from inntd.axes.halving import halved
from inntd.problems.problem import Problem


def finer(problem: Problem) -> Problem:
    """Return a problem with all elements halved and patches one hop longer; what was separated stays as it is.

    Examples
    --------
    >>> import inntd as it
    >>> x = it.Axis("x", 0, 1, elements=8)
    >>> u = it.unknown("u", x)
    >>> finer(it.Problem(strong=-it.laplacian(u) - 2, conditions=[u.on(x) == 0])).axes
    (Axis('x', 0.0, 1.0, elements=16, s=4),)
    """
    return problem.on_axes(*(halved(axis, hops=1) for axis in problem.axes))


def on_axes_of(problem: Problem, axes: Sequence[Axis]) -> Problem:
    """Return a problem on the meshes of an answer: itself, if they are its own.

    Raises
    ------
    ValueError
        When they are those of another problem.
    """
    described = [[(axis.name, axis.domain, axis.discrete) for axis in several] for several in (problem.axes, axes)]
    if described[0] != described[1]:
        known, given = (", ".join(axis.name for axis in several) for several in (problem.axes, axes))
        raise ValueError(f"answer must be one of this problem, over its axes {known}, got {given}")
    same = all(own.key == other.key for own, other in zip(problem.axes, axes, strict=True))
    return problem if same else problem.on_axes(*axes)
