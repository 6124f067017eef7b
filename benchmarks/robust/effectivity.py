"""Every S-case with a tolerance and nothing else: is the error what the answer says, and is it within the tolerance?

One line per case and tolerance, `tol-CASE-EXPONENT`: `error`, the true algebraic error, against an independent solution
of the same discrete system (`discrete.py`; "points" in `oracle`: at random points, "draws": at random parameters);
`error_total`, the true total one where the exact solution is known; the estimates; and `effectivity`, estimate over
truth, of the algebraic error. Where both are below 1e-11, the oracle's own accuracy, it is one. Problems beyond the
S-cases are those in which estimates were seen to fail: bases of rank one, a moving source, strong parameters,
convection.

The last line is the verdict: estimates' median effectivity within 1 to 5, all within 0.5 to 20, and at least 95 % of
the answers that say "converged" within their tolerance; status 1 otherwise. A table goes to standard error.
``--adapt`` lets meshes adapt: figures are then about the total error, where it is known.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parents[1] / "paper")]

import discrete
import harness  # before NumPy: one thread
import moving_source
import numpy as np
import s1
import s2
import s3
import s4
import s5
import s6
import s7
import s8

import inntd as it

Truth = Callable[[it.Problem], Any]

TOLERANCES = (1e-2, 1e-4, 1e-6)
FLOOR = 1e-11
MEDIAN, RANGE, SHARE = (1.0, 5.0), (0.5, 20.0), 0.95
NUMBERS = ((1, 1, 1), (2, 3, 1))


@dataclass(frozen=True)
class Case:
    """One problem, and how its answers are judged.

    Parameters
    ----------
    build
        States the problem.
    truth
        Makes the independent solution of the discrete system: an object whose `error` measures a model.
    total
        Returns the true total error of a model; None where no exact solution is known.
    tolerances
        With which it is solved.
    solve
        Further arguments of `solve`, for what is not an S-case.
    oracle
        What the line says about the truth.
    quick
        Whether ``--quick`` runs it.
    """

    name: str
    build: Callable[[], it.Problem]
    truth: Truth = discrete.Direct
    total: Callable[[it.Problem, Any], float] | None = None
    tolerances: Sequence[float] = TOLERANCES
    solve: dict[str, Any] = field(default_factory=dict)
    oracle: str = "direct"
    quick: bool = False


def exact_error(problem: it.Problem, model: Any) -> float:
    """Return the error against the problem's exact solution."""
    return float(model.error(problem.exact))


def elastic_error(n: s7.Numbers) -> Callable[[it.Problem, Any], float]:
    """Return what measures the displacement against the exact one."""
    return lambda problem, model: float(s7.measure(n, problem, model)["error"])


def drawn(names: Callable[[it.Problem], list[str]], draws: int) -> Truth:
    """Return a truth at random eigenvalues of some axes."""
    return lambda problem: discrete.Direct(problem, names(problem), draws)


def parameters(problem: it.Problem) -> list[str]:
    """Return the names of the axes of parameters."""
    return [axis.name for axis in problem.axes if axis.kind == "parameter"]


def diffusion(contrast: float, elements: int) -> it.Problem:
    """State diffusion in two halves of a square, the left one with any conductivity from 1 to `contrast`."""
    x, y = (it.Axis(name, 0, 1, elements=elements, s=2) for name in "xy")
    k = it.Axis("k", 1, contrast, elements=elements, kind="parameter")
    u, v = it.unknown("u", x, y, k), it.test_function()
    conductivity = k * it.indicator(x < 0.5) + it.indicator(x >= 0.5)
    return it.Problem(weak=conductivity * it.dot(it.grad(v), it.grad(u)) - v, conditions=[u.on(x, y) == 0])


def wind(elements: int, eps: float) -> it.Problem:
    """State convection and diffusion in a cube with a constant wind."""
    x, y, z = (it.Axis(name, 0, 1, elements=elements, s=2) for name in "xyz")
    u, v = it.unknown("u", x, y, z), it.test_function()
    blown = it.diff(u, x) + it.diff(u, y)
    return it.Problem(weak=eps * it.dot(it.grad(v), it.grad(u)) + v * blown - v, conditions=[u.on(x, y, z) == 0])


def one_slab(nodes: int) -> it.Problem:
    """State the first slab of a source that moves on a line."""
    scene = moving_source.LINE
    t = it.Axis("t", 0, scene.stop(1), elements=40, kind="time", s=2)
    return scene.problem(nodes)(t)


