"""A boundary-value problem, parsed, checked and separated before anything is assembled."""

from __future__ import annotations

import difflib
import time
from collections.abc import Iterable, Sequence
from typing import Any

import sympy

from inntd.axes import Axis
from inntd.problems import describe
from inntd.problems.algebra import Algebra, SeparationError, Terms
from inntd.problems.align import align as align_axes
from inntd.problems.assembler import Assembler
from inntd.problems.conditions import (
    Condition,
    Dirichlet,
    check_agreement,
    check_whole_faces,
    join_equal,
    separate_condition,
)
from inntd.problems.expand import Separator, shorten
from inntd.problems.fields import TestFunction, Unknown, expression_of, fields_in
from inntd.problems.operators import Operator, Vector
from inntd.problems.separate import BilinearTerm, LinearTerm, PointFunction, SeparatedFunction
from inntd.problems.weaken import by_parts, weak_form


class Problem:
    """A linear boundary-value problem a(u, v) = l(v) with conditions on whole faces, separated by axis.

    Parameters
    ----------
    weak
        The weak form, an expression linear in the test function that is to vanish, integrated over all axes.
    strong
        Instead of `weak`: the strong form, an expression that is to vanish. It is multiplied with a test function and
        its second-order space terms are integrated by parts; the boundary terms are dropped, so that where no
        Dirichlet condition stands the natural one (no flux) holds.
    conditions
        What `u.on(...) == value` and `u.at(t=0) == value` return.
    title
        One line for reports.
    exact
        The exact solution, if it is known, for error computation.
    align
        Whether the axes get breaks, and nodes, where coefficients, sources or given values jump or have kinks. Patches
        that cross such places lose their order.

    Attributes
    ----------
    unknown, axes
        The unknown, and its axes as they are solved on: where they got breaks, these are other objects than those of
        the unknown, with the same names and intervals.
    notes
        What was changed in the axes, in words.
    operator
        Tuple of :class:`~inntd.problems.separate.BilinearTerm`: a(u, v).
    load
        Tuple of :class:`~inntd.problems.separate.LinearTerm`: l(v), already on the right-hand side.
    conditions
        Tuple of :class:`~inntd.problems.conditions.Dirichlet`.
    exact
        :class:`~inntd.problems.separate.SeparatedFunction`, None if not given or not separable.
    exact_function
        A callable on points (K, D), None if no exact solution is given.
    setup_seconds
        How long all this took.

    Raises
    ------
    TypeError
        An argument of the wrong kind.
    ValueError
        Unknown symbols, a term that is not linear in u or v, a factor that couples axes, contradictory or missing
        conditions; the message names the term and the remedy.

    Examples
    --------
    >>> import inntd as it
    >>> x, y = it.Axis("x", 0, 1, elements=8), it.Axis("y", 0, 1, elements=8)
    >>> u, v = it.unknown("u", x, y), it.test_function()
    >>> problem = it.Problem(weak=it.dot(it.grad(v), it.grad(u)) - 3 * v, conditions=[u.on("boundary") == 0])
    >>> len(problem.operator), len(problem.load)
    (2, 1)
    """

    def __init__(
        self,
        *,
        weak: Any = None,
        strong: Any = None,
        conditions: Iterable[Condition] = (),
        title: str = "",
        exact: Any = None,
        align: bool = True,
    ) -> None:
        begin = time.perf_counter()
        if (weak is None) == (strong is None):
            raise TypeError(f"Problem needs either weak or strong, got {'neither' if weak is None else 'both'}")
        if not isinstance(title, str):
            raise TypeError(f"title must be a string, got {title!r}")
        if not isinstance(align, bool):
            raise TypeError(f"align must be True or False, got {align!r}")
        name = "weak" if strong is None else "strong"
        self.title = title
        self.form = _expression(weak if strong is None else strong, name)
        self.is_strong = strong is not None
        self.unknown, self.test = _fields(self.form, strong=self.is_strong)
        self.axes: tuple[Axis, ...] = self.unknown.axes
        self.written_conditions = _conditions(conditions, self.unknown)

        separator, assembler = Separator(self.axes), Assembler(self.axes)
        self._separate_form(name, separator, assembler)
        self._separate_conditions(separator, assembler)
        self._separate_exact(exact, separator, assembler)
        self.notes: tuple[str, ...] = ()
        if align:
            self._align()
        self.setup_seconds = time.perf_counter() - begin

    def _separate_form(self, name: str, separator: Separator, assembler: Assembler) -> None:
        check_symbols(self.form, self.axes, name)
        self.weak = weak_form(self.form, self.test) if self.is_strong else self.form
        try:
            terms = separator.terms(self.weak)
            if self.is_strong:
                terms = by_parts(separator, terms)
            operator, load = _split(terms, separator, self.unknown.name, self.test.name)
            self.operator: tuple[BilinearTerm, ...] = assembler.operator(operator)
            self.load: tuple[LinearTerm, ...] = assembler.load(load)
        except ValueError as error:
            raise type(error)(f"{name}: {error}") from None
        _check_orders(self.operator, self.load, self.axes, name)

    def _separate_conditions(self, separator: Separator, assembler: Assembler) -> None:
        for condition in self.written_conditions:
            where = f"the value of {self.unknown.name} on {shorten(condition).partition(' on ')[2]}"
            check_symbols(condition.value, self.axes, where)
            check_whole_faces(condition, separator)
        parts = (separate_condition(condition, separator, assembler) for condition in self.written_conditions)
        self.conditions: tuple[Dirichlet, ...] = join_equal(part for group in parts for part in group)
        check_agreement(self.conditions)
        _check_initial(self.operator, self.conditions, self.axes, self.unknown.name)

    def _separate_exact(self, exact: Any, separator: Separator, assembler: Assembler) -> None:
        self.exact: SeparatedFunction | None = None
        self.exact_function: SeparatedFunction | PointFunction | None = None
        self.exact_expression: sympy.Expr | None = None
        if exact is None:
            return
        expression = self.exact_expression = expression_of(exact, "exact")
        if fields_in(expression):
            raise ValueError(f"exact must not contain unknowns or test functions, got {shorten(expression)}")
        check_symbols(expression, self.axes, "exact")
        try:
            self.exact = self.exact_function = assembler.separated(separator.terms(expression))
        except SeparationError as error:
            if expression.has(Operator):
                raise ValueError(f"exact: {error}") from None
            self.exact_function = PointFunction(self.axes, expression)
        except ValueError as error:
            raise ValueError(f"exact: {error}") from None

    def _align(self) -> None:
        """Exchange the axes for the same axes with the breaks of the functions over them."""
        alignment = align_axes(self.axes, self.operator, self.load, self.conditions)
        self.axes, self.notes = alignment.after, alignment.notes
        self.conditions = tuple(map(alignment.condition, self.conditions))
        if self.exact is not None:
            self.exact = self.exact_function = alignment.function(self.exact)

    def describe(self) -> str:
        """Return a readable text: axes, weak form, separated terms, conditions.

        Examples
        --------
        >>> import inntd as it
        >>> x = it.Axis("x", 0, 1, elements=8)
        >>> u = it.unknown("u", x)
        >>> print(it.Problem(strong=-it.laplacian(u) - 2, conditions=[u.on(x) == 0]).describe())
        unknown     u(x)
        axes        x: space, 0 to 1, 8 elements
        strong form -2 - laplacian(u) = 0
        weak form   -2*v + dot(grad(v), grad(u)) = 0
        operator    1 term
                    1 u_x v_x
        load        1 term
                    2 v
        conditions  u = 0 on x.start, x.end
        """
        return describe.describe(self)

    def __repr__(self) -> str:
        axes = ", ".join(axis.name for axis in self.axes)
        return (
            f"Problem({self.title or 'untitled'}: {self.unknown.name}({shorten(axes)}), "
            f"{len(self.operator)} operator terms, {len(self.load)} load terms, {len(self.conditions)} conditions)"
        )


