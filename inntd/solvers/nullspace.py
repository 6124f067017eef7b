"""Finds operators that leave a solution undetermined before anything is solved."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from inntd.solvers.operator import DiscreteSystem
from inntd.solvers.rigid import free_motion

# Operators whose terms cancel to less than this on the solution are reported as singular.
SINGULAR = 1e-6


def constant_nullspace(system: DiscreteSystem, names: Sequence[str] = ()) -> bool:
    """Say whether exactly the constants are undetermined; raise when more is, or when no solution exists.

    A term kills the constants when one of its 1-D matrices does on an axis without Dirichlet values.

    Parameters
    ----------
    system
        The assembled system.
    names
        Of the components of a vector problem, for messages.

    Raises
    ------
    ValueError
        If whole functions of some axes are undetermined, the constants of one component of several are, or the source
        has a mean that nothing can balance.
    """
    if system.component is not None:
        _check_components(system, names)
        return False
    kills = _kills(system, None)
    if not kills.any(axis=1).all():
        return False
    for d, axis in enumerate(system.axes):
        if kills[:, d].all() and len(system.axes) > 1:
            others = ", ".join(other.name for other in system.axes if other is not axis)
            raise ValueError(
                f"the operator leaves the solution undetermined: every term differentiates along {axis.name!r}, which "
                f"has no Dirichlet condition, so any function of {others} solves the homogeneous problem; add a "
                f"condition on {axis.name}.start or {axis.name}.end"
            )
    _check_symmetry(system)
    _check_balance(system)
    return True


def _kills(system: DiscreteSystem, component: int | None) -> npt.NDArray[np.bool_]:
    """Return for each term and axis whether the constant (of one component) vanishes there, an array (T, D)."""
    kills = np.zeros(system.terms.shape, dtype=bool)
    for d, (axis, matrices, free) in enumerate(zip(system.axes, system.matrices, system.free, strict=True)):
        fixed = system.fixed[d] if component is not None else None
        pinned = fixed is not None and component is not None and bool(fixed[:, component].any())
        if d == system.component:
            zero = [not matrix.toarray()[:, component].any() for matrix in matrices]
        elif free.stop - free.start < axis.size or pinned:
            continue
        else:
            zero = [_kills_constants(matrix.band) for matrix in matrices]
        kills[:, d] = np.array(zero)[system.terms[:, d]]
    return kills


def _check_components(system: DiscreteSystem, names: Sequence[str]) -> None:
    """Refuse vector problems in which the constants of a component are undetermined: rigid motions, a pressure's level.

    Several of them together are no matter of subtracting a mean, so they are refused rather than chosen.
    """
    assert system.component is not None
    count = system.axes[system.component].size
    loose = [k for k in range(count) if _kills(system, k).any(axis=1).all()]
    if loose:
        shown = ", ".join(_name(names, k) for k in loose)
        raise ValueError(
            f"the operator leaves the solution undetermined: any constant may be added to {shown}, which no Dirichlet "
            "condition and no term without derivatives fixes (a rigid translation, or the level of a pressure); "
            f"prescribe {shown} on a face, or add a term that is not differentiated"
        )
    motion = free_motion(system)
    if motion:
        parts = [f"{c:+.3g} {axis}".strip() + f" in {_name(names, k)}" for (k, axis), c in motion.items()]
        raise ValueError(
            f"the operator leaves the solution undetermined: it does not see the motion with {', '.join(parts)} "
            "(a rigid rotation, say), and no Dirichlet condition prevents it; prescribe one more component on a face"
        )


def _name(names: Sequence[str], component: int) -> str:
    return names[component] if component < len(names) else f"component {component}"


def _kills_constants(band: npt.NDArray[np.float64]) -> bool:
    return bool(np.abs(band.sum(axis=1)).max() <= 1e-10 * np.abs(band).sum(axis=1).max())


def _check_symmetry(system: DiscreteSystem) -> None:
    """First-order terms change which sources have a solution: that is not found here, so it is refused."""
    for axis, matrices in zip(system.axes, system.matrices, strict=True):
        if not all(matrix.symmetric for matrix in matrices):
            raise ValueError(
                f"first-order terms along {axis.name!r} with natural or periodic boundaries everywhere leave the "
                f"solution undetermined; prescribe values on a face, for instance on {axis.name}.start"
            )


def _check_balance(system: DiscreteSystem) -> None:
    """The load of a singular problem must vanish on the constants."""
    if len(system.load_logs) == 0:
        return
    weights = system.load_signs * np.exp(system.load_logs - system.load_logs.max())
    total, size = weights.copy(), np.abs(weights)
    for d, vectors in enumerate(system.vectors):
        total *= vectors.sum(axis=0)[system.load_terms[:, d]]
        size *= np.abs(vectors).sum(axis=0)[system.load_terms[:, d]]
    if abs(total.sum()) > 1e-8 * size.sum():
        raise ValueError(
            "the problem has no solution: with natural or periodic boundaries everywhere the source must have a zero "
            f"mean, but its integral is {abs(total.sum()) / size.sum():.1e} of that of its absolute value; "
            "subtract its mean, or prescribe values on a face"
        )


def cancellation(system: DiscreteSystem, factors: list[npt.NDArray[np.float64]]) -> float:
    """Return |a(u, u)| over the sum of its terms' sizes, for modes on the free nodes; 1 when all terms have one sign.

    A solution that lies almost in the kernel of an indefinite operator makes its terms cancel: near zero the operator
    is singular, or so close to it that the solution has few digits.
    """
    if (system.coefficients > 0).all() or (system.coefficients < 0).all() or factors[0].shape[1] == 0:
        return 1.0
    products = np.repeat(system.coefficients[:, None, None], factors[0].shape[1], axis=1) + np.zeros(
        factors[0].shape[1]
    )
    for d, (axis, free, factor) in enumerate(zip(system.axes, system.free, factors, strict=True)):
        full = np.zeros((axis.size, factor.shape[1]))
        full[free] = factor / max(float(np.abs(factor).max()), 1e-300)
        grams = np.stack([full.T @ (matrix @ full) for matrix in system.matrices[d]])
        products = products * grams[system.terms[:, d]]
    parts = products.sum(axis=(1, 2))
    size = float(np.abs(parts).sum())
    return abs(float(parts.sum())) / size if size > 0 else 1.0


def singular_message(left: float) -> str | None:
    """Return what to say about an operator whose terms cancel to `left` of their size; None when that is well."""
    if left > SINGULAR:
        return None
    return (
        f"the operator is singular or nearly so: its terms cancel on the solution to {left:.0e} of their size; "
        "change the coefficient of the negative term, or the conditions"
    )
