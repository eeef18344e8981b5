"""Caches descriptors: those of files, which are read again when they change, and those of servers with reflection.

Source: grpc/doc/server-reflection.md. Each round of reflection requests is one call over a fresh connection.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from time import monotonic
from typing import Final

from services.core.watched_files import WatchedFiles
from services.prober.grpc.call import GrpcServer, call_unary
from services.prober.grpc.descriptors import (
    DescriptorError,
    Descriptors,
    MethodNotFoundError,
    missing_imports,
    read_descriptor_set,
    reflected_files,
    reflection_request,
)
from services.prober.secrets import ANYTHING, RECHECK_SECONDS, MissingSecretError, References
from services.prober.transport import Outbound, ProbeTrace

# Both versions have the same messages.
_PATHS: Final = tuple(
    f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo" for version in ("v1", "v1alpha")
)
# The bytes and files that a server may send to describe a service. APIs that import many others have some 100 files.
_REFLECTED_LIMIT: Final = 1 << 20
_MAX_FILES: Final = 256
# Descriptor sets of large APIs take some MB.
_FILE_LIMIT: Final = 16 << 20
# The number of rounds that request imported files which a server did not send along.
_ROUNDS: Final = 8


async def describe_service(
    service: str, server: GrpcServer, outbound: Outbound, trace: ProbeTrace
) -> tuple[bytes, ...]:
    """Return the files by which a server describes a service, with all their imports except well-known ones.

    Raises ProbeFailedError when no complete answer comes and MethodNotFoundError when the server does not know the
    service. Raises DescriptorError when the server does not describe itself, which is no fault of the service.
    """
    for path in _PATHS:
        files = await _request(path, [reflection_request(symbol=service)], server, outbound, trace)
        if files is None:
            continue
        for _ in range(_ROUNDS):
            missing = missing_imports(files)
            if not missing:
                return tuple(files)
            if len(files) + len(missing) > _MAX_FILES:
                break
            requests = [reflection_request(file=name) for name in sorted(missing)]
            try:
                files += await _request(path, requests, server, outbound, trace) or []
            except MethodNotFoundError:
                break
            _check_size(files)
        raise DescriptorError("the server's reflection is not complete: give descriptors")
    raise DescriptorError("the server offers no reflection: give descriptors")


async def _request(
    path: str, requests: Iterable[bytes], server: GrpcServer, outbound: Outbound, trace: ProbeTrace
) -> list[bytes] | None:
    """Return the requested files, None when the server has no reflection at this path."""
    result = await call_unary(server, path, requests, limit=_REFLECTED_LIMIT, outbound=outbound, trace=trace)
    if result.code == "UNIMPLEMENTED":
        return None
    if result.code != "OK":
        raise DescriptorError(f"the server's reflection ends with {result.code}: give descriptors")
    files = reflected_files(result.messages)
    _check_size(files)
    return files


def _check_size(files: list[bytes]) -> None:
    if len(files) > _MAX_FILES or sum(map(len, files)) > _REFLECTED_LIMIT:
        raise DescriptorError("the server's reflection is too large: give descriptors")


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
