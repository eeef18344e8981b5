"""Descriptors in use: of files, read again when they have changed, and of servers with reflection."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Final

from services.core.watched_files import WatchedFiles
from services.prober.grpc.descriptors import DescriptorError, Descriptors, read_descriptor_set

# Reflection is repeated after this many seconds.
_FRESH_SECONDS: Final = 300.0
_MAX_SERVERS: Final = 1024

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
        """Return the reflected descriptors of a server's service, however old; None when there are none."""
        cached = self._reflected.get(key)
        return cached and cached[1]

    def is_stale(self, key: ServiceKey) -> bool:
        """Return whether reflection should be repeated when there is time."""
        cached = self._reflected.get(key)
        return cached is not None and cached[0] <= self._clock()

    def keep(self, key: ServiceKey, descriptors: Descriptors) -> None:
        """Cache reflected descriptors, in place of the oldest if there are too many."""
        self._reflected.pop(key, None)
        self._reflected[key] = (self._clock() + _FRESH_SECONDS, descriptors)
        if len(self._reflected) > _MAX_SERVERS:
            del self._reflected[next(iter(self._reflected))]
