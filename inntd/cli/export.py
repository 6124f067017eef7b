"""`inntd export`: a model for other programs, and for people with a browser."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from inntd.cli import given
from inntd.cli.status import DONE

NAMES = ("html", "c", "onnx", "npz", "xarray", "hdf5", "vtk")
EPILOG = """\
formats, by the suffix of FILE or by --format:
  html    .html, .htm  the explorer: one page that evaluates the model in a browser
  c       .h           a C99 header with a function and its gradient
  onnx    .onnx        an ONNX graph, opset 17
  npz     .npz         NumPy arrays; the guide prints twenty lines that evaluate them
  xarray  .nc          values on a grid as NetCDF, read by xarray.open_dataset
  hdf5    .h5, .hdf5   values on a grid and the model's arrays
  vtk     .vtu, .pvd   values on a grid for ParaView, one file or a series

html, c, onnx and npz carry the function itself: CP and Tucker models and their exponentials.
xarray, hdf5 and vtk hold values on a grid: hold axes still with --at where the grid of all would be large.

examples:
  inntd export heat.inntd --format html             # writes heat.html: open it in a browser
  inntd export heat.inntd --output plate.h --name plate
  inntd export heat.inntd --output heat.vtu --at k=2,P=150 --points t=20
"""


def add_commands(command: Callable[[str, Any, str], argparse.ArgumentParser]) -> None:
    """Add `export` to the command line."""
    export = command(
        "export", _export, "write a model for another program, or as a page that evaluates it in a browser"
    )
    export.formatter_class = argparse.RawDescriptionHelpFormatter
    export.epilog = EPILOG
    export.add_argument("model", type=Path, metavar="MODEL")
    export.add_argument("--format", choices=NAMES, help="default: by the suffix of --output")
    export.add_argument(
        "--output", type=Path, metavar="FILE", help="file to write (default: MODEL with the format's suffix)"
    )
    export.add_argument(
        "--at", action="append", default=[], metavar="AXIS=VALUE", help="hold axes still, as k=2,t=0.1; repeatable"
    )
    export.add_argument("--name", metavar="NAME", help="of the values or the C function (default: u)")
    export.add_argument(
        "--points",
        action="append",
        default=[],
        metavar="N",
        help="per axis of a grid: 50, or t=50,x=20 (default: the nodes)",
    )
    export.add_argument("--along", metavar="AXES", help="the axes drawn by vtk, or first by html, as x,y")
    export.add_argument("--dtype", choices=("float32", "float64"), help="of onnx (default: float32)")
    export.add_argument("--title", metavar="TEXT", help="of html (default: the problem's, or the file's name)")
    export.add_argument("--force", action="store_true", help="overwrite an earlier output")
    export.add_argument("--quiet", action="store_true", help="print nothing but errors")
    export.add_argument("--json", action="store_true", help="print one JSON object in place of the paths")


def _export(options: argparse.Namespace) -> int:
    import inntd
    from inntd.results.export import FORMATS, export, format_of, hold

    if options.format is None and options.output is None:
        raise ValueError(f"say what to write: --format {'|'.join(NAMES)}, or --output with the suffix of one")
    name = format_of(options.output or Path(), options.format)
    path = options.output or options.model.with_suffix(FORMATS[name].suffixes[0])
    model = hold(inntd.load(options.model), given.coordinates("--at", options.at))
    chosen = {
        "name": options.name,
        "points": _points(options.points),
        "along": None if options.along is None else given.names(options.along),
        "dtype": options.dtype,
        "title": options.title,
        "indices": _indices(model) if name == "html" else None,
    }
    try:
        files = export(model, path, name, overwrite=options.force, **{k: v for k, v in chosen.items() if v is not None})
    except FileExistsError as error:
        text = str(error).partition(" exists already")[0]
        raise FileExistsError(f"{text} would be overwritten; allow it with --force, or use --output") from None
    if options.json:
        print(json.dumps({"model": str(options.model), "format": name, "files": [str(file) for file in files]}))
    elif not options.quiet:
        print("\n".join(map(str, files if len(files) <= 4 else [files[0], "...", *files[-2:]])))
    return DONE


def _points(texts: Sequence[str]) -> int | dict[str, int] | None:
    parts = [part for text in texts for part in given.names(text)]
    if len(parts) == 1 and parts[0].isdecimal():
        return int(parts[0])
    counts = given.coordinates("--points", parts)
    odd = [name for name, count in counts.items() if count != int(count)]
    if odd:
        raise ValueError(f"--points must be whole numbers, got {counts[odd[0]]} for {odd[0]}")
    return {name: int(count) for name, count in counts.items()} or None


def _indices(model: Any) -> Any:
    """Return Sobol' indices for the explorer's bars, where the model has exact ones that are numbers."""
    if not model.exact_statistics or not hasattr(model, "sobol_indices"):
        return None
    if any(axis.kind == "component" for axis in model.axes):
        return None  # indices of a vector are functions of its components
    try:
        return model.sobol_indices()
    except ValueError:  # a field that does not vary has none
        return None
