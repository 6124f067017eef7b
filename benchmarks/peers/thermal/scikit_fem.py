"""Thermal block, one parameter after the other: scikit-fem's full solutions beside inntd's reduced model.

scikit-fem: biquadratic squares, one matrix per block assembled beforehand, a sparse direct solution per parameter.
inntd: the model of all parameters, whose offline time counts apart. Errors of both are relative, at 2000 random places,
against scikit-fem on a mesh of three times as many elements, the largest of a few random parameters. They include the
mesh; at the corner where four conductivities meet the solution is singular, and that reference is off by some 1e-4.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE.parents[1] / "robust")]

import harness  # before NumPy: one thread
import numpy as np
import reduced
import skfem
import thermal_block
from skfem.helpers import dot, grad

import inntd as it

Array = harness.Array

CASES = {"thermal-fem-48": (48, 1e-5, 5), "thermal-fem-small": (12, 1e-4, 2)}  # elements, tolerance, parameters
PLACES = 2000
FINER = 3
LEAST = 3e-3  # errors are the mesh's, at the singular corner where four conductivities meet


@dataclass(frozen=True)
class Fem:
    """Matrices of the blocks, of the Robin face, and the load."""

    basis: Any
    blocks: list[Any]
    robin: Any
    load: Array

    @classmethod
    def of(cls, elements: int) -> Fem:
        """Assemble."""
        line = np.linspace(0, 1, elements + 1)
        mesh = skfem.MeshQuad.init_tensor(line, line)
        basis = skfem.Basis(mesh, skfem.ElementQuad2(), intorder=4)
        middle = mesh.p[:, mesh.t].mean(axis=1)
        blocks = []
        for i in range(2):
            for j in range(2):
                inside = np.flatnonzero(((middle[0] > 0.5) == i) & ((middle[1] > 0.5) == j))
                part = skfem.Basis(mesh, skfem.ElementQuad2(), intorder=4, elements=inside)
                blocks.append(skfem.BilinearForm(lambda u, v, w: dot(grad(u), grad(v))).assemble(part))
        right = basis.boundary(mesh.facets_satisfying(lambda x: np.isclose(x[0], 1.0)))
        robin = skfem.BilinearForm(lambda u, v, w: u * v).assemble(right)
        one = skfem.LinearForm(lambda v, w: 1.0 * v)
        return cls(basis, blocks, robin, one.assemble(basis) + one.assemble(right))

    def solve(self, point: Array) -> Array:
        """Return the degrees of freedom for one parameter."""
        operator = self.robin + sum(10 ** float(z) * block for z, block in zip(point, self.blocks, strict=True))
        fixed = self.basis.get_dofs(lambda x: np.isclose(x[0], 0) | np.isclose(x[1], 0))
        found: Array = skfem.solve(*skfem.condense(operator.tocsr(), self.load, D=fixed))
        return found


def run(name: str, repeat: int) -> dict[str, Any]:
    """Solve both ways and return the case's line."""
    elements, tolerance, count = CASES[name]
    places = np.random.default_rng(1).random((2, PLACES))
    fine, own = Fem.of(FINER * elements), Fem.of(elements)
    see_fine, see_own = fine.basis.probes(places), own.basis.probes(places)
    runs = []
    for _ in range(repeat):
        harness.forget()
        stated = thermal_block.problem(elements)
        runs.append(
            harness.clocked(lambda stated=stated: it.solve(stated, method="reduced_basis", tolerance=tolerance))
        )
    model, points = runs[-1][2].model, reduced.parameters(stated, count)
    seconds, errors = [], []
    for point in points:
        _, cpu, full = harness.clocked(lambda point=point: own.solve(point))
        seconds.append(cpu)
        exact = see_fine @ fine.solve(point)
        ours = model(np.column_stack([*places, np.tile(point, (PLACES, 1))])).numpy()
        errors.append([np.linalg.norm(values - exact) / np.linalg.norm(exact) for values in (ours, see_own @ full)])
    error, peer = (float(worst) for worst in np.max(errors, axis=0))
    online, peer_seconds = reduced.online(model, points), float(np.median(seconds))
    names = [axis.name for axis in stated.axes[2:]]
    fields = [harness.clocked(lambda point=point: whole(model, names, point, len(own.load)))[1] for point in points]
    rejected = None if error <= max(LEAST, 3 * peer) else f"the error {error:.2e} exceeds {max(LEAST, 3 * peer):.0e}"
    return {
        "case": name,
        "error": error,
        "error_at_most": max(LEAST, 3 * peer),
        "modes": runs[-1][2].modes,
        "parameters": model.core.numel() + sum(factor.numel() for factor in model.factors),
        "seconds": None if rejected else harness.significant(float(np.median([wall for wall, _, _ in runs]))),
        "seconds_cpu": harness.significant(float(np.median([cpu for _, cpu, _ in runs]))),
        "online_seconds": harness.significant(online),
        "peer_error": peer,
        "peer_unknowns": len(own.load),
        "peer_seconds_cpu": harness.significant(peer_seconds),
        "field_seconds": harness.significant(float(np.median(fields))),
        "ratio_field": harness.significant(peer_seconds / float(np.median(fields))),
        "repeats": repeat,
        "threads": 1,
        "load": harness.load(),
        "rejected": rejected,
        **harness.environment(),
    }


def whole(model: Any, names: list[str], point: Array, unknowns: int) -> Any:
    """Return the field of one parameter at as many equally spaced places as scikit-fem has unknowns."""
    line = np.linspace(0, 1, round(unknowns**0.5))
    return model.grid(x=line, y=line, **dict(zip(names, map(float, point), strict=True)))


def main() -> int:
    """Run the chosen cases and print a line for each; 1 if one was wrong."""
    options = harness.argument_parser(__doc__ or "", list(CASES)).parse_args()
    names = ["thermal-fem-small"] if options.quick else options.case or ["thermal-fem-48"]
    return harness.print_lines((run(name, 1 if options.quick else options.repeat) for name in names), options.output)


if __name__ == "__main__":
    sys.exit(main())
