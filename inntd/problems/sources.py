"""Coefficients given by code, by samples or by a model, as factors of forms and conditions."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import sympy

from inntd.axes import Axis
from inntd.models import CPModel, TuckerModel
from inntd.problems.fields import FieldSymbol, Unknown
from inntd.problems.given import Array, Given, Source, content_key
from inntd.problems.tabulated import LinearSamples, NodalValues

#: A Tucker model that is a sum of more products is separated numerically instead.
MOST_FIBRES = 64
MAX_SAMPLES = 50_000_000


def coefficient(
    source: Any,
    *axes: Axis,
    name: str = "k",
    at: Any = None,
    breaks: Mapping[str, Sequence[float]] | Sequence[float] | None = None,
) -> sympy.Expr:
    """Return a factor given by code, by samples or by a model, for use in forms, sources, conditions and `exact`.

    Parameters
    ----------
    source
        One of

        - a callable of as many float64 arrays of shape (K,) as there are axes, which returns (K,). One that takes
          single numbers only is called once per point, with a warning, for that is slow;
        - an array of samples, with one dimension per axis: values at the nodes of the axes (`axis.size` of them),
          interpolated by the axes' own bases; or values at the coordinates `at`, interpolated linearly between them;
        - a model, such as a :class:`~inntd.CPModel`: anything with `axes` that can be called on points (K, D).
    *axes
        What it is a function of, in the order of its arguments, dimensions or axes. A model may go without: then it is
        a function of its own axes, by name.
    name
        How it is printed, a word.
    at
        For samples: the coordinates, increasing; one vector per axis, or one vector for a single axis. They must
        cover the axes.
    breaks
        For a callable: where it jumps or has a kink, as a list for a single axis, or as ``{"x": [0.5]}``.
        (Samples at `at` have kinks there, which is known.)

    Returns
    -------
    sympy.Expr
        A function of one axis stays exact, and so does a CP model, with one term per mode, and a small Tucker model,
        with one per fibre of its core. Others are separated
        numerically, see `separation_tolerance` of :class:`inntd.Problem`. Samples at nodes and CP models can be
        differentiated; keep the others outside of `diff`: `div(k*grad(u))` is fine.

    Raises
    ------
    TypeError
        The source is none of these.
    ValueError
        Shapes that do not fit, values that are not finite (with their place), samples that do not cover an axis, a
        callable that fails.

    Examples
    --------
    >>> import inntd as it, numpy as np
    >>> x, y = it.Axis("x", 0, 1, elements=8), it.Axis("y", 0, 1, elements=8)
    >>> it.coefficient(lambda x, y: np.exp(x * y), x, y)
    k(x, y)
    >>> c = it.coefficient([1.0, 2.0, 4.0], x, at=[0.0, 0.5, 1.0], name="c")
    >>> u, v = it.unknown("u", x, y), it.test_function()
    >>> problem = it.Problem(weak=c * u * v - v)
    >>> problem.operator[0].forms[0].weight.breaks
    (0.5,)
    """
    if not isinstance(name, str) or not name.isidentifier():
        raise ValueError(f"name must be a word of letters, digits and underscores, got {name!r}")
    for axis in axes:
        if isinstance(axis, (Unknown, FieldSymbol)):
            raise ValueError(
                f"coefficient {name}: a function of {axis!r} makes the problem nonlinear; nonlinear problems are for "
                "the PINN mode, inntd.pinn"
            )
        if not isinstance(axis, Axis):
            raise TypeError(f"coefficient {name}: axes must be inntd.Axis objects, got {axis!r}")
    names = [axis.name for axis in axes]
    if len(set(names)) < len(names):
        raise ValueError(f"coefficient {name}: the axes must differ, got {', '.join(names)}")
    if hasattr(source, "axes") and callable(source):
        _refuse(name, "a model", at=at, breaks=breaks)
        return _of_model(source, axes, name)
    if not axes:
        raise ValueError(f"coefficient {name}: name the axes that it is a function of, as coefficient(source, x, y)")
    if callable(source):
        _refuse(name, "a callable", at=at)
        return _of_callable(source, axes, name, breaks)
    _refuse(name, "samples", breaks=breaks)
    return _of_samples(source, axes, name, at)


def _refuse(name: str, what: str, **given: Any) -> None:
    for argument, value in given.items():
        if value is not None:
            raise ValueError(f"coefficient {name}: {argument} has no meaning for {what}, got {value!r}")


def _given(source: Source, axes: Sequence[Axis]) -> sympy.Expr:
    return Given(source, *(axis._sympy_() for axis in axes))


# --------------------------------------------------------------------------------------------------------- callables


def _of_callable(function: Callable[..., Any], axes: Sequence[Axis], name: str, breaks: Any) -> sympy.Expr:
    places = _breaks(breaks, axes, name)
    called = _vectorised(function, _probes(axes), name)
    _check_finite(called, _probes(axes), axes, name)
    return _given(Source(name, called, places, note="a callable"), axes)


def _breaks(breaks: Any, axes: Sequence[Axis], name: str) -> list[Sequence[float]]:
    if breaks is None:
        return [()] * len(axes)
    if not isinstance(breaks, Mapping):
        if len(axes) > 1:
            raise ValueError(f"coefficient {name}: breaks must be a table such as {{'x': [0.5]}}, got {breaks!r}")
        breaks = {axes[0].name: breaks}
    strangers = sorted(set(map(str, breaks)) - {axis.name for axis in axes})
    if strangers:
        known = ", ".join(axis.name for axis in axes)
        raise ValueError(f"coefficient {name}: breaks must name its axes ({known}), got {', '.join(strangers)}")
    result: list[Sequence[float]] = []
    for axis in axes:
        points = np.atleast_1d(np.asarray(breaks.get(axis.name, ()), dtype=np.float64))
        low, high = axis.domain
        if points.ndim != 1 or not np.all((points > low) & (points < high)):
            raise ValueError(
                f"coefficient {name}: breaks on {axis.name} must lie inside of {low:g} to {high:g}, "
                f"got {points.tolist()}"
            )
        result.append(points.tolist())
    return result


def _probes(axes: Sequence[Axis]) -> list[Array]:
    """Return a few points inside the box."""
    shares = np.random.default_rng(0).random((len(axes), 7))
    return [
        np.floor(share * axis.size) if axis.discrete else axis.domain[0] + (axis.domain[1] - axis.domain[0]) * share
        for axis, share in zip(axes, shares, strict=True)
    ]


def _vectorised(function: Callable[..., Any], probes: list[Array], name: str) -> Callable[..., Array]:
    """Return the function of arrays; of single numbers, called point by point, if it takes no arrays."""
    count = probes[0].size
    try:
        with np.errstate(all="ignore"):
            values = np.asarray(function(*probes))
    except Exception as error:
        failure: Exception | None = error
    else:
        failure = None
        if values.shape == (count,) or (values.shape == () and _is_constant(function, probes, float(values))):
            return lambda *x: _called(function, x, name)
    one_by_one = np.vectorize(function, otypes=[np.float64])
    try:
        with np.errstate(all="ignore"):
            one_by_one(*probes)
    except Exception:
        if failure is not None:
            raise ValueError(
                f"coefficient {name}: the callable failed with {type(failure).__name__}: {failure}; it is called with "
                f"{len(probes)} float64 arrays of shape ({count},), one per axis, and must return one of that shape"
            ) from failure
        raise ValueError(
            f"coefficient {name}: the callable must return an array of shape ({count},) when called with arrays of "
            f"that shape, got the shape {values.shape}"
        ) from None
    warnings.warn(
        f"coefficient {name}: the callable takes no arrays, so it is called once per point, which is slow; write it "
        "with NumPy functions, such as np.where for an if",
        UserWarning,
        stacklevel=4,
    )
    return one_by_one


def _is_constant(function: Callable[..., Any], probes: list[Array], value: float) -> bool:
    """Tell whether one number for many points is what the function is at each: a sum over them would not be."""
    try:
        return all(float(function(*(x[i : i + 1] for x in probes))) == value for i in (0, 1))
    except Exception:
        return False


def _called(function: Callable[..., Any], x: tuple[Array, ...], name: str) -> Array:
    try:
        with np.errstate(all="ignore"):  # what matters of it is said by those who call, with the place
            values = np.asarray(function(*x))
    except Exception as error:
        raise ValueError(f"coefficient {name}: the callable failed with {type(error).__name__}: {error}") from error
    if values.dtype.kind not in "fiub" or values.shape not in ((), x[0].shape):
        raise ValueError(
            f"coefficient {name}: the callable must return real numbers of shape {x[0].shape}, "
            f"got {values.dtype} of shape {values.shape}"
        )
    return np.broadcast_to(values.astype(np.float64), x[0].shape)


def _check_finite(function: Callable[..., Array], points: list[Array], axes: Sequence[Axis], name: str) -> None:
    with np.errstate(all="ignore"):
        values = np.asarray(function(*points))
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        where = ", ".join(f"{axis.name} = {x[bad[0]]:.6g}" for axis, x in zip(axes, points, strict=True))
        raise ValueError(f"coefficient {name} must be finite, got {values[bad[0]]} at {where}")


# ----------------------------------------------------------------------------------------------------------- samples


def _of_samples(source: Any, axes: Sequence[Axis], name: str, at: Any) -> sympy.Expr:
    values = _array(source, name)
    if values.ndim != len(axes):
        raise ValueError(
            f"coefficient {name}: samples must have one dimension per axis ({', '.join(axis.name for axis in axes)}), "
            f"got the shape {values.shape}"
        )
    coordinates = _node_coordinates(values, axes, name) if at is None else _coordinates(at, values, axes, name)
    bad = np.argwhere(~np.isfinite(values))
    if bad.size:
        where = ", ".join(f"{axis.name} = {x[i]:.6g}" for axis, x, i in zip(axes, coordinates, bad[0], strict=True))
        raise ValueError(
            f"coefficient {name}: samples must be finite, got {values[tuple(bad[0])]} at index {bad[0].tolist()}, "
            f"{where}"
        )
    if at is None:
        return _given(_nodal(NodalValues(axes, values), name), axes)
    kinks, samples = [x.tolist() for x in coordinates], LinearSamples(coordinates, values)
    known = [(float(x[0]), float(x[-1])) for x in coordinates]
    return _given(Source(name, samples, kinks, note="given by samples", key=samples.key, domain=known), axes)


def _array(source: Any, name: str) -> Array:
    try:
        values = np.array(source.detach().cpu().numpy() if hasattr(source, "detach") else source)
    except (TypeError, ValueError):
        values = np.array(None)
    if values.dtype.kind not in "fiub" or values.ndim == 0:
        raise TypeError(
            f"coefficient {name}: source must be a callable, an array of real numbers or a model, "
            f"got {type(source).__name__}"
        )
    if values.size > MAX_SAMPLES:
        raise ValueError(f"coefficient {name}: at most {MAX_SAMPLES} samples are taken, got {values.size}")
    return values.astype(np.float64)


def _node_coordinates(values: Array, axes: Sequence[Axis], name: str) -> list[Array]:
    for d, axis in enumerate(axes):
        if values.shape[d] != axis.size:
            raise ValueError(
                f"coefficient {name}: samples at the nodes of {axis.name} must be {axis.size}, got {values.shape[d]} "
                f"(shape {values.shape}); for other places give their coordinates, at=[...]"
            )
    return [axis.nodes[: axis.size] for axis in axes]


def _coordinates(at: Any, values: Array, axes: Sequence[Axis], name: str) -> list[Array]:
    single = len(axes) == 1 and np.ndim(at[0] if isinstance(at, (list, tuple)) and at else at) == 0
    single = single or (len(axes) == 1 and isinstance(at, np.ndarray) and at.ndim == 1)
    listed = [at] if single else list(at)
    if len(listed) != len(axes):
        raise ValueError(
            f"coefficient {name}: at must hold one vector per axis, {len(axes)} of them, got {len(listed)}"
        )
    result = []
    for d, (axis, entry) in enumerate(zip(axes, listed, strict=True)):
        x, label = np.asarray(entry, dtype=np.float64), f"coefficient {name}: at on {axis.name}"
        if x.shape != (values.shape[d],) or x.size < 2:
            raise ValueError(
                f"{label} must be {max(2, values.shape[d])} coordinates, one per sample, got shape {x.shape}"
            )
        if not np.all(np.isfinite(x)) or not np.all(np.diff(x) > 0):
            raise ValueError(f"{label} must be finite and increase, got {np.array2string(x, threshold=8)}")
        low, high = axis.domain
        slack = 1e-12 * (high - low)
        if x[0] > low + slack or x[-1] < high - slack:
            raise ValueError(
                f"{label} must cover the axis from {low:g} to {high:g}, got {x[0]:g} to {x[-1]:g}; "
                "samples are not extrapolated"
            )
        result.append(x)
    return result


def _nodal(values: NodalValues, name: str) -> Source:
    return Source(
        name,
        values,
        [axis.breaks for axis in values.axes],
        joints=[_joints(axis) for axis in values.axes],
        slope=lambda i: _nodal(values.derivative(i), f"{name}_{values.axes[i].name}"),
        note="given by samples",
        domain=[axis.domain for axis in values.axes],
        key=values.key,
    )


# ------------------------------------------------------------------------------------------------------------ models


def _of_model(model: Any, axes: Sequence[Axis], name: str) -> sympy.Expr:
    own: tuple[Axis, ...] = tuple(model.axes)
    axes = axes or own
    if len(axes) != len(own):
        raise ValueError(
            f"coefficient {name}: the model has {len(own)} axes ({', '.join(axis.name for axis in own)}), "
            f"got {len(axes)} for them; hold others still first, with model.at(...)"
        )
    for axis, mine in zip(axes, own, strict=True):
        (low, high), (start, end) = axis.domain, mine.domain
        slack = 1e-12 * (end - start)
        if low < start - slack or high > end + slack or axis.discrete != mine.discrete:
            raise ValueError(
                f"coefficient {name}: the model is known on {mine.name} from {start:g} to {end:g}, "
                f"which does not cover the axis {axis.name} from {low:g} to {high:g}"
            )
    if isinstance(model, TuckerModel) and math.prod(sorted(model.core.shape)[:-1]) <= MOST_FIBRES:
        model = model.to_cp()  # exact
    if isinstance(model, CPModel):
        return _given(_of_factors(model, name), axes)

    def values(*x: npt.NDArray[np.float64]) -> Array:
        inside = [np.clip(column, *mine.domain) for column, mine in zip(x, own, strict=True)]
        found = model(np.stack(inside, axis=1))
        return np.asarray(found.detach().cpu().numpy() if hasattr(found, "detach") else found, dtype=np.float64)

    _check_finite(values, _probes(axes), axes, name)
    return _given(_model_source(name, values, own), axes)


def _model_source(name: str, values: Callable[..., Array], axes: Sequence[Axis], **more: Any) -> Source:
    breaks = [axis.breaks for axis in axes]
    joints, known = [_joints(axis) for axis in axes], [axis.domain for axis in axes]
    return Source(name, values, breaks, joints=joints, note="a model", domain=known, **more)


def _joints(axis: Axis) -> list[float]:
    """Return where the polynomials of a function in the basis of an axis meet."""
    found: list[float] = [] if axis.discrete else axis.nodes[1:-1].tolist()
    return found


def _of_factors(model: CPModel, name: str) -> Source:
    factors = [factor.detach().cpu().numpy().astype(np.float64) for factor in model.factors]
    model = CPModel.from_factors(model.axes, factors)  # as it is now, whatever is trained later

    def values(*x: Array) -> Array:
        inside = np.stack([np.clip(c, *axis.domain) for c, axis in zip(x, model.axes, strict=True)], axis=1)
        return np.asarray(model(inside).detach().cpu().numpy(), dtype=np.float64)

    modes = [
        [
            _nodal(NodalValues([axis], factor[:, m]), f"{name}.{m + 1}")
            for axis, factor in zip(model.axes, factors, strict=True)
        ]
        for m in range(factors[0].shape[1])
    ]

    key = content_key("model", tuple(axis.key for axis in model.axes), *factors)

    def slope(position: int) -> Source:
        changed = [[part.derivative(0) if d == position else part for d, part in enumerate(row)] for row in modes]

        def derived(*x: Array) -> Array:
            parts = (np.prod([part(c) for part, c in zip(row, x, strict=True)], axis=0) for row in changed)
            return np.asarray(sum(parts))

        return _model_source(
            f"{name}_{model.axes[position].name}", derived, model.axes, modes=changed, key=f"{key}_{position}"
        )

    return _model_source(name, values, model.axes, modes=modes, slope=slope, key=key)
