"""S7: linear elasticity on [0,1]^2 x [0,2], lambda = mu = 1, homogeneous Dirichlet values, n = (1,1,1) and (2,3,1).

u_1 = (x^2-x) sin(n_1 pi y) sin(n_1 pi z/2), u_2 = (y^2-y) sin(n_2 pi x) sin(n_2 pi z/2),
u_3 = sin(n_3 pi x) sin(n_3 pi y) (z^2/2-z); the body force follows from u.
One line per patch size with the errors (L2, and in the energy norm) on finer and finer meshes and the slope;
`fem_linear` and `fem_quadratic` are scikit-fem's on meshes of their own lists of elements.
"""

from __future__ import annotations

import sys
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "peers" / "elasticity"))

import elasticity_fem
import harness  # before NumPy: one thread
import numpy as np
import oracle
import series
import sympy
from sympy import diff, pi, sin

import inntd as it

Array = harness.Array
Numbers = tuple[int, int, int]

LAME = MU = 1
FEM_LINEAR, FEM_QUADRATIC = (8, 12, 16, 24), (4, 6, 8, 12)
FEM_QUICK = (3, 4)


def displacement(n: Numbers, x: sympy.Expr, y: sympy.Expr, z: sympy.Expr) -> list[sympy.Expr]:
    """Return the exact solution."""
    return [
        (x**2 - x) * sin(n[0] * pi * y) * sin(n[0] * pi * z / 2),
        (y**2 - y) * sin(n[1] * pi * x) * sin(n[1] * pi * z / 2),
        sin(n[2] * pi * x) * sin(n[2] * pi * y) * (z**2 / 2 - z),
    ]


def body_force(u: list[sympy.Expr], *x: sympy.Expr) -> list[sympy.Expr]:
    """Return minus the divergence of the stress."""
    divergence = sum(diff(part, axis) for part, axis in zip(u, x, strict=True))
    return [
        -LAME * diff(divergence, x[i]) - MU * sum(diff(diff(u[i], x[j]) + diff(u[j], x[i]), x[j]) for j in range(3))
        for i in range(3)
    ]


def problem(elements: int, s: int, n: Numbers) -> it.Problem:
    """State the problem; the body force is derived from the exact solution."""
    c = it.Axis.discrete("c", 3)
    x, y, z = (it.Axis(name, 0, stop, elements=elements, s=s) for name, stop in (("x", 1), ("y", 1), ("z", 2)))
    u, v = it.unknown("u", c, x, y, z), it.test_function()
    exact = displacement(n, *map(sympy.sympify, (x, y, z)))
    force = body_force(exact, *map(sympy.sympify, (x, y, z)))
    stiffness = 2 * MU * it.inner(it.sym(it.grad(v)), it.sym(it.grad(u))) + LAME * it.div(v) * it.div(u)
    return it.Problem(weak=stiffness - it.dot(v, force), conditions=[u.on("boundary") == 0], exact=exact)


def measure(n: Numbers, problem: it.Problem, model: Any) -> dict[str, Any]:
    """Return the relative errors, and L2's once more at random points.

    Everything is brought into orthonormal coordinates of each axis, in which differences lose no digits.
    """
    parts = [_axis_columns(axis, d, model, n) for d, axis in enumerate(problem.axes[1:])]
    weights = model.factors[0].detach().numpy()
    modes = weights.shape[1]

    def field(i: int, derivative: int | None, modes_sign: float) -> Array:
        """Return component i, or its derivative, of the exact solution, minus that of the model if the sign is 1."""
        own = [part[int(derivative == d)] for d, part in enumerate(parts)]
        exact: Array = -np.einsum("a,b,c->abc", *(part[:, modes + i] for part in own))
        if modes_sign:
            exact += np.einsum("m,am,bm,cm->abc", weights[i], *(part[:, :modes] for part in own), optimize=True)
        return exact

    squares = []
    for sign in (1.0, 0.0):
        slope = np.array([[field(i, j, sign) for j in range(3)] for i in range(3)])
        strain = (slope + slope.swapaxes(0, 1)) / 2
        energy = 2 * MU * (strain**2).sum() + LAME * (np.einsum("ii...->...", strain) ** 2).sum()
        squares.append((sum((field(i, None, sign) ** 2).sum() for i in range(3)), energy))
    (off, off_energy), (size, size_energy) = squares
    return {
        "error": float(np.sqrt(off / size)),
        "error_energy": float(np.sqrt(off_energy / size_energy)),
        "error_sampled": sampled_error(n, model),
    }


