"""pyMOR's own thermal block (2 x 2, zero on the boundary, load 1) by its weak greedy: one JSON line.

Linear triangles, energy product, min-theta estimator. Run by `pymor_greedy.py` in an interpreter that has pyMOR.
"""

from __future__ import annotations

import json
import os
import sys
import time

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_variable] = "1"

import numpy as np
import pymor
from pymor.basic import (
    CoerciveRBReductor,
    ExpressionParameterFunctional,
    discretize_stationary_cg,
    rb_greedy,
    set_log_levels,
    thermal_block_problem,
)


def main(elements: int, rank: int, training: int, test: list[list[float]]) -> None:
    """Build a basis of so many functions and print its times and its worst error."""
    set_log_levels({"pymor": "ERROR"})
    problem = thermal_block_problem((2, 2), parameter_range=(0.1, 10.0))
    model, _ = discretize_stationary_cg(problem, diameter=2**0.5 / elements)
    random = np.random.default_rng(1)
    samples = [model.parameters.parse(10 ** random.uniform(-1, 1, 4)) for _ in range(training)]
    cpu, wall = time.process_time(), time.perf_counter()
    estimator = ExpressionParameterFunctional("min(diffusion)", model.parameters)
    reductor = CoerciveRBReductor(model, product=model.h1_0_semi_product, coercivity_estimator=estimator)
    found = rb_greedy(model, reductor, samples, max_extensions=rank)["rom"]
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    errors, online = [], 0.0
    for point in test:
        mu = model.parameters.parse(np.array(point))
        exact = model.solve(mu)
        begin = time.process_time()
        reduced = found.solve(mu)
        online += time.process_time() - begin
        off = exact - reductor.reconstruct(reduced)
        errors.append(float(off.norm(model.l2_product)[0] / exact.norm(model.l2_product)[0]))
    print(
        json.dumps(
            {
                "error": max(errors), "modes": len(reductor.bases["RB"]), "seconds": wall, "seconds_cpu": cpu,
                "online": online / len(test), "nodes": model.solution_space.dim, "version": pymor.__version__,
            }
        )
    )  # fmt: skip


if __name__ == "__main__":
    settings = json.loads(sys.stdin.read())
    main(settings["elements"], settings["rank"], settings["training"], settings["test"])
