"""Sobol' indices of a public function by SALib: settings on stdin, one JSON line out. Needs SALib and NumPy only."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[2])]

import numpy as np
from functions import FUNCTIONS
from SALib.analyze import sobol as analyze
from SALib.sample import sobol as sample

settings = json.load(sys.stdin)
function = FUNCTIONS[settings["function"]]
problem = {
    "num_vars": len(function.ranges),
    "names": [f"x{d}" for d in range(len(function.ranges))],
    "bounds": [list(bounds) for bounds in function.ranges],
}
begin = time.perf_counter()
points = sample.sample(problem, settings["samples"], calc_second_order=False, seed=0)
found = analyze.analyze(problem, function.formula(*points.T), calc_second_order=False, seed=0)
seconds = time.perf_counter() - begin
print(
    json.dumps(
        {
            "first": np.asarray(found["S1"]).tolist(),
            "total": np.asarray(found["ST"]).tolist(),
            "seconds": seconds,
            "points": len(points),
        }
    )
)
