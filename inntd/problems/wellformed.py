"""Whether what is given makes a problem: conditions of its unknowns, known symbols, terms linear in both fields."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Any

import sympy

from inntd.axes import Axis
from inntd.problems import describe
from inntd.problems.algebra import BeyondLinear, Terms
from inntd.problems.conditions import Condition
from inntd.problems.fields import Unknown
from inntd.problems.given import check_domains
from inntd.problems.pieces import check_pieces
from inntd.problems.separate import BilinearTerm, LinearTerm
from inntd.problems.setting import Setting
from inntd.problems.text import shorten


def given_conditions(conditions: Any, unknowns: Sequence[Unknown]) -> tuple[Condition, ...]:
    """Return the conditions as a tuple, or raise for what is none, or one of another unknown."""
    if isinstance(conditions, Condition):
        conditions = (conditions,)
    if isinstance(conditions, (str, bytes)) or not isinstance(conditions, Iterable):
        raise TypeError(f"conditions must be a list such as [u.on(x) == 0], got {conditions!r}")
    result = tuple(conditions)
    for i, condition in enumerate(result):
        if not isinstance(condition, Condition):
            raise TypeError(
                f"conditions[{i}] must be made by u.on(...) == value or u.at(t=0) == value, got {condition!r}"
            )
        if not any(condition.unknown is unknown for unknown in unknowns):
            known = " and ".join(map(repr, unknowns))
            raise ValueError(f"conditions[{i}] is about another unknown, {condition.unknown!r}, than {known}")
    return result


def check_symbols(expression: sympy.Expr, axes: Sequence[Axis], where: str) -> None:
    """Refuse symbols that are no axes of the unknown, and functions that are not known on all of an axis."""
    known = [axis.name for axis in axes if axis.kind != "component"]
    strangers = sorted({symbol.name for symbol in expression.free_symbols} - set(known))
    if strangers:
        hints = difflib.get_close_matches(strangers[0], known, 1)
        hint = f"; did you mean {hints[0]}?" if hints else ""
        raise ValueError(
            f"{where}: unknown symbol{'s' if len(strangers) > 1 else ''} {', '.join(strangers)}; "
            f"the axes of the unknown are {shorten(', '.join(known))}{hint}"
        )
    check_domains(expression, axes, where)
    check_pieces(expression, axes, where)


def split_form(terms: Terms, setting: Setting) -> tuple[Terms, Terms]:
    """Return the bilinear terms, and the linear ones with their sign changed."""
    operator: Terms = {}
    load: Terms = {}
    for key, number in terms.items():
        trial, test, _ = key
        if test is None:
            shown = describe.shown_key(key, number, setting)
            names = " or ".join(v.name for v in setting.tests)
            raise ValueError(f"every term must be linear in the test function {names}, got the term {shorten(shown)}")
        if trial is None:
            load[key] = -number
        else:
            operator[key] = number
    _check_present(operator, setting)
    return operator, load


def _check_present(operator: Terms, setting: Setting) -> None:
    """Every component of every unknown and every test function must be left."""
    if not operator:
        u, v = setting.unknown_names(), setting.tests[0].name
        raise ValueError(f"the unknown {u} cancels out: no term is left with {u} and {v}")
    if setting.component is None:
        return
    for side, names in enumerate((setting.names(), setting.names(tests=True))):
        present = {dict(key[side] or ())[setting.component] - 1 for key in operator}
        missing = [name for k, name in enumerate(names) if k not in present]
        if missing:
            what = "no term holds" if side == 0 else "no term with an unknown is tested with"
            raise ValueError(f"{what} {', '.join(missing)}: the problem leaves it undetermined")


def check_orders(operator: Sequence[BilinearTerm], load: Sequence[LinearTerm], axes: Sequence[Axis], name: str) -> None:
    """Refuse derivatives that the basis does not carry."""
    for position, axis in enumerate(axes):
        orders = [max(term.forms[position].trial, term.forms[position].test) for term in operator]
        order = max(orders + [term.forms[position].test for term in load])
        if order and axis.discrete:
            raise ValueError(f"{name}: the axis {axis.name} is discrete, so nothing can be differentiated in it")
        if order > 1:
            remedy = (
                "integrate by parts, or use strong=, which does it"
                if axis.kind == "space" and name == "weak"
                else "write the equation as one of first order in that axis, or use inntd.pinn.solve"
            )
            raise BeyondLinear(
                f"{name}: a derivative of order {order} in the {axis.kind} axis {axis.name} is not supported; {remedy}"
            )
