"""Heat for all conductivities and powers at once: space, two parameters and time in one model of six axes."""

from sympy import exp

import inntd as it

x, y, z = (it.Axis(name, 0, 1, elements=100) for name in "xyz")
k = it.Axis("k", 1, 4, elements=100, kind="parameter")
P = it.Axis("P", 100, 200, elements=100, kind="parameter")
t = it.Axis("t", 0, 0.04, elements=100, kind="time", grading=2)  # nodes at 0.04 (j/100)^2: dense where it begins

u, v = it.unknown("u", x, y, z, k, P, t), it.test_function()
# 4 x 4 spots of radius 0.05 around the points (i/5, j/5).
spots_x, spots_y = (sum(exp(-2 * (5 * c - i) ** 2 / 0.25**2) for i in range(1, 5)) for c in (x, y))
source = P * spots_x * spots_y * it.indicator(z >= 0.5)

problem = it.Problem(
    weak=v * it.dt(u) + k * it.dot(it.grad(v), it.grad(u)) - v * source,
    conditions=[u.on(x, y, z) == 0, u.at(t=0) == 0],
    title="Heat in space, parameters and time",
)

if __name__ == "__main__":
    answer = it.solve(problem, rank=15)
    print(answer)
    field = answer.model.at(k=2, P=150, t=0.04)
    print(f"mean temperature for k = 2, P = 150 at the end: {field.mean():.4f}")
