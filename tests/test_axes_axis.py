"""Axes: meshes, faces, points, copies, descriptions, and every refused argument."""

from __future__ import annotations

import copy
import json
import pickle

import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

import inntd as it


def test_uniform_axis():
    x = it.Axis("x", -1, 2, elements=6, unit="m")
    assert (x.name, x.kind, x.unit, x.domain, x.elements, x.size) == ("x", "space", "m", (-1.0, 2.0), 6, 7)
    assert not x.discrete
    assert not x.periodic
    assert x.breaks == ()
    np.testing.assert_allclose(x.nodes, np.linspace(-1, 2, 7), rtol=0, atol=1e-15)
    assert x.basis == it.CHiDeNNBasis(s=3)
    assert isinstance(x.start.axis, it.Axis)
    assert (x.start.side, x.end.side, x.end.coordinate, x.end.index) == ("start", "end", 2.0, 6)


def test_default_patch_shrinks_on_small_meshes_only_when_not_asked_for():
    assert [it.Axis("x", 0, 1, elements=n).basis for n in (1, 2, 3, 4, 5, 6)] == [
        it.LinearBasis(),
        *[it.CHiDeNNBasis(s=s) for s in (1, 1, 2, 2, 3)],
    ]
    assert it.Axis("x", 0, 1, elements=20, breaks=[0.1]).basis == it.CHiDeNNBasis(s=3)
    assert it.Axis("x", 0, 1, elements=4, breaks=[0.25]).basis == it.CHiDeNNBasis(s=1)
    assert it.Axis("x", 0, 1, elements=7, periodic=True).basis == it.CHiDeNNBasis(s=2)
    with pytest.raises(ValueError, match="s=3 is too large"):
        it.Axis("x", 0, 1, elements=5, s=3)


def test_graded_axis():
    t = it.Axis("t", 0, 0.04, elements=100, grading=2, kind="time")
    np.testing.assert_allclose(t.nodes, 0.04 * (np.arange(101) / 100) ** 2, rtol=1e-14)
    assert t.domain == (0.0, 0.04)


def test_periodic_axis():
    x = it.Axis("x", 0, 1, elements=12, periodic=True)
    assert (x.size, x.elements, len(x.nodes)) == (12, 12, 13)
    index, _ = x.tabulate([0.01, 0.99])
    assert index.min() == 0
    assert index.max() == 11


def test_nodes_are_read_only():
    with pytest.raises(ValueError, match="read-only"):
        it.Axis("x", 0, 1, elements=12).nodes[0] = 3.0
    mine = np.linspace(0, 1, 12)
    axis = it.Axis("x", nodes=mine)
    mine[0] = -1.0
    assert axis.nodes[0] == 0.0


def test_discrete_axis():
    c = it.Axis.discrete("c", 4)
    assert (c.kind, c.size, c.elements, c.domain, c.discrete) == ("component", 4, 4, (0.0, 3.0), True)
    index, values = c.tabulate([2, 0, 3])
    np.testing.assert_array_equal(index.ravel(), [2, 0, 3])
    np.testing.assert_array_equal(values, np.ones((3, 1)))
    np.testing.assert_array_equal(c.interpolate(lambda i: i**2), [0, 1, 4, 9])
    with pytest.raises(ValueError, match=r"whole numbers on this discrete axis, got 0\.5"):
        c.tabulate([0.5])
    assert it.Axis.discrete("one", 1).size == 1
    assert it.Axis.discrete("k", 2, kind="parameter").kind == "parameter"


def test_axes_mix_with_sympy_and_are_known_by_identity():
    x, same = it.Axis("x[3]", 0, 1, elements=8), it.Axis("x[3]", 0, 1, elements=8)
    assert sympy.sympify(x) == sympy.Symbol("x[3]", real=True)
    assert sympy.sin(x) + 1 == sympy.sin(sympy.Symbol("x[3]", real=True)) + 1
    assert x != same
    assert len({x, same}) == 2
    assert copy.deepcopy(x) is x
    assert copy.copy(x) is x


def test_equal_meshes_and_bases_have_equal_keys_and_share_their_tables():
    x, y = it.Axis("x", 0, 1, elements=10), it.Axis("y", 0, 1, elements=10, kind="parameter", unit="m")
    given = it.Axis("z", nodes=x.nodes)
    assert x.key == y.key == given.key
    assert x.table is y.table
    others = [
        it.Axis("x", 0, 1, elements=11),
        it.Axis("x", 0, 1 + 1e-15, elements=10),
        it.Axis("x", 0, 1, elements=10, s=2),
        it.Axis("x", 0, 1, elements=10, grading=2),
        it.Axis("x", 0, 1, elements=10, periodic=True),
        it.Axis("x", 0, 1, elements=12, breaks=[0.5]),
        it.Axis("x", 0, 1, elements=10, basis=it.CHiDeNNBasis(s=2, kernel="cubic")),
        it.Axis.discrete("x", 11),
    ]
    assert len({x.key, *(other.key for other in others)}) == 1 + len(others)


