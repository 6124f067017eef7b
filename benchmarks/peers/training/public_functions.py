"""Surrogates of public test functions by their defaults: inntd beside scikit-learn, and SMT's kriging and OpenTURNS's
sparse polynomial chaos where these are installed. One JSON line per function and model: the error relative to the
standard deviation of the function at 100,000 random points, the worst of the training seeds; median seconds.

Every model gets the same samples; those of other libraries get standardised inputs and targets.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import argparse
import importlib.util
import json
import time
import warnings
from collections.abc import Callable
from typing import Any

import harness  # before NumPy: one thread
import numpy as np
from functions import FUNCTIONS

import inntd as it

Array = harness.Array
Predict = Callable[[Array], Array]
TESTS = 100_000
MOST_FOR_KRIGING = 2000  # samples: its time grows with the cube


def inntd(x: Array, y: Array) -> Predict:
    return it.INNRegressor().fit(x, y).predict


def gaussian_process(x: Array, y: Array) -> Predict:
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

    kernel = ConstantKernel() * RBF(np.ones(x.shape[1]), (1e-2, 1e3)) + WhiteKernel(1e-6, (1e-12, 1.0))
    return GaussianProcessRegressor(kernel, n_restarts_optimizer=1, random_state=0).fit(x, y).predict


def boosted_trees(x: Array, y: Array) -> Predict:
    from sklearn.ensemble import HistGradientBoostingRegressor

    return HistGradientBoostingRegressor(random_state=0).fit(x, y).predict


def perceptron(x: Array, y: Array) -> Predict:
    from sklearn.neural_network import MLPRegressor

    return MLPRegressor(hidden_layer_sizes=(100, 100), max_iter=2000, random_state=0).fit(x, y).predict


def kriging(x: Array, y: Array) -> Predict:
    from smt.surrogate_models import KRG

    model = KRG(print_global=False)
    model.set_training_values(x, y[:, None])
    model.train()
    return lambda points: model.predict_values(points)[:, 0]


def chaos(x: Array, y: Array) -> Predict:
    import openturns as ot

    ranges = [ot.Uniform(float(low), float(high)) for low, high in zip(x.min(0), x.max(0), strict=True)]
    algorithm = ot.FunctionalChaosAlgorithm(ot.Sample(x), ot.Sample(y[:, None]), ot.JointDistribution(ranges))
    algorithm.run()
    found = algorithm.getResult().getMetaModel()
    return lambda points: np.array(found(ot.Sample(points)))[:, 0]


MODELS: dict[str, tuple[Callable[[Array, Array], Predict], str]] = {
    "inntd": (inntd, "sklearn"),
    "gaussian-process": (gaussian_process, "sklearn"),
    "boosted-trees": (boosted_trees, "sklearn"),
    "perceptron": (perceptron, "sklearn"),
    "kriging": (kriging, "smt"),
    "chaos": (chaos, "openturns"),
}


def measure(name: str, model: str, samples: int, noise: float, seeds: int, tests: int) -> dict[str, Any]:
    function, (fit, _) = FUNCTIONS[name], MODELS[model]
    check, right = function.draw(np.random.default_rng(10**6), tests)
    errors, fits, predictions = [], [], []
    for seed in range(seeds):
        random = np.random.default_rng(seed)
        x, y = function.draw(random, samples)
        y = y + noise * y.std() * random.standard_normal(samples)
        scale = (lambda z: z) if model == "inntd" else (lambda z, x=x: (z - x.mean(0)) / x.std(0))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the peers' convergence
            clock = time.perf_counter()
            predict = fit(scale(x), y if model == "inntd" else (y - y.mean()) / y.std())
            fits.append(time.perf_counter() - clock)
            clock = time.perf_counter()
            found = np.concatenate([predict(scale(part)) for part in np.array_split(check, 10)])
            predictions.append(time.perf_counter() - clock)
        found = found if model == "inntd" else y.mean() + y.std() * found
        errors.append(float(np.sqrt(np.mean((found - right) ** 2)) / right.std()))
    return {
        "case": f"{name}-{samples}" + (f"-noise-{noise:g}" if noise else ""),
        "model": model,
        "error": max(errors),
        "errors": errors,
        "seconds": float(np.median(fits)),
        "predict_seconds": float(np.median(predictions)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", choices=sorted(FUNCTIONS))
    parser.add_argument("--model", choices=sorted(MODELS))
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--noise", type=float, default=0.0, help="relative to the standard deviation")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    if options.quick:
        options.samples, options.seeds = 100, 1
    for name in [options.case] if options.case else FUNCTIONS:
        for model, (_, library) in MODELS.items():
            if options.model not in (None, model):
                continue
            if importlib.util.find_spec(library) is None:
                print(f"{model}: skipped, {library} is not installed", file=sys.stderr)
            elif model in ("gaussian-process", "kriging") and options.samples > MOST_FOR_KRIGING:
                print(f"{model}: skipped, too slow with {options.samples} samples", file=sys.stderr)
            else:
                tests = 5000 if options.quick else TESTS
                line = measure(name, model, options.samples, options.noise, options.seeds, tests)
                print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
