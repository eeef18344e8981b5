"""Reads files that somebody else names, such as a register's author, within bounds or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from errno import EACCES, EFBIG, EINVAL
from pathlib import Path
from stat import S_ISREG
from typing import BinaryIO

# A read asks for memory of its own size first, and a small machine refuses what a limit allows.
_PART = 1 << 20


def read_bounded(path: Path, *, folders: Iterable[Path], limit: int) -> bytes:
    """Return the content of a regular file of at most ``limit`` bytes that lies below one of ``folders``.

    A symbolic link counts as what it leads to. Other files are refused, because a device or a pipe could keep the
    process waiting forever. Raises OSError, whose ``strerror`` says why.
    """
    real = os.path.realpath(path)
    if not any(Path(real).is_relative_to(os.path.realpath(folder)) for folder in folders):
        raise OSError(EACCES, "it lies outside the folders from which files may be read", str(path))
    descriptor = os.open(real, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if not S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(EINVAL, "it is not a regular file", str(path))
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            content = b"".join(_parts(file, limit + 1))
    finally:
        os.close(descriptor)
    if len(content) > limit:
        raise OSError(EFBIG, f"it is larger than {limit >> 10} KiB", str(path))
    return content


def _parts(file: BinaryIO, most: int) -> Iterator[bytes]:
    """Yield the content of a file, up to ``most`` bytes of it."""
    while most > 0 and (part := file.read(min(_PART, most))):
        most -= len(part)
        yield part
