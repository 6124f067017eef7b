"""Who takes part in a problem: unknowns, their test functions, the axes, and places on the component axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sympy

from inntd.axes import Axis
from inntd.problems.expand import Slot
from inntd.problems.fields import FieldSymbol, TestFunction, Unknown, fields_in
from inntd.problems.nodes import rank_of
from inntd.problems.separate import BilinearTerm
from inntd.problems.tensor import operand
from inntd.problems.text import shorten


@dataclass(frozen=True)
class Setting:
    """The fields of a problem and where they live.

    Parameters
    ----------
    unknowns, tests
        In the order of their declaration; the i-th test function belongs to the i-th unknown.
    axes
        Of the problem: those of a single unknown; for several unknowns, a component axis and the axes they share.
    component
        Position of the component axis among them, None for a single scalar.
    """

    unknowns: tuple[Unknown, ...]
    tests: tuple[TestFunction, ...]
    axes: tuple[Axis, ...]
    component: int | None

    @property
    def slots(self) -> dict[Unknown | TestFunction, Slot]:
        """Where each unknown and each test function lives on the component axis."""
        slots: dict[Unknown | TestFunction, Slot] = {}
        first = 0
        for unknown, test in zip(self.unknowns, self.tests, strict=True):
            slots[unknown] = slots[test] = Slot(self.component, first, unknown.components)
            first += unknown.components or 1
        return slots

    @property
    def components(self) -> int:
        """The number of components of all unknowns together."""
        return sum(unknown.components or 1 for unknown in self.unknowns)

    def unknown_names(self) -> str:
        """Return the names of the unknowns, with commas."""
        return ", ".join(unknown.name for unknown in self.unknowns)

    def names(self, tests: bool = False) -> list[str]:
        """Return the names of the components: u, or u[0], u[1], p."""
        fields: Sequence[Unknown | TestFunction] = self.tests if tests else self.unknowns
        names: list[str] = []
        for unknown, field in zip(self.unknowns, fields, strict=True):
            count = unknown.components
            names += [field.name] if count is None else [f"{field.name}[{k}]" for k in range(count)]
        return names

    def trial_of(self, term: BilinearTerm) -> int:
        """Return the component of the unknown in a term of the operator."""
        place = None if self.component is None else term.forms[self.component].place
        return place[1] if isinstance(place, tuple) else 0

    def component_of(self, unknown: Unknown, component: int | None) -> list[int | None]:
        """Return the components of the problem that a condition on an unknown is about; [None] stands for all."""
        if self.component is None:
            return [None]
        slot = self.slots[unknown]
        if component is not None:
            return [slot.first + component]
        if len(self.unknowns) == 1:
            return [None]
        return [slot.first + k for k in range(slot.count or 1)]


def setting_of_weak(form: sympy.Expr) -> Setting:
    """Return the fields of a weak form.

    Raises
    ------
    ValueError
        No unknown, no test function, not as many test functions as unknowns, unknowns over different axes.
    """
    found = [symbol.field for symbol in fields_in(form)]
    unknowns = tuple(dict.fromkeys(field for field in found if isinstance(field, Unknown)))
    tests = tuple(dict.fromkeys(field for field in found if isinstance(field, TestFunction)))
    _need_unknown(unknowns, form, "weak")
    if not tests:
        raise ValueError(
            f"weak must contain a test function made with test_function(), got {shorten(form)}; "
            "multiply with it, or use strong= for the strong form"
        )
    if len(tests) != len(unknowns):
        number = "one test function" if len(unknowns) == 1 else f"{len(unknowns)} test functions, one per unknown"
        raise ValueError(f"weak must contain {number}, got {', '.join(v.name for v in tests)}")
    return _setting(unknowns, tests, "weak")


def setting_of_strong(form: Any) -> tuple[Setting, list[tuple[sympy.Expr, FieldSymbol]]]:
    """Return the fields of a strong form, and its equations with their test functions.

    A list holds one equation per unknown, or one per component of a single vector.
    """
    several = isinstance(form, (list, tuple))
    written = [operand(part, f"strong[{i}]") for i, part in enumerate(form)] if several else [operand(form, "strong")]
    symbols = [symbol for part in written for symbol in fields_in(part)]
    tests = [symbol.field for symbol in symbols if isinstance(symbol.field, TestFunction)]
    unknowns = tuple(sorted({s.field for s in symbols if isinstance(s.field, Unknown)}, key=lambda u: u.serial))
    _need_unknown(unknowns, written[0], "strong")
    if tests:
        raise ValueError(f"strong must not contain a test function, got {tests[0].name}; use weak= for weak forms")
    made = _made_tests(unknowns)
    setting = _setting(unknowns, made, "strong")
    if len(unknowns) == 1 and several:
        return setting, _equations_of_one(written, unknowns[0], made[0])
    if len(written) != len(unknowns):
        names = ", ".join(u.name for u in unknowns)
        raise ValueError(f"strong must be a list of {len(unknowns)} equations, one per unknown ({names}), "
                         f"got {len(written)}")  # fmt: skip
    for i, (equation, unknown) in enumerate(zip(written, unknowns, strict=True)):
        name = f"strong[{i}], the equation of {unknown.name}," if several else "strong"
        _check_rank(equation, unknown, name)
    return setting, [(equation, v._symbol) for equation, v in zip(written, made, strict=True)]


def _equations_of_one(
    written: list[sympy.Expr], unknown: Unknown, test: TestFunction
) -> list[tuple[sympy.Expr, FieldSymbol]]:
    """Return the equations of the components of one vector, or the single one of a scalar."""
    count = unknown.components or 1
    if len(written) != count:
        raise ValueError(f"strong must be a list of {count} equations, one per component of {unknown.name}, "
                         f"got {len(written)}")  # fmt: skip
    for i, equation in enumerate(written):
        if rank_of(equation):
            raise ValueError(f"strong[{i}] must be a scalar expression, got the vector {shorten(equation)}")
    if unknown.components is None:
        return [(written[0], test._symbol)]
    return [(equation, FieldSymbol(test, component=k)) for k, equation in enumerate(written)]


def _check_rank(equation: sympy.Expr, unknown: Unknown, name: str) -> None:
    rank = rank_of(equation) or 0
    if rank == (0 if unknown.components is None else 1):
        return
    got = ("scalar", "vector", "matrix")[min(rank, 2)]
    if unknown.components is None:
        raise TypeError(f"{name} must be a scalar expression, got the {got} {shorten(equation)}; use div or dot")
    raise TypeError(
        f"{name} must be a vector with {unknown.components} components, as {unknown.name} is one, "
        f"got the {got} {shorten(equation)}"
    )


def _need_unknown(unknowns: Sequence[Unknown], form: sympy.Expr, name: str) -> None:
    if not unknowns:
        raise ValueError(f"{name} must contain an unknown made with unknown(...), got {shorten(form)}")


def _made_tests(unknowns: Sequence[Unknown]) -> tuple[TestFunction, ...]:
    taken = {unknown.name for unknown in unknowns}
    if len(unknowns) == 1:
        return (TestFunction("v" if "v" not in taken else "w"),)
    return tuple(TestFunction(f"v_{unknown.name}") for unknown in unknowns)


def _setting(unknowns: tuple[Unknown, ...], tests: tuple[TestFunction, ...], name: str) -> Setting:
    if len(unknowns) == 1:
        axes = unknowns[0].axes
        position = next((i for i, axis in enumerate(axes) if axis.kind == "component"), None)
        return Setting(unknowns, tests, axes, position)
    names = [unknown.name for unknown in unknowns]
    if len(set(names)) < len(names):
        raise ValueError(f"{name}: several unknowns need different names, got {', '.join(names)}")
    shared = _without_component(unknowns[0])
    for unknown in unknowns[1:]:
        own = _without_component(unknown)
        if len(own) != len(shared) or any(a is not b for a, b in zip(own, shared, strict=False)):
            raise ValueError(
                f"{name}: several unknowns must have the same axes in the same order, got "
                f"{_shown(unknowns[0], shared)} and {_shown(unknown, own)}; use one problem after the other, "
                "or declare them over all axes"
            )
    count = sum(unknown.components or 1 for unknown in unknowns)
    label = "component"
    while any(axis.name == label for axis in shared):
        label += "_"
    return Setting(unknowns, tests, (Axis.discrete(label, count), *shared), 0)


def _without_component(unknown: Unknown) -> tuple[Axis, ...]:
    return tuple(axis for axis in unknown.axes if axis is not unknown.component_axis)


def _shown(unknown: Unknown, axes: Sequence[Axis]) -> str:
    return f"{unknown.name}({', '.join(axis.name for axis in axes)})"
