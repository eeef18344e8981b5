"""Caches descriptors: those of files, which are read again when they change, and those of servers with reflection."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Final

from services.core.watched_files import WatchedFiles
from services.prober.grpc.descriptors import Descriptors, read_descriptor_set
from services.prober.secrets import ANYTHING, RECHECK_SECONDS, MissingSecretError, References

# Descriptor sets of large APIs take some MB.
_FILE_LIMIT: Final = 16 << 20
# Seconds after which reflection is repeated.
_FRESH_SECONDS: Final = 300.0
_MAX_SERVERS: Final = 1024

ServiceKey = tuple[str, int, bool, str]
"""Host, port, whether over TLS, and the name of a service."""


class DescriptorCache:
    """The descriptors in use, shared by all targets that need the same ones."""

    def __init__(self, references: References = ANYTHING, clock: Callable[[], float] = monotonic) -> None:
        self._references = references
        self._clock = clock
        self._files: dict[Path, WatchedFiles[Descriptors]] = {}
        self._reflected: dict[ServiceKey, tuple[float, Descriptors]] = {}

    def of_file(self, reference: str) -> Descriptors:
        """Return the descriptors in ``file:PATH``, a FileDescriptorSet.

        Raises MissingSecretError and DescriptorError.
        """
        path = Path(reference.removeprefix("file:"))
        watched = self._files.get(path)
        if watched is None:
            watched = self._files[path] = WatchedFiles(
                (path,),
                lambda: read_descriptor_set(self._references.read(path, _FILE_LIMIT)),
                interval=RECHECK_SECONDS,
                clock=self._clock,
            )
        try:
            return watched.get()
        except OSError as error:
            raise MissingSecretError(f"the descriptors in {path.name} cannot be read: {error.strerror}") from error

    def of_server(self, key: ServiceKey) -> Descriptors | None:
        """Return the reflected descriptors of a server's service, however old; None when there are none."""
        cached = self._reflected.get(key)
        return cached and cached[1]

    def is_stale(self, key: ServiceKey) -> bool:
        """Return whether reflection should be repeated when there is time."""
        cached = self._reflected.get(key)
        return cached is not None and cached[0] <= self._clock()

    def keep(self, key: ServiceKey, descriptors: Descriptors) -> None:
        """Cache reflected descriptors. If there are too many, they replace the oldest."""
        self._reflected.pop(key, None)
        self._reflected[key] = (self._clock() + _FRESH_SECONDS, descriptors)
        if len(self._reflected) > _MAX_SERVERS:
            del self._reflected[next(iter(self._reflected))]
