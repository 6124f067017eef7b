"""A moving source in a box, slab by slab: u_t - kappa laplacian(u) = exp(-|x - c(t)|^2 / (2 r^2)) on [-1,1]^3.

u = 0 on the walls and at first; the source moves with speed one, nine of its radii r per slab; kappa = r / 5. On a line
from x = -0.8 to 0.8 in 20 slabs, or on a circle of radius 0.6; "straight" is the first of these slabs.

`error`: relative L2 error over the box at the end of time, at random points that follow what the source has left,
against Green's function of the box (images in the walls), integrated in time by adaptive quadrature.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import harness  # before NumPy: one thread
import numpy as np
from scipy.integrate import quad_vec

import inntd as it

Array = harness.Array

RADII = 9.0
SLABS = 20  # of a whole path
PECLET = 5.0
SAMPLES = 4000


@dataclass(frozen=True)
class Scene:
    """A path in the plane z = 0: coordinates (2, K) at times (K,), and the source's radius."""

    path: Callable[[Array], Array]
    radius: float

    @property
    def diffusivity(self) -> float:
        """Conductivity of the box."""
        return self.radius / PECLET

    def stop(self, slabs: int) -> float:
        """Return the end of time."""
        return RADII * self.radius * slabs

    def spread(self, age: Any) -> Any:
        """Return the standard deviation of what the source left some time ago."""
        return np.sqrt(self.radius**2 + 2 * self.diffusivity * age)

    def problem(self, nodes: int) -> Callable[[it.Axis], it.Problem]:
        """Return the problem as a function of the time axis: over the whole path its source does not separate."""
        x, y, z = (it.Axis(name, -1, 1, elements=nodes - 1, s=2) for name in "xyz")

        def bump(d: int) -> Callable[[Array, Array], Array]:
            return lambda x, t: np.exp(-((x - self.path(t)[d]) ** 2) / (2 * self.radius**2))

        def state(t: it.Axis) -> it.Problem:
            u = it.unknown("u", x, y, z, t)
            standing = it.coefficient(lambda z: np.exp(-(z**2) / (2 * self.radius**2)), z)
            source = it.coefficient(bump(0), x, t) * it.coefficient(bump(1), y, t) * standing
            return it.Problem(
                strong=it.dt(u) - self.diffusivity * it.laplacian(u) - source,
                conditions=[u.on(x, y, z) == 0, u.at(t=0) == 0],
                separation_tolerance=1e-4,
            )

        return state

    def exact(self, points: Array, end: float) -> Array:
        """Return the solution (K,) at points (K, 3): an integral over the age of what the source has left."""

        def left(age: float) -> Array:
            centre = (*self.path(np.array([end - age]))[:, 0], 0.0)
            variance = self.spread(age) ** 2
            product = np.full(len(points), (self.radius**2 / variance) ** 1.5)
            for x, c in zip(points.T, centre, strict=True):
                images = [((-1) ** j, x - (-1) ** j * c - 2 * j) for j in (-2, -1, 0, 1, 2)]
                product *= sum(sign * np.exp(-(off**2) / (2 * variance)) for sign, off in images)
            return product

        return np.asarray(quad_vec(left, 0.0, end, epsrel=1e-8, limit=20000)[0])

    def samples(self, end: float) -> tuple[Array, Array]:
        """Return points (K, 3) of the box, denser where the solution is larger, and their weights."""
        random = np.random.default_rng(0)
        ages = end * random.random(SAMPLES) ** 2
        centres = np.column_stack([*self.path(end - ages), np.zeros(SAMPLES)])
        points = centres + self.spread(ages)[:, None] * random.normal(size=(SAMPLES, 3))
        points = points[(np.abs(points) < 1).all(axis=1)]
        density = np.zeros(len(points))
        for age in end * ((np.arange(1000) + 0.5) / 1000) ** 2:
            centre, width = np.array([*self.path(np.array([end - age]))[:, 0], 0.0]), self.spread(age)
            density += np.exp(-((points - centre) ** 2).sum(axis=1) / (2 * width**2)) / width**3
        return points, 1.0 / density


LINE = Scene(lambda t: np.stack([t - 0.8, 0 * t]), 1.6 / (RADII * SLABS))
CIRCLE = Scene(lambda t: 0.6 * np.stack([np.cos(t / 0.6), np.sin(t / 0.6)]), 1.2 * np.pi / (RADII * SLABS))


@dataclass(frozen=True)
class Case:
    """Scene, slabs, nodes per axis in space and elements per slab in time, tolerance; limits of error and seconds."""

    scene: Scene
    slabs: int
    nodes: int
    elements: int
    tolerance: float
    error: float
    seconds: float | None


CASES = {
    "straight": Case(LINE, 1, 1500, 40, 1e-3, 1e-3, 4.0),
    "straight-20": Case(LINE, SLABS, 1500, 40, 3e-3, 2e-3, 90.0),
    "circle-20": Case(CIRCLE, SLABS, 1500, 40, 1e-2, 2e-3, 90.0),
    "circle-small": Case(CIRCLE, 2, 200, 24, 3e-3, 2e-3, None),
}


def run(name: str) -> dict[str, Any]:
    """March once, check the end, and return the case's line."""
    case = CASES[name]
    scene, end = case.scene, case.scene.stop(case.slabs)
    t = it.Axis("t", 0, end, elements=case.elements * case.slabs, kind="time", s=2)
    problem = scene.problem(case.nodes)

    def march() -> it.Answer[it.SlabModel]:
        return it.solve(problem, time=t, slabs=case.slabs, tolerance=case.tolerance, method="tucker", threads=1,
                        progress=False)  # fmt: skip

    with harness.peak_memory() as peak:
        seconds, cpu, answer = harness.clocked(march)
    reached = answer.model.axis.domain[1]
    points, weights = scene.samples(reached)
    exact = scene.exact(points, reached)
    values = answer.model(np.column_stack([points, np.full(len(points), reached)])).detach().numpy()
    error = float(np.sqrt((weights * (values - exact) ** 2).sum() / (weights * exact**2).sum()))
    wrong = None if reached == end else f"it stopped at {reached:g}: {answer.message}"
    return {
        "case": name,
        "error": harness.significant(error),
        "error_at_most": case.error,
        "error_estimate": harness.significant(answer.error_estimate.total),
        "slabs": case.slabs,
        "nodes": case.nodes,
        "modes": answer.modes,
        "handover": harness.significant(max(step.handover for step in answer.history)),
        "handover_modes": max(step.handover_modes for step in answer.history),
        "seconds": harness.significant(seconds),
        "seconds_at_most": case.seconds,
        "seconds_cpu": harness.significant(cpu),
        "threads": 1,
        "peak_rss_gb": harness.significant(peak[0] / 1e9),
        "load": harness.load(),
        "status": answer.status,
        "rejected": wrong or harness.reason_to_reject(answer.status, error, case.error),
        **harness.environment(),
    }


def main() -> int:
    """Run the chosen cases and print a line for each; 1 if one was wrong."""
    options = harness.argument_parser(__doc__ or "", list(CASES)).parse_args()
    names = ["circle-small"] if options.quick else options.case or list(CASES)[:-1]
    return harness.print_lines(map(run, names), options.output)


if __name__ == "__main__":
    sys.exit(main())
