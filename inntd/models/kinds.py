"""Separated models, exponentials of them and time slabs as fields and tensors for files, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from inntd.axes import Axis
from inntd.models.cp import CPModel
from inntd.models.exponential import ExponentialModel
from inntd.models.files import Kind, register, restored
from inntd.models.packing import (
    Malformed,
    Tensors,
    axes_and_factors,
    check_dtypes,
    limited,
    packed,
    short,
    stored,
    unpacked,
)
from inntd.models.slabs import SlabModel
from inntd.models.tucker import TuckerModel

MOST_SLABS = 10_000


def _described(model: Any) -> tuple[dict[str, Any], Tensors]:
    tensors = stored(model.state_dict())
    return {"axes": [packed(axis.to_dict(), f"axes.{d}", tensors) for d, axis in enumerate(model.axes)]}, tensors


def _described_slabs(model: SlabModel) -> tuple[dict[str, Any], Tensors]:
    tensors: Tensors = {}
    slabs = []
    for k, part in enumerate(model.slabs):
        fields, own = _described(part)
        slabs.append({"kind": part.file_kind, "model": fields, "metadata": part.metadata})
        tensors |= {f"slabs.{k}.{name}": numbers for name, numbers in own.items()}
    return {"axis": packed(model.axis.to_dict(), "axis", tensors), "slabs": slabs}, tensors


def _cp_model(fields: dict[str, Any], tensors: Tensors) -> CPModel:
    axes, factors = axes_and_factors(fields, tensors)
    check_dtypes(factors)
    return CPModel.from_factors(axes, factors)


def _tucker_model(fields: dict[str, Any], tensors: Tensors) -> TuckerModel:
    core = tensors.get("core")
    if core is None:
        raise Malformed("its core is missing")
    axes, factors = axes_and_factors(fields, tensors)
    check_dtypes([core, *factors])
    return TuckerModel.from_factors(axes, core, factors)


def _exponential_model(fields: dict[str, Any], tensors: Tensors) -> ExponentialModel:
    own = {name.removeprefix("exponent."): tensor for name, tensor in tensors.items()}
    return ExponentialModel(_cp_model(fields, own))


def _slab_model(fields: dict[str, Any], tensors: Tensors) -> SlabModel:
    described = fields["slabs"]
    if not isinstance(described, list) or not 0 < len(described) <= MOST_SLABS:
        raise Malformed("its slabs are no list")
    own: list[Tensors] = [{} for _ in described]
    for name, tensor in tensors.items():
        word, _, rest = name.partition(".")
        number, _, rest = rest.partition(".")
        if word == "slabs" and number.isdecimal() and int(number) < len(own):
            own[int(number)][rest] = tensor
    return SlabModel(
        [_slab(part, mine) for part, mine in zip(described, own, strict=True)],
        Axis.from_dict(limited(unpacked(fields["axis"], tensors), sum(map(_largest, own)))),
    )


def _slab(fields: Any, tensors: Tensors) -> CPModel | TuckerModel:
    if not isinstance(fields, dict) or fields.get("kind") not in ("cp", "tucker"):
        raise Malformed(f"one of its slabs is {short(fields)}")
    if not isinstance(fields.get("model"), dict) or not isinstance(fields.get("metadata"), dict):
        raise Malformed("one of its slabs lacks the model or the metadata")
    model: CPModel | TuckerModel = restored(fields, tensors)
    return model


def _largest(tensors: Mapping[str, torch.Tensor]) -> int:
    return max((tensor.shape[0] for tensor in tensors.values() if tensor.ndim == 2), default=0)


register(CPModel.file_kind, Kind(_described, _cp_model))
register(TuckerModel.file_kind, Kind(_described, _tucker_model))
register(ExponentialModel.file_kind, Kind(_described, _exponential_model))
register(SlabModel.file_kind, Kind(_described_slabs, _slab_model))
