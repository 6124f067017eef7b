"""The unknowns of a problem by name, taken out of the one model of all components."""

from __future__ import annotations

import numpy as np

from inntd.models import CPModel, TuckerModel
from inntd.problems import Problem
from inntd.problems.expand import Slot
from inntd.problems.fields import Unknown


def fields_by_name(problem: Problem, model: CPModel | TuckerModel) -> dict[str, CPModel | TuckerModel]:
    """Return one model per unknown, over the unknown's own axes in their order.

    Parameters
    ----------
    problem
        What was solved.
    model
        Its solution, over all axes of the problem.
    """
    if len(problem.unknowns) == 1:
        return {problem.unknown.name: model}
    slots = problem.setting.slots
    return {unknown.name: _part(problem, model, unknown, slots[unknown]) for unknown in problem.unknowns}


def _part(problem: Problem, model: CPModel | TuckerModel, unknown: Unknown, slot: Slot) -> CPModel | TuckerModel:
    assert problem.component is not None
    label = problem.axes[problem.component].name
    if unknown.component_axis is None:
        scalar: CPModel | TuckerModel = model.at({label: slot.first})
        return scalar
    factors = [np.asarray(factor.detach()) for factor in model.factors]
    factors[problem.component] = factors[problem.component][slot.first : slot.first + (slot.count or 1)]
    names = [axis.name for axis in problem.axes]  # by name: axes may have got breaks since they were declared
    order = [problem.component if axis is unknown.component_axis else names.index(axis.name) for axis in unknown.axes]
    axes = [axis if axis.discrete else problem.axes[d] for axis, d in zip(unknown.axes, order, strict=True)]
    chosen = [factors[d] for d in order]
    if isinstance(model, TuckerModel):
        core = np.asarray(model.core.detach()).transpose(order)
        return TuckerModel.from_factors(axes, core, chosen)
    return CPModel.from_factors(axes, chosen)
