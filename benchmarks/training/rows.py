"""Rows: public functions from many rows, by the estimator's defaults and by histogram gradient boosting's.

"<function>" has 10^5 rows without noise, "million-<function>" 10^6, borehole's with noise of 5 % of the standard
deviation. `error` is the root mean squared error against the function itself at 20,000 further random points, over the
standard deviation; `peer` has what scikit-learn's HistGradientBoostingRegressor reaches in the same run.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import harness  # before NumPy: one thread
import numpy as np
from functions import FUNCTIONS
from sklearn.ensemble import HistGradientBoostingRegressor

import inntd as it

# Function, rows, noise over standard deviation, largest error.
CASES: dict[str, tuple[str, int, float, float]] = {
    "borehole": ("borehole", 100_000, 0.0, 2e-4),
    "otl": ("otl", 100_000, 0.0, 2e-5),
    "piston": ("piston", 100_000, 0.0, 2e-3),
    "wing": ("wing", 100_000, 0.0, 2e-5),
    "friedman": ("friedman", 100_000, 0.0, 1e-5),
    "ishigami": ("ishigami", 100_000, 0.0, 1e-5),
    "million-borehole": ("borehole", 1_000_000, 0.05, 5e-3),
    "million-wing": ("wing", 1_000_000, 0.0, 1e-4),
    "ishigami-small": ("ishigami", 12_000, 0.0, 1e-5),
}


def run(name: str, repeat: int) -> dict[str, Any]:
    """Fit `repeat` times, check the error, and return the case's line."""
    function, count, noise, limit = CASES[name]
    x, exact = FUNCTIONS[function].draw(np.random.default_rng(0), count)
    y = exact + noise * exact.std() * np.random.default_rng(3).standard_normal(count)
    unseen, values = FUNCTIONS[function].draw(np.random.default_rng(1), 20_000)

    def error(model: Any) -> float:
        return float(np.sqrt(np.mean((model.predict(unseen) - values) ** 2)) / np.std(values))

    it.INNRegressor(optimizer="als", rank=1).fit(x[:100], y[:100])  # what is imported on the way is not timed
    runs = [harness.clocked(lambda: it.INNRegressor().fit(x, y)) for _ in range(repeat)]
    wall, busy, peer = harness.clocked(lambda: HistGradientBoostingRegressor(random_state=0).fit(x, y))
    model = runs[-1][2]
    found = error(model)
    rejected = None if found <= limit else f"the error {found:.2e} exceeds {limit:.0e}"
    return {
        "case": name,
        "error": found,
        "error_at_most": limit,
        "modes": model.report_["rank"],
        "parameters": sum(values.numel() for values in model.model_.parameters()),
        "elements": model.report_.get("elements"),
        "samples": count,
        "noise": noise,
        "seconds": None if rejected else harness.significant(float(np.median([seconds for seconds, _, _ in runs]))),
        "seconds_cpu": None if rejected else harness.significant(float(np.median([cpu for _, cpu, _ in runs]))),
        "peer": {
            "model": "HistGradientBoostingRegressor",
            "error": error(peer),
            "seconds": harness.significant(wall),
            "seconds_cpu": harness.significant(busy),
        },
        "repeats": repeat,
        "threads": 1,
        "load": harness.load(),
        "status": model.report_["status"],
        "why": model.report_["why"],
        "rejected": rejected,
        **harness.environment(),
    }


def main() -> int:
    """Run the chosen cases and print a line for each; 1 if one was wrong."""
    options = harness.argument_parser(__doc__ or "", list(CASES)).parse_args()
    names = ["ishigami-small"] if options.quick else options.case or [name for name in CASES if "small" not in name]
    repeat = 1 if options.quick else options.repeat
    return harness.print_lines((run(name, repeat) for name in names), options.output)


if __name__ == "__main__":
    sys.exit(main())
