"""Linear functionals of a field as sparse matrices, one per axis: where the terms are, and how they add up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from inntd.axes import Axis

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Ragged:
    """Quadratures on one axis: term t has the points and weights from offsets[t] to offsets[t + 1]."""

    points: Array
    weights: Array
    offsets: Indices

    @classmethod
    def single(cls, points: Array) -> Ragged:
        """Return one point per term."""
        return cls(points, np.ones(len(points)), np.arange(len(points) + 1, dtype=np.int64))

    @classmethod
    def of(cls, quadratures: Sequence[tuple[Array, Array]]) -> Ragged:
        """Return one quadrature, points and weights, per term."""
        sizes = [len(points) for points, _ in quadratures]
        offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        points, weights = (np.concatenate(parts) for parts in zip(*quadratures, strict=True))
        return cls(points, weights, offsets)

    def matrix(self, axis: Axis) -> sp.csr_array:
        """Return what the terms see of the axis' basis functions, (T, axis.size)."""
        index, values = axis.tabulate(self.points)
        width = index.shape[1]
        numbers = (values * self.weights[:, None]).ravel()
        shape = (len(self.offsets) - 1, axis.size)
        return sp.csr_array((numbers, index.ravel(), self.offsets * width), shape=shape)


@dataclass(frozen=True)
class Terms:
    """K linear functionals, sums of T terms, each a product of one quadrature per axis.

    Parameters
    ----------
    columns
        By name of axis, T quadratures.
    size
        The number T of terms.
    gather
        (K, T) weights of the terms; None where each functional is one term.
    """

    columns: Mapping[str, Ragged]
    size: int
    gather: sp.csr_array | None = None

    @property
    def count(self) -> int:
        """The number K of functionals."""
        return self.size if self.gather is None else int(self.gather.shape[0])

    @classmethod
    def of(cls, columns: Mapping[str, Ragged], owner: Sequence[int], weights: Sequence[float], count: int) -> Terms:
        """Return terms that belong to functionals, `owner`, with weights."""
        if len(owner) == count and all(weight == 1.0 for weight in weights):
            return cls(columns, count)
        places = (np.asarray(owner), np.arange(len(owner)))
        return cls(columns, len(owner), sp.csr_array((np.asarray(weights), places), shape=(count, len(owner))))

    @classmethod
    def points(cls, columns: Mapping[str, Array], count: int) -> Terms:
        """Return the values at points."""
        return cls({name: Ragged.single(column) for name, column in columns.items()}, count)

    @property
    def are_points(self) -> bool:
        """Whether every functional is the value at one point."""
        return self.gather is None and all(
            len(own.points) == len(own.offsets) - 1 and bool((own.weights == 1.0).all())
            for own in self.columns.values()
        )

    def expanded(self) -> tuple[dict[str, Array], sp.csr_array | None]:
        """Return the points (Q,) of all tensor-product quadratures, and what gathers their values, (K, Q)."""
        if self.are_points or not self.columns:
            return {name: own.points for name, own in self.columns.items()}, self.gather
        points: dict[str, list[Array]] = {name: [] for name in self.columns}
        weights, sizes = [], []
        for t in range(self.size):
            spans = [slice(own.offsets[t], own.offsets[t + 1]) for own in self.columns.values()]
            own_points = [own.points[span] for own, span in zip(self.columns.values(), spans, strict=True)]
            own_weights = [own.weights[span] for own, span in zip(self.columns.values(), spans, strict=True)]
            for name, mesh in zip(self.columns, np.meshgrid(*own_points, indexing="ij"), strict=True):
                points[name].append(mesh.ravel())
            product = np.ones(1)
            for factor in own_weights:
                product = np.multiply.outer(product, factor).ravel()
            weights.append(product)
            sizes.append(len(product))
        offsets = np.concatenate([[0], np.cumsum(sizes)])
        summed = sp.csr_array(
            (np.concatenate(weights), np.arange(offsets[-1]), offsets), shape=(self.size, int(offsets[-1]))
        )
        gather = summed if self.gather is None else sp.csr_array(self.gather @ summed)
        return {name: np.concatenate(parts) for name, parts in points.items()}, gather
