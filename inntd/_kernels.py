"""The only importer of the compiled core: picks the backend and passes the number of threads."""

from __future__ import annotations

import importlib

import torch

from inntd import _core

__all__ = ["core", "cuda", "threads"]

core = _core


def threads() -> int:
    """Return the number of threads to use now: torch's own setting."""
    return int(torch.get_num_threads())


def cuda() -> tuple[bool, str]:
    """Return whether models can be evaluated on a CUDA device, and the reason in words."""
    try:
        importlib.import_module("inntd._cuda")
    except ImportError:
        return False, "this build has no module inntd._cuda (CPU kernels only)"
    if not torch.cuda.is_available():
        built = torch.version.cuda
        return False, "torch sees no CUDA device" if built else "this torch is built without CUDA"
    return True, torch.cuda.get_device_name()
