"""Sobol' indices of public functions: inntd's exact ones of a model, and SALib's from samples of the formula.

The model interpolates the formula on a grid of few nodes per axis (`setup_seconds`); its indices are exact for it. Both
are compared with quadrature on a finer full grid: `error` is the largest difference in a first-order or total index.
SALib runs in an interpreter of its own:

    python -m venv salib && salib/bin/pip install SALib
    python benchmarks/peers/statistics/salib_sobol.py --peer-python salib/bin/python
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1])]

import harness  # before NumPy: one thread
import numpy as np
from functions import FUNCTIONS, Function

import inntd as it

Array = harness.Array
NODES = {"ishigami": 31, "otl": 7, "piston": 8, "borehole": 5}  # per axis; the reference has one more
SAMPLES = (1 << 10, 1 << 14)  # base samples of SALib: times the number of inputs plus two
LIMIT = 5e-3  # of the error


def tabulated(function: Function, vectors: list[Array]) -> Array:
    """Return the values on a full grid."""
    return np.asarray(function.formula(*np.meshgrid(*vectors, indexing="ij", sparse=True)))


def reference(function: Function, count: int) -> Array:
    """Return first-order and total indices (2, D) by Gauss quadrature on a full grid."""
    x, w = np.polynomial.legendre.leggauss(count)
    values = tabulated(function, [low + 0.5 * (high - low) * (x + 1) for low, high in function.ranges])
    axes = range(values.ndim)

    def mean(array: Array, over: Any) -> Array:
        for d in over:
            shape = [1] * values.ndim
            shape[d] = -1
            array = (array * (0.5 * w).reshape(shape)).sum(axis=d, keepdims=True)
        return array

    centred = values - mean(values, axes)
    variance = mean(centred**2, axes).item()
    first = [mean(centred, [e for e in axes if e != d]) for d in axes]
    # Functions of one axis are integrated over that axis alone.
    closed = [float(((0.5 * w) * part.reshape(-1) ** 2).sum()) for part in first]
    total = [float(mean((values - mean(values, [d])) ** 2, axes).item()) for d in axes]
    return np.array([closed, total]) / variance


def model_of(function: Function, count: int) -> it.TuckerModel:
    """Return the model that interpolates the formula on a grid."""
    axes = [
        it.Axis(f"x[{d}]", low, high, elements=count - 1, s=min(3, (count - 1) // 2))
        for d, (low, high) in enumerate(function.ranges)
    ]
    core = tabulated(function, [axis.nodes for axis in axes])
    return it.TuckerModel.from_factors(axes, core, [np.eye(count) for _ in axes]).round(tolerance=1e-8)


def run(name: str, repeat: int, python: str) -> dict[str, Any]:
    """Run both and return the case's line."""
    function, count = FUNCTIONS[name], NODES[name]
    exact = reference(function, count + 1)
    setup, model = harness.timed(lambda: model_of(function, count))
    runs = [harness.timed(model.sobol_indices) for _ in range(repeat)]
    found = runs[0][1]
    error = float(np.abs(np.array([list(found.first.values()), list(found.total.values())]) - exact).max())
    line: dict[str, Any] = {
        "case": f"sobol-{name}",
        "error": harness.significant(error),
        "modes": None,
        "rank": list(model.rank),
        "parameters": sum(part.numel() for part in model.parameters()),
        "seconds": harness.significant(min(seconds for seconds, _ in runs)),
        "setup_seconds": harness.significant(setup),
    }
    for samples in SAMPLES:
        settings = json.dumps({"function": name, "samples": samples})
        done = subprocess.run(
            [python, str(HERE / "salib_side.py")], input=settings, capture_output=True, text=True, check=True
        )
        peer = json.loads(done.stdout.splitlines()[-1])
        off = float(np.abs(np.array([peer["first"], peer["total"]]) - exact).max())
        key = f"peer_{int(math.log2(samples))}"
        line |= {
            f"{key}_error": harness.significant(off),
            f"{key}_seconds": harness.significant(peer["seconds"]),
            f"{key}_points": peer["points"],
        }
    line["rejected"] = None if error <= LIMIT else f"error {error:.1e} above {LIMIT:g}"
    return line | {"repeats": repeat, "threads": 1, "load": harness.load()} | harness.environment()


def main() -> int:
    """Print one JSON line per case."""
    parser = harness.argument_parser(__doc__ or "", [f"sobol-{name}" for name in NODES])
    parser.add_argument("--peer-python", default=sys.executable, metavar="FILE", help="an interpreter that has SALib")
    options = parser.parse_args()
    names = [case.removeprefix("sobol-") for case in options.case or ()] or (["otl"] if options.quick else list(NODES))
    if subprocess.run([options.peer_python, "-c", "import SALib"], capture_output=True, check=False).returncode:
        print(f"skipped: {options.peer_python} has no SALib; name one that has by --peer-python", file=sys.stderr)
        return 0 if options.quick else 1
    repeat = 1 if options.quick else options.repeat
    return harness.print_lines((run(name, repeat, options.peer_python) for name in names), options.output)


if __name__ == "__main__":
    sys.exit(main())
