"""Heat conduction in a plate: the conductivity is known at 25 points, the source couples the coordinates."""

from pathlib import Path

import numpy as np
from sympy import Rational

import inntd as it

measured = np.loadtxt(Path(__file__).with_suffix(".csv"), delimiter=",")

x, y = it.Axis("x", 0, 1, elements=40), it.Axis("y", 0, 1, elements=40)
places = [0, 0.25, 0.5, 0.75, 1]
k = it.coefficient(measured, x, y, at=[places, places])  # linear between the points
u, v = it.unknown("u", x, y), it.test_function()
source = 1 / (Rational(1, 10) + (x - Rational(2, 5)) ** 2 + (y - Rational(1, 2)) ** 2)  # does not factor by axis

problem = it.Problem(
    weak=k * it.dot(it.grad(v), it.grad(u)) - source * v,
    conditions=[u.on(x) == 0, u.on(y.start) == 0],  # insulated at y = 1
    title="A plate of measured conductivity",
)

if __name__ == "__main__":
    for separation in problem.separations:
        print(separation)
    print(it.solve(problem, tolerance=1e-6))
