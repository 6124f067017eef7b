"""The analysis of variance of a model: its components, in the form that it has."""

from __future__ import annotations

from inntd.models.cp_form import CPForm
from inntd.models.separated import SeparatedModel
from inntd.models.tucker_form import TuckerForm
from inntd.results.components import Components
from inntd.results.cp_components import CPComponents
from inntd.results.setting import Setting
from inntd.results.tucker_components import TuckerComponents


def components_of(setting: Setting) -> Components:
    """Return the components of a setting's CP or Tucker model.

    Examples
    --------
    >>> import inntd as it
    >>> from inntd.results.components import Part
    >>> from inntd.results.setting import setting
    >>> axes = [it.Axis(name, -1, 1, elements=8) for name in "xy"]
    >>> u = it.CPModel.from_factors(axes, [axis.nodes[:, None] for axis in axes])  # x y, without main effects
    >>> components_of(setting(u, ())).log_norms(Part.MEAN, Part.MEAN)
    [-inf, -inf]
    """
    model: SeparatedModel = setting.field
    form = model._form()
    if isinstance(form, CPForm):
        return CPComponents(setting, form)
    assert isinstance(form, TuckerForm)
    return TuckerComponents(setting, form)
