"""A cache that is bounded in bytes, and never keeps a second copy of what is alive anyway."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Any, Generic, TypeVar
from weakref import WeakValueDictionary

Value = TypeVar("Value")


class BoundedCache(Generic[Value]):
    """Least-recently-used values up to `max_bytes` in total, and any larger or older value that someone still holds.

    Parameters
    ----------
    max_bytes : int
        Total size of the values kept alive by the cache itself.
    size : callable
        Bytes of one value.

    Examples
    --------
    >>> import numpy as np
    >>> cache = BoundedCache(1000, size=lambda array: array.nbytes)
    >>> first = cache.get("key", lambda: np.zeros(10))
    >>> cache.get("key", lambda: np.ones(10)) is first
    True
    """

    def __init__(self, max_bytes: int, size: Callable[[Value], int]) -> None:
        self._max_bytes, self._size, self._bytes = max_bytes, size, 0
        self._recent: OrderedDict[Hashable, tuple[Value, int]] = OrderedDict()
        self._alive: WeakValueDictionary[Hashable, Any] = WeakValueDictionary()
        self._lock = Lock()

    def get(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """Return the value of `key`, made by `make` when the cache does not have it."""
        known = self.peek(key)
        if known is not None:
            return known
        value = make()
        with self._lock:
            self._keep(key, value)
        return value

    def peek(self, key: Hashable) -> Value | None:
        """Return the value of `key`, or None."""
        with self._lock:
            entry = self._recent.get(key)
            if entry is None:
                return self._alive.get(key)
            self._recent.move_to_end(key)
            return entry[0]

    def _keep(self, key: Hashable, value: Value) -> None:
        size = self._size(value)
        self._alive[key] = value
        if size > self._max_bytes // 4 or key in self._recent:
            return
        self._recent[key] = (value, size)
        self._bytes += size
        while self._bytes > self._max_bytes:
            self._bytes -= self._recent.popitem(last=False)[1][1]

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._recent.clear()
            self._alive.clear()
            self._bytes = 0
