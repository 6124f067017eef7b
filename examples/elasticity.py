"""Linear elasticity in a box clamped on all sides: a vector as the unknown, the body force from a chosen answer."""

from sympy import pi, sin

import inntd as it

c = it.Axis.discrete("c", 3)
x, y, z = (it.Axis(name, 0, stop, elements=24, s=4) for name, stop in (("x", 1), ("y", 1), ("z", 2)))
u = it.unknown("u", c, x, y, z)
exact = [
    x * (x - 1) * sin(pi * y) * sin(pi * z / 2),
    y * (y - 1) * sin(pi * x) * sin(pi * z / 2),
    z * (z / 2 - 1) * sin(pi * x) * sin(pi * y),
]


def stress(w):
    """Hooke's law with both of Lame's constants 1."""
    strain = it.sym(it.grad(w))
    return it.tr(strain) * it.identity() + 2 * strain


problem = it.Problem(
    strong=-it.div(stress(u)) + it.div(stress(exact)),
    conditions=[u.on("boundary") == 0],
    title="Elasticity of a clamped box",
    exact=exact,
)

if __name__ == "__main__":
    answer = it.solve(problem, rank=9)
    print(answer)
    print(f"error against the exact solution: {answer.model.error(problem.exact):.1e}")
