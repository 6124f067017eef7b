"""Exact factorisation of functions whose argument couples several axes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import sympy
from sympy.core.relational import Relational

from inntd.problems.algebra import COORDINATE, Inseparable, SeparationError, Span, Terms
from inntd.problems.breaks import breaks
from inntd.problems.given import Given
from inntd.problems.indicator import Indicator

if TYPE_CHECKING:
    from inntd.problems.expand import Separator

#: Above this number of coupled axes the sine formula loses more than three digits to cancellation.
MAX_SINE_AXES = 16
MAX_POWER = 64
#: Arguments that would expand to more terms than this are not expanded.
MAX_EXPANSION = 2000
#: Pieces whose conditions couple axes are told apart by indicators up to this number.
MAX_REGIONS = 6

Parts = dict[int, sympy.Expr]  # position of an axis (-1: constant) -> summand in the original symbols


def expand(separator: Separator, e: sympy.Expr) -> Terms:
    """Return a function of several axes as a separated sum, or as one factor of them if no rule separates it."""
    for kind, rule in _RULES:
        if isinstance(e, kind):
            try:
                return rule(separator, e)
            except Inseparable:
                break
    return separator.coupled(e)


def summands(separator: Separator, e: sympy.Expr, whole: sympy.Expr) -> Parts:
    """Split an expression into summands of one axis each, expanding only where that is needed."""
    parts = _split(separator, e)
    if parts is None and _expanded_size(e) <= MAX_EXPANSION:
        parts = _split(separator, sympy.expand(e))
    if parts is None:
        raise separator.inseparable(whole)
    return parts


def _split(separator: Separator, e: sympy.Expr) -> Parts | None:
    axes = separator.scope(e).axes
    if len(axes) <= 1:
        return {next(iter(axes), -1): e}
    if e.is_Add:
        result: Parts = {}
        for argument in e.args:
            parts = _split(separator, argument)
            if parts is None:
                return None
            for axis, part in parts.items():
                result[axis] = result.get(axis, sympy.S.Zero) + part
        return result
    if e.is_Mul:
        varying = [argument for argument in e.args if separator.scope(argument).axes]
        if len(varying) == 1:
            constant = sympy.Mul(*(argument for argument in e.args if argument is not varying[0]))
            parts = _split(separator, varying[0])
            return parts and {axis: constant * part for axis, part in parts.items()}
    return None


def _expanded_size(e: sympy.Expr) -> int:
    """Return a bound on the number of terms after expansion, found without expanding."""
    if e.is_Add:
        return sum(map(_expanded_size, e.args))
    if e.is_Mul:
        return math.prod(map(_expanded_size, e.args))
    if e.is_Pow and e.exp.is_Integer and e.exp > 0:
        terms = _expanded_size(e.base)
        return 1 if terms == 1 else math.comb(int(e.exp) + terms - 1, min(terms - 1, int(e.exp)))
    return 1


def _varying(separator: Separator, e: sympy.Expr) -> tuple[list[sympy.Expr], sympy.Expr]:
    """Return the summands of a function's argument by axis, and the constant one."""
    parts = summands(separator, e.args[0], e)
    constant = parts.pop(-1, sympy.S.Zero)
    return list(parts.values()), constant


def _exp(separator: Separator, e: sympy.Expr) -> Terms:
    try:
        parts, constant = _varying(separator, e)
    except Inseparable:
        groups = _independent(separator, sympy.expand(e.args[0]))
        if len(groups) == 1:
            raise
        return separator.terms(sympy.Mul(*(sympy.exp(group) for group in groups), evaluate=False))
    if not parts:
        return separator.terms(sympy.exp(constant))
    share = constant / len(parts)  # shared evenly: exp(-1000) alone would vanish
    return separator.product([sympy.exp(part + share) for part in parts], e)


def _independent(separator: Separator, e: sympy.Expr) -> list[sympy.Expr]:
    """Group the summands of an expression such that different groups share no axis.

    A constant stays with the group of the most summands: in exp((x - t - 1)**2 / r**2), expanded, it alone is beyond
    float64 where the whole is not.
    """
    groups: list[tuple[frozenset[int], sympy.Expr]] = []
    for part in sympy.Add.make_args(e):
        axes, joined = separator.scope(part).axes, part
        for group in [group for group in groups if group[0] & axes]:
            groups.remove(group)
            axes, joined = axes | group[0], joined + group[1]
        groups.append((axes, joined))
    varying = [expression for axes, expression in groups if axes]
    constant = sympy.Add(*(expression for axes, expression in groups if not axes))
    if not varying:
        return [constant]
    largest = max(range(len(varying)), key=lambda k: len(sympy.Add.make_args(varying[k])))
    varying[largest] += constant
    return varying


