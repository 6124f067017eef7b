"""Which route suits a problem, and why: from its class and the figures that tell it, before anything is assembled.

CP modes are at home where parameters are mild: with conductivities of contrast 100 in four blocks 120 modes leave an
error of 3 %, where 35 full solutions picked by the residual leave 3e-5. The same holds for convection that turns with a
parameter, from Péclet numbers of about a hundred on. Sources that travel far need a mode for every radius of their path
and are solved slab by slab.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from inntd.problems import Problem
from inntd.problems.continuation import initial_conditions
from inntd.solvers.cost import Cost, reduced_cost
from inntd.solvers.reduced_route import merged_positions
from inntd.solvers.slab_lengths import RADII, travels
from inntd.solvers.traits import CONVECTIVE, STRONG, Traits, traits_of

Family = Literal["separated", "reduced_basis", "slabs"]

COUPLED = 2  # so many strong parameters
# Seconds that a reduced basis may be likely to take: where nothing else is known to work, and after another route.
FIRST, SECOND = 600.0, 120.0
MOST_PARAMETERS = 12  # of which training parameters still tell the worst


@dataclass(frozen=True)
class Choice:
    """Routes in the order in which they are worth a try.

    Attributes
    ----------
    families
        The first is the choice; the others are tried when it fails.
    reason
        In words, with the figures used.
    """

    families: tuple[Family, ...]
    reason: str


def choose(problem: Problem, tolerance: float = 1e-4) -> Choice:
    """Choose a route by the class of a problem, and by what the tolerance makes it cost.

    Examples
    --------
    >>> import inntd as it
    >>> x, k, h = it.Axis("x", 0, 1, elements=8), *(it.Axis(n, 1, 9, elements=8, kind="parameter") for n in "kh")
    >>> u, v = it.unknown("u", x, k, h), it.test_function()
    >>> left, right = it.indicator(x < 0.5), it.indicator(x >= 0.5)
    >>> form = (k * left + h * right) * it.diff(v, x) * it.diff(u, x) - v
    >>> choose(it.Problem(weak=form, conditions=[u.on(x) == 0])).families
    ('reduced_basis', 'separated')
    """
    path = _path(problem)
    if path is not None:
        return Choice(("slabs", "separated"), f"its source travels {path:.3g} of its radii, and {RADII:g} make a slab")
    if not any(axis.kind == "parameter" for axis in problem.axes):
        return Choice(("separated",), "there are no parameters")
    traits = traits_of(problem)
    cost = _cost(problem, tolerance)
    wanted = _wanted(traits)
    if wanted is None:
        spare: tuple[Family, ...] = ("reduced_basis",) if cost is not None and cost.within(SECOND) else ()
        return Choice(("separated", *spare), _mild(traits))
    if cost is None:
        return Choice(("separated",), f"{wanted}, but a reduced basis does not suit: {_unsuited(problem)}")
    if not cost.within(FIRST):
        return Choice(("separated",), f"{wanted}, but a reduced basis would take too much: {cost}")
    return Choice(("reduced_basis", "separated"), f"{wanted}; {cost}")


def _wanted(traits: Traits) -> str | None:
    """Return why few modes will not do; None where they may."""
    strong = traits.strong
    if len(strong) >= COUPLED:
        contrast = traits.contrast
        vary = f"vary {contrast:.3g}-fold" if contrast < float("inf") else "change sign or vanish"
        return f"coefficients {vary} with {len(strong)} coupled parameters ({', '.join(strong)})"
    if traits.peclet >= CONVECTIVE and (traits.turns or strong):
        by = f"turns with {', '.join(traits.turns)}" if traits.turns else f"varies more than {STRONG:g}-fold"
        return f"convection {by} at Péclet numbers up to {traits.peclet:.3g}, of an element {traits.mesh_peclet:.2g}"
    return None


def _mild(traits: Traits) -> str:
    """Return why modes may do, with the figures."""
    if not traits.contrasts:
        return str(traits)
    return f"{'only one parameter is strong' if traits.strong else 'parameters are mild'}: {traits}"


def _cost(problem: Problem, tolerance: float) -> Cost | None:
    """Return the cost of a reduced basis; None where it does not suit."""
    return reduced_cost(problem, merged_positions(problem, None), tolerance) if _unsuited(problem) is None else None


def _unsuited(problem: Problem) -> str | None:
    """Say why a reduced basis does not suit, None where it does: it is a function of parameters, one by one."""
    parameters = [d for d, axis in enumerate(problem.axes) if axis.kind == "parameter"]
    if len(parameters) == len(problem.axes):
        return "all axes are parameters"
    if len(parameters) > MOST_PARAMETERS:
        return f"there are {len(parameters)} parameters"
    if len(problem.unknowns) > 1:
        return f"there are {len(problem.unknowns)} unknowns"
    if all(term.forms[d].weight is None for term in problem.operator for d in parameters):
        return "the operator does not depend on the parameters"
    for d in parameters:
        forms = [form for term in problem.operator for form in (term.forms[d],)]
        derived = any(form.trial or form.test or form.place is not None for form in forms)
        derived = derived or any(t.forms[d].test or t.forms[d].place is not None for t in problem.load)
        fixed = any(face.axis.name == problem.axes[d].name for c in problem.conditions for face in c.faces)
        if derived or fixed:
            return f"the problem differentiates or has conditions along {problem.axes[d].name}"
    return None


def _path(problem: Problem) -> float | None:
    """Return the path of a source that surely travels, where a march through time is possible."""
    if not any(axis.kind == "time" for axis in problem.axes):
        return None
    try:
        initial_conditions(problem)
    except ValueError:  # nothing to start from
        return None
    return travels(problem)
