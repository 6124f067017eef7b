r"""Separated functions in orthonormal coordinates, fitted by Levenberg-Marquardt under penalties learnt from the data.

The model is :math:`f(x) = c + \sum_d a_d(x_d) + \sum_m \prod_d f_{dm}(x_d)`, each function a sum of `Coordinates`. Its
coefficients have independent normal priors of precision :math:`\tau_g r_j` by groups g: the smooth and the curved
coefficients of each axis, of modes and of additive functions. With the noise :math:`\sigma^2` of the data the fit
minimises :math:`\|y - f\|^2 + \sigma^2 \sum_g \tau_g \sum_j r_j c_j^2`. Between steps both are set to what the current
fit supports (fixed points of the linearised evidence: Fellner and Schall; MacKay).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import LinAlgError, cho_factor, cho_solve, solve_triangular

from inntd.training.coordinates import Coordinates

Array = npt.NDArray[np.float64]

LEAST_NOISE = 1e-20  # of the variance of the values
PRECISIONS = (1e-6, 1e6)
NEW_MODE = 10.0  # largest precision when a mode is added: it would vanish otherwise
LEVERAGE = 0.97  # no sample counts as fitted by itself entirely


@dataclass
class Fit:
    """Coefficients of one model.

    Attributes
    ----------
    constant : float
    additive : list of arrays (q_d - 1,), or empty arrays without additive functions
    modes : list of arrays (q_d, M)
    tau : array (groups,)
        Precisions.
    noise : float
        sigma^2.
    """

    constant: float
    additive: list[Array]
    modes: list[Array]
    tau: Array
    noise: float

    @property
    def rank(self) -> int:
        """Number of modes."""
        return int(self.modes[0].shape[1])

    def vector(self) -> Array:
        """Return all coefficients: constant, additive, modes axis by axis."""
        return np.concatenate([[self.constant], *self.additive, *(mode.ravel() for mode in self.modes)])

    def moved(self, vector: Array) -> Fit:
        """Return a fit with other coefficients."""
        additive, modes, at = [], [], 1
        for part in self.additive:
            additive.append(vector[at : at + part.size])
            at += part.size
        for mode in self.modes:
            modes.append(vector[at : at + mode.size].reshape(mode.shape))
            at += mode.size
        return Fit(float(vector[0]), additive, modes, self.tau, self.noise)


class Samples:
    """Values of all coordinates at the samples, and what can be computed from them.

    Parameters
    ----------
    coordinates : sequence of D Coordinates
    x : array (K, D)
    y : array (K,)
        Of mean zero and variance one.
    weights : array (K,)
        Of mean one.
    """

    def __init__(self, coordinates: Sequence[Coordinates], x: Array, y: Array, weights: Array) -> None:
        self.coordinates = list(coordinates)
        self.phi = [c.tabulate(x[:, d]) for d, c in enumerate(coordinates)]
        self.y, self.root = y, np.sqrt(weights)

    def start(self, additive: bool) -> Fit:
        """Return the zero function, with or without additive functions."""
        sizes = [c.size for c in self.coordinates]
        parts = [np.zeros(q - 1 if additive else 0) for q in sizes]
        return Fit(0.0, parts, [np.zeros((q, 0)) for q in sizes], np.ones(4 * len(sizes)), 1e-2)

    def values(self, fit: Fit) -> Array:
        """Return the model's values at the samples."""
        total = np.full(len(self.y), fit.constant)
        for phi, part in zip(self.phi, fit.additive, strict=True):
            if part.size:
                total += phi[:, 1:] @ part
        if fit.rank:
            product = self.phi[0] @ fit.modes[0]
            for phi, mode in zip(self.phi[1:], fit.modes[1:], strict=True):
                product = product * (phi @ mode)
            total += product.sum(1)
        return total

    def jacobian(self, fit: Fit) -> tuple[Array, Array]:
        """Return weighted residuals (K,) and the weighted derivatives (K, P) of the values."""
        f = [phi @ mode for phi, mode in zip(self.phi, fit.modes, strict=True)]
        others = _others(f)
        product = others[0] * f[0]
        columns = [np.ones((len(self.y), 1))]
        total = np.full(len(self.y), fit.constant)
        for phi, part in zip(self.phi, fit.additive, strict=True):
            if part.size:
                columns.append(phi[:, 1:])
                total += phi[:, 1:] @ part
        for phi, other in zip(self.phi, others, strict=True):
            columns.append((phi[:, :, None] * other[:, None, :]).reshape(len(phi), -1))
        residual = self.y - total - product.sum(1)
        return self.root * residual, self.root[:, None] * np.concatenate(columns, 1)

    def penalties(self, fit: Fit) -> tuple[npt.NDArray[np.int64], Array]:
        """Return each coefficient's group, -1 for none, and its roughness."""
        groups, rough = [np.array([-1])], [np.zeros(1)]
        count = len(self.coordinates)
        for d, (c, part) in enumerate(zip(self.coordinates, fit.additive, strict=True)):
            if part.size:
                groups.append(np.where(np.arange(1, c.size) < c.smooth, d, count + d))
                rough.append(c.roughness[1:])
        for d, c in enumerate(self.coordinates):
            kind = np.where(np.arange(c.size) < c.smooth, 2 * count + d, 3 * count + d)
            groups.append(np.repeat(kind, fit.rank))
            rough.append(np.repeat(np.r_[1.0, c.roughness[1:]], fit.rank))
        return np.concatenate(groups), np.concatenate(rough)


