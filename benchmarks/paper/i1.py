"""I1: conductivity and power of S6's heat problem from the field of finite-element runs, and intervals under noise.

The model is S6's, solved once for all (k, P); the truth 100 random pairs (k, P) in [1,4] x [100,200], each run by
trilinear finite elements on the same 100 x 100 x 100 mesh, 100 implicit steps on the same graded times, by
tensor-product diagonalisation in NumPy, which shares no code with the solver. `i1` sees the field at 19 x 19 x 19 inner
nodes (every fifth) at 10 times (every tenth), starts from uniformly random guesses and searches the box.

`error`, `error_k`, `error_P`: mean relative errors of the field there, of k and of P, with Crank-Nicolson; the same
with `_euler` for backward Euler, whose own error is ten times larger, and with `_exact` for the model's basis, exact in
time: what the model and the calibration themselves are off. The paper has 2.18e-3, 2.76e-3, 2.62e-3. `adam_...`: the
paper's optimiser (rate 0.1 of the box, 500 steps) on the first ten pairs. `seconds`: one `calibrate`, the median.

`i1-noise-...`: 200 repeats with 100 values of 25 places at 4 times and normal noise of 1, 5 and 20 % of their root mean
square, whose size is not told: `coverage` is the share of 95 % intervals that hold the truth, of k and P together, and
must lie between 0.9 and 0.98; `coverage_profile` by profile likelihood, of every fifth repeat. `error` is then the
median relative error of the field.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

for _folder in (".", "..", "../peers/heat"):
    sys.path.insert(0, str((Path(__file__).parent / _folder).resolve()))

import harness  # before NumPy: one thread
import numpy as np
import oracle
import s6

import inntd as it

Array = harness.Array

CACHE = Path(__file__).resolve().parents[1] / ".cache"
PAPER = {"error": 2.18e-3, "error_k": 2.76e-3, "error_P": 2.62e-3}
LOW, HIGH = np.array([1.0, 100.0]), np.array([4.0, 200.0])
TRUTHS = ("crank-nicolson", "euler", "exact")
COVERAGE = (0.90, 0.98)
PLACES, REPEATS, PROFILE_EVERY = 25, 200, 5


@dataclass(frozen=True)
class Case:
    """One experiment: mesh, number of pairs or repeats, noise as a share of the root mean square, and the truth."""

    name: str
    elements: int
    count: int
    noise: float | None
    truths: tuple[str, ...]
    every: int
    quick: bool = False

    @property
    def times(self) -> Array:
        """Numbers of the time nodes that are seen."""
        return np.arange(1, 11) * self.elements // 10

    @property
    def nodes(self) -> Array:
        """Numbers of the nodes of each axis of space that are seen."""
        return np.arange(self.every, self.elements, self.every)


CASES = [
    Case("i1", 100, 100, None, TRUTHS, 5),
    *(Case(f"i1-noise-{percent}", 100, REPEATS, percent / 100, TRUTHS[:1], 5) for percent in (1, 5, 20)),
    Case("i1-small", 20, 4, None, TRUTHS[2:], 2, quick=True),
    Case("i1-small-noise", 20, 40, 0.05, TRUTHS[2:], 2, quick=True),
]


# ---- the truth ---------------------------------------------------------------------------------------------------


class Runs:
    """Finite-element runs, for one mesh and one way to step through time, in coordinates of eigenvectors."""

    def __init__(self, case: Case, truth: str) -> None:
        axes = model_of(case.elements)[0].axes
        meshes = [oracle.Mesh.of(axis, linear=truth != "exact") for axis in axes[:3]]
        spectra = [oracle.Spectrum.of(mesh) for mesh in meshes]
        sources = (s6.spots, s6.spots, lambda z: (z >= 0.5).astype(float))
        loads = [s.project(mesh.load(f)) for s, mesh, f in zip(spectra, meshes, sources, strict=True)]
        heated = [np.abs(load) > 1e-13 * np.abs(load).max() for load in loads]  # half of them, by symmetry
        self.load = oracle.outer([load[own] for load, own in zip(loads, heated, strict=True)])
        x, y, z = (s.values[own] for s, own in zip(spectra, heated, strict=True))
        self.eigenvalues = x[:, None, None] + y[:, None] + z
        self.vectors = [s.vectors[case.nodes - 1][:, own] for s, own in zip(spectra, heated, strict=True)]
        self.times, self.seen = np.asarray(axes[5].nodes), case.times
        self.theta = {"crank-nicolson": 0.5, "euler": 1.0, "exact": None}[truth]

    def field(self, k: float, p: float) -> Array:
        """Return the field at the nodes and times that are seen, (n, n, n, times)."""
        steady = p * self.load / (k * self.eigenvalues)
        left, found = np.ones_like(steady), []  # the share of the way to the steady state that is left
        for j, tau in enumerate(np.diff(self.times), start=1):
            rate = k * tau * self.eigenvalues
            if self.theta is not None:
                left *= (1 - (1 - self.theta) * rate) / (1 + self.theta * rate)
            elif j in self.seen:
                left = np.exp(-k * self.times[j] * self.eigenvalues)
            if j in self.seen:
                values = steady * (1 - left)
                for vectors in self.vectors:
                    values = np.tensordot(values, vectors, axes=(0, 1))
                found.append(values)
        return np.stack(found, axis=-1)


def pairs(count: int) -> Array:
    """Return random pairs (k, P)."""
    return np.random.default_rng(1).uniform(LOW, HIGH, (count, 2))


@lru_cache(maxsize=1)
def fields(elements: int, every: int, count: int, truth: str) -> Array:
    """Return the fields of the first pairs, from a file if they were computed before."""
    case = Case("", elements, count, None, (), every)
    file = CACHE / f"i1-{elements}-{every}-{count}-{truth}.npy"
    if not file.exists():
        runs = Runs(case, truth)
        found = np.stack([runs.field(k, p) for k, p in pairs(count)])
        CACHE.mkdir(exist_ok=True)
        np.save(file, found)
    return np.load(file)


@lru_cache(maxsize=1)
def model_of(elements: int) -> tuple[it.Problem, Any, float]:
    """Return S6's problem, its solution for all parameters, and the seconds of stating and solving it."""
    setup, problem = harness.timed(lambda: s6.problem(elements))
    options = {"method": "tucker", "tolerance": 5e-6}
    seconds, answer = harness.timed(lambda: it.solve(problem, **options, threads=1, progress=False))
    return problem, answer, setup + seconds


