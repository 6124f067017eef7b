"""Residual plots: predicted less given values against the predicted ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from inntd.results.panels import panel_of
from inntd.results.parity import COLOURS, _some

if TYPE_CHECKING:
    from matplotlib.axes import Axes as Panel


def plot_residuals(parts: Mapping[str, tuple[Any, Any]], name: str = "u", *, ax: Panel | None = None) -> Panel:
    """Draw predicted less given values against predicted ones, one colour per part: what a parity plot hides.

    Parameters
    ----------
    parts : mapping of str to pair of arrays (K,)
        Given and predicted values of parts of the data, such as "training" and "test".
    name : str, default "u"
        The target, for labels.
    ax : matplotlib axes, optional
        By default a new figure's.

    Returns
    -------
    matplotlib axes

    Examples
    --------
    >>> import numpy as np
    >>> from inntd.results import plot_residuals
    >>> y = np.linspace(0, 1, 20)
    >>> plot_residuals({"test": (y, y + 0.01)}).get_ylabel()
    'u, predicted less given'
    """
    panel = panel_of(ax)
    for part, (given, predicted) in parts.items():
        y, found = np.asarray(given, dtype=np.float64), np.asarray(predicted, dtype=np.float64)
        if y.ndim != 1 or y.shape != found.shape:
            raise ValueError(f"{part}: values must be two arrays (K,), got shapes {y.shape} and {found.shape}")
        across, up = _some(found, found - y)
        panel.plot(across, up, ".", markersize=3, alpha=0.6, label=part, color=COLOURS.get(part))
    panel.axhline(0.0, color="black", linewidth=0.8, zorder=0)
    panel.set_xlabel(f"{name}, predicted")
    panel.set_ylabel(f"{name}, predicted less given")
    panel.legend(fontsize="small")
    return panel
