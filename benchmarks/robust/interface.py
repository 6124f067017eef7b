"""Interface: -(k u')' = f on [0,1], where k jumps tenfold and f by 3 at a point: convergence in L2 with s = 1..4.

The point is a node of the meshes (0.5), or none (0.3137). The cases with "crossed" in their names let patches cross it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import harness  # before NumPy: one thread
import numpy as np
import sympy

import inntd as it

CONTRAST = 10
# Meshes on which errors lie above round-off, and both sides of the interface hold whole patches.
ELEMENTS = {1: (20, 40, 80, 160), 2: (20, 40, 80, 160), 3: (32, 44, 60, 84), 4: (36, 44, 52, 60)}
PLACES = {"node": "0.5", "between": "0.3137"}


def problem(place: str, s: int, elements: int, align: bool) -> it.Problem:
    """State the problem; source and solution are derived from the flux k u' of either side."""
    x = it.Axis("x", 0, 1, elements=elements, s=s)
    u, v = it.unknown("u", x), it.test_function()
    at, symbol = sympy.Rational(place), sympy.sympify(x)
    fluxes = sympy.cos(8 * symbol), sympy.cos(8 * symbol) + 3 * (symbol - at)
    left, right = (sympy.integrate(flux, symbol) for flux in fluxes)
    left -= left.subs(symbol, 0)
    right = left.subs(symbol, at) + (right - right.subs(symbol, at)) / CONTRAST
    before, after = it.indicator(x < at), it.indicator(x >= at)
    source = -before * sympy.diff(fluxes[0], symbol) - after * sympy.diff(fluxes[1], symbol)
    return it.Problem(
        weak=(before + CONTRAST * after) * it.diff(u, x) * it.diff(v, x) - source * v,
        conditions=[u.on(x.start) == 0, u.on(x.end) == right.subs(symbol, 1)],
        exact=before * left + after * right,
        align=align,
    )


def line(where: str, s: int, align: bool, elements: Sequence[int]) -> dict[str, Any]:
    """Measure the errors on all meshes and return the case's line."""
    errors, seconds, setups = [], 0.0, 0.0
    for count in elements:
        setup, stated = harness.timed(lambda count=count: problem(PLACES[where], s, count, align))
        time, answer = harness.timed(lambda stated=stated: it.solve(stated, rank=1, threads=1, progress=False))
        errors.append(float(answer.model.error(stated.exact)))
        seconds, setups = seconds + time, setups + setup
    slope = -float(np.polyfit(np.log(elements), np.log(errors), 1)[0])
    wrong = align and slope < 2 * s + 1
    return {
        "case": f"interface-{where}-s{s}" + ("" if align else "-crossed"),
        "error": errors[-1],
        "modes": answer.modes,
        "parameters": sum(factor.numel() for factor in answer.model.factors),
        "seconds": None if wrong else harness.significant(seconds),
        "setup_seconds": harness.significant(setups),
        "elements": list(elements),
        "errors": errors,
        "slope": slope,
        "slope_at_least": 2 * s + 1 if align else None,
        "s": s,
        "threads": 1,
        "load": harness.load(),
        "rejected": f"the slope {slope:.2f} is below {2 * s + 1}" if wrong else None,
        **harness.environment(),
    }


CASES = {
    f"interface-{where}-s{s}" + ("" if align else "-crossed"): (where, s, align)
    for align in (True, False)
    for where in PLACES
    for s in ELEMENTS
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the chosen cases and print a JSON line for each; 1 if a slope was too small."""
    options = harness.argument_parser(__doc__, list(CASES)).parse_args(arguments)
    names = options.case or [name for name in CASES if not options.quick or CASES[name][:2] == ("between", 3)]
    return harness.print_lines(
        (line(where, s, align, ELEMENTS[s]) for name in names for where, s, align in [CASES[name]]), options.output
    )


if __name__ == "__main__":
    sys.exit(main())