# ---- one experiment ----------------------------------------------------------------------------------------------


def vectors(case: Case) -> dict[str, Array]:
    """Return the coordinates that are seen, by axis."""
    problem, _, _ = model_of(case.elements)
    axes = {axis.name: np.asarray(axis.nodes) for axis in problem.axes}
    return {**{name: axes[name][case.nodes] for name in "xyz"}, "t": axes["t"][case.times]}


def recover(case: Case, truth: str, adam: int = 0) -> dict[str, Any]:
    """Recover every pair from its field; the first `adam` pairs by Adam instead."""
    _, answer, _ = model_of(case.elements)
    seen, guesses = vectors(case), np.random.default_rng(2).uniform(LOW, HIGH, (case.count, 2))
    many = adam or case.count
    options: dict[str, Any] = {"optimizer": "adam", "rate": 0.1, "steps": 500} if adam else {}
    errors, seconds, status = [], [], set()
    chosen = fields(case.elements, case.every, case.count, truth)[:many]
    for (k, p), guess, field in zip(pairs(case.count)[:many], guesses, chosen, strict=False):
        data = it.Observations.grid(field, seen)
        wall, busy, found = harness.clocked(
            lambda data=data, guess=guess: it.calibrate(answer.model, data, free=["k", "P"], start=guess, **options)
        )
        seconds.append((wall, busy))
        status.add(found.status)
        off = found.residuals["1"].predicted - field.ravel()
        errors.append([np.linalg.norm(off) / np.linalg.norm(field), abs(found.values["k"] / k - 1),
                       abs(found.values["P"] / p - 1)])  # fmt: skip
    mean = np.mean(errors, axis=0)
    return {
        **dict(zip(PAPER, mean.tolist(), strict=True)),
        **medians(seconds),
        "status": "converged" if status == {"converged"} else ", ".join(sorted(status)),
    }


