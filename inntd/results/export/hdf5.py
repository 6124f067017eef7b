"""Fields as HDF5 files: values on a grid with their coordinates, and the model's own numbers."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from inntd._version import __version__
from inntd.models.reduced import ReducedModel
from inntd.models.slabs import SlabModel
from inntd.results.export.optional import require
from inntd.results.export.portable import portable
from inntd.results.export.sampled import sampled


def contents(model: Any, path: Path, *, name: str = "u", points: Any = None) -> dict[Path, bytes]:
    """Return the file by its name.

    ``/u`` are the values; each dimension has a scale, ``/axes/x``, with the attribute ``units``. ``/model`` holds the
    arrays of `inntd.results.export.portable` where the model is a sum of products.
    """
    h5py = require("h5py", "hdf5", "hdf5")
    if not name or "/" in name or name in (".", "axes", "model"):
        raise ValueError(f"name must be a word other than 'axes' and 'model', without '/', got {name!r}")
    grid, content = sampled(model, points), io.BytesIO()
    with h5py.File(content, "w") as file:
        file.attrs["source"] = f"inntd {__version__}"
        values = file.create_dataset(name, data=grid.values)
        for d, (axis, vector) in enumerate(zip(grid.axes, grid.vectors, strict=True)):
            scale = file.create_dataset(f"axes/{axis.name}", data=vector)
            scale.attrs["units"], scale.attrs["kind"] = axis.unit, axis.kind
            scale.make_scale(axis.name)
            values.dims[d].label = axis.name
            values.dims[d].attach_scale(scale)
        if not isinstance(model, ReducedModel | SlabModel):
            given = portable(model, "hdf5")
            file.create_group("model").attrs["exponential"] = given.exponential
            for key, numbers in given.arrays().items():
                file.create_dataset(f"model/{key}", data=numbers)
    return {path: content.getvalue()}
