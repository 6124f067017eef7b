"""Names of columns in messages, and the columns that a file lacks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any


def listed(names: Sequence[Any], most: int = 12) -> str:
    """Return names as they stand in a message.

    Examples
    --------
    >>> listed(["a", "b", "c"], 2)
    "'a', 'b' and 1 more"
    """
    shown = ", ".join(repr(name) for name in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")


def missing_columns(path: Path, wanted: Sequence[str], there: Sequence[str]) -> None:
    """Raise for the columns that a file lacks."""
    missing = [name for name in wanted if name not in there]
    if missing:
        plural = "s" if len(missing) > 1 else ""
        raise ValueError(f"{path} lacks the column{plural} {listed(missing)}; it has {listed(there)}")