def cover(case: Case) -> dict[str, Any]:
    """Calibrate on noisy values at few places, again and again, and count how often intervals hold the truth."""
    _, answer, _ = model_of(case.elements)
    assert case.noise is not None
    random, seen = np.random.default_rng(3), vectors(case)
    truths = min(case.count, 100)
    all_fields = fields(case.elements, case.every, truths, case.truths[0])
    inside, profile, errors, seconds, status = [], [], [], [], set()
    for n in range(case.count):
        k, p = pairs(truths)[n % truths]
        places = [random.choice(len(case.nodes), PLACES) for _ in "xyz"]
        clean = all_fields[n % truths][places[0], places[1], places[2]][:, [1, 3, 6, 9]]
        sigma = case.noise * float(np.sqrt(np.mean(clean**2)))
        table = {name: np.repeat(seen[name][own], 4) for name, own in zip("xyz", places, strict=True)}
        table |= {"t": np.tile(seen["t"][[1, 3, 6, 9]], PLACES)}
        table["u"] = (clean + sigma * random.standard_normal(clean.shape)).ravel()
        wall, busy, found = harness.clocked(lambda table=table: it.calibrate(answer.model, table, free=["k", "P"]))
        seconds.append((wall, busy))
        status.add(found.status)
        inside.append(holds(found.intervals(), k, p))
        if n % PROFILE_EVERY == 0:
            profile.append(holds(found.intervals(method="profile"), k, p))
        predicted = found.residuals["1"].predicted
        errors.append(float(np.linalg.norm(predicted - clean.ravel()) / np.linalg.norm(clean)))
    coverage = np.mean(inside, axis=0)
    return {
        "error": float(np.median(errors)),
        "coverage": harness.significant(float(coverage.mean())),
        "coverage_k": float(coverage[0]),
        "coverage_P": float(coverage[1]),
        "coverage_profile": float(np.mean(profile)),
        "repeats": case.count,
        **medians(seconds),
        "status": "converged" if status == {"converged"} else ", ".join(sorted(status)),
    }


def medians(seconds: list[tuple[float, float]]) -> dict[str, float]:
    """Return the median wall and processor seconds of one calibration."""
    wall, busy = np.median(seconds, axis=0).tolist()
    return {"seconds": harness.significant(wall), "seconds_cpu": harness.significant(busy)}


def holds(intervals: dict[str, tuple[float, float]], k: float, p: float) -> list[bool]:
    """Return whether the intervals of k and of P hold the truth."""
    return [intervals[name][0] <= truth <= intervals[name][1] for name, truth in (("k", k), ("P", p))]


def run(case: Case) -> dict[str, Any]:
    """Return the line of a case."""
    _, answer, setup = model_of(case.elements)
    if case.noise is None:
        measured = recover(case, case.truths[0])
        for truth in case.truths[1:]:
            more = recover(case, truth)
            measured |= {f"{name}_{truth}": more[name] for name in PAPER}
        if not case.quick:
            paper = recover(case, case.truths[0], adam=10)
            measured |= {f"adam_{name}": paper[name] for name in ("error_k", "error_P", "seconds", "seconds_cpu")}
        worst = max(measured[name] / limit for name, limit in PAPER.items())
        rejected = None if worst <= 1 else f"an error is {worst:.2g} times the paper's"
        limits: dict[str, Any] = {f"{name}_at_most": limit for name, limit in PAPER.items()}
    else:
        measured = cover(case)
        low, high = COVERAGE if not case.quick else (0.85, 1.0)  # of 80 intervals
        most = case.noise  # 100 values and two unknowns: a seventh of it
        right = low <= measured["coverage"] <= high and measured["error"] <= most
        rejected = None if right else f"the coverage is {measured['coverage']:.3f}, the error {measured['error']:.1e}"
        limits = {"error_at_most": most, "coverage_at_least": low, "coverage_at_most": high}
    return {
        "case": case.name,
        **measured,
        **limits,
        "estimate": answer.error_estimate.total,
        "modes": list(answer.model.rank),
        "parameters": sum(values.numel() for values in answer.model.parameters()),
        "seconds": None if rejected else measured["seconds"],
        "setup_seconds": harness.significant(setup),
        "truth": case.truths[0],
        "threads": 1,
        "load": harness.load(),
        "rejected": rejected,
        **harness.environment(),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the chosen cases and print their lines."""
    parser = harness.argument_parser(__doc__ or "", [case.name for case in CASES])
    options = parser.parse_args(arguments)
    chosen = [case for case in CASES if (case.name in options.case if options.case else case.quick == options.quick)]
    return harness.print_lines((run(case) for case in chosen), options.output)


if __name__ == "__main__":
    sys.exit(main())
