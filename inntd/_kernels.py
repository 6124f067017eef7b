"""The only importer of the compiled core: picks the backend and passes the number of threads."""

from __future__ import annotations

import torch

from inntd import _core

__all__ = ["core", "threads"]

core = _core


def threads() -> int:
    """Return the number of threads to use now: torch's own setting."""
    return int(torch.get_num_threads())
