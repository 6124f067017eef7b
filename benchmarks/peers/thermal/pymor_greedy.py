"""Thermal block, 2 x 2, zero on the boundary: inntd's reduced basis and pyMOR's weak greedy at equal error, offline.

pyMOR solves its own problem of that name with linear triangles; inntd the same one with as many nodes, to pyMOR's
error. Each error is the largest relative L2 error at 20 random parameters, against full solutions on the same mesh.
Both look for the worst parameter among 1024 (inntd: and the 16 corners). pyMOR runs in an interpreter of its own:

    python -m venv pymor && pymor/bin/pip install pymor
    python benchmarks/peers/thermal/pymor_greedy.py --peer-python pymor/bin/python
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE.parents[1] / "robust")]

import harness  # before NumPy: one thread
import numpy as np
import reduced
import scipy.sparse.linalg

import inntd as it
from inntd.axes import assembly

TRAINING, TEST = 1024, 20
RANKS = {"thermal-pymor-20": (48, 20), "thermal-pymor-small": (16, 8)}  # elements, functions of pyMOR's basis


def problem(elements: int) -> it.Problem:
    """State the problem; the parameters are decimal logarithms of the conductivities."""
    x, y = (it.Axis(name, 0, 1, elements=elements, s=2) for name in "xy")
    z = [it.Axis(f"z{i}", -1, 1, elements=16, kind="parameter") for i in range(4)]
    u, v = it.unknown("u", x, y, *z), it.test_function()
    halves = [(it.indicator(axis < 0.5), it.indicator(axis >= 0.5)) for axis in (x, y)]
    k = sum(10 ** z[2 * i + j]._sympy_() * halves[0][i] * halves[1][j] for i in range(2) for j in range(2))
    return it.Problem(weak=k * it.dot(it.grad(v), it.grad(u)) - v, conditions=[u.on(x, y) == 0])


def direct(stated: it.Problem, point: harness.Array) -> harness.Array:
    """Return the nodal values for one parameter by a sparse direct solution."""

    def halves(axis: it.Axis, order: int) -> list[Any]:
        weights = [lambda t: 1.0 * (t < 0.5), lambda t: 1.0 * (t >= 0.5)]
        for weight in weights:
            weight.breaks = (0.5,)
        return [assembly.matrix(axis, order, order, weight).tosparse()[1:-1, 1:-1] for weight in weights]

    x, y = stated.axes[:2]
    (mx, kx), (my, ky) = ((halves(axis, 0), halves(axis, 1)) for axis in (x, y))
    operator = sum(
        10 ** float(point[2 * i + j]) * (reduced.kron(kx[i], my[j]) + reduced.kron(mx[i], ky[j]))
        for i in range(2)
        for j in range(2)
    )
    one = [assembly.load(axis, lambda t: 1.0)[1:-1, 0] for axis in (x, y)]
    values = np.zeros((x.size, y.size))
    solved = scipy.sparse.linalg.spsolve(operator.tocsc(), np.outer(*one).ravel())
    values[1:-1, 1:-1] = solved.reshape(x.size - 2, y.size - 2)
    return values


def run(name: str, repeat: int, python: str) -> dict[str, Any]:
    """Run pyMOR once and inntd `repeat` times, and return the case's line."""
    elements, rank = RANKS[name]
    points = reduced.parameters(problem(elements), TEST)
    settings = {"elements": elements, "rank": rank, "training": TRAINING, "test": (10**points).tolist()}
    done = subprocess.run([python, str(HERE / "pymor_side.py")], input=json.dumps(settings), capture_output=True,
                          text=True, check=True)  # fmt: skip
    peer = json.loads(done.stdout.splitlines()[-1])
    runs = []
    for _ in range(repeat):
        harness.forget()
        stated = problem(elements)
        runs.append(
            harness.clocked(lambda stated=stated: it.solve(stated, method="reduced_basis", tolerance=peer["error"]))
        )
    answer = runs[-1][2]
    worst = float(reduced.compared(stated, answer.model, direct, points)[0].max())
    wall, cpu = (float(np.median([entry[i] for entry in runs])) for i in (0, 1))
    rejected = None if worst <= peer["error"] else f"the error {worst:.2e} exceeds the peer's, {peer['error']:.2e}"
    return {
        "case": name,
        "error": worst,
        "error_at_most": peer["error"],
        "modes": answer.modes,
        "parameters": answer.model.core.numel() + sum(factor.numel() for factor in answer.model.factors),
        "free_nodes": (elements - 1) ** 2,
        "seconds": None if rejected else harness.significant(wall),
        "seconds_cpu": harness.significant(cpu),
        "online_seconds": harness.significant(reduced.online(answer.model, points)),
        **{f"peer_{key}": harness.significant(v) if isinstance(v, float) else v for key, v in peer.items()},
        "ratio": harness.significant(peer["seconds"] / wall),
        "ratio_cpu": harness.significant(peer["seconds_cpu"] / cpu),
        "repeats": repeat,
        "threads": 1,
        "load": harness.load(),
        "rejected": rejected,
        **harness.environment(),
    }


def main() -> int:
    """Run the chosen cases and print a line for each; 1 if one was wrong."""
    parser = harness.argument_parser(__doc__ or "", list(RANKS))
    parser.add_argument("--peer-python", default=sys.executable, metavar="FILE", help="an interpreter that has pyMOR")
    options = parser.parse_args()
    names = ["thermal-pymor-small"] if options.quick else options.case or ["thermal-pymor-20"]
    repeat = 1 if options.quick else options.repeat
    if subprocess.run([options.peer_python, "-c", "import pymor"], capture_output=True, check=False).returncode:
        print(f"skipped: {options.peer_python} has no pyMOR; name one that has by --peer-python", file=sys.stderr)
        return 0 if options.quick else 1
    return harness.print_lines((run(name, repeat, options.peer_python) for name in names), options.output)


if __name__ == "__main__":
    sys.exit(main())
