"""Files of models: exact, all or nothing, and suspicious."""

from __future__ import annotations

import functools
import json
import os
import pickle
import stat
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from conformance_models import FORMS, random_tucker
from hypothesis import given
from hypothesis import strategies as st

import inntd as it
from inntd.models import files
from inntd.models.atomic import write_atomically


def axes_of_all_kinds() -> list[it.Axis]:
    rng = np.random.default_rng(0)
    return [
        it.Axis("x[1]", 0.1, 0.7, elements=9, unit="m"),
        it.Axis("phi", 0, 2 * np.pi, elements=11, periodic=True, s=2),
        it.Axis("y", nodes=np.cumsum(rng.uniform(0.1, 1, 200)), s=1),
        it.Axis("z", 0, 1, elements=8, breaks=[0.5], basis=it.CHiDeNNBasis(s=1, kernel="cubic", p=1, a=3.0)),
        it.Axis("t", 0, 0.04, elements=99, grading=2, kind="time"),
        it.Axis("k", 1, 4, elements=100, kind="parameter", s=[1, 2] * 50 + [1]),
        it.Axis("h", 0, 1, elements=3, basis=it.LinearBasis()),
        it.Axis.discrete("c", 3, unit="1"),
    ]


def small_tucker(dtype: torch.dtype = torch.float64) -> it.TuckerModel:
    return random_tucker(small_model().axes, [3, 2]).to(dtype)


def small_model(dtype: torch.dtype = torch.float64) -> it.CPModel:
    rng = np.random.default_rng(1)
    axes = [it.Axis("x", 0, 1, elements=9), it.Axis("k", 1, 4, elements=7, kind="parameter")]
    return it.CPModel.from_factors(axes, [rng.standard_normal((axis.size, 3)) for axis in axes], dtype=dtype)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.inntd"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("form", FORMS)
def test_models_come_back_to_the_bit(path: Path, form: str, dtype: torch.dtype) -> None:
    axes = axes_of_all_kinds()
    model = FORMS[form](axes, 3, seed=2).to(dtype)
    model.metadata = {"error_estimate": 0.1 + 0.2, "problem": "title = 'Wärme'", "provenance": {"seed": 3, "s": [1]}}
    model.save(path, metadata={"more": None})
    loaded = it.load(path)
    assert loaded.metadata == {**model.metadata, "more": None}
    assert loaded.dtype == dtype
    assert type(loaded) is type(model)
    assert [name for name, _ in loaded.named_parameters()] == [name for name, _ in model.named_parameters()]
    for one, other in zip(loaded.parameters(), model.parameters(), strict=True):
        assert torch.equal(one, other)
        assert not one.requires_grad
    for axis, other_axis in zip(loaded.axes, axes, strict=True):
        assert axis.key == other_axis.key
        assert axis.to_dict() == other_axis.to_dict()
        assert axis.nodes.tobytes() == other_axis.nodes.tobytes()


def test_special_numbers_come_back(path: Path) -> None:
    x = it.Axis("x", 0, 1, elements=3, s=1)
    values = np.array([[-0.0], [5e-324], [1.7976931348623157e308], [np.nextafter(1, 2)]])
    it.CPModel.from_factors([x], [values]).save(path)
    assert it.load(path).factors[0].numpy().tobytes() == values.tobytes()


def test_the_file_is_a_plain_safetensors_file_with_a_json_header(path: Path) -> None:
    model = small_model()
    model.save(path)
    tensors = safetensors.torch.load_file(path)
    assert torch.equal(tensors["factors.0"], model.factors[0])
    with safetensors.safe_open(str(path), framework="numpy") as file:
        header = json.loads(file.metadata()["inntd"])
    assert (header["format"], header["version"], header["kind"], header["software"]) == (
        "inntd",
        1,
        "cp",
        it.__version__,
    )
    assert [axis["name"] for axis in header["model"]["axes"]] == ["x", "k"]


def test_long_meshes_are_tensors_not_text(path: Path) -> None:
    x = it.Axis("x", nodes=np.cumsum(np.random.default_rng(0).uniform(0.5, 1, 20_001)))
    it.CPModel.from_factors([x], [x.nodes[:, None]]).save(path)
    assert path.stat().st_size < 2.1 * 8 * 20_001
    assert it.load(path).axes[0].key == x.key


def test_saving_twice_gives_the_same_file(path: Path, tmp_path: Path) -> None:
    small_model().save(path)
    small_model().save(tmp_path / "again.inntd")
    assert path.read_bytes() == (tmp_path / "again.inntd").read_bytes()


