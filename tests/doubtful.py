"""Problems on the unit square, and along more axes, that other tests doubt; and silence, where there is no doubt."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import inntd as it

X, Y = it.Axis("x", 0, 1, elements=20), it.Axis("y", 0, 1, elements=20)
K = it.Axis("k", 0, 4, elements=10, kind="parameter")
T = it.Axis("t", 0, 1, elements=20, kind="time")


def diffusion(coefficient: Any, *more: it.Axis, extra: Any = 0, sign: int = 1, time: bool = False) -> it.Problem:
    """-div(coefficient grad u) + extra u = 1 on the unit square and along more axes."""
    u, v = it.unknown("u", X, Y, *more), it.test_function()
    form = coefficient * it.dot(it.grad(v), it.grad(u)) + extra * u * v - v
    conditions = [u.on(X, Y) == 0]
    if time:
        form, conditions = form + v * it.dt(u), [*conditions, u.at(t=0) == 0]
    return it.Problem(weak=sign * form, conditions=conditions)


@contextmanager
def silence() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def parameters(count: int) -> list[it.Axis]:
    return [it.Axis(f"z[{j}]", -1, 1, elements=4, kind="parameter") for j in range(count)]
