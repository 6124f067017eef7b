"""Where a model comes from, as its metadata tell it, in rows for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

TOLD = ("solver", "status", "message", "error_estimate", "error", "rounding_error", "separation_error", "seconds")


def provenance(metadata: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return names and words for what is known of a model's origin, in the order of a report.

    Examples
    --------
    >>> provenance({"error_estimate": {"algebraic": 1e-9, "discretisation": None}, "status": "converged"})
    [('status', 'converged'), ('error estimate', 'algebraic 1e-09')]
    """
    known = [(name.replace("_", " "), _worded(metadata.get(name))) for name in TOLD]
    return [(name, words) for name, words in known if words]


def _worded(value: Any) -> str:
    """Return a number, a text, or named ones, in words; nothing for what is not known."""
    if value is None:
        return ""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_worded(part)}" for name, part in value.items() if part is not None)
    return f"{value:.3g}" if isinstance(value, float) else str(value)
