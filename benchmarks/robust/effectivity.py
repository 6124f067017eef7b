"""Every S-case with a tolerance and nothing else: is the error what the answer says, and is it within the tolerance?

One line per case and tolerance, `tol-CASE-EXPONENT`: `error`, the true algebraic error, against an independent solution
of the same discrete system (`discrete.py`; "points" in `oracle`: at random points, "draws": at random parameters);
`error_total`, the true total one where the exact solution is known; the estimates; and `effectivity` and
`effectivity_total`, estimate over truth, of the algebraic and of the total error. Where both are below 1e-11, the
oracle's own accuracy, it is one. Of the total error, parts below a hundredth of the tolerance do not count: meshes are
not estimated any further than that. Problems beyond the S-cases are those in which estimates were seen to fail: bases
of rank one, a moving source, strong parameters, convection.

The last line is the verdict: estimates' median effectivity within 1 to 5, all within 0.5 to 20, of both errors, and at
least 95 % of the answers that say "converged" within their tolerance; status 1 otherwise. A table goes to standard
error. ``--adapt`` lets meshes adapt where the exact solution is known, most from a coarse start: all figures are then
about the total error. A solve that takes longer than its limit of processor time is interrupted, and says so.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
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
NEGLIGIBLE = 0.01  # of the tolerance
LONGEST = 60.0  # seconds of the processor
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
    start
        Elements per axis from which an adaptive solve starts; None for the case's own mesh.
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
    start: int | None = None
    quick: bool = False


def exact_error(problem: it.Problem, model: Any) -> float:
    """Return the error against the problem's exact solution."""
    return float(model.error(problem.exact))


def elastic_error(n: s7.Numbers) -> Callable[[it.Problem, Any], float]:
    """Return what measures the displacement against the exact one."""
    return lambda problem, model: float(s7.measure(n, problem.on_axes(*model.axes), model)["error"])


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
    """State the first slab of a source that moves on a line: wide enough for the oracle's mesh."""
    scene = replace(moving_source.LINE, radius=0.05)
    t = it.Axis("t", 0, scene.stop(1), elements=40, kind="time", s=2)
    return scene.problem(nodes)(t)


CASES = [
    Case("s1-unit-2", lambda: s1.problem(2, 1, 3), total=exact_error, start=6, quick=True),
    *(
        Case(f"s1-unit-{d}", lambda d=d: s1.problem(d, 1, 3), discrete.AtPoints, exact_error, oracle="points", start=6)
        for d in (5, 10)
    ),
    Case("s1-long-2", lambda: s1.problem(2, 12, 3), total=exact_error, start=6, quick=True),
    *(
        Case(f"s1-long-{d}", lambda d=d: s1.problem(d, 12, 3), discrete.AtPoints, exact_error, oracle="points", start=6)
        for d in (5, 10)
    ),
    Case("s2-unit-2", lambda: s2.problem(2, 1, 31, 3), total=exact_error, start=6),
    *(
        Case(
            f"s2-unit-{d}",
            lambda d=d: s2.problem(d, 1, 31, 3),
            discrete.AtPoints,
            exact_error,
            oracle="points",
            start=6,
        )
        for d in (5, 10)
    ),
    Case("s2-long-2", lambda: s2.problem(2, 12, 255, 3), total=exact_error, start=24),
    *(Case(f"s3-k{k2}", lambda k2=k2: s3.problem(k2), total=exact_error, start=16) for k2 in (1, 50, 200)),
    *(
        Case(
            f"s3-bumps-k{k2}",
            lambda k2=k2: s3.bumps(k2),
            total=lambda p, m, k2=k2: s3.measure(k2)(p, m)["error"],
            start=16,
        )
        for k2 in (1, 50, 200)
    ),
    Case("s4", lambda: s4.problem(1.0), total=exact_error, start=40, quick=True),
    Case("s5", lambda: s5.problem(140, 2), total=s5.sampled_error, start=24),
    Case("s6", lambda: s6.problem(100), drawn(lambda _: ["k"], 1), oracle="1 draw"),
    Case("s6-small", lambda: s6.problem(20), drawn(lambda _: ["k"], 2), oracle="2 draws", quick=True),
    *(
        Case(f"s7-{''.join(map(str, n))}", lambda n=n: s7.problem(10, 2, n), total=elastic_error(n), start=6)
        for n in NUMBERS
    ),
    Case("s8", lambda: s8.problem(101), drawn(parameters, 16), oracle="16 draws", tolerances=(1e-2, 1e-3, 1e-4, 1e-6)),
    Case(
        "s8-small", lambda: s8.problem(24, 9), drawn(parameters, 16), None, (1e-2, 1e-3), oracle="16 draws", quick=True
    ),
    # Beyond the S-cases.
    *(
        Case(f"s8-rank-{r}", lambda: s8.problem(101), drawn(parameters, 16), None, (0.0,), {"rank": r}, "16 draws")
        for r in (15, 35)
    ),
    Case("s5-tucker", lambda: s5.problem(140, 2), total=s5.sampled_error, solve={"method": "tucker"}),
    Case("moving-source", lambda: one_slab(64)),
    Case("diffusion-10", lambda: diffusion(10.0, 24), drawn(parameters, 8), oracle="8 draws"),
    Case("wind-10", lambda: wind(15, 0.1)),
    Case("wind-50", lambda: wind(15, 0.02)),
]


def coarse(problem: it.Problem, elements: int) -> it.Problem:
    """Return a problem on meshes of few equal elements."""
    axes = [
        it.Axis(own.name, *own.domain, elements=elements, kind=own.kind) for own in problem.axes if not own.discrete
    ]
    return problem.on_axes(*axes)


