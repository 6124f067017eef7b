"""Large: 10^5 well-sampled points of a function of five coordinates and rank ten, by 60 modes on 40 elements, s = 4.

The function is a sum of ten products of random smooth functions, one per coordinate of the unit cube,
g(x) = sum_k a_k cos(k pi x), k = 0..5, with a_k normal of deviation 1 / (1 + k), scaled to a mean square of one; so is
the sum. `error` is the root mean squared error at 20,000 further random points, `error_relative` the same over the
values' standard deviation.

"adam-1s" and "adam-5s" are the paper's Algorithm 2, all factors at once by mini-batch Adam, with the library's defaults
but for the number of epochs, which fills one and five seconds of one core; "adam-nodal" moves nodal values as the
paper does, as many epochs as "adam-1s"; "als" are three sweeps of alternating least squares.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import harness  # before NumPy: one thread
import numpy as np
import torch

import inntd as it
from inntd.training.als import fit_als
from inntd.training.gradient import fit_adam

Array = harness.Array

DIMENSION, TERMS, WAVES, ELEMENTS, S, RANK = 5, 10, 6, 40, 4, 60
PAPER = {"smoothing": None, "betas": (0.9, 0.999), "schedule": "cosine", "rate": 1e-2}
# Trainer and its arguments, samples, largest error, seconds that it should take.
CASES: dict[str, tuple[Any, dict[str, Any], int, float, float | None]] = {
    "adam-1s": (fit_adam, {"epochs": 40}, 100_000, 9e-4, 1.0),
    "adam-5s": (fit_adam, {"epochs": 220}, 100_000, 9e-5, 5.0),
    "adam-nodal": (fit_adam, {"epochs": 40, **PAPER}, 100_000, 2e-2, None),
    "als": (fit_als, {"sweeps": 3}, 100_000, 1e-1, None),
    "adam-small": (fit_adam, {"epochs": 30}, 20_000, 1e-1, None),
}


def function(x: Array) -> Array:
    """Return the values (K,) at points (K, 5)."""
    waves = np.arange(WAVES)
    a = np.random.default_rng(1).standard_normal((DIMENSION, TERMS, WAVES)) / (1 + waves)
    a /= np.sqrt(a[:, :, :1] ** 2 + 0.5 * np.sum(a[:, :, 1:] ** 2, axis=2, keepdims=True))
    modes = np.prod([np.cos(np.pi * np.outer(x[:, d], waves)) @ a[d].T for d in range(DIMENSION)], axis=0)
    values: Array = modes.sum(axis=1) / np.sqrt(TERMS)
    return values


def run(name: str, repeat: int) -> dict[str, Any]:
    """Fit `repeat` times, check the error, and return the case's line."""
    trainer, arguments, count, limit, seconds = CASES[name]
    axes = [it.Axis(f"x{d + 1}", 0, 1, elements=ELEMENTS, s=S) for d in range(DIMENSION)]
    x = np.random.default_rng(0).random((count, DIMENSION))
    y = function(x)
    runs = [harness.clocked(lambda: trainer(axes, x, y, rank=RANK, **arguments)) for _ in range(repeat)]
    found = runs[-1][2]
    unseen = np.random.default_rng(2).random((20_000, DIMENSION))
    exact = function(unseen)
    error = float(np.sqrt(np.mean((found.model(torch.from_numpy(unseen)).numpy() - exact) ** 2)))
    rejected = None if error <= limit else f"the error {error:.2e} exceeds {limit:.0e}"
    return {
        "case": name,
        "error": error,
        "error_at_most": limit,
        "error_relative": error / float(np.std(exact)),
        "steps": len(found.history),
        "modes": RANK,
        "parameters": sum(values.numel() for values in found.model.parameters()),
        "samples": count,
        "seconds": None if rejected else harness.significant(float(np.median([wall for wall, _, _ in runs]))),
        "seconds_at_most": seconds,
        "seconds_cpu": None if rejected else harness.significant(float(np.median([cpu for _, cpu, _ in runs]))),
        "repeats": repeat,
        "threads": 1,
        "load": harness.load(),
        "status": found.status,
        "rejected": rejected,
        **harness.environment(),
    }


def main() -> int:
    """Run the chosen cases and print a line for each; 1 if one was wrong."""
    options = harness.argument_parser(__doc__ or "", list(CASES)).parse_args()
    names = ["adam-small"] if options.quick else options.case or [name for name in CASES if name != "adam-small"]
    repeat = 1 if options.quick else options.repeat
    return harness.print_lines((run(name, repeat) for name in names), options.output)


if __name__ == "__main__":
    sys.exit(main())
