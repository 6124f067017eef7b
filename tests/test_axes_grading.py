"""Long patches on strongly graded meshes and beside short segments: bounded, and accurate all the same."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from conformance import BasisConformance

import inntd as it
from inntd.axes import quadrature_points


def geometric(ratio: float, elements: int) -> np.ndarray:
    """Nodes that accumulate at zero."""
    return np.concatenate([[0.0], ratio ** np.arange(elements - 1.0, -1, -1)])


def projection_errors(axis: it.Axis, power: float = 0.75) -> tuple[float, float]:
    """Relative errors, in energy and in L2, of the Galerkin solution u = x^power (1 - x) of -u'' = f."""
    x, w = quadrature_points(axis, 40)
    values, slopes = BasisConformance.dense(axis, x), BasisConformance.dense(axis, x, 1)
    u, du = x**power * (1 - x), power * x ** (power - 1) - (power + 1) * x**power
    inside = slice(1, -1)
    stiffness = slopes.T @ (w[:, None] * slopes)
    nodal = np.zeros(axis.size)
    nodal[inside] = np.linalg.solve(stiffness[inside, inside], (slopes.T @ (w * du))[inside])
    energy = np.sqrt(w @ (slopes @ nodal - du) ** 2 / (w @ du**2))
    return float(energy), float(np.sqrt(w @ (values @ nodal - u) ** 2 / (w @ u**2)))


def largest_sum(axis: it.Axis) -> float:
    """The Lebesgue constant of the basis."""
    points = np.concatenate([np.linspace(a, b, 12) for a, b in zip(axis.nodes[:-1], axis.nodes[1:], strict=True)])
    return float(np.abs(BasisConformance.dense(axis, points)).sum(axis=1).max())


@pytest.mark.parametrize("s", [4, 6, 8])
def test_strong_grading_no_longer_breaks_long_patches(s):
    nodes = geometric(0.65, 34)
    energy, error = projection_errors(it.Axis("x", nodes=nodes, s=s))
    assert error < 2e-3
    assert energy < 0.1
    if s > 4:
        with pytest.warns(it.StabilityWarning, match=rf"axis 'x': .*too strongly for s={s} at node 3\d"):
            own = it.Axis("x", nodes=nodes, s=[s] * len(nodes))
        assert projection_errors(own)[1] > 0.3  # as given, one by one: half of the solution is lost


def test_the_default_is_shortened_where_it_must_be_only():
    axis = it.Axis("x", nodes=geometric(0.3, 17))
    assert axis.basis == it.CHiDeNNBasis(s=3)
    assert largest_sum(axis) < 200
    first = BasisConformance.dense(axis, np.array([0.1 * axis.nodes[1]]))
    assert np.count_nonzero(first) == 7  # the short elements at the start carry the whole patch
    with pytest.warns(it.StabilityWarning, match=r"amplifies \de\+\d\d times: use s=1 there"):
        it.Axis("x", nodes=axis.nodes, s=[3] * axis.size)


@pytest.mark.parametrize(
    ("grading", "s"), [(g, s) for g in (0.75, 1.5, 2.0, 3.0) for s in (1, 3, 4)] + [(1.5, 8), (2.0, 8)]
)
def test_mild_gradings_keep_their_patches(grading, s):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mine = it.Axis("t", 0, 1, elements=40, grading=grading, s=[s] * 41)
    one = it.Axis("t", 0, 1, elements=40, grading=grading, s=s)
    np.testing.assert_array_equal(mine.table.coefficients, one.table.coefficients)


def test_shortening_on_a_ring_reaches_through_the_seam():
    lengths = np.r_[1.0, 1.0, np.full(10, 1e-3), 1.0, 1.0, 1.0]
    nodes = np.concatenate([[0.0], np.cumsum(lengths)])
    shifted = np.concatenate([[0.0], np.cumsum(np.roll(lengths, 6))])  # the small elements lie across the seam
    one, two = (it.Axis("x", nodes=x, periodic=True, s=4) for x in (nodes, shifted))
    assert largest_sum(one) == pytest.approx(largest_sum(two), rel=1e-6)


def test_patches_shorten_beside_short_segments_only():
    """A short segment leaves the rest of the mesh as a mesh of its own would be; the same with every kernel."""
    for kernel in ("lagrange", "cubic"):
        basis = it.CHiDeNNBasis(s=3, kernel=kernel)
        axis = it.Axis("x", 0, 2.2, elements=22, breaks=[2.0, 2.1], basis=basis)
        alone = it.Axis("x", nodes=axis.nodes[:21], basis=basis)
        x = np.linspace(0, 1.999, 60)
        both = BasisConformance.dense(axis, x)
        np.testing.assert_allclose(both[:, :21], BasisConformance.dense(alone, x), atol=1e-13)
        assert not both[:, 21:].any()
        hats = BasisConformance.dense(axis, np.array([2.025, 2.175]))  # segments of one element: linear
        np.testing.assert_allclose(hats[0, 20:22], [0.75, 0.25], atol=1e-12)
        np.testing.assert_allclose(hats[1, 21:23], [0.25, 0.75], atol=1e-12)


def test_large_patches_are_warned_of():
    with pytest.warns(it.StabilityWarning, match="axis 'x': patches of s=12 lose digits .* use s up to 8"):
        axis = it.Axis("x", 0, 1, elements=40, s=12)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert it.Axis.from_dict(axis.to_dict()).key == axis.key  # whoever made it has been told
