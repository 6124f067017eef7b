"""Tables in files: what is read comes back, and errors name file, line and column."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inntd.training.pieces import write_pieces
from inntd.training.tables import read_table

numbers = st.floats(allow_nan=False, allow_infinity=False)
text = st.text(st.characters(codec="utf-8", categories=("L", "P", "Zs")), min_size=1).map(lambda word: f"w{word}")


def written(tmp_path: Path, content: str, name: str = "data.csv") -> Path:
    path = tmp_path / name
    path.write_text(content)
    return path


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet"])
@given(rows=st.lists(st.tuples(numbers, text), min_size=1, max_size=20))
def test_columns_come_back_to_the_bit(suffix: str, rows: list[tuple[float, str]], tmp_path_factory: Any) -> None:
    path = tmp_path_factory.mktemp("table") / f"data{suffix}"
    values, words = np.array([row[0] for row in rows]), np.array([row[1] for row in rows], dtype=object)
    write_pieces(path, iter([{"x, y": values, "word": words}]))
    table = read_table(path, text=["word"])
    assert table.names == ["x, y", "word"]
    assert np.array_equal(table.columns["x, y"], values)
    assert table.columns["word"].tolist() == words.tolist()


def test_npy_is_mapped_into_memory(tmp_path: Path) -> None:
    array = np.arange(12.0).reshape(4, 3)
    np.save(tmp_path / "data.npy", array)
    table = read_table(tmp_path / "data.npy")
    assert isinstance(table.columns["x1"], np.memmap)
    assert np.array_equal(table.select(["x2", "x0"]).values, array[:, [2, 0]])


def test_whole_numbers_truth_values_and_missing_ones_are_numbers(tmp_path: Path) -> None:
    table = read_table(written(tmp_path, "n,b,e,x\n1,true,,\n2,false,,2.5\n"))
    np.testing.assert_array_equal(
        table.select(["n", "b", "e", "x"]).values, [[1, 1, np.nan, np.nan], [2, 0, np.nan, 2.5]]
    )


def test_semicolons_and_quoted_lines_are_understood(tmp_path: Path) -> None:
    table = read_table(written(tmp_path, 'a;"two\nlines"\n1;x\n2;"y\nz"\n'.replace("two\nlines", "b")))
    assert table.columns["b"].tolist() == ["x", "y\nz"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,b\n1,2\n\n3,4,5\n6,7\n", r"data\.csv, line 4: the row has 3 values, the header names 2 columns: '3,4,5'"),
        ("a,b\n1,2\n3\n", r"data\.csv, line 3: the row has 1 value, the header names 2 columns: '3'"),
        ('a,b\n"x\ny",2\n3\n', r"data\.csv, line 4: the row has 1 value"),
        ("a,b\n1,2\n3,4\n5,o6\n", r"data\.csv, line 4, column 'b': 'o6' is no number \(1 such of 3 values\)"),
        ('t,b\n"x\ny",2\nz,4\nz,o6\n', r"data\.csv, line 5, column 'b': 'o6'"),
        ("a,a\n1,2\n", r"data\.csv, line 1: the names of columns must differ, got 'a' more than once"),
        ("1,2\n3,4\n", r"data\.csv, line 1: .* must name the columns, got the numbers '1,2'"),
        ("", r"data\.csv, line 1: .* must name the columns, got an empty one"),
        ("a,b\n", r"data\.csv has no rows"),
        ("a,b\n1,2001-01-01\n", r"data\.csv, column 'b': it must hold numbers or text, got date"),
    ],
)
def test_a_broken_csv_names_line_and_column(content: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        read_table(written(tmp_path, content))


def test_text_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_bytes("a,b\n1,Stahl\n2,Kühler\n".encode("latin-1"))
    with pytest.raises(ValueError, match=r"line 3: the text is not UTF-8"):
        read_table(path)


def test_broken_parquet_and_npy_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no readable Parquet file"):
        read_table(written(tmp_path, "junk", "data.parquet"))
    with pytest.raises(ValueError, match=r"no readable \.npy file"):
        read_table(written(tmp_path, "junk", "data.npy"))
    np.save(tmp_path / "flat.npy", np.zeros(3))
    with pytest.raises(ValueError, match=r"must hold a matrix of real numbers, got shape \(3,\)"):
        read_table(tmp_path / "flat.npy")
    pq.write_table(pa.table({"a": [[1, 2], [3]]}), tmp_path / "nested.parquet")
    with pytest.raises(ValueError, match="column 'a': it must hold numbers or text, got list"):
        read_table(tmp_path / "nested.parquet")
    pq.write_table(pa.table({"a": ["1", "2", "x"]}), tmp_path / "odd.parquet")
    with pytest.raises(ValueError, match="row 3, column 'a': 'x' is no number"):
        read_table(tmp_path / "odd.parquet")


def test_missing_columns_files_and_suffixes_are_named(tmp_path: Path) -> None:
    table = read_table(written(tmp_path, "a,b\n1,2\n"))
    with pytest.raises(ValueError, match=r"lacks the column 'c'; it has 'a', 'b'"):
        table.select(["a", "c"])
    with pytest.raises(FileNotFoundError, match=r"none\.csv does not exist"):
        read_table(tmp_path / "none.csv")
    with pytest.raises(ValueError, match=r"must end in one of \.csv.* got '\.xls'"):
        read_table(tmp_path / "data.xls")
    with pytest.raises(FileExistsError):
        write_pieces(table.path, iter([{"u": np.zeros(2)}]))


def test_without_pyarrow_the_message_says_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, "a,b\n1,2\n")
    real = importlib.import_module

    def missing(name: str, package: str | None = None) -> Any:
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return real(name, package)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(ImportError, match=r"pip install 'inntd\[tables\]'"):
        read_table(path)
