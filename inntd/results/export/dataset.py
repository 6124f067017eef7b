"""Fields as datasets of xarray, with named coordinates and units."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from inntd._version import __version__
from inntd.results.export.optional import require
from inntd.results.export.sampled import sampled


def to_dataset(model: Any, *, name: str = "u", points: Any = None) -> Any:
    """Return the values of a field on a grid as an `xarray.Dataset`.

    Parameters
    ----------
    model : Field
        Hold axes still first, ``model.at(k=2)``, where the grid of all would be large.
    name : str, default "u"
        Of the variable.
    points : int, or mapping of str to int or vector, optional
        Of each axis, or of some: how many equidistant coordinates, or which. Default: the nodes.

    Raises
    ------
    ImportError
        When xarray is missing: ``pip install 'inntd[xarray]'``.

    Examples
    --------
    >>> import inntd as it
    >>> from inntd.results.export import to_dataset
    >>> x, t = it.Axis("x", 0, 1, elements=8, unit="m"), it.Axis("t", 0, 2, elements=8, kind="time", unit="s")
    >>> u = it.CPModel.from_factors([x, t], [x.nodes[:, None], t.nodes[:, None]])
    >>> found = to_dataset(u, points={"t": 5})
    >>> dict(found.sizes), found.t.units, float(found.u.sel(x=0.5, t=1.5))
    ({'x': 9, 't': 5}, 's', 0.75)
    """
    xarray = require("xarray", "xarray", "xarray")
    if name in {axis.name for axis in model.axes}:
        raise ValueError(f"name must not be that of an axis, got {name!r}")
    grid = sampled(model, points)
    coordinates = {
        axis.name: (axis.name, vector, {"units": axis.unit, "kind": axis.kind} if axis.unit else {"kind": axis.kind})
        for axis, vector in zip(grid.axes, grid.vectors, strict=True)
    }
    variables = {name: ([axis.name for axis in grid.axes], grid.values)}
    return xarray.Dataset(variables, coordinates, {"source": f"inntd {__version__}"})


def contents(model: Any, path: Path, *, name: str = "u", points: Any = None) -> dict[Path, bytes]:
    """Return the NetCDF file by its name."""
    for word in (name, *(axis.name for axis in model.axes)):
        if not all(ord(letter) < 256 for letter in word):  # of NetCDF 3, which needs no other library
            raise ValueError(
                f"'xarray' writes NetCDF 3, whose names are of Latin letters, got {word!r}: export as 'hdf5', or write "
                "inntd.results.export.to_dataset(model) with an engine of NetCDF 4"
            )
    found = to_dataset(model, name=name, points=points)
    return {path: bytes(found.to_netcdf(None, engine="scipy"))}
