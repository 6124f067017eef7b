"""`inntd fit` and `inntd predict`: tables in, a model and its values out."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from inntd.cli.status import DONE, NOT_CONVERGED

if TYPE_CHECKING:
    from inntd.training.tables import NamedColumns, Table

Values = npt.NDArray[Any]
Pairs: TypeAlias = dict[str, tuple[Values, Values]]
MOST_JUDGED = 100_000  # rows of a file that is read in blocks
FINISHED = ("converged", "stagnated")  # a training that did all it could


def add_commands(command: Callable[[str, Any, str], argparse.ArgumentParser]) -> None:
    """Add `fit` and `predict` to the command line."""
    fit = command("fit", _fit, "train a model on a table; write the model and a parity plot")
    fit.add_argument("data", type=Path, metavar="DATA", help="a .csv, .parquet or .npy file")
    fit.add_argument("--target", action="append", required=True, metavar="COLUMN", help="what to predict; repeatable")
    fit.add_argument("--column", action="append", metavar="COLUMN", help="an input; repeatable (default: all others)")
    fit.add_argument("--categorical", action="append", default=[], metavar="COLUMN", help="an input without an order")
    fit.add_argument("--classify", action="store_true", help="the target is a class")
    fit.add_argument("--optimizer", default="auto", metavar="NAME", help="default: auto, which says what it took")
    for name in ("rank", "elements", "s"):
        fit.add_argument(f"--{name}", type=_int_or_auto, default="auto", metavar="N", help="default: auto")
    fit.add_argument("--nodes", choices=("uniform", "quantile"), default="uniform", help="placement (default: uniform)")
    fit.add_argument("--smoothness", type=_float_or_auto, default="auto", metavar="E", help="default: auto")
    fit.add_argument("--extrapolate", choices=("clamp", "raise", "linear"), default="clamp", help="outside the data")
    fit.add_argument("--nan", choices=("raise", "drop"), default="raise", help="rows with missing values")
    fit.add_argument("--validation", type=float, default=0.1, metavar="PART", help="rows to choose by (default: 0.1)")
    fit.add_argument("--test", type=float, default=0.1, metavar="PART", help="rows set aside to test (default: 0.1)")
    fit.add_argument("--seconds", type=float, metavar="S", help="no new step of the search after this time")
    fit.add_argument("--seed", type=int, default=0, metavar="N", help="of the split and of the training (default: 0)")
    fit.add_argument("--output", type=Path, metavar="FILE", help="model to write (default: DATA with .inntd)")
    _add_common(fit)
    predict = command("predict", _predict, "evaluate a model on the rows of a table")
    predict.add_argument("model", type=Path, metavar="MODEL")
    predict.add_argument("data", type=Path, metavar="DATA", help="a .csv, .parquet or .npy file")
    predict.add_argument("--output", type=Path, metavar="FILE", help=".csv, .parquet or .npy (default: CSV, printed)")
    predict.add_argument("--force", action="store_true", help="overwrite an earlier output")


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--force", action="store_true", help="overwrite an earlier output")
    parser.add_argument("--quiet", action="store_true", help="print nothing but errors")
    parser.add_argument("--json", action="store_true", help="print one JSON object in place of the table")


def _int_or_auto(text: str) -> int | str:
    with contextlib.suppress(ValueError):
        return text if text == "auto" else int(text)
    raise argparse.ArgumentTypeError(f"must be auto or a whole number, got {text!r}")


def _float_or_auto(text: str) -> float | str:
    with contextlib.suppress(ValueError):
        return text if text == "auto" else float(text)
    raise argparse.ArgumentTypeError(f"must be auto or a number, got {text!r}")


def describe(estimator: dict[str, Any]) -> str:
    """Return in words what the file of an estimator says about itself."""
    from inntd.results import table

    report = estimator.get("report") or {}
    told = ("optimizer", "why", "rank", "rows", "training_error", "validation_error", "validation", "status", "message")
    rows = [("estimator", str(estimator.get("class"))), ("target", ", ".join(estimator.get("targets") or ["y"]))]
    columns = [str(column.get("name")) for column in estimator.get("columns", [])]
    rows.append(("columns", ", ".join(columns)))
    return table([*rows, *((name, str(report[name])) for name in told if report.get(name) is not None)])


# ---- fit ---------------------------------------------------------------------------------------------------------


def _fit(options: argparse.Namespace) -> int:
    """Train in this process, or in all that torchrun started; the first one writes and prints."""
    from inntd.training.distributed import together

    with together() as first:
        return _fit_here(options, first)


def _fit_here(options: argparse.Namespace, first: bool) -> int:
    from inntd.results import table

    output = options.output or options.data.with_suffix(".inntd")
    picture = output.with_suffix(".png")
    _refuse_existing([output, picture], force=options.force)
    if not 0 <= options.test < 1:
        raise ValueError(f"--test must be a part in [0, 1), got {options.test}")
    if options.seed < 0:
        raise ValueError(f"--seed must be zero or a positive whole number, got {options.seed}")
    for option in ("target", "column", "categorical"):
        given = getattr(options, option) or []
        repeated = [name for name in given if given.count(name) > 1]
        if repeated:
            raise ValueError(f"--{option} must name different columns, got {repeated[0]!r} more than once")
    estimator = _estimator(options, first)
    pairs = (_fit_blocks if _in_blocks(options) else _fit_table)(options, estimator)
    if not first:
        return DONE
    summary = _summarise(options, estimator, pairs)
    summary["files"] = [str(output)]
    estimator.save(output, overwrite=options.force)
    if not options.classify:
        _draw(pairs, options.target, picture)
        summary["files"].append(str(picture))
    if options.json:
        print(json.dumps(summary, allow_nan=False))
    elif not options.quiet:
        print(table(_readable(summary)))
    return DONE if summary["status"] in FINISHED else NOT_CONVERGED


def _in_blocks(options: argparse.Namespace) -> bool:
    from inntd.training.given import file_is_large

    return not options.classify and file_is_large(options.data)


def _fit_table(options: argparse.Namespace, estimator: Any) -> Pairs:
    """Train on a table in memory; return given and predicted targets of the parts of its rows."""
    from inntd.training.rows import hold_out
    from inntd.training.tables import read_table

    data = read_table(options.data, text=[*options.categorical, *(options.target if options.classify else ())])
    inputs = _inputs(data, options)
    x, y = data.select(inputs), _targets(data, options)
    data.refuse_text([name for name in inputs if name not in options.categorical])
    data.refuse_missing([*inputs, *options.target], nan=options.nan)
    used, test = hold_out(len(data), options.test, options.seed) if len(data) > 1 else (np.arange(1), np.arange(0))
    estimator.fit(x.take(used), y.take(used))
    parts = {"training": used, **({"test": test} if len(test) else {})}
    return {name: (y.take(rows).values, estimator.predict(x.take(rows))) for name, rows in parts.items()}


def _fit_blocks(options: argparse.Namespace, estimator: Any) -> Pairs:
    """Train on a file that is read in blocks; at most 100,000 rows each are set aside and looked at again."""
    from inntd.training.batches import FileBatches, Without, choose_rows, named, read_rows

    batches = FileBatches(options.data, options.target, options.column)
    random = np.random.default_rng(options.seed)
    chosen = choose_rows(len(batches), 2 * MOST_JUDGED, random)
    test, known = np.split(chosen, [min(int(options.test * len(batches)), MOST_JUDGED)])
    estimator.fit(Without(batches, test) if len(test) else batches)
    pairs: Pairs = {}
    for name, rows in (("training", known[:MOST_JUDGED]), ("test", test)):
        if len(rows):
            x, y = named(read_rows(batches, rows), batches)
            pairs[name] = (y.values, estimator.predict(x))
    return pairs


def _refuse_existing(paths: list[Path], *, force: bool) -> None:
    folder = paths[0].absolute().parent
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(f"the folder {folder} of the output cannot be written; choose another with --output")
    existing = [str(path) for path in paths if path.exists()]
    if existing and not force:
        raise FileExistsError(f"{', '.join(existing)} would be overwritten; allow it with --force, or use --output")


def _inputs(data: Table, options: argparse.Namespace) -> list[str]:
    inputs = options.column or [name for name in data.names if name not in options.target]
    both = [name for name in inputs if name in options.target]
    if both or not inputs:
        raise ValueError(f"{data.path}: {both[0]!r} is input and target" if both else f"{data.path}: no input is left")
    return list(inputs)


def _targets(data: Table, options: argparse.Namespace) -> NamedColumns:
    if options.classify:
        if len(options.target) > 1:
            raise ValueError(f"--classify takes one target, got {len(options.target)}")
        return data.select(options.target)
    targets = data.select(options.target)
    texts = [name for name in options.target if data.columns[name].dtype == object]
    if texts:
        raise ValueError(f"{data.path}, column {texts[0]!r}: the target holds text; to predict classes add --classify")
    return targets


def _estimator(options: argparse.Namespace, first: bool) -> Any:
    from inntd.training.estimators import INNClassifier, INNRegressor

    return (INNClassifier if options.classify else INNRegressor)(
        optimizer=options.optimizer,
        rank=options.rank,
        elements=options.elements,
        s=options.s,
        nodes=options.nodes,
        categorical=options.categorical,
        extrapolate=options.extrapolate,
        nan=options.nan,
        smoothness=options.smoothness,
        validation_fraction=options.validation,
        max_seconds=options.seconds,
        random_state=options.seed,
        verbose=0 if options.quiet or options.json or not first else 1,
    )


def _summarise(options: argparse.Namespace, estimator: Any, parts: Pairs) -> dict[str, Any]:
    """Return what a training did, as JSON carries it."""
    from inntd.training.estimator_files import plain

    report = plain(estimator.report_)
    errors = {name: _errors(estimator, options.target, *pair) for name, pair in parts.items()}
    return {
        "data": str(options.data),
        "target": options.target,
        "inputs": estimator.column_names(),
        "classes": hasattr(estimator, "classes_"),
        "rows": {name: len(given) for name, (given, _) in parts.items()},
        "status": report.pop("status"),
        "message": report.pop("message"),
        "errors": {**errors, "validation": report.pop("validation_error"), "validation_by": report.pop("validation")},
        "seconds": report.pop("seconds"),
        "losses": [plain(entry["loss"]) for entry in estimator.history_ if "loss" in entry],
        "report": report,
    }


def _errors(estimator: Any, names: list[str], given: Values, predicted: Values) -> dict[str, float]:
    """Return the root mean square errors by target, or the share of wrong classes."""
    if hasattr(estimator, "classes_"):
        return {names[0]: float(np.mean(given[:, 0] != predicted))}
    whole = np.isfinite(given).all(axis=1) & np.isfinite(predicted).all(axis=1)
    roots = np.sqrt(np.mean((given - predicted)[whole] ** 2, axis=0)) if whole.any() else [np.nan] * len(names)
    return {name: float(root) for name, root in zip(names, roots, strict=True) if np.isfinite(root)}


def _readable(summary: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the rows of a table for people."""
    report, errors, rows = summary["report"], summary["errors"], summary["rows"]
    classes = summary["classes"]
    kind = "share of wrong classes" if classes else "root mean square error"
    lines = [
        ("data", f"{summary['data']}, {' and '.join(f'{count:,} rows for {name}' for name, count in rows.items())}"),
        ("inputs", ", ".join(summary["inputs"])),
        ("optimiser", f"{report['optimizer']}: {report['why']}"),
        *((name, f"{report[name]}") for name in ("rank", "form", "smoothness") if report.get(name) is not None),
        *(
            (f"{name} error", ", ".join(f"{error:.3g} of {key}" for key, error in errors[name].items()) + f"  ({kind})")
            for name in rows
        ),
    ]
    if errors["validation"] is not None:
        lines.insert(-1 if "test" in rows else len(lines), _validation_row(errors, classes))
    for name, what in (("dropped_rows", "with missing values"), ("repeated_rows", "repeated, their weights added")):
        if report[name]:
            lines.append(("note", f"{report[name]:,} rows {what}"))
    if report["constant_columns"]:
        lines.append(("note", f"nothing to learn from constant columns: {', '.join(report['constant_columns'])}"))
    return [
        *lines,
        ("seconds", f"{summary['seconds']:.2f}"),
        ("status", f"{summary['status']}: {summary['message']}"),
        ("written", "\n".join(summary["files"])),
    ]