@contextlib.contextmanager
def interrupting(seconds: float) -> Iterator[None]:
    """Interrupt, as Ctrl-C does, what takes more seconds of the processor."""
    before = signal.signal(signal.SIGPROF, signal.default_int_handler)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        signal.signal(signal.SIGPROF, before)


def lines(case: Case, adapt: bool) -> Iterator[dict[str, Any]]:
    """Solve a case with each of its tolerances and yield the lines."""
    problem = case.build()
    truth = None if adapt else case.truth(problem)
    for tolerance in case.tolerances:
        harness.forget()
        stated = case.build()
        if adapt and case.start is not None:
            stated = coarse(stated, case.start)
        more = dict(case.solve) | ({"adapt": "mesh"} if adapt else {})
        if tolerance:
            more["tolerance"] = tolerance
        with warnings.catch_warnings(), interrupting(LONGEST):
            warnings.simplefilter("ignore", it.StabilityWarning)  # of thin layers
            wall, cpu, answer = harness.clocked(
                lambda stated=stated, more=more: it.solve(stated, threads=1, progress=False, **more)
            )
        # Slabs solve other discrete systems, one after the other: only their total error has an oracle.
        known = None if isinstance(answer.model, it.SlabModel) else truth
        found = line(case, stated, answer, tolerance, known, (wall, cpu))
        if not adapt and known is None:
            found |= {"case": found["case"].replace("adapt-", "tol-"), "within": None}  # the mesh is as it is
        yield found


def line(
    case: Case, problem: it.Problem, answer: it.Answer[Any], tolerance: float, truth: Any, seconds: tuple[float, float]
) -> dict[str, Any]:
    """Measure an answer and return its line."""
    estimate, model = answer.error_estimate, answer.model
    algebraic = truth.error(model) if truth is not None else None
    total = case.total(problem, model) if case.total is not None else None
    judged, told = (algebraic, estimate.algebraic) if truth is not None else (total, estimate.total)
    least = NEGLIGIBLE * tolerance
    return {
        "case": f"{'adapt' if truth is None else 'tol'}-{case.name}"
        + (f"{np.log10(tolerance):.0f}" if tolerance else ""),
        "tolerance": tolerance or None,
        "error": algebraic if truth is not None else total,
        "error_total": total,
        "estimate": told,
        "estimate_discretisation": estimate.discretisation,
        "estimate_total": estimate.total,
        "certainty": estimate.certainty,
        "effectivity": None if truth is None else effectivity(told, algebraic),
        "effectivity_total": None if estimate.discretisation is None else effectivity(estimate.total, total, least),
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


def effectivity(estimate: float, error: float | None, least: float = 0.0) -> float | None:
    """Return estimate over truth, where neither counts below the oracle's accuracy or `least`; None without a truth."""
    return None if error is None else max(estimate, least, FLOOR) / max(error, least, FLOOR)


def verdict(found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the line that sums up all others; rejected if they break a limit."""
    converged = [one["within"] for one in found if one["status"] == "converged" and one["within"] is not None]
    share = float(np.mean(converged)) if converged else None
    wrong: list[str] = []
    kinds = {kind: judged(found, kind, wrong) for kind in ("effectivity", "effectivity_total")}
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
        **{f"{kind}_{name}": figure for kind, figures in kinds.items() for name, figure in figures.items()},
        "threads": 1,
        "rejected": "; ".join(wrong) or None,
        **harness.environment(),
    }


def judged(found: Sequence[dict[str, Any]], kind: str, wrong: list[str]) -> dict[str, Any]:
    """Return median and range of one kind of effectivity, and add to `wrong` which limits it breaks."""
    known = [one for one in found if one[kind] is not None]
    # Only the algebraic part is ever guaranteed.
    proven = [one for one in known if one["certainty"] != "estimate" and kind == "effectivity"]
    bounds = [one[kind] for one in proven]
    estimates = {one["case"]: one[kind] for one in known if one not in proven}
    values = list(estimates.values())
    median = float(np.median(values)) if values else None
    if median is not None and not MEDIAN[0] <= median <= MEDIAN[1]:
        wrong.append(f"the median {kind} {median:.2f} is not within {MEDIAN[0]:g} to {MEDIAN[1]:g}")
    outside = [name for name, value in estimates.items() if not RANGE[0] <= value <= RANGE[1]]
    if outside:
        wrong.append(f"{kind} outside {RANGE[0]:g} to {RANGE[1]:g}: {', '.join(outside)}")
    if bounds and min(bounds) < 1:
        wrong.append(f"a guaranteed bound is {min(bounds):.2f} times the error")
    return {
        "median": median,
        "range": [min(values), max(values)] if values else None,
        "bounds": [min(bounds), max(bounds)] if bounds else None,
    }


def table(found: Sequence[dict[str, Any]]) -> str:
    """Return the lines as a table in Markdown."""
    rows = [
        "| case | status | true error | estimate | effectivity | true total | effectivity | modes | seconds (CPU) |",
        "|" + 9 * "---|",
    ]
    for one in found:
        numbers = [one["error"], one["estimate"], one["effectivity"], one["error_total"],
                   one["effectivity_total"]]  # fmt: skip
        shown = ["–" if x is None else f"{x:.2g}" for x in numbers]
        cells = [
            one["case"],
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
    runs = [(case, options.adapt) for case in chosen if case.total is not None or not options.adapt]
    if options.quick and not options.adapt:
        runs.append((next(case for case in CASES if case.name == "s1-unit-2"), True))
    found: list[dict[str, Any]] = []

    def every() -> Iterator[dict[str, Any]]:
        for case, adapt in runs:
            for one in lines(case, adapt):
                found.append(one)
                yield one
        yield verdict(found)

    status = harness.print_lines(every(), options.output)
    print(table(found), f"\n{verdict(found)['rejected'] or 'all limits are met'}", sep="\n", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
