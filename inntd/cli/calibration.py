"""`inntd calibrate`: a model and measurements in, parameters with intervals out."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inntd.cli import given
from inntd.cli.status import DONE, NOT_CONVERGED

if TYPE_CHECKING:
    from inntd.calibration import Calibration, Observations


def add_commands(command: Callable[[str, Any, str], argparse.ArgumentParser]) -> None:
    """Add `calibrate` to the command line."""
    parser = command("calibrate", _calibrate, "find the parameters of a model that explain measurements")
    parser.add_argument("model", type=Path, metavar="MODEL")
    parser.add_argument(
        "data", type=Path, nargs="+", metavar="DATA", help="a .csv, .parquet or .npy file; one per experiment"
    )
    parser.add_argument("--free", type=given.names, required=True, metavar="NAMES", help="unknown axes, such as k,P")
    parser.add_argument(
        "--separate", type=given.names, metavar="NAMES", help="of these, the ones that each file has its own of"
    )
    parser.add_argument("--value", metavar="COLUMN", help="what was measured (default: the column that is no axis)")
    parser.add_argument("--noise", metavar="S", help="standard deviation, or a column of them (default: estimated)")
    parser.add_argument(
        "--fix",
        type=_setting,
        action="append",
        default=[],
        metavar="NAME=X",
        help="a coordinate of all rows; repeatable",
    )
    parser.add_argument(
        "--bounds", type=_pair, action="append", default=[], metavar="NAME=LOW:HIGH",
        help="box to search; repeatable (default: the mesh)",
    )  # fmt: skip
    parser.add_argument(
        "--prior", type=_pair, action="append", default=[], metavar="NAME=MEAN:DEVIATION", help="repeatable"
    )
    parser.add_argument(
        "--loss", default="linear", metavar="NAME", help="linear (default), huber, soft_l1, cauchy, arctan"
    )
    parser.add_argument("--nan", choices=("raise", "drop"), default="raise", help="rows with missing values")
    parser.add_argument("--level", type=float, default=0.95, metavar="L", help="of the intervals (default: 0.95)")
    parser.add_argument("--profile", action="store_true", help="intervals by profile likelihood")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the starts (default: 0)")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the result as JSON")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="draw the residuals")
    parser.add_argument("--force", action="store_true", help="overwrite an earlier output")
    parser.add_argument("--quiet", action="store_true", help="print nothing but errors")
    parser.add_argument("--json", action="store_true", help="print one JSON object in place of the report")


def _setting(text: str) -> tuple[str, float]:
    name, equal, number = text.rpartition("=")
    try:
        if equal:
            return name, float(number)
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"must be a name and a number, such as x=0.5, got {text!r}")


def _pair(text: str) -> tuple[str, tuple[float, float]]:
    name, equal, numbers = text.rpartition("=")
    try:
        if equal:
            first, second = map(float, numbers.split(":"))
            return name, (first, second)
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"must be a name and two numbers, such as k=1:4, got {text!r}")


def _calibrate(options: argparse.Namespace) -> int:
    import inntd

    for path in (options.output, options.picture):
        if path is not None and path.exists() and not options.force:
            raise FileExistsError(f"{path} would be overwritten; allow it with --force, or choose another name")
    model = inntd.load(options.model)
    known = {axis.name for axis in model.axes}
    seen = [_read(path, options, known) for path in options.data]
    found = inntd.calibrate(
        model,
        seen if len(seen) > 1 else seen[0],
        free=options.free,
        separate=options.separate,
        bounds=_by_name("--bounds", options.bounds),
        prior=_by_name("--prior", options.prior),
        noise=None if options.noise is None else _number(options.noise),
        loss=options.loss,
        seed=options.seed,
    )
    intervals = found.intervals(options.level, method="profile" if options.profile else "laplace")
    _write(found, options)
    if options.json:
        told = {
            **found.to_dict(),
            "level": options.level,
            "intervals": {n: list(ends) for n, ends in intervals.items()},
        }
        print(json.dumps(told, allow_nan=False))
    elif not options.quiet:
        print(found)
        if options.profile or options.level != 0.95:
            kind = "by profile likelihood" if options.profile else "by the curvature"
            for name, (low, high) in intervals.items():
                print(f"{name:<12}  {100 * options.level:g} % in [{low:.6g}, {high:.6g}] {kind}")
    return DONE if found.converged else NOT_CONVERGED


def _read(path: Path, options: argparse.Namespace, known: set[str]) -> Observations:
    """Return the rows of a file as observations; columns that are neither axes nor asked for are left alone."""
    from inntd.calibration import Observations
    from inntd.calibration.units import split_header
    from inntd.training.tables import read_table

    table = read_table(path)
    noise = options.noise if options.noise is not None and _number(options.noise) is None else None
    wanted = known - set(options.free) - dict(options.fix).keys() | {options.value, noise}
    names = [name for name in table.names if options.value is None or {name, split_header(name)[0]} & wanted]
    unread = [name for name in names if table.columns[name].dtype == object]
    if unread:
        raise ValueError(f"{path}, column {unread[0]!r} holds text: name the column of measured values with --value")
    columns = {name: table.columns[name] for name in names}
    return Observations.table(columns, value=options.value, noise=noise, nan=options.nan, **dict(options.fix))


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _by_name(option: str, pairs: list[tuple[str, tuple[float, float]]]) -> dict[str, tuple[float, float]] | None:
    names = [name for name, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"{option} must be given once for each name, got {name} twice")
    return dict(pairs) or None


def _write(found: Calibration, options: argparse.Namespace) -> None:
    if options.output is not None:
        found.save(options.output, overwrite=options.force)
    if options.picture is not None:
        import io

        from inntd.models.atomic import write_atomically
        from inntd.results.calibration import plot_residuals

        content = io.BytesIO()
        kind = options.picture.suffix.lstrip(".") or "png"
        plot_residuals(found).savefig(content, format=kind, dpi=120)
        write_atomically(options.picture, content.getvalue(), overwrite=options.force)
