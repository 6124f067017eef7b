"""Memory and time of `fit` on files larger than memory shall be: ten million rows of eight columns and a target.

One JSON line per kind of file (.npy, .parquet) and way of training ("auto": a random part of the rows; "adam": one
epoch over all rows): the largest resident memory above that of the interpreter with everything imported, in GB, and
the root mean square error at 10,000 new points relative to the target's deviation. Each case is a process of its own.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import harness  # before NumPy: one thread
import numpy as np

MOST_GB = 1.0  # above the interpreter
COLUMNS = 8
PART = 500_000  # rows that are made at a time


def target(x: harness.Array) -> harness.Array:
    """Return a smooth function of all columns."""
    values: harness.Array = np.sin(3 * x[:, 0]) * x[:, 1] + np.exp(-x[:, 2] * x[:, 3]) + x[:, 4:].sum(axis=1) ** 2 / 8
    return values


def write(path: Path, rows: int) -> None:
    """Write random rows, a part at a time."""
    random = np.random.default_rng(0)
    names = [f"x{d}" for d in range(COLUMNS + 1)]
    if path.suffix == ".npy":
        matrix = np.lib.format.open_memmap(path, "w+", np.float64, (rows, COLUMNS + 1))
        for begin in range(0, rows, PART):
            x = random.random((min(PART, rows - begin), COLUMNS))
            matrix[begin : begin + len(x)] = np.column_stack([x, target(x)])
        return
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetWriter(path, pa.schema([(name, pa.float64()) for name in names])) as writer:
        for begin in range(0, rows, PART):
            x = random.random((min(PART, rows - begin), COLUMNS))
            writer.write_table(pa.table(dict(zip(names, [*x.T, target(x)], strict=True))))


def measure(path: Path, optimizer: str) -> dict[str, object]:
    """Fit to a file in this process and return the line."""
    import pyarrow.parquet  # noqa: F401  # the interpreter with everything imported

    import inntd as it
    from inntd.training.tables import NamedColumns

    def resident() -> float:
        return next(int(line.split()[1]) for line in Path("/proc/self/status").open() if line.startswith("VmRSS")) / 1e6

    it.INNRegressor(rank=1, optimizer="als").fit(np.random.default_rng(0).random((50, 2)), np.arange(50.0))
    before = resident()
    model = it.INNRegressor(optimizer=optimizer, rank=8, max_seconds=1.0 if optimizer == "adam" else None)
    with harness.peak_memory() as peak:
        seconds, busy, model = harness.clocked(lambda: model.fit(path, f"x{COLUMNS}"))
    new = np.random.default_rng(1).random((10_000, COLUMNS))
    values = model.predict(NamedColumns(new, model.column_names()))
    error = float(np.sqrt(np.mean((values - target(new)) ** 2)) / target(new).std())
    above = peak[0] / 1e9 - before
    return {
        "case": f"{path.suffix[1:]}-{optimizer}",
        "rows": model.report_["rows"],
        "file_gb": harness.significant(path.stat().st_size / 1e9),
        "memory_gb": harness.significant(above),
        "memory_gb_at_most": MOST_GB,
        "error": harness.significant(error),
        "epochs": len(model.history_) if optimizer == "adam" else None,
        "seconds": harness.significant(seconds),
        "seconds_cpu": harness.significant(busy),
        "threads": 1,
        "load": harness.load(),
        "rejected": None if above <= MOST_GB else f"{above:.2f} GB are more than {MOST_GB} GB",
        **harness.environment(),
    }


def main() -> int:
    """Run the chosen cases; 1 if one took too much memory."""
    cases = [f"{kind}-{optimizer}" for kind in ("npy", "parquet") for optimizer in ("auto", "adam")]
    parser = harness.argument_parser(__doc__ or "", cases)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(Path(options.measure[0]), options.measure[1])))
        return 0
    rows = 600_000 if options.quick else options.rows
    with tempfile.TemporaryDirectory() as folder:

        def line(case: str) -> dict[str, object]:
            kind, optimizer = case.split("-")
            path = Path(folder, f"data.{kind}")
            if not path.exists():
                write(path, rows)
            command = [sys.executable, __file__, "--measure", str(path), optimizer]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            found: dict[str, object] = json.loads(done.stdout)
            return found

        return harness.print_lines((line(case) for case in options.case or cases), options.output)


if __name__ == "__main__":
    sys.exit(main())
