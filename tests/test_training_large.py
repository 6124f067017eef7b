"""Data larger than memory: blocks of arrays, files and factories are the same rows; memory stays bounded."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import inntd as it
from inntd import cli
from inntd.training import batches as blocks
from inntd.training.batches import ArrayBatches, Batches, FactoryBatches, FileBatches, Without, read_rows
from inntd.training.gradient import fit_adam
from inntd.training.large import Moments
from inntd.training.pieces import read_pieces
from inntd.training.tables import read_table

Array = npt.NDArray[np.float64]
NAMES = ["a", "b", "c", "u"]


def samples(count: int = 4000, seed: int = 0) -> tuple[Array, Array]:
    x = np.random.default_rng(seed).uniform(-1, 1, (count, 3))
    return x, np.exp(x[:, 0]) * np.sin(2 * x[:, 1]) + x[:, 2] ** 2


def relative_error(model: Any, x: Any, y: Array) -> float:
    return float(np.sqrt(np.mean((model.predict(x).reshape(-1) - y) ** 2)) / y.std())


@pytest.fixture(autouse=True)
def small_is_large(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    monkeypatch.setattr("inntd.training.large.LARGE", 1)
    monkeypatch.setattr("inntd.training.large.PARTS", (1000, 2000))
    monkeypatch.setattr("inntd.training.optimizers.MOST_ROWS_OF_AUTOMATIC", 100)
    monkeypatch.setattr(blocks, "CHUNK_BYTES", 4 * 8 * 700)


def stored(folder: Path, x: Array, y: Array) -> tuple[Path, Path]:
    """Write samples to files: Parquet in several row groups, and .npy with the target in the last column."""
    pq.write_table(pa.table(dict(zip(NAMES, [*x.T, y], strict=True))), folder / "data.parquet", row_group_size=1500)
    np.save(folder / "data.npy", np.column_stack([x, y]))
    return folder / "data.parquet", folder / "data.npy"


def all_batches(folder: Path, x: Array, y: Array) -> Iterator[Batches]:
    parquet, npy = stored(folder, x, y)
    yield ArrayBatches(x, y)
    yield FileBatches(parquet, "u", ["a", "b", "c"])
    yield FileBatches(npy, "x3")
    yield FactoryBatches(lambda: ((x[i : i + 300], y[i : i + 300]) for i in range(0, len(x), 300)))


def test_all_kinds_of_batches_are_the_same_rows(tmp_path: Path) -> None:
    x, y = samples()
    chosen = np.random.default_rng(3).permutation(len(x))[:50]
    for batches in all_batches(tmp_path, x, y):
        assert (len(batches), batches.width, batches.one_target) == (4000, 3, True)
        for random in (None, np.random.default_rng(1)):
            found = list(batches.blocks(random))
            assert max(len(block.x) for block in found) <= 1000
            rows = np.concatenate([block.rows for block in found])
            assert np.array_equal(np.sort(rows), np.arange(4000))
            assert np.array_equal(np.concatenate([block.x for block in found]), x[rows])
            assert np.array_equal(np.concatenate([block.y for block in found])[:, 0], y[rows])
        part = read_rows(batches, chosen)
        assert np.array_equal(part.x, x[np.sort(chosen)])
        rest = np.concatenate([block.rows for block in Without(batches, chosen).blocks()])
        assert np.array_equal(rest, np.delete(np.arange(4000), chosen))


def test_blocks_of_files_come_in_another_order_when_asked(tmp_path: Path) -> None:
    for batches in all_batches(tmp_path, *samples()):
        order = [block.rows[0] for block in batches.blocks(np.random.default_rng(5))]
        assert (order != sorted(order)) == (not isinstance(batches, FactoryBatches))


@pytest.mark.parametrize("optimizer", ["auto", "adam"])
@pytest.mark.parametrize("kind", ["memmap", "npy", "parquet", "factory"])
def test_the_estimator_reads_them_in_blocks(optimizer: str, kind: str, tmp_path: Path) -> None:
    x, y = samples()
    parquet, npy = stored(tmp_path, x, y)
    given: dict[str, Callable[[], tuple[Any, Any]]] = {
        "memmap": lambda: (np.load(npy, mmap_mode="r")[:, :3], y),
        "npy": lambda: (npy, "x3"),
        "parquet": lambda: (str(parquet), "u"),
        "factory": lambda: (lambda: ((x[i::3], y[i::3]) for i in range(3)), None),
    }
    model = it.INNRegressor(optimizer=optimizer, rank=5, elements=6).fit(*given[kind]())
    new, y_new = samples(500, seed=1)
    named = {"parquet": NAMES[:3], "npy": ["x0", "x1", "x2"]}.get(kind)
    if named is None:
        assert relative_error(model, new, y_new) < (0.3 if optimizer == "adam" else 0.01)
    else:
        pd = pytest.importorskip("pandas")
        assert relative_error(model, pd.DataFrame(new, columns=named), y_new) < (0.3 if optimizer == "adam" else 0.01)
        assert model.column_names() == named
    assert model.report_["rows"] == 4000
    low, high = np.array([axis.domain for axis in model.model_.axes]).T
    assert np.array_equal(low, x.min(axis=0))
    assert np.array_equal(high, x.max(axis=0))


def test_targets_of_different_scale_are_read_in_blocks(tmp_path: Path) -> None:
    x, y = samples()
    both = np.column_stack([y, 1e6 + 1e4 * x[:, 0]])
    model = it.INNRegressor(optimizer="adam", rank=8).fit(lambda: [(x[:2000], both[:2000]), (x[2000:], both[2000:])])
    errors = np.sqrt(np.mean((model.predict(x) - both) ** 2, axis=0)) / both.std(axis=0)
    assert errors.max() < 0.3


def test_means_and_deviations_add_up_over_blocks() -> None:
    random = np.random.default_rng(0)
    y, weights = 1e4 + random.random((900, 2)), random.random(900)
    moments = Moments()
    for part in np.split(np.arange(900), [10, 400]):
        moments.add(blocks.Block(part, np.zeros((len(part), 1)), y[part], weights[part]))
    mean = np.average(y, axis=0, weights=weights)
    np.testing.assert_allclose(moments.scaling().mean, mean, rtol=1e-12)
    deviation = np.sqrt(np.average((y - mean) ** 2, axis=0, weights=weights))
    np.testing.assert_allclose(moments.scaling().deviation, deviation, rtol=1e-9)


def test_weights_of_a_factory_count(tmp_path: Path) -> None:
    x, y = samples(2000)
    wrong = np.arange(2000) % 4 == 0
    weights, spoilt = np.where(wrong, 0.0, 1.0), np.where(wrong, 50.0, y)
    model = it.INNRegressor(rank=5, elements=6).fit(lambda: [(x[i::2], spoilt[i::2], weights[i::2]) for i in range(2)])
    assert relative_error(model, *samples(500, seed=1)) < 0.05
    assert model.report_["dropped_rows"] == 500


def test_adam_holds_out_rows_of_batches(tmp_path: Path) -> None:
    x, y = samples()
    axes = [it.Axis(name, -1, 1, elements=6) for name in "abc"]
    for batches in all_batches(tmp_path, x, y):
        found = fit_adam(axes, batches, None, rank=6, epochs=30, batch=256, validation_fraction=0.1)
        assert found.history[-1]["validation_loss"] < 0.05 * y.var()


def test_there_is_one_pass_per_epoch() -> None:
    x, y = samples(500)
    axes, passes = [it.Axis(name, -1, 1, elements=4) for name in "abc"], []

    def batches() -> Iterator[tuple[Array, Array]]:
        yield x[:200], y[:200]
        yield x[200:], y[200:]
        passes.append(1)  # reached by whole passes only

    counts = []
    for epochs in (3, 8):
        passes.clear()
        fit_adam(axes, batches, None, rank=2, epochs=epochs, validation_fraction=0.1)
        counts.append(len(passes))
    assert counts[1] - counts[0] == 5
    assert counts[0] <= 3 + 3


# ---- bad input ---------------------------------------------------------------------------------------------------


def test_values_that_are_not_finite_are_named_or_dropped(tmp_path: Path) -> None:
    x, y = samples()
    x[1500, 1] = np.nan
    parquet, npy = stored(tmp_path, x, y)
    for path, target, name in ((parquet, "u", "b"), (npy, "x3", "x1")):
        with pytest.raises(ValueError, match=rf"column '{name}' must be finite, got nan in row 1500 .*nan='drop'"):
            it.INNRegressor().fit(path, target)
        assert it.INNRegressor(nan="drop", rank=2, elements=3).fit(path, target).report_["dropped_rows"] == 1
    x[1500, 1], y[7] = 0.0, np.inf
    with pytest.raises(ValueError, match=r"y must be finite, got inf in row 7 .*: remove these rows$"):
        it.INNRegressor(nan="drop").fit(lambda: [(x, y)])
    with pytest.raises(ValueError, match="no row is left"):
        it.INNRegressor(nan="drop").fit(lambda: [(np.full((5, 2), np.nan), np.ones(5))])


def test_what_is_no_factory_or_file_is_refused(tmp_path: Path) -> None:
    x, y = samples(200)
    parquet, _ = stored(tmp_path, x, y)
    with pytest.raises(ValueError, match=r"an iterable of \(x, y\).* anew at each call, got an empty one"):
        it.INNRegressor().fit(lambda: iter(()))
    with pytest.raises(ValueError, match=r"shapes \(k, 3\) and \('k',\), as the first one; got shapes \(50, 2\)"):
        it.INNRegressor().fit(lambda: [(x, y), (x[:50, :2], y[:50])])
    with pytest.raises(ValueError, match="y must be None when X is a factory"):
        it.INNRegressor().fit(lambda: [(x, y)], y)
    with pytest.raises(ValueError, match="sample_weight must be None"):
        it.INNRegressor().fit(lambda: [(x, y)], sample_weight=np.ones(200))
    with pytest.raises(ValueError, match=r"categorical must be empty for data in blocks, got \['a'\]"):
        it.INNRegressor(categorical=["a"]).fit(parquet, "u")
    with pytest.raises(TypeError, match=r"y must be the name of a column of .*, got None"):
        it.INNRegressor().fit(parquet)
    with pytest.raises(ValueError, match="lacks the column 'v'; it has 'a', 'b', 'c', 'u'"):
        it.INNRegressor().fit(parquet, "v")
    with pytest.raises(TypeError, match="got a function"):
        it.INNClassifier().fit(lambda: [(x, y)], None)
    pq.write_table(pa.table({"a": ["x", "y"], "u": [1.0, 2.0]}), tmp_path / "text.parquet")
    with pytest.raises(ValueError, match="column 'a': it holds text, and the file is too large"):
        it.INNRegressor().fit(tmp_path / "text.parquet", "u")


def test_an_iterator_that_is_spent_is_noticed() -> None:
    x, y = samples(200)
    spent = iter([(x, y), (x, y)])
    with pytest.raises(ValueError, match="the same rows anew at each call, got 200 rows at first, then 0 rows"):
        it.INNRegressor().fit(lambda: spent)


# ---- small files and the command line ----------------------------------------------------------------------------


def test_small_files_are_tables_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inntd.training.large.LARGE", 1 << 28)
    x, y = samples(300)
    parquet, _ = stored(tmp_path, x, y)
    model = it.INNRegressor(optimizer="als", rank=3, elements=4).fit(parquet, "u")
    same = it.INNRegressor(optimizer="als", rank=3, elements=4).fit(x, y)
    assert np.array_equal(model.predict(read_table(parquet).select(NAMES[:3])), same.predict(x))


@pytest.mark.parametrize("suffix", ["parquet", "npy"])
def test_the_command_fits_and_predicts_in_blocks(
    suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    x, y = samples()
    stored(tmp_path, x, y)
    data, target = tmp_path / f"data.{suffix}", "u" if suffix == "parquet" else "x3"
    assert cli.main(["fit", str(data), "--target", target, "--rank", "5", "--elements", "6", "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["rows"] == {"training": 3600, "test": 400}
    assert summary["errors"]["test"][target] < 0.02 * y.std()
    model = str(data.with_suffix(".inntd"))
    exact = it.INNRegressor.load(model).predict(read_table(data).select(summary["inputs"]))[:, 0]
    for kind in ("csv", "parquet", "npy"):
        output = tmp_path / f"found.{kind}"
        assert cli.main(["predict", model, str(data), "--output", str(output)]) == 0
        np.testing.assert_allclose(next(iter(read_table(output).columns.values())), exact, rtol=1e-12)
    assert cli.main(["predict", model, str(data)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 4001


def test_large_csv_files_are_predicted_in_pieces(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y = samples()
    parquet, _ = stored(tmp_path, x, y)
    assert cli.main(["fit", str(parquet), "--target", "u", "--rank", "3", "--elements", "3", "--quiet"]) == 0
    model, data, output = str(tmp_path / "data.inntd"), tmp_path / "new.csv", tmp_path / "found.npy"
    lines = ["c;b;a", *(f"{c!r};{b!r};{a!r}" for a, b, c in x.tolist())]
    data.write_text("\n".join(lines))
    monkeypatch.setattr("inntd.training.pieces.BLOCK", 20_000)
    assert len(list(read_pieces(data, ["a", "b", "c"], ()))) > 5
    assert cli.main(["predict", model, str(data), "--output", str(output)]) == 0
    expected = it.INNRegressor.load(model).predict(read_table(data).select(["a", "b", "c"]))
    np.testing.assert_allclose(np.load(output), expected, rtol=1e-12)
    data.write_text("\n".join([*lines[:3000], "1;oak;2", *lines[3000:]]))
    assert cli.main(["predict", model, str(data), "--output", str(output), "--force"]) == 2
    assert "new.csv, line 3001, column 'b': 'oak' is no number" in capsys.readouterr().err
    data.write_text("\n".join([*lines[:3000], "1;2", *lines[3000:]]))
    assert cli.main(["predict", model, str(data), "--output", str(output), "--force"]) == 2
    assert "new.csv, line 3001: the row has 2 values" in capsys.readouterr().err
    assert np.load(output).shape == (4000, 1)


def test_predictions_of_mapped_points_are_made_in_blocks(tmp_path: Path) -> None:
    x, y = samples()
    _, npy = stored(tmp_path, x, y)
    mapped = np.load(npy, mmap_mode="r")[:, :3]
    model = it.INNRegressor(optimizer="als", rank=3, elements=3).fit(x, y)
    np.testing.assert_allclose(model.predict(mapped), model.predict(x), rtol=1e-12)


def test_a_prediction_that_fails_on_the_way_leaves_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    x, y = samples()
    stored(tmp_path, x, y)
    assert (
        cli.main(["fit", str(tmp_path / "data.parquet"), "--target", "u", "--rank", "1", "--elements", "2", "--quiet"])
        == 0
    )
    x[3900, 2] = np.nan
    stored(tmp_path, x, y)
    output = tmp_path / "found.csv"
    model = str(tmp_path / "data.inntd")
    assert cli.main(["predict", model, str(tmp_path / "data.parquet"), "--output", str(output)]) == 2
    assert "column 'c' has 1 NaN" in capsys.readouterr().err
    assert not [file for file in tmp_path.iterdir() if "found" in file.name]


MEASURE = """
import resource, sys
import inntd as it
import inntd.training.estimators, pyarrow.parquet
from inntd.training import large
large.LARGE = 1
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
before = peak()
it.INNRegressor(optimizer=sys.argv[3], rank=4, max_seconds=2).fit(sys.argv[1], sys.argv[2])
print(peak() - before)
"""


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["parquet", "npy"])
def test_memory_is_bounded_by_the_block(suffix: str, tmp_path: Path) -> None:
    """A million and then four million rows of 8 columns (288 MB): the block is 64 MB, whatever the file's size."""
    peaks = []
    for count in (1_000_000, 4_000_000):
        x = np.random.default_rng(0).random((count, 8))
        matrix = np.column_stack([x, np.sin(x.sum(axis=1))])
        path = tmp_path / f"{count}.{suffix}"
        if suffix == "npy":
            np.save(path, matrix)
        else:
            pq.write_table(pa.table({f"x{d}": column for d, column in enumerate(matrix.T)}), path)
        del x, matrix
        done = subprocess.run(
            [sys.executable, "-c", MEASURE, str(path), "x8", "adam"],
            capture_output=True, text=True, check=True, cwd=Path(it.__file__).parent.parent,
        )  # fmt: skip
        peaks.append(float(done.stdout))
    assert peaks[1] < 600
    assert peaks[1] < 1.3 * peaks[0] + 50
