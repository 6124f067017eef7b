"""Where the mesh of an axis should be refined: what patches one node shorter would change, element by element."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from inntd.axes import Axis, CHiDeNNBasis, LinearBasis
from inntd.axes.basis import Basis
from inntd.axes.quadrature import quadrature_points
from inntd.models import memory
from inntd.models.conversions import cp_of_tucker
from inntd.models.cp_form import CPForm
from inntd.models.metric import Columns, block
from inntd.models.separated import SeparatedModel
from inntd.models.sweep import absorb
from inntd.results.components import values_at
from inntd.results.panels import label, panel_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes as Panel

Array = npt.NDArray[np.float64]

MOST_MARKED = 128  # elements whose nodes are marked
DEEPEST = 1e-9  # part of the largest indicator that is still drawn


def refinement_indicators(model: SeparatedModel, axis: Axis | str) -> Array:
    """Return, for each element of an axis, the L2 difference to the interpolation by shorter patches over the L2 norm.

    The nodal values are interpolated once more, with patches one hop shorter (linearly where the patches have one hop,
    by steps where the basis is linear): where this changes much, the mesh is coarse for what the model does there. It
    overestimates the error of the model, and shows its place.

    Parameters
    ----------
    model : CPModel or TuckerModel
    axis : Axis or str
        Not discrete.

    Examples
    --------
    >>> import numpy as np, inntd as it
    >>> from inntd.results import refinement_indicators
    >>> x = it.Axis("x", 0, 1, elements=20)
    >>> u = it.CPModel.from_factors([x], [np.exp(-(((x.nodes - 0.53) / 0.05) ** 2))[:, None]])
    >>> found = refinement_indicators(u, "x")
    >>> found.shape, bool(found[8:13].min() > 100 * found[:4].max())  # the elements from 0.4 to 0.65, below 0.2
    ((20,), True)
    """
    if not isinstance(model, SeparatedModel):
        raise TypeError(f"model must be a CPModel or a TuckerModel, got {type(model).__name__}")
    own = model._find(axis)
    if own.discrete:
        raise ValueError(f"axis {own.name!r} is discrete: it has no elements to refine")
    size = model.norm()
    if not size > 0:
        raise ValueError("the model must not be zero: there is nothing to resolve")
    given = model._form()
    form: Any = given if isinstance(given, CPForm) else cp_of_tucker(given)  # type: ignore[arg-type]
    others = _others(form, own)
    points, weights = quadrature_points(own, 2 * own.table.degree)
    factor = form.factors[form.axes.index(own)]
    squares = weights * np.sum((_change(own, factor, points) @ others.T) ** 2, axis=1)
    element = np.clip(np.searchsorted(own.nodes, points, side="right") - 1, 0, own.elements - 1)
    return np.asarray(np.sqrt(np.bincount(element, squares, minlength=own.elements)) / size)


def plot_refinement(model: SeparatedModel, axis: Axis | str, *, ax: Panel | None = None) -> Panel:
    """Draw `refinement_indicators` along an axis on a logarithmic scale: refine where they are high.

    Parameters
    ----------
    model : CPModel or TuckerModel
    axis : Axis or str
    ax : matplotlib axes, optional
        By default a new figure's.

    Returns
    -------
    matplotlib axes

    Examples
    --------
    >>> import inntd as it
    >>> from inntd.results import plot_refinement
    >>> u = it.CPModel([it.Axis(name, 0, 1, elements=8) for name in "xy"], 2)
    >>> plot_refinement(u, "y").get_xlabel()
    'y'
    """
    values = refinement_indicators(model, axis)
    own = model._find(axis)
    top = float(values.max()) or 1.0
    floor = 0.3 * max(float(values.min()), DEEPEST * top)
    panel = panel_of(ax)
    panel.stairs(np.maximum(values, floor), own.nodes, baseline=floor, fill=True, alpha=0.4)
    if own.elements <= MOST_MARKED:
        panel.plot(own.nodes, np.full(len(own.nodes), floor), "|", color="black", markersize=8)
    panel.set_yscale("log")
    panel.set_xlabel(label(own))
    panel.set_ylabel("indicator by element, relative")
    return panel


def _change(axis: Axis, factor: Array, points: Array) -> Array:
    """Return the functions less those of the next simpler basis at points (K, R)."""
    shorter = _shorter(axis)
    if shorter is None:  # linear: by steps, the means of both ends
        ends = np.append(factor, factor[:1], axis=0) if axis.periodic else factor
        element = np.clip(np.searchsorted(axis.nodes, points, side="right") - 1, 0, axis.elements - 1)
        return values_at(axis, factor, points) - 0.5 * (ends[element] + ends[element + 1])
    simpler = Axis.from_dict(axis.to_dict() | {"basis": shorter.to_dict()})
    return values_at(axis, factor, points) - values_at(simpler, factor, points)


def _shorter(axis: Axis) -> Basis | None:
    if not isinstance(axis.basis, CHiDeNNBasis):
        return None
    largest = int(np.max(axis.basis.s))
    return LinearBasis() if largest == 1 else CHiDeNNBasis(s=largest - 1)


def _others(form: CPForm, own: Axis) -> Array:
    """Return a matrix (k, R) with the inner products of the modes over all other axes."""
    memory.refuse_beyond("products of the modes", 16 * form.modes**2, None, "round the model first")
    found = np.ones((1, form.modes))
    for axis, factor in zip(form.axes, form.factors, strict=True):
        if axis is not own:
            found = absorb(found, block([Columns(axis, factor)]))
    return found
