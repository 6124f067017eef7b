r"""Third central moments of sums of products: O(D R³), one mode against all pairs at a time.

For a product :math:`f = a\,b` of independent parts, with :math:`A = a - E a` and :math:`B = b - E b`,

.. math:: f - E f = A\,b + (E a)\,B,

so that the third central moments of modes l, m, n follow axis by axis from those of the axes before and of the axis
itself, always by products and sums and without subtracting large numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from inntd.models.conversions import cp_of_tucker
from inntd.models.cp_form import CPForm
from inntd.results.components import values_at
from inntd.results.densities import Density
from inntd.results.setting import Setting

Array = npt.NDArray[np.float64]

MOST_MODES = 1000


@dataclass(frozen=True)
class _Axis:
    """One axis: means (R,), covariances (R, R), and centred functions (Q, R) with weights (Q,)."""

    means: Array
    covariances: Array
    centred: Array
    weights: Array

    @classmethod
    def of(cls, density: Density, factor: Array) -> _Axis:
        points, weights = density.rule(3)
        values = values_at(density.axis, factor - factor[0], points)
        means = weights @ values
        centred = values - means
        return cls(factor[0] + means, centred.T @ (weights[:, None] * centred), centred, weights)

    def third(self, mode: int) -> Array:
        """Return the third central moments (R, R) of one mode with all pairs."""
        weighted = self.centred * (self.weights * self.centred[:, mode])[:, None]
        return np.asarray(self.centred.T @ weighted)


def third_moments(given: Setting, points: Array) -> Array:
    """Return the third central moments (K,) over the random axes at points (K, D) of the kept ones.

    Raises
    ------
    MemoryError
        When the model has too many modes.
    """
    form = given.field._form()
    form = form if isinstance(form, CPForm) else cp_of_tucker(form)
    if form.modes > MOST_MODES:
        raise MemoryError(
            f"a third moment of {form.modes} modes takes {form.modes:,}³ products, more than with {MOST_MODES:,}: "
            "round the model first, with round(tolerance=...)"
        )
    factors = dict(zip(form.axes, form.factors, strict=True))
    at = np.ones((len(points), form.modes))
    for d, axis in enumerate(given.kept):
        at = at * values_at(axis, factors[axis], points[:, d])
    total = np.zeros(len(points))
    axes = [_Axis.of(density, factors[density.axis]) for density in given.random]
    for mode, moments in enumerate(_moments(axes)):
        total += at[:, mode] * np.einsum("km,km->k", at @ moments, at)
    return total


def _moments(axes: list[_Axis]) -> Iterator[Array]:
    """Yield the third central moments (R, R) of each mode with all pairs, over all axes."""
    modes = axes[0].means.size
    before: list[tuple[Array, Array]] = []  # means and covariances of the axes before each
    means, covariances = np.ones(modes), np.zeros((modes, modes))
    for own in axes:
        before.append((means, covariances))
        products = covariances * (own.covariances + np.outer(own.means, own.means))
        covariances = products + np.outer(means, means) * own.covariances
        means = means * own.means
    for mode in range(modes):
        third = np.zeros((modes, modes))
        for own, (mean, covariance) in zip(axes, before, strict=True):
            third = _joined(third, mean, covariance, own, mode)
        yield third


def _joined(third: Array, mean: Array, covariance: Array, own: _Axis, mode: int) -> Array:
    """Return the third central moments with one more axis.

    In the notation above: E[AAA] E[bbb], three terms such as E[A_l A_m] E[a_n] E[b_l b_m B_n], and E[aaa] E[BBB].
    """
    b, c, rest = own.means, own.covariances, own.third(mode)
    from_l, from_mn = np.outer(c[mode], b), c * b[mode]  # covariances of two functions times the mean of the third
    raw = rest + from_l + from_l.T + from_mn + b[mode] * np.outer(b, b)
    found = third * raw
    with_n = covariance[mode][:, None] * mean[None, :] * (rest + b[mode] * c + np.outer(b, c[mode]))
    with_l = covariance * mean[mode] * (rest + from_l + from_l.T)
    return np.asarray(found + with_n + with_n.T + with_l + mean[mode] * np.outer(mean, mean) * rest)
