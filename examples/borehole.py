"""A surrogate of the flow through a borehole (m³/yr) from 400 samples of eight inputs in a CSV file.

``python examples/borehole.py --write`` writes the samples anew. The same on the command line:
``inntd fit examples/borehole.csv --target flow --output borehole.inntd``.
"""

import sys
from pathlib import Path

import numpy as np

import inntd as it

SAMPLES = Path(__file__).with_suffix(".csv")
RANGES = {  # radii (m), transmissivities (m²/yr), potentiometric heads (m), length (m), conductivity (m/yr)
    "rw": (0.05, 0.15),
    "r": (100, 50_000),
    "Tu": (63_070, 115_600),
    "Hu": (990, 1110),
    "Tl": (63.1, 116),
    "Hl": (700, 820),
    "L": (1120, 1680),
    "Kw": (9855, 12_045),
}


def flow(x):
    """Return the flow (K,) for inputs (K, 8)."""
    rw, r, tu, hu, tl, hl, length, kw = x.T
    log = np.log(r / rw)
    return 2 * np.pi * tu * (hu - hl) / (log * (1 + 2 * length * tu / (log * rw**2 * kw) + tu / tl))


def inputs(count, seed):
    """Return random inputs (count, 8), rounded as in the file."""
    low, high = np.array(list(RANGES.values())).T
    drawn = np.random.default_rng(seed).uniform(low, high, (count, len(RANGES)))
    return np.array([[float(f"{value:.6g}") for value in row] for row in drawn])


def write(path):
    """Write the samples."""
    x = inputs(400, seed=0)
    rows = np.column_stack([x, flow(x)])
    np.savetxt(path, rows, fmt=["%.6g"] * 8 + ["%.12g"], delimiter=",", header=",".join([*RANGES, "flow"]), comments="")


if __name__ == "__main__" and "--write" in sys.argv:
    write(SAMPLES)
elif __name__ == "__main__":
    rows = np.loadtxt(SAMPLES, delimiter=",", skiprows=1)
    model = it.INNRegressor().fit(rows[:, :-1], rows[:, -1])
    print(f"optimiser: {model.report_['optimizer']} ({model.report_['why']}), {model.report_['rank']} modes")
    new = inputs(10_000, seed=1)
    error = np.sqrt(np.mean((model.predict(new) - flow(new)) ** 2)) / flow(new).std()
    print(f"root mean square error at 10,000 new points: {error:.1e} of the flow's standard deviation")
    field = model.model_  # a function of eight coordinates, that can be sliced, averaged and differentiated
    middle = {axis.name: sum(axis.domain) / 2 for axis in field.axes[1:]}
    print(f"mean flow {field.mean():.2f} m3/yr; by the borehole's radius alone: {field.at(middle)}")