@pytest.mark.parametrize(
    "axis",
    [
        it.Axis("x", 0.1, 1 / 3, elements=10),
        it.Axis("t", 0, 0.1, elements=17, grading=1.7, kind="time", unit="s"),
        it.Axis("x[2]", 0, 1, elements=20, breaks=[0.35], periodic=True, s=2),
        it.Axis("k", nodes=[1, 2, 4, 8, 16], kind="parameter", basis=it.LinearBasis()),
        it.Axis("x", 0, 1, elements=4, s=[1, 2, 2, 1, 1]),
        it.Axis("x", 0, 1, elements=9, basis=it.CHiDeNNBasis(s=2, p=1, a=1 / 3 + 1, kernel="gaussian")),
        it.Axis.discrete("c", 3),
    ],
)
def test_descriptions_and_pickles_are_exact(axis):
    for again in (it.Axis.from_dict(json.loads(json.dumps(axis.to_dict()))), pickle.loads(pickle.dumps(axis))):
        assert again.key == axis.key
        assert repr(again) == repr(axis)
        assert (again.kind, again.unit, again.breaks) == (axis.kind, axis.unit, axis.breaks)
        np.testing.assert_array_equal(again.nodes, axis.nodes)


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6), st.integers(1, 300))
def test_uniform_nodes_survive_the_description(start, length, elements):
    axis = it.Axis("x", start, start + length, elements=elements, basis=it.LinearBasis())
    assert "nodes" not in axis.to_dict()
    np.testing.assert_array_equal(it.Axis.from_dict(axis.to_dict()).nodes, axis.nodes)


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "x", "start": 0, "stop": 1, "elements": 3, "colour": "red"},
        {"name": "x", "start": 0, "stop": 1, "elements": 3, "basis": {"name": "spline"}},
        {"name": "x", "start": 0, "stop": 1, "elements": 3, "basis": {"name": "linear", "s": 3}},
    ],
)
def test_descriptions_with_unknown_fields_are_refused(fields):
    with pytest.raises(ValueError, match="must be one of"):
        it.Axis.from_dict(fields)


def test_points_outside_or_undefined_are_refused_and_rounding_is_forgiven():
    x = it.Axis("x", 0.1, 0.3, elements=10)
    with pytest.raises(ValueError, match=r"axis 'x': points must lie in \[0.1, 0.3\], got 2 outside of 3.*at index 1"):
        x.check_points([0.2, 0.31, 0.0])
    with pytest.raises(ValueError, match="axis 'x': points must be finite, got 1 NaN"):
        x.check_points([0.2, np.nan])
    with pytest.raises(ValueError, match="1-D array"):
        x.check_points([[0.2]])
    with pytest.raises(TypeError, match="array of numbers"):
        x.check_points(["here"])
    assert x.check_points([0.1 + 0.2]).tolist() == [0.3]
    assert x.check_points([]).shape == (0,)
    with pytest.raises(ValueError, match="order must be an integer of at least 0"):
        x.tabulate([0.2], order=-1)


