"""Pictures of a field along one or two axes, with the mesh."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from inntd.axes import Axis
from inntd.results.panels import curve_points, describe, label, panel_of
from inntd.results.statistic import Statistic

if TYPE_CHECKING:
    from matplotlib.axes import Axes as Panel

Array = npt.NDArray[np.float64]

MOST_NODES = 128  # that are marked
MOST_PLANE_POINTS = 241  # along each axis of a plane
LEVELS = 24
MOST_TICKS = 20
FLAT = 1e-12  # relative spread of a constant


def plot_field(
    field: Any,
    *names: Axis | str,
    at: Mapping[str, float] | None = None,
    mesh: bool = True,
    ax: Panel | None = None,
) -> Panel:
    """Draw a field along one axis (a curve) or two (filled contours).

    Parameters
    ----------
    field : Field, or Statistic
    *names : Axis or str
        One or two of its axes; two must not be discrete. Default: all of them, if there are no more than two.
    at : mapping of str to float, optional
        Coordinates of all other axes.
    mesh : bool, default True
        Mark the nodes, on axes with at most 128.
    ax : matplotlib axes, optional
        By default a new figure's.

    Returns
    -------
    matplotlib axes

    Raises
    ------
    ValueError
        When coordinates are missing, which the message names, or names are wrong.

    Examples
    --------
    >>> import inntd as it
    >>> from inntd.results import plot_field
    >>> axes = [it.Axis(name, 0, 1, elements=8) for name in "xyzk"]
    >>> plot_field(it.CPModel(axes, rank=2), "x", "y", at={"k": 0.5})
    Traceback (most recent call last):
        ...
    ValueError: a picture along x, y needs coordinates of z: give at={'z': 0.5}, or what you want to see
    """
    along = _along(field.axes, names)
    fixed = _fixed(field.axes, along, dict(at or {}))
    cut = field.at(fixed) if fixed else field
    panel = panel_of(ax)
    draw = _draw_curve if len(along) == 1 else _draw_plane
    draw(panel, cut, along, mesh)
    panel.set_xlabel(label(along[0]))
    panel.set_title(describe(fixed), fontsize="medium")
    return panel


def _along(axes: Sequence[Axis], names: tuple[Axis | str, ...]) -> list[Axis]:
    by_name = {axis.name: axis for axis in axes}
    wanted = [name.name if isinstance(name, Axis) else name for name in names] or list(by_name)
    if not names and len(wanted) > 2:
        raise ValueError(
            f"a picture runs along one or two axes, and the field has {len(wanted)}, {', '.join(wanted)}: name those "
            "to draw along, and hold the others still"
        )
    odd = [name for name in wanted if name not in by_name]
    if odd or len(wanted) > 2 or len(set(wanted)) < len(wanted):
        raise ValueError(f"a picture runs along one or two of {', '.join(by_name)}, got {', '.join(map(str, wanted))}")
    found = [by_name[name] for name in wanted]
    discrete = [axis.name for axis in found if axis.discrete]
    if len(found) == 2 and discrete:
        raise ValueError(f"contours run along two axes that are not discrete, got {discrete[0]}: hold it still")
    return found


def _fixed(axes: Sequence[Axis], along: list[Axis], at: dict[str, float]) -> dict[str, float]:
    rest = {axis.name: axis for axis in axes if axis not in along}
    for name in at:
        if name not in rest:
            raise ValueError(f"at must name axes that are held still, {', '.join(rest) or 'none'}, got {name!r}")
    missing = [name for name in rest if name not in at]
    if missing:
        example = {name: middle_of(rest[name]) for name in missing}
        raise ValueError(
            f"a picture along {', '.join(axis.name for axis in along)} needs coordinates of {', '.join(missing)}: give "
            f"at={example}, or what you want to see"
        )
    return {name: float(at[name]) for name in rest}


def middle_of(axis: Axis) -> float:
    """Return a coordinate to hold an axis still at: the middle, or the first value of a discrete axis."""
    return 0.0 if axis.discrete else float(f"{np.mean(axis.domain):.6g}")


def _values(field: Any, vectors: Mapping[str, Array]) -> Array:
    found = np.asarray(field.grid(vectors).detach().cpu(), dtype=np.float64)
    odd = int(np.count_nonzero(~np.isfinite(found)))
    if odd and not isinstance(field, Statistic):  # which are not defined everywhere
        raise ValueError(f"a field must have finite values to be drawn, got NaN or infinity at {odd} of {found.size}")
    return found


def _draw_curve(panel: Panel, field: Any, along: list[Axis], mesh: bool) -> None:
    [axis] = along
    x = curve_points(axis)
    panel.plot(x, _values(field, {axis.name: x}), "o" if axis.discrete else "-")
    if axis.discrete and axis.size <= MOST_TICKS:
        panel.set_xticks(x)
    if mesh and not axis.discrete and len(axis.nodes) <= MOST_NODES:
        nodes = np.asarray(axis.nodes, dtype=np.float64)
        panel.plot(nodes, _values(field, {axis.name: nodes}), "o", markersize=3, color="C0")
    panel.set_ylabel(_name(field))


def _draw_plane(panel: Panel, field: Any, along: list[Axis], mesh: bool) -> None:
    first, second = along
    x, y = (_thinned(curve_points(axis)) for axis in along)
    values = _values(field, {first.name: x, second.name: y})  # in the order of the field's axes
    up = values.T if list(field.axes).index(first) < list(field.axes).index(second) else values
    filled = panel.contourf(x, y, up, levels=_levels(up), cmap="viridis")
    panel.figure.colorbar(filled, ax=panel, label=_name(field))
    if mesh:
        lines: dict[str, Any] = {"color": "white", "linewidth": 0.4, "alpha": 0.35}
        if len(first.nodes) <= MOST_NODES:
            panel.vlines(first.nodes, *second.domain, **lines)
        if len(second.nodes) <= MOST_NODES:
            panel.hlines(second.nodes, *first.domain, **lines)
    panel.set_ylabel(label(second))


def _levels(values: Array) -> Any:
    """Return how many levels, or two around a constant, whose rounding errors are nothing to be seen."""
    largest, middle = float(np.nanmax(np.abs(values))), float(np.nanmean(values))
    if float(np.nanmax(values) - np.nanmin(values)) > FLAT * largest:
        return LEVELS
    half = 0.1 * largest or 0.1
    return [middle - half, middle + half]


def _name(field: Any) -> str:
    return str(getattr(field, "name", "u"))


def _thinned(points: Array) -> Array:
    return points if len(points) <= MOST_PLANE_POINTS else np.linspace(points[0], points[-1], MOST_PLANE_POINTS)
