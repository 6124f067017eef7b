"""Six public functions fitted by inntd and its peers: held-out errors, seconds to fit and to predict.

One JSON line per function, number of samples, noise, training seed and model. `error` is the root mean square on
held-out points without noise, relative to the function's deviation.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).resolve().parents[2])]

import harness  # before NumPy: one thread
import numpy as np
from functions import FUNCTIONS, TestFunction
from models import MODELS, fitted

HELD_OUT, HELD_OUT_SEED = 100_000, 1_000_000
QUICK = {"functions": ["otl_circuit", "ishigami"], "samples": [100], "seeds": 1, "held_out": 2000}


def main(arguments: list[str] | None = None) -> int:
    """Print the lines; 1 when a model of inntd is worse than no model."""
    options = parsed(arguments)
    return harness.print_lines(lines(options), options.output)


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    """Return the arguments."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--case", "--function", action="append", choices=list(FUNCTIONS), dest="functions")
    parser.add_argument("--samples", type=int, nargs="+", default=[100, 1000])
    parser.add_argument("--noise", type=float, nargs="+", default=[0.0], help="relative to the function's deviation")
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=list(MODELS))
    parser.add_argument("--seeds", type=int, default=3, help="number of training sets")
    parser.add_argument("--held-out", type=int, default=HELD_OUT, help="number of points of the error")
    parser.add_argument("--quick", action="store_true", help="a smoke run")
    parser.add_argument("--output", type=Path, metavar="FILE", help="append the lines to a file, too")
    options = parser.parse_args(arguments)
    for name, value in QUICK.items() if options.quick else ():
        setattr(options, name, value)
    return options


def lines(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yield the line of each fit."""
    missing: set[str] = set()
    for name in options.functions or FUNCTIONS:
        held_out = FUNCTIONS[name].sample(options.held_out, HELD_OUT_SEED)
        for samples in options.samples:
            for noise in options.noise:
                for seed in range(options.seeds):
                    for model in options.models:
                        if model in missing or samples > MODELS[model][1]:
                            continue
                        try:
                            yield line(FUNCTIONS[name], samples, noise, seed, model, held_out)
                        except ImportError as error:
                            missing.add(model)
                            print(f"{model} is left out: {error}", file=sys.stderr)


def line(
    function: TestFunction, samples: int, noise: float, seed: int, model: str, held_out: tuple[Any, Any]
) -> dict[str, Any]:
    """Return one line: a fit, and its error on held-out points."""
    x, y = function.sample(samples, seed)
    points, exact = held_out
    y = y + noise * exact.std() * np.random.default_rng(seed + 10_000).standard_normal(samples)
    ranges = list(function.ranges.values())
    fit_seconds, fit_cpu, predict = harness.clocked(lambda: fitted(model, x, y, ranges, seed))
    predict_seconds, values = harness.timed(lambda: predict(points))
    error = float(np.sqrt(np.mean((values - exact) ** 2)) / exact.std())
    wrong = model == "inntd" and not error < 1.0
    return {
        "case": f"{function.name}-{samples}" + (f"-noise{noise:g}" if noise else ""),
        "function": function.name,
        "samples": samples,
        "noise": noise,
        "seed": seed,
        "model": model,
        "error": harness.significant(error),
        "fit_seconds": harness.significant(fit_seconds),
        "fit_seconds_cpu": harness.significant(fit_cpu),
        "predict_seconds": harness.significant(predict_seconds),
        "threads": 1,
        "load": harness.load(),
        "rejected": f"the error {error:.1e} is that of no model" if wrong else None,
        **harness.environment(),
    }


if __name__ == "__main__":
    sys.exit(main())
