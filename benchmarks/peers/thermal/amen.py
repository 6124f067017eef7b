"""Strong parameters and convection: inntd's reduced basis and torchTT's AMEn on the same discrete equations.

AMEn solves for all parameters at once, as a tensor train over x, y and Chebyshev points of each parameter, between
which polynomials interpolate; the settings are those that were fastest for it on Poisson. Of its tolerances the one
with the least error counts, and inntd solves to that error. Each error is the largest relative L2 error in space at
random parameters, against sparse direct solutions. torchTT must be installed beside inntd.
"""

from __future__ import annotations

import importlib.util
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE.parents[1] / "robust")]

import convection
import harness  # before NumPy: one thread
import numpy as np
import reduced
import thermal_block
import torch
from numpy.polynomial import chebyshev

import inntd as it
from inntd.axes import assembly

Array = harness.Array
Term = list[Any]  # one matrix for each of x, y and the parameters

SETTINGS = {"preconditioner": "c", "kickrank": 2, "max_full": 250, "nswp": 30}
TEST = 20


@dataclass(frozen=True)
class Case:
    """A row: the problem, its terms on the free nodes, and how its full solutions are found."""

    name: str
    build: Callable[[], it.Problem]
    terms: Callable[[it.Problem, list[Array]], tuple[list[Term], list[Array]]]
    inner: slice  # the free nodes of x and y
    direct: Callable[[it.Problem, Array], Array]
    points: int  # of each parameter
    tolerances: tuple[float, ...]
    quick: bool = False


def convection_terms(stated: it.Problem, angles: list[Array]) -> tuple[list[Term], list[Array]]:
    """Return -eps laplacian + (cos m, sin m) . grad at Chebyshev points of m."""
    x = stated.axes[0]
    mass, stiff, slope = (
        own.tosparse()[1:-1, 1:-1].toarray() for own in (assembly.mass(x), assembly.stiffness(x), assembly.advection(x))
    )
    one, all_angles = assembly.load(x, lambda t: 1.0)[1:-1, 0], np.eye(len(angles[0]))
    terms = [
        [1e-2 * stiff, mass, all_angles],
        [mass, 1e-2 * stiff, all_angles],
        [slope, mass, np.diag(np.cos(angles[0]))],
        [mass, slope, np.diag(np.sin(angles[0]))],
    ]
    return terms, [one, one, np.ones(len(angles[0]))]


def block_terms(stated: it.Problem, logarithms: list[Array]) -> tuple[list[Term], list[Array]]:
    """Return the four blocks of `thermal_block.py` at Chebyshev points of the conductivities' logarithms."""
    x, y = stated.axes[:2]
    parts = []
    for axis in (x, y):
        found = []
        for order in (0, 1):
            for weight in (lambda t: 1.0 * (t < 0.5), lambda t: 1.0 * (t >= 0.5)):
                weight.breaks = (0.5,)
                found.append(assembly.matrix(axis, order, order, weight).tosparse()[1:, 1:].toarray())
        parts.append((found[:2], found[2:]))
    (mx, kx), (my, ky) = parts
    others = [np.eye(len(points)) for points in logarithms]
    terms: list[Term] = []
    for i in range(2):
        for j in range(2):
            own = list(others)
            own[2 * i + j] = np.diag(10.0 ** logarithms[2 * i + j])
            terms += [[kx[i], my[j], *own], [mx[i], ky[j], *own]]
    end = assembly.face_matrix(x.end).tosparse()[1:, 1:].toarray()
    terms.append([end, my[0] + my[1], *others])
    one = [assembly.load(axis, lambda t: 1.0)[1:, 0] for axis in (x, y)]
    return terms, [one[0] + assembly.face_load(x.end)[1:], one[1], *(np.ones(len(p)) for p in logarithms)]


CASES = [
    Case("amen-convection-100", lambda: convection.problem(1e-2, 60, np.pi / 2), convection_terms, slice(1, -1),
         convection.direct(1e-2), 33, (1e-3, 1e-4, 1e-5)),
    Case("amen-thermal-block", lambda: thermal_block.problem(48), block_terms, slice(1, None),
         thermal_block.direct, 13, (1e-2, 1e-3)),
    Case("amen-convection-small", lambda: convection.problem(1e-2, 20, np.pi / 2), convection_terms, slice(1, -1),
         convection.direct(1e-2), 17, (1e-3,), True),
]  # fmt: skip


def train(matrices: Sequence[Any]) -> Any:
    """Return a product of matrices or vectors as a tensor train of rank one."""
    import torchtt

    return torchtt.TT([torch.from_numpy(np.ascontiguousarray(m[None, ..., None])) for m in matrices])


