"""Files that are either written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path


def write_atomically(path: Path, content: bytes, *, overwrite: bool = False) -> None:
    """Write a file aside, flush it to the disk, and give it its name.

    Parameters
    ----------
    path : Path
        A link is followed: the file that it points to is replaced.
    content : bytes
    overwrite : bool, default False
        Replace an existing file, which keeps its permissions.

    Raises
    ------
    FileExistsError
        When the file exists and `overwrite` is False, also when somebody else makes it meanwhile.
    OSError
        When writing fails. What was there before stays as it was, and nothing is left aside.
    """
    with written_aside(path, overwrite=overwrite) as aside:
        _write(aside, content)


@contextlib.contextmanager
def written_aside(path: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Yield the name of a file to write in place of `path`, which is given its own name at the end, if that comes.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with written_aside(Path(folder, "a.txt")) as aside:
    ...         _ = aside.write_text("whole")
    ...     [file.name for file in Path(folder).iterdir()]
    ['a.txt']
    """
    path = Path(os.path.realpath(path))
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} exists already: pass overwrite=True to replace it")
    aside = path.with_name(f".{path.name[:100]}.{secrets.token_hex(8)}.tmp")
    try:
        yield aside
        with open(aside, "rb+") as file:
            os.fsync(file.fileno())
        if overwrite:
            if path.exists():
                shutil.copymode(path, aside)
            os.replace(aside, path)
        else:
            _name_new(aside, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            aside.unlink()


def _write(path: Path, content: bytes) -> None:
    with open(path, "xb") as file:
        file.write(content)


def _name_new(aside: Path, path: Path) -> None:
    """Give a file its name unless that is taken: a link fails then, a rename would not."""
    try:
        os.link(aside, path)
    except FileExistsError:
        raise FileExistsError(f"{path} exists already: pass overwrite=True to replace it") from None
    except OSError:  # a file system without links
        if path.exists():
            raise FileExistsError(f"{path} exists already: pass overwrite=True to replace it") from None
        os.replace(aside, path)
