"""Poisson's equation in ten dimensions with a product of sines: one mode carries it."""

from sympy import Mul, pi, sin

import inntd as it

axes = [it.Axis(f"x[{i}]", 0, 1, elements=31, s=4) for i in range(1, 11)]
u = it.unknown("u", *axes)
exact = Mul(*(sin(pi * x) for x in axes))

problem = it.Problem(
    strong=-it.laplacian(u) + it.laplacian(exact),
    conditions=[u.on("boundary") == 0],
    title="Poisson with a product of sines in ten dimensions",
    exact=exact,
)

if __name__ == "__main__":
    answer = it.solve(problem, tolerance=1e-9)
    print(answer)
    print(f"error against the exact solution: {answer.model.error(problem.exact):.1e}")
