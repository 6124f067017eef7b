"""Pictures of what a separated model is made of: functions of one axis, and the sizes of its modes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from inntd import _checks
from inntd.axes import Axis
from inntd.models.cp_form import CPForm
from inntd.models.metric import Columns, block
from inntd.models.norms import normalised
from inntd.models.separated import SeparatedModel
from inntd.models.sweep import triangular
from inntd.models.tucker_form import TuckerForm, contracted
from inntd.results.components import values_at
from inntd.results.panels import curve_points, label, panel_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes as Panel

Array = npt.NDArray[np.float64]

MOST_NODES = 128


def plot_modes(model: SeparatedModel, axis: Axis | str, *, modes: int = 3, ax: Panel | None = None) -> Panel:
    """Draw the functions of one axis of the leading modes, each scaled to a largest value of one, with the nodes.

    Parameters
    ----------
    model : CPModel or TuckerModel
        Of a sum of products the modes of largest norm are shown, of a Tucker model the first functions of the axis.
    axis : Axis or str
    modes : int, default 3
    ax : matplotlib axes, optional
        By default a new figure's.

    Returns
    -------
    matplotlib axes

    Examples
    --------
    >>> import inntd as it
    >>> from inntd.results import plot_modes
    >>> axes = [it.Axis(name, 0, 1, elements=8) for name in "xy"]
    >>> [text.get_text() for text in plot_modes(it.CPModel(axes, 2), "y", modes=1).get_legend().get_texts()]
    ['mode 2']
    """
    form = _form(model)
    own = model._find(axis)
    modes = _checks.positive_int("modes", modes)
    factor = form.factors[form.axes.index(own)]
    leading = np.argsort(-_logs(form), kind="stable") if isinstance(form, CPForm) else np.arange(factor.shape[1])
    chosen = leading[:modes]
    columns = factor[:, chosen]
    x = curve_points(own)
    curves = values_at(own, columns, x)
    largest = np.abs(curves).max(axis=0)
    scale = np.where(largest > 0, largest, 1.0)
    panel = panel_of(ax)
    kind = "mode" if isinstance(form, CPForm) else "function"
    for m, number in enumerate(chosen):
        [line] = panel.plot(x, curves[:, m] / scale[m], "o" if own.discrete else "-", label=f"{kind} {number + 1}")
        if not own.discrete and own.size <= MOST_NODES:
            nodes = own.nodes[: own.size]
            panel.plot(nodes, columns[:, m] / scale[m], "o", markersize=3, color=line.get_color())
    panel.set_xlabel(label(own))
    panel.set_ylabel("scaled to 1")
    panel.legend(fontsize="small")
    return panel


def plot_amplitudes(model: SeparatedModel, *, ax: Panel | None = None) -> Panel:
    """Draw how large the modes are, largest first, on a logarithmic scale: whether fewer would do.

    Of a sum of products the L2 norms of its modes over the largest; of a Tucker model the singular values of every axis
    over the largest.

    Parameters
    ----------
    model : CPModel or TuckerModel
    ax : matplotlib axes, optional
        By default a new figure's.

    Returns
    -------
    matplotlib axes

    Examples
    --------
    >>> import inntd as it
    >>> from inntd.results import plot_amplitudes
    >>> axes = [it.Axis(name, 0, 1, elements=8) for name in "xy"]
    >>> plot_amplitudes(it.CPModel(axes, 5)).get_xlabel()
    'mode, by size'
    """
    form = _form(model)
    panel = panel_of(ax)
    panel.set_yscale("log")
    if isinstance(form, CPForm):
        logs = np.sort(_logs(form))[::-1]
        shown = logs[np.isfinite(logs)]
        panel.plot(np.arange(1, len(shown) + 1), np.exp(shown - shown[0]) if len(shown) else [], "o-", markersize=4)
        panel.set_xlabel("mode, by size")
        panel.set_ylabel("L2 norm over the largest")
        return panel
    for axis, values in zip(form.axes, singular_values(form), strict=True):
        alive = values[values > 0]
        largest = alive[0] if len(alive) else 1.0
        panel.plot(np.arange(1, len(alive) + 1), alive / largest, "o-", markersize=4, label=axis.name)
    panel.set_xlabel("function, by size")
    panel.set_ylabel("singular value over the largest")
    panel.legend(fontsize="small", title="axis")
    return panel


def singular_values(form: TuckerForm) -> list[Array]:
    """Return the singular values (r_d,) of the unfoldings along each axis, in L2."""
    blocks = [block([Columns(axis, factor)]) for axis, factor in zip(form.axes, form.factors, strict=True)]
    core, exponent = contracted(form.core, [triangular(own) for own in blocks])
    unfolded = [np.moveaxis(core, d, 0).reshape(core.shape[d], -1) for d in range(core.ndim)]
    return [np.ldexp(np.linalg.svd(triangular(matrix.T), compute_uv=False), exponent) for matrix in unfolded]


def _form(model: Any) -> CPForm | TuckerForm:
    if not isinstance(model, SeparatedModel):
        raise TypeError(f"model must be a CPModel or a TuckerModel, which have modes, got {type(model).__name__}")
    form = model._form()
    assert isinstance(form, CPForm | TuckerForm)
    return form


def _logs(form: CPForm) -> Array:
    """Return the logarithms of the modes' L2 norms."""
    blocks = [block([Columns(axis, factor)]) for axis, factor in zip(form.axes, form.factors, strict=True)]
    return np.asarray(normalised(blocks)[1].sum(axis=0))
