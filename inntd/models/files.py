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
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import safetensors
import safetensors.torch
import torch

from inntd._version import __version__
from inntd.axes import Axis
from inntd.models.atomic import write_atomically
from inntd.models.factors import DTYPES

if TYPE_CHECKING:
    from inntd.models.exponential import ExponentialModel
    from inntd.models.reduced import ReducedModel
    from inntd.models.separated import SeparatedModel
    from inntd.models.slabs import SlabModel

FORMAT, VERSION = "inntd", 1
LARGEST_HEADER = 16 * 2**20
LARGEST_DEPTH = 32
LONG = 64  # numbers in a list from which on it becomes a tensor
MOST_AXES = 10_000
MOST_SLABS = 10_000


def save(
    model: SeparatedModel | ExponentialModel | ReducedModel | SlabModel,
    path: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    metadata: Mapping[str, Any] | None = None,
) -> None:
    """Write a model to a file; see the `save` of models."""
    fields, tensors = _contents(model)
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


def _contents(
    model: SeparatedModel | ExponentialModel | ReducedModel | SlabModel,
) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Return what JSON carries of a model, and its tensors."""
    if model.file_kind == "reduced":
        from inntd.models.reduced_files import contents

        fields, found = contents(model)  # type: ignore[arg-type]
        tensors = _stored(found)
        return {
            key: [_packed(entry, f"{key}.{d}", tensors) for d, entry in enumerate(value)]
            if key.endswith("axes")
            else value
            for key, value in fields.items()
        }, tensors
    tensors = _stored(model.state_dict())
    return _described(model, tensors), tensors  # type: ignore[arg-type]


def _stored(numbers: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().cpu().contiguous() for name, tensor in numbers.items()}


def _described(model: SeparatedModel | ExponentialModel | SlabModel, tensors: dict[str, torch.Tensor]) -> Any:
    """Return what a model needs besides tensors, to which its long lists are added."""
    from inntd.models.slabs import SlabModel

    if not isinstance(model, SlabModel):
        return {"axes": [_packed(axis.to_dict(), f"axes.{d}", tensors) for d, axis in enumerate(model.axes)]}
    slabs = []
    for k, part in enumerate(model._models):
        own: dict[str, torch.Tensor] = {}
        slabs.append({"kind": part.file_kind, "model": _described(part, own), "metadata": part.metadata})
        tensors |= {f"slabs.{k}.{name}": numbers for name, numbers in own.items()}
    return {"axis": _packed(model.axis.to_dict(), "axis", tensors), "slabs": slabs}


def load(path: str | os.PathLike[str]) -> SeparatedModel:
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
    >>> import inntd as it, os, tempfile
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
        return _model(header, tensors)
    except (_Malformed, ValueError, TypeError, KeyError, RecursionError, OverflowError) as error:
        reason = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
        raise ValueError(f"{path} is no readable model of inntd: {reason}") from None


class _Malformed(Exception):
    """A file that is not what it should be, in words that follow 'it is no readable model:'."""


def _check_size(path: Path) -> None:
    """Look at the header's length before anything reads it."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
    length = int.from_bytes(start, "little")
    if len(start) < 8 or length > size - 8:
        raise _Malformed(f"it is truncated, or no safetensors file ({size} bytes)")
    if length > LARGEST_HEADER + 4096 * MOST_AXES:
        raise _Malformed(f"its header is too large ({length} bytes)")


