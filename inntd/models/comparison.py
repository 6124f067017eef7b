r"""Lengths, distances and inner products of separated functions of any form.

In orthonormal coordinates of each axis (`metric.py`) the columns of two functions u and v are one block :math:`B_d`.
Two CP forms are one CP form with twice the modes (`norms.py`). Where one of them, u, is a Tucker form, a QR
decomposition of every block turns its columns into :math:`R_d` and those of v into :math:`S_d` within the span of the
former, and :math:`T_d` outside. The difference then falls into orthogonal parts,

.. math:: \|u - v\|^2 = \|G \times_d R_d - v(S_1, \dots, S_D)\|^2
          + \sum_d \|v(S_1, \dots, S_{d-1}, T_d, (S, T)_{d+1}, \dots, (S, T)_D)\|^2,

whose squares are added: nothing cancels but the numbers themselves, and no digits are lost.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from inntd.axes import Axis
from inntd.models import norms
from inntd.models.cp_form import CPForm
from inntd.models.doubled import Array
from inntd.models.forms import Form, normal, scaled
from inntd.models.metric import Columns, block
from inntd.models.tucker_form import TuckerForm


def blocks(forms: Sequence[Form], order: int = 0) -> list[Array]:
    """Return one block per axis for the columns of several functions side by side, or for their derivatives."""
    return [block(_columns(forms, d, order)) for d in range(len(forms[0].axes))]


def log_length(form: Form, kind: str) -> float:
    """Return the logarithm of the L2 or H1 norm."""
    found = blocks([form])
    if isinstance(form, CPForm):
        return _cp_log_norm([form], found, np.ones(form.modes), kind)
    return _log_norm_of_kind([form], found, kind, form.log_norm)


def log_distance(first: Form, second: Form, kind: str) -> float:
    """Return the logarithm of the L2 or H1 norm of the difference of two functions."""
    if isinstance(second, TuckerForm):
        first, second = second, first
    forms = [first, second]
    found = blocks(forms)
    if isinstance(first, TuckerForm):
        own = first
        return _log_norm_of_kind(forms, found, kind, lambda joint: log_difference(own, forms[1], joint))
    assert isinstance(first, CPForm)
    modes = [form.factors[0].shape[1] for form in forms]
    return _cp_log_norm(forms, found, np.repeat([1.0, -1.0], modes), kind)


def log_difference(first: TuckerForm, second: Form, joint: Sequence[Array]) -> float:
    """Return the logarithm of the norm of the difference, from the joint blocks (k_d, r_d + s_d)."""
    own, inside, outside, whole = [], [], [], []
    for rank, matrix in zip(first.core.shape, joint, strict=True):
        factor: Array = np.asarray(np.linalg.qr(matrix, mode="r"))
        cut = min(rank, factor.shape[0])
        own.append(factor[:cut, :rank])
        inside.append(factor[:cut, rank:])
        outside.append(factor[cut:, rank:])
        whole.append(factor[:, rank:])
    logs = [
        second.log_norm([*inside[:d], outside[d], *whole[d + 1 :]]) for d in range(len(joint)) if outside[d].shape[0]
    ]
    (left, exponent), (right, other) = first.dense(own), second.dense(inside)
    top = max(exponent if left.any() else other, other if right.any() else exponent)
    length = float(np.linalg.norm(scaled(left, exponent - top) - scaled(right, other - top)))
    logs.append(math.log(length) + top * math.log(2) if length > 0 else -math.inf)
    return norms.log_sum(logs)


def inner(first: Form, second: Form) -> float:
    """Return the L2 inner product of two functions."""
    if isinstance(second, TuckerForm):
        first, second = second, first
    found = blocks([first, second])
    if not isinstance(first, TuckerForm):
        return _cp_inner(found, first.factors[0].shape[1])
    cross = [matrix[:, :rank].T @ matrix[:, rank:] for rank, matrix in zip(first.core.shape, found, strict=True)]
    (array, exponent), (core, own) = second.dense(cross), normal(first.core)
    return norms.ldexp(float(np.vdot(array, core)), exponent + own)


def _columns(forms: Sequence[Form], d: int, order: int) -> list[Columns]:
    return [Columns(form.axes[d], form.factors[d], order) for form in forms]


def _in_space(axis: Axis) -> bool:
    return axis.kind == "space" and not axis.discrete


def _log_norm_of_kind(
    forms: Sequence[Form], found: list[Array], kind: str, log_norm: Callable[[list[Array]], float]
) -> float:
    logs = [log_norm(found)]
    for d, axis in enumerate(forms[0].axes):
        if kind == "H1" and _in_space(axis):
            logs.append(log_norm([*found[:d], block(_columns(forms, d, 1)), *found[d + 1 :]]))
    return norms.log_sum(logs)


def _cp_log_norm(forms: Sequence[Form], found: list[Array], weights: Array, kind: str) -> float:
    """Return the same for CP forms, with the products of the Gram matrices shared by all axes."""
    length = norms.log_norm(found, weights)
    if kind == "L2":
        return length
    replaced = [block(_columns(forms, d, 1)) if _in_space(axis) else None for d, axis in enumerate(forms[0].axes)]
    return norms.log_sum([length, *norms.log_norms_replaced(found, replaced, weights)])


def _cp_inner(found: Sequence[Array], modes: int) -> float:
    unit, logs = norms.normalised(found)
    cosines = np.ones((modes, logs.shape[1] - modes))
    for matrix in unit:
        cosines *= matrix[:, :modes].T @ matrix[:, modes:]
    left, right = np.split(logs.sum(axis=0), [modes])
    tops = [float(sizes.max()) for sizes in (left, right)]
    if not all(map(math.isfinite, tops)):
        return 0.0 if -math.inf in tops else math.nan
    value = float(np.exp(left - tops[0]) @ cosines @ np.exp(right - tops[1]))
    return math.copysign(norms.exp(math.log(abs(value)) + sum(tops)), value) if value else 0.0
