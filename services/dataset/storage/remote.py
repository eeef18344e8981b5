"""Stores a dataset at any address that fsspec knows. Object stores write a whole object or nothing."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import fsspec

from services.core.errors import StateError
from services.dataset.storage.storage import Storage

_REFUSED = (OSError, ValueError, ImportError)  # for bad addresses, and for missing packages


class RemoteStorage(Storage):
    """Files below an address such as ``s3://bucket/path``."""

    one_writer = False

    def __init__(self, address: str) -> None:
        """Raises StateError for an address that fsspec does not know."""
        self.address = address
        try:
            self._files, root = fsspec.core.url_to_fs(address)
        except _REFUSED as error:
            raise StateError(f"{address} cannot be opened: {error}") from error
        self._root = root.rstrip("/")

    def names(self, folder: str = "") -> list[str]:
        """Return the names of all files below a folder, sorted."""
        place = f"{self._root}/{folder}".rstrip("/")
        self._files.invalidate_cache()
        found: list[str] = self._do("listed", folder, lambda: self._files.find(place))
        return sorted(name.removeprefix(self._root).lstrip("/") for name in found)

    def read(self, name: str) -> bytes:
        """Return a file's content."""
        content: bytes = self._do("read", name, lambda: self._files.cat_file(self._path(name)))
        return content

    def write(self, name: str, content: bytes) -> None:
        """Write a whole file, or replace one."""
        self._do("written", name, lambda: self._files.pipe_file(self._path(name), content))

    def create(self, name: str, content: bytes) -> bool:
        """Write a whole file under the condition that there is none. A store that knows no conditions is asked before."""
        try:
            self._files.pipe_file(self._path(name), content, mode="create")
        except Exception:  # noqa: BLE001 - it is there, the store knows no conditions, or its answer was lost
            return super().create(name, content)
        return True

    def remove(self, name: str) -> None:
        """Remove a file."""

        def removed() -> None:
            with suppress(FileNotFoundError):
                self._files.rm_file(self._path(name))

        self._do("removed", name, removed)

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _do(self, what: str, name: str, work: Any) -> Any:
        try:
            return work()
        except Exception as error:  # each file system and the library below it have their own errors
            raise StateError(f"{name} in {self.address} cannot be {what}: {error}") from error
