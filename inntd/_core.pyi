"""The compiled core (csrc/python). Arguments are checked by the callers in this package, once, at the public boundary.

Tensors are C-contiguous NumPy arrays or torch tensors on the CPU, borrowed for the call; outputs are written in place.
Functions of real tensors take float64 or float32, the same in all arguments.
"""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
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
    @property
    def uniform(self) -> bool: ...
    @property
    def periodic(self) -> bool: ...
    @property
    def pieces(self) -> int: ...
    @property
    def breaks(self) -> npt.NDArray[np.float64]: ...
    @property
    def kind(self) -> npt.NDArray[np.int32]: ...
    @property
    def first(self) -> npt.NDArray[np.int64]: ...
    @property
    def coefficients(self) -> npt.NDArray[np.float64]: ...

def tabulate(table: BasisTable, points: Tensor, piece: Tensor, out: Tensor, order: int = 0) -> None: ...
def build_stencil(
    nodes: Tensor, s: Tensor, p: Tensor, a: Tensor, kernel: str, shifted: bool, periodic: bool, breaks: Tensor
) -> tuple[BasisTable, float, int, float]: ...
def assemble_matrix(table: BasisTable, trial: int, test: int, band: Tensor) -> None: ...
def add_weighted_matrix(
    table: BasisTable, piece: Tensor, xi: Tensor, weight: Tensor, trial: int, test: int, band: Tensor
) -> None: ...
def add_load(table: BasisTable, piece: Tensor, xi: Tensor, values: Tensor, test: int, out: Tensor) -> None: ...
def gauss_rule(count: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]: ...
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
def tucker_values(
    tables: Sequence[BasisTable],
    core: Tensor,
    factors: Sequence[Tensor],
    points: Tensor,
    out: Tensor,
    threads: int = 1,
) -> None: ...
def tucker_jet(
    tables: Sequence[BasisTable],
    core: Tensor,
    factors: Sequence[Tensor],
    points: Tensor,
    values: Tensor,
    gradient: Tensor,
    second: Tensor,
    threads: int = 1,
) -> None: ...
def tucker_gradients(
    tables: Sequence[BasisTable],
    core: Tensor,
    factors: Sequence[Tensor],
    points: Tensor,
    slopes: Tensor,
    core_gradient: Tensor,
    factor_gradients: Sequence[Tensor],
    point_gradients: Tensor | None,
    threads: int = 1,
) -> None: ...
def banded_cholesky_solve(band: Tensor, x: Tensor) -> None: ...
def banded_lu_solve(band: Tensor, x: Tensor, transpose: bool = False) -> None: ...
def banded_multiply(band: Tensor, x: Tensor, out: Tensor) -> None: ...
def normal_equations(
    functions: Sequence[Tensor],
    place: Sequence[Tensor],
    local: Sequence[Tensor],
    y: Tensor,
    weights: Tensor,
    outputs: Tensor,
    axis: int,
    order: Tensor,
    bounds: Tensor,
    moments: Tensor,
    slopes: Tensor,
    threads: int = 1,
) -> float: ...
def sample_products(
    functions: Sequence[Tensor],
    place: Sequence[Tensor],
    local: Sequence[Tensor],
    y: Tensor,
    weights: Tensor,
    outputs: Tensor,
    begin: int,
    out: Tensor,
    threads: int = 1,
) -> None: ...

class AxisSystem:
    def __init__(
        self,
        matrices: Sequence[Tensor],
        diagonal: bool,
        symmetric: bool,
        metric: int,
        load: Tensor,
        fixed: Tensor | None = None,
        frozen: bool = False,
        mean: tuple[Tensor, Tensor, Tensor] | None = None,
    ) -> None: ...

class SweepReport:
    @property
    def change(self) -> float: ...
    @property
    def norm(self) -> float: ...
    @property
    def repaired(self) -> int: ...
    @property
    def failed(self) -> bool: ...

class Alternating:
    def __init__(
        self,
        axes: Sequence[AxisSystem],
        terms: Tensor,
        coefficients: Tensor,
        load_terms: Tensor,
        load_weights: Tensor,
        proximal: float,
    ) -> None: ...
    @property
    def rank(self) -> int: ...
    @property
    def axes(self) -> int: ...
    @property
    def amplitudes(self) -> npt.NDArray[np.float64]: ...
    def append(self, columns: Sequence[Tensor], classes: Sequence[int] = ()) -> None: ...
    def assign(self, columns: Sequence[Tensor], amplitudes: Tensor) -> None: ...
    def sweep(self, begin: int = 0) -> SweepReport: ...
    def norm(self) -> float: ...
    def factor(self, axis: int) -> npt.NDArray[np.float64]: ...

def cp_gradients(
    tables: Sequence[BasisTable],
    factors: Sequence[Tensor],
    points: Tensor,
    slopes: Tensor,
    gradients: Sequence[Tensor],
    point_gradients: Tensor | None,
    threads: int = 1,
) -> None: ...
def cp_jet_gradients(
    tables: Sequence[BasisTable],
    factors: Sequence[Tensor],
    points: Tensor,
    by_value: Tensor,
    by_gradient: Tensor,
    by_second: Tensor,
    gradients: Sequence[Tensor],
    threads: int = 1,
) -> None: ...

class CpFit64:
    def __init__(self, tables: Sequence[BasisTable], modes: int, outputs: int = 0) -> None: ...
    def put(self, what: str, d: int, factor: Tensor) -> None: ...
    def take(self, what: str, d: int, factor: Tensor) -> None: ...
    def set_functions(self, d: int, matrix: Tensor) -> None: ...
    def set_data(self, points: Tensor, values: Tensor, weights: Tensor | None, chosen: Tensor, block: int) -> None: ...
    def run(
        self,
        order: Tensor,
        blocks_per_step: int,
        rates: Tensor,
        done: int,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
        decay: float = 0.0,
        threads: int = 1,
    ) -> float: ...
    def partial_gradient(self, order: Tensor, batch: int, threads: int = 1) -> float: ...
    def apply(
        self,
        rate: float,
        done: int,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
        decay: float = 0.0,
    ) -> None: ...
    def gradient(self, threads: int = 1) -> float: ...
    @property
    def blocks(self) -> int: ...
    @property
    def block(self) -> int: ...
    @property
    def count(self) -> int: ...

class CpFit32(CpFit64): ...
