"""T1: a surrogate of 2-D heat in space, parameters and time, from 10, 30 and 100 % of the samples of FEM runs.

u_t - k laplacian(u) = P s(x, y) on [0,1]^2, k in [1,4], P in [100,200], t in (0,0.04], zero on the boundary and at t=0,
s = sum over 4 x 4 centres of exp(-2 ((x-x_i)^2 + (y-y_i)^2) / r0^2), r0 = 0.05; scaled so that the largest value is 2.
Data (training/t1_data.py): 40 x 40 biquadratic elements, 400 steps of Crank-Nicolson; a grid of 41 x 41 x 21 points,
10 values of k and 10 of P, of which each case takes a random part.

`error`: root mean squared error at 10 unseen random pairs (k, P), all grid points; `error_training` at the samples.
`seconds` is one fit. Models: `inntd` by its defaults (mesh, rank and smoothness from the data); `mlp` (5 layers of 50,
tanh) and `siren` (4 layers of 100) in torch, by Adam with a cosine rate on the same samples, for as long as
``--budget`` says; `kan`, pykan's [5, 5, 5, 1], where pykan is installed in an environment of its own. Choose models by
``--model``, by default inntd alone.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "training"))

import harness  # before NumPy: one thread
import numpy as np
import t1_data
import t1_networks
import torch

import inntd as it
from inntd.training.als import fit_als
from inntd.training.mesh import axes_from_data

Array = harness.Array
Line = dict[str, object]

# RMSE of ours that counts as right, and seconds of a fit; the paper's INN-TD: 0.748e-3, 0.154e-3, 0.129e-3.
LIMITS = {10: 0.15e-3, 30: 0.09e-3, 100: 0.09e-3}
SECONDS = 20.0
OUR_BUDGET = 12.0  # no sweep begins later: what is left is for the last one
QUICK_LIMIT = 5e-3
PERCENT = {"t1-10": 10, "t1-30": 30, "t1-100": 100, "t1-small": 100}
MODELS = ("inntd", "mlp", "siren", "kan")


def fit_ours(x: Array, y: Array, seed: int, budget: float) -> tuple[it.CPModel, str]:
    """Fit an INN-TD model by the defaults: everything is chosen from the samples."""
    axes = axes_from_data(x, names=t1_data.NAMES)
    found = fit_als(axes, x, y, rank="auto", seed=seed, max_seconds=min(budget, OUR_BUDGET))
    assert isinstance(found.model, it.CPModel)
    return found.model, found.status


def rmse(model: torch.nn.Module, x: Array, y: Array) -> float:
    """Return the root mean squared error at samples, a part of them at a time."""
    total, step = 0.0, 1 << 17
    with torch.no_grad():
        for begin in range(0, len(y), step):
            values = model(torch.from_numpy(x[begin : begin + step])).numpy()
            total += float(np.sum((values - y[begin : begin + step]) ** 2))
    return float(np.sqrt(total / len(y)))


def run(name: str, kind: str, repeat: int, budget: float) -> Line:
    """Fit one model to one part of the data, `repeat` times with other parts and seeds, and return its line."""
    size = t1_data.SMALL if name == "t1-small" else t1_data.FULL
    setup, data = harness.timed(lambda: t1_data.load(size))
    fit = fit_ours if kind == "inntd" else t1_networks.FITS[kind]
    errors, training, seconds, cpu = [], [], [], []
    for seed in range(repeat):
        x, y = data.part(PERCENT[name], seed)
        time, busy, (model, status) = harness.clocked(lambda x=x, y=y, seed=seed: fit(x, y, seed, budget))
        seconds.append(time)
        cpu.append(busy)
        errors.append(rmse(model, data.x_unseen, data.y_unseen))
        training.append(rmse(model, x, y))
    limit = None
    if kind == "inntd":
        limit = QUICK_LIMIT if name == "t1-small" else LIMITS[PERCENT[name]]
    error = float(np.median(errors))
    rejected = None if limit is None or error <= limit else f"the error {error:.2e} exceeds {limit:.0e}"
    ours = isinstance(model, it.CPModel)
    return {
        "case": name,
        "model": kind,
        "error": error,
        "error_at_most": limit,
        "errors": errors,
        "error_training": float(np.median(training)),
        "modes": model.rank if ours else None,
        "parameters": sum(values.numel() for values in model.parameters()),
        "samples": len(y),
        "seconds": None if rejected else harness.significant(float(np.median(seconds))),
        "seconds_at_most": SECONDS if ours else None,
        "seconds_cpu": harness.significant(float(np.median(cpu))),
        "setup_seconds": harness.significant(setup),
        "repeats": repeat,
        "threads": 1,
        "load": harness.load(),
        "status": status,
        "rejected": rejected,
        **harness.environment(),
    }


def main() -> int:
    """Run the chosen cases and models, print a line for each; 1 if one of ours was wrong."""
    parser = harness.argument_parser(__doc__ or "", list(PERCENT))
    parser.add_argument("--model", action="append", choices=MODELS, help="by default inntd")
    parser.add_argument(
        "--budget", type=float, default=60.0, metavar="SECONDS", help="of a network's fit, 60 by default"
    )
    parser.set_defaults(repeat=3)
    options = parser.parse_args()
    names = ["t1-small"] if options.quick else options.case or [name for name in PERCENT if name != "t1-small"]
    repeat, budget = (1, 2.0) if options.quick else (options.repeat, options.budget)
    models = [kind for kind in options.model or ["inntd"] if kind != "kan" or t1_networks.has_kan()]
    lines = (run(name, kind, repeat, budget) for name in names for kind in models)
    return harness.print_lines(lines, options.output)


if __name__ == "__main__":
    sys.exit(main())
