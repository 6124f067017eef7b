"""T1: a surrogate of 2-D heat in space, parameters and time, from 10, 30 and 100 % of the samples of FEM runs.

u_t - k laplacian(u) = P s(x, y) on [0,1]^2, k in [1,4], P in [100,200], t in (0,0.04], zero on the boundary and at t=0,
s = sum over 4 x 4 centres of exp(-2 ((x-x_i)^2 + (y-y_i)^2) / r0^2), r0 = 0.05; scaled so that the largest value is 2.
Data (training/t1_data.py): 40 x 40 biquadratic elements, 400 steps of Crank-Nicolson; a grid of 41 x 41 x 21 points,
10 values of k and 10 of P, of which each case takes a random part.

`error`: root mean squared error at 10 unseen random pairs (k, P), all grid points; `error_training` at the samples;
both are medians of the repeats. `seconds` is one fit. Models: `inntd` by its defaults (mesh, rank and smoothness from
the data); `mlp` (5 layers of 50, tanh) and `siren` (4 layers of 100) in torch, by Adam with a cosine rate on the same
samples, for as long as ``--budget`` says (ten minutes at most); `kan`, pykan's [5, 5, 5, 1], where pykan is installed.
Choose models by ``--model``, by default inntd alone. Each fit is kept in a file that git ignores, ours by its commit,
and is not done again; ``--table`` prints what is kept.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
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
CASES = tuple(name for name in PERCENT if name != "t1-small")
MOST_BUDGET = 600.0
KEPT = t1_data.CACHE / "t1-fits.jsonl"
MODELS = ("inntd", "mlp", "siren", "kan")


def fit_ours(x: Array, y: Array, seed: int, budget: float) -> tuple[it.CPModel, Line]:
    """Fit an INN-TD model by the defaults: everything is chosen from the samples."""
    axes = axes_from_data(x, names=t1_data.NAMES)
    found = fit_als(axes, x, y, rank="auto", seed=seed, max_seconds=min(budget, OUR_BUDGET))
    assert isinstance(found.model, it.CPModel)
    return found.model, {"status": found.status, "steps": len(found.history), "epochs": None}


def rmse(model: torch.nn.Module, x: Array, y: Array) -> float:
    """Return the root mean squared error at samples, a part of them at a time."""
    total, step = 0.0, 1 << 17
    with torch.no_grad():
        for begin in range(0, len(y), step):
            values = model(torch.from_numpy(x[begin : begin + step])).numpy()
            total += float(np.sum((values - y[begin : begin + step]) ** 2))
    return float(np.sqrt(total / len(y)))


def fit_once(name: str, kind: str, seed: int, budget: float) -> Line:
    """Fit one model to one part of the data, unless that was done before, and return what came of it."""
    ours = kind == "inntd"
    key = {"case": name, "model": kind, "seed": seed, "budget": None if ours else budget}
    if ours:
        key["commit"] = harness.commit()
    for line in kept():
        if all(line.get(entry) == value for entry, value in key.items()):
            return line
    data = t1_data.load(t1_data.SMALL if name == "t1-small" else t1_data.FULL)
    x, y = data.part(PERCENT[name], seed)
    fit = fit_ours if ours else t1_networks.FITS[kind]
    seconds, busy, (model, told) = harness.clocked(lambda: fit(x, y, seed, budget))
    line = {
        **key,
        "error": rmse(model, data.x_unseen, data.y_unseen),
        "error_training": rmse(model, x, y),
        "modes": model.rank if isinstance(model, it.CPModel) else None,
        "parameters": sum(values.numel() for values in model.parameters() if values.requires_grad or ours),
        "samples": len(y),
        "seconds": harness.significant(seconds),
        "seconds_cpu": harness.significant(busy),
        "load": harness.load(),
        **told,
    }
    if name != "t1-small" and not str(key.get("commit")).endswith("+"):  # of local changes nothing is kept
        KEPT.parent.mkdir(exist_ok=True)
        with KEPT.open("a") as file:
            file.write(harness.as_json(line) + "\n")
    return line


def kept() -> list[Line]:
    """Return the fits that were kept."""
    return [json.loads(line) for line in KEPT.read_text().splitlines()] if KEPT.exists() else []


def run(name: str, kind: str, repeat: int, budget: float) -> Line:
    """Fit one model to `repeat` parts of the data, with other seeds, and return the line."""
    setup, _ = harness.timed(lambda: t1_data.load(t1_data.SMALL if name == "t1-small" else t1_data.FULL))
    fits = [fit_once(name, kind, seed, budget) for seed in range(repeat)]
    ours, last = kind == "inntd", fits[-1]
    limit = None
    if ours:
        limit = QUICK_LIMIT if name == "t1-small" else LIMITS[PERCENT[name]]
    error = median(fits, "error")
    rejected = None if limit is None or error <= limit else f"the error {error:.2e} exceeds {limit:.0e}"
    return {
        "case": name,
        "model": kind,
        "error": error,
        "error_at_most": limit,
        "errors": [fit["error"] for fit in fits],
        "error_training": median(fits, "error_training"),
        "modes": last["modes"],
        "parameters": last["parameters"],
        "samples": last["samples"],
        "seconds": None if rejected else harness.significant(median(fits, "seconds")),
        "seconds_at_most": SECONDS if ours else None,
        "budget": last["budget"],
        "steps": [fit["steps"] for fit in fits],
        "epochs": [fit["epochs"] for fit in fits],
        "seconds_cpu": harness.significant(median(fits, "seconds_cpu")),
        "setup_seconds": harness.significant(setup),
        "repeats": repeat,
        "threads": 1,
        "load": last["load"],
        "status": last["status"],
        "rejected": rejected,
        **harness.environment(),
    }


def median(fits: Sequence[Line], name: str) -> float:
    """Return the median of an entry."""
    return float(np.median([float(str(fit[name])) for fit in fits]))


def table() -> str:
    """Return what was kept, a row per model and budget: errors in thousandths, and what the time sufficed for."""
    rows = ["| model | parameters | " + " | ".join(f"{PERCENT[name]} %" for name in CASES) + " |", "|---" * 5 + "|"]
    groups: dict[tuple[str, str, str], dict[str, list[Line]]] = {}
    for fit in kept():
        key = (str(fit["model"]), str(fit["budget"]), str(fit.get("commit") or ""))
        groups.setdefault(key, {}).setdefault(str(fit["case"]), []).append(fit)
    for (kind, budget, commit), cases in groups.items():
        cells = [_cell(cases[name]) if name in cases else "–" for name in CASES]
        parameters = max(int(str(fit["parameters"])) for fits in cases.values() for fit in fits)
        label = f"{kind} ({commit})" if kind == "inntd" else f"{kind}, {budget} s"
        rows.append(f"| {label} | {parameters:,} | {' | '.join(cells)} |")
    return "\n".join(rows)


def _cell(fits: Sequence[Line]) -> str:
    """Return median and largest test error, that at the samples, and the time."""
    largest = max(float(str(fit["error"])) for fit in fits)
    effort = (
        f"{median(fits, 'steps'):,.0f} steps" if fits[0]["epochs"] is None else f"{median(fits, 'epochs'):g} epochs"
    )
    return (
        f"{1e3 * median(fits, 'error'):.3g} (largest of {len(fits)}: {1e3 * largest:.3g}; at the samples "
        f"{1e3 * median(fits, 'error_training'):.3g}; {median(fits, 'seconds'):.3g} s, {effort})"
    )


def main() -> int:
    """Run the chosen cases and models, print a line for each; 1 if one of ours was wrong."""
    parser = harness.argument_parser(__doc__ or "", list(PERCENT))
    parser.add_argument("--model", action="append", choices=MODELS, help="by default inntd")
    parser.add_argument(
        "--budget", type=float, default=60.0, metavar="SECONDS", help="of a network's fit, 60 by default"
    )
    parser.add_argument("--table", action="store_true", help="print the fits that were kept as a table, and do none")
    parser.set_defaults(repeat=3)
    options = parser.parse_args()
    if options.table:
        print(table())
        return 0
    if not 0 < options.budget <= MOST_BUDGET:
        parser.error(f"--budget must be at most {MOST_BUDGET:g} seconds, got {options.budget:g}")
    names = ["t1-small"] if options.quick else options.case or list(CASES)
    repeat, budget = (1, 2.0) if options.quick else (options.repeat, options.budget)
    models = [kind for kind in options.model or ["inntd"] if kind != "kan" or t1_networks.has_kan()]
    lines = (run(name, kind, repeat, budget) for name in names for kind in models)
    return harness.print_lines(lines, options.output)


if __name__ == "__main__":
    sys.exit(main())