def _expression(value: Any, name: str) -> sympy.Expr:
    if isinstance(value, Vector):
        raise TypeError(f"{name} must be a scalar expression, got the vector {value!r}; use div or dot")
    return expression_of(value, name)


def _fields(form: sympy.Expr, *, strong: bool) -> tuple[Unknown, TestFunction]:
    found = [symbol.field for symbol in fields_in(form)]
    unknowns = list(dict.fromkeys(field for field in found if isinstance(field, Unknown)))
    tests = list(dict.fromkeys(field for field in found if isinstance(field, TestFunction)))
    name = "strong" if strong else "weak"
    if not unknowns:
        raise ValueError(f"{name} must contain an unknown made with unknown(...), got {shorten(form)}")
    if len(unknowns) > 1:
        raise ValueError(f"{name} must contain one unknown, got {', '.join(u.name for u in unknowns)}")
    if strong:
        if tests:
            raise ValueError(f"strong must not contain a test function, got {tests[0].name}; use weak= for weak forms")
        return unknowns[0], TestFunction("v" if unknowns[0].name != "v" else "w")
    if not tests:
        raise ValueError(
            f"weak must contain a test function made with test_function(), got {shorten(form)}; "
            "multiply with it, or use strong= for the strong form"
        )
    if len(tests) > 1:
        raise ValueError(f"weak must contain one test function, got {', '.join(v.name for v in tests)}")
    return unknowns[0], tests[0]


