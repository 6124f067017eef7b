"""Training by gradients: networks and INN-TD models on the same problem, and jets in a loop of one's own."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import sympy
import torch
from sympy import exp, pi, sin

import inntd as it

X = it.Axis("x", 0, 1, elements=8)
T = it.Axis("t", 0, 1, elements=8, kind="time")
U = it.unknown("u", X, T)
EXACT = exp(-T) * sin(pi * X)
HEAT = it.Problem(
    strong=it.dt(U) - it.laplacian(U) + U**3 - EXACT * (pi**2 - 1) - EXACT**3,
    conditions=[U.on(X) == 0, U.at(t=0) == sin(pi * X)],
)


def error(model: Any) -> float:
    x, t = np.linspace(0, 1, 21), np.linspace(0, 1, 17)
    exact = np.exp(-t) * np.sin(np.pi * x)[:, None]
    return float(np.linalg.norm(model.grid(x=x, t=t).detach().numpy() - exact) / np.linalg.norm(exact))


def test_a_network_learns_the_problem_that_solve_takes() -> None:
    model = it.pinn.MLP([X, T], width=12, depth=2)
    answer = it.pinn.train(HEAT, model, optimizer="lbfgs", steps=25, points=200)
    assert answer.model is model
    assert error(model) < 2e-2
    assert math.isnan(answer.error_estimate.total)
    assert error(it.pinn.solve(HEAT).model) < 0.2 * error(model)


def test_the_architecture_is_one_argument() -> None:
    model = it.CPModel([X, T], 3)
    before = error(model)
    it.pinn.train(HEAT, model, optimizer="lbfgs", steps=15, points=400)
    assert error(model) < min(0.05, before / 10)


def test_adam_reduces_the_loss_and_repeats_itself() -> None:
    runs = [it.pinn.train(HEAT, it.pinn.MLP([X, T], width=8, depth=2), steps=60, points=100) for _ in range(2)]
    losses = [[step.estimate for step in answer.history] for answer in runs]
    assert losses[0] == losses[1]
    assert np.mean(losses[0][-10:]) < losses[0][0]


def test_residuals_of_jets_vanish_at_the_solution() -> None:
    """A user's own loss: the jet of the solution, in plain torch."""
    model = it.pinn.solve(HEAT).model.requires_grad_()
    points = torch.rand(200, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    u, slopes, seconds = model.jet(points)
    x, t = points.T
    exact = torch.exp(-t) * torch.sin(torch.pi * x)
    residual = slopes[:, 1] - seconds[:, 0] + u**3 - exact * (torch.pi**2 - 1) - exact**3
    loss = residual.square().mean()
    assert float(loss.detach()) < 1e-3 * float((seconds[:, 0].square().mean()).detach())
    loss.backward()
    assert all(torch.isfinite(factor.grad).all() for factor in model.factors)


def test_a_loop_of_ones_own_learns() -> None:
    model = it.CPModel([X, T], 2)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    points = torch.rand(300, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    losses = []
    for _ in range(40):
        u, slopes, _ = model.jet(points)
        loss = (slopes[:, 1] + u).square().mean() + (u.mean() - 0.5).square()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.3 * losses[0]


def test_jets_of_networks_are_derivatives() -> None:
    c, ring = it.Axis.discrete("c", 2), it.Axis("a", 0, 2, elements=6, periodic=True)
    model = it.pinn.MLP([c, ring, T], width=6, depth=2, seed=3)
    points = np.array([[0, 0.3, 0.4], [1, 1.2, 0.9]])
    value, slope, second = model.jet(points)
    h = 1e-4
    for d in (1, 2):
        step = h * np.eye(3)[d]
        ahead, behind = model(points + step), model(points - step)
        assert slope[:, d].detach() == pytest.approx(((ahead - behind) / (2 * h)).detach(), abs=1e-7)
        assert second[:, d].detach() == pytest.approx(((ahead - 2 * value + behind) / h**2).detach(), abs=1e-5)
    assert (slope[:, 0] == 0).all()
    around = model(points + np.array([0, 2.0, 0]))
    assert around.detach() == pytest.approx(value.detach(), abs=1e-12)


def test_interrupted_training_keeps_the_best(monkeypatch: pytest.MonkeyPatch) -> None:
    model, calls = it.pinn.MLP([X, T], width=6, depth=1), []
    step = torch.optim.Adam.step

    def interrupted(self: Any, *arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return step(self, *arguments)

    monkeypatch.setattr(torch.optim.Adam, "step", interrupted)
    answer = it.pinn.train(HEAT, model, points=50)
    assert answer.status == "interrupted"
    assert len(answer.history) == 4


def test_what_cannot_be_trained_is_refused() -> None:
    with pytest.raises(ValueError, match="over the problem's axes x, t"):
        it.pinn.train(HEAT, it.pinn.MLP([T, X]))
    with pytest.raises(ValueError, match=r"trainable parameters; call model\.requires_grad_"):
        it.pinn.train(HEAT, it.CPModel([X, T], 2).requires_grad_(False))
    mixed = it.Problem(
        strong=it.diff(U, X, 1).diff(T._sympy_()) + U**2, conditions=[U.on(X.start) == 0, U.at(t=0) == 0]
    )
    with pytest.raises(ValueError, match=r"mixed derivative is not part of model\.jet; use inntd\.pinn\.solve"):
        it.pinn.train(mixed, it.pinn.MLP([X, T]))
    wall = it.Problem(
        strong=HEAT.equations[0] - it.indicator(sympy.Rational(1, 2) < X), conditions=[U.on(X) == 0, U.at(t=0) == 0]
    )
    with pytest.raises(ValueError, match="no form in torch; use solve"):
        it.pinn.train(wall, it.pinn.MLP([X, T]))
