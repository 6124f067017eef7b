"""What people write on the command line about axes: coordinates, lists of names, groups, densities."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any

EXAMPLE = "such as 'k=norm(2, 0.1)', 'k=uniform' or, of a discrete axis, 'c=[0.2, 0.8]'"


def names(text: str | None) -> list[str]:
    """Return the names of a list with commas.

    Examples
    --------
    >>> names("x[1], t"), names(None)
    (['x[1]', 't'], [])
    """
    return [name.strip() for name in (text or "").split(",") if name.strip()]


def coordinates(option: str, texts: Sequence[str]) -> dict[str, float]:
    """Return coordinates by axis from texts such as ``"k=2, t=0.1"``.

    Examples
    --------
    >>> coordinates("--at", ["k=2, x[1]=0.5", "t=1e-3"])
    {'k': 2.0, 'x[1]': 0.5, 't': 0.001}
    """
    found: dict[str, float] = {}
    for part in (part for text in texts for part in names(text)):
        name, value = _pair(option, part, "k=2.5")
        try:
            number = float(value)
        except ValueError:
            raise ValueError(f"{option} must give a number for {name}, got {value!r}") from None
        _once(option, name, found)
        found[name] = number
    return found


def groups(texts: Sequence[str]) -> dict[str, list[str]]:
    """Return groups of axes from texts such as ``"geometry=rw,r"``.

    Examples
    --------
    >>> groups(["geometry=rw,r"])
    {'geometry': ['rw', 'r']}
    """
    found: dict[str, list[str]] = {}
    for text in texts:
        name, members = _pair("--group", text, "geometry=rw,r")
        _once("--group", name, found)
        found[name] = names(members)
    return found


def densities(texts: Sequence[str]) -> dict[str, Any]:
    """Return distributions by axis from texts such as ``"k=norm(2, 0.1)"``: names and arguments of `scipy.stats`.

    Nothing is evaluated: arguments are numbers.

    Examples
    --------
    >>> found = densities(["k=norm(2, scale=0.1)", "c=[0.2, 0.8]", "t=uniform"])
    >>> float(found["k"].mean()), found["c"], found["t"]
    (2.0, [0.2, 0.8], 'uniform')
    """
    found: dict[str, Any] = {}
    for text in texts:
        name, given = _pair("--density", text, "k=norm(2, 0.1)")
        _once("--density", name, found)
        found[name] = given if given == "uniform" else _distribution(name, given)
    return found


def _distribution(name: str, text: str) -> Any:
    from scipy import stats

    mistake = f"--density of {name} must be a distribution with numbers, {EXAMPLE}, got {text!r}"
    try:
        node = ast.parse(text, mode="eval").body
        if isinstance(node, ast.List):
            return [float(value) for value in ast.literal_eval(node)]
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            raise ValueError(mistake)
        family = getattr(stats, node.func.id, None)
        positional = [float(ast.literal_eval(value)) for value in node.args]
        keywords = {str(entry.arg): float(ast.literal_eval(entry.value)) for entry in node.keywords}
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError):
        raise ValueError(mistake) from None
    if not isinstance(family, stats.rv_continuous | stats.rv_discrete):
        raise ValueError(f"--density of {name} must be a distribution of scipy.stats, {EXAMPLE}, got {node.func.id!r}")
    try:
        frozen = family(*positional, **keywords)
        usable = bool(abs(frozen.cdf(float("inf")) - 1) < 1e-6)  # NaN where arguments are out of range
    except (ValueError, TypeError) as odd:
        raise ValueError(f"--density of {name}: {node.func.id} does not take these arguments: {odd}") from None
    if not usable:
        raise ValueError(f"--density of {name}: arguments of {node.func.id} are out of range, got {text!r}")
    return frozen


def _pair(option: str, text: str, example: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.strip() or not value.strip():
        raise ValueError(f"{option} must be a name and a value, such as {example}, got {text!r}")
    return name.strip(), value.strip()


def _once(option: str, name: str, found: dict[str, Any]) -> None:
    if name in found:
        raise ValueError(f"{option} must name each axis once, got {name!r} twice")
