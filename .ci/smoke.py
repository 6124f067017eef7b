"""Uses an installed inntd from a folder that is not the repository: solve, save, load, evaluate, export."""

import sys
from pathlib import Path

import numpy as np
import torch
from sympy import pi, sin

import inntd as it

package = Path(it.__file__).resolve().parent
assert Path(sys.prefix).resolve() in package.parents, f"inntd comes from {package}, not from {sys.prefix}"

x, y = (it.Axis(name, 0, 1, elements=20) for name in "xy")
u = it.unknown("u", x, y)
problem = it.Problem(strong=-it.laplacian(u) - 2 * pi**2 * sin(pi * x) * sin(pi * y), conditions=[u.on(x, y) == 0])
answer = it.solve(problem, tolerance=1e-6)
assert answer.status == "converged", answer
answer.model.save("square.inntd")
points = torch.rand(100, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
values = it.load("square.inntd")(points).detach().numpy()
error = float(np.abs(values - np.prod(np.sin(np.pi * points.numpy()), axis=1)).max())
assert error < 1e-6, error
for name in ("square.html", "square.h", "square.npz"):  # their templates are files of the package
    answer.model.export(name)
    assert Path(name).stat().st_size > 1000
print(f"{package}: solved, saved, loaded, exported; largest error {error:.1e}")
