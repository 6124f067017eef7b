"""Where values must be given, and where not: in time, and where a flow enters or leaves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from doubtful import K, T, X, Y, silence

import inntd as it


@pytest.mark.parametrize("sign", [1, -1])
def test_equations_that_run_backward_in_time_are_told(sign):
    u = it.unknown("u", X, T)
    backward = sign * (it.dt(u) + it.laplacian(u) - 1)
    with pytest.warns(
        it.StabilityWarning, match=r"given on t\.start, but .* the equation runs from t\.end: it amplifies"
    ):
        it.Problem(strong=backward, conditions=[u.on(X) == 0, u.at(t=0) == 0])
    with silence():  # an adjoint problem
        it.Problem(strong=backward, conditions=[u.on(X) == 0, u.at(t=1) == 0])


def test_a_time_axis_needs_an_initial_condition():
    u = it.unknown("u", X, T)
    with pytest.raises(ValueError, match=r"the time axis t needs an initial condition; add u\.at\(t=0\)"):
        it.Problem(strong=it.dt(u) - it.laplacian(u) - 1, conditions=[u.on(X) == 0])


@pytest.mark.parametrize("second", [0, 1])
def test_an_equation_of_first_order_takes_one_value_in_time(second):
    u = it.unknown("u", X, T)
    conditions = [u.on(X) == 0, u.at(t=0) == 0, u.at(t=1) == second * X._sympy_() * (1 - X._sympy_())]
    with pytest.raises(ValueError, match=r"u is given at both ends of the time axis t, .* takes one initial condition"):
        it.Problem(strong=it.dt(u) - it.laplacian(u) - 1, conditions=conditions)


@pytest.mark.parametrize(
    ("velocity", "given", "missing"),
    [
        (1, None, "x.start"),
        (1, "end", "x.start"),
        (-1, "start", "x.end"),
        (1, "start", None),
        (-1, "end", None),
        (0, None, None),
    ],
)
@pytest.mark.parametrize("sign", [1, -1])
def test_transport_without_a_value_where_the_flow_enters_is_refused(velocity, given, missing, sign) -> None:
    x, t = it.Axis("x", 0, 1, elements=8), it.Axis("t", 0, 1, elements=8, kind="time")
    u = it.unknown("u", x, t)
    speed = velocity if velocity else x - 0.5  # a sign that changes: nothing is known
    conditions = [u.at(t=0) == 0] + ([u.on(getattr(x, given)) == 0] if given else [])
    strong = sign * (it.dt(u) + speed * it.diff(u, x) - 1)
    if missing is None:
        it.Problem(strong=strong, conditions=conditions)
        return
    instead = f" instead of x.{given}, or" if given else ", or"
    message = rf"nothing is given on {missing}, where the flow enters: .*; give u on {missing}{instead}"
    with pytest.raises(ValueError, match=message):
        it.Problem(strong=strong, conditions=conditions)


def transport(strong: Any, unknown: Any, *faces: Any) -> it.Problem:
    return it.Problem(strong=strong, conditions=[unknown.on(*faces) == 0] if faces else [])


def test_stationary_transport_takes_one_end_of_every_streamline() -> None:
    u, w = it.unknown("u", X), it.unknown("w", X, Y)
    ahead = it.diff(u, X) + u - 1
    oblique = it.diff(w, X) + 0.5 * it.diff(w, Y) - 1
    for face in (X.start, X.end):
        transport(ahead, u, face)
    for faces in ((X.start, Y.start), (X.end, Y.end)):
        transport(oblique, w, *faces)
    with pytest.raises(ValueError, match=r"nothing is given on x.start, where the flow enters"):
        transport(ahead, u)
    with pytest.raises(ValueError, match=r"contradict the equation: .* values on x.end, where the flow leaves, follow"):
        transport(ahead, u, X)
    with pytest.raises(ValueError, match=r"carried along y .* nothing is given on y.start"):
        transport(oblique, w, X.start)
    with pytest.raises(ValueError, match=r"values on x.end, y.end, where the flow leaves, follow .* leave out"):
        transport(oblique, w, X, Y)
    with pytest.raises(ValueError, match=r"carried along [xy] without diffusion"):
        transport(oblique, w, X.start, Y.end)


def test_the_velocity_is_judged_at_the_faces() -> None:
    """Into a sink nothing needs to be given, out of a source at both ends; a radius that vanishes is no inflow."""
    u, r = it.unknown("u", X), it.Axis("r", 0, 1, elements=8)
    w = it.unknown("w", r)
    with silence():
        transport((X - 0.5) * it.diff(u, X) + 3 * u - 1, u)
        transport(-(X - 0.5) * it.diff(u, X) + u - 1, u, X)
        transport(r * it.diff(w, r) + w - 1, w)
    angle = it.Axis("a", -1, 1, elements=8, kind="parameter")
    z = it.unknown("z", X, T, angle)
    with pytest.warns(it.StabilityWarning, match=r"nothing is given on x.start, through which the flow seems to enter"):
        it.Problem(strong=it.dt(z) + angle * it.diff(z, X) - 1, conditions=[z.at(t=0) == 0, z.on(X.end) == 0])


def test_diffusion_across_tells_the_direction_of_a_march() -> None:
    """u_x = u_yy runs from x.start, u_x = -u_yy from x.end."""
    u = it.unknown("u", X, Y)
    for sign, right, wrong in ((1, X.start, X.end), (-1, X.end, X.start)):
        strong = it.diff(u, X) - sign * it.diff(u, Y, 2) - 1
        it.Problem(strong=strong, conditions=[u.on(Y) == 0, u.on(right) == 0])
        with pytest.raises(ValueError, match=rf"nothing is given on {right}, .*; give u on {right} instead of {wrong}"):
            it.Problem(strong=strong, conditions=[u.on(Y) == 0, u.on(wrong) == 0])


def test_values_along_axes_without_derivatives_are_refused() -> None:
    """What the equation says for each parameter, or for each instant, no condition can say once more."""
    z, w = it.unknown("z", X, K), it.unknown("w", X, T)
    pair = it.unknown("q", it.Axis.discrete("c", 2), X)
    for strong, conditions, message in (
        (-it.laplacian(z) - K, [z.on(X) == 0, z.on(K.start) == 0], "z is given on k.start, but no term .* along k"),
        (-it.laplacian(w) - T, [w.on(X) == 0, w.at(t=0) == 0], "w is given on t.start, but no term .* along t"),
        ([-it.laplacian(pair[0]) - 1, pair[1] - pair[0]], [pair.on(X) == [0, 0]], r"q\[1\] is given on x.start"),
    ):
        with pytest.raises(ValueError, match=f"conditions contradict the equation: {message}"):
            it.Problem(strong=strong, conditions=conditions)


def test_a_missing_inflow_value_leaves_the_matrix_singular() -> None:
    """Why it is refused: the smallest singular value falls exponentially with the elements, with a value as 1/n."""
    from inntd.axes import assembly

    smallest = []
    for elements in (8, 16, 32):
        axis = it.Axis("x", 0, 1, elements=elements)
        matrix = (assembly.matrix(axis, 1, 0) + assembly.matrix(axis)).toarray()
        smallest.append([np.linalg.svd(part, compute_uv=False)[-1] for part in (matrix, matrix[1:, 1:])])
    free, given = np.array(smallest).T
    assert (free[1:] < 0.02 * free[:-1]).all()
    assert (given[1:] > 0.3 * given[:-1]).all()
