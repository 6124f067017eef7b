"""T1's data: u_t - k laplacian(u) = P s(x, y) on the unit square for many (k, P), by scikit-fem.

Biquadratic quadrilaterals, whose vertices are the output grid, and Crank-Nicolson, a whole number of steps per output
time. P enters linearly: one run per k. All values are scaled by one number, so that the largest is 2.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import harness  # before NumPy: one thread
import numpy as np

Array = harness.Array

CACHE = Path(__file__).resolve().parents[1] / ".cache"
CENTRES = (0.2, 0.4, 0.6, 0.8)
RADIUS = 0.05
END = 0.04
LARGEST = 2.0
RANGES = ((0.0, 1.0), (0.0, 1.0), (1.0, 4.0), (100.0, 200.0), (0.0, END))
NAMES = ("x", "y", "k", "P", "t")


@dataclass(frozen=True)
class Size:
    """Elements per direction, output times after zero, time steps, levels of k and P, and unseen pairs (k, P)."""

    elements: int = 40
    times: int = 20
    steps: int = 400
    levels: int = 10
    unseen: int = 10


FULL, SMALL = Size(), Size(elements=10, times=5, steps=20, levels=5, unseen=4)


@dataclass(frozen=True)
class Data:
    """Training samples on the whole grid, and test samples at unseen (k, P): points (K, 5) and values (K,)."""

    x: Array
    y: Array
    x_unseen: Array
    y_unseen: Array

    def part(self, percent: int, seed: int) -> tuple[Array, Array]:
        """Return a random part of the training samples."""
        if percent == 100:
            return self.x, self.y
        count = len(self.y) * percent // 100
        chosen = np.sort(np.random.default_rng(seed).permutation(len(self.y))[:count])
        return self.x[chosen], self.y[chosen]


def load(size: Size) -> Data:
    """Return the data; runs are kept in a folder that git ignores."""
    unseen = np.random.default_rng(0).uniform(*np.transpose(RANGES[2:4]), (size.unseen, 2))
    levels = [np.linspace(*RANGES[d], size.levels) for d in (2, 3)]
    runs = _cached(size, np.concatenate([levels[0], unseen[:, 0]]))  # (k, x, y, t) for P = 1
    scale = LARGEST / (float(runs[: size.levels].max()) * RANGES[3][1])
    line, times = np.linspace(0, 1, size.elements + 1), np.linspace(0, END, size.times + 1)
    grid = np.meshgrid(line, line, *levels, times, indexing="ij")
    values = runs[: size.levels].transpose(1, 2, 0, 3)[:, :, :, None, :] * levels[1][:, None] * scale
    points, fields = [], []
    for (k, p), run in zip(unseen, runs[size.levels :], strict=True):
        a, b, c = np.meshgrid(line, line, times, indexing="ij")
        points.append(np.stack([a, b, np.full_like(a, k), np.full_like(a, p), c], axis=-1).reshape(-1, 5))
        fields.append(run.ravel() * p * scale)
    x = np.stack([part.ravel() for part in grid], axis=1)
    return Data(x, values.ravel(), np.concatenate(points), np.concatenate(fields))


def _cached(size: Size, k: Array) -> Array:
    file = CACHE / f"t1-{size.elements}-{size.times}-{size.steps}-{size.levels}-{size.unseen}.npz"
    if file.exists():
        with np.load(file) as saved:
            if np.array_equal(saved["k"], k):
                runs: Array = saved["runs"]
                return runs
    runs = np.stack([run(size, value) for value in k])
    CACHE.mkdir(exist_ok=True)
    np.savez_compressed(file, k=k, runs=runs)
    return runs


def source(x: Array, y: Array) -> Array:
    """Return the source for P = 1."""
    return np.prod([sum(np.exp(-2 * (z - c) ** 2 / RADIUS**2) for c in CENTRES) for z in (x, y)], axis=0)


def run(size: Size, k: float) -> Array:
    """Return the field (x, y, t) on the output grid for one k and P = 1."""
    import skfem
    from scipy.sparse.linalg import splu
    from skfem.models.poisson import laplace, mass

    line = np.linspace(0, 1, size.elements + 1)
    mesh = skfem.MeshQuad.init_tensor(line, line)
    basis = skfem.Basis(mesh, skfem.ElementQuad2(), intorder=8)
    inner = basis.complement_dofs(basis.get_dofs())
    load = skfem.LinearForm(lambda v, w: source(w.x[0], w.x[1]) * v).assemble(basis)[inner]
    m, stiffness = (form.assemble(basis)[inner][:, inner].tocsc() for form in (mass, laplace))
    step = END / size.steps
    solve = splu(m + step / 2 * k * stiffness).solve
    order = np.lexsort(np.round(mesh.p[::-1] * size.elements).astype(int))  # the vertices by x, then by y
    vertices = basis.nodal_dofs[0][order]
    field, u = np.zeros((len(vertices), size.times + 1)), np.zeros(basis.N)
    for i in range(1, size.steps + 1):
        u[inner] += solve(step * (load - k * (stiffness @ u[inner])))
        if i % (size.steps // size.times) == 0:
            field[:, i * size.times // size.steps] = u[vertices]
    return field.reshape(len(line), len(line), -1)
