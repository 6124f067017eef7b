"""What a solver hands back: the model, how the run ended, and how far the answer can be trusted."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, Literal, TypeVar

Status = Literal["converged", "max_rank", "stagnated", "diverged", "interrupted"]
Certainty = Literal["estimate", "guaranteed"]

Model = TypeVar("Model")


@dataclass(frozen=True)
class ErrorEstimate:
    """Estimated relative L2 error over all axes, by origin.

    Parameters
    ----------
    algebraic
        Distance to the solution of the discrete system, of which the separated model is an approximation.
    discretisation
        Distance of the discrete system's solution to the exact one; None where it was not computed.
    by_axis
        Shares of the axes, by name, in the discretisation error.
    certainty
        ``"guaranteed"`` where `algebraic` is a proven bound, up to round-off; ``"estimate"`` elsewhere.

    Examples
    --------
    >>> ErrorEstimate(algebraic=3e-7).total
    3e-07
    >>> print(ErrorEstimate(3e-7, 2e-6))
    2.3e-06 (algebraic 3.0e-07, discretisation 2.0e-06)
    """

    algebraic: float
    discretisation: float | None = None
    by_axis: dict[str, float] = field(default_factory=dict)
    certainty: Certainty = "estimate"

    @property
    def total(self) -> float:
        """Sum of the parts that were computed."""
        return self.algebraic + (self.discretisation or 0.0)

    def __str__(self) -> str:
        mesh = "not computed" if self.discretisation is None else f"{self.discretisation:.1e}"
        return f"{self.total:.1e} (algebraic {self.algebraic:.1e}, discretisation {mesh})"


@dataclass(frozen=True)
class Step:
    """One step of a solver: modes so far, estimated algebraic error, sweeps done and seconds since the start."""

    modes: int
    estimate: float
    sweeps: int
    seconds: float


@dataclass(frozen=True)
class SlabStep(Step):
    """One time slab of a march: its modes, its own estimated error, sweeps, and seconds since the start of the march.

    Parameters
    ----------
    start, stop
        Ends of the slab in time.
    status
        How its solution ended.
    handover, handover_modes
        Relative L2 error by which its end was rounded before the next slab went on from there, as measured, and the
        modes that were left; zero for the last slab.
    """

    start: float
    stop: float
    status: Status
    handover: float = 0.0
    handover_modes: int = 0


@dataclass(frozen=True)
class Answer(Generic[Model]):
    """Result of a solver.

    Parameters
    ----------
    model
        The solution, a field on the problem's axes.
    status
        ``"converged"``, ``"max_rank"``, ``"stagnated"``, ``"diverged"`` or ``"interrupted"``.
    message
        Why the run ended so, and what to do about it if it did not converge.
    error_estimate
        Estimated relative L2 error.
    modes
        Modes that the solver found; the model has those of the lifted boundary values besides.
    seconds
        Wall time of the solve, assembly included.
    history
        One entry per growth step; with time slabs one `SlabStep` per slab.
    notes
        Choices that the solver made, in words.
    fields
        The unknowns by name, each over its own axes: of several unknowns `model` holds all as components.
    route
        How it was found: the `method` of :func:`inntd.solve` that an automatic choice came to, or ``"slabs"``.
    """

    model: Model
    status: Status
    message: str
    error_estimate: ErrorEstimate
    modes: int
    seconds: float
    history: tuple[Step, ...] = ()
    notes: tuple[str, ...] = field(default=())
    fields: dict[str, Model] = field(default_factory=dict)
    route: str = ""

    @property
    def converged(self) -> bool:
        """Whether the requested accuracy was reached."""
        return self.status == "converged"

    def __str__(self) -> str:
        lines = [
            f"status          {self.status}: {self.message}",
            f"modes           {self.modes}",
            f"error estimate  {self.error_estimate}",
            f"seconds         {self.seconds:.3g}",
        ]
        lines += [f"route           {self.route}"] if self.route else []
        lines += [f"note            {note}" for note in self.notes]
        return "\n".join(lines)
