"""Linear functionals of a solution: values, means over axes and ranges, with a weight."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from inntd import _checks
from inntd.axes import Axis, assembly
from inntd.models.cp_form import CPForm
from inntd.models.result import Status
from inntd.problems import Problem
from inntd.problems.assembler import Assembler
from inntd.problems.exact import separate_exact
from inntd.problems.expand import Separator
from inntd.problems.fields import expression_of, fields_in
from inntd.problems.numerical import Numerical
from inntd.problems.separate import SeparatedFunction
from inntd.problems.text import shorten
from inntd.problems.wellformed import check_symbols

Vector = npt.NDArray[np.float64]
Place = float | tuple[float, float]
WeightFunction = Callable[[Vector], Any]


class Goal:
    """A linear functional: the mean of weight times u over all axes, but for those that are held still.

    Parameters
    ----------
    places : mapping, optional
        By the name of an axis a number, at which it is held still, or a pair, the range over which the mean is taken;
        over axes that are not named it is taken over their whole length. A component is held still by its number.
    weight : number or expression, default 1
        Of the problem's axes, a sum of products of functions of one axis each (others are separated numerically).
    **named
        Places of axes whose names are words.

    Examples
    --------
    >>> import inntd as it
    >>> it.Goal(x=0.25, t=(0.5, 1))  # in the second half of the time, at x = 0.25, on average over all other axes
    Goal(x=0.25, t=(0.5, 1.0))
    >>> it.Goal({"x[1]": 0.5})
    Goal(x[1]=0.5)
    """

    def __init__(self, places: Mapping[str, Any] | None = None, /, *, weight: Any = 1, **named: Any) -> None:
        both = sorted(set(places or {}) & set(named))
        if both:
            raise TypeError(f"each axis must be given once, got twice: {', '.join(both)}")
        self.places = {str(name): _place(name, value) for name, value in {**(places or {}), **named}.items()}
        self.weight = expression_of(weight, "weight")
        if fields_in(self.weight):
            raise ValueError(f"weight must not contain unknowns: goals are linear, got {shorten(self.weight)}")

    def __repr__(self) -> str:
        parts = [f"{name}={place}" for name, place in self.places.items()]
        parts += [] if self.weight == 1 else [f"weight={shorten(self.weight)}"]
        return f"Goal({', '.join(parts)})"


@dataclass(frozen=True)
class GoalError:
    """A functional of an answer, and how far it is from that of the exact solution.

    Attributes
    ----------
    value
        Of the answer.
    algebraic
        Estimated difference, with its sign, of the discrete solution's value to this one.
    discretisation
        Estimated difference of the exact solution's value to that of the discrete solution; None if not asked for.
    bound
        Guaranteed bound of how far the discrete solution's value is from ``value + algebraic``, up to round-off; None
        where there is no bound of the residual.
    adjoint
        How the adjoint solution ended; of two, the one that did not converge. Estimates are as good as it is.
    """

    value: float
    algebraic: float
    discretisation: float | None = None
    bound: float | None = None
    adjoint: Status = "converged"

    @property
    def error(self) -> float:
        """The estimated error, with its sign: what has to be added to the value."""
        return self.algebraic + (self.discretisation or 0.0)

    @property
    def corrected(self) -> float:
        """The value with its estimated error added: it converges twice as fast."""
        return self.value + self.error

    def __str__(self) -> str:
        mesh = "not computed" if self.discretisation is None else f"{self.discretisation:+.1e}"
        text = f"{self.value:.8g}, corrected {self.corrected:.8g} (algebraic {self.algebraic:+.1e}, mesh {mesh})"
        if self.adjoint != "converged":
            text += f", the adjoint solution ended as {self.adjoint}"
        return text if self.bound is None else f"{text}, guaranteed to {self.bound:.1e} against the discrete solution"


@dataclass(frozen=True)
class DiscreteGoal:
    """A functional on nodal values: sum_r weights[r] (x)_d vectors[d][:, r].

    Attributes
    ----------
    axes
        The D axes.
    vectors
        Per axis an array (n_d, R).
    weights
        (R,).
    weighted
        Positions of the axes on which the weight depends.
    """

    axes: tuple[Axis, ...]
    vectors: list[Vector]
    weights: Vector
    weighted: tuple[int, ...] = ()

    @property
    def form(self) -> CPForm:
        """The functional as a separated tensor, to be paired with one of nodal values."""
        return CPForm(self.axes, [self.vectors[0] * self.weights, *self.vectors[1:]])

    def on(self, free: Sequence[slice]) -> CPForm:
        """Return it on some nodes only."""
        form = self.form
        return CPForm(self.axes, [own[part] for own, part in zip(form.factors, free, strict=True)])


def discrete_goal(problem: Problem, goal: Goal) -> DiscreteGoal:
    """Return a goal as a functional of nodal values on the axes of a problem.

    Raises
    ------
    ValueError, TypeError
        When an axis is unknown, a place lies outside, a component is open, or the weight does not separate.
    """
    if not isinstance(goal, Goal):
        raise TypeError(f"goal must be an inntd.Goal, such as Goal(x=0.5), got {goal!r}")
    unknown = sorted(set(goal.places) - {axis.name for axis in problem.axes})
    if unknown:
        known = ", ".join(axis.name for axis in problem.axes)
        raise ValueError(f"goal must name axes of the problem ({known}), got {', '.join(unknown)}")
    terms = _weight(problem, goal).terms
    columns: list[list[Vector]] = [[] for _ in problem.axes]
    for _, functions in terms:
        for own, axis, function in zip(columns, problem.axes, functions, strict=True):
            own.append(_functional(axis, goal.places.get(axis.name), function))
    vectors = [np.stack(own, axis=1) if own else np.zeros((axis.size, 0))
               for own, axis in zip(columns, problem.axes, strict=True)]  # fmt: skip
    weights = np.array([coefficient for coefficient, _ in terms], dtype=np.float64)
    weighted = tuple(d for d in range(len(problem.axes)) if any(functions[d] is not None for _, functions in terms))
    return DiscreteGoal(problem.axes, vectors, weights, weighted)


def _place(name: object, value: Any) -> Place:
    if isinstance(value, tuple | list):
        if len(value) != 2:
            raise ValueError(f"{name} must be a number, or a pair for a range, got {value!r}")
        start, stop = (_checks.finite_float(str(name), end) for end in value)
        if not start < stop:
            raise ValueError(f"{name} must be a range from a smaller to a larger number, got {value!r}")
        return start, stop
    return _checks.finite_float(str(name), value)


def _weight(problem: Problem, goal: Goal) -> SeparatedFunction:
    """Return the weight as a sum of products over the problem's axes."""
    if goal.weight == 1:
        return SeparatedFunction(problem.axes, ((1.0, (None,) * len(problem.axes)),))
    check_symbols(goal.weight, problem.axes, "weight")
    separator = Separator(problem.axes, problem.setting.slots)
    numerical = Numerical(separator, problem.separation_tolerance, problem.separation_rank)
    assembler = Assembler(problem.axes, problem.component, numerical.resolve)
    found, _ = separate_exact(goal.weight, separator, assembler, problem.axes)
    if found is None:
        raise ValueError(f"weight must be a sum of products of functions of one axis, got {shorten(goal.weight)}")
    return found


