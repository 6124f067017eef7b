"""The Helmholtz equation with k = 1 in two dimensions."""

from sympy import pi, sin

import inntd as it

x, y = (it.Axis(name, -1, 1, elements=250) for name in "xy")
u, v = it.unknown("u", x, y), it.test_function()
k = 1
exact = sin(pi * x) * sin(4 * pi * y)

problem = it.Problem(
    weak=-it.dot(it.grad(v), it.grad(u)) + k**2 * u * v - v * (it.laplacian(exact) + k**2 * exact),
    conditions=[u.on("boundary") == 0],
    title="Helmholtz in two dimensions",
    exact=exact,
)

if __name__ == "__main__":
    answer = it.solve(problem, tolerance=1e-9)
    print(answer)
    print(f"error against the exact solution: {answer.model.error(problem.exact):.1e}")