def _others(f: list[Array]) -> list[Array]:
    """Return the products of all arrays but one, without a division."""
    before, after = [np.ones_like(f[0])], [np.ones_like(f[0])]
    for g in f[:-1]:
        before.append(before[-1] * g)
    for g in f[:0:-1]:
        after.append(after[-1] * g)
    return [a * b for a, b in zip(before, reversed(after), strict=True)]


def _precisions(fit: Fit, groups: npt.NDArray[np.int64], rough: Array) -> Array:
    found: Array = np.where(groups < 0, 1e-12, fit.noise * fit.tau[groups] * rough)
    return found


def _learn(fit: Fit, groups: npt.NDArray[np.int64], rough: Array, inverse: Array, rss: float, count: int) -> None:
    """Set noise and precisions to what the fit supports; `inverse` is the diagonal of the inverse Hessian."""
    vector = fit.vector()
    penalty = _precisions(fit, groups, rough)
    determined = np.clip(1.0 - penalty * inverse, 0.0, 1.0)
    fit.noise = max(rss / max(count - determined.sum(), 0.05 * count), LEAST_NOISE)
    tau = fit.tau.copy()
    for g in np.unique(groups[groups >= 0]):
        own = groups == g
        size = float((rough[own] * vector[own] ** 2).sum())
        wanted = max(determined[own].sum(), 1e-3) / max(size, 1e-12)
        tau[g] = np.clip(wanted, max(tau[g] / 30, PRECISIONS[0]), min(tau[g] * 30, PRECISIONS[1]))
    fit.tau = tau


def improve(samples: Samples, fit: Fit, steps: int, tolerance: float = 1e-3) -> Fit:
    """Return the fit after at most `steps` steps of Levenberg-Marquardt with penalties learnt in between."""
    damping, before = 1e-3, np.inf
    for step in range(steps):
        residual, jacobian = samples.jacobian(fit)
        groups, rough = samples.penalties(fit)
        hessian = jacobian.T @ jacobian
        if step % 2 == 1:
            full = hessian + np.diag(_precisions(fit, groups, rough))
            inverse = _inverse_diagonal(full)
            if inverse is not None:
                _learn(fit, groups, rough, inverse, float(residual @ residual), len(residual))
        penalty = _precisions(fit, groups, rough)
        vector = fit.vector()
        objective = float(residual @ residual + penalty @ vector**2)
        gradient = jacobian.T @ residual - penalty * vector
        diagonal = np.einsum("ii->i", hessian).copy() + penalty
        accepted = False
        for _ in range(8):
            np.einsum("ii->i", hessian)[:] = diagonal * (1 + damping)
            try:
                moved = fit.moved(vector + cho_solve(cho_factor(hessian, lower=True), gradient))
            except LinAlgError:
                damping *= 10
                continue
            rest = samples.root * (samples.y - samples.values(moved))
            now = float(rest @ rest + penalty @ moved.vector() ** 2)
            if now < objective:
                fit, accepted, damping = moved, True, max(damping / 8, 1e-9)
                break
            damping *= 6
        if not accepted or (step % 2 == 0 and step > 2 and abs(before - now) < tolerance * now):
            break
        if step % 2 == 0:
            before = now
    return fit