def _validation_row(errors: dict[str, Any], classes: bool) -> tuple[str, str]:
    unit = "log loss" if classes else "of the targets' standard deviation"
    return "validation error", f"{errors['validation']:.3g} {unit}  ({errors['validation_by']})"


def _draw(parts: Pairs, targets: list[str], path: Path) -> None:
    from inntd.models.atomic import write_atomically
    from inntd.results.parity import plot_parity

    content = io.BytesIO()
    plot_parity(parts, targets).savefig(content, format="png", dpi=120)
    write_atomically(path, content.getvalue(), overwrite=True)


# ---- predict -----------------------------------------------------------------------------------------------------


def _predict(options: argparse.Namespace) -> int:
    from inntd.training.pieces import write_pieces

    if options.output is not None:
        _refuse_existing([options.output], force=options.force)
    write_pieces(options.output, _predicted(options.model, options.data), overwrite=options.force)
    return DONE


def _predicted(model: Path, path: Path) -> Iterator[dict[str, Values]]:
    """Yield columns of predictions, in pieces: targets, or a class and its probabilities; of a field alone, "u"."""
    import inntd
    from inntd.training.estimators import estimator_class
    from inntd.training.pieces import read_pieces

    kind = estimator_class(model)
    if kind is None:
        field = inntd.load(model)
        for data in read_pieces(path, [axis.name for axis in field.axes], ()):
            yield {"u": field(data.numbers()).numpy()}
        return
    estimator = kind.load(model)
    for data in read_pieces(path, estimator.column_names(), estimator.text_columns(), nan=estimator.nan):
        yield _columns(estimator, data)


def _columns(estimator: Any, data: NamedColumns) -> dict[str, Values]:
    names = estimator.target_names()
    if not hasattr(estimator, "classes_"):
        values = estimator.predict(data)
        return dict(zip(names, values.reshape(len(values), -1).T, strict=True))
    classes = estimator.classes_
    probabilities = estimator.predict_proba(data)
    columns = {f"{names[0]}={label}": column for label, column in zip(classes, probabilities.T, strict=True)}
    return {names[0]: estimator.predict(data), **columns}