def _read(path: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    try:
        with safetensors.safe_open(str(path), framework="pt") as file:
            text = (file.metadata() or {}).get(FORMAT)
            if text is None:
                raise _Malformed("it is a safetensors file of something else")
            if len(text) > LARGEST_HEADER:
                raise _Malformed(f"its header is too large ({len(text)} characters)")
            header = _checked_header(text)
            return header, {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
    except safetensors.SafetensorError as error:
        raise _Malformed(str(error)) from None


def _checked_header(text: str) -> dict[str, Any]:
    header = json.loads(text)
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise _Malformed("its header is not that of a model")
    version = header.get("version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise _Malformed(f"its version is {_short(version)}")
    if version > VERSION:
        raise _Malformed(
            f"it has version {version} of the format, inntd {__version__} reads up to {VERSION}: use a newer inntd"
        )
    if header.get("kind") not in _KINDS:
        raise _Malformed(f"its kind is {_short(header.get('kind'))}, known are {', '.join(_KINDS)}")
    if not isinstance(header.get("model"), dict) or not isinstance(header.get("metadata"), dict):
        raise _Malformed("its header lacks the model or the metadata")
    return header


def _model(header: dict[str, Any], tensors: dict[str, torch.Tensor]) -> SeparatedModel:
    model = _KINDS[header["kind"]](header["model"], tensors)
    model.metadata = header["metadata"]
    return model


def _cp_model(fields: dict[str, Any], tensors: dict[str, torch.Tensor]) -> SeparatedModel:
    from inntd.models.cp import CPModel

    axes, factors = _axes_and_factors(fields, tensors)
    _check_dtypes(factors)
    return CPModel.from_factors(axes, factors)


def _tucker_model(fields: dict[str, Any], tensors: dict[str, torch.Tensor]) -> SeparatedModel:
    from inntd.models.tucker import TuckerModel

    core = tensors.get("core")
    if core is None:
        raise _Malformed("its core is missing")
    axes, factors = _axes_and_factors(fields, tensors)
    _check_dtypes([core, *factors])
    return TuckerModel.from_factors(axes, core, factors)


def _exponential_model(fields: dict[str, Any], tensors: dict[str, torch.Tensor]) -> Any:
    from inntd.models.exponential import ExponentialModel

    own = {name.removeprefix("exponent."): tensor for name, tensor in tensors.items()}
    return ExponentialModel(_cp_model(fields, own))  # type: ignore[arg-type]


def _reduced_model(fields: dict[str, Any], tensors: dict[str, torch.Tensor]) -> Any:
    from inntd.models.reduced_files import restored

    described, finer, places = fields["axes"], fields["function_axes"], fields["parameters"]
    for entries in (described, finer, places):
        if not isinstance(entries, list) or not 0 < len(entries) <= MOST_AXES:
            raise _Malformed("its axes are no list")
    if not all(isinstance(d, int) for d in places) or len(set(places)) != len(places) or len(finer) != len(places):
        raise _Malformed("its parameters are none of its axes")
    merged = [d for d in range(len(described)) if d not in places]
    sizes = {d: f"columns.{i}" for i, d in enumerate(places)} | {d: f"factors.{i}" for i, d in enumerate(merged)}
    axes = [_axis(_unpacked(entry, tensors), tensors[sizes[d]]) for d, entry in enumerate(described)]
    own = [_axis(_unpacked(entry, tensors), tensors[f"columns.{i}"]) for i, entry in enumerate(finer)]
    return restored(axes, [axes[d] for d in places], own, fields["projection"], tensors)


def _slab_model(fields: dict[str, Any], tensors: dict[str, torch.Tensor]) -> Any:
    from inntd.models.slabs import SlabModel

    described = fields["slabs"]
    if not isinstance(described, list) or not 0 < len(described) <= MOST_SLABS:
        raise _Malformed("its slabs are no list")
    own: list[dict[str, torch.Tensor]] = [{} for _ in described]
    for name, tensor in tensors.items():
        word, _, rest = name.partition(".")
        number, _, rest = rest.partition(".")
        if word == "slabs" and number.isdecimal() and int(number) < len(own):
            own[int(number)][rest] = tensor
    return SlabModel(
        [_slab(part, mine) for part, mine in zip(described, own, strict=True)],
        Axis.from_dict(_limited(_unpacked(fields["axis"], tensors), sum(map(_largest, own)))),
    )


def _slab(fields: Any, tensors: dict[str, torch.Tensor]) -> SeparatedModel:
    if not isinstance(fields, dict) or fields.get("kind") not in ("cp", "tucker"):
        raise _Malformed(f"one of its slabs is {_short(fields)}")
    if not isinstance(fields.get("model"), dict) or not isinstance(fields.get("metadata"), dict):
        raise _Malformed("one of its slabs lacks the model or the metadata")
    return _model(fields, tensors)


def _largest(tensors: Mapping[str, torch.Tensor]) -> int:
    return max((tensor.shape[0] for tensor in tensors.values() if tensor.ndim == 2), default=0)


def _axes_and_factors(
    fields: dict[str, Any], tensors: dict[str, torch.Tensor]
) -> tuple[list[Axis], list[torch.Tensor]]:
    described = fields["axes"]
    if not isinstance(described, list) or not 0 < len(described) <= MOST_AXES:
        raise _Malformed("its axes are no list")
    factors = [_factor(d, tensors) for d in range(len(described))]
    axes = [_axis(_unpacked(entry, tensors), factor) for entry, factor in zip(described, factors, strict=True)]
    return axes, factors


def _check_dtypes(numbers: Sequence[torch.Tensor]) -> None:
    found = {tensor.dtype for tensor in numbers}
    if len(found) > 1 or not found <= set(DTYPES):
        raise _Malformed(f"its factors have dtypes {', '.join(sorted(map(str, found)))}")


def _factor(d: int, tensors: dict[str, torch.Tensor]) -> torch.Tensor:
    factor = tensors.get(f"factors.{d}")
    if factor is None or factor.ndim != 2:
        raise _Malformed(f"factor {d} is missing, or no matrix")
    return factor


def _axis(fields: Any, factor: torch.Tensor) -> Axis:
    """Return an axis of the factor's size."""
    return Axis.from_dict(_limited(fields, factor.shape[0]))


def _limited(fields: Any, size: int) -> Any:
    """Return the fields of an axis of at most so many functions; no larger mesh is even made."""
    if isinstance(fields, dict):
        for name, extra in (("elements", 0), ("size", 0), ("nodes", 1)):
            value = fields.get(name, 0)
            count = len(value) if isinstance(value, list) else value
            if isinstance(count, int) and count > size + extra:
                raise _Malformed(f"an axis has {name} for {count} functions, its factor has {size}")
    return fields


_KINDS: dict[str, Callable[[dict[str, Any], dict[str, torch.Tensor]], SeparatedModel]] = {
    "cp": _cp_model,
    "tucker": _tucker_model,
    "exponential": _exponential_model,
    "reduced": _reduced_model,
    "slabs": _slab_model,
}


def _packed(value: Any, name: str, tensors: dict[str, torch.Tensor]) -> Any:
    """Return JSON-able fields with long lists of numbers moved into tensors."""
    if isinstance(value, dict):
        return {key: _packed(entry, f"{name}.{key}", tensors) for key, entry in value.items()}
    if not isinstance(value, list | tuple) or len(value) < LONG:
        return value
    kind = np.int64 if all(isinstance(entry, int) for entry in value) else np.float64
    tensors[name] = torch.from_numpy(np.array(value, dtype=kind))
    return {"tensor": name}


def _unpacked(value: Any, tensors: dict[str, torch.Tensor], depth: int = 0) -> Any:
    """Undo `_packed`."""
    if depth > LARGEST_DEPTH:
        raise _Malformed("its header is nested too deeply")
    if not isinstance(value, dict):
        return value
    if set(value) != {"tensor"}:
        return {key: _unpacked(entry, tensors, depth + 1) for key, entry in value.items()}
    tensor = tensors.get(value["tensor"]) if isinstance(value["tensor"], str) else None
    if tensor is None or tensor.ndim != 1 or tensor.dtype not in (torch.float64, torch.int64):
        raise _Malformed(f"its tensor {_short(value['tensor'])} is missing, or no vector of numbers")
    return tensor.tolist()


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
