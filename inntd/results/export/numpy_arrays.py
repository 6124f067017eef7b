"""Models as NumPy files, and the twenty lines that evaluate them without this library."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np

from inntd.results.export.portable import portable

EVALUATOR = '''\
import numpy as np


def evaluate(path, points):
    """Return the values (K,) of an exported model at points (K, D) inside its axes."""
    data, value = np.load(path), None
    for d, x in enumerate(np.asarray(points, dtype=float).T):
        breaks, kind, first = data[f"breaks_{d}"], data[f"kind_{d}"], data[f"first_{d}"]
        coefficients, factor = data[f"coefficients_{d}"], data[f"factor_{d}"]
        piece = np.clip(np.searchsorted(breaks, x, side="right") - 1, 0, len(kind) - 1)
        a, b = breaks[piece], breaks[piece + 1]
        powers = ((2 * x - a - b) / (b - a))[:, None] ** np.arange(coefficients.shape[1])
        basis = np.einsum("kq,kqw->kw", powers, coefficients[kind[piece]])
        row = np.einsum("kw,kwr->kr", basis, factor[first[piece][:, None] + np.arange(basis.shape[1])])
        if "core" not in data:
            value = row if d == 0 else value * row
        elif d == 0:
            value = row @ data["core"].reshape(row.shape[1], -1)
        else:
            value = np.einsum("kr,krs->ks", row, value.reshape(*row.shape, -1))
    value = value.sum(axis=1)
    return np.exp(value) if data["exponential"] else value
'''


def contents(model: Any, path: Path) -> dict[Path, bytes]:
    """Return the file by its name.

    ``names``, ``units`` and ``domains`` describe the axes, ``exponential`` says whether the values are exponentials of
    the sum; see `inntd.results.export.portable` for the other arrays.
    """
    given = portable(model, "npz")
    described: dict[str, Any] = {
        "names": np.array([axis.name for axis in given.axes]),
        "units": np.array([axis.unit for axis in given.axes]),
        "domains": np.array([axis.domain for axis in given.axes]),
        "exponential": np.array(given.exponential),
        **given.arrays(),
    }
    content = io.BytesIO()
    np.savez_compressed(content, **described)
    return {path: content.getvalue()}
