"""A progress bar on terminals."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Any

from tqdm import tqdm


class Progress:
    """Counts the entries of a training's history and shows the latest error; silent where nobody looks.

    Parameters
    ----------
    verbose : int
        0: never shown; 1: on a terminal; 2: always.
    """

    def __init__(self, verbose: int) -> None:
        shown = verbose > 1 or (verbose == 1 and sys.stderr.isatty())
        self.bar = tqdm(unit="step", desc="fit", disable=not shown, leave=False)

    def __call__(self, entry: dict[str, Any]) -> None:
        """Show an entry of the history."""
        self.bar.update()
        if "loss" in entry:
            self.bar.set_postfix_str(f"loss {entry['loss']:.3g}", refresh=False)

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, place: TracebackType | None
    ) -> None:
        self.bar.close()
