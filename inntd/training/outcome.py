"""What every way of training returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from inntd.models.field import Field

FitStatus: TypeAlias = Literal["converged", "max_epochs", "stagnated", "diverged", "interrupted"]


@dataclass(frozen=True)
class FitResult:
    """A trained model and how it came about.

    Attributes
    ----------
    model : Field
        The best model found.
    status : {"converged", "max_epochs", "stagnated", "diverged", "interrupted"}
        How the training ended.
    message : str
        The same in words, with a remedy where one is needed.
    history : list of dict
        One entry per epoch, sweep or step: at least ``step``, ``loss`` (mean squared error) and ``seconds``.
    seconds : float
        Wall time of the training.
    choices : dict
        What was chosen from the data (optimiser, rank, mesh, form, smoothness), and why.
    """

    model: Field
    status: FitStatus
    message: str
    history: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0
    choices: dict[str, Any] = field(default_factory=dict)