def _hyperbolic(separator: Separator, e: sympy.Expr) -> Terms:
    sign = 1.0 if isinstance(e, sympy.cosh) else -1.0
    plus, minus = _exp(separator, sympy.exp(e.args[0])), _exp(separator, sympy.exp(-e.args[0]))
    return separator.add([separator.scale(plus, 0.5), separator.scale(minus, 0.5 * sign)])


def _sine(separator: Separator, e: sympy.Expr) -> Terms:
    """Expand the sine of a sum over k axes into k products.

    With distinct angles a_j: sin(Σ x_j) = Σ_j sin(x_j) Π_{k≠j} sin(x_k + a_k - a_j) / sin(a_k - a_j)
    (Beylkin and Mohlenkamp, PNAS 2002); the addition theorem alone would give 2^(k-1) terms.
    """
    angles, constant = _varying(separator, e)
    if not angles:
        return separator.terms(e.func(constant))
    count = len(angles)
    if count > MAX_SINE_AXES:
        raise SeparationError(
            f"the factor {e} adds the coordinates of {count} axes inside a sine; up to {MAX_SINE_AXES} are supported, "
            "beyond that digits are lost to cancellation"
        )
    angles[0] += constant + (sympy.pi / 2 if isinstance(e, sympy.cos) else 0)
    shift = [sympy.pi * j / count for j in range(count)]
    sums = []
    for j in range(count):
        factors = [sympy.sin(angles[k] + shift[k] - shift[j]) for k in range(count)]
        weight = sympy.Mul(*(sympy.sin(shift[k] - shift[j]) for k in range(count) if k != j))
        sums.append(separator.scale(separator.product(factors, e), 1.0 / separator.number(weight)))
    return separator.add(sums)


def _power(separator: Separator, e: sympy.Expr) -> Terms:
    base, exponent = e.args
    if not separator.scope(base).axes:  # a number to the power of a sum
        if separator.number(base) <= 0:
            raise separator.inseparable(e)
        return _exp(separator, sympy.exp(exponent * sympy.log(base), evaluate=False))
    if separator.scope(exponent).axes:
        raise separator.inseparable(e)
    terms = separator.terms(base)
    if len(terms) == 1:
        return _power_of_product(separator, terms, e)
    if not (exponent.is_Integer and 0 < exponent <= MAX_POWER):
        raise separator.inseparable(e)
    result = terms
    for _ in range(int(exponent) - 1):
        result = separator.multiply_in(e, result, terms)
    return result


def _power_of_product(separator: Separator, terms: Terms, e: sympy.Expr) -> Terms:
    exponent = e.args[1]
    (((_, _, factors), number),) = terms.items()
    if not exponent.is_Integer and not (
        number > 0 and all(_surely_nonnegative(separator, span, function) for span, function in factors)
    ):
        raise separator.inseparable(e)
    result = separator.terms(sympy.Float(number) ** exponent)
    for span, function in factors:
        result = separator.multiply(result, separator.factor(span, function**exponent))
    return result


def _surely_nonnegative(separator: Separator, span: Span, function: sympy.Expr) -> bool:
    if isinstance(span, tuple):
        return bool(function.is_nonnegative)
    return nonnegative(function, separator.axes[span].domain)


def nonnegative(function: sympy.Expr, domain: tuple[float, float]) -> bool:
    """Tell whether a function of COORDINATE is provably not negative on the domain of an axis."""
    if function.is_nonnegative:
        return True
    start, end = (sympy.Rational(bound) for bound in domain)
    offset = sympy.Dummy(positive=True)
    from_start = function.xreplace({COORDINATE: start + offset})
    to_end = function.xreplace({COORDINATE: end - offset})
    return bool(from_start.is_nonnegative or to_end.is_nonnegative)


def _logarithm(separator: Separator, e: sympy.Expr) -> Terms:
    terms = separator.terms(e.args[0])
    if len(terms) != 1:
        raise separator.inseparable(e)
    (((_, _, factors), number),) = terms.items()
    if number <= 0 or not all(_surely_nonnegative(separator, span, function) for span, function in factors):
        raise separator.inseparable(e)
    sums = [separator.terms(sympy.log(sympy.Float(number)))]
    return separator.add(sums + [separator.factor(span, sympy.log(function)) for span, function in factors])


