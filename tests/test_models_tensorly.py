"""TensorLy's CPTensor and TuckerTensor hold the nodal values of models."""

from __future__ import annotations

import numpy as np
import pytest
import tensorly as tl
import torch
from conformance_models import random_cp, random_tucker

import inntd as it


def axes() -> list[it.Axis]:
    return [it.Axis("x", 0, 1, elements=9), it.Axis("k", 1, 4, elements=7, kind="parameter")]


def cp_model() -> it.CPModel:
    return random_cp(axes(), 3)


def tucker_model(dtype: torch.dtype = torch.float64) -> it.TuckerModel:
    return random_tucker(axes(), [3, 2]).to(dtype)


def test_there_and_back() -> None:
    model = cp_model()
    cp = model.to_tensorly()
    assert isinstance(cp, tl.cp_tensor.CPTensor)
    np.testing.assert_allclose(
        tl.cp_to_tensor(cp), model.grid(x=model.axes[0].nodes, k=model.axes[1].nodes), atol=1e-13
    )
    back = it.CPModel.from_tensorly(model.axes, cp)
    assert all(torch.equal(a, b) for a, b in zip(back.factors, model.factors, strict=True))


def test_weights_are_taken_in() -> None:
    model = cp_model()
    _, factors = model.to_tensorly()
    weights = np.array([2.0, -1.0, 0.5])
    tensor = tl.cp_to_tensor((weights, factors))
    found = it.CPModel.from_tensorly(model.axes, (weights, factors))
    np.testing.assert_allclose(tl.cp_to_tensor(found.to_tensorly()), tensor, atol=1e-13)
    plain = it.CPModel.from_tensorly(model.axes, (None, factors))
    assert plain.relative_distance(model) < 1e-15


def test_a_decomposition_becomes_a_model() -> None:
    x, y, z = (it.Axis(name, 0, 1, elements=10) for name in "xyz")
    values = np.exp(-(x.nodes[:, None, None] + y.nodes[:, None] * z.nodes))
    cp = tl.decomposition.parafac(tl.tensor(values), rank=4, random_state=0, n_iter_max=200)
    model = it.CPModel.from_tensorly([x, y, z], cp)
    point = np.array([[0.33, 0.71, 0.12]])
    assert float(model(point)) == pytest.approx(np.exp(-(0.33 + 0.71 * 0.12)), rel=1e-3)


def test_copies_are_independent() -> None:
    model = cp_model()
    model.to_tensorly().factors[0][:] = 0
    assert model.norm() > 0


def test_tucker_there_and_back() -> None:
    model = tucker_model()
    tucker = model.to_tensorly()
    assert isinstance(tucker, tl.tucker_tensor.TuckerTensor)
    x, k = model.axes
    np.testing.assert_allclose(tl.tucker_to_tensor(tucker), model.grid(x=x.nodes, k=k.nodes), atol=1e-13)
    back = it.TuckerModel.from_tensorly(model.axes, tucker)
    assert all(torch.equal(a, b) for a, b in zip(back.parameters(), model.parameters(), strict=True))
    tucker.core[:] = 0
    assert model.norm() > 0
    assert tucker_model(torch.float32).to_tensorly().core.dtype == np.float32


def test_a_tucker_decomposition_becomes_a_model() -> None:
    x, y, z = (it.Axis(name, 0, 1, elements=10) for name in "xyz")
    values = np.exp(-(x.nodes[:, None, None] + y.nodes[:, None] * z.nodes))
    model = it.TuckerModel.from_tensorly([x, y, z], tl.decomposition.tucker(tl.tensor(values), rank=[1, 5, 5]))
    assert model.at(x=0.33, y=0.71, z=0.12) == pytest.approx(np.exp(-(0.33 + 0.71 * 0.12)), rel=1e-4)


def test_what_does_not_fit() -> None:
    model = cp_model()
    cp = model.to_tensorly()
    with pytest.raises(ValueError, match=r"one array per axis \(1\), got 2"):
        it.CPModel.from_tensorly(model.axes[:1], cp)
    with pytest.raises(ValueError, match=r"weights must have shape \(3,\), got \(2,\)"):
        it.CPModel.from_tensorly(model.axes, (np.ones(2), cp.factors))
