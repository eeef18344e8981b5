"""Stores a dataset in a folder of this host, or at any address that fsspec knows, such as ``s3://bucket/path``."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from stat import S_ISREG
from typing import Final, Protocol

from services.core.errors import StateError
from services.core.files import PART, replace, sync

FOLDER_MODE: Final = 0o750


class BadSectorError(StateError):
    """The disk can no longer read a part of a file."""


class Storage(Protocol):
    """Files by name, with slashes. Every method raises StateError, which names the file and the reason."""

    address: str
    one_writer: bool = True
    """Whether nobody else writes meanwhile: see `sole_writer`."""

    def names(self, folder: str = "") -> list[str]:
        """Return the names of all files below a folder, sorted; none if the folder does not exist."""

    def read(self, name: str) -> bytes:
        """Return a file's content."""

    def write(self, name: str, content: bytes) -> None:
        """Write a whole file, or replace one: after a crash it is the old one or the new one. It is durable on return."""

    def create(self, name: str, content: bytes) -> bool:
        """Do as ``write``, but leave a file that exists; return whether the file has this content afterwards."""
        if name in self.names(name.rpartition("/")[0]):
            return self.read(name) == content
        self.write(name, content)
        return True

    def remove(self, name: str) -> None:
        """Remove a file, if it exists."""


def open_storage(address: str) -> Storage:
    """Return the storage at a path or an address. Raises StateError for an address that fsspec does not know."""
    if "://" not in address:
        return LocalStorage(Path(address))
    from services.dataset.storage.remote import RemoteStorage  # noqa: PLC0415  # fsspec is slow to import

    return RemoteStorage(address)


def open_dataset(address: str) -> Storage:
    """Return the storage of a dataset to read. Raises StateError where no folder of this host can be read at a path."""
    if "://" not in address:
        try:
            os.scandir(address).close()
        except OSError as error:
            raise StateError(
                f"the dataset {address} cannot be read: {error.strerror}; name the folder that has log/ and sealed/"
            ) from error
    return open_storage(address)


@contextmanager
def sole_writer(address: str, *, create: bool = False) -> Iterator[None]:
    """Lock a dataset in a folder of this host, so that no second archive writes it. Raises StateError while one does.

    The folder itself is locked, and no file is left in it. An object store locks nothing, nor do some network file systems
    and a folder that cannot be created at the moment.
    """
    if create and "://" not in address:
        with suppress(OSError):
            Path(address).mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    if "://" in address or not Path(address).is_dir():
        yield
        return
    descriptor = os.open(Path(address), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StateError(f"an archive runs on {address}: stop it first") from error
        except OSError:
            pass  # a file system that locks no folders
        yield
    finally:
        os.close(descriptor)


class LocalStorage(Storage):
    """A folder of this host. Files are synced before their names, and names before ``write`` and ``remove`` return."""

    def __init__(self, folder: Path) -> None:
        self.address = str(folder)
        self._folder = folder

    def names(self, folder: str = "") -> list[str]:
        """Return the names of all files below a folder, sorted."""
        return sorted(self._names(self._folder / folder))

    def read(self, name: str) -> bytes:
        """Return a file's content. Raises BadSectorError when the disk cannot read it.

        A pipe or a device in a folder of somebody else would keep a reader waiting, or fill the memory. It is refused.
        """
        path = self._folder / name
        try:
            if not S_ISREG(path.stat().st_mode):
                raise OSError(errno.EINVAL, "it is no regular file")  # noqa: TRY301  # told with the file, like the others
            return path.read_bytes()
        except OSError as error:
            failed = self._failed("read", name, error)
            raise (BadSectorError(str(failed)) if error.errno == errno.EIO else failed) from error

    def write(self, name: str, content: bytes) -> None:
        """Write a whole file, or replace one."""
        path = self._folder / name
        try:
            self._make(path.parent)
            replace(path, content)
            sync(path.parent)
        except OSError as error:
            raise self._failed("written", name, error) from error

    def remove(self, name: str) -> None:
        """Remove a file."""
        path = self._folder / name
        try:
            path.unlink()
            sync(path.parent)
        except FileNotFoundError:
            return
        except OSError as error:
            raise self._failed("removed", name, error) from error

    def drop_empty_folders(self) -> None:
        """Remove folders that removed files left empty."""
        for folder, _, _ in os.walk(self._folder, topdown=False):
            try:
                if folder != str(self._folder) and not any(Path(folder).iterdir()):
                    Path(folder).rmdir()
            except OSError as error:
                raise self._failed("removed", os.path.relpath(folder, self._folder), error) from error

    def _names(self, folder: Path) -> Iterator[str]:
        for parent, _, files in os.walk(folder, onerror=self._unlisted):
            place = Path(parent).relative_to(self._folder)
            yield from (str(PurePosixPath(place / file)) for file in files if not file.endswith(PART))

    def _unlisted(self, error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            name = str(PurePosixPath(Path(error.filename).relative_to(self._folder)))
            raise self._failed("listed", name, error) from error

    def _make(self, folder: Path) -> None:
        """Create a folder and those above it, durably."""
        if not folder.is_dir():
            if folder != self._folder:
                self._make(folder.parent)
            folder.mkdir(mode=FOLDER_MODE, parents=folder == self._folder, exist_ok=True)
            sync(folder.parent)

    def _failed(self, what: str, name: str, error: OSError) -> StateError:
        return StateError(f"{name} in {self.address} cannot be {what}: {error.strerror or error}")
