"""S7 by scikit-fem: linear and quadratic hexahedra on the same box, by conjugate gradients with Jacobi scaling."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import harness  # before NumPy: one thread
import numpy as np

Array = harness.Array
Fields = Callable[[Array, Array, Array], Array]


def solve(elements: int, quadratic: bool, force: Fields, exact: Fields, gradient: Fields) -> dict[str, float]:
    """Solve on a mesh of so many elements per axis.

    Parameters
    ----------
    force, exact, gradient
        Functions of x, y, z (arrays of any shape): body force (3, ...), solution (3, ...), its gradient (3, 3, ...).

    Returns
    -------
    dict
        `error` and `error_energy`, relative, and `seconds` (mesh, assembly and solve).
    """
    import skfem
    from skfem.helpers import ddot, sym_grad, trace

    def action() -> tuple[Any, Array]:
        from scipy.sparse.linalg import LinearOperator, cg
        from skfem.models.elasticity import linear_elasticity

        line = np.linspace(0, 1, elements + 1)
        mesh = skfem.MeshHex.init_tensor(line, line, 2 * line)
        element = skfem.ElementVector(skfem.ElementHex2() if quadratic else skfem.ElementHex1())
        basis = skfem.Basis(mesh, element, intorder=5 if quadratic else 3)

        @skfem.LinearForm  # type: ignore[untyped-decorator]
        def work(v: Any, w: Any) -> Array:
            product: Array = (force(*w.x) * v).sum(axis=0)
            return product

        matrix, load = linear_elasticity(1.0, 1.0).assemble(basis), work.assemble(basis)
        free = basis.complement_dofs(basis.get_dofs())
        matrix, u = matrix[free][:, free].tocsr(), np.zeros(basis.N)
        jacobi = 1 / matrix.diagonal()
        precondition = LinearOperator(matrix.shape, lambda r: jacobi * r)
        u[free], failed = cg(matrix, load[free], rtol=1e-9, M=precondition)
        if failed:
            raise RuntimeError(f"conjugate gradients gave up after {failed} iterations")
        return basis, u

    seconds, _, (basis, u) = harness.clocked(action)

    @skfem.Functional  # type: ignore[untyped-decorator]
    def square(w: Any) -> Array:
        return ((w["u"] - exact(*w.x)) ** 2).sum(axis=0)

    @skfem.Functional  # type: ignore[untyped-decorator]
    def energy(w: Any) -> Array:
        wanted = gradient(*w.x)
        strain = sym_grad(w["u"]) - (wanted + wanted.swapaxes(0, 1)) / 2
        return 2 * ddot(strain, strain) + trace(strain) ** 2

    fine = skfem.Basis(basis.mesh, basis.elem, intorder=6)
    found = {}
    for name, form in (("error", square), ("error_energy", energy)):
        off, size = (form.assemble(fine, u=fine.interpolate(values)) for values in (u, np.zeros_like(u)))
        found[name] = float(np.sqrt(off / size))
    return {**found, "seconds": harness.significant(seconds)}
