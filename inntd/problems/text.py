"""How expressions are shown in messages."""

from __future__ import annotations

from typing import Any

import sympy


def shorten(value: Any, length: int = 200) -> str:
    """Return the text of an expression, cut in the middle when it is long.

    Examples
    --------
    >>> shorten("abcdefghijklmnopqrstuvwxyz", 10)
    'abcde … xyz'
    """
    if isinstance(value, (sympy.Add, sympy.Mul)) and len(value.args) > length:  # printing all of it would take long
        text = f"{value.func(*value.args[: length // 4])} … ({len(value.args)} parts)"
    else:
        text = str(value)
    return text if len(text) <= length else f"{text[: length // 2]} … {text[-length // 4 :]}"
