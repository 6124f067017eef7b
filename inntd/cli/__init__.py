"""The command ``inntd``: solve problem files, train on tables, calibrate models, describe models and installation.

Exit status: 0 done, 1 ran but did not converge, 2 a user's mistake (one line on stderr; ``--traceback`` shows where).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import sys
import warnings
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import inntd
from inntd import _kernels
from inntd.cli import calibration, export, results, training
from inntd.cli.status import DONE, INTERRUPTED, MISTAKE, NOT_CONVERGED

if TYPE_CHECKING:
    from inntd.models import CPModel, SlabModel, TuckerModel
    from inntd.models.reduced import ReducedModel
    from inntd.problems.toml import ProblemFile

SOLUTION = "solution.inntd"
LIBRARIES = ("numpy", "scipy", "torch", "sympy", "tensorly", "safetensors", "scikit-learn", "matplotlib")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line `arguments` (default: those of the process) and return the exit status.

    Examples
    --------
    >>> main(["info", "missing.inntd"])
    2
    """
    options = _parser().parse_args(arguments)
    try:
        with _warnings_in_a_line(quiet=getattr(options, "quiet", False)):
            return int(options.command(options))
    except (ValueError, TypeError, OSError, MemoryError, ImportError) as mistake:
        if options.traceback:
            raise
        print(f"inntd: {_one_line(mistake)}", file=sys.stderr)
        return MISTAKE
    except KeyboardInterrupt:
        print("inntd: interrupted", file=sys.stderr)
        return INTERRUPTED


@contextlib.contextmanager
def _warnings_in_a_line(*, quiet: bool) -> Iterator[None]:
    """Show what the library warns of as the command's own words, or not at all."""
    with warnings.catch_warnings():
        shown = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *place: Any) -> None:
            if _is_own(category):
                if not quiet:
                    print(f"inntd: warning: {message}", file=sys.stderr)
            else:
                shown(message, category, *place)

        warnings.showwarning = show  # type: ignore[assignment]  # whose places are passed on as they come
        yield


def _is_own(category: type[Warning]) -> bool:
    return issubclass(category, UserWarning) and category.__module__.startswith("inntd.")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="inntd", description=inntd.__doc__, allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"inntd {inntd.__version__}")
    common = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    common.add_argument("--traceback", action="store_true", help="show where an error arose")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, function: Any, summary: str) -> argparse.ArgumentParser:
        added = commands.add_parser(
            name, parents=[common], help=summary, description=summary.capitalize() + ".", allow_abbrev=False
        )
        added.set_defaults(command=function)
        return added

    run = command("run", _run, "solve a problem file; write the solution and pictures of it")
    run.add_argument("problem", type=Path, metavar="problem.toml")
    run.add_argument("--rank", type=int, metavar="N", help="number of modes (the file's [solve] is then set aside)")
    run.add_argument("--tolerance", type=float, metavar="E", help="relative L2 error to reach")
    run.add_argument("--method", metavar="NAME", help="route, such as reduced_basis (default: auto, by the problem)")
    run.add_argument("--merge", metavar="X,Y", help="axes that become one, with --method reduced_basis")
    run.add_argument("--adapt", choices=("mesh",), help="refine the mesh until its error, too, meets the tolerance")
    run.add_argument("--slabs", type=_slabs, metavar="N", help="time slabs: how many, times T1,T2 in between, or auto")
    run.add_argument(
        "--output", type=Path, metavar="DIR", help="folder to write (default: the file without its suffix)"
    )
    run.add_argument("--force", action="store_true", help="overwrite an earlier output")
    run.add_argument("--quiet", action="store_true", help="print nothing but errors")
    run.add_argument("--json", action="store_true", help="print one JSON object in place of the table")
    training.add_commands(command)
    calibration.add_commands(command)
    export.add_commands(command)
    results.add_commands(command)
    command("doctor", _doctor, "describe the installation: versions, instruction set, threads, CUDA")
    return parser


# ---- run ---------------------------------------------------------------------------------------------------------


