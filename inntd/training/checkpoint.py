"""Checkpoints of a run of Adam: a safetensors file with everything that a resumed run needs to end alike."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import safetensors
import safetensors.torch
import torch

from inntd.models.atomic import write_atomically
from inntd.training.native import NativeModel, What

FORMAT = "inntd-checkpoint"
KEPT = tuple(what for what in get_args(What) if what != "gradient")


def write(
    path: Path, native: NativeModel, best: Sequence[torch.Tensor], told: dict[str, Any], settings: dict[str, Any]
) -> None:
    """Write the core's numbers, the best factors, the run's counters and settings; the file is replaced as a whole."""
    tensors = {f"{what}.{d}": numbers for what in KEPT for d, numbers in enumerate(native.take(what))}
    tensors |= {f"best.{d}": numbers.contiguous() for d, numbers in enumerate(best)}
    header = json.dumps({"run": told, "settings": settings})
    write_atomically(path, safetensors.torch.save(tensors, metadata={FORMAT: header}), overwrite=True)


def read(path: Path, native: NativeModel, settings: dict[str, Any]) -> dict[str, Any]:
    """Put the core's numbers back and return the run's counters and the best factors.

    Raises
    ------
    ValueError
        When the file is no checkpoint, or of a run with other axes or settings; nothing was changed then.
    """
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {})[FORMAT])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        run, written = header["run"], header["settings"]
    except (safetensors.SafetensorError, KeyError, ValueError) as error:
        raise ValueError(f"{path} is no checkpoint of a training: {error}") from None
    for name, value in settings.items():
        if written.get(name) != value:
            raise ValueError(
                f"{path} is the checkpoint of another run: its {name} is {written.get(name)}, now it is {value}; "
                "train with the same settings, or choose another checkpoint_path"
            )
    groups: dict[str, list[torch.Tensor]] = {}
    for what in (*KEPT, "best"):
        found = [tensors.get(f"{what}.{d}") for d in range(len(native.shapes))]
        groups[what] = [t for t, shape in zip(found, native.shapes, strict=True) if t is not None and t.shape == shape]
        if len(groups[what]) < len(found):
            raise ValueError(f"{path} is the checkpoint of another model: its factors have other shapes")
    for what in KEPT:  # the coefficients last: they are what the next step moves
        native.put(groups[what], what)
    return {**run, "best": groups["best"]}
