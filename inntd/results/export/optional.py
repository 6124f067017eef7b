"""Libraries that only some formats need."""

from __future__ import annotations

import importlib
from typing import Any


def require(module: str, extra: str, format: str) -> Any:
    """Import a library, or say how to install it.

    Raises
    ------
    ImportError
        When it is missing.

    Examples
    --------
    >>> require("math", "onnx", "onnx").floor(2.5)
    2
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        library = module.partition(".")[0]
        raise ImportError(
            f"format {format!r} needs the library {library}, which cannot be imported ({error}): install it with "
            f"pip install 'inntd[{extra}]' or pip install {library}"
        ) from None