def _run(options: argparse.Namespace) -> int:
    from inntd.problems.toml import read_problem
    from inntd.results import readable, summarise, table
    from inntd.solvers import solve

    file = read_problem(options.problem)  # first: a path that is no file has no name to make a folder's from
    folder = options.output or options.problem.with_suffix("")
    _refuse_existing(folder, force=options.force)
    progress = False if options.quiet or options.json else None  # None: on a terminal only
    answer = solve(file.problem, progress=progress, **_solve_options(file, options))
    summary = summarise(file.problem, answer)
    summary["files"] = [str(path) for path in _write(answer.model, folder, _metadata(file, summary))]
    if options.json:
        print(json.dumps(summary, allow_nan=False))
    elif not options.quiet:
        print(table([*readable(summary), ("written", "\n".join(summary["files"]))]))
    return DONE if answer.status == "converged" else NOT_CONVERGED


def _solve_options(file: ProblemFile, options: argparse.Namespace) -> dict[str, Any]:
    """Return the file's [solve] table; what the command line says of stopping, or of the route, replaces the file's."""
    given = dict(file.solve)
    for names in (("rank", "tolerance"), ("method", "merge", "slabs"), ("adapt",)):
        chosen = {name: value for name in names if (value := getattr(options, name)) is not None}
        if chosen:
            given = {name: value for name, value in given.items() if name not in names} | chosen
    if isinstance(given.get("merge"), str):
        given["merge"] = [name.strip() for name in given["merge"].split(",")]
    return given


def _slabs(text: str) -> int | str | list[float]:
    """Read a number of slabs, times between them, or "auto"."""
    if "," in text or "." in text:
        return [float(time) for time in text.split(",") if time.strip()]
    return text if text == "auto" else int(text)


def _refuse_existing(folder: Path, *, force: bool) -> None:
    from inntd.results.plot import PICTURES

    if folder.exists() and not folder.is_dir():
        raise FileExistsError(f"the output folder {folder} is a file; choose another with --output")
    nearest = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise PermissionError(f"the output folder {folder} cannot be written; choose another with --output")
    existing = [str(folder / name) for name in (SOLUTION, *PICTURES) if (folder / name).exists()]
    if existing and not force:
        raise FileExistsError(f"{', '.join(existing)} would be overwritten; allow it with --force, or use --output")


def _metadata(file: ProblemFile, summary: dict[str, Any]) -> dict[str, Any]:
    """Return what the solution's file tells of its origin."""
    told = ("title", "status", "message", "error_estimate", "error", "seconds")
    return {"problem": file.problem.describe(), **{name: summary[name] for name in told}}


def _write(
    model: CPModel | TuckerModel | ReducedModel | SlabModel, folder: Path, metadata: dict[str, Any]
) -> list[Path]:
    """Write the solution and its pictures, each aside and then renamed; a folder made in vain is removed."""
    from inntd.results import save_pictures

    folder.mkdir(parents=True, exist_ok=True)
    try:
        model.save(folder / SOLUTION, overwrite=True, metadata=metadata)
        return [folder / SOLUTION, *save_pictures(model, folder)]
    except BaseException:
        with contextlib.suppress(OSError):
            folder.rmdir()  # refuses a folder that holds anything
        raise


# ---- doctor ------------------------------------------------------------------------------------------------------


def _doctor(_: argparse.Namespace) -> int:
    from inntd.results import table

    origin = "set by INNTD_ISA" if os.environ.get("INNTD_ISA") else "the best of this processor"
    available = ", ".join(_kernels.core.available_isas())
    has_cuda, reason = _kernels.cuda()
    rows = [
        ("inntd", f"{inntd.__version__} in {Path(inntd.__file__).parent}"),
        ("python", f"{platform.python_version()} in {sys.prefix}"),
        ("system", f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors"),
        *((name, _version(name)) for name in LIBRARIES),
        ("instruction set", f"{_kernels.core.isa()} ({origin}; available: {available})"),
        ("threads", f"{_kernels.threads()} (torch.set_num_threads or OMP_NUM_THREADS changes it)"),
        ("CUDA", f"{'yes' if has_cuda else 'no'}: {reason}"),
    ]
    print(table(rows))
    return DONE


def _version(library: str) -> str:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return f"missing: install it with pip install {library}"


def _one_line(mistake: BaseException) -> str:
    """Return the error in words; an OSError of the system gets the name of its file."""
    if isinstance(mistake, OSError) and mistake.errno is not None and mistake.filename is not None:
        return f"{mistake.filename}: {mistake.strerror}"
    return str(mistake) or type(mistake).__name__
