"""Few coordinates for mild parameters and the mean pencil: the same solution as without them."""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt
import pytest
from sympy import cos, pi

import inntd as it
from inntd.solvers import working
from inntd.solvers.alternating import Plan, solve_alternating
from inntd.solvers.mean import mean_pencil
from inntd.solvers.operator import assemble
from inntd.solvers.subspaces import find_subspaces
from inntd.solvers.working import WorkingSystem

Array = npt.NDArray[np.float64]


def random_diffusion(terms: int, spread: float, elements: int = 24) -> it.Problem:
    """-(k u')' = 1 with k = 1 + spread * sum of cosines times parameters in [-1, 1]."""
    x = it.Axis("x", 0, 1, elements=elements)
    zeta = [it.Axis(f"z{j}", -1, 1, elements=elements, kind="parameter") for j in range(1, terms + 1)]
    u, v = it.unknown("u", x, *zeta), it.test_function()
    k = 1 + sum(spread / j * cos(pi * j * x) * z for j, z in enumerate(zeta, start=1))
    return it.Problem(weak=k * it.diff(v, x) * it.diff(u, x) - v, conditions=[u.on(x) == 0])


def field(factors: list[Array]) -> Array:
    """Nodal values of the sum of products on all axes."""
    letters = "abcdefgh"[: len(factors)]
    return np.asarray(np.einsum(",".join(f"{c}m" for c in letters) + "->" + letters, *factors, optimize=True))


@pytest.mark.parametrize(("spread", "rank"), [(0.02, 6), (0.2, 9)])
def test_few_coordinates_give_the_solution_of_all(spread: float, rank: int, monkeypatch: pytest.MonkeyPatch) -> None:
    system, plan = assemble(random_diffusion(2, spread, elements=80)), Plan(tolerance=None, rank=rank)
    sizes: list[int] = []
    fit = WorkingSystem.fit

    def recorded(self: WorkingSystem, modes: working.Modes, *, always: bool = False) -> object:
        found = fit(self, modes, always=always)
        sizes.append(len(self.coordinates[1].order))
        return found

    monkeypatch.setattr(WorkingSystem, "fit", recorded)
    reduced = solve_alternating(system, plan)
    assert sizes[-1] <= 40
    monkeypatch.setattr(working, "FIRST_LOOK", 10**6)
    whole = solve_alternating(system, plan)
    assert [factor.shape for factor in reduced.factors] == [factor.shape for factor in whole.factors]
    difference = np.linalg.norm(field(reduced.factors) - field(whole.factors))
    assert difference <= 5 * max(reduced.estimate, whole.estimate, 1e-11) * np.linalg.norm(field(whole.factors))


@pytest.mark.parametrize("rank", [11, 14])
def test_parameters_of_either_sign_reach_the_dense_solution(rank: int) -> None:
    """Their matrices are indefinite, and from 12 modes on all nodes of an axis are solved by one congruence."""
    system = assemble(random_diffusion(2, 0.3, elements=8))
    masks = []
    for axis, free in zip(system.axes, system.free, strict=True):
        masks.append(np.zeros(axis.size, dtype=bool))
        masks[-1][free] = True
    dense = [[m.restrict(mask).toarray() for m in own] for own, mask in zip(system.matrices, masks, strict=True)]
    operator = sum(
        c * functools.reduce(np.kron, [dense[d][j] for d, j in enumerate(term)])
        for c, term in zip(system.coefficients, system.terms, strict=True)
    )
    columns = [vectors[free] for vectors, free in zip(system.vectors, system.free, strict=True)]
    load = sum(
        sign * np.exp(log) * functools.reduce(np.kron, [columns[d][:, j] for d, j in enumerate(term)])
        for sign, log, term in zip(system.load_signs, system.load_logs, system.load_terms, strict=True)
    )
    exact = np.linalg.solve(operator, load)
    found = field(solve_alternating(system, Plan(tolerance=None, rank=rank)).factors).ravel()
    assert np.linalg.norm(found - exact) <= 1e-4 * np.linalg.norm(exact)


def test_too_few_coordinates_are_noticed() -> None:
    """Modes that fill the trailing coordinates get more of them."""
    system = assemble(random_diffusion(1, 0.3, elements=60))
    whole = WorkingSystem(system, 1e-13)
    own, load = whole.coordinates[1], whole.coordinates[1].load(system.vectors[1][system.free[1]])
    (space,) = find_subspaces([own], [load], [whole.starts()[1]])
    assert space is not None
    smooth, weights = space.krylov[:, :2], np.ones(2)
    few = space.first_fit(smooth, weights)
    assert few is not None
    assert len(few.order) < 20
    np.testing.assert_allclose(space.to_whole(space.from_whole(smooth)), smooth, atol=1e-12)
    assert space.refit(space.from_whole(smooth), weights) is None
    assert space.refit(np.eye(len(few.order)), np.ones(len(few.order))) is not None
    assert space.size > len(few.order) or space.rotation is None


def test_stiffness_matrices_keep_all_coordinates() -> None:
    system = assemble(random_diffusion(1, 0.3))
    x = it.Axis("x", 0, 1, elements=24)
    y = it.Axis("y", 0, 1, elements=24)
    u, v = it.unknown("u", x, y), it.test_function()
    laplace = it.Problem(weak=it.dot(it.grad(v), it.grad(u)) - v, conditions=[u.on("boundary") == 0])
    whole = WorkingSystem(assemble(laplace), 1e-13)
    loads = [np.ones((len(c.order), 1)) for c in whole.coordinates]
    assert find_subspaces(whole.coordinates, loads, whole.starts()) == [None, None]
    assert len(system.matrices[0]) == 3


def test_mean_pencil_diagonalises_and_is_near() -> None:
    """v^T A v of each matrix is what the weights say, to the variation of its coefficient; exact for the pair."""
    system = assemble(random_diffusion(3, 0.1))
    own = WorkingSystem(system, 1e-13).coordinates[0]
    pencil = mean_pencil(system, 0, own.matrices)
    assert pencil is not None
    mask = np.zeros(system.axes[0].size, dtype=bool)
    mask[system.free[0]] = True
    dense = [matrix.restrict(mask).toarray() for matrix in system.matrices[0]]
    np.testing.assert_allclose(pencil.basis.T @ dense[0] @ pencil.basis, np.eye(len(dense[0])), atol=1e-11)
    for matrix, (mass, mean) in zip(dense, pencil.weights, strict=True):
        found = pencil.basis.T @ matrix @ pencil.basis
        misfit = (np.diag(found) - mass - mean * pencil.values) / pencil.values
        assert np.abs(misfit @ np.stack([1 / pencil.values, np.ones_like(misfit)], axis=1)).max() < 1e-10
        if np.array_equal(matrix, dense[1]):  # the constant coefficient's: the mean matrix itself
            np.testing.assert_allclose(found, np.diag(mean * pencil.values), atol=1e-11 * pencil.values.max())


@pytest.mark.parametrize("spread", [0.1, 0.5])
def test_refinement_and_elimination_agree(spread: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mean pencil changes how block systems are solved, not what they say; also where it is a bad guess."""
    system, plan = assemble(random_diffusion(3, spread, elements=12)), Plan(tolerance=None, rank=20)
    refined = solve_alternating(system, plan)
    monkeypatch.setattr(working, "mean_pencil", lambda *_: None)
    eliminated = solve_alternating(system, plan)
    difference = np.linalg.norm(field(refined.factors) - field(eliminated.factors))
    allowed = 10 * max(refined.estimate, eliminated.estimate, 1e-10)
    assert difference <= allowed * np.linalg.norm(field(eliminated.factors))
