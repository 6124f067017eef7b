"""Poisson's equation with two sharp bumps in a large square: short elements and large patches only where they are."""

from itertools import pairwise

import numpy as np
from sympy import exp

import inntd as it


def axis(name, first, second):
    """Elements of length 1/2 and patches of 8 hops within 15 of two centres, 1 and 4 elsewhere."""
    ends = [0, first - 15, first + 15, second - 15, second + 15, 100]
    pieces = [np.arange(a, b, 1 - 0.5 * (i % 2)) for i, (a, b) in enumerate(pairwise(ends))]
    nodes = np.concatenate([*pieces, [100]])
    near = np.minimum(abs(nodes - first), abs(nodes - second)) < 15
    return it.Axis(name, nodes=nodes, s=np.where(near, 8, 4))


x, y = axis("x", 20, 60), axis("y", 25, 75)
u = it.unknown("u", x, y)
exact = 10 * exp(-((x - 20) ** 2 + (y - 25) ** 2) / 25) + 10 * exp(-((x - 60) ** 2 + (y - 75) ** 2) / 25)

problem = it.Problem(
    strong=it.laplacian(u) - it.laplacian(exact),
    conditions=[u.on("boundary") == exact],  # 1.1e-6 at the nearest point, not 0
    title="Poisson with two sharp bumps",
    exact=exact,
)

if __name__ == "__main__":
    answer = it.solve(problem, tolerance=1e-9)
    print(answer)
    print(f"error against the exact solution: {answer.model.error(problem.exact):.1e}")
