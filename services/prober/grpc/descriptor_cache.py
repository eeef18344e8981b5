"""Descriptors in use: of files, read again when they have changed, and of servers that describe themselves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Final

from services.core.watched_files import WatchedFiles
from services.prober.grpc.descriptors import DescriptorError, Descriptors, read_descriptor_set

__all__ = ["DescriptorCache"]

# What a server has told of itself is asked for again after this many seconds.
_FRESH_SECONDS: Final = 300.0
_KEPT: Final = 1024

ServiceKey = tuple[str, int, bool, str]
"""Host, port, whether over TLS, and the name of a service."""


class DescriptorCache:
    """The descriptors in use, for all targets that share them."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._files: dict[Path, WatchedFiles[Descriptors]] = {}
        self._reflected: dict[ServiceKey, tuple[float, Descriptors]] = {}

    def __repr__(self) -> str:
        return f"<DescriptorCache of {len(self._files)} files and {len(self._reflected)} servers>"

    def of_file(self, reference: str) -> Descriptors:
        """Return the descriptors in ``file:PATH``, a FileDescriptorSet. Raises DescriptorError."""
        path = Path(reference.removeprefix("file:"))
        watched = self._files.get(path)
        if watched is None:
            watched = self._files[path] = WatchedFiles((path,), lambda: read_descriptor_set(path.read_bytes()))
        try:
            return watched.get()
        except OSError as error:
            raise DescriptorError(f"the descriptors in {path.name} cannot be read") from error

    def of_server(self, key: ServiceKey) -> Descriptors | None:
        """Return what a server has told of a service, however long ago."""
        known = self._reflected.get(key)
        return known and known[1]

    def is_stale(self, key: ServiceKey) -> bool:
        """Whether the server should be asked again when there is time."""
        known = self._reflected.get(key)
        return known is not None and known[0] <= self._clock()

    def keep(self, key: ServiceKey, descriptors: Descriptors) -> None:
        """Remember what a server has told; of too many, the one asked longest ago is forgotten."""
        self._reflected.pop(key, None)
        self._reflected[key] = (self._clock() + _FRESH_SECONDS, descriptors)
        if len(self._reflected) > _KEPT:
            del self._reflected[next(iter(self._reflected))]