def _conditions(conditions: Any, unknown: Unknown) -> tuple[Condition, ...]:
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
        if condition.unknown is not unknown:
            raise ValueError(f"conditions[{i}] is about another unknown, {condition.unknown!r}, than {unknown!r}")
    return result


def check_symbols(expression: sympy.Expr, axes: Sequence[Axis], where: str) -> None:
    """Refuse symbols that are no axes of the unknown, with the nearest known name."""
    known = [axis.name for axis in axes]
    strangers = sorted({symbol.name for symbol in expression.free_symbols} - set(known))
    if strangers:
        hints = difflib.get_close_matches(strangers[0], known, 1)
        hint = f"; did you mean {hints[0]}?" if hints else ""
        raise ValueError(
            f"{where}: unknown symbol{'s' if len(strangers) > 1 else ''} {', '.join(strangers)}; "
            f"the axes of the unknown are {shorten(', '.join(known))}{hint}"
        )


def _split(terms: Terms, algebra: Algebra, u: str, v: str) -> tuple[Terms, Terms]:
    """Return the bilinear terms, and the linear ones with their sign changed."""
    operator: Terms = {}
    load: Terms = {}
    for key, number in terms.items():
        trial, test, _ = key
        if test is None:
            shown = describe.shown_key(key, number, algebra.axes, u, v)
            raise ValueError(f"every term must be linear in the test function {v}, got the term {shorten(shown)}")
        if trial is None:
            load[key] = -number
        else:
            operator[key] = number
    if not operator:
        raise ValueError(f"the unknown {u} cancels out: no term is left with {u} and {v}")
    return operator, load


def _check_orders(
    operator: Sequence[BilinearTerm], load: Sequence[LinearTerm], axes: Sequence[Axis], name: str
) -> None:
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
                else "write the equation as one of first order in that axis"
            )
            raise ValueError(
                f"{name}: a derivative of order {order} in the {axis.kind} axis {axis.name} is not supported; {remedy}"
            )


def _check_initial(
    operator: Sequence[BilinearTerm], conditions: Sequence[Dirichlet], axes: Sequence[Axis], u: str
) -> None:
    for position, axis in enumerate(axes):
        if axis.kind != "time" or axis.periodic or not any(term.forms[position].trial for term in operator):
            continue
        if not any(face.axis is axis for condition in conditions for face in condition.faces):
            raise ValueError(
                f"conditions: the time axis {axis.name} needs an initial condition; "
                f"add {u}.at({axis.name}={axis.domain[0]:g}) == value"
            )
