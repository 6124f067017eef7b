"""Suites that a class inherits by supplying a factory and an oracle. See `test_axes_basis.py` for their use."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

import inntd as it
from inntd.axes import mass, quadrature_points

Array = npt.NDArray[np.float64]


class BasisConformance:
    """What every basis on every axis keeps. Supply `make_axis`; state how smooth and how exact the basis is.

    Attributes
    ----------
    reproduced : int
        Largest degree of the polynomials that the basis reproduces (0 on periodic axes: constants).
    continuous : int
        Derivatives that are continuous across nodes that are no breaks.
    tolerance : float
        Of values; derivatives are allowed this times the size of the basis functions' derivatives.
    """

    reproduced = 1
    continuous = 1
    tolerance = 1e-13

    def make_axis(self) -> it.Axis:
        raise NotImplementedError

    @pytest.fixture
    def axis(self) -> it.Axis:
        return self.make_axis()

    @staticmethod
    def points(axis: it.Axis, count: int = 200) -> Array:
        return np.random.default_rng(1).uniform(*axis.domain, count)

    @staticmethod
    def dense(axis: it.Axis, points: Array, order: int = 0) -> Array:
        """Values (K, size) of all functions."""
        index, values = axis.tabulate(points, order)
        out = np.zeros((len(points), axis.size))
        np.add.at(out, (np.arange(len(points))[:, None], index), values)
        return out

    def test_functions_are_nodal(self, axis):
        np.testing.assert_allclose(self.dense(axis, axis.nodes[: axis.size]), np.eye(axis.size), atol=self.tolerance)

    def test_functions_are_nodal_from_the_left(self, axis):
        left = np.nextafter(axis.nodes[1:], -np.inf)
        expected = np.eye(axis.size)[np.arange(1, len(axis.nodes)) % axis.size]
        slope = np.abs(self.dense(axis, left, 1)).max()
        rounding = self.tolerance + slope * np.spacing(np.abs(axis.nodes).max())
        np.testing.assert_allclose(self.dense(axis, left), expected, atol=rounding)

    def test_functions_add_up_to_one(self, axis):
        x = self.points(axis)
        np.testing.assert_allclose(self.dense(axis, x).sum(axis=1), 1.0, atol=self.tolerance)
        slopes = self.dense(axis, x, 1)
        np.testing.assert_allclose(slopes.sum(axis=1), 0.0, atol=self.tolerance * max(np.abs(slopes).max(), 1.0))

    def test_polynomials_are_reproduced(self, axis):
        x, (low, high) = self.points(axis), axis.domain
        to_unit = lambda x: (2 * x - low - high) / (high - low)  # noqa: E731
        basis = self.dense(axis, x)
        for degree in range(self.reproduced + 1):
            polynomial = np.polynomial.Legendre.basis(degree)
            nodal = axis.interpolate(lambda x, polynomial=polynomial: polynomial(to_unit(x)))
            np.testing.assert_allclose(basis @ nodal, polynomial(to_unit(x)), atol=10 * self.tolerance)

    def test_derivatives_are_continuous_across_nodes(self, axis):
        nodes = axis.nodes[1:-1]
        smooth = nodes[~np.isin(nodes, axis.breaks)]
        step = 1e-7 * np.diff(axis.nodes).min()
        for order in range(self.continuous + 1):
            left, right = self.dense(axis, smooth - step, order), self.dense(axis, smooth + step, order)
            curve = np.abs(self.dense(axis, self.points(axis), order + 1)).max()
            np.testing.assert_allclose(left, right, atol=10 * step * curve + 1e-9 * np.abs(left).max())

    def test_derivatives_match_differences(self, axis):
        x = self.points(axis)
        h = 1e-5 * np.diff(axis.nodes).min()
        edges = axis.table.breaks
        x = x[np.abs(x[:, None] - edges).min(axis=1) > 2 * h]
        for order in (1, 2):
            exact = self.dense(axis, x, order)
            difference = (self.dense(axis, x + h, order - 1) - self.dense(axis, x - h, order - 1)) / (2 * h)
            scale = np.abs(self.dense(axis, x, order - 1)).max() / h
            np.testing.assert_allclose(difference, exact, atol=1e-8 * np.abs(exact).max() + 1e-11 * scale)

    def test_integrals_are_those_of_the_values(self, axis):
        x, w = quadrature_points(axis, 2 * axis.table.degree)
        basis = self.dense(axis, x)
        expected = basis.T @ (w[:, None] * basis)
        np.testing.assert_allclose(mass(axis).toarray(), expected, atol=1e-14 * np.abs(expected).max())

    def test_description_restores_the_axis(self, axis):
        again = it.Axis.from_dict(axis.to_dict())
        assert again.key == axis.key
        np.testing.assert_array_equal(again.nodes, axis.nodes)
        np.testing.assert_array_equal(again.table.coefficients, axis.table.coefficients)
