"""Reduced models as tensors and fields for files, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from inntd.axes import Axis
from inntd.models.files import Kind, register
from inntd.models.packing import MOST_AXES, Malformed, Tensors, axis_of, packed, stored, unpacked
from inntd.models.products import Products
from inntd.models.reduced import ReducedModel
from inntd.models.reduced_system import Coercivity, ReducedSystem
from inntd.models.successive import SuccessiveConstraints

Array = npt.NDArray[np.float64]

CONSTRAINTS = ("lower", "upper", "theta", "alpha", "sign")


def _contents(model: ReducedModel) -> tuple[dict[str, Any], Tensors]:
    system, products = model.system, model.products
    tensors = {"core": model.core, "index": torch.from_numpy(products.index), "scale": torch.from_numpy(products.scale)}
    tensors |= {f"factors.{d}": factor for d, factor in enumerate(model.factors)}
    tensors |= {f"columns.{d}": columns for d, columns in enumerate(products.columns)}
    arrays = {name: getattr(system, name) for name in ("operator", "load", "residual_operator", "residual_load")}
    if isinstance(system.coercivity, Coercivity):
        arrays |= {f"coercivity.{name}": getattr(system.coercivity, name) for name in ("terms", "reference", "sign")}
    elif system.coercivity is not None:
        arrays |= {f"constraints.{name}": np.atleast_1d(getattr(system.coercivity, name)) for name in CONSTRAINTS}
    arrays["smallest"] = np.array([system.smallest])
    if products.errors is not None:
        arrays |= {f"errors.{d}": own for d, own in enumerate(products.errors)}
    if products.scale_errors is not None:
        arrays["scale_errors"] = products.scale_errors
    tensors |= {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}
    tensors = stored(tensors)
    return {
        "axes": [packed(axis.to_dict(), f"axes.{d}", tensors) for d, axis in enumerate(model.axes)],
        "parameters": [model.axes.index(axis) for axis in model.parameter_axes],
        "function_axes": [
            packed(axis.to_dict(), f"function_axes.{d}", tensors) for d, axis in enumerate(products.axes)
        ],
        "projection": system.projection,
    }, tensors


def _restored(fields: dict[str, Any], tensors: Tensors) -> ReducedModel:
    axes, places, finer = _axes(fields, tensors)
    parameters = [axes[d] for d in places]
    projection = fields["projection"]
    merged = [axis for axis in axes if axis not in parameters]
    columns = tuple(tensors[f"columns.{d}"] for d in range(len(finer)))
    factors = [tensors[f"factors.{d}"] for d in range(len(merged))]
    index, scale = tensors["index"].numpy(), tensors["scale"].numpy()
    system = _system(projection, tensors)
    q, n = len(system.operator), system.size
    _check(len(finer) == len(parameters) and index.shape == (len(scale), len(finer)), "its functions of parameters")
    _check(all(c.ndim == 2 and len(c) == axis.size for c, axis in zip(columns, finer, strict=True)), "their columns")
    _check(tensors["index"].dtype == torch.int64 and not any(t.is_floating_point() and t.dtype != torch.float64
           for t in tensors.values()), "its types of numbers")  # fmt: skip
    _check(all(((i >= 0) & (i < c.shape[1])).all() for i, c in zip(index.T, columns, strict=True)), "their places")
    _check(all(own.domain == axis.domain for own, axis in zip(finer, parameters, strict=True)), "their intervals")
    errors, scale_errors = _errors(tensors, [c.shape[1] for c in columns], len(scale))
    core = tensors["core"]
    _check(core.shape == (*(f.shape[-1] for f in factors), n + len(scale) - q - len(system.load)), "its core")
    _check(all(f.ndim == 2 and len(f) == axis.size for f, axis in zip(factors, merged, strict=True)), "its factors")
    products = Products(tuple(finer), columns, index, scale, errors, scale_errors)
    return ReducedModel(axes, parameters, products, system, core, factors)


def _axes(fields: dict[str, Any], tensors: Tensors) -> tuple[list[Axis], list[int], list[Axis]]:
    """Return all axes, the places of the parameters among them, and the axes of the parameters' functions."""
    described, finer, places = fields["axes"], fields["function_axes"], fields["parameters"]
    for entries in (described, finer, places):
        if not isinstance(entries, list) or not 0 < len(entries) <= MOST_AXES:
            raise Malformed("its axes are no list")
    if not all(isinstance(d, int) for d in places) or len(set(places)) != len(places) or len(finer) != len(places):
        raise Malformed("its parameters are none of its axes")
    merged = [d for d in range(len(described)) if d not in places]
    sizes = {d: f"columns.{i}" for i, d in enumerate(places)} | {d: f"factors.{i}" for i, d in enumerate(merged)}
    axes = [axis_of(unpacked(entry, tensors), tensors[sizes[d]]) for d, entry in enumerate(described)]
    return axes, places, [axis_of(unpacked(entry, tensors), tensors[f"columns.{i}"]) for i, entry in enumerate(finer)]


