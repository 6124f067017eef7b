"""`inntd info`, `inntd sobol` and `inntd plot`: what is in a model file, which axes matter, and pictures."""

from __future__ import annotations

import argparse
import io
import itertools
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import inntd
from inntd.cli import given, training
from inntd.cli.status import DONE

KINDS = ("field", "modes", "amplitudes", "refinement", "sobol")
SUFFIXES = (".png", ".pdf", ".svg")


def add_commands(command: Callable[[str, Any, str], argparse.ArgumentParser]) -> None:
    """Add `info`, `sobol` and `plot` to the command line."""
    info = command("info", _info, "describe a model file: axes, modes, parameters, norm")
    info.add_argument("model", type=Path, metavar="MODEL")
    info.add_argument("--json", action="store_true", help="print one JSON object in place of the table")

    sobol = command("sobol", _sobol, "Sobol' indices: which axes explain how much of a model's variance")
    sobol.add_argument("model", type=Path, metavar="MODEL")
    sobol.add_argument("--over", metavar="AXES", help="the random axes, as k,P (default: all that are not held still)")
    _add_at(sobol)
    sobol.add_argument(
        "--density", action="append", default=[], metavar="AXIS=DIST", help=f"{given.EXAMPLE}; names and arguments are "
        "those of scipy.stats; repeatable (default: uniform)",
    )  # fmt: skip
    sobol.add_argument("--renormalise", action="store_true", help="cut densities off at the ends of their axis")
    sobol.add_argument(
        "--group", action="append", default=[], metavar="NAME=AXES", help="axes that count as one; repeatable"
    )
    sobol.add_argument("--pairs", action="store_true", help="also the joint effects of all pairs")
    sobol.add_argument(
        "--samples",
        type=int,
        default=1 << 14,
        metavar="N",
        help="points, where indices are not exact (default: %(default)s)",
    )
    sobol.add_argument("--seed", type=int, default=0, metavar="N", help="of the samples (default: 0)")
    sobol.add_argument("--output", type=Path, metavar="FILE", help="also draw bars: .png, .pdf or .svg")
    sobol.add_argument("--force", action="store_true", help="overwrite an earlier output")
    sobol.add_argument("--json", action="store_true", help="print one JSON object in place of the table")

    plot = command("plot", _plot, "draw a model: along one or two axes, its modes, their sizes, where to refine")
    plot.add_argument("model", type=Path, metavar="MODEL")
    plot.add_argument("--kind", choices=KINDS, default="field", help="what to draw (default: field)")
    plot.add_argument("--along", metavar="AXES", help="one or two axes, as x,y (default: all, if there are no more)")
    _add_at(plot)
    plot.add_argument("--middle", action="store_true", help="hold all other axes still at their middle")
    plot.add_argument("--output", type=Path, metavar="FILE", help=".png, .pdf or .svg (default: MODEL with .png)")
    plot.add_argument("--force", action="store_true", help="overwrite an earlier output")
    plot.add_argument("--json", action="store_true", help="print one JSON object in place of the path")


def _add_at(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--at", action="append", default=[], metavar="AXIS=VALUE", help="hold axes still, as k=2,t=0.1; repeatable"
    )


# ---- info --------------------------------------------------------------------------------------------------------


def _info(options: argparse.Namespace) -> int:
    from inntd.results import table
    from inntd.results.provenance import provenance

    model = inntd.load(options.model)
    facts = _facts(model, options.model)
    if options.json:
        print(json.dumps(_plain(facts), allow_nan=False))
        return DONE
    rows = [
        ("model", f"{facts['model']}, {facts['bytes']:,} bytes"),
        ("modes" if isinstance(facts["rank"], int) else "ranks", _ranks(facts["rank"])),
        ("parameters", f"{facts['parameters']:,}"),
        ("dtype", facts["dtype"]),
        ("L2 norm", f"{facts['norm']:.6g}"),
    ]
    for text, group in itertools.groupby(model.axes, key=_describe_axis):
        names = [axis.name for axis in group]
        rows.append(("axis " + (names[0] if len(names) == 1 else f"{names[0]} ... {names[-1]} ({len(names)})"), text))
    print(table([*rows, *provenance(model.metadata)]))
    if isinstance(model.metadata.get("estimator"), dict):
        print(f"\n{training.describe(model.metadata['estimator'])}")
    if "problem" in model.metadata:
        print(f"\nThe problem that it solves:\n{model.metadata['problem']}")
    return DONE


