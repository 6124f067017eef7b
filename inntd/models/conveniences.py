"""What people do with a field, as its methods: they import `inntd.results` when they are called."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inntd.axes import Axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes as Panel


class Conveniences:
    """Statistics, pictures and exports of a field; `inntd.statistics`, `inntd.results` and `inntd.export` say more."""

    def variance(self, *over: Axis | str, **options: Any) -> Any:
        """Return the variance over random axes: see `inntd.statistics.variance`.

        Parameters
        ----------
        *over : Axis or str
            The random axes. Default: all but those of kind ``"component"``.
        **options
            ``densities``, ``renormalise``, ``samples``, ``seed``.

        Examples
        --------
        >>> import inntd as it
        >>> x = it.Axis("x", 0, 1, elements=8)
        >>> round(12 * it.CPModel.from_factors([x], [x.nodes[:, None]]).variance(), 12)
        1.0
        """
        from inntd.results import statistics

        return statistics.variance(self, *over, **options)

    def skewness(self, *over: Axis | str, **options: Any) -> Any:
        """Return the skewness over random axes: see `inntd.statistics.skewness`."""
        from inntd.results import statistics

        return statistics.skewness(self, *over, **options)

    def sobol_indices(self, *over: Axis | str, **options: Any) -> Any:
        """Return the shares of the variance by axis: see `inntd.statistics.sobol_indices`.

        Parameters
        ----------
        *over : Axis or str
            The random axes. Default: all but those of kind ``"component"``.
        **options
            ``densities``, ``renormalise``, ``groups``, ``order``, ``samples``, ``seed``.

        Examples
        --------
        >>> import inntd as it
        >>> axes = [it.Axis(name, -1, 1, elements=8) for name in "xy"]
        >>> u = it.CPModel.from_factors(axes, [axis.nodes[:, None] + 1 for axis in axes])  # (x + 1) (y + 1)
        >>> print(u.sobol_indices())
        x  first 0.4286  total 0.5714
        y  first 0.4286  total 0.5714
        """
        from inntd.results import statistics

        return statistics.sobol_indices(self, *over, **options)

    def quantiles(self, levels: Sequence[float] = (0.05, 0.5, 0.95), *over: Axis | str, **options: Any) -> Any:
        """Return quantiles of the values over all axes, from samples: see `inntd.statistics.quantiles`."""
        from inntd.results import statistics

        return statistics.quantiles(self, levels, *over, **options)

    def plot(
        self,
        *names: Axis | str,
        at: Mapping[str, float] | None = None,
        mesh: bool = True,
        ax: Panel | None = None,
    ) -> Panel:
        """Draw the field along one axis, or filled contours along two: see `inntd.results.plot_field`.

        Parameters
        ----------
        *names : Axis or str
            One or two axes. Default: all, if there are no more than two.
        at : mapping of str to float, optional
            Coordinates of all other axes.
        mesh : bool, default True
            Mark the nodes.
        ax : matplotlib axes, optional
            By default a new figure's.

        Returns
        -------
        matplotlib axes
            ``.figure.savefig("u.png")`` writes the picture.

        Examples
        --------
        >>> import inntd as it
        >>> axes = [it.Axis(name, 0, 1, elements=8) for name in "xyk"]
        >>> u = it.CPModel(axes, rank=2)
        >>> u.plot("x", at={"y": 0.5, "k": 0.2}).get_title()
        'y = 0.5, k = 0.2'
        >>> u.at(k=0.2).plot().get_ylabel()
        'y'
        """
        from inntd.results import plot_field

        return plot_field(self, *names, at=at, mesh=mesh, ax=ax)

    def export(
        self,
        path: str | os.PathLike[str],
        format: str | None = None,
        *,
        overwrite: bool = False,
        at: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> list[Path]:
        """Write the field for another program and return the paths of the files: see `inntd.export`.

        Parameters
        ----------
        path : path
            Its suffix tells the format unless `format` does.
        format : {"html", "c", "onnx", "npz", "xarray", "hdf5", "vtk"}, optional
        overwrite : bool, default False
            Replace existing files.
        at : mapping of str to float, optional
            Axes to hold still.
        **options
            Of the format: ``name``, ``dtype``, ``points``, ``along``, ``title``, ``indices``.

        Examples
        --------
        >>> import os, tempfile
        >>> import inntd as it
        >>> u = it.CPModel([it.Axis("x", 0, 1, elements=8), it.Axis("k", 1, 2, elements=8)], rank=2)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     [file.name for file in u.export(os.path.join(folder, "u.npz"), at={"k": 1.5})]
        ['u.npz']
        """
        from inntd.results.export import export

        return export(self, path, format, overwrite=overwrite, at=at, **options)
