"""Gap: 10^5 samples of a function of five coordinates, none of them in a slab; the error counts the slab, too.

The function is a sum of ten products of sines, sin(w x + p) with w in [1/2, 2] and p in [0, 2 pi] at random, weighted
by normal random numbers, on [0,1]^5. Samples are uniform but for 0.45 < x1 < 0.55, four of the 40 elements of patch
size 4. "gap" is `INNRegressor().fit`, all of it: its report must name the slab, and that it went to alternating least
squares for it. "gap-als" are alternating least squares with 14 modes on the 40 elements, the weight of the penalty on
curvature from the data; in "gap-rough" it is close to zero.

`error`: root mean squared error at 20,000 random points of the whole cube, slab included; `error_gap` in the slab.
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
from inntd.training.outcome import FitResult

Array = harness.Array

DIMENSION, MODES, ELEMENTS, S = 5, 10, 40, 4
SLAB = (0.45, 0.55)
RANK = 14
LIMIT, SECONDS = 7e-3, 0.5
CASES: dict[str, tuple[float | str | None, float | None, int]] = {  # smoothness, limit of the error, samples
    "gap": (None, LIMIT, 100_000),
    "gap-als": ("auto", LIMIT, 100_000),
    "gap-rough": (1e-10, None, 100_000),
    "gap-small": (None, LIMIT, 20_000),
}


def function(x: Array) -> Array:
    """Return the values (K,) at points (K, 5)."""
    random = np.random.default_rng(1)
    frequency = random.uniform(0.5, 2, (DIMENSION, MODES))
    phase = random.uniform(0, 2 * np.pi, (DIMENSION, MODES))
    waves = np.prod([np.sin(np.outer(x[:, d], frequency[d]) + phase[d]) for d in range(DIMENSION)], axis=0)
    values: Array = waves @ random.standard_normal(MODES)
    return values


def samples(count: int) -> tuple[Array, Array]:
    """Return samples outside the slab, and their values."""
    x = np.random.default_rng(0).random((count, DIMENSION))
    low, high = SLAB
    left = x[:, 0] * (1 - (high - low))  # the line without the slab
    x[:, 0] = np.where(left < low, left, left + (high - low))
    return x, function(x)


def regress(x: Array, y: Array) -> FitResult:
    """Fit with the estimator's defaults, and check that it saw the slab."""
    model = it.INNRegressor().fit(x, y)
    report = model.report_
    if report["optimizer"] != "als" or "of 'x0'" not in report["why"]:
        raise RuntimeError(f"the gap was not seen: {report['optimizer']}, {report['why']}")
    return FitResult(model.model_, report["status"], report["message"], choices={**report, "predict": model.predict})


def run(name: str, repeat: int) -> dict[str, Any]:
    """Fit `repeat` times, check the error, and return the case's line."""
    smoothness, limit, count = CASES[name]
    axes = [it.Axis(f"x{d + 1}", 0, 1, elements=ELEMENTS, s=S) for d in range(DIMENSION)]
    x, y = samples(count)

    def fit() -> FitResult:
        return regress(x, y) if smoothness is None else fit_als(axes, x, y, rank=RANK, smoothness=smoothness, sweeps=1)

    runs = [harness.clocked(fit) for _ in range(repeat)]
    found = runs[-1][2]
    predict = found.choices.get("predict", lambda points: found.model(torch.from_numpy(points)).numpy())
    unseen = np.random.default_rng(2).random((20_000, DIMENSION))
    off = predict(unseen) - function(unseen)
    within = (unseen[:, 0] > SLAB[0]) & (unseen[:, 0] < SLAB[1])
    error = float(np.sqrt(np.mean(off**2)))
    rejected = None if limit is None or error <= limit else f"the error {error:.2e} exceeds {limit:.0e}"
    return {
        "case": name,
        "error": error,
        "error_at_most": limit,
        "error_gap": float(np.sqrt(np.mean(off[within] ** 2))),
        "modes": found.choices["rank"],
        "parameters": sum(values.numel() for values in found.model.parameters()),
        "samples": count,
        "seconds": None if rejected else harness.significant(float(np.median([seconds for seconds, _, _ in runs]))),
        "seconds_at_most": SECONDS if name == "gap" else None,
        "seconds_cpu": harness.significant(float(np.median([cpu for _, cpu, _ in runs]))),
        "repeats": repeat,
        "threads": 1,
        "load": harness.load(),
        "status": found.status,
        "why": found.choices.get("why"),
        "rejected": rejected,
        **harness.environment(),
    }


def main() -> int:
    """Run the chosen cases and print a line for each; 1 if one was wrong."""
    options = harness.argument_parser(__doc__ or "", list(CASES)).parse_args()
    names = ["gap-small"] if options.quick else options.case or ["gap", "gap-als", "gap-rough"]
    repeat = 1 if options.quick else options.repeat
    return harness.print_lines((run(name, repeat) for name in names), options.output)


if __name__ == "__main__":
    sys.exit(main())
