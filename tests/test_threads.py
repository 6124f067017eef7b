"""The BLAS is held to one thread while small matrices are worked on, and let go afterwards."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

import inntd as it
from inntd._kernels import blas_threads
from inntd.training.als import fit_als
from inntd.training.lbfgs import fit_lbfgs
from inntd.training.softmax import fit_softmax


def blas() -> set[int]:
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


def samples() -> tuple[list[it.Axis], Any, Any]:
    x = np.random.default_rng(0).random((100, 2))
    return [it.Axis(name, 0, 1, elements=4) for name in "ab"], x, x[:, 0] * x[:, 1]


def fit(optimiser: Callable[..., Any]) -> Callable[[Callable[[Any], None]], Any]:
    return lambda note: optimiser(*samples(), rank=1, callback=note)


def classify(note: Callable[[Any], None]) -> Any:
    axes, x, y = samples()
    return fit_softmax(axes, x, np.eye(2)[(y > 0.2).astype(int)], rank=3, callback=note)


@pytest.mark.parametrize("work", [fit(fit_als), fit(fit_lbfgs), classify])
def test_training_holds_the_blas_to_one_thread(work: Callable[[Callable[[Any], None]], Any]) -> None:
    seen: list[set[int]] = []
    with threadpool_limits(2, user_api="blas"):
        before = blas()
        work(lambda _: seen.append(blas()))
        assert blas() == before == {2}
    assert seen
    assert all(counts == {1} for counts in seen)


@pytest.mark.parametrize(("threads", "expected"), [(None, 1), (2, 2)])
def test_solving_takes_as_many_threads_as_asked(
    threads: int | None, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[set[int]] = []
    x = it.Axis("x", 0, 1, elements=8)
    u = it.unknown("u", x)
    problem = it.Problem(strong=-it.laplacian(u) - 2, conditions=[u.on(x) == 0])
    module: Any = sys.modules["inntd.solvers.single"]  # as an attribute that name is the function
    assemble = module.assemble
    monkeypatch.setattr(module, "assemble", lambda *given: seen.append(blas()) or assemble(*given))
    with threadpool_limits(2, user_api="blas"):
        it.solve(problem, threads=threads, progress=False)
        assert blas() == {2}
    assert seen == [{expected}]


def test_an_error_lets_the_threads_go() -> None:
    with threadpool_limits(2, user_api="blas"):
        with pytest.raises(RuntimeError), blas_threads():
            raise RuntimeError
        assert blas() == {2}