def _functional(axis: Axis, place: Place | None, weight: WeightFunction | None) -> Vector:
    """Return the functional (n,) of one axis."""
    if axis.discrete:
        return _discrete_functional(axis, place, weight)
    if isinstance(place, float):
        index, values = axis.tabulate(np.array([place]))
        column = np.zeros(axis.size)
        np.add.at(column, index[0], values[0])
        return column if weight is None else column * float(np.asarray(weight(np.array([place]))).reshape(-1)[0])
    start, stop = axis.domain if place is None else place
    if not axis.domain[0] <= start < stop <= axis.domain[1]:
        raise ValueError(f"{axis.name} must be a range inside of {axis.domain}, got ({start:g}, {stop:g})")
    function = _Windowed(weight, start, stop, axis.domain)
    found: Vector = assembly.load(axis, [function])[:, 0] / (stop - start)
    return found


def _discrete_functional(axis: Axis, place: Place | None, weight: WeightFunction | None) -> Vector:
    if isinstance(place, tuple):
        raise ValueError(f"{axis.name} is discrete: give one of its values 0 to {axis.size - 1}, not a range")
    if place is None and axis.kind == "component":
        raise ValueError(f"goal must name the component: add {axis.name}=0 to {axis.size - 1}")
    if place is None:
        column = np.full(axis.size, 1.0 / axis.size)
    else:
        column = (axis.check_points([place])[0] == np.arange(axis.size)).astype(np.float64)
    return column if weight is None else column * np.asarray(weight(np.arange(axis.size, dtype=np.float64)))


class _Windowed:
    """A function that is zero outside of a range; quadrature is told of its ends."""

    def __init__(self, weight: WeightFunction | None, start: float, stop: float, domain: tuple[float, float]) -> None:
        self.weight, self.start, self.stop = weight, start, stop
        inside = [end for end in (start, stop) if domain[0] < end < domain[1]]
        self.breaks = tuple(sorted({*inside, *getattr(weight, "breaks", ())}))
        self.joints = tuple(getattr(weight, "joints", ()))

    def __call__(self, x: Vector) -> Vector:
        inside = (x >= self.start) & (x <= self.stop)
        return inside * (np.ones_like(x) if self.weight is None else np.asarray(self.weight(x)))