CASES = [
    Case("s1-unit-2", lambda: s1.problem(2, 1, 3), total=exact_error, quick=True),
    *(
        Case(f"s1-unit-{d}", lambda d=d: s1.problem(d, 1, 3), discrete.AtPoints, exact_error, oracle="points")
        for d in (5, 10)
    ),
    Case("s1-long-2", lambda: s1.problem(2, 12, 3), total=exact_error, quick=True),
    *(
        Case(f"s1-long-{d}", lambda d=d: s1.problem(d, 12, 3), discrete.AtPoints, exact_error, oracle="points")
        for d in (5, 10)
    ),
    Case("s2-unit-2", lambda: s2.problem(2, 1, 31, 3), total=exact_error),
    *(
        Case(f"s2-unit-{d}", lambda d=d: s2.problem(d, 1, 31, 3), discrete.AtPoints, exact_error, oracle="points")
        for d in (5, 10)
    ),
    Case("s2-long-2", lambda: s2.problem(2, 12, 255, 3), total=exact_error),
    *(Case(f"s3-k{k2}", lambda k2=k2: s3.problem(k2), total=exact_error) for k2 in (1, 50, 200)),
    *(
        Case(f"s3-bumps-k{k2}", lambda k2=k2: s3.bumps(k2), total=lambda p, m, k2=k2: s3.measure(k2)(p, m)["error"])
        for k2 in (1, 50, 200)
    ),
    Case("s4", lambda: s4.problem(1.0), total=exact_error, quick=True),
    Case("s5", lambda: s5.problem(140, 2), total=s5.sampled_error),
    Case("s6", lambda: s6.problem(100), drawn(lambda _: ["k"], 1), oracle="1 draw"),
    Case("s6-small", lambda: s6.problem(20), drawn(lambda _: ["k"], 2), oracle="2 draws", quick=True),
    *(Case(f"s7-{''.join(map(str, n))}", lambda n=n: s7.problem(10, 2, n), total=elastic_error(n)) for n in NUMBERS),
    Case("s8", lambda: s8.problem(101), drawn(parameters, 16), oracle="16 draws", tolerances=(1e-2, 1e-3)),
    Case(
        "s8-small", lambda: s8.problem(24, 9), drawn(parameters, 16), None, (1e-2, 1e-3), oracle="16 draws", quick=True
    ),
    # Beyond the S-cases.
    *(
        Case(f"s8-rank-{r}", lambda: s8.problem(101), drawn(parameters, 16), None, (0.0,), {"rank": r}, "16 draws")
        for r in (15, 35)
    ),
    Case("s5-tucker", lambda: s5.problem(140, 2), total=s5.sampled_error, solve={"method": "tucker"}),
    Case("moving-source", lambda: one_slab(150)),
    Case("diffusion-10", lambda: diffusion(10.0, 24), drawn(parameters, 8), oracle="8 draws"),
    Case("wind-10", lambda: wind(15, 0.1)),
    Case("wind-50", lambda: wind(15, 0.02)),
]


def lines(case: Case, adapt: bool) -> Iterator[dict[str, Any]]:
    """Solve a case with each of its tolerances and yield the lines."""
    problem = case.build()
    truth = None if adapt else case.truth(problem)
    for tolerance in case.tolerances:
        harness.forget()
        stated = case.build()
        more = dict(case.solve) | ({"adapt": "mesh"} if adapt else {})
        if tolerance:
            more["tolerance"] = tolerance
        with warnings.catch_warnings():  # of thin layers
            warnings.simplefilter("ignore", it.StabilityWarning)
            wall, cpu, answer = harness.clocked(
                lambda stated=stated, more=more: it.solve(stated, threads=1, progress=False, **more)
            )
        yield line(case, stated, answer, tolerance, truth, (wall, cpu))


