r"""Axes from the data: ranges, nodes and patches that the samples can determine.

A column with L distinct values says nothing between them: with more than L - 1 elements, nodes stay undetermined, the
training error is perfect and the test error is not. Where values are few the nodes are the values themselves. Else the
number of elements grows with the number of samples, slowly: the error of patches of size s falls like the element's
length to the power 2s + 2, that of the noise only like the root of the number of samples.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Collection, Sequence
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from inntd import _checks
from inntd.axes import Axis, LinearBasis

Array = npt.NDArray[np.float64]
Placement: TypeAlias = Literal["uniform", "quantile"]

MOST_ELEMENTS = 64
MOST_LEVELS = 1000  # elements from which on nobody counts the distinct values
SAME = 1e-9  # of the range: values that differ by rounding only
UNIFORM_SHARE = 0.05  # of the nodes' placement by quantiles: no element becomes too short


class FineMeshWarning(UserWarning):
    """A mesh has more elements than the data has intervals; the message says on which axis, and the remedy."""


def axes_from_data(
    x: npt.ArrayLike,
    *,
    names: Sequence[str] | None = None,
    elements: int | Sequence[int | None] | None = None,
    s: int = 3,
    placement: Placement = "uniform",
    categorical: Collection[int] = (),
) -> list[Axis]:
    """Return one axis per column of the data.

    Parameters
    ----------
    x : array (K, D)
        Finite samples.
    names : sequence of D str, optional
        By default "x1", "x2", ...; what is no identifier is made one.
    elements : int or sequence of D int or None, optional
        Numbers of elements. By default from the numbers of samples and of distinct values; a larger number than the
        latter allows is obeyed, with a warning.
    s : int, default 3
        Patch size where there are 2s + 1 nodes.
    placement : {"uniform", "quantile"}, default "uniform"
        Nodes equally spaced, or dense where samples are.
    categorical : collection of int, default ()
        Columns of whole numbers 0, 1, ... without an order; they become discrete axes.

    Raises
    ------
    ValueError, TypeError
        When an argument is none of these.

    Warns
    -----
    FineMeshWarning
        A number of elements was given that the distinct values do not determine.

    Examples
    --------
    >>> import numpy as np
    >>> from inntd.training.mesh import axes_from_data
    >>> x = np.random.default_rng(0).random((1000, 3))
    >>> x[:, 1] = np.rint(4 * x[:, 1])
    >>> x[:, 2] = np.rint(x[:, 2])
    >>> axes_from_data(x, names=["a", "b", "c"])[1:]
    [Axis('b', 0.0, 4.0, elements=4, kind='parameter', s=2),
     Axis('c', 0.0, 1.0, elements=1, kind='parameter', basis=LinearBasis())]
    """
    points = np.asarray(x, dtype=np.float64)
    if points.ndim != 2 or points.size == 0:
        raise ValueError(f"x must have shape (K, D) with K and D of at least 1, got shape {points.shape}")
    width = points.shape[1]
    labels = axis_names([f"x{d + 1}" for d in range(width)] if names is None else names)
    if len(labels) != width:
        raise ValueError(f"names must be {width} names, one per column of x, got {len(labels)}")
    given = [elements] * width if elements is None or isinstance(elements, int | np.integer) else list(elements)
    if len(given) != width:
        raise ValueError(f"elements must be one number or {width}, one per column of x, got {len(given)}")
    _checks.positive_int("s", s)
    _checks.one_of("placement", placement, ("uniform", "quantile"))
    axes = []
    for d, (name, count) in enumerate(zip(labels, given, strict=True)):
        column = _checks.finite_vector(f"column {name!r} of x", points[:, d])
        if d in categorical:
            axes.append(_categories(name, column))
        else:
            wanted = None if count is None else _checks.positive_int(f"elements of {name!r}", count)
            axes.append(_axis(name, column, wanted, s, placement))
    return axes


def default_elements(samples: int) -> int:
    """Return how many elements so many samples are worth on an axis.

    Examples
    --------
    >>> [default_elements(count) for count in (10, 100, 1000, 10_000, 100_000, 10_000_000)]
    [2, 5, 10, 20, 41, 64]
    """
    return int(np.clip(1.3 * samples**0.3, 2, MOST_ELEMENTS))


def warn_of_fine_mesh(axis: Axis, levels: int) -> None:
    """Warn when an axis has more elements than there are intervals between the distinct values of its samples."""
    if not axis.discrete and levels <= axis.elements and axis.elements > 1:
        warnings.warn(
            f"axis {axis.name!r}: {axis.elements} elements are more than the {levels} distinct values of the samples "
            "determine: smoothness takes over between them (with ALS; gradients leave what they began with); "
            f"use at most {max(levels - 1, 1)} elements",
            FineMeshWarning,
            stacklevel=3,
        )


def warn_of_fine_meshes(axes: Sequence[Axis], columns: Sequence[Array]) -> None:
    """Warn of each axis that has more elements than its samples determine; axes of very many are not looked at."""
    for axis, column in zip(axes, columns, strict=True):
        if axis.elements < MOST_LEVELS:
            warn_of_fine_mesh(axis, len(distinct_levels(column)))


def distinct_levels(column: npt.ArrayLike) -> Array:
    """Return the distinct values of a column in rising order; those closer than 1e-9 of the range are one.

    Examples
    --------
    >>> distinct_levels([0.3, 1.0, 0.1 + 0.2])
    array([0.3, 1. ])
    """
    levels = np.unique(np.asarray(column, dtype=np.float64))
    apart = np.diff(levels) > SAME * (levels[-1] - levels[0])
    kept: Array = levels[np.concatenate([[True], apart])]
    kept[-1] = levels[-1]
    return kept


def axis_names(names: Sequence[str]) -> list[str]:
    """Return identifiers for the names of columns, all different.

    Examples
    --------
    >>> axis_names(["load [kN]", "2nd", "x", "x"])
    ['load_kN', '_2nd', 'x', 'x_2']
    """
    found: list[str] = []
    for name in names:
        stem = re.sub(r"\W+", "_", str(name)).strip("_") or "x"
        stem = stem if stem.isidentifier() else f"_{stem}"
        label, number = stem, 2
        while label in found:
            label, number = f"{stem}_{number}", number + 1
        found.append(label)
    return found


def _axis(name: str, column: Array, wanted: int | None, s: int, placement: Placement) -> Axis:
    levels = distinct_levels(column)
    if len(levels) == 1:  # one element around the only value, on which nothing depends
        half = 0.5 * max(abs(float(levels[0])), 1.0)
        return Axis(name, levels[0] - half, levels[0] + half, elements=1, basis=LinearBasis(), kind="parameter")
    count = min(default_elements(len(column)), len(levels) - 1) if wanted is None else wanted
    patch = min(s, count // 2)
    basis = LinearBasis() if patch == 0 else None
    nodes = _nodes(column, levels, count, placement)
    axis = Axis(name, nodes=nodes, basis=basis, s=patch or None, kind="parameter")
    warn_of_fine_mesh(axis, len(levels))
    return axis


def _nodes(column: Array, levels: Array, count: int, placement: Placement) -> Array:
    if count == len(levels) - 1:
        return _evened(levels)
    low, high = levels[0], levels[-1]
    share = np.arange(count + 1) / count
    nodes: Array = low + (high - low) * share
    if placement == "quantile":
        nodes = UNIFORM_SHARE * nodes + (1 - UNIFORM_SHARE) * np.quantile(column, share)
    nodes[0], nodes[-1] = low, high
    return nodes


def _evened(levels: Array) -> Array:
    """Return the levels, exactly equally spaced if they are so but for rounding."""
    nodes: Array = levels[0] + (levels[-1] - levels[0]) * (np.arange(len(levels)) / (len(levels) - 1))
    nodes[-1] = levels[-1]
    return nodes if np.abs(nodes - levels).max() <= SAME * np.diff(levels).min() else levels


def _categories(name: str, column: Array) -> Axis:
    if column.min() < 0 or np.any(column != np.rint(column)):
        raise ValueError(f"column {name!r} is categorical: it must hold whole numbers from 0 on, got {column.min()}")
    return Axis.discrete(name, int(column.max()) + 1, kind="parameter")