def amen(case: Case, stated: it.Problem, points: list[Array], eps: float) -> tuple[float, float, list[Array]]:
    """Return the wall and CPU seconds, assembly included, and the cores."""
    import torchtt

    def action() -> Any:
        terms, load = case.terms(stated, points)
        operator = train(terms[0])
        for term in terms[1:]:
            operator = operator + train(term)
        return torchtt.solvers.amen_solve(operator.round(1e-14), train(load), eps=eps, **SETTINGS)

    torch.manual_seed(0)
    harness.forget()
    wall, cpu, found = harness.clocked(action)
    return wall, cpu, [core.numpy() for core in found.cores]


def worst(case: Case, stated: it.Problem, cores: list[Array], tests: Array) -> float:
    """Return the largest relative L2 error of a train at parameters."""
    x, y = stated.axes[:2]
    boxes = [axis.domain for axis in stated.axes[2:]]
    mx, my = (assembly.mass(axis).tosparse() for axis in (x, y))

    def norm(values: Array) -> float:
        return float(np.sqrt(np.sum(values * (mx @ values @ my))))

    errors = []
    for test in tests:
        after = np.ones((1, 1))
        for core, value, (start, stop) in reversed(list(zip(cores[2:], test, boxes, strict=True))):
            row = lagrange(core.shape[1], 2 * (value - start) / (stop - start) - 1)
            after = np.einsum("rns,n->rs", core, row) @ after
        values = np.zeros((x.size, y.size))
        values[case.inner, case.inner] = cores[0][0] @ (cores[1] @ after)[:, :, 0]
        exact = case.direct(stated, test)
        errors.append(norm(values - exact) / norm(exact))
    return max(errors)


def lagrange(count: int, at: float) -> Array:
    """Return the values at a place in [-1, 1] of the polynomials that are one at one Chebyshev point each."""
    nodes = chebyshev.chebpts1(count)
    found: Array = np.linalg.solve(
        chebyshev.chebvander(nodes, count - 1).T, chebyshev.chebvander(np.array([at]), count - 1)[0]
    )
    return found


def run(case: Case, repeat: int) -> dict[str, Any]:
    """Run AMEn over its tolerances, then inntd to the least error, and return the case's line."""
    stated = case.build()
    unit = 0.5 * (chebyshev.chebpts1(case.points) + 1)
    points = [axis.domain[0] + (axis.domain[1] - axis.domain[0]) * unit for axis in stated.axes[2:]]
    tests = reduced.parameters(stated, TEST)
    peers = []
    for eps in case.tolerances:
        wall, cpu, cores = amen(case, stated, points, eps)
        peers.append((worst(case, stated, cores, tests), wall, cpu, eps, max(core.shape[0] for core in cores)))
    error, wall, cpu, eps, rank = min(peers)
    runs = []
    for _ in range(repeat):
        harness.forget()
        again = case.build()
        runs.append(
            harness.clocked(lambda again=again: it.solve(again, method="reduced_basis", tolerance=min(error, 0.5)))
        )
    answer = runs[-1][2]
    own = float(reduced.compared(stated, answer.model, case.direct, tests)[0].max())
    rejected = None if own <= error else f"the error {own:.2e} exceeds the peer's, {error:.2e}"
    seconds = [float(np.median([entry[i] for entry in runs])) for i in (0, 1)]
    return {
        "case": case.name,
        "error": own,
        "error_at_most": error,
        "modes": answer.modes,
        "parameters": sum(values.numel() for values in answer.model.parameters()) or answer.model.core.numel(),
        "seconds": None if rejected else harness.significant(seconds[0]),
        "seconds_cpu": harness.significant(seconds[1]),
        "peer_error": error,
        "peer_seconds": harness.significant(wall),
        "peer_seconds_cpu": harness.significant(cpu),
        "peer_rank": rank,
        "peer_settings": {"eps": eps, "points": case.points, **SETTINGS},
        "peer_tolerances": {f"{own_eps:g}": [found, harness.significant(busy)] for found, _, busy, own_eps, _ in peers},
        "ratio_cpu": harness.significant(cpu / seconds[1]),
        "repeats": repeat,
        "threads": 1,
        "load": harness.load(),
        "rejected": rejected,
        **harness.environment(),
    }


def main() -> int:
    """Run the chosen cases and print a line for each; 1 if one was wrong."""
    options = harness.argument_parser(__doc__ or "", [case.name for case in CASES]).parse_args()
    chosen = [c for c in CASES if (c.name in options.case if options.case else c.quick == options.quick)]
    if importlib.util.find_spec("torchtt") is None:
        print("skipped: torchTT is not installed", file=sys.stderr)
        return 0 if options.quick else 1
    warnings.filterwarnings("ignore")  # torchTT's own
    return harness.print_lines((run(case, 1 if options.quick else options.repeat) for case in chosen), options.output)


if __name__ == "__main__":
    sys.exit(main())
