"""What training takes from the user of an estimator, checked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from inntd.training.columns import Column
from inntd.training.outcome import FitResult
from inntd.training.rows import Rows

Optimizer: TypeAlias = Literal["auto", "automatic", "als", "adam", "lbfgs", "boosting", "levenberg_marquardt"]
OPTIMIZERS: tuple[Optimizer, ...] = ("auto", "automatic", "als", "adam", "lbfgs", "boosting", "levenberg_marquardt")
Nodes: TypeAlias = Literal["uniform", "quantile"]


@dataclass(frozen=True)
class Options:
    """The parameters of an estimator; None stands for a choice from the data."""

    optimizer: Optimizer
    rank: int | None
    elements: list[int | None]
    s: list[int | None]
    nodes: Nodes
    smoothness: float | None
    validation_fraction: float | None
    max_seconds: float
    seed: int
    callback: Callable[[dict[str, Any]], Any] | None

    @property
    def leaves_the_space_open(self) -> bool:
        """Whether rank, meshes and smoothness are all to be chosen from the data."""
        chosen = [self.rank, self.smoothness, *self.elements, *self.s]
        return self.nodes == "uniform" and all(value is None for value in chosen)

    def of_columns(self, chosen: Sequence[int]) -> Options:
        """Return the same for some of the columns."""
        return replace(self, elements=[self.elements[d] for d in chosen], s=[self.s[d] for d in chosen])


Trainer: TypeAlias = Callable[[Rows, Sequence[Column], Sequence[str], Options], FitResult]
