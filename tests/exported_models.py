"""Models of all kinds of axes, for tests of exports."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import inntd as it
from inntd.axes import CHiDeNNBasis
from inntd.models.exponential import ExponentialModel


def axes() -> list[it.Axis]:
    """Return axes of every kind of basis: patches, graded, broken, radial, linear, periodic, discrete."""
    return [
        it.Axis("x", 0, 1, elements=12, unit="m"),
        it.Axis("t", 0, 4, elements=9, grading=2, kind="time", unit="s", s=2),
        it.Axis("y", -1, 2, elements=14, s=1).with_breaks([0.1]),
        it.Axis("z", 0, 1, elements=7, basis=CHiDeNNBasis(s=1, p=1, a=2.0, kernel="gaussian")),
        it.Axis("k[1]", 1, 3, elements=5, basis=it.LinearBasis(), kind="parameter", unit="W/m*/K"),
        it.Axis("phi", 0, 2 * np.pi, elements=10, periodic=True, kind="parameter"),
        it.Axis.discrete("c", 3),
    ]


def smooth_factors(chosen: list[it.Axis], rank: int, seed: int = 3) -> list[Any]:
    rng = np.random.default_rng(seed)
    found = []
    for axis in chosen:
        place = np.linspace(0, 1, axis.size)[:, None]
        found.append(0.8 + 0.5 * np.sin(2 * np.pi * place + rng.uniform(0, 6, (1, rank))))
    return found


def cp_model(rank: int = 4) -> it.CPModel:
    return it.CPModel.from_factors(axes(), smooth_factors(axes(), rank))


def tucker_model() -> it.TuckerModel:
    ranks = [2, 3, 1, 2, 2, 3, 2]
    factors = [columns[:, :rank] for columns, rank in zip(smooth_factors(axes(), 3), ranks, strict=True)]
    return it.TuckerModel.from_factors(axes(), np.random.default_rng(5).normal(size=ranks), factors)


def exponential_model() -> ExponentialModel:
    return ExponentialModel(0.05 * cp_model())


MODELS = [
    pytest.param(cp_model, id="cp"),
    pytest.param(tucker_model, id="tucker"),
    pytest.param(exponential_model, id="exponential"),
]


def points(model: Any, count: int = 300, seed: int = 7) -> Any:
    """Return points (K, D) inside, all nodes and both ends of every axis among them."""
    rng = np.random.default_rng(seed)
    columns = []
    for axis in model.axes:
        low, high = axis.domain
        column = rng.integers(0, axis.size, count).astype(float) if axis.discrete else rng.uniform(low, high, count)
        column[: len(axis.nodes)] = axis.nodes
        columns.append(rng.permutation(column))
    return np.stack(columns, axis=1)
