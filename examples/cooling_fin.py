"""A cooling fin for all conductivities and heat transfer coefficients at once: a Robin condition with a parameter."""

import inntd as it

x, y = it.Axis("x", 0, 1, elements=60), it.Axis("y", 0, 0.2, elements=20)
k = it.Axis("k", 1, 10, elements=30, kind="parameter")
h = it.Axis("h", 0.1, 5, elements=30, kind="parameter", grading=2)

u = it.unknown("u", x, y, k, h)  # above the temperature of the air

problem = it.Problem(
    strong=-k * it.laplacian(u),
    # Hot at its root; through all other faces flows k du/dn = -h u, by convection.
    conditions=[u.on(x.start) == 80, u.flux(x.end, y) == -h * u],
    title="A cooling fin",
)

if __name__ == "__main__":
    answer = it.solve(problem, tolerance=1e-4)
    print(answer)
    print(f"temperature of the tip for k = 5, h = 2: {answer.model.at(x=1, y=0.1, k=5, h=2):.2f}")
