"""Training by gradients: the familiar baseline, for networks and for INN-TD models alike."""

from __future__ import annotations

import math
import time as clock
from typing import Any, Literal

import torch

from inntd import _checks
from inntd.models.result import Answer, ErrorEstimate, Status, Step
from inntd.pinn.constraints import read_conditions
from inntd.pinn.residual import Residual
from inntd.pinn.torch_residual import JetModel, TorchResidual
from inntd.problems import Problem

Tensor = torch.Tensor


def train(
    problem: Problem,
    model: Any,
    *,
    optimizer: Literal["adam", "lbfgs"] = "adam",
    steps: int = 2000,
    seconds: float | None = None,
    points: int = 1000,
    learning_rate: float = 1e-3,
    condition_weight: float = 10.0,
    seed: int = 0,
) -> Answer[Any]:
    """Train a model on a strong form at random points, conditions being weighted terms of the loss.

    Parameters
    ----------
    problem
        Stated with ``strong=``.
    model
        An :class:`~inntd.pinn.MLP`, a trainable `CPModel` or `TuckerModel`, or any `torch.nn.Module` with `axes` and
        `jet(points)`. It is trained in place.
    optimizer
        ``"adam"``, with new points in each step and a rate that falls to zero by a cosine, or ``"lbfgs"``, with one set
        of points.
    steps, seconds
        When to stop: steps of the optimiser, and wall time if given.
    points
        In the box, and a quarter of them on each face with a condition.
    learning_rate
        Of Adam.
    condition_weight
        Of the mean squares of the conditions, beside that of the equations.
    seed
        Of the points.

    Returns
    -------
    Answer
        Its error estimate is not a number: the loss says nothing about the error. The history holds the loss in place
        of an estimate. Ctrl-C returns the best model so far; a loss that grows beyond all bounds restores it.

    Examples
    --------
    >>> import inntd as it
    >>> t = it.Axis("t", 0, 1, elements=8, kind="time")
    >>> u = it.unknown("u", t)
    >>> problem = it.Problem(strong=it.dt(u) + u**2, conditions=[u.at(t=0) == 1])
    >>> answer = it.pinn.train(problem, it.pinn.MLP([t], width=8, depth=2), optimizer="lbfgs", steps=100, points=50)
    >>> bool(abs(answer.model([[1.0]]) - 0.5) < 1e-2)
    True
    """
    _checks.one_of("optimizer", optimizer, ("adam", "lbfgs"))
    steps, points = _checks.positive_int("steps", steps), _checks.positive_int("points", points)
    limit = math.inf if seconds is None else _checks.finite_float("seconds", seconds, positive=True)
    rate = _checks.finite_float("learning_rate", learning_rate, positive=True)
    weight = _checks.finite_float("condition_weight", condition_weight, positive=True)
    residual = Residual(problem)
    residual.check_continuity()
    wanted = [axis.name for axis in problem.setting.axes]
    if [axis.name for axis in model.axes] != wanted:
        raise ValueError(f"model must be over the problem's axes {', '.join(wanted)}, got {model.axes}")
    parameters = [p for p in model.parameters() if p.requires_grad]
    if not parameters:
        raise ValueError("model must have trainable parameters; call model.requires_grad_() first")
    torch_residual = TorchResidual(residual, read_conditions(problem, residual), model.axes)
    run = _Run(torch_residual, model, points, weight, _checks.positive_int("seed", seed, minimum=0))
    status, message = run.train(parameters, optimizer, steps, limit, rate)
    notes = (f"{optimizer} on {points} points; conditions are weighted terms of the loss, not exact",)
    estimate = ErrorEstimate(math.nan)
    return Answer(model, status, message, estimate, 0, run.elapsed(), tuple(run.history), notes)


class _Run:
    """A loss, its optimiser's loop, and the best parameters so far."""

    def __init__(self, residual: TorchResidual, model: JetModel, points: int, weight: float, seed: int) -> None:
        self.residual, self.model, self.points, self.weight = residual, model, points, weight
        self.generator = torch.Generator().manual_seed(seed)
        self.history: list[Step] = []
        self.begin = clock.perf_counter()
        domains = torch.tensor([residual.axes[d].domain for d in residual.inside], dtype=torch.float64)
        self.low, self.length = domains[:, 0], domains[:, 1] - domains[:, 0]

    def elapsed(self) -> float:
        """Seconds since the start."""
        return clock.perf_counter() - self.begin

    def draw(self) -> tuple[Tensor, Tensor]:
        """Return random points in the box, and fewer for the faces."""
        count = self.points + max(1, self.points // 4)
        unit = torch.rand(count, len(self.low), generator=self.generator, dtype=torch.float64)
        drawn = self.low + self.length * unit
        return drawn[: self.points], drawn[self.points :]

    def loss(self, inside: Tensor, faces: Tensor) -> Tensor:
        """Return the mean squares of equations and conditions."""
        equations = self.residual.equations(self.model, inside)
        conditions = self.residual.conditions(self.model, faces)
        total = torch.stack([r.square().mean() for r in equations]).sum()
        return total + self.weight * torch.stack([r.square().mean() for r in conditions]).sum() if conditions else total

    def train(
        self, parameters: list[Tensor], optimizer: str, steps: int, limit: float, rate: float
    ) -> tuple[Status, str]:
        """Run the loop; return how it ended."""
        best, smallest = [p.detach().clone() for p in parameters], math.inf
        fixed = self.draw()
        first = float(self.loss(*fixed).detach())
        if not math.isfinite(first):
            raise ValueError("the loss is not finite at the start; give a model that begins elsewhere")
        chosen: torch.optim.Optimizer
        if optimizer == "adam":
            chosen = torch.optim.Adam(parameters, lr=rate)
        else:
            chosen = torch.optim.LBFGS(parameters, max_iter=20, history_size=50, line_search_fn="strong_wolfe")
        status: Status = "converged"
        message = f"{steps} steps are done; the loss is no measure of the error"
        try:
            for number in range(steps):
                batch = self.draw() if optimizer == "adam" else fixed

                def closure(batch: tuple[Tensor, Tensor] = batch) -> Tensor:
                    chosen.zero_grad()
                    value = self.loss(*batch)
                    value.backward()  # type: ignore[no-untyped-call]
                    return value

                for group in chosen.param_groups:
                    group["lr"] = rate * 0.5 * (1 + math.cos(math.pi * number / steps)) if optimizer == "adam" else 1.0
                before = [p.detach().clone() for p in parameters]
                loss = float(torch.as_tensor(chosen.step(closure)).detach())  # type: ignore[no-untyped-call]
                if not math.isfinite(loss):
                    status, message = "diverged", f"the loss is not finite after {number} steps; lower learning_rate"
                    break
                if loss < smallest:  # of the parameters before the step
                    best, smallest = before, loss
                self.history.append(Step(0, loss, number + 1, self.elapsed()))
                if self.elapsed() > limit:
                    status, message = "stagnated", f"{limit:g} seconds are over after {number + 1} steps"
                    break
        except KeyboardInterrupt:
            status, message = "interrupted", f"stopped after {len(self.history)} steps"
        last = float(self.loss(*fixed).detach())
        if status in ("diverged", "interrupted") or not last <= 10 * smallest:
            with torch.no_grad():
                for parameter, value in zip(parameters, best, strict=True):
                    parameter.copy_(value)
        return status, message
