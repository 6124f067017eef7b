"""Bases along one axis: what a user states about them. The functions themselves are tables made by the core."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from inntd import _checks

Kernel: TypeAlias = Literal["lagrange", "cubic", "gaussian"]
Ends: TypeAlias = Literal["shifted", "truncated"]
KERNELS: tuple[Kernel, ...] = ("lagrange", "cubic", "gaussian")
ENDS: tuple[Ends, ...] = ("shifted", "truncated")

LARGEST_S = 16
SMALLEST_A, LARGEST_A = 0.5, 1e6


@dataclass(frozen=True)
class Patches:
    """The hyperparameters of every node, ready for the core: s, p (int32) and a (float64), one per function."""

    s: npt.NDArray[np.int32]
    p: npt.NDArray[np.int32]
    a: npt.NDArray[np.float64]
    kernel: Kernel
    shifted: bool


@dataclass(frozen=True)
class LinearBasis:
    """Piecewise linear hat functions, the linear finite element.

    Examples
    --------
    >>> import inntd as it
    >>> it.Axis("x", 0, 1, elements=4, basis=it.LinearBasis()).tabulate([0.125])[1]
    array([[0.5, 0.5]])
    """

    @property
    def key(self) -> Hashable:
        """Equal for equal bases."""
        return "linear"

    def patches(self, size: int) -> Patches:
        """Return the hyperparameters of `size` functions: patches of the node alone."""
        zeros = np.zeros(size, dtype=np.int32)
        return Patches(zeros, zeros, np.ones(size), "lagrange", True)

    def taken(self, functions: npt.NDArray[np.int64]) -> LinearBasis:
        """Return the basis with the hyperparameters of some of its functions, in a new order."""
        return self

    def to_dict(self) -> dict[str, Any]:
        """Return what `basis_from_dict` needs, in types that JSON carries."""
        return {"name": "linear"}


@dataclass(frozen=True)
class CHiDeNNBasis:
    r"""The C-HiDeNN basis: linear hats times interpolation on patches of nodes.

    .. math:: \tilde N_k(x) = \sum_{i \in \text{element}} N_i(x)\, W_i^{(k)}(x)

    with the hat functions :math:`N_i` and, on the patch of node `i`, functions :math:`W_i^{(k)}` that interpolate the
    patch's nodal values: polynomials (`"lagrange"`), or radial kernels with polynomials (`"cubic"`, `"gaussian"`),
    :math:`[W, \cdot] = [R(x), P(x)] \begin{bmatrix} R & P \\ P^T & 0 \end{bmatrix}^{-1}`, computed with 32 digits.
    The functions are nodal, add up to one, reproduce polynomials to order `p`, and are continuously differentiable
    across nodes, but for the nodes at an axis' `breaks`, which no patch crosses.

    Parameters
    ----------
    s : int or sequence of int, default 3
        Hops from a node to the ends of its patch, 1 to 16: patches have 2s+1 nodes, `size` of the axis at most.
        One value, or one per basis function. One value is shortened where it does not fit between breaks, and, with
        the Lagrange kernel, where neighbouring elements differ too much in length; of values given one by one only the
        former is done. Values from 10 on lose digits in the matrices.
    p : int or sequence of int, optional
        Order of the polynomials reproduced, 0 to 2s. The Lagrange kernel has 2s, also by default; radial kernels
        have 1 by default.
    a : float or sequence of float, default 20.0
        Dilation of radial kernels, 0.5 to 1e6: :math:`R(r)` is taken at :math:`r = |x - x_j| / (a h)`, with `h` the
        mean spacing of the patch's nodes. Large values give flat, ill-conditioned kernels: what 32 digits cannot
        carry is refused. Ignored by the Lagrange kernel.
    kernel : {"lagrange", "cubic", "gaussian"}, default "lagrange"
        `"cubic"` is the cubic spline with its knots at r = 0, 1/2, 1; `"gaussian"` is exp(-r²).
    ends : {"shifted", "truncated"}, default "shifted"
        Patches that reach beyond an end or a break are shifted inward, so that they keep their 2s+1 nodes, or cut off
        (which loses accuracy there; the Lagrange kernel then reproduces less).

    Raises
    ------
    ValueError, TypeError
        When a parameter is out of range.

    References
    ----------
    Lu, Li, Park, Mojumder, Knapik, Saha, Liu, Apley, Wagner, Liu, "Convolution Hierarchical Deep-learning Neural
    Networks (C-HiDeNN): finite elements, isogeometric analysis, tensor decomposition, and beyond", 2023.

    Examples
    --------
    >>> import inntd as it
    >>> axis = it.Axis("x", 0, 1, elements=20, basis=it.CHiDeNNBasis(s=2))
    >>> index, values = axis.tabulate([0.51])
    >>> index
    array([[ 8,  9, 10, 11, 12, 13]])
    >>> bool(abs(values.sum() - 1) < 1e-14)
    True
    """

    s: int | tuple[int, ...] = 3
    p: int | tuple[int, ...] | None = None
    a: float | tuple[float, ...] = 20.0
    kernel: Kernel = "lagrange"
    ends: Ends = "shifted"

    name: ClassVar[str] = "c-hidenn"

    def __post_init__(self) -> None:
        set_field = object.__setattr__
        set_field(self, "kernel", _checks.one_of("kernel", self.kernel, KERNELS))
        set_field(self, "ends", _checks.one_of("ends", self.ends, ENDS))
        set_field(self, "s", _each("s", self.s, _patch_size))
        set_field(self, "a", _each("a", self.a, _dilation))
        if self.p is not None:
            set_field(self, "p", _each("p", self.p, _order))
        self._check_orders()

    def _check_orders(self) -> None:
        if self.p is None:
            return
        try:
            s, p = np.broadcast_arrays(np.asarray(self.s), np.asarray(self.p))
        except ValueError:
            raise ValueError(
                f"s and p must have one value, or one per basis function, got {np.size(self.s)} and {np.size(self.p)}"
            ) from None
        largest = 2 * s
        wrong = p != largest if self.kernel == "lagrange" else p > largest
        if np.any(wrong):
            i = int(np.flatnonzero(wrong.reshape(-1))[0])
            si, pi = int(s.reshape(-1)[i]), int(p.reshape(-1)[i])
            if self.kernel == "lagrange":
                raise ValueError(
                    f"p must be 2s = {2 * si} with the Lagrange kernel, got p={pi} at s={si}: leave p out, "
                    "or choose kernel='cubic' or 'gaussian'"
                )
            raise ValueError(f"p must be at most 2s = {2 * si} (a patch has 2s+1 nodes), got p={pi} at s={si}")

    @property
    def key(self) -> Hashable:
        """Equal for equal bases."""
        if self.kernel == "lagrange":
            return (self.name, _digest(self.s), self.kernel, self.ends)
        return (self.name, _digest(self.s), _digest(self.p), _digest(self.a), self.kernel, self.ends)

    def patches(self, size: int) -> Patches:
        """Return the hyperparameters of `size` functions.

        Raises
        ------
        ValueError
            When s, p or a have another number of entries.
        """
        for name, value in (("s", self.s), ("p", self.p), ("a", self.a)):
            if isinstance(value, tuple) and len(value) != size:
                raise ValueError(f"{name} must be one value or one per basis function ({size}), got {len(value)}")
        s = np.ascontiguousarray(np.broadcast_to(np.asarray(self.s, dtype=np.int32), size))
        p = 2 * s if self.kernel == "lagrange" else np.minimum(1, 2 * s) if self.p is None else self.p
        p = np.ascontiguousarray(np.broadcast_to(np.asarray(p, dtype=np.int32), size))
        a = np.ascontiguousarray(np.broadcast_to(np.asarray(self.a, dtype=np.float64), size))
        return Patches(s, p, a, self.kernel, self.ends == "shifted")

    def taken(self, functions: npt.NDArray[np.int64]) -> CHiDeNNBasis:
        """Return the basis with the hyperparameters of some of its functions, in a new order.

        Examples
        --------
        >>> CHiDeNNBasis(s=[1, 2, 3]).taken(np.array([0, 1, 1, 2])).s
        (1, 2, 2, 3)
        """

        def pick(value: Any) -> Any:
            return tuple(value[i] for i in functions) if isinstance(value, tuple) else value

        return replace(self, s=pick(self.s), p=pick(self.p), a=pick(self.a))

    def to_dict(self) -> dict[str, Any]:
        """Return what `basis_from_dict` needs, in types that JSON carries."""
        fields: dict[str, Any] = {"name": self.name, "s": self.s, "kernel": self.kernel, "ends": self.ends}
        if self.kernel != "lagrange":
            fields |= {"p": self.p, "a": self.a}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in fields.items()}


Basis: TypeAlias = LinearBasis | CHiDeNNBasis


def basis_from_dict(fields: dict[str, Any]) -> Basis:
    """Return the basis that `to_dict` described.

    Examples
    --------
    >>> basis_from_dict(CHiDeNNBasis(s=[1, 2, 2, 1]).to_dict())
    CHiDeNNBasis(s=(1, 2, 2, 1), p=None, a=20.0, kernel='lagrange', ends='shifted')
    """
    if not isinstance(fields, dict):
        raise TypeError(f"basis must be a table of fields, got {type(fields).__name__}")
    parameters = {name: value for name, value in fields.items() if name != "name"}
    name = _checks.one_of("basis name", fields.get("name"), ("linear", CHiDeNNBasis.name))
    known = () if name == "linear" else ("s", "p", "a", "kernel", "ends")
    for field in parameters:
        _checks.one_of(f"field of a {name} basis", field, known)
    return LinearBasis() if name == "linear" else CHiDeNNBasis(**parameters)


def _patch_size(name: str, value: object) -> int:
    return _checks.positive_int(name, value, maximum=LARGEST_S)


def _order(name: str, value: object) -> int:
    return _checks.positive_int(name, value, minimum=0, maximum=2 * LARGEST_S)


def _dilation(name: str, value: object) -> float:
    number = _checks.finite_float(name, value, positive=True)
    if not SMALLEST_A <= number <= LARGEST_A:
        raise ValueError(f"{name} must be from {SMALLEST_A:g} to {LARGEST_A:g} mean spacings, got {number}")
    return number


def _each(name: str, value: Any, check: Any) -> Any:
    """Check one value, or each of many and return them as a tuple."""
    if not isinstance(value, Iterable) or (isinstance(value, np.ndarray) and value.ndim == 0) or isinstance(value, str):
        return check(name, value)
    return tuple(check(f"{name}[{i}]", entry) for i, entry in enumerate(value))


def _digest(value: Any) -> Hashable:
    if not isinstance(value, tuple):
        return value  # type: ignore[no-any-return]
    return hashlib.blake2b(np.asarray(value).tobytes(), digest_size=16).digest()
