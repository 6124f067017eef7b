"""Models as ONNX graphs of gathers and matrix products, opset 17."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np

from inntd import _checks
from inntd._version import __version__
from inntd.axes import Axis
from inntd.models.memory import refuse_beyond
from inntd.models.sampling import sobol_points
from inntd.results.export.optional import require
from inntd.results.export.portable import Array, Portable, portable

OPSET, IR_VERSION = 17, 8
CARRIED = 1e-5  # of max|u|: what float32 may lose before a model is refused
CHECKS = 1024  # points at which that is measured
LARGEST_GB = 1.9  # of a protobuf message

DTYPES: tuple[Literal["float32", "float64"], ...] = ("float32", "float64")


def contents(model: Any, path: Path, *, dtype: str = "float32") -> dict[Path, bytes]:
    """Return the file by its name: a graph from ``points`` (K, D) to ``values`` (K,).

    Coordinates outside of the axes are moved to the nearest end, as ``extrapolate="clamp"`` does.

    Parameters
    ----------
    model : CPModel, TuckerModel or ExponentialModel
    path : Path
    dtype : {"float32", "float64"}, default "float32"
        Of points, values and all numbers within.

    Raises
    ------
    ValueError
        When float32 would lose more than 1e-5 of the largest value, measured at points of the model: meshes finer than
        float32 resolves, or modes that cancel.
    """
    kind = np.dtype(_checks.one_of("dtype", dtype, DTYPES))
    given = portable(model, "onnx")
    given = given if given.core is not None else Portable(given.axes, _balanced(given.factors), None, given.exponential)
    count = sum(array.size for array in given.arrays().values())
    refuse_beyond("the ONNX file", kind.itemsize * count, LARGEST_GB, "round the model, or export it as 'npz'")
    graph = _Graph(require("onnx", "onnx", "onnx"), kind)
    _values(graph, given)
    if kind == np.float32:
        _check_carried(model, given)
    return {path: graph.serialised(given)}


class _Graph:
    """Operators in a row, each with one output of its own name."""

    def __init__(self, onnx: Any, kind: np.dtype[Any]) -> None:
        self.onnx, self.kind = onnx, kind
        self.nodes: list[Any] = []
        self.constants: dict[str, Any] = {}

    def constant(self, name: str, values: Any) -> str:
        """Return the name of a constant: floats have the graph's type, integers 64 bits."""
        array = np.asarray(values)
        array = array.astype(self.kind if array.dtype.kind == "f" else np.int64, order="C")
        self.constants.setdefault(name, self.onnx.numpy_helper.from_array(array, name))
        return name

    def __call__(self, operator: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        output = output or f"{operator}_{len(self.nodes)}"
        self.nodes.append(self.onnx.helper.make_node(operator, list(inputs), [output], **attributes))
        return output

    def serialised(self, given: Portable) -> bytes:
        """Return the checked model as bytes."""
        helper, proto = self.onnx.helper, self.onnx.TensorProto
        kind = proto.FLOAT if self.kind == np.float32 else proto.DOUBLE
        points = helper.make_tensor_value_info("points", kind, ["K", len(given.axes)])
        values = helper.make_tensor_value_info("values", kind, ["K"])
        points.doc_string = "; ".join(f"{axis.name} [{axis.unit}]" if axis.unit else axis.name for axis in given.axes)
        graph = helper.make_graph(self.nodes, "inntd", [points], [values], list(self.constants.values()))
        opset = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(graph, opset_imports=opset, producer_name="inntd", producer_version=__version__)
        model.ir_version = IR_VERSION
        self.onnx.checker.check_model(model, full_check=True)
        content: bytes = model.SerializeToString()
        return content


def _values(graph: _Graph, given: Portable) -> None:
    value = ""
    for d, (axis, factor) in enumerate(zip(given.axes, given.factors, strict=True)):
        row = _row(graph, d, axis, factor)
        if given.core is None:
            value = graph("Mul", value, row) if value else row
        elif not value:  # (K, r_0) times the core (r_0, the rest)
            value = graph("MatMul", row, graph.constant("core", given.core.reshape(factor.shape[1], -1)))
        else:  # (K, 1, r_d) times what is left (K, r_d, the rest)
            shape = graph.constant(f"shape_{d}", [-1, factor.shape[1], _rest(given, d)])
            left = graph("Reshape", value, shape)
            product = graph("MatMul", graph("Unsqueeze", row, graph.constant("one", [1])), left)
            value = graph("Squeeze", product, graph.constant("one", [1]))
    last = graph("ReduceSum", value, graph.constant("one", [1]), keepdims=0)
    graph("Exp" if given.exponential else "Identity", last, output="values")


def _rest(given: Portable, d: int) -> int:
    return int(np.prod(given.ranks[d + 1 :]))


def _row(graph: _Graph, d: int, axis: Axis, factor: Array) -> str:
    """Return the functions (K, r) of one axis."""
    table = axis.table
    breaks, pieces = np.asarray(table.breaks), int(table.pieces)
    x = graph("Gather", "points", graph.constant(f"column_{d}", d), axis=1)
    x = graph("Clip", x, graph.constant(f"low_{d}", breaks[0]), graph.constant(f"high_{d}", breaks[-1]))
    if table.uniform:
        moved = graph("Sub", x, graph.constant(f"low_{d}", breaks[0]))
        place = graph("Mul", moved, graph.constant(f"inverse_{d}", pieces / (breaks[-1] - breaks[0])))
        piece = graph("Cast", graph("Floor", place), to=graph.onnx.TensorProto.INT64)
        piece = graph("Clip", piece, graph.constant("zero", 0), graph.constant(f"last_{d}", pieces - 1))
    else:  # how many inner breaks lie at or below x
        column = graph("Unsqueeze", x, graph.constant("one", [1]))
        below = graph("GreaterOrEqual", column, graph.constant(f"inner_{d}", breaks[1:-1]))
        below = graph("Cast", below, to=graph.onnx.TensorProto.INT64)
        piece = graph("ReduceSum", below, graph.constant("one", [1]), keepdims=0)
    middle, half = (breaks[:-1] + breaks[1:]) / 2, 2 / np.diff(breaks)
    local = graph("Sub", x, graph("Gather", graph.constant(f"middle_{d}", middle), piece))
    xi = graph("Mul", local, graph("Gather", graph.constant(f"scale_{d}", half), piece))
    powers = graph("Pow", graph("Unsqueeze", xi, graph.constant("ends", [1, 2])),
                   graph.constant(f"powers_{d}", np.arange(table.degree + 1.0)[None, None]))  # fmt: skip
    kind = graph("Gather", graph.constant(f"kind_{d}", np.asarray(table.kind)), piece)
    basis = graph("MatMul", powers, graph("Gather", graph.constant(f"coefficients_{d}", table.coefficients), kind))
    first = graph("Gather", graph.constant(f"first_{d}", np.asarray(table.first)), piece)
    first = graph("Unsqueeze", first, graph.constant("one", [1]))
    index = graph("Add", first, graph.constant(f"offsets_{d}", np.arange(table.width)[None]))
    window = graph("Gather", graph.constant(f"factor_{d}", factor), index)
    return graph("Squeeze", graph("MatMul", basis, window), graph.constant("one", [1]))


def _balanced(factors: list[Array]) -> list[Array]:
    """Return factors whose columns are alike in size: products of many stay within float32."""
    with np.errstate(divide="ignore"):
        logs = np.log(np.stack([np.abs(factor).max(axis=0) for factor in factors]))
    shift = np.where(np.isfinite(logs).all(axis=0), logs.mean(axis=0) - logs, -np.inf)
    return [factor * np.exp(row) for factor, row in zip(factors, shift, strict=True)]


def _check_carried(model: Any, given: Portable) -> None:
    """Raise where float32 loses too much: the same sums in NumPy, in both precisions."""
    points = sobol_points(given.axes, CHECKS, 0)
    with np.errstate(over="ignore", invalid="ignore"):
        exact, rounded = (_evaluated(given, points, np.dtype(kind)) for kind in (np.float64, np.float32))
    largest = float(np.abs(exact).max())
    lost = float(np.abs(exact - rounded).max()) / largest if largest > 0 else 0.0
    if not lost <= CARRIED:
        raise ValueError(
            f"float32 would lose {lost:.0e} of the largest value, more than {CARRIED:g} (modes that cancel, or meshes "
            f"finer than float32 resolves): pass dtype='float64', or export as 'npz' or 'c'"
        )


def _evaluated(given: Portable, points: Array, kind: np.dtype[Any]) -> Array:
    value: Array = np.ones(0)
    for d, (axis, factor) in enumerate(zip(given.axes, given.factors, strict=True)):
        table, x = axis.table, points[:, d].astype(kind)
        breaks = np.asarray(table.breaks)
        piece = np.clip(np.searchsorted(breaks.astype(kind), x, side="right") - 1, 0, table.pieces - 1)
        middle, half = ((breaks[:-1] + breaks[1:]) / 2).astype(kind), (2 / np.diff(breaks)).astype(kind)
        powers = ((x - middle[piece]) * half[piece])[:, None] ** np.arange(table.degree + 1).astype(kind)
        basis = np.einsum("kq,kqw->kw", powers, table.coefficients.astype(kind)[np.asarray(table.kind)[piece]])
        index = np.asarray(table.first)[piece][:, None] + np.arange(table.width)
        row = np.einsum("kw,kwr->kr", basis, factor.astype(kind)[index])
        if given.core is None:
            value = row if d == 0 else value * row
        elif d == 0:
            value = row @ given.core.astype(kind).reshape(row.shape[1], -1)
        else:
            value = np.einsum("kr,krs->ks", row, value.reshape(*row.shape, -1))
    total: Array = value.sum(axis=1)
    return np.exp(total) if given.exponential else total
