"""What a solve costs against the nodes per axis (32 to 4096, three axes) and against the number of axes (2 to 100).

Poisson's equation with u = sum over a = 0, 0.2 of prod_d (sin(pi x_d) + a sin(2 pi x_d)) / sqrt(1 + a^2), zero on
the boundary, four modes asked for: the same at every size, with 2 D terms in the source. The lines with `slope` hold
the exponents b of n^b and D^b: over the larger half of the sizes, and over all (`slope_all`). ``--plot FOLDER`` draws
both curves.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import harness  # before NumPy: one thread
import numpy as np
from sympy import Mul, pi, sin

import inntd as it

NODES = (32, 64, 128, 256, 512, 1024, 2048, 4096)
DIMENSIONS = (2, 3, 5, 10, 20, 35, 50, 75, 100)
EXPECTED = {"n": 1.0, "D": 2.0}
LABELS = {"n": "nodes per axis (3 axes)", "D": "axes (64 nodes each)"}


def problem(dimension: int, nodes: int) -> it.Problem:
    """State Poisson's problem; the source is derived from the exact solution."""
    axes = [it.Axis(f"x[{i}]", 0, 1, elements=nodes - 1) for i in range(1, dimension + 1)]
    u = it.unknown("u", *axes)
    exact = sum(Mul(*[(sin(pi * x) + a * sin(2 * pi * x)) / (1 + a**2) ** 0.5 for x in axes]) for a in (0, 0.2))
    return it.Problem(strong=-it.laplacian(u) + it.laplacian(exact), conditions=[u.on(*axes) == 0], exact=exact)


def case(name: str, dimension: int, nodes: int) -> harness.Case:
    """Return one size; sampling would miss a product of many sines."""
    return harness.Case(
        f"scaling-{name}-{dimension if name == 'D' else nodes}",
        lambda: problem(dimension, nodes),
        {"rank": 4},
        1e-8 if name == "n" else 2e-2,  # in many dimensions a few modes more would be needed for more digits
        sampler=None,
        fields={"dimension": dimension, "nodes": nodes},
    )


def lines(name: str, sizes: Sequence[int], repeat: int) -> Iterator[dict[str, Any]]:
    """Yield a line for each size, then the exponents."""
    found = []
    for size in sizes:
        line = harness.run_case(case(name, size, 64) if name == "D" else case(name, 3, size), repeat)
        if line["seconds"] is not None:
            found.append((size, line["seconds_cpu"]))
        yield line
    if len(found) > 3:
        yield {
            "case": f"scaling-{name}-slope",
            "slope_all": _slope(found),
            "slope": _slope(found[len(found) // 2 :]),
            "slope_expected": EXPECTED[name],
            "rejected": None,
        }


def _slope(found: Sequence[tuple[int, float]]) -> float:
    size, seconds = np.log(np.array(found)).T
    return harness.significant(float(np.polyfit(size, seconds, 1)[0]), 3)


def draw(name: str, found: Sequence[dict[str, Any]], folder: Path) -> None:
    """Write a picture of the seconds against the size, with the expected slope beside it."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    key = "dimension" if name == "D" else "nodes"
    pairs = [(line[key], line["seconds_cpu"]) for line in found if line.get("seconds_cpu") is not None]
    size, seconds = np.array(pairs).T
    figure, axes = pyplot.subplots(figsize=(5, 3.6), layout="constrained")
    axes.loglog(size, seconds, "o-", color="#1f5a99", label="one solve")
    guide = seconds[-1] * (size / size[-1]) ** EXPECTED[name]
    axes.loglog(size, guide, "--", color="0.6", label="linear" if name == "n" else "quadratic")
    slope = next((line["slope"] for line in found if "slope" in line), None)
    axes.set(xlabel=LABELS[name], ylabel="processor seconds", title=f"larger half: exponent {slope}" if slope else "")
    axes.grid(True, which="both", alpha=0.25)
    axes.legend(frameon=False)
    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(folder / f"scaling-{name}.png", dpi=120, metadata={"Software": None})
    pyplot.close(figure)


def main() -> int:
    """Print the lines of the chosen curves."""
    parser = harness.argument_parser(__doc__ or "", ["scaling-n", "scaling-D"])
    parser.add_argument("--plot", type=Path, metavar="FOLDER", help="write scaling-n.png and scaling-D.png there")
    options = parser.parse_args()
    status = 0
    for name, sizes in (("n", NODES), ("D", DIMENSIONS)):
        if options.case and f"scaling-{name}" not in options.case:
            continue
        kept: list[dict[str, Any]] = []
        chosen, repeat = (sizes[:4], 1) if options.quick else (sizes, options.repeat)
        status |= harness.print_lines(_keep(lines(name, chosen, repeat), kept), options.output)
        if options.plot is not None:
            draw(name, kept, options.plot)
    return status


def _keep(lines: Iterator[dict[str, Any]], kept: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for line in lines:
        kept.append(line)
        yield line


if __name__ == "__main__":
    sys.exit(main())
