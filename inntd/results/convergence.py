"""Pictures of how a run went: the estimated error while modes were added, or the loss of a training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from inntd.models.result import Answer, SlabStep, Step
from inntd.results.panels import panel_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes as Panel


def plot_convergence(history: Any, *, ax: Panel | None = None) -> Panel:
    """Draw the history of a run on a logarithmic scale.

    Parameters
    ----------
    history : Answer, sequence of Step, or sequence of mappings with a ``"loss"``
        What `inntd.solve` returned, or ``history_`` of an estimator.
    ax : matplotlib axes, optional
        By default a new figure's.

    Returns
    -------
    matplotlib axes

    Raises
    ------
    TypeError, ValueError
        When `history` is none of these, or empty.

    Examples
    --------
    >>> from inntd.models.result import Step
    >>> from inntd.results import plot_convergence
    >>> panel = plot_convergence([Step(1, 1e-1, 3, 0.1), Step(3, 1e-4, 6, 0.2)])
    >>> panel.get_xlabel(), panel.get_ylabel()
    ('modes', 'estimated relative error')
    """
    steps = list(history.history) if isinstance(history, Answer) else history
    if not isinstance(steps, Sequence):
        raise TypeError(f"history must be what inntd.solve returned, or a list of steps, got {type(history).__name__}")
    across, up, names = _series(steps)
    panel = panel_of(ax)
    shown = np.isfinite(up) & (np.asarray(up) > 0)
    panel.plot(np.asarray(across)[shown], np.asarray(up)[shown], "o-", markersize=4)
    panel.set_yscale("log")
    panel.set_xlabel(names[0])
    panel.set_ylabel(names[1])
    panel.grid(visible=True, which="major", alpha=0.3)
    return panel


def _series(steps: Sequence[Any]) -> tuple[list[float], list[float], tuple[str, str]]:
    if steps and all(isinstance(step, SlabStep) for step in steps):
        return [step.stop for step in steps], [step.estimate for step in steps], ("end of the slab", "its error")
    if steps and all(isinstance(step, Step) for step in steps):
        return [step.modes for step in steps], [step.estimate for step in steps], ("modes", "estimated relative error")
    losses = [step["loss"] for step in steps if isinstance(step, Mapping) and step.get("loss") is not None]
    if not losses:
        raise ValueError("history must hold steps with an estimate or a loss, got none: this route keeps none")
    return [float(k) for k in range(1, len(losses) + 1)], [float(loss) for loss in losses], ("step", "loss")
