"""What people do with a field, as its methods: they import `inntd.results` when they are called."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class Conveniences:
    """Exports of a field; `inntd.export` says more."""

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
