"""Bars: Sobol' indices, and the axes' shares in an error estimate."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from inntd import _checks
from inntd.models.result import ErrorEstimate
from inntd.results.panels import panel_of
from inntd.results.sobol import SobolIndices
from inntd.results.statistic import Statistic

if TYPE_CHECKING:
    from matplotlib.axes import Axes as Panel

MOST_BARS = 20


def plot_sobol(indices: SobolIndices, *, most: int = MOST_BARS, ax: Panel | None = None) -> Panel:
    """Draw first-order and total indices as bars, largest totals first, with standard errors where they have some.

    Parameters
    ----------
    indices : SobolIndices
        Numbers; of functions draw ``indices.total[name]`` with `plot_field`.
    most : int, default 20
        How many axes or groups to show.
    ax : matplotlib axes, optional
        By default a new figure's.

    Returns
    -------
    matplotlib axes

    Examples
    --------
    >>> import inntd as it
    >>> from inntd.results import plot_sobol
    >>> u = it.CPModel([it.Axis(name, 0, 1, elements=8) for name in "xy"], 2)
    >>> plot_sobol(u.sobol_indices()).get_xlabel()
    'share of the variance'
    """
    if not isinstance(indices, SobolIndices):
        raise TypeError(f"indices must be what sobol_indices returned, got {type(indices).__name__}")
    if any(isinstance(value, Statistic) for value in indices.total.values()):
        raise ValueError("bars are of numbers, got functions of other axes: draw indices.total[name] with plot_field")
    names = sorted(indices.names, key=lambda name: -indices.total[name])[: _checks.positive_int("most", most)]
    place = np.arange(len(names))
    panel = panel_of(ax, height=1.2 + 0.36 * len(names))
    for shift, title, found in ((-0.2, "first order", indices.first), (0.2, "total", indices.total)):
        values = [float(found[name]) for name in names]
        errors = [getattr(found[name], "standard_error", 0.0) for name in names]
        panel.barh(place + shift, values, 0.38, xerr=errors if any(errors) else None, label=title)
    panel.set_yticks(place, names)
    panel.invert_yaxis()
    panel.set_xlabel("share of the variance")
    panel.set_xlim(left=min(0.0, panel.get_xlim()[0]))
    panel.legend(loc="lower right", fontsize="small")
    if len(names) < len(indices.names):
        panel.set_title(f"the {len(names)} largest of {len(indices.names)}", fontsize="medium")
    return panel


def plot_axis_errors(estimate: ErrorEstimate, *, ax: Panel | None = None) -> Panel:
    """Draw the axes' shares in the discretisation error: which mesh to refine first.

    Parameters
    ----------
    estimate : ErrorEstimate
        With ``by_axis``.
    ax : matplotlib axes, optional
        By default a new figure's.

    Returns
    -------
    matplotlib axes

    Examples
    --------
    >>> import inntd as it
    >>> from inntd.results import plot_axis_errors
    >>> plot_axis_errors(it.ErrorEstimate(1e-6, 1e-3, by_axis={"x": 1e-3, "t": 1e-5})).get_xlabel()
    'share in the relative error'
    """
    if not any(value > 0 for value in estimate.by_axis.values()):
        raise ValueError("estimate must have shares by axis, got none: this route does not compute them")
    names = sorted(estimate.by_axis, key=lambda name: -estimate.by_axis[name])[:MOST_BARS]
    panel = panel_of(ax, height=1.2 + 0.3 * len(names))
    panel.barh(np.arange(len(names)), [estimate.by_axis[name] for name in names], 0.6)
    panel.set_yticks(np.arange(len(names)), names)
    panel.invert_yaxis()
    panel.set_xscale("log")
    panel.set_xlim(left=0.3 * min(value for value in estimate.by_axis.values() if value > 0))
    panel.set_xlabel("share in the relative error")
    return panel