def _axis_columns(axis: it.Axis, d: int, model: Any, n: Numbers) -> tuple[Array, Array]:
    """Return values and derivatives (k, modes + 3) of the model's factors and the exact ones, orthonormally."""
    mesh = oracle.Mesh.of(axis)
    x, w = mesh.points(2 * mesh.s + 4)
    factor = model.factors[1 + d].detach().numpy()
    symbol = sympy.Symbol("s")
    exact = [_factor(part, d, symbol) for part in displacement(n, *sympy.symbols("x y z"))]
    blocks = []
    for order, table in enumerate(mesh.tabulate(x)):
        columns = [sympy.lambdify(symbol, diff(e, symbol, order), "numpy")(x) for e in exact]
        blocks.append(np.hstack([table @ factor, np.array(columns).T]) * np.sqrt(w)[:, None])
    reduced = np.linalg.qr(np.hstack(blocks), mode="r")
    return reduced[:, : blocks[0].shape[1]], reduced[:, blocks[0].shape[1] :]


def _factor(part: sympy.Expr, d: int, symbol: sympy.Symbol) -> sympy.Expr:
    """Return the factor of a product that depends on one axis."""
    name = "xyz"[d]
    mine = [f for f in sympy.Mul.make_args(part) if f.free_symbols and {s.name for s in f.free_symbols} == {name}]
    return sympy.Mul(*mine).subs(sympy.Symbol(name), symbol)


def sampled_error(n: Numbers, model: Any) -> float:
    """Return the relative L2 error at random points, from the model's values only."""
    points = np.random.default_rng(0).random((harness.SAMPLES, 3)) * (1, 1, 2)
    exact = functions(n)[1](*points.T)
    found = [model(np.column_stack([np.full(len(points), i), points])).detach().numpy() for i in range(3)]
    return float(np.linalg.norm(np.array(found) - exact) / np.linalg.norm(exact))


@lru_cache(maxsize=4)
def functions(n: Numbers) -> tuple[elasticity_fem.Fields, elasticity_fem.Fields, elasticity_fem.Fields]:
    """Return body force, solution and its gradient as functions of arrays."""
    x = sympy.symbols("x y z")
    u = displacement(n, *x)
    several = (body_force(u, *x), u, [[diff(part, axis) for axis in x] for part in u])
    return tuple(partial(_stacked, sympy.lambdify(x, each, "numpy")) for each in several)  # type: ignore[return-value]


def _stacked(function: Any, *x: Array) -> Array:
    return np.array(function(*x))


@lru_cache(maxsize=8)
def fem(n: Numbers, quadratic: bool, elements: tuple[int, ...]) -> dict[str, Any]:
    """Return scikit-fem's errors on several meshes and their slope."""
    several = [elasticity_fem.solve(count, quadratic, *functions(n)) for count in elements]
    errors = [each["error"] for each in several]
    return {
        "elements": list(elements),
        "errors": errors,
        "errors_energy": [each["error_energy"] for each in several],
        "seconds": [each["seconds"] for each in several],
        "slope": series.fitted_slope(elements, errors, 0.0),
    }


def beside_fem(line: dict[str, Any]) -> dict[str, Any]:
    """Add scikit-fem's figures to a line."""
    n, whole = tuple(line["n"]), line["error_at_most"] is not None
    line["fem_linear"] = fem(n, False, FEM_LINEAR if whole else FEM_QUICK)
    line["fem_quadratic"] = fem(n, True, FEM_QUADRATIC if whole else FEM_QUICK)
    return line


def row(s: int, elements: tuple[int, ...], error: float, slope: float | None, n: Numbers = (1, 1, 1)) -> series.Series:
    """Return one row of the experiment."""
    return series.Series(
        f"s7-s{s}" + ("" if n == (1, 1, 1) else "-" + "".join(map(str, n))),
        lambda count: problem(count, s, n),
        elements,
        {"rank": 6 if s == 6 else 9},
        error,
        slope,
        seconds=0.5,
        quick=s == 2 and n == (1, 1, 1),
        floor=1e-10,
        measure=partial(measure, n),
        fields={"dimension": 4, "s": s, "n": list(n)},
    )


ELEMENTS = {1: (8, 12, 16, 24, 32, 48), 2: (8, 12, 16, 24, 32, 48), 4: (10, 12, 16, 24, 32, 48), 6: (13, 16, 20, 24)}
SERIES = [
    *(
        row(s, ELEMENTS[s], e, slope)
        for s, e, slope in ((1, 1e-4, 2.7), (2, 1e-8, 4.7), (4, 1e-11, None), (6, 1e-7, None))
    ),
    *(
        row(s, ELEMENTS[s], e, slope, (2, 3, 1))
        for s, e, slope in ((1, 1e-3, 2.7), (2, 1e-6, 4.7), (4, 1e-9, None), (6, 1e-7, None))
    ),
]

if __name__ == "__main__":
    sys.exit(series.main(SERIES, __doc__, beside_fem))
