"""Files of models: safetensors, with a versioned JSON header. Nothing is ever unpickled.

A ``.inntd`` file is a safetensors file whose metadata has one entry, ``inntd``: JSON with the fields

``format``, ``version``
    ``"inntd"`` and the version of this layout, 1.
``kind``
    Which class of model: ``"cp"``, ``"tucker"``, ``"exponential"``, ``"reduced"`` or ``"slabs"``.
``software``
    The version of inntd that wrote it.
``model``
    What that class needs besides tensors: the axes; of slabs the axis that they split, and kind and axes of each.
``metadata``
    The model's own `metadata`: where it came from, the problem's text, an error estimate.

The tensors are those of the model's `state_dict`: ``factors.0``, ``factors.1``, …, and the ``core`` of a Tucker model;
those of slabs have ``slabs.0.`` and so on in front; those of a reduced model are listed in
`inntd.models.reduced_files`.
Long lists of numbers in the header (the nodes of an axis) are tensors too: ``{"tensor": name}`` stands for them.
Numbers come back to the bit. A reader trusts nothing: sizes, names, types and shapes are checked before they are used.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import safetensors
import safetensors.torch

from inntd._version import __version__
from inntd.models.atomic import write_atomically
from inntd.models.packing import MOST_AXES, Malformed, Tensors, short

FORMAT, VERSION = "inntd", 1
LARGEST_HEADER = 16 * 2**20


class Storable(Protocol):
    """A model that files know."""

    metadata: dict[str, Any]

    @property
    def file_kind(self) -> str:
        """The name of its class in files."""
        ...


class Kind(NamedTuple):
    """How one class of models is written and read."""

    contents: Callable[[Any], tuple[dict[str, Any], Tensors]]  # what JSON carries of a model, and its tensors
    restored: Callable[[dict[str, Any], Tensors], Any]  # the model again; what does not fit together is refused


_KINDS: dict[str, Kind] = {}


def register(name: str, kind: Kind) -> None:
    """Make a class of models known to files, by its `file_kind`."""
    _KINDS[name] = kind


def save(
    model: Storable,
    path: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    metadata: Mapping[str, Any] | None = None,
) -> None:
    """Write a model to a file; see the `save` of models."""
    fields, tensors = _KINDS[model.file_kind].contents(model)
    content = {
        "format": FORMAT,
        "version": VERSION,
        "kind": model.file_kind,
        "software": __version__,
        "model": fields,
        "metadata": {**model.metadata, **(metadata or {})},
    }
    try:
        header = json.dumps(content, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise TypeError(f"metadata must hold only what JSON carries, got {error}") from None
    if len(header) > LARGEST_HEADER // 2:  # safetensors escapes it once more
        raise ValueError(
            f"metadata must fit into {LARGEST_HEADER // 2**21} MB of JSON, got {len(header) / 2**20:.0f} MB"
        )
    write_atomically(Path(path), safetensors.torch.save(tensors, metadata={FORMAT: header}), overwrite=overwrite)


def load(path: str | os.PathLike[str]) -> Any:
    """Read a model from a file written by its ``save``.

    Parameters
    ----------
    path : path

    Returns
    -------
    CPModel, TuckerModel, or another field that was saved
        Fixed, on the CPU, with numbers to the bit and the file's `metadata`.

    Raises
    ------
    FileNotFoundError, OSError
        When the file cannot be read.
    ValueError
        When it is truncated, malformed, of another format or version, or does not fit together. Nothing in it is
        executed.

    Examples
    --------
    >>> import os, tempfile, torch
    >>> import inntd as it
    >>> x = it.Axis("x", 0, 1, elements=8)
    >>> u = it.CPModel.from_factors([x], [x.nodes[:, None] ** 2])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "u.inntd")
    ...     u.save(path, metadata={"error_estimate": 1e-9})
    ...     v = it.load(path)
    >>> torch.equal(v.factors[0], u.factors[0]), v.metadata
    (True, {'error_estimate': 1e-09})
    """
    path = Path(path)
    try:
        _check_size(path)
        header, tensors = _read(path)
        return restored(header, tensors)
    except (Malformed, ValueError, TypeError, KeyError, RecursionError, OverflowError) as error:
        reason = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
        raise ValueError(f"{path} is no readable model of inntd: {reason}") from None


def _check_size(path: Path) -> None:
    """Look at the header's length before anything reads it."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
    length = int.from_bytes(start, "little")
    if len(start) < 8 or length > size - 8:
        raise Malformed(f"it is truncated, or no safetensors file ({size} bytes)")
    if length > LARGEST_HEADER + 4096 * MOST_AXES:
        raise Malformed(f"its header is too large ({length} bytes)")


def _read(path: Path) -> tuple[dict[str, Any], Tensors]:
    try:
        with safetensors.safe_open(str(path), framework="pt") as file:
            text = (file.metadata() or {}).get(FORMAT)
            if text is None:
                raise Malformed("it is a safetensors file of something else")
            if len(text) > LARGEST_HEADER:
                raise Malformed(f"its header is too large ({len(text)} characters)")
            header = _checked_header(text)
            return header, {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
    except safetensors.SafetensorError as error:
        raise Malformed(str(error)) from None


def _checked_header(text: str) -> dict[str, Any]:
    header = json.loads(text)
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise Malformed("its header is not that of a model")
    version = header.get("version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise Malformed(f"its version is {short(version)}")
    if version > VERSION:
        raise Malformed(
            f"it has version {version} of the format, inntd {__version__} reads up to {VERSION}: use a newer inntd"
        )
    if header.get("kind") not in _KINDS:
        raise Malformed(f"its kind is {short(header.get('kind'))}, known are {', '.join(_KINDS)}")
    if not isinstance(header.get("model"), dict) or not isinstance(header.get("metadata"), dict):
        raise Malformed("its header lacks the model or the metadata")
    return header


def restored(header: dict[str, Any], tensors: Tensors) -> Any:
    """Return the model that a checked header describes."""
    model = _KINDS[header["kind"]].restored(header["model"], tensors)
    model.metadata = header["metadata"]
    return model
