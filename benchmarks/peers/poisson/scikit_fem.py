"""S1 (D = 2, 3) solved by scikit-fem and by inntd, side by side.

In 2-D scikit-fem's direct solver gets the same discrete system, as one sparse matrix; in 3-D that has 10^8 nonzeros.
Besides, scikit-fem's own elements: the same nodes with linear and quadratic elements (linear systems solved directly
in 2-D, by preconditioned conjugate gradients in 3-D), and in 2-D few elements of degree 7, the degree of the
C-HiDeNN basis with s = 3.
"""

from __future__ import annotations

import statistics
import sys
from typing import TYPE_CHECKING, Any

import common  # before NumPy: one thread
import harness
import numpy as np
import s1

if TYPE_CHECKING:
    import skfem

DIMENSIONS = (2, 3)


def elements(dimension: int, stop: float) -> dict[str, tuple[Any, int]]:
    """Return name, element and number of elements per axis."""
    import skfem

    if dimension == 3:
        return {"trilinear": (skfem.ElementHex1(), 31), "triquadratic, 10 elements": (skfem.ElementHex2(), 10)}
    few = 2 if stop == 1 else 8
    return {
        "bilinear": (skfem.ElementQuad1(), 31),
        "biquadratic": (skfem.ElementQuad2(), 31),
        f"degree 7, {few} elements": (skfem.ElementQuadP(7), few),
    }


def exact(x: common.Array) -> common.Array:
    """Return the exact solution at points x (D, ...)."""
    return np.sin(np.pi / 2 * x).sum(axis=0)


def solve(dimension: int, stop: float, element: Any, count: int) -> tuple[float, float, float]:
    """Return wall and CPU seconds (mesh, assembly and solve) and the relative L2 error."""
    import skfem

    seconds, busy, (basis, u) = harness.clocked(lambda: _solution(dimension, stop, element, count))

    @skfem.Functional  # type: ignore[untyped-decorator]
    def square_error(w: Any) -> common.Array:
        return (w["u"] - exact(w.x)) ** 2

    @skfem.Functional  # type: ignore[untyped-decorator]
    def square(w: Any) -> common.Array:
        return exact(w.x) ** 2

    fine = basis.with_element(basis.elem) if basis.elem.maxdeg > 2 else skfem.Basis(basis.mesh, basis.elem, intorder=8)
    return seconds, busy, float(np.sqrt(square_error.assemble(fine, u=fine.interpolate(u)) / square.assemble(fine)))


def same_system(case: harness.Case, repeat: int) -> dict[str, Any]:
    """Solve the very discrete system of a case with two axes."""
    import skfem
    from scipy.sparse import csr_matrix, kron

    axis = common.make_axis(case)

    def action() -> tuple[common.Axis1D, common.Array]:
        system = common.assemble(axis)
        inner = csr_matrix(system.stiffness[:, 1:-1]), csr_matrix(system.mass[:, 1:-1])
        matrix = (kron(*inner) + kron(*reversed(inner))).tocsr()
        left, right = common.load_train(2, system)
        return system, skfem.solve(matrix, (left[0] @ right[..., 0]).ravel())

    several = []
    for _ in range(repeat):
        harness.forget()
        several.append(harness.clocked(action))
    system, solution = several[0][2]
    train = [solution.reshape(1, len(system.one), -1), np.eye(len(system.one))[:, :, None]]
    return {
        "error": common.relative_error(train, system),
        "seconds": statistics.median(run[0] for run in several),
        "seconds_cpu": statistics.median(run[1] for run in several),
        "settings": "the same discrete system",
    }


def _solution(dimension: int, stop: float, element: Any, count: int) -> tuple[skfem.CellBasis, common.Array]:
    import skfem
    from skfem.models.poisson import laplace
    from skfem.utils import solver_direct_scipy, solver_iter_pcg

    nodes = [np.linspace(0, stop, count + 1)] * dimension
    mesh = (skfem.MeshQuad if dimension == 2 else skfem.MeshHex).init_tensor(*nodes)
    basis = skfem.Basis(mesh, element)

    @skfem.LinearForm  # type: ignore[untyped-decorator]
    def load(v: Any, w: Any) -> common.Array:
        return (np.pi / 2) ** 2 * exact(w.x) * v

    boundary = basis.boundary().project(lambda x: exact(x))
    matrix, vector = laplace.assemble(basis), load.assemble(basis)
    condensed = skfem.condense(matrix, vector, x=boundary, D=basis.get_dofs())
    solver = solver_direct_scipy() if dimension == 2 else solver_iter_pcg(rtol=1e-10)
    return basis, skfem.solve(*condensed, solver=solver)


def runs(case: harness.Case, repeat: int) -> tuple[str, list[dict[str, Any]]]:
    """Run scikit-fem with each kind of element."""
    dimension, stop = case.fields["dimension"], 1.0 if "unit" in case.name else 12.0
    found = [same_system(case, repeat)] if dimension == 2 else []
    for name, (element, count) in elements(dimension, stop).items():
        several = [solve(dimension, stop, element, count) for _ in range(repeat if dimension == 2 else 1)]
        seconds, cpu, errors = zip(*several, strict=True)
        found.append(
            {
                "error": max(errors),
                "seconds": statistics.median(seconds),
                "seconds_cpu": statistics.median(cpu),
                "settings": name,
            }
        )
    return "scikit-fem", found


if __name__ == "__main__":
    s1.CASES += [s1.case(3, 1, 3, 1e-9, 0.01, 1e-10)]
    sys.exit(common.main(__doc__, "skfem", DIMENSIONS, runs))
