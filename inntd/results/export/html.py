"""The explorer: one page that evaluates a model in a browser, without server, network or library."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from inntd import _checks
from inntd._version import __version__
from inntd.axes import Axis
from inntd.models.memory import refuse_beyond
from inntd.results.export.portable import Array, Portable, portable
from inntd.results.provenance import provenance

LARGEST_GB = 0.1  # of a page; larger ones are slow to open
LARGEST_CORE = 2_000_000  # entries that are contracted anew at each move of a slider
SCRIPTS = ("explorer_model.js", "explorer_draw.js", "explorer_page.js")


def contents(
    model: Any,
    path: Path,
    *,
    name: str = "u",
    title: str | None = None,
    along: Sequence[str] | None = None,
    indices: Any = None,
) -> dict[Path, bytes]:
    """Return the page by its name.

    Parameters
    ----------
    model : CPModel, TuckerModel or ExponentialModel
    path : Path
    name : str, default "u"
        Of the values.
    title : str, optional
        Default: the problem's title, or the file's name.
    along : sequence of one or two str, optional
        The axes that are plotted first. Default: those of space, then others.
    indices : mapping of str to float, or to pairs of float, optional
        Sobol' indices by axis, first-order or first-order and total, to draw as bars; or what has both as ``first``
        and ``total``.

    Raises
    ------
    ValueError
        When the model is too large for a page, or an argument is wrong.
    """
    given = portable(model, "html")
    if given.core is not None and given.core.size > LARGEST_CORE:
        raise ValueError(
            f"the core has {given.core.size:,} entries, a page follows its sliders with at most {LARGEST_CORE:,}: "
            "round it first, model.round(tolerance=1e-4), or export model.to_cp(tolerance=1e-4)"
        )
    count = sum(array.size for array in given.arrays().values())
    refuse_beyond("the page", 11 * count, LARGEST_GB, "round the model first, or export it as 'npz'")
    metadata = dict(getattr(model, "metadata", {}))
    shown = title if title is not None else metadata.get("title") or path.stem
    data = {
        "name": name,
        "title": str(shown),
        "version": __version__,
        "axes": [_described(axis, given, d) for d, axis in enumerate(given.axes)],
        "core": None if given.core is None else _packed(given.core),
        "exponential": given.exponential,
        "along": _along(given.axes, along),
        "indices": _shares(given.axes, indices),
        "about": _about(model, metadata),
    }
    return {path: _page(str(shown), data).encode()}


def _page(title: str, data: dict[str, Any]) -> str:
    """Return the template with its parts. Whatever users named stands in JSON, in which no tag can begin."""
    text = json.dumps(data, allow_nan=False, ensure_ascii=True)
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    parts = {
        "TITLE": html.escape(title),
        "STYLE": _resource("explorer.css"),
        "SCRIPT": "\n".join(_resource(name) for name in SCRIPTS),
        "DATA": text,
    }
    page = _resource("explorer.html")
    pieces = []
    for token in (
        "TITLE",
        "STYLE",
        "DATA",
        "SCRIPT",
    ):  # in the order of the template: what was put in is not read again
        before, page = page.split(f"@{token}@", 1)
        pieces += [before, parts[token]]
    return "".join([*pieces, page])


def _resource(name: str) -> str:
    return resources.files("inntd.results.export").joinpath(name).read_text(encoding="utf-8")


def _described(axis: Axis, given: Portable, d: int) -> dict[str, Any]:
    table = axis.table
    return {
        "name": axis.name,
        "unit": axis.unit,
        "kind": axis.kind,
        "domain": list(axis.domain),
        "discrete": axis.discrete,
        "size": axis.size,
        "width": table.width,
        "degree": table.degree,
        "rank": given.ranks[d],
        "breaks": _packed(np.asarray(table.breaks)),
        "pieces": [[int(v) for v in table.kind], [int(v) for v in table.first]],
        "coefficients": _packed(np.asarray(table.coefficients)),
        "factor": _packed(given.factors[d]),
    }


def _packed(numbers: Array) -> str:
    """Return float64 numbers, little-endian, in base 64."""
    return base64.b64encode(np.ascontiguousarray(numbers, dtype="<f8").tobytes()).decode()


def _along(axes: tuple[Axis, ...], asked: Sequence[str] | None) -> list[int]:
    names = [axis.name for axis in axes]
    if asked is None:
        order = sorted(
            range(len(axes)), key=lambda d: (axes[d].discrete, axes[d].kind != "space", axes[d].kind == "time")
        )
        return order[:2]
    if not 1 <= len(set(asked)) == len(asked) <= 2 or any(name not in names for name in asked):
        raise ValueError(f"along must name one or two of {', '.join(names)}, got {list(asked)}")
    return [names.index(name) for name in asked]


def _shares(axes: tuple[Axis, ...], indices: Any) -> list[dict[str, Any]]:
    if hasattr(indices, "first") and hasattr(indices, "total"):
        indices = {name: (share, indices.total[name]) for name, share in indices.first.items()}
    names = [axis.name for axis in axes]
    found = []
    for name, value in (indices or {}).items():
        if name not in names:
            raise ValueError(f"indices must name axes among {', '.join(names)}, got {name!r}")
        pair = value if isinstance(value, Sequence) else (value,)
        numbers = [_checks.finite_float(f"indices of {name}", part) for part in pair]
        if not 1 <= len(numbers) <= 2:
            raise ValueError(f"indices of {name} must be one number or two, got {len(numbers)}")
        found.append({"name": name, "first": numbers[0], "total": numbers[-1] if len(numbers) == 2 else None})
    return found


def _about(model: Any, metadata: Mapping[str, Any]) -> str:
    """Return what the page tells of the model's origin."""
    lines = [f"{type(model).__name__}, {'rank' if isinstance(model.rank, int) else 'ranks'} {model.rank}"]
    lines += [f"{name}: {words}" for name, words in provenance(metadata)]
    return "\n".join([*lines, "", str(metadata["problem"])] if "problem" in metadata else lines)
