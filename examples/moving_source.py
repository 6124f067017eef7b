"""Heat from a moving source: nothing of it factors in space and time, so it is separated numerically."""

import math

from sympy import exp

import inntd as it

x, y, z = (it.Axis(name, -10, 10, elements=100, s=2) for name in "xyz")
t = it.Axis("t", 0, 0.1, elements=100, s=2, kind="time")
u = it.unknown("u", x, y, z, t)
exact = (1 - exp(-15 * t)) * exp(-(y**2) - (x - 100 * t + 5) ** 2)

problem = it.Problem(
    strong=it.dt(u) - it.laplacian(u) - (it.dt(exact) - it.laplacian(exact)),
    conditions=[u.on(x, y) == 0, u.at(t=0) == 0],  # u is below 2e-11 on the faces
    title="Heat from a moving source",
    exact=exact,
)

if __name__ == "__main__":
    answer = it.solve(problem, rank=40)
    print(answer)
    peak = answer.model.at(x=0, y=0, z=0, t=0.05)
    print(f"where the bump is at t = 0.05: {peak:.6f}, exactly {1 - math.exp(-0.75):.6f}")
