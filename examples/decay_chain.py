"""One substance decays into another while both spread: two unknowns, for all rates of decay at once."""

from sympy import exp

import inntd as it

x = it.Axis("x", 0, 1, elements=60)
r = it.Axis("r", 0.5, 4, elements=30, kind="parameter")
t = it.Axis("t", 0, 1, elements=60, kind="time", grading=2)

a, b = it.unknown("a", x, r, t), it.unknown("b", x, r, t)

problem = it.Problem(
    strong=[
        it.dt(a) - 0.05 * it.laplacian(a) + r * a,
        it.dt(b) - 0.02 * it.laplacian(b) - r * a,
    ],
    conditions=[a.at(t=0) == exp(-50 * (x - 0.3) ** 2), b.at(t=0) == 0],
    title="A decay chain",
)

if __name__ == "__main__":
    answer = it.solve(problem, tolerance=1e-4)
    print(answer)
    left, made = (answer.fields[name].at(r=2, t=1).integrate() for name in "ab")
    print(f"for r = 2 at the end: {left:.4f} left, {made:.4f} made, {left + made:.4f} in all")
