"""S6: heat in space, parameters and time, six axes, against the exact-in-time semidiscrete solution and FEM runs.

u_t - k laplacian(u) = b(x, P) on [0,1]^3, k in [1,4], P in [100,200], t in (0,0.04], zero on the boundary and at t=0,
b = sum over 4 x 4 centres of P exp(-2 ((x-x_i)^2 + (y-y_i)^2) / r0^2) where z >= 1/2, r0 = 0.05; 101 nodes per axis.

`error`: relative L2 error over space and time, all of 10 random (k, P) together, against the solution on the same
spatial basis that is exact in time. `error_fem`, `error_fem_euler`: the same against linear elements on the same nodes
and time steps, by Crank-Nicolson and by backward Euler. `fem_seconds` is one run of scikit-fem for one (k, P), and
`diagonal_seconds` one by tensor-product diagonalisation, the fast way on a box; `break_even` and `break_even_diagonal`
are the numbers of parameter queries from which on solving once for all parameters is cheaper: a query is the field at
all nodes at the last time. ``--without-fem`` leaves out the run of scikit-fem (a minute and more).
"""

from __future__ import annotations

import subprocess
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "peers" / "heat"))

import harness  # before NumPy: one thread
import heat_fem
import numpy as np
import oracle
from sympy import exp

import inntd as it

Array = harness.Array

CENTRES = (0.2, 0.4, 0.6, 0.8)
RADIUS = 0.05
END = 0.04
QUERIES = 10
WITHOUT_FEM = "--without-fem"


def problem(elements: int) -> it.Problem:
    """State the problem for all parameters at once."""
    x, y, z = (it.Axis(name, 0, 1, elements=elements) for name in "xyz")
    k = it.Axis("k", 1, 4, elements=elements, kind="parameter")
    p = it.Axis("P", 100, 200, elements=elements, kind="parameter")
    t = it.Axis("t", 0, END, elements=elements, kind="time", grading=2)
    u, v = it.unknown("u", x, y, z, k, p, t), it.test_function()
    spots = sum(exp(-2 * ((x - a) ** 2 + (y - b) ** 2) / RADIUS**2) for a in CENTRES for b in CENTRES)
    source = p * spots * it.indicator(z >= 0.5)
    return it.Problem(
        weak=v * it.dt(u) + k * it.dot(it.grad(v), it.grad(u)) - v * source,
        conditions=[u.on(x, y, z) == 0, u.at(t=0) == 0],
    )


def queries() -> Array:
    """Return the 10 random pairs (k, P)."""
    return np.random.default_rng(0).uniform((1.0, 100.0), (4.0, 200.0), (QUERIES, 2))


def spots(x: Array) -> Array:
    """Return the source's factor in x and in y."""
    return np.exp(-2 * (x[:, None] - np.array(CENTRES)) ** 2 / RADIUS**2).sum(axis=1)


class Semidiscrete:
    """The problem on a tensor-product basis of space, exact in time, or stepped, in coordinates of its eigenvectors."""

    def __init__(self, axes: tuple[it.Axis, ...], linear: bool = False) -> None:
        meshes = [oracle.Mesh.of(axis, linear) for axis in axes[:3]]
        self.times = np.asarray(axes[5].nodes)
        self.spectra = [oracle.Spectrum.of(mesh) for mesh in meshes]
        half = meshes[2].load(lambda z: (z >= 0.5).astype(float))
        loads = [meshes[0].load(spots), meshes[1].load(spots), half]
        self.load = oracle.outer([s.project(b) for s, b in zip(self.spectra, loads, strict=True)])
        x, y, z = (s.values for s in self.spectra)
        self.eigenvalues = x[:, None, None] + y[:, None] + z

    def exact(self, k: float, p: float) -> Any:
        """Yield the coefficients of the exact solution at each time."""
        steady = p * self.load / (k * self.eigenvalues)
        for t in self.times:
            yield steady * (1 - oracle.outer([np.exp(-k * t * s.values) for s in self.spectra]))

    def stepped(self, k: float, p: float, theta: float) -> Any:
        """Yield the coefficients after each time step of the theta scheme: 1 backward Euler, 1/2 Crank-Nicolson."""
        steady = p * self.load / (k * self.eigenvalues)
        distance = -steady
        yield np.zeros_like(steady)
        for tau in np.diff(self.times):
            rate = k * tau * self.eigenvalues
            distance = distance * ((1 - (1 - theta) * rate) / (1 + theta * rate))
            yield steady + distance

    def field_at_end(self, k: float, p: float) -> Array:
        """Return the exact-in-time values at the inner nodes at the last time."""
        decay = oracle.outer([np.exp(-k * self.times[-1] * s.values) for s in self.spectra])
        coefficients = p * self.load / (k * self.eigenvalues) * (1 - decay)
        return heat_fem.nodal_values(coefficients, [s.vectors for s in self.spectra])

    def difference(self, model: Any, runs: Any) -> float:
        """Return the relative L2 difference over space, time nodes and queries; `runs` maps (k, P) to coefficients."""
        weights = oracle.trapezoid(self.times)
        off = size = 0.0
        for k, p in queries():
            found = self.coefficients(model.at(k=k, P=p))
            for weight, mine, exact in zip(weights, found, runs(k, p), strict=True):
                off += weight * float(((mine - exact) ** 2).sum())
                size += weight * float((exact**2).sum())
        return float(np.sqrt(off / size))

    def coefficients(self, field: Any) -> Any:
        """Yield the coefficients of a separated field of (x, y, z, t) at each time node."""
        core = field.core.detach().numpy() if hasattr(field, "core") else None
        *space, time = (factor.detach().numpy() for factor in field.factors)
        x, y, z = (s.coefficients(factor) for s, factor in zip(self.spectra, space, strict=True))
        for row in time:
            if core is None:
                pairs = np.einsum("im,jm->ijm", x * row, y).reshape(-1, len(row))
                yield (pairs @ z.T).reshape(self.load.shape)
            else:
                inner = np.einsum("abcd,d->abc", core, row)
                yield np.einsum("abc,ia,jb,kc->ijk", inner, x, y, z, optimize=True)


