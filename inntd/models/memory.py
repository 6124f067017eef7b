"""Refusing what does not fit into memory, before it is tried."""

from __future__ import annotations

import os
from pathlib import Path

USABLE = 0.9  # the rest is left to the system


def available_bytes() -> int:
    """Return the memory that can be taken now without swapping, as the system states it."""
    limits = [_system_bytes()]
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        used = path.replace("memory.max", "memory.current").replace("limit_in_bytes", "usage_in_bytes")
        try:
            limits.append(int(Path(path).read_text()) - int(Path(used).read_text()))
        except (OSError, ValueError):  # no such control group, or "max"
            continue
    return max(0, min(limits))


def _system_bytes() -> int:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):  # a system that does not tell: nothing is refused
        return 1 << 62


def refuse_beyond(what: str, needed: int, limit_gb: float | None, remedy: str) -> None:
    """Raise MemoryError when `needed` bytes exceed the limit, which is most of the available memory by default."""
    limit = USABLE * available_bytes() if limit_gb is None else limit_gb * 1e9
    if needed > limit:
        kind = "available memory" if limit_gb is None else "the given limit"
        raise MemoryError(f"{what} needs {needed / 1e9:.3g} GB, {kind} allows {limit / 1e9:.3g} GB: {remedy}")