def _facts(model: Any, path: Path) -> dict[str, Any]:
    """Return what a file says about its model, as JSON carries it."""
    from inntd.results import parameter_count

    norm = float(model.norm())
    ranks = [part.rank for part in model.slabs] if hasattr(model, "slabs") else model.rank
    return {
        "file": str(path),
        "bytes": path.stat().st_size,
        "model": type(model).__name__,
        "rank": list(ranks) if isinstance(ranks, tuple) else ranks,
        "parameters": parameter_count(model),
        "dtype": str(model.dtype).removeprefix("torch."),
        "exact_statistics": model.exact_statistics,
        "norm": norm,
        "axes": [_axis_facts(axis) for axis in model.axes],
        "metadata": dict(model.metadata),
    }


def _axis_facts(axis: Any) -> dict[str, Any]:
    facts = {"name": axis.name, "kind": axis.kind, "unit": axis.unit, "discrete": axis.discrete, "size": axis.size}
    return facts if axis.discrete else facts | {"domain": list(axis.domain), "elements": axis.elements}


def _plain(value: Any) -> Any:
    """Return what JSON carries: None for numbers that are not finite."""
    if isinstance(value, dict):
        return {str(name): _plain(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _ranks(rank: Any) -> str:
    if isinstance(rank, list) and all(isinstance(part, int) for part in rank):
        return f"({', '.join(map(str, rank))})"
    return str(rank)


def _describe_axis(axis: Any) -> str:
    if axis.discrete:
        return f"{axis.kind}, {axis.size} entries"
    unit = f" {axis.unit}" if axis.unit else ""
    mesh = f"{axis.elements} elements" + (", periodic" if axis.periodic else "")
    return f"{axis.kind}, [{axis.domain[0]:g}, {axis.domain[1]:g}]{unit}, {mesh}, {axis.basis}"


# ---- sobol -------------------------------------------------------------------------------------------------------


def _sobol(options: argparse.Namespace) -> int:
    from inntd.results import plot_sobol, statistics, table

    if options.output is not None:
        _check_output(options.output, force=options.force)
    at = given.coordinates("--at", options.at)
    field = _held(inntd.load(options.model), at)
    over = given.names(options.over) or [axis.name for axis in field.axes if axis.kind != "component"]
    _refuse_functions(field, over)
    chosen = given.densities(options.density)
    found = statistics.sobol_indices(
        field,
        *over,
        densities={**dict.fromkeys(over, "uniform"), **chosen} if chosen else None,
        renormalise=options.renormalise,
        groups=given.groups(options.group),
        order=2 if options.pairs else 1,
        samples=options.samples,
        seed=options.seed,
    )
    files = []
    if options.output is not None:
        files = [_write(plot_sobol(found), options.output, force=options.force)]
    if options.json:
        print(json.dumps({**_sobol_facts(found), "over": over, "at": at, "files": files}, allow_nan=False))
        return DONE
    print(table([*found.rows(), ("variance", f"{float(found.variance):.6g}"), *(("written", file) for file in files)]))
    return DONE


def _refuse_functions(field: Any, over: list[str]) -> None:
    left = [axis.name for axis in field.axes if axis.name not in over]
    if left:
        raise ValueError(
            f"indices would be functions of {', '.join(left)}: hold them still with --at {left[0]}=..., or name them "
            "in --over"
        )


def _sobol_facts(found: Any) -> dict[str, Any]:
    """Return indices, and standard errors where they come from samples."""
    parts = {
        "first": found.first,
        "total": found.total,
        "second": {" and ".join(pair): value for pair, value in found.second.items()},
    }
    facts: dict[str, Any] = {"variance": float(found.variance) if np.isfinite(found.variance) else None}
    facts |= {part: {name: float(value) for name, value in values.items()} for part, values in parts.items()}
    errors = {
        part: {name: value.standard_error for name, value in values.items() if hasattr(value, "standard_error")}
        for part, values in parts.items()
    }
    return facts | {"exact": not any(errors.values()), "standard_errors": errors}


# ---- plot --------------------------------------------------------------------------------------------------------


def _plot(options: argparse.Namespace) -> int:
    output = options.output or options.model.with_suffix(".png")
    _check_output(output, force=options.force)
    panel = _picture(options)
    written = _write(panel, output, force=options.force)
    print(json.dumps({"files": [written]}) if options.json else f"written  {written}")
    return DONE


def _picture(options: argparse.Namespace) -> Any:
    from inntd import results

    field = inntd.load(options.model)
    at, along = given.coordinates("--at", options.at), given.names(options.along)
    if options.kind == "field":
        return _field_picture(field, along, at, middle=options.middle)
    field = _held(field, at)
    if options.kind == "sobol":
        _refuse_functions(field, [axis.name for axis in field.axes if axis.kind != "component"])
        return results.plot_sobol(field.sobol_indices())
    if options.kind == "amplitudes":
        return results.plot_amplitudes(field)
    if len(along) != 1:
        raise ValueError(f"--kind {options.kind} is drawn along one axis: give --along {field.axes[0].name}")
    draw = results.plot_modes if options.kind == "modes" else results.plot_refinement
    return draw(field, along[0])


def _field_picture(field: Any, along: list[str], at: dict[str, float], *, middle: bool) -> Any:
    from inntd.results.slices import middle_of, plot_field

    free = [axis for axis in field.axes if axis.name not in at]
    along = along or [axis.name for axis in free if not axis.discrete or len(free) == 1]
    if middle:
        at = {axis.name: middle_of(axis) for axis in free if axis.name not in along} | at
    if len(along) > 2:
        raise ValueError(f"a picture runs along one or two of {', '.join(along)}: give --along {','.join(along[:2])}")
    missing = [axis for axis in free if axis.name not in along]
    if missing and not middle:
        example = ",".join(f"{axis.name}={middle_of(axis):g}" for axis in missing)
        raise ValueError(
            f"a picture along {', '.join(along)} needs coordinates of {', '.join(axis.name for axis in missing)}: give "
            f"--at {example}, or --middle"
        )
    return plot_field(field, *along, at=at)


# ---- both --------------------------------------------------------------------------------------------------------


def _held(field: Any, at: dict[str, float]) -> Any:
    held = field.at(at) if at else field
    if not hasattr(held, "axes"):
        raise ValueError("--at holds all axes still: nothing is left to look at")
    return held


def _check_output(path: Path, *, force: bool) -> None:
    """Raise for a picture that cannot or must not be written, before anything is computed."""
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(f"--output must end with {', '.join(SUFFIXES)}, got {path.name!r}")
    folder = path.absolute().parent
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(f"the folder {folder} of the output cannot be written; choose another with --output")
    if path.exists() and not force:
        raise FileExistsError(f"{path} would be overwritten; allow it with --force, or use --output")


def _write(panel: Any, path: Path, *, force: bool) -> str:
    from inntd.models.atomic import write_atomically

    content = io.BytesIO()
    panel.figure.savefig(content, format=path.suffix[1:].lower(), dpi=120)
    write_atomically(path, content.getvalue(), overwrite=force)
    return str(path)