def line(
    case: Case, problem: it.Problem, answer: it.Answer[Any], tolerance: float, truth: Any, seconds: tuple[float, float]
) -> dict[str, Any]:
    """Measure an answer and return its line."""
    estimate, model = answer.error_estimate, answer.model
    algebraic = truth.error(model) if truth is not None else None
    total = case.total(problem, model) if case.total is not None else None
    judged, told = (algebraic, estimate.algebraic) if truth is not None else (total, estimate.total)
    return {
        "case": f"tol-{case.name}" + (f"{np.log10(tolerance):.0f}" if tolerance else ""),
        "tolerance": tolerance or None,
        "error": algebraic if truth is not None else total,
        "error_total": total,
        "estimate": told,
        "estimate_discretisation": estimate.discretisation,
        "estimate_total": estimate.total,
        "certainty": estimate.certainty,
        "effectivity": None if judged is None else max(told, FLOOR) / max(judged, FLOOR),
        "status": answer.status,
        "within": None if judged is None or not tolerance else bool(judged <= tolerance),
        "message": answer.message,
        "notes": list(answer.notes),
        "model": type(model).__name__,
        "modes": answer.modes,
        "parameters": sum(values.numel() for values in model.parameters()),
        "oracle": case.oracle if truth is not None else "exact solution",
        "seconds": harness.significant(seconds[0]),
        "seconds_cpu": harness.significant(seconds[1]),
        "threads": 1,
        "load": harness.load(),
        "rejected": None,
        **harness.environment(),
    }


def verdict(found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the line that sums up all others; rejected if they break a limit."""
    estimates = [one["effectivity"] for one in found if one["effectivity"] and one["certainty"] == "estimate"]
    bounds = [one["effectivity"] for one in found if one["effectivity"] and one["certainty"] != "estimate"]
    converged = [one["within"] for one in found if one["status"] == "converged" and one["within"] is not None]
    share = float(np.mean(converged)) if converged else None
    median = float(np.median(estimates)) if estimates else None
    wrong = []
    if median is not None and not MEDIAN[0] <= median <= MEDIAN[1]:
        wrong.append(f"the median effectivity {median:.2f} is not within {MEDIAN[0]:g} to {MEDIAN[1]:g}")
    outside = [one["case"] for one in found if one["effectivity"] in estimates and not
               RANGE[0] <= one["effectivity"] <= RANGE[1]]  # fmt: skip
    if outside:
        wrong.append(f"effectivities outside {RANGE[0]:g} to {RANGE[1]:g}: {', '.join(outside)}")
    if bounds and min(bounds) < 1:
        wrong.append(f"a guaranteed bound is {min(bounds):.2f} times the error")
    if share is not None and share < SHARE:
        wrong.append(f"only {share:.0%} of the converged answers are within their tolerance")
    return {
        "case": "verdict",
        "error": None,
        "modes": None,
        "parameters": None,
        "seconds": None,
        "answers": len(found),
        "converged": sum(one["status"] == "converged" for one in found),
        "within_tolerance": share,
        "missed": [one["case"] for one in found if one["status"] == "converged" and one["within"] is False],
        "effectivity_median": median,
        "effectivity_range": [min(estimates), max(estimates)] if estimates else None,
        "bounds_range": [min(bounds), max(bounds)] if bounds else None,
        "threads": 1,
        "rejected": "; ".join(wrong) or None,
        **harness.environment(),
    }


def table(found: Sequence[dict[str, Any]]) -> str:
    """Return the lines as a table in Markdown."""
    rows = [
        "| case | status | true error | estimate | effectivity | true total | modes | seconds (CPU) |",
        "|" + 8 * "---|",
    ]
    for one in found:
        numbers = [one["error"], one["estimate"], one["effectivity"], one["error_total"]]
        shown = ["–" if x is None else f"{x:.2g}" for x in numbers]
        cells = [
            one["case"][4:],
            one["status"],
            *shown,
            one["modes"],
            f"{one['seconds']:.2g} ({one['seconds_cpu']:.2g})",
        ]
        rows.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the chosen cases, print the lines, the verdict and the table; 1 if a limit is broken."""
    parser = harness.argument_parser(__doc__ or "", [case.name for case in CASES])
    parser.add_argument("--adapt", action="store_true", help="let meshes adapt: figures are about the total error")
    options = parser.parse_args(arguments)
    small = ("s6-small", "s8-small")  # stand for the large ones in a smoke run
    chosen = [
        case
        for case in CASES
        if (case.name in options.case if options.case else case.quick if options.quick else case.name not in small)
    ]
    found: list[dict[str, Any]] = []

    def every() -> Iterator[dict[str, Any]]:
        for case in chosen:
            for one in lines(case, options.adapt):
                found.append(one)
                yield one
        yield verdict(found)

    status = harness.print_lines(every(), options.output)
    print(table(found), f"\n{verdict(found)['rejected'] or 'all limits are met'}", sep="\n", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
