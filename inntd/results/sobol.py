"""Sobol' indices: which share of a field's variance is due to which axes."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from inntd import _checks
from inntd._kernels import blas_threads
from inntd.axes import Axis
from inntd.results import sampled
from inntd.results.by_slab import joined, slabs_of
from inntd.results.setting import Setting, setting
from inntd.results.shares import ExactShares, SampledShares
from inntd.results.statistic import Estimate, Statistic

Array = npt.NDArray[np.float64]
Groups = dict[str, tuple[int, ...]]  # numbers of random axes by the name of their group


@dataclass(frozen=True)
class SobolIndices:
    """Shares of the variance by random axis, or by group of them.

    Each entry is a float, an `Estimate` with its standard error where it comes from samples, or a `Statistic`: a
    function of the axes that are not random, NaN where the field does not vary.

    Parameters
    ----------
    variance : float or Statistic
    first : dict of str
        First-order indices, by name: the share that an axis explains on its own.
    total : dict of str
        Total indices: the share of all in which an axis takes part.
    second : dict of pairs of str
        Shares of the joint effects of two axes, beyond their own; where they were asked for.
    """

    variance: Any
    first: dict[str, Any]
    total: dict[str, Any]
    second: dict[tuple[str, str], Any] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """Names of the axes, or groups."""
        return list(self.first)

    def rows(self) -> list[tuple[str, str]]:
        """Return names and values in words, largest totals first; of functions only their names."""
        if any(isinstance(value, Statistic) for value in self.first.values()):
            return [(name, "a function of the other axes: .first[name].grid(...)") for name in self.names]
        order = sorted(self.names, key=lambda name: -self.total[name])
        found = [(name, f"first {_worded(self.first[name])}  total {_worded(self.total[name])}") for name in order]
        pairs = sorted(self.second, key=lambda pair: -self.second[pair])
        return found + [(" and ".join(pair), f"joint {_worded(self.second[pair])}") for pair in pairs]

    def __str__(self) -> str:
        rows = self.rows()
        width = max(len(name) for name, _ in rows) + 2
        return "\n".join(f"{name:<{width}}{value}" for name, value in rows)


@blas_threads()
def sobol_indices(
    field: Any,
    *over: Axis | str,
    densities: Mapping[str, Any] | None = None,
    renormalise: bool = False,
    groups: Mapping[str, Sequence[Axis | str]] | None = None,
    order: Literal[1, 2] = 1,
    samples: int = sampled.SAMPLES,
    seed: int = 0,
) -> SobolIndices:
    """Return first-order and total Sobol' indices of the random axes, exactly from the factors.

    Parameters
    ----------
    field : Field
    *over : Axis or str
        The random axes. Default: all but those of kind ``"component"``. When others are left, indices are functions
        of these, such as of space and time.
    densities : mapping of str to distribution, optional
        For every random axis a frozen distribution of `scipy.stats`, ``"uniform"``, or on a discrete axis the
        probabilities of its values. Default: all uniform.
    renormalise : bool, default False
        Cut densities that reach beyond the ends of their axis off there, and scale them up.
    groups : mapping of str to sequence of Axis or str, optional
        Random axes that count as one, by the name of their group; others are groups of their own.
    order : {1, 2}, default 1
        2: also the joint effects of all pairs.
    samples : int
        Of fields whose `exact_statistics` is False: how many points, times the number of groups plus two.
    seed : int, default 0
        Of these points.

    Raises
    ------
    ValueError
        When the field does not vary, names or densities are wrong, or an axis is in two groups.

    Notes
    -----
    First-order indices cost O(D R²) for a CP model of R modes, total ones the same; groups and pairs as much for each
    of their axes, and pairs of them. Tucker models: O(D r^(D+1)).

    References
    ----------
    Sobol', "Global sensitivity indices for nonlinear mathematical models", Math. Comput. Simul. 55, 2001. Homma and
    Saltelli, "Importance measures in global sensitivity analysis of nonlinear models", Reliab. Eng. Syst. Saf. 52,
    1996.

    Examples
    --------
    >>> import numpy as np, inntd as it
    >>> from inntd.results.statistics import sobol_indices
    >>> x, y = (it.Axis(name, -1, 1, elements=8) for name in "xy")
    >>> ones = np.ones(9)
    >>> u = it.CPModel.from_factors([x, y], [np.stack([x.nodes, x.nodes], 1), np.stack([ones, y.nodes], 1)])  # x + x y
    >>> print(sobol_indices(u, order=2))
    x        first 0.75  total 1
    y        first 0  total 0.25
    x and y  joint 0.25
    """
    parts = [
        sobol_indices(part, *over, densities=densities, renormalise=renormalise, groups=groups, order=order)
        for part in slabs_of(field, over)
    ]
    if parts:
        return _joined(field, parts)
    given = setting(field, over, densities, renormalise)
    pairwise = _checks.positive_int("order", order, maximum=2) == 2
    chosen = _groups(given, groups)
    shares = ExactShares(given) if given.exact else SampledShares(given, samples, seed)
    pairs = itertools.combinations(chosen, 2) if pairwise else ()
    return SobolIndices(
        shares.variance(),
        {name: shares.first(group) for name, group in chosen.items()},
        {name: shares.total(group) for name, group in chosen.items()},
        {(a, b): shares.joint([chosen[a], chosen[b]]) for a, b in pairs},
    )


@blas_threads()
def interaction(
    field: Any,
    *names: Axis | str,
    over: Sequence[Axis | str] = (),
    densities: Mapping[str, Any] | None = None,
    renormalise: bool = False,
    groups: Mapping[str, Sequence[Axis | str]] | None = None,
    samples: int = sampled.SAMPLES,
    seed: int = 0,
) -> Any:
    """Return the share of the variance that some axes or groups explain only all together.

    Parameters
    ----------
    field : Field
    *names : Axis or str
        Random axes, or names of `groups`; one of them gives its first-order index.
    over : sequence of Axis or str, optional
        The random axes, see `sobol_indices`.
    densities, renormalise, groups, samples, seed
        See `sobol_indices`.

    Examples
    --------
    >>> import inntd as it
    >>> from inntd.results.statistics import interaction
    >>> axes = [it.Axis(name, -1, 1, elements=8) for name in "xyz"]
    >>> u = it.CPModel.from_factors(axes, [axis.nodes[:, None] for axis in axes])  # x y z
    >>> round(interaction(u, "x", "y", "z"), 12), round(interaction(u, "x", "y"), 12)
    (1.0, 0.0)
    """
    parts = [
        interaction(part, *names, over=over, densities=densities, renormalise=renormalise, groups=groups)
        for part in slabs_of(field, over)
    ]
    if parts:
        return joined(field, parts)
    given = setting(field, over, densities, renormalise)
    known = _groups(given, groups)
    wanted = [axis.name if isinstance(axis, Axis) else axis for axis in names]
    odd = [name for name in wanted if name not in known]
    if odd or not wanted or len(set(wanted)) < len(wanted):
        raise ValueError(f"names must be different ones of {', '.join(known)}, got {', '.join(wanted) or 'none'}")
    shares = ExactShares(given) if given.exact else SampledShares(given, samples, seed)
    return shares.joint([known[name] for name in wanted])


def _joined(field: Any, parts: Sequence[SobolIndices]) -> SobolIndices:
    """Return the indices of a field from those of its slabs."""
    whole = parts[0]
    return SobolIndices(
        joined(field, [part.variance for part in parts]),
        {name: joined(field, [part.first[name] for part in parts]) for name in whole.first},
        {name: joined(field, [part.total[name] for part in parts]) for name in whole.total},
        {pair: joined(field, [part.second[pair] for part in parts]) for pair in whole.second},
    )


def _groups(given: Setting, groups: Mapping[str, Sequence[Axis | str]] | None) -> Groups:
    names = given.names
    found: Groups = {}
    place: dict[str, str] = {}
    for group, members in (groups or {}).items():
        if isinstance(members, str) or not members:
            raise TypeError(f"groups must map names to lists of axes, got {members!r} for {group!r}")
        for member in members:
            name = member.name if isinstance(member, Axis) else member
            if name not in names:
                raise ValueError(f"group {group!r} must hold random axes, {', '.join(names)}, got {name!r}")
            if name in place:
                raise ValueError(f"an axis must be in one group, got {name!r} in {place[name]!r} and {group!r}")
            place[name] = group
    for d, name in enumerate(names):
        group = place.get(name, name)
        if name not in place and group in (groups or {}):
            raise ValueError(f"group {group!r} must not have the name of an axis outside of it: rename it")
        found[group] = (*found.get(group, ()), d)
    return found


def _worded(value: float) -> str:
    text = f"{round(float(value), 12) + 0.0:.4g}"
    return f"{text} ± {value.standard_error:.1g}" if isinstance(value, Estimate) else text
