"""What users give to make an axis, mesh aside: its name and its basis."""

from __future__ import annotations

import re
from typing import Any

from inntd.axes.basis import Basis, CHiDeNNBasis, LinearBasis
from inntd.axes.mesh import Mesh

DEFAULT_S = 3


def check_name(name: object) -> str:
    """Return an axis' name: an identifier, or a member of a family such as "x[3]"."""
    if not isinstance(name, str):
        raise TypeError(f"an axis' name must be a string, got {name!r}")
    stem = re.sub(r"\[\d+\]\Z", "", name)
    if not stem.isidentifier():
        raise ValueError(f"an axis' name must be an identifier such as 'x', or one of a family 'x[3]', got {name!r}")
    return name


def check_string(label: str, value: object) -> str:
    """Return a string."""
    if not isinstance(value, str):
        raise TypeError(f"{label} must be a string, got {value!r}")
    return value


def choose_basis(label: str, mesh: Mesh, basis: Basis | None, s: Any, p: Any, a: Any) -> Basis:
    """Return the basis that a user gave, or meant by the shorthands, or the default one."""
    shorthand = {name: value for name, value in (("s", s), ("p", p), ("a", a)) if value is not None}
    if basis is not None:
        if shorthand:
            raise ValueError(f"{label}: give basis or {', '.join(shorthand)}, not both")
        if not isinstance(basis, LinearBasis | CHiDeNNBasis):
            raise TypeError(f"{label}: basis must be a LinearBasis or a CHiDeNNBasis, got {basis!r}")
        return basis
    if shorthand:
        try:
            return CHiDeNNBasis(**shorthand)
        except (ValueError, TypeError) as error:
            raise type(error)(f"{label}: {error}") from None
    largest = min(DEFAULT_S, (mesh.longest_segment() - 1) // 2)
    return CHiDeNNBasis(s=largest) if largest > 0 else LinearBasis()