def _multiplicative(separator: Separator, e: sympy.Expr) -> Terms:
    """Expand |a b| = |a| |b| and sign(a b) = sign(a) sign(b)."""
    terms = separator.terms(e.args[0])
    if len(terms) != 1:
        raise separator.inseparable(e)
    (((_, _, factors), number),) = terms.items()
    result = separator.terms(e.func(sympy.Float(number)))
    for span, function in factors:
        result = separator.multiply(result, separator.factor(span, e.func(function)))
    return result


def _indicator(separator: Separator, e: sympy.Expr) -> Terms:
    relation = e.args[0]
    if isinstance(relation, sympy.And):
        return separator.product([Indicator(part) for part in relation.args], e)
    if isinstance(relation, sympy.Or):
        outside = sympy.Mul(*(1 - Indicator(part) for part in relation.args))
        return separator.terms(1 - outside)
    if isinstance(relation, sympy.Not) or not isinstance(relation, Relational):
        return (
            separator.terms(1 - Indicator(relation.args[0]))
            if isinstance(relation, sympy.Not)
            else _refuse(separator, e)
        )
    return _refuse(separator, e)


def _refuse(separator: Separator, e: sympy.Expr) -> Terms:
    raise separator.inseparable(e)


def piecewise(separator: Separator, e: sympy.Expr) -> Terms:
    """Write a piecewise expression as a sum of indicators times its pieces."""
    relations = set[Relational]().union(*(condition.atoms(Relational) for _, condition in e.args))
    by_axis: dict[int, list[Relational]] = {}
    for relation in sorted(relations, key=str):
        axes = separator.scope(relation).axes
        if len(axes) != 1:
            return _by_regions(separator, e)
        by_axis.setdefault(next(iter(axes)), []).append(relation)
    return _by_intervals(separator, e, by_axis)


def _by_intervals(separator: Separator, e: sympy.Expr, by_axis: dict[int, list[Relational]]) -> Terms:
    """Split one axis where the conditions switch along it: on each part these are about the other axes only.

    The number of products is at most that of the parts, however many pieces there are.
    """
    places = {
        axis: {p for one in own for p in breaks(separator.one_dimensional(one), separator.axes[axis].domain)}
        for axis, own in by_axis.items()
    }
    axis = max(places, key=lambda each: len(places[each]))
    symbol, (start, end) = separator.axes[axis]._sympy_(), separator.axes[axis].domain
    parts: dict[sympy.Expr, list[sympy.Basic]] = {}
    for left, right in itertools.pairwise([start, *sorted(places[axis]), end]):
        middle = sympy.Float((left + right) / 2)
        known = {relation: relation.xreplace({symbol: middle}) for relation in by_axis[axis]}
        inner = sympy.Piecewise(*((value, condition.xreplace(known)) for value, condition in e.args))
        after = sympy.true if left == start else symbol >= sympy.Float(left)
        before = sympy.true if right == end else symbol < sympy.Float(right)
        parts.setdefault(inner, []).append(sympy.And(after, before))
    products = (Indicator(sympy.Or(*where)) * inner for inner, where in parts.items() if inner is not sympy.nan)
    return separator.add(separator.terms(product) for product in products)


def _by_regions(separator: Separator, e: sympy.Expr) -> Terms:
    """Multiply each piece with the indicator of its region; the conditions couple several axes."""
    if len(e.args) > MAX_REGIONS and separator.scope(e).plain:
        raise separator.inseparable(e)
    before: list[sympy.Basic] = []
    total = []
    for value, condition in e.args:
        total.append(value * Indicator(sympy.And(condition, *(sympy.Not(earlier) for earlier in before))))
        before.append(condition)
    return separator.terms(sympy.Add(*total))


def _given(separator: Separator, e: Given) -> Terms:
    """Expand a given function that is a sum of products, such as a CP model."""
    if e.source.modes is None:
        raise separator.inseparable(e)
    products = (sympy.Mul(*(Given(part, c) for part, c in zip(mode, e.coordinates, strict=True)))
                for mode in e.source.modes)  # fmt: skip
    return separator.add(separator.terms(product) for product in products)


_Rule = Callable[["Separator", sympy.Expr], Terms]
_RULES: tuple[tuple[type | tuple[type, ...], _Rule], ...] = (
    (sympy.exp, _exp),
    ((sympy.sin, sympy.cos), _sine),
    ((sympy.sinh, sympy.cosh), _hyperbolic),
    (sympy.Pow, _power),
    (sympy.log, _logarithm),
    ((sympy.Abs, sympy.sign), _multiplicative),
    (Indicator, _indicator),
    (sympy.Piecewise, piecewise),
    (Given, _given),
)
