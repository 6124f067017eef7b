"""Pictures of a calibration: what is left of the observations."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from scipy.stats import norm

from inntd.calibration import Calibration

MOST_POINTS = 5000  # drawn of each experiment
MOST_EXPERIMENTS = 8  # in the legend


def plot_residuals(found: Calibration) -> Figure:
    """Plot residuals in standard deviations over predicted values, and sorted over normal quantiles.

    On the left they shall have no pattern; on the right they follow the diagonal if the noise is normal and as large as
    stated. Single points off it are outliers.

    Parameters
    ----------
    found : Calibration

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> import numpy as np, inntd as it
    >>> from inntd.results.calibration import plot_residuals
    >>> x, k = it.Axis("x", 0, 1, elements=8), it.Axis("k", 1, 3, elements=8, kind="parameter")
    >>> u = it.CPModel.from_factors([x, k], [x.nodes[:, None], k.nodes[:, None]])
    >>> found = it.calibrate(u, {"x": [0.2, 0.5, 1.0], "u": [0.41, 0.98, 2.0]}, free="k")
    >>> plot_residuals(found).axes[0].get_ylabel()
    'residual (standard deviations)'
    """
    figure = Figure(figsize=(9.2, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    for name, own in found.residuals.items():
        step = -(-len(own.observed) // MOST_POINTS)
        sorted_ = np.sort(own.standardised)
        quantiles = norm.ppf((np.arange(len(sorted_)) + 0.5) / len(sorted_))
        left.plot(own.predicted[::step], own.standardised[::step], ".", markersize=4, label=f"experiment {name}")
        right.plot(quantiles[::step], sorted_[::step], ".", markersize=4)
    left.axhline(0.0, color="black", linewidth=0.8, zorder=0)
    left.set_xlabel("predicted")
    left.set_ylabel("residual (standard deviations)")
    low, high = right.get_xlim()
    right.plot([low, high], [low, high], "-", color="black", linewidth=0.8, zorder=0)
    right.set_xlabel("normal quantile")
    right.set_ylabel("residual, sorted")
    if 1 < len(found.residuals) <= MOST_EXPERIMENTS:
        left.legend()
    return figure
