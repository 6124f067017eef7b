"""Pictures of separated models: the 1-D factors of the leading modes, and slices along one or two axes.

Figures are made without pyplot: no window opens and no global state changes. A figure shows itself in a notebook and is
written by ``figure.savefig(path)``.
"""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from inntd import _checks
from inntd.models import SlabModel
from inntd.models.atomic import write_atomically
from inntd.models.reduced import ReducedModel

if TYPE_CHECKING:
    from matplotlib.axes import Axes as Panel

    from inntd.axes import Axis
    from inntd.models import CPModel, SeparatedModel, TuckerModel

__all__ = ["plot_factors", "plot_slice", "save_pictures"]

Array = npt.NDArray[np.float64]

PICTURES = ("factors.png", "slice.png")
MOST_PANELS = 12
PANEL_COLUMNS = 4
POINTS_PER_ELEMENT = 4
MOST_CURVE_POINTS = 2000
SLICE_POINTS = 101
NAMED_IN_TITLE = 4


def plot_factors(model: CPModel | TuckerModel, *, modes: int = 3) -> Figure:
    """Plot the 1-D factors of the leading modes, one panel for each axis.

    Modes are ranked by their norm on the nodes; each curve is scaled to a largest absolute value of 1, and the legend
    gives the mode's norm over the largest. Of a Tucker model the first functions of each axis are shown. Of more than
    twelve axes the first twelve are shown, and the title says so.

    Parameters
    ----------
    model : CPModel or TuckerModel
        A separated model.
    modes : int, default 3
        How many modes to show; fewer if the model has fewer.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If `modes` is not positive.

    Examples
    --------
    >>> import numpy as np, inntd as it
    >>> from inntd.results import plot_factors
    >>> x, y = (it.Axis(name, 0, 1, elements=8) for name in "xy")
    >>> u = it.CPModel.from_factors([x, y], [np.sin(x.nodes)[:, None], np.cos(y.nodes)[:, None]])
    >>> figure = plot_factors(u)
    >>> [panel.get_xlabel() for panel in figure.axes]
    ['x', 'y']
    """
    modes = _checks.positive_int("modes", modes)
    factors = [factor.detach().cpu().numpy().astype(np.float64) for factor in model.factors]
    if isinstance(model.rank, int):
        leading, share = _leading_modes(factors, modes)
        labels = [f"mode {mode + 1} ({part:.2g})" for mode, part in zip(leading, share, strict=True)]
        title = f"Factors of the {len(leading)} leading of {model.rank} modes"
    else:
        leading = list(range(min(modes, max(model.rank))))
        labels = [f"function {mode + 1}" for mode in leading]
        title = f"First functions of each axis, Tucker ranks {' x '.join(str(rank) for rank in model.rank)}"
    shown = model.axes[:MOST_PANELS]
    columns = min(len(shown), PANEL_COLUMNS)
    rows = -(-len(shown) // columns)
    figure = Figure(figsize=(3.2 * columns, 2.4 * rows + 0.6), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for panel, axis, factor in zip(panels, shown, factors, strict=False):
        _draw_factor(panel, axis, factor[:, [mode for mode in leading if mode < factor.shape[1]]])
    for panel in panels[len(shown) :]:
        panel.remove()
    fullest = max((panel.get_lines() for panel in panels[: len(shown)]), key=len)
    figure.legend(fullest, labels[: len(fullest)], loc="outside lower center", ncols=len(labels))
    figure.suptitle(title + (f", first {len(shown)} of {len(model.axes)} axes" if len(model.axes) > len(shown) else ""))
    return figure


def plot_slice(
    model: SeparatedModel | ReducedModel | SlabModel, *names: str, at: Mapping[str, float] | None = None
) -> Figure:
    """Plot the model along one axis (a curve) or two axes (filled contours), all other coordinates held still.

    Parameters
    ----------
    model
        A separated or reduced model, or one in time slabs.
    *names : str
        One or two names of axes that are not discrete. Default: the first two, those of kind ``"space"`` before others.
    at : mapping of str to float, optional
        Coordinates of other axes. Default: the middle of each domain; entry 0 of a discrete axis.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If a name is unknown, repeated, discrete or also in `at`, or if there are more than two names.

    Examples
    --------
    >>> import numpy as np, inntd as it
    >>> from inntd.results import plot_slice
    >>> x, y, k = (it.Axis(name, 0, 1, elements=8) for name in "xyk")
    >>> u = it.CPModel.from_factors([x, y, k], [axis.nodes[:, None] for axis in (x, y, k)])
    >>> plot_slice(u, "x", "k").axes[0].get_title()
    'y = 0.5'
    """
    along = _slice_axes(model.axes, names)
    fixed = _fixed_coordinates(model.axes, along, dict(at or {}))
    vectors: dict[str, Any] = {axis.name: _curve_points(axis, SLICE_POINTS) for axis in along}
    plane = model.at(**fixed) if fixed else model
    values = np.asarray(plane.grid(**vectors).detach().cpu(), dtype=np.float64)
    figure = Figure(figsize=(6.0, 4.6), layout="constrained")
    panel = figure.subplots()
    if len(along) == 1:
        panel.plot(vectors[along[0].name], values)
        panel.set_ylabel("u")
    else:
        # The grid is indexed by axis in the model's order; contourf wants the vertical axis first.
        ordered = sorted(along, key=model.axes.index)
        across = values.T if ordered == along else values
        mesh = panel.contourf(vectors[along[0].name], vectors[along[1].name], across, levels=24, cmap="viridis")
        figure.colorbar(mesh, ax=panel, label="u")
        panel.set_ylabel(_label(along[1]))
    panel.set_xlabel(_label(along[0]))
    panel.set_title(_describe(fixed))
    return figure


def save_pictures(
    model: CPModel | TuckerModel | ReducedModel | SlabModel, folder: str | os.PathLike[str]
) -> list[Path]:
    """Write ``factors.png`` and, unless every axis is discrete, ``slice.png`` into `folder`; return their paths.

    A reduced model has no factors along its parameters, and time slabs have different ones: of them only a slice is
    drawn.

    Both are drawn before either is written, and each is written aside and then renamed: a failure leaves older pictures
    as they were.

    Examples
    --------
    >>> import numpy as np, inntd as it, tempfile
    >>> from inntd.results import save_pictures
    >>> x = it.Axis("x", 0, 1, elements=8)
    >>> u = it.CPModel.from_factors([x], [np.sin(x.nodes)[:, None]])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     [path.name for path in save_pictures(u, folder)]
    ['factors.png', 'slice.png']
    """
    figures = {} if isinstance(model, ReducedModel | SlabModel) else {PICTURES[0]: plot_factors(model)}
    if any(not axis.discrete for axis in model.axes):
        figures[PICTURES[1]] = plot_slice(model)
    contents = {Path(folder) / name: _rendered(figure) for name, figure in figures.items()}
    for path, content in contents.items():
        write_atomically(path, content, overwrite=True)
    return list(contents)


def _rendered(figure: Figure) -> bytes:
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=120)
    return content.getvalue()


def _leading_modes(factors: list[Array], modes: int) -> tuple[list[int], list[float]]:
    """Return the modes of largest norm, largest first, and their norms over the largest."""
    # Logarithms: a product of a hundred column norms may leave the range of float64.
    with np.errstate(divide="ignore"):
        logs = sum(np.log(np.linalg.norm(factor, axis=0) / np.sqrt(len(factor))) for factor in factors)
    order = np.argsort(-np.asarray(logs), kind="stable")[:modes]
    top = logs[order[0]]
    share = np.exp(logs[order] - top) if np.isfinite(top) else np.zeros(len(order))
    return [int(mode) for mode in order], [float(part) for part in share]


def _draw_factor(panel: Panel, axis: Axis, columns: Array) -> None:
    points = _curve_points(axis, min(MOST_CURVE_POINTS, POINTS_PER_ELEMENT * axis.elements + 1))
    index, values = axis.tabulate(points)
    curves = np.einsum("kw,kwm->km", values, columns[index])
    largest = np.abs(curves).max(axis=0)
    curves /= np.where(largest > 0, largest, 1.0)
    panel.plot(points, curves, "o" if axis.discrete else "-", linewidth=1.2, markersize=4)
    panel.set_xlabel(_label(axis))
    panel.set_ylim(-1.1, 1.1)


def _curve_points(axis: Axis, count: int) -> Array:
    if axis.discrete:
        return np.arange(axis.size, dtype=np.float64)
    return np.linspace(*axis.domain, count)


def _slice_axes(axes: tuple[Axis, ...], names: tuple[str, ...]) -> list[Axis]:
    continuous = {axis.name: axis for axis in axes if not axis.discrete}
    if not continuous:
        raise ValueError("a slice needs an axis that is not discrete, got none")
    if not names:
        return sorted(continuous.values(), key=lambda axis: axis.kind != "space")[:2]
    if len(names) > 2 or len(set(names)) < len(names):
        raise ValueError(f"a slice runs along one axis or two different ones, got {names!r}")
    for name in names:
        if name not in continuous:
            raise ValueError(f"a slice runs along one or two of the axes {list(continuous)}, got {name!r}")
    return [continuous[name] for name in names]


def _fixed_coordinates(axes: tuple[Axis, ...], along: list[Axis], at: dict[str, float]) -> dict[str, float]:
    rest = {axis.name: axis for axis in axes if axis not in along}
    for name in at:
        if name not in rest:
            raise ValueError(f"at must name axes that the slice holds still, {list(rest)}, got {name!r}")
    middle = {name: 0.0 if axis.discrete else float(np.mean(axis.domain)) for name, axis in rest.items()}
    return middle | {name: float(value) for name, value in at.items()}


def _label(axis: Axis) -> str:
    return f"{axis.name} [{axis.unit}]" if axis.unit else axis.name


def _describe(fixed: dict[str, float]) -> str:
    named = [f"{name} = {value:.4g}" for name, value in list(fixed.items())[:NAMED_IN_TITLE]]
    return ", ".join(named) + (f", … ({len(fixed)} held still)" if len(fixed) > NAMED_IN_TITLE else "")
