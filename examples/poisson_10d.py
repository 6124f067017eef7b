"""Poisson's equation in ten dimensions: a sum of sines, with its own values on all twenty faces."""

from sympy import pi, sin

import inntd as it

axes = [it.Axis(f"x[{i}]", 0, 1, elements=31, s=3) for i in range(1, 11)]
u = it.unknown("u", *axes)
exact = sum(sin(pi / 2 * x) for x in axes)

problem = it.Problem(
    strong=-it.laplacian(u) - (pi / 2) ** 2 * exact,
    conditions=[u.on("boundary") == exact],
    title="Poisson in ten dimensions",
    exact=exact,
)

if __name__ == "__main__":
    answer = it.solve(problem, tolerance=1e-9)
    print(answer)
    print(f"error against the exact solution: {answer.model.error(problem.exact):.1e}")
