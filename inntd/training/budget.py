"""How much work a search may do: counted in operations, so that a busy machine finds the same model."""

from __future__ import annotations

import time

RATE = 1.2e10  # operations per second of one core, on small matrices
CALL = 2e-4  # seconds around them


class Budget:
    """Seconds of work, by the count of operations at a usual rate, and at most as many by the clock.

    Parameters
    ----------
    seconds : float

    Examples
    --------
    >>> budget = Budget(1.0)
    >>> budget.charge(0.6 * RATE)
    >>> budget.over(0.5), budget.over()
    (True, False)
    """

    def __init__(self, seconds: float) -> None:
        self.seconds, self.begun, self.spent, self.late = seconds, time.perf_counter(), 0.0, False

    def charge(self, operations: float) -> None:
        """Count operations."""
        self.spent += CALL + operations / RATE

    def over(self, share: float = 1.0) -> bool:
        """Return whether a share of the work has been done, or all of the time is over."""
        self.late = self.late or self.elapsed > self.seconds
        return self.late or self.spent > share * self.seconds

    @property
    def elapsed(self) -> float:
        """Seconds by the clock."""
        return time.perf_counter() - self.begun
