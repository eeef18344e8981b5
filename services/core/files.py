"""Files that survive crashes and damage: replaced as a whole, checked by a checksum, in a folder with one owner."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from tempfile import mkstemp
from typing import BinaryIO, Final

from services.core.errors import StateError

PART: Final = ".part"
"""Suffix of a file that is being written."""

DAMAGED: Final = ".damaged"
"""Suffix of a file that was set aside."""

_DIGEST_BYTES: Final = 16


def replace(path: Path, content: bytes, *, like: os.stat_result | None = None) -> None:
    """Replace a file as a whole. After a crash it is the old one or the new one. Raises OSError.

    It is durable once its folder is synced. If ``like`` is given, the new file has that owner and that mode.
    """
    part = path.with_name(path.name + PART)
    try:
        with part.open("wb") as file:
            if like is not None:
                os.fchown(file.fileno(), like.st_uid, like.st_gid)
                os.fchmod(file.fileno(), stat.S_IMODE(like.st_mode))
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise


def write_secret(path: Path, content: bytes) -> None:
    """Write a new file that only its owner may read. Raises FileExistsError when it exists, and OSError.

    It is durable. After a crash it is whole or is not there.
    """
    descriptor, name = mkstemp(PART, f"{path.name}.", path.parent)  # only its owner may read this one
    part = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.link(part, path)  # unlike a renaming, it replaces nothing
    finally:
        part.unlink(missing_ok=True)
    sync(path.parent)


def sync(folder: Path) -> None:
    """Make new names in a folder durable. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def clear_parts(folder: Path) -> None:
    """Remove files that a crash left half written, since those names may never be written again. Raises OSError."""
    for part in folder.glob(f"*{PART}"):
        part.unlink(missing_ok=True)


def sealed(content: bytes) -> bytes:
    """Return the content of a file with its checksum after it."""
    return content + _digest(content)


def unsealed(data: bytes | memoryview) -> memoryview:
    """Return the content of a file that ends with its checksum. Raises ValueError when it is damaged."""
    view = memoryview(data)
    content, digest = view[:-_DIGEST_BYTES], view[-_DIGEST_BYTES:]
    if _digest(content) != digest:
        raise ValueError("a file whose checksum is wrong")
    return content


def set_aside(path: Path) -> Path:
    """Rename a damaged file and return its new path; it stays beside the others to be examined."""
    return path.replace(path.with_name(path.name + DAMAGED))


def count_damaged(folder: Path) -> int:
    """Return how many files below a folder were set aside."""
    return sum(1 for _ in folder.rglob(f"*{DAMAGED}"))


def lock(path: Path) -> BinaryIO:
    """Lock a file for this process, as long as the returned file stays open.

    Raises BlockingIOError when another process holds the lock, OSError when the file cannot be created. The kernel
    drops the lock of a process that ends, however it ends.
    """
    file = path.open("a+b")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise
    return file


@contextmanager
def owned(folder: Path, owner: str) -> Iterator[BinaryIO]:
    """Lock a component's state folder, creating it if needed; yield the file that holds the lock. Raises StateError.

    ``owner`` names, for the error, what may run only once at a time on the folder.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        held = lock(folder / "lock")
    except BlockingIOError as error:
        raise StateError(
            f"another {owner} uses the folder {folder}: end it, or name another folder with --data"
        ) from error
    except OSError as error:
        raise StateError(f"the folder {folder} cannot be used: {error.strerror}; name another with --data") from error
    with held:
        yield held


def _digest(content: bytes | memoryview) -> bytes:
    return blake2b(content, digest_size=_DIGEST_BYTES).digest()
