"""A problem on finer and finer meshes: one line with the errors of all of them and the slope."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import harness  # before NumPy: one thread
import numpy as np

import inntd as it


@dataclass(frozen=True)
class Series:
    """One problem on several meshes, and the figures it must meet.

    Parameters
    ----------
    name
        As in the JSON line.
    build
        States the problem for a number of elements per axis.
    elements
        The meshes, from coarse to fine; ``--quick`` takes the coarsest two.
    solve
        Keyword arguments of `inntd.solve`.
    error
        Largest error on the finest mesh that counts as a right answer.
    slope
        Least slope; None without a figure.
    seconds
        What the solve on the finest mesh may take. Reported, never asserted.
    quick
        Whether ``--quick`` runs it.
    floor
        Errors below it count for no slope: there round-off or the number of modes rules.
    sampler, measure
        As in `harness.Case`; entries of `measure` beside `error` become lists.
    fields
        Further entries of the line.
    """

    name: str
    build: Callable[[int], it.Problem]
    elements: Sequence[int]
    solve: dict[str, Any]
    error: float
    slope: float | None = None
    seconds: float | None = None
    quick: bool = False
    floor: float = 1e-10
    sampler: harness.Sampler | None = None
    measure: Callable[[it.Problem, Any], dict[str, Any]] | None = None
    fields: dict[str, Any] = field(default_factory=dict)


def fitted_slope(elements: Sequence[int], errors: Sequence[float], floor: float) -> float | None:
    """Return the order of the errors above the floor by least squares; None for fewer than two."""
    pairs = [(n, error) for n, error in zip(elements, errors, strict=True) if error > floor]
    if len(pairs) < 2:
        return None
    n, above = np.log(np.array(pairs)).T
    return harness.significant(-float(np.polyfit(n, above, 1)[0]), 3)


def run(series: Series, elements: Sequence[int], repeat: int) -> dict[str, Any]:
    """Solve on each mesh; the line is that of the finest, with lists over all of them."""
    finest = len(series.elements) == len(elements)
    lines = []
    for n in elements:
        limit = series.error if n == series.elements[-1] else np.inf
        case = harness.Case(
            series.name,
            lambda n=n: series.build(n),  # type: ignore[misc]
            series.solve,
            limit,
            series.seconds,
            sampler=series.sampler,
            measure=series.measure,
            fields=series.fields,
        )
        lines.append(harness.run_case(case, repeat))
    line = dict(lines[-1])
    line["elements"] = list(elements)
    line["errors"] = [each["error"] for each in lines]
    line["parameters_each"] = [each["parameters"] for each in lines]
    line["seconds_each"] = [each["seconds"] for each in lines]
    line["slope"] = fitted_slope(elements, line["errors"], series.floor)
    line["slope_at_least"] = series.slope
    reasons = [each["rejected"] for each in lines if each["rejected"]]
    if finest and series.slope is not None and not (line["slope"] or 0.0) >= series.slope:
        reasons.append(f"the slope {line['slope']} is below {series.slope}")
    line["error_at_most"] = series.error if finest else None
    if reasons:
        line.update(rejected=reasons[0], seconds=None, seconds_cpu=None, seconds_first=None)
    return line


def main(
    several: Sequence[Series],
    description: str | None,
    finish: Callable[[dict[str, Any]], dict[str, Any]] = lambda line: line,
) -> int:
    """Run the chosen series and print a line for each, `finish` adding what it wants; 1 if an answer was wrong."""
    parser = harness.argument_parser(description or "", [series.name for series in several])
    options = parser.parse_args(sys.argv[1:])
    quick = options.quick

    def chosen(series: Series) -> bool:
        return series.name in options.case if options.case else series.quick or not quick

    return harness.print_lines(
        (
            finish(run(series, series.elements[:2] if quick else series.elements, 1 if quick else options.repeat))
            for series in several
            if chosen(series)
        ),
        options.output,
    )