class TestWriting:
    """All or nothing."""

    def test_existing_files_are_kept_unless_told(self, path: Path) -> None:
        path.write_text("precious")
        with pytest.raises(FileExistsError, match="overwrite=True"):
            small_model().save(path)
        assert path.read_text() == "precious"
        small_model().save(path, overwrite=True)
        assert it.load(path).rank == 3
        assert os.listdir(path.parent) == [path.name]

    @pytest.mark.parametrize("step", ["write", "fsync", "rename"])
    def test_an_error_leaves_the_old_file(self, path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
        small_model().save(path)
        before = path.read_bytes()

        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        if step == "write":
            monkeypatch.setattr("inntd.models.atomic._write", full)
        else:
            monkeypatch.setattr(os, "fsync" if step == "fsync" else "replace", full)
        with pytest.raises(OSError, match="No space left"):
            (2 * small_model()).save(path, overwrite=True)
        monkeypatch.undo()
        assert path.read_bytes() == before
        assert os.listdir(path.parent) == [path.name]

    def test_a_limit_on_file_size_is_a_full_disk(self, path: Path) -> None:
        """For real: the system refuses to write the second half."""
        small_model().save(path)
        before = path.read_bytes()
        script = textwrap.dedent(
            """
            import resource, sys
            import numpy as np, inntd as it
            x = it.Axis("x", 0, 1, elements=10_000)
            model = it.CPModel.from_factors([x], [np.ones((x.size, 2))])
            resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
            try:
                model.save(sys.argv[1], overwrite=True)
            except OSError as error:
                print("refused", error.errno)
            """
        )
        run = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True, check=True)
        assert run.stdout.startswith("refused")
        assert path.read_bytes() == before
        assert os.listdir(path.parent) == [path.name]

    def test_missing_folders_are_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError):
            small_model().save(tmp_path / "nowhere" / "model.inntd")

    def test_links_are_followed_and_permissions_kept(self, path: Path, tmp_path: Path) -> None:
        target = tmp_path / "target.inntd"
        small_model().save(target)
        target.chmod(0o640)
        path.symlink_to(target)
        (2 * small_model()).save(path, overwrite=True)
        assert path.is_symlink()
        assert stat.S_IMODE(target.stat().st_mode) == 0o640
        assert it.load(target).distance(2 * small_model()) < 1e-14

    def test_somebody_elses_new_file_is_not_replaced(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A file that appears after the first look, while this one is being written."""
        real = os.fsync

        def slow(descriptor: int) -> None:
            real(descriptor)
            path.write_text("theirs")

        monkeypatch.setattr(os, "fsync", slow)
        with pytest.raises(FileExistsError):
            write_atomically(path, b"ours")
        assert path.read_text() == "theirs"
        assert os.listdir(path.parent) == [path.name]

    def test_metadata_must_be_json(self, path: Path) -> None:
        for bad in ({"f": print}, {"a": np.ones(2)}, {"n": float("nan")}):
            with pytest.raises(TypeError, match="metadata must hold only what JSON carries"):
                small_model().save(path, metadata=bad)
        with pytest.raises(ValueError, match="metadata must fit into"):
            small_model().save(path, metadata={"text": "x" * 20_000_000})
        assert os.listdir(path.parent) == []


def rewritten(path: Path, change: Any, model: it.CPModel | it.TuckerModel | None = None) -> None:
    """Write a small model's file with header and tensors changed by `change(header, tensors)`."""
    (model or small_model()).save(path)
    with safetensors.safe_open(str(path), framework="pt") as file:
        header = json.loads(file.metadata()["inntd"])
        tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
    header = change(header, tensors) or header
    text = header if isinstance(header, str) else json.dumps(header)
    path.write_bytes(safetensors.torch.save(tensors, metadata={"inntd": text}))


def set_axis(**fields: Any) -> Any:
    return lambda header, tensors: header["model"]["axes"][0].update(fields)


def deep(header: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
    nested: dict[str, Any] = {}
    header["model"]["axes"][0]["basis"] = nested
    for _ in range(500):
        nested["basis"] = {}
        nested = nested["basis"]


HOSTILE: dict[str, tuple[Any, str]] = {
    "no json": (lambda h, t: "{not json", "is no readable model"),
    "json of something else": (lambda h, t: "[1, 2]", "header is not that of a model"),
    "other format": (lambda h, t: h.update(format="other"), "header is not that of a model"),
    "newer version": (lambda h, t: h.update(version=2), "has version 2 of the format.*use a newer inntd"),
    "no version": (lambda h, t: h.pop("version") and None, "its version is None"),
    "odd version": (lambda h, t: h.update(version="1"), "its version is '1'"),
    "unknown kind": (lambda h, t: h.update(kind="__import__('os')"), "its kind is .*known are cp, tucker"),
    "kind is a list": (lambda h, t: h.update(kind=["cp"]), "is no readable model"),
    "no model": (lambda h, t: h.pop("model") and None, "lacks the model"),
    "no metadata": (lambda h, t: h.update(metadata=3), "lacks the model or the metadata"),
    "no axes": (lambda h, t: h["model"].clear(), "it lacks 'axes'"),
    "empty axes": (lambda h, t: h["model"].update(axes=[]), "axes are no list"),
    "axes no list": (lambda h, t: h["model"].update(axes={"0": 1}), "axes are no list"),
    "axis no table": (lambda h, t: h["model"].update(axes=[3, 4]), "table of fields"),
    "unknown field": (set_axis(evil=1), "field of an axis"),
    "wrong field": (set_axis(name=3), "name must be a string"),
    "huge mesh": (set_axis(elements=10**15), "functions, its factor has 10"),
    "negative mesh": (set_axis(elements=-1), "elements"),
    "huge family": (set_axis(s=10**9), "is no readable model"),
    "bad basis": (set_axis(basis={"name": "os.system"}), "basis name"),
    "deep nesting": (deep, "nested too deeply|basis"),
    "lost tensor": (lambda h, t: str(t.pop("factors.1")) and None, "factor 1 is missing"),
    "lost nodes": (set_axis(nodes={"tensor": "gone"}), "tensor 'gone' is missing"),
    "odd tensor": (set_axis(nodes={"tensor": ["x"]}), "is missing, or no vector"),
    "matrix as nodes": (set_axis(nodes={"tensor": "factors.0"}), "no vector of numbers"),
    "wrong shape": (
        lambda h, t: t.update({"factors.0": torch.zeros(4, 3, dtype=torch.float64)}),
        r"functions, its factor has 4|shape \(10, 3\)",
    ),
    "wrong rank": (lambda h, t: t.update({"factors.1": torch.zeros(8, 2, dtype=torch.float64)}), r"shape \(8, 3\)"),
    "wrong dtype": (
        lambda h, t: t.update({"factors.0": torch.zeros(10, 3, dtype=torch.int64)}),
        "dtypes torch.float64, torch.int64",
    ),
    "mixed dtypes": (lambda h, t: t.update({"factors.0": torch.zeros(10, 3)}), "dtypes torch.float32, torch.float64"),
    "not finite": (lambda h, t: str(t["factors.0"].fill_(float("nan"))) and None, "must be finite"),
}


HOSTILE_TUCKER: dict[str, tuple[Any, str]] = {
    "no core": (lambda h, t: t.pop("core"), "its core is missing"),
    "flat core": (lambda h, t: t.update(core=torch.ones(6, dtype=torch.float64)), r"core must have shape \(r_x, r_k\)"),
    "other ranks": (lambda h, t: t.update(core=torch.ones(3, 3, dtype=torch.float64)), r"'k' must have shape \(8, 3\)"),
    "empty core": (lambda h, t: t.update(core=torch.ones(3, 0, dtype=torch.float64)), "each at least 1"),
    "not finite": (lambda h, t: t["core"].fill_(float("inf")), "core must be finite"),
    "core of integers": (
        lambda h, t: t.update(core=torch.ones(3, 2, dtype=torch.int64)),
        "dtypes torch.float64, torch",
    ),
    "core of another dtype": (lambda h, t: t.update(core=torch.ones(3, 2)), "dtypes torch.float32, torch.float64"),
    "lost factor": (lambda h, t: t.pop("factors.1"), "factor 1 is missing"),
    "huge mesh": (set_axis(elements=10**15), "functions, its factor has 10"),
}


class TestHostileFiles:
    """A reader trusts nothing."""

    @pytest.mark.parametrize("case", HOSTILE)
    def test_changed_headers(self, path: Path, case: str) -> None:
        change, message = HOSTILE[case]

        def apply(header: Any, tensors: Any) -> Any:
            found = change(header, tensors)
            return found if isinstance(found, str) else None

        rewritten(path, apply)
        with pytest.raises(ValueError, match=f"(?s)model.inntd is no readable model of inntd: .*({message})|{message}"):
            it.load(path)

    @pytest.mark.parametrize("case", HOSTILE_TUCKER)
    def test_changed_tucker_files(self, path: Path, case: str) -> None:
        change, message = HOSTILE_TUCKER[case]

        def apply(header: Any, tensors: Any) -> None:
            change(header, tensors)

        rewritten(path, apply, small_tucker())
        with pytest.raises(ValueError, match=f"(?s)model.inntd is no readable model of inntd: .*{message}"):
            it.load(path)

    def test_a_cp_file_with_a_core_is_a_cp_model(self, path: Path) -> None:
        rewritten(path, lambda header, tensors: header.update(kind="cp"), random_tucker(small_model().axes, [3, 3]))
        assert isinstance(it.load(path), it.CPModel)

    def test_more_axes_than_a_core_has_indices(self, path: Path) -> None:
        def change(header: Any, tensors: Any) -> None:
            first = header["model"]["axes"][0]
            header["model"]["axes"] = [{**first, "name": f"x[{d}]"} for d in range(40)]
            tensors.update({f"factors.{d}": torch.ones(10, 1, dtype=torch.float64) for d in range(40)})

        rewritten(path, change, small_tucker())
        with pytest.raises(ValueError, match="at most 32 axes, got 40"):
            it.load(path)

    @pytest.mark.parametrize("form", FORMS)
    def test_truncated_files(self, path: Path, form: str) -> None:
        FORMS[form](small_model().axes).save(path)
        content = path.read_bytes()
        for length in (0, 1, 7, 8, 9, 100, len(content) // 2, len(content) - 1):
            path.write_bytes(content[:length])
            with pytest.raises(ValueError, match="is no readable model"):
                it.load(path)

    @pytest.mark.parametrize("length", [2**63, 2**64 - 1, 10**9])
    def test_oversized_headers(self, path: Path, length: int) -> None:
        path.write_bytes(length.to_bytes(8, "little") + b"{" * 1000)
        with pytest.raises(ValueError, match="truncated"):
            it.load(path)

    def test_headers_that_are_large_for_real(self, path: Path) -> None:
        text = json.dumps({"a": "x" * (100 * 2**20)}).encode()
        path.write_bytes(len(text).to_bytes(8, "little") + text)
        with pytest.raises(ValueError, match="header is too large"):
            it.load(path)

    def test_other_files(self, path: Path, tmp_path: Path) -> None:
        path.write_bytes(safetensors.torch.save({"a": torch.ones(3)}))
        with pytest.raises(ValueError, match="safetensors file of something else"):
            it.load(path)
        with pytest.raises(FileNotFoundError):
            it.load(tmp_path / "missing.inntd")
        with pytest.raises(OSError, match="directory"):
            it.load(tmp_path)

    def test_nothing_is_unpickled(self, path: Path, tmp_path: Path) -> None:
        class Evil:
            def __reduce__(self) -> Any:
                return os.mkdir, (str(tmp_path / "harmed"),)

        path.write_bytes(pickle.dumps(Evil()))
        with pytest.raises(ValueError, match="is no readable model"):
            it.load(path)
        torch.save({"factors.0": Evil()}, path)
        with pytest.raises(ValueError, match="is no readable model"):
            it.load(path)
        assert not (tmp_path / "harmed").exists()

    @given(st.data(), st.sampled_from(sorted(FORMS)))
    def test_any_changed_byte_is_an_error_or_another_model(self, data: st.DataObject, form: str) -> None:
        content = bytearray(_saved_bytes(form))
        for _ in range(data.draw(st.integers(1, 3))):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
        path = _scratch()
        path.write_bytes(content)
        try:
            found = it.load(path)
        except ValueError:
            return
        assert isinstance(found, it.CPModel | it.TuckerModel)


def _scratch() -> Path:
    import tempfile

    return Path(tempfile.gettempdir()) / f"inntd-test-{os.getpid()}.inntd"


@functools.cache
def _saved_bytes(form: str) -> bytes:
    path = _scratch()
    FORMS[form](small_model().axes).save(path, overwrite=True)
    return path.read_bytes()


@pytest.fixture(autouse=True, scope="module")
def _no_scratch_left() -> Any:
    yield
    _scratch().unlink(missing_ok=True)


def test_the_reader_knows_its_own_limits() -> None:
    assert files.VERSION == 1
    assert files.LARGEST_HEADER <= 100_000_000  # what safetensors itself accepts
