"""Server reflection: a gRPC server describes a service of its own (grpc/doc/server-reflection.md).

Each round of requests is one call over a fresh connection.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from services.prober.grpc.call import GrpcServer, call_unary
from services.prober.grpc.descriptors import (
    DescriptorError,
    Descriptors,
    MethodNotFoundError,
    file_request,
    reflected_files,
    symbol_request,
)
from services.prober.transport import Outbound, ProbeTrace

# Both versions have the same messages.
_PATHS: Final = tuple(
    f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo" for version in ("v1", "v1alpha")
)
_ANSWER_LIMIT: Final = 1 << 20
# How often imported files are requested that a server did not send along.
_ROUNDS: Final = 8


async def describe_service(service: str, server: GrpcServer, outbound: Outbound, trace: ProbeTrace) -> Descriptors:
    """Return how a server describes a service.

    Raises ProbeFailedError when no complete answer comes, MethodNotFoundError when the server does not know the service,
    and DescriptorError when it does not describe itself: that is no fault of what it serves.
    """
    for path in _PATHS:
        files = await _request(path, [symbol_request(service)], server, outbound, trace)
        if files is None:
            continue
        for _ in range(_ROUNDS):
            descriptors = Descriptors(files)
            if not descriptors.missing:
                return descriptors
            requests = [file_request(name) for name in sorted(descriptors.missing)]
            try:
                files += await _request(path, requests, server, outbound, trace) or []
            except MethodNotFoundError:
                break
        raise DescriptorError("the server's reflection is not complete: give descriptors")
    raise DescriptorError("the server offers no reflection: give descriptors")


async def _request(
    path: str, requests: Iterable[bytes], server: GrpcServer, outbound: Outbound, trace: ProbeTrace
) -> list[bytes] | None:
    """Return the files requested, None when the server has no reflection at this path."""
    result = await call_unary(server, path, requests, limit=_ANSWER_LIMIT, outbound=outbound, trace=trace)
    if result.code == "UNIMPLEMENTED":
        return None
    if result.code != "OK":
        raise DescriptorError(f"the server's reflection ends with {result.code}: give descriptors")
    return reflected_files(result.messages)