@lru_cache(maxsize=2)
def semidiscrete(elements: int, linear: bool) -> Semidiscrete:
    """Return the independent solution, kept for the cases that share it."""
    return Semidiscrete(problem(elements).axes, linear)


@lru_cache(maxsize=1)
def fem_run(elements: int) -> tuple[float, float]:
    """Return the seconds of one run of scikit-fem, and its distance from the diagonalised solution at the end."""
    linear = semidiscrete(elements, True)
    k, p = queries()[0]
    seconds, nodal = heat_fem.solve(linear.times, elements, k, p, 0.5, spots)
    *_, last = linear.stepped(k, p, 0.5)
    expected = heat_fem.nodal_values(last, [s.vectors for s in linear.spectra])
    return seconds, float(np.linalg.norm(nodal - expected) / np.linalg.norm(expected))


def best_of_five(action: Any) -> float:
    """Return the shortest wall time: both sides of a comparison of short times shall be undisturbed."""
    return min(harness.timed(action)[0] for _ in range(5))


def measure(elements: int) -> Any:
    """Return what a model of so many elements is measured by."""

    def action(problem: it.Problem, model: Any) -> dict[str, Any]:
        exact, linear = semidiscrete(elements, False), semidiscrete(elements, True)
        fem_seconds, mismatch = (None, 0.0) if WITHOUT_FEM in sys.argv else fem_run(elements)
        if mismatch > 1e-4:
            raise RuntimeError(f"scikit-fem and the diagonalised linear elements differ by {mismatch:.1e}")
        k, p = queries()[0]
        diagonal = best_of_five(lambda: exact.field_at_end(k, p))
        nodes = problem.axes[0].nodes
        query = best_of_five(lambda: model.grid(x=nodes, y=nodes, z=nodes, k=[k], P=[p], t=[END]))
        return {
            "error": exact.difference(model, exact.exact),
            "error_fem": linear.difference(model, lambda k, p: linear.stepped(k, p, 0.5)),
            "error_fem_euler": linear.difference(model, lambda k, p: linear.stepped(k, p, 1.0)),
            "fem_seconds": None if fem_seconds is None else harness.significant(fem_seconds),
            "diagonal_seconds": harness.significant(diagonal),
            "query_seconds": harness.significant(query),
        }

    return action


def case(name: str, elements: int, solve: dict[str, Any], error: float, seconds: float | None) -> harness.Case:
    """Return one row of the experiment."""
    return harness.Case(
        name,
        lambda: problem(elements),
        solve,
        error,
        seconds,
        quick=elements < 100,
        sampler=None,
        measure=measure(elements),
        fields={"dimension": 6, "nodes": elements + 1},
    )


CASES = [
    case("s6-15", 100, {"rank": 15}, 3.38e-3, 0.1),
    case("s6-100", 100, {"rank": 100}, 2e-5, 2.0),
    case("s6-tucker", 100, {"method": "tucker", "tolerance": 5e-6}, 1e-5, 0.3),
    case("s6-15-small", 20, {"rank": 15}, 3.38e-3, None),
]


def run(case: harness.Case, repeat: int) -> dict[str, Any]:
    """Run a case; its peak memory is that of a process that does nothing else."""
    line = harness.run_case(case, repeat)
    if not case.quick:
        line["peak_rss_gb"] = harness.significant(peak_in_subprocess(case) / 1e9)
    if line["seconds"] is not None:
        once = line["seconds"] + line["setup_seconds"]
        for name, peer in (("break_even", "fem_seconds"), ("break_even_diagonal", "diagonal_seconds")):
            gain = (line[peer] or 0.0) - line["query_seconds"]
            line[name] = int(np.ceil(once / gain)) if gain > 0 else None
    return line


def peak_in_subprocess(case: harness.Case) -> int:
    """Return the peak resident memory in bytes of a process that states and solves the problem once."""
    command = [sys.executable, __file__, "--solve-only", case.name]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(done.stdout)


def solve_only(name: str) -> None:
    """Solve a case and print the peak resident memory in bytes."""
    case = next(case for case in CASES if case.name == name)
    with harness.peak_memory() as peak:
        harness.solve(case.build(), case)
    print(peak[0])


if __name__ == "__main__":
    if sys.argv[1:2] == ["--solve-only"]:
        solve_only(sys.argv[2])
    else:
        sys.exit(harness.main(CASES, __doc__, [a for a in sys.argv[1:] if a != WITHOUT_FEM], run=run))
