"""Pictures of an adaptive solve: errors and cost from mesh to mesh, and where the nodes went.

Figures are made without pyplot, as all in `plot.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from inntd.models.result import Answer, MeshStep
from inntd.results.plot import MOST_PANELS, PANEL_COLUMNS

if TYPE_CHECKING:
    from matplotlib.axes import Axes as Panel

    from inntd.axes import Axis

Array = npt.NDArray[np.float64]

__all__ = ["plot_adaptivity", "plot_nodes"]

#: Errors that are zero are drawn here, at the foot of the picture.
SMALLEST = 1e-16


def plot_adaptivity(answer: Answer[Any], *, tolerance: float | None = None) -> Figure:
    """Plot the estimated errors from mesh to mesh, and what each mesh cost.

    Parameters
    ----------
    answer : Answer
        Of ``inntd.solve(..., adapt="mesh")``.
    tolerance : float, optional
        A line at the error that was asked for.

    Returns
    -------
    matplotlib.figure.Figure
        Above the algebraic error, that of the mesh, and both; below the nodes of all axes and the seconds.

    Raises
    ------
    ValueError
        If the answer has no history of meshes.

    Examples
    --------
    >>> import inntd as it
    >>> from sympy import pi, sin
    >>> x, y = it.Axis("x", 0, 1, elements=8), it.Axis("y", 0, 1, elements=8)
    >>> u = it.unknown("u", x, y)
    >>> problem = it.Problem(strong=-it.laplacian(u) - sin(4 * pi * x) * y, conditions=[u.on(x, y) == 0])
    >>> figure = plot_adaptivity(it.solve(problem, tolerance=1e-4, adapt="mesh"), tolerance=1e-4)
    >>> [panel.get_ylabel() for panel in figure.axes]
    ['estimated relative error', 'nodes of all axes', 'seconds so far']
    """
    steps = _steps(answer)
    count = np.arange(1.0, len(steps) + 1)
    figure = Figure(figsize=(6.4, 6.0), layout="constrained")
    errors, cost = figure.subplots(2, 1, sharex=True, height_ratios=[3, 2])
    for label, values, style in (
        ("discrete system", [step.estimate for step in steps], "s--"),
        ("mesh", [step.discretisation for step in steps], "o-"),
        ("total", [step.total for step in steps], "k-"),
    ):
        errors.semilogy(count, np.maximum(values, SMALLEST), style, label=label, markersize=5)
    if tolerance is not None:
        errors.axhline(tolerance, color="0.5", linestyle=":", label="tolerance")
    errors.set_ylabel("estimated relative error")
    errors.legend()
    _draw_cost(cost, count, steps)
    return figure


def _draw_cost(panel: Panel, count: Array, steps: Sequence[MeshStep]) -> None:
    (nodes,) = panel.plot(count, [sum(step.nodes.values()) for step in steps], "o-", color="C2", markersize=5)
    panel.set_ylabel("nodes of all axes", color="C2")
    panel.set_ylim(bottom=0)
    panel.set_xlabel("mesh")
    panel.set_xticks(count)
    seconds = panel.twinx()
    (line,) = seconds.plot(count, [step.seconds for step in steps], "^--", color="C3", markersize=5)
    seconds.set_ylabel("seconds so far", color="C3")
    seconds.set_ylim(bottom=0)
    panel.legend([nodes, line], ["nodes", "seconds"], loc="upper left")


def plot_nodes(answer: Answer[Any]) -> Figure:
    """Plot where the nodes are, one panel for each axis: the length of the elements on the first mesh and on the last.

    Discrete axes are left out, and of more than twelve others the first twelve shown.

    Parameters
    ----------
    answer : Answer
        Of ``inntd.solve(..., adapt="mesh")``.

    Raises
    ------
    ValueError
        If the answer has no history of meshes.

    Examples
    --------
    >>> import inntd as it
    >>> from sympy import exp
    >>> x = it.Axis("x", 0, 1, elements=8)
    >>> u = it.unknown("u", x)
    >>> problem = it.Problem(strong=-it.laplacian(u) - exp(-50 * x), conditions=[u.on(x) == 0])
    >>> plot_nodes(it.solve(problem, tolerance=1e-6, adapt="mesh")).axes[0].get_xlabel()
    'x'
    """
    steps = _steps(answer)
    first, last = ([axis for axis in step.axes if not axis.discrete] for step in (steps[0], steps[-1]))
    shown = list(zip(first, last, strict=True))[:MOST_PANELS]
    columns = min(len(shown), PANEL_COLUMNS)
    rows = -(-len(shown) // columns)
    figure = Figure(figsize=(max(3.2 * columns, 4.8), 2.6 * rows + 0.6), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for panel, (before, after) in zip(panels, shown, strict=False):
        _draw_lengths(panel, before, after)
    for panel in panels[len(shown) :]:
        panel.remove()
    for row in range(rows):
        panels[row * columns].set_ylabel("length of elements")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return figure


def _draw_lengths(panel: Panel, before: Axis, after: Axis) -> None:
    for axis, color, label in ((before, "0.6", "first mesh"), (after, "C0", "last mesh")):
        lengths = np.diff(axis.nodes)
        panel.step(axis.nodes, np.append(lengths, lengths[-1]), where="post", color=color, label=label)
    panel.set_yscale("log")
    low, high = panel.get_ylim()
    panel.set_ylim(min(low / 2, high / 30), high * 1.3)
    panel.plot(after.nodes, np.full(len(after.nodes), 0.03), "|", color="C0", markersize=8,
               transform=panel.get_xaxis_transform(), label="nodes")  # fmt: skip
    panel.set_xlabel(f"{after.name} [{after.unit}]" if after.unit else after.name)
    panel.set_title(f"{before.elements} → {after.elements} elements", fontsize="medium")


def _steps(answer: Answer[Any]) -> list[MeshStep]:
    steps = [step for step in answer.history if isinstance(step, MeshStep)]
    if not steps:
        raise ValueError("answer must be of an adaptive solve, with a history of meshes: use solve(..., adapt='mesh')")
    return steps
