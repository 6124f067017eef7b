"""What was declared and does nothing: parameters that appear nowhere, indicators that never switch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import sympy
from sympy.core.relational import Relational

from inntd.axes import Axis
from inntd.problems.algebra import COORDINATE
from inntd.problems.breaks import zeros
from inntd.problems.conditions import Dirichlet
from inntd.problems.fields import FieldSymbol
from inntd.problems.indicator import Indicator
from inntd.problems.separate import BilinearTerm, LinearTerm
from inntd.problems.text import shorten


def check_parameters(
    axes: Sequence[Axis],
    operator: Iterable[BilinearTerm],
    load: Iterable[LinearTerm],
    conditions: Iterable[Dirichlet],
) -> None:
    """Refuse parameter axes on which neither operator, sources nor given values depend."""
    idle = {d for d, axis in enumerate(axes) if axis.kind == "parameter"}
    if not idle:
        return
    for bilinear in operator:
        idle -= {d for d in idle if bilinear.forms[d].weight or bilinear.forms[d].trial or bilinear.forms[d].test}
    for linear in load:
        idle -= {d for d in idle if linear.forms[d].weight or linear.forms[d].test}
    for condition in conditions:
        idle -= {d for d in idle if any(face.axis is axes[d] for face in condition.faces)}
        for _, functions in condition.value.terms:
            idle -= {d for d in idle if functions[d] is not None}
    if idle:
        names = [axes[d].name for d in sorted(idle)]
        several = len(names) > 1
        subject = f"the parameter ax{'es' if several else 'is'} {shorten(', '.join(names))}"
        raise ValueError(
            f"{subject} appear{'' if several else 's'} in no coefficient, source or given value, so the solution "
            "is constant there: use it, or leave it out of the unknown's axes"
        )


def idle_indicators(axes: Sequence[Axis], expressions: Iterable[sympy.Expr]) -> Iterator[str]:
    """Find indicators, and pieces, that are constant along an axis which they name: their breaks lie outside of it."""
    known = {axis.name: axis for axis in axes if not axis.discrete}
    for indicator, shown_name in sorted(_indicators(expressions).items(), key=str):
        if indicator.atoms(FieldSymbol):  # where it switches, the solution tells
            continue
        by_axis: dict[str, list[Relational]] = {}
        for relation in indicator.atoms(Relational):
            names = {symbol.name for symbol in relation.free_symbols}
            if len(names) == 1 and names <= set(known):
                by_axis.setdefault(names.pop(), []).append(relation)
        for name, relations in sorted(by_axis.items()):
            coupled = any(
                len(relation.free_symbols) > 1 and name in {symbol.name for symbol in relation.free_symbols}
                for relation in indicator.atoms(Relational)
            )
            start, end = known[name].domain
            small = 1e-6 * (end - start)  # a break at an end is none outside, whatever its rounding
            places = [place for relation in relations for place in _places(relation, start - small, end + small)]
            if coupled or any(start - small <= place <= end + small for place in places):
                continue
            shown = ", ".join(f"{place:g}" for place in places)
            outside = f"its break{'s' * (len(places) > 1)} at {shown} lie{'s' * (len(places) == 1)} outside"
            yield (
                f"{shown_name} is constant on the axis {name} from {start:g} to {end:g}: "
                f"{outside if places else 'it has no break there'}; mend the relation, or the axis"
            )


def _indicators(expressions: Iterable[sympy.Expr]) -> dict[sympy.Basic, str]:
    """Return indicators, and conditions of piecewise expressions, with what they are called."""
    found: dict[sympy.Basic, str] = {}
    for expression in expressions:
        found |= {indicator: str(indicator) for indicator in expression.atoms(Indicator)}
        for node in expression.atoms(sympy.Piecewise):
            conditions = (condition for _, condition in node.args if not condition.atoms(sympy.Eq, sympy.Ne))
            found |= {condition: f"the condition {condition} of a piecewise expression" for condition in conditions}
    return found


def _places(relation: Relational, start: float, end: float) -> list[float]:
    switch = relation.lhs - relation.rhs
    try:
        return zeros(switch.xreplace(dict.fromkeys(switch.free_symbols, COORDINATE)), start, end)
    except (ArithmeticError, ValueError, TypeError, NameError, RecursionError, MemoryError):  # cannot be computed
        return [start]
