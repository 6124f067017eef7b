"""What a run says about its answer: one dictionary for machines, one table for people."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import torch

from inntd.models import SeparatedModel, SlabModel
from inntd.models.reduced import ReducedModel
from inntd.models.result import Answer
from inntd.problems import Problem

__all__ = ["error_against_exact", "parameter_count", "readable", "summarise", "table"]

SAMPLES = 10_000

Model: TypeAlias = SeparatedModel | ReducedModel | SlabModel


def summarise(problem: Problem, answer: Answer[Any]) -> dict[str, Any]:
    """Return what a run did, as plain numbers and strings that JSON can carry.

    Parameters
    ----------
    problem : Problem
    answer : Answer
        What :func:`inntd.solve` returned for it.

    Returns
    -------
    dict
        ``title, axes, route, modes`` (found by the solver), ``rank`` (with those of the boundary values; a list of
        ranks for a Tucker model, a list with the rank of each slab for time slabs), ``parameters,
        status, message, notes, error_estimate`` (``algebraic, discretisation, total``), ``error`` and ``error_by``
        (see :func:`error_against_exact`), ``seconds, setup_seconds``. Numbers that are not finite are None.

    Examples
    --------
    >>> import inntd as it
    >>> from inntd.results import summarise
    >>> x = it.Axis("x", 0, 1, elements=8)
    >>> u = it.unknown("u", x)
    >>> problem = it.Problem(strong=-it.laplacian(u) - 2, conditions=[u.on(x) == 0], exact=x * (1 - x))
    >>> summary = summarise(problem, it.solve(problem, tolerance=1e-8))
    >>> summary["status"], summary["modes"], summary["error"] < 1e-12
    ('converged', 1, True)
    """
    estimate = answer.error_estimate
    error, error_by = error_against_exact(problem, answer.model)
    summary = {
        "title": problem.title,
        "axes": len(answer.model.axes),
        "route": answer.route,
        "modes": answer.modes,
        "rank": _rank(answer.model),
        "parameters": parameter_count(answer.model),
        "status": answer.status,
        "message": answer.message,
        "notes": list(answer.notes),
        "error_estimate": {
            "algebraic": estimate.algebraic,
            "discretisation": estimate.discretisation,
            "total": estimate.total,
        },
        "error": error,
        "error_by": error_by,
        "seconds": answer.seconds,
        "setup_seconds": problem.setup_seconds,
    }
    return {name: _finite(value) for name, value in summary.items()}


def error_against_exact(problem: Problem, model: Model) -> tuple[float | None, str]:
    """Return the relative L2 error against the problem's exact solution, and in words how it was computed.

    By quadrature where the exact solution factors by axis and the model does; else from 10,000 random points (a fixed
    seed); None where the problem states no exact solution or that is zero.

    Examples
    --------
    >>> import inntd as it
    >>> from inntd.results import error_against_exact
    >>> x = it.Axis("x", 0, 1, elements=8)
    >>> u = it.unknown("u", x)
    >>> problem = it.Problem(strong=-it.laplacian(u) - 2, conditions=[u.on(x) == 0])
    >>> error_against_exact(problem, it.solve(problem).model)
    (None, 'no exact solution is given')
    """
    if problem.exact_function is None:
        return None, "no exact solution is given"
    points = _random_points(model)
    exact = np.asarray(problem.exact_function(points), dtype=np.float64)
    if not exact.any():
        return None, "the exact solution is zero"
    if problem.exact is not None and isinstance(model, SeparatedModel):
        return float(model.error(problem.exact)), "quadrature"
    with torch.no_grad():
        values = model(torch.from_numpy(points)).double().numpy()
    return float(np.linalg.norm(values - exact) / np.linalg.norm(exact)), f"{SAMPLES:,} random points"


def parameter_count(model: Model) -> int:
    """Return how many numbers the model has.

    Examples
    --------
    >>> import inntd as it
    >>> from inntd.results import parameter_count
    >>> parameter_count(it.CPModel([it.Axis("x", 0, 1, elements=8)], rank=2))
    18
    """
    if isinstance(model, ReducedModel):
        return model.count
    return sum(parameter.numel() for parameter in model.parameters())


def readable(summary: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the rows of a table, name and value, for what :func:`summarise` returned."""
    estimate = summary["error_estimate"]
    total = "not finite" if estimate["total"] is None else f"{estimate['total']:.1e}"
    parts = [
        f"{name} {'not computed' if estimate[name] is None else format(estimate[name], '.1e')}"
        for name in ("algebraic", "discretisation")
        if estimate["total"] is not None
    ]
    rank = summary["rank"]
    if summary["route"] == "slabs":
        modes = f"{summary['modes']} at most, in {len(rank)} time slabs"
    elif isinstance(rank, list):
        modes = "Tucker ranks " + " x ".join(str(r) for r in rank)
    else:
        lifted = rank - summary["modes"]
        modes = f"{summary['modes']}" + (f"  (and {lifted} of the boundary values)" if lifted > 0 else "")
    rows = [
        ("problem", summary["title"] or "untitled"),
        ("axes", f"{summary['axes']}"),
        *([("route", summary["route"])] if summary["route"] else []),
        ("modes", modes),
        ("parameters", f"{summary['parameters']:,}"),
        ("error estimate", total + (f"  ({', '.join(parts)})" if parts else "")),
    ]
    if summary["error"] is not None:
        rows.append(("error against exact", f"{summary['error']:.2e}  (relative L2, by {summary['error_by']})"))
    rows += [
        ("seconds", f"{summary['seconds']:.3f}  (parsing and separating the problem: {summary['setup_seconds']:.3f})"),
        ("status", f"{summary['status']}: {summary['message']}"),
    ]
    return rows + [("note", note) for note in summary["notes"]]


def table(rows: Sequence[tuple[str, str]]) -> str:
    """Return rows of name and value as aligned lines; a value of several lines stays in its column.

    Examples
    --------
    >>> from inntd.results.report import table
    >>> print(table([("modes", "3"), ("parameters", "96")]))
    modes       3
    parameters  96
    """
    width = max(len(name) for name, _ in rows) + 2
    lines = []
    for name, value in rows:
        first, *rest = value.splitlines() or [""]
        lines += [f"{name:<{width}}{first}", *(f"{'':<{width}}{line}" for line in rest)]
    return "\n".join(lines)


def _rank(model: Model) -> Any:
    if isinstance(model, SlabModel):
        return [_rank(slab) for slab in model.slabs]  # type: ignore[arg-type]  # the slabs are separated models
    return list(model.rank) if isinstance(model.rank, tuple) else model.rank


def _random_points(model: Model) -> np.ndarray[Any, np.dtype[np.float64]]:
    generator = np.random.default_rng(0)
    columns = [
        generator.integers(axis.size, size=SAMPLES).astype(np.float64)
        if axis.discrete
        else generator.uniform(*axis.domain, size=SAMPLES)
        for axis in model.axes
    ]
    return np.stack(columns, axis=1)


def _finite(value: Any) -> Any:
    """Return `value` with NaN and infinities, which JSON has no words for, as None."""
    if isinstance(value, dict):
        return {name: _finite(entry) for name, entry in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
