"""Parity plots: predicted against given values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

Array = npt.NDArray[np.float64]

MOST_POINTS = 5000  # drawn of each part
MOST_PANELS = 4
COLOURS = {"training": "tab:blue", "validation": "tab:orange", "test": "tab:green"}


def plot_parity(parts: Mapping[str, tuple[Any, Any]], names: list[str]) -> Figure:
    """Plot predicted against given values, one panel per target (of the first four) and one colour per part.

    Parameters
    ----------
    parts : mapping of str to pair of arrays (K, C)
        Given and predicted values of parts of the data, such as "training" and "test".
    names : list of C str
        The targets.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> import numpy as np
    >>> from inntd.results.parity import plot_parity
    >>> y = np.linspace(0, 1, 20)[:, None]
    >>> plot_parity({"test": (y, y + 0.01)}, ["u"]).axes[0].get_ylabel()
    'u, predicted'
    """
    shown = names[:MOST_PANELS]
    figure = Figure(figsize=(4.2 * len(shown) + 0.4, 4.4), layout="constrained")
    panels = figure.subplots(1, len(shown), squeeze=False).ravel()
    for c, (panel, name) in enumerate(zip(panels, shown, strict=True)):
        for part, (given, predicted) in parts.items():
            x, y = _some(np.asarray(given)[:, c], np.asarray(predicted)[:, c])
            panel.plot(x, y, ".", markersize=3, alpha=0.6, label=part, color=COLOURS.get(part))
        low, high = panel.get_xlim()
        panel.plot([low, high], [low, high], "-", color="black", linewidth=0.8, zorder=0)
        panel.set_xlabel(f"{name}, given")
        panel.set_ylabel(f"{name}, predicted")
    panels[0].legend(loc="upper left")
    if len(names) > len(shown):
        figure.suptitle(f"The first {len(shown)} of {len(names)} targets")
    return figure


def _some(x: Array, y: Array) -> tuple[Array, Array]:
    """Return at most so many points, evenly picked."""
    step = -(-len(x) // MOST_POINTS)
    return x[::step], y[::step]
