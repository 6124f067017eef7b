"""The only importer of the compiled core: picks the backend and passes the number of threads."""

from __future__ import annotations

import contextlib
import functools
import importlib
from collections.abc import Iterator

import torch
from threadpoolctl import ThreadpoolController

from inntd import _core

__all__ = ["blas_threads", "core", "cuda", "threads"]

core = _core


def threads() -> int:
    """Return the number of threads to use now: torch's own setting."""
    return int(torch.get_num_threads())


@contextlib.contextmanager
def blas_threads(count: int | None = None) -> Iterator[None]:
    """Hold the BLAS of NumPy and SciPy to so many threads meanwhile; None: one.

    The matrices here are small: on a busy machine two threads that wait for each other cost many times what they save.
    The core's own threads are not touched.

    Examples
    --------
    >>> from threadpoolctl import threadpool_info
    >>> with blas_threads():
    ...     max(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas")
    1
    """
    with _pools().limit(limits=count or 1, user_api="blas"):
        yield


@functools.cache
def _pools() -> ThreadpoolController:
    """Return the libraries with threads; looked for once, which takes milliseconds."""
    importlib.import_module("scipy.linalg")  # has a BLAS of its own
    return ThreadpoolController()


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