def _inverse_diagonal(matrix: Array) -> Array | None:
    try:
        lower = np.linalg.cholesky(matrix)
    except np.linalg.LinAlgError:
        return None
    half = solve_triangular(lower, np.eye(len(matrix)), lower=True)
    found: Array = (half**2).sum(0)
    return found


def left_out(samples: Samples, fit: Fit) -> Array:
    """Return each sample's prediction by the fit to the others, linearised (K,)."""
    residual, jacobian = samples.jacobian(fit)
    groups, rough = samples.penalties(fit)
    hessian = jacobian.T @ jacobian + np.diag(np.maximum(_precisions(fit, groups, rough), 1e-14))
    try:
        half = solve_triangular(np.linalg.cholesky(hessian), jacobian.T, lower=True)
    except np.linalg.LinAlgError:
        return np.full(len(residual), np.inf)
    leverage = np.minimum((half**2).sum(0), LEVERAGE)
    root = np.where(samples.root > 0, samples.root, 1.0)
    found: Array = samples.y - residual / root / (1 - leverage)
    return found


def with_new_mode(samples: Samples, fit: Fit, random: np.random.Generator, starts: int = 5) -> Fit:
    """Return the fit with one more mode, by rank-1 alternating least squares on the residual from a few starts."""
    residual = samples.y - samples.values(fit)
    best: tuple[float, list[Array]] | None = None
    for _ in range(starts):
        mode = [_random_function(c, random) for c in samples.coordinates]
        loss = _alternate(samples, mode, residual, fit)
        if best is None or loss < best[0]:
            best = (loss, mode)
    assert best is not None
    modes = [np.column_stack([old, new]) for old, new in zip(fit.modes, _balanced(best[1]), strict=True)]
    tau = fit.tau.copy()
    count = len(samples.coordinates)
    tau[2 * count :] = np.minimum(tau[2 * count :], NEW_MODE)
    return Fit(fit.constant, fit.additive, modes, tau, fit.noise)


def _random_function(c: Coordinates, random: np.random.Generator) -> Array:
    start = np.zeros(c.size)
    start[0] = 1.0
    start[1 : min(3, c.size)] = 0.7 * random.standard_normal(min(3, c.size) - 1)
    return start


def _alternate(samples: Samples, mode: list[Array], residual: Array, fit: Fit, sweeps: int = 4) -> float:
    f = [phi @ part for phi, part in zip(samples.phi, mode, strict=True)]
    loss = float(residual @ residual)
    for _ in range(sweeps):
        for d, (phi, c) in enumerate(zip(samples.phi, samples.coordinates, strict=True)):
            other = samples.root * np.prod([g for e, g in enumerate(f) if e != d], axis=0)
            design = phi * other[:, None]
            normal = design.T @ design
            ridge = 1e-3 * max(np.trace(normal) / len(normal), 1e-30)
            mode[d] = np.linalg.solve(
                normal + ridge * np.diag(np.r_[1e-3, c.roughness[1:]]), design.T @ (samples.root * residual)
            )
            if d < len(f) - 1:
                mode[d] = mode[d] / (float(np.sqrt(mode[d] @ mode[d])) + 1e-30)
            f[d] = phi @ mode[d]
            loss = float(np.sum((samples.root * (residual - np.prod(f, axis=0))) ** 2))
    return loss


def _balanced(mode: list[Array]) -> list[Array]:
    norms = [float(np.sqrt(part @ part)) + 1e-30 for part in mode]
    level = float(np.exp(np.mean(np.log(norms))))
    return [part * (level / norm) for part, norm in zip(mode, norms, strict=True)]
