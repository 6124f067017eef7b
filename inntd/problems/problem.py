"""A boundary-value problem, parsed, checked and separated before anything is assembled."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterable
from typing import Any

import sympy

from inntd import _checks
from inntd._checks import StabilityWarning
from inntd.axes import Axis
from inntd.problems import describe
from inntd.problems.algebra import BeyondLinear, Terms
from inntd.problems.align import JUMPS_LEFT_OUT
from inntd.problems.align import align as align_axes
from inntd.problems.assembler import Assembler
from inntd.problems.conditions import (
    Condition,
    Dirichlet,
    Flux,
    Slope,
    check_agreement,
    check_initial,
    check_whole_faces,
    join_equal,
    separate_condition,
)
from inntd.problems.counting import check_counts
from inntd.problems.determined import check_determined
from inntd.problems.exact import exact_expression, separate_exact
from inntd.problems.expand import Separator
from inntd.problems.faces import check_faces, check_flux_unknowns, flux_form, refuse_faces
from inntd.problems.numerical import DEFAULT_RANK, DEFAULT_TOLERANCE, SMALLEST_TOLERANCE, Numerical, Separation
from inntd.problems.omissions import check_parameters, idle_indicators
from inntd.problems.separate import BilinearTerm, LinearTerm, PointFunction, SeparatedFunction
from inntd.problems.setting import Setting, setting_of_strong, setting_of_weak
from inntd.problems.stability import doubts
from inntd.problems.tensor import scalar_of
from inntd.problems.text import shorten
from inntd.problems.transport import check_transport
from inntd.problems.weaken import by_parts, weak_form
from inntd.problems.wellformed import check_orders, check_symbols, given_conditions, split_form


class Problem:
    """A boundary-value problem with conditions on whole faces: linear, a(u, v) = l(v), and separated by axis.

    A strong form may also be nonlinear, or of second order in time: such problems are for :func:`inntd.pinn.solve`, and
    nothing of them is separated; `beyond` says why.

    Parameters
    ----------
    weak
        The weak form, an expression linear in the test function that is to vanish, integrated over all axes.
    strong
        Instead of `weak`: the strong form, an expression that is to vanish. It is multiplied with a test function and
        its second-order space terms are integrated by parts; the boundary terms are dropped, so that where no
        Dirichlet condition stands the natural one (no flux) holds. A vector equation for a vector unknown; a list of
        equations, one per component of the vector or one per unknown in the order of their declaration.
    conditions
        What `u.on(...) == value` and `u.at(t=0) == value` return; for strong forms also `u.flux(...) == value`.
    title
        One line for reports.
    exact
        The exact solution, if it is known, for error computation; a list with one expression per component for
        vectors and several unknowns.
    align
        Whether the axes get breaks, and nodes, where coefficients, sources or given values jump or have kinks. Patches
        that cross such places lose their order.
    separation_tolerance
        Factors that couple several axes and do not factor after expansion are separated numerically, each to this
        relative L2 error, 1e-8 by default. :func:`inntd.solve` asks for a tenth of its own tolerance when that is less.
    separation_rank
        The largest number of products that such a factor may become, 64 by default.

    Attributes
    ----------
    unknown, unknowns, axes
        The (first) unknown, all unknowns, and the axes. Several unknowns share their axes; a component axis in front
        of these counts through the components of all of them. Axes that got breaks are other objects than those of
        the unknown, with the same names and intervals.
    notes
        What was changed in the axes, in words.
    component
        Position of the component axis, None in a problem for one scalar.
    operator
        Tuple of :class:`~inntd.problems.separate.BilinearTerm`: a(u, v).
    load
        Tuple of :class:`~inntd.problems.separate.LinearTerm`: l(v), already on the right-hand side.
    conditions
        Tuple of :class:`~inntd.problems.conditions.Dirichlet`.
    exact
        :class:`~inntd.problems.separate.SeparatedFunction`, None if not given or not separable.
    separations
        Tuple of :class:`~inntd.problems.numerical.Separation`: what was separated numerically, its number of products,
        its error.
    exact_function
        A callable on points (K, D), None if no exact solution is given.
    beyond
        Why :func:`inntd.solve` cannot solve it and :func:`inntd.pinn.solve` can; empty for linear problems.
    setup_seconds
        How long all this took.

    Raises
    ------
    TypeError
        An argument of the wrong kind.
    ValueError
        Unknown symbols, a term that is not linear in u or v, a factor that couples axes and takes too many products,
        contradictory or missing conditions, equations that leave components open, a parameter that appears nowhere;
        the message names the term and the remedy.

    Warns
    -----
    StabilityWarning
        Diffusion that vanishes or changes its sign, an equation that runs backward in time, boundary layers thinner
        than the mesh, indicators that never switch: with the place and a remedy.

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
        separation_tolerance: float = DEFAULT_TOLERANCE,
        separation_rank: int = DEFAULT_RANK,
    ) -> None:
        begin = time.perf_counter()
        self.separation_tolerance = _checks.relative_error("separation_tolerance", separation_tolerance)
        self.separation_rank = _checks.positive_int("separation_rank", separation_rank)
        if (weak is None) == (strong is None):
            raise TypeError(f"Problem needs either weak or strong, got {'neither' if weak is None else 'both'}")
        if not isinstance(title, str):
            raise TypeError(f"title must be a string, got {title!r}")
        if not isinstance(align, bool):
            raise TypeError(f"align must be True or False, got {align!r}")
        name = "weak" if strong is None else "strong"
        self.title = title
        self.is_strong = strong is not None
        self.setting = self._read_form(weak, strong)
        self.unknowns, self.unknown = self.setting.unknowns, self.setting.unknowns[0]
        self.axes: tuple[Axis, ...] = self.setting.axes
        self.component = self.setting.component
        self.written_conditions = given_conditions(conditions, self.unknowns)
        self._given: dict[str, Any] = {
            "weak": weak, "strong": strong, "conditions": self.written_conditions, "title": title, "exact": exact,
            "align": align, "separation_rank": self.separation_rank,
        }  # fmt: skip
        self.fluxes = tuple(condition for condition in self.written_conditions if isinstance(condition, Flux))
        self.slopes = tuple(condition for condition in self.written_conditions if isinstance(condition, Slope))
        self.beyond = f"the condition {self.slopes[0]} is about a derivative" if self.slopes else ""
        if self.slopes and not self.is_strong:
            raise ValueError(f"conditions: {self.slopes[0]} is for strong forms and inntd.pinn.solve")
        if self.fluxes and not self.is_strong:
            raise ValueError(
                f"conditions: {self.fluxes[0]} is for strong forms; in a weak form add a term such as "
                "-on(x.end, value * v)"
            )

        separator = Separator(self.axes, self.setting.slots)
        numerical = Numerical(separator, self.separation_tolerance, self.separation_rank)
        assembler = Assembler(self.axes, self.component, numerical.resolve)
        self._separate_form(name, separator, assembler)
        self._separate_conditions(separator, assembler, numerical)
        self._separate_exact(exact, separator, assembler)
        self.separations: tuple[Separation, ...] = tuple(numerical.separations)
        self.notes: tuple[str, ...] = ()
        self._moved = False
        if align:
            self._align()
        self._warn()
        self.setup_seconds = time.perf_counter() - begin

    def _read_form(self, weak: Any, strong: Any) -> Setting:
        """Find the fields, and state the weak form."""
        if strong is None:
            self.weak = scalar_of(weak, "weak")
            self.equations: tuple[sympy.Expr, ...] = ()
            return setting_of_weak(self.weak)
        setting, equations = setting_of_strong(strong)
        self.equations = tuple(equation for equation, _ in equations)
        refuse_faces(self.equations)
        self.weak = weak_form(equations)
        return setting

    def _separate_form(self, name: str, separator: Separator, assembler: Assembler) -> None:
        self.operator: tuple[BilinearTerm, ...] = ()
        self.load: tuple[LinearTerm, ...] = ()
        for form in (*self.equations, self.weak):
            check_symbols(form, self.axes, name)
        try:
            self._separate_linear(name, separator, assembler)
        except BeyondLinear as error:
            if not self.is_strong:
                raise
            self.beyond = str(error)
        if self.beyond:
            self.operator, self.load = (), ()

    def _separate_linear(self, name: str, separator: Separator, assembler: Assembler) -> None:
        try:
            terms = separator.terms(self.weak)
            if self.is_strong:
                terms = by_parts(separator, terms)
                terms = self._add_fluxes(terms, separator, assembler)
            operator, load = split_form(terms, self.setting)
            self.operator = assembler.operator(operator)
            self.load = assembler.load(load)
        except ValueError as error:
            raise type(error)(f"{name}: {error}") from None
        check_orders(self.operator, self.load, self.axes, name)

    def _add_fluxes(self, terms: Terms, separator: Separator, assembler: Assembler) -> Terms:
        """Add the face terms of the flux conditions to the weak form."""
        for flux in self.fluxes:
            check_flux_unknowns(flux, self.setting)
            for value in flux.values:
                check_symbols(value, self.axes, f"the {flux.name} flux")
            check_whole_faces(flux, separator)
        added = flux_form(self.fluxes, terms, self.setting, separator, assembler)
        self.weak += added
        return separator.add([terms, separator.terms(added)])

    def _separate_conditions(self, separator: Separator, assembler: Assembler, numerical: Numerical) -> None:
        parts: list[Dirichlet] = []
        for condition in (given for given in self.written_conditions if not isinstance(given, Flux)):
            if isinstance(condition, Slope):
                for value in condition.values:
                    check_symbols(value, self.axes, f"the {condition}")
                continue
            where = f"the value of {condition.name} on {shorten(condition).partition(' on ')[2]}"
            for value in condition.values:
                check_symbols(value, self.axes, where)
            check_whole_faces(condition, separator)
            parts += separate_condition(condition, self.setting, separator, assembler)
        self.conditions: tuple[Dirichlet, ...] = join_equal(parts, self.setting.components)
        errors = [separation.error for separation in numerical.separations]
        check_agreement(self.conditions, self.setting.names(), 10.0 * max(errors, default=0.0))
        if self.beyond:
            return
        check_faces(self.operator, self.load, self.conditions, self.fluxes, self.setting)
        check_initial(self.operator, self.conditions, self.setting)
        check_parameters(self.axes, self.operator, self.load, self.conditions)

    def _separate_exact(self, exact: Any, separator: Separator, assembler: Assembler) -> None:
        self.exact_expression: sympy.Expr | None = None
        self.exact: SeparatedFunction | None = None
        self.exact_function: SeparatedFunction | PointFunction | None = None
        if exact is not None:
            self.exact_expression = exact_expression(exact, self.setting)
            self.exact, self.exact_function = separate_exact(self.exact_expression, separator, assembler, self.axes)

    def _warn(self) -> None:
        """Warn of what is allowed, but likely not meant or not stable."""
        values = [value for condition in self.written_conditions for value in condition.values]
        found = [*idle_indicators(self.axes, [self.weak, *values])]
        found += [note for note in self.notes if JUMPS_LEFT_OUT in note]
        parts = self.setting, self.axes, self.operator, self.conditions
        if not self.beyond:
            found += check_transport(*parts)
            check_counts(*parts)
            check_determined(*parts)
            found += doubts(*parts)
        for doubt in found:
            warnings.warn(doubt, StabilityWarning, stacklevel=3)

    def _align(self) -> None:
        """Exchange the axes for the same axes with the breaks of the functions over them."""
        alignment = align_axes(self.axes, self.operator, self.load, self.conditions)
        self.axes, self.notes = alignment.after, alignment.notes
        self.conditions = tuple(map(alignment.condition, self.conditions))
        if self.exact is not None:
            self.exact = self.exact_function = alignment.function(self.exact)

    def refined(self, tolerance: float) -> Problem:
        """Return this problem with everything separated to a tolerance: itself, if it is already.

        Parameters
        ----------
        tolerance
            Relative L2 error of each factor; below 1e-13 nothing is gained.

        Raises
        ------
        SeparationError
            A factor takes more than `separation_rank` products; names it and the error that is reached.

        Examples
        --------
        >>> import inntd as it
        >>> x, y = it.Axis("x", 0, 1, elements=8), it.Axis("y", 0, 1, elements=8)
        >>> u, v = it.unknown("u", x, y), it.test_function()
        >>> problem = it.Problem(weak=u * v - v / (1 + x + y))
        >>> [separation.rank for separation in problem.separations]
        [6]
        >>> [separation.rank for separation in problem.refined(1e-11).separations]
        [7]
        """
        tolerance = max(_checks.finite_float("tolerance", tolerance, positive=True), SMALLEST_TOLERANCE)
        if all(separation.error <= tolerance for separation in self.separations):
            return self
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", StabilityWarning)  # it was said of this problem already
            found = Problem(**self._given, separation_tolerance=tolerance)
        return found.on_axes(*self.axes) if self._moved else found

    def on_axes(self, *axes: Axis) -> Problem:
        """Return the same problem on other meshes of its axes; nothing is parsed or separated again.

        Parameters
        ----------
        *axes
            One for each axis that changes its mesh or basis, of the same name and interval; the others stay. Breaks of
            the problem's functions are added where they are missing.

        Raises
        ------
        ValueError
            An axis is none of the problem's, or differs from it in more than its mesh and basis.

        Examples
        --------
        >>> import inntd as it
        >>> x = it.Axis("x", 0, 1, elements=8)
        >>> u = it.unknown("u", x)
        >>> problem = it.Problem(strong=-it.laplacian(u) - 2, conditions=[u.on(x) == 0])
        >>> problem.on_axes(it.Axis("x", 0, 1, elements=12, s=2)).axes
        (Axis('x', 0.0, 1.0, elements=12, s=2),)
        """
        from inntd.problems.moved import on_axes

        return on_axes(self, axes)

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
            f"Problem({self.title or 'untitled'}: {self.setting.unknown_names()}({shorten(axes)}), "
            f"{len(self.operator)} operator terms, {len(self.load)} load terms, {len(self.conditions)} conditions)"
        )