def _system(projection: Any, tensors: Tensors) -> ReducedSystem:
    operator, load = tensors["operator"].numpy(), tensors["load"].numpy()
    rows, right = tensors["residual_operator"].numpy(), tensors["residual_load"].numpy()
    _check(operator.ndim == 3 and load.ndim == 2 and operator.shape[1:] == (load.shape[1],) * 2, "its matrices")
    _check(rows.ndim == 3 and rows.shape == (len(operator), rows.shape[1], load.shape[1])
           and right.shape == (len(load), rows.shape[1]), "its residuals")  # fmt: skip
    if projection not in ("galerkin", "minimal_residual"):
        raise ValueError(f"its projection is {projection!r}")
    coercivity: Coercivity | SuccessiveConstraints | None = None
    if "coercivity.terms" in tensors:
        terms, reference, sign = (tensors[f"coercivity.{name}"].numpy() for name in ("terms", "reference", "sign"))
        _check(terms.dtype == np.int64 and terms.shape == reference.shape and sign.shape == operator.shape[:1]
               and bool(((terms >= 0) & (terms < len(operator))).all()), "its coercivity")  # fmt: skip
        coercivity = Coercivity(terms, reference, sign)
    elif "constraints.alpha" in tensors:
        lower, upper, theta, alpha, signs = (tensors[f"constraints.{name}"].numpy() for name in CONSTRAINTS)
        _check(lower.shape == upper.shape == operator.shape[:1] and theta.shape == (*alpha.shape, len(operator))
               and signs.shape == (1,) and bool((lower <= upper).all()), "its constraints")  # fmt: skip
        coercivity = SuccessiveConstraints(lower, upper, theta, alpha, float(signs[0]))
    _check("smallest" not in tensors or tensors["smallest"].shape == (1,), "its smallest eigenvalue")
    smallest = float(tensors["smallest"]) if "smallest" in tensors else 0.0
    return ReducedSystem(operator, load, rows, right, projection, coercivity, smallest)


def _errors(tensors: Tensors, counts: Sequence[int], terms: int) -> tuple[tuple[Array, ...] | None, Array | None]:
    """Return how far functions of parameters are from the true ones, None where the file does not tell."""
    scale = tensors["scale_errors"].numpy() if "scale_errors" in tensors else None
    _check(scale is None or scale.shape == (terms,), "the errors of its numbers")
    if not all(f"errors.{d}" in tensors for d in range(len(counts))):
        return None, scale
    found = tuple(tensors[f"errors.{d}"].numpy() for d in range(len(counts)))
    _check(all(own.shape == (n,) for own, n in zip(found, counts, strict=True)), "the errors of its functions")
    return found, scale


def _check(fits: Any, what: str) -> None:
    if not bool(fits):
        raise ValueError(f"{what} do not fit together")


register(ReducedModel.file_kind, Kind(_contents, _restored))
