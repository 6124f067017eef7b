"""S6 for one (k, P): linear hexahedra by scikit-fem, and any tensor-product basis by diagonalisation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import harness  # before NumPy: one thread
import numpy as np
import oracle

Array = harness.Array


def solve(times: Array, elements: int, k: float, p: float, theta: float, spots: Callable[[Array], Array]) -> Any:
    """Step through the times by conjugate gradients with Jacobi's preconditioner.

    Returns
    -------
    tuple
        The seconds of the time stepping alone (a next (k, P) can use the assembled matrices again), and the values at
        the end at the inner nodes (m, m, m).
    """
    import skfem
    from scipy.sparse.linalg import LinearOperator, cg
    from skfem.models.poisson import laplace, mass

    line = np.linspace(0, 1, elements + 1)
    mesh = skfem.MeshHex.init_tensor(line, line, line)
    basis = skfem.Basis(mesh, skfem.ElementHex1(), intorder=2)  # exact: products of quadratics on boxes
    inner = mesh.interior_nodes()
    inner = inner[np.lexsort(np.round(mesh.p[:, inner] * elements).astype(int)[::-1])]
    m, stiffness = (form.assemble(basis)[inner][:, inner].tocsr() for form in (mass, laplace))
    load = p * _load(line, spots).ravel()
    if not (np.array_equal(m.indices, stiffness.indices) and np.array_equal(m.indptr, stiffness.indptr)):
        raise RuntimeError("the mass and stiffness matrices must have one pattern")
    matrix, u = m.copy(), np.zeros(len(inner))

    def run() -> Array:
        nonlocal u
        for tau in np.diff(times):
            matrix.data[:] = m.data + (theta * tau * k) * stiffness.data
            # With the steady load the step asks for the increment: (M + theta tau k K) du = tau (load - k K u).
            right = tau * (load - k * (stiffness @ u))
            jacobi = 1 / matrix.diagonal()
            precondition = LinearOperator(matrix.shape, lambda r, jacobi=jacobi: jacobi * r)
            step, failed = cg(matrix, right, rtol=1e-6, M=precondition)
            if failed:
                raise RuntimeError(f"conjugate gradients gave up after {failed} iterations")
            u = u + step
        return u

    seconds, _ = harness.timed(run)
    return seconds, u.reshape((elements - 1,) * 3)


def _load(line: Array, spots: Callable[[Array], Array]) -> Array:
    """Integrate the source, a product of functions of one coordinate, against the inner nodes' functions."""
    import skfem

    basis = skfem.Basis(skfem.MeshLine(line), skfem.ElementLineP1(), intorder=20)
    functions = (spots, spots, lambda z: (z >= 0.5).astype(float))
    vectors = []
    for function in functions:

        @skfem.LinearForm  # type: ignore[untyped-decorator]
        def form(v: Any, w: Any, function: Any = function) -> Array:
            return function(w.x[0].ravel()).reshape(w.x[0].shape) * v

        vectors.append(form.assemble(basis)[np.argsort(basis.mesh.p[0])][1:-1])
    return oracle.outer(vectors)


def nodal_values(coefficients: Array, vectors: Sequence[Array]) -> Array:
    """Return the values at the inner nodes of coefficients (m, m, m) of eigenvectors, one axis after the other."""
    values = coefficients
    for axis in vectors:
        values = np.tensordot(values, axis, axes=(0, 1))
    return values