def test_interpolation_refuses_what_is_no_function_of_the_axis():
    x = it.Axis("x", 0, 1, elements=10)
    np.testing.assert_array_equal(x.interpolate(lambda x: 2), np.full(11, 2.0))
    with pytest.raises(ValueError, match=r"axis 'x': a function must be finite, got -?inf at x = 0\.0"):
        x.interpolate(lambda x: 1 / x)
    with pytest.raises(ValueError, match=r"one real number per point, shape \(11,\), got float64 of shape \(3,\)"):
        x.interpolate(lambda x: x[:3])
    with pytest.raises(ValueError, match="one real number per point"):
        x.interpolate(lambda x: x + 1j)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "give start, stop and elements, or nodes"),
        ({"start": 0, "stop": 1}, "elements .* or nodes must be given"),
        ({"start": 0, "stop": 1, "elements": 0}, "elements must be a positive integer, got 0"),
        ({"start": 1, "stop": 1, "elements": 3}, "start must lie below stop, got start=1.0 and stop=1.0"),
        ({"start": float("nan"), "stop": 1, "elements": 3}, "start must be a finite number, got nan"),
        ({"start": 0, "stop": float("inf"), "elements": 3}, "stop must be a finite number, got inf"),
        ({"start": 1e16, "stop": 1e16 + 4, "elements": 30}, "nodes coincide after rounding: use fewer elements"),
        ({"start": 0, "stop": 1, "elements": 3, "grading": 0}, "grading must be a positive finite number"),
        ({"start": 0, "stop": 1, "elements": 9, "grading": 400}, "use a grading closer to 1"),
        ({"nodes": [0.0]}, "nodes must be a 1-D array of at least 2 numbers"),
        ({"nodes": []}, "nodes must be a 1-D array of at least 2 numbers"),
        ({"nodes": [[0.0, 1.0]]}, "nodes must be a 1-D array"),
        ({"nodes": [0, 2, 1]}, r"strictly increasing: sort them.*got node 1 = 2.0 and node 2 = 1.0"),
        ({"nodes": [0, 1, 1]}, r"strictly increasing.*got node 1 = 1.0 and node 2 = 1.0"),
        ({"nodes": [0, np.nan, 1]}, "nodes must be finite, got 1 NaN"),
        ({"nodes": [0, 1, 2], "elements": 2}, "give nodes or elements, not both"),
        ({"nodes": [0, 1, 2], "grading": 2}, "give nodes or grading, not both"),
        ({"nodes": [0, 1, 2], "stop": 3}, "stop must be left out or equal the outermost node 2.0, got 3"),
        ({"nodes": [0, 1e-200, 1]}, "change the unit"),
        ({"start": 0, "stop": 1, "elements": 10, "breaks": [0.55]}, r"breaks must be nodes, got 0.55 \(nearest node"),
        ({"start": 0, "stop": 1, "elements": 10, "breaks": [1.5]}, "breaks must lie between 0.0 and 1.0, got 1.5"),
        ({"start": 0, "stop": 1, "elements": 10, "breaks": [1]}, "breaks must be interior nodes, got the end 1.0"),
        ({"start": 0, "stop": 1, "elements": 10, "breaks": [np.nan]}, "breaks must be finite"),
        ({"start": 0, "stop": 1, "elements": 10, "kind": "colour"}, "kind must be one of 'space'"),
        ({"start": 0, "stop": 1, "elements": 10, "kind": "component"}, "use Axis.discrete"),
        ({"start": 0, "stop": 1, "elements": 5, "s": 3}, "s=3 is too large for the mesh: its patches need 7 nodes"),
        ({"start": 0, "stop": 1, "elements": 1, "s": 1}, r"use basis=LinearBasis\(\), or more elements"),
        (
            {"start": 0, "stop": 1, "elements": 7, "periodic": True, "s": 3},
            "its patches need 8 elements on a periodic axis, got 7: use s=2, or more elements",
        ),
        ({"start": 0, "stop": 1, "elements": 9, "s": 0}, "s must be an integer from 1 to 16, got 0"),
        (
            {"start": 0, "stop": 1, "elements": 1, "periodic": True},
            "need 2 elements on a periodic axis, got 1: use more",
        ),
        ({"start": 0, "stop": 1, "elements": 9, "s": [1, 2]}, r"s must be one value or one per basis function \(10\)"),
        ({"start": 0, "stop": 1, "elements": 9, "s": 2, "p": 3}, "p must be 2s = 4 with the Lagrange kernel"),
        ({"start": 0, "stop": 1, "elements": 9, "s": 2, "basis": it.LinearBasis()}, "give basis or s, not both"),
    ],
)
def test_bad_meshes_are_refused_by_name(arguments, message):
    with pytest.raises(ValueError, match=f"^axis 'temperature': .*{message}"):
        it.Axis("temperature", **arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"elements": 2.5}, "elements must be a positive integer, got 2.5"),
        ({"elements": True}, "elements must be a positive integer, got True"),
        ({"elements": 5, "periodic": 1}, "periodic must be True or False, got 1"),
        ({"elements": 5, "basis": 3}, "basis must be a LinearBasis or a CHiDeNNBasis, got 3"),
        ({"elements": 5, "unit": 3}, "unit must be a string, got 3"),
        ({"elements": 5, "breaks": "middle"}, "breaks must be a 1-D array of numbers"),
        ({"elements": 5, "s": 1.5}, "s must be an integer from 1 to 16, got 1.5"),
    ],
)
def test_wrong_types_are_refused_by_name(arguments, message):
    with pytest.raises(TypeError, match=f"^axis 'temperature': {message}"):
        it.Axis("temperature", 0, 1, **arguments)


@pytest.mark.parametrize("name", ["", "my axis", "x[1][2]", "x[-1]", "3x", "x[a]"])
def test_bad_names_are_refused(name):
    with pytest.raises(ValueError, match="name must be an identifier"):
        it.Axis(name, 0, 1, elements=3)
    with pytest.raises(ValueError, match="name must be an identifier"):
        it.Axis.discrete(name, 3)


def test_bad_discrete_axes_are_refused():
    with pytest.raises(TypeError, match="name must be a string"):
        it.Axis.discrete(3, 3)
    with pytest.raises(ValueError, match="axis 'c': size must be a positive integer, got 0"):
        it.Axis.discrete("c", 0)


def test_a_million_elements_take_little_memory():
    axis = it.Axis("x", 0, 1, elements=1_000_000)
    assert axis.table.coefficients.nbytes < 10_000
    index, values = axis.tabulate([0.0, 0.123456789, 1.0])
    assert index.max() == 1_000_000
    np.testing.assert_allclose(values.sum(axis=1), 1.0, atol=1e-14)


def test_a_mesh_beyond_memory_is_refused_before_it_is_made() -> None:
    with pytest.raises(ValueError, match=r"axis 'x': elements must be at most 100,000,000, got 300,000,000.*36 GB"):
        it.Axis("x", 0, 1, elements=300_000_000)
