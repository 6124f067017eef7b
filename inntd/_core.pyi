"""The compiled core (csrc/python). Arguments are checked by the callers in this package, once, at the public boundary.

Tensors are C-contiguous NumPy arrays or torch tensors on the CPU, borrowed for the call; outputs are written in place.
Functions of real tensors take float64 or float32, the same in all arguments.
"""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy.typing as npt
import torch

Tensor: TypeAlias = npt.NDArray[Any] | torch.Tensor

__version__: str

def available_isas() -> list[str]: ...
def isa() -> str: ...
def select_isa(name: str) -> None: ...

class BasisTable:
    def __init__(
        self,
        breaks: Tensor,
        kind: Tensor,
        first: Tensor,
        coefficients: Tensor,
        size: int,
        uniform: bool,
        periodic: bool,
    ) -> None: ...
    @property
    def size(self) -> int: ...
    @property
    def width(self) -> int: ...
    @property
    def degree(self) -> int: ...

def tabulate(table: BasisTable, points: Tensor, piece: Tensor, out: Tensor, order: int = 0) -> None: ...
def cp_values(
    tables: Sequence[BasisTable], factors: Sequence[Tensor], points: Tensor, out: Tensor, threads: int = 1
) -> None: ...
def cp_jet(
    tables: Sequence[BasisTable],
    factors: Sequence[Tensor],
    points: Tensor,
    values: Tensor,
    gradient: Tensor,
    second: Tensor,
    threads: int = 1,
) -> None: ...
