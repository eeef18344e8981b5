"""Asking a gRPC server to describe a service of its own (grpc/doc/server-reflection.md).

Each question is a call of its own with all that is asked at once, over a fresh connection.
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
from services.prober.http import Answer
from services.prober.transport import Outbound, ProbeTrace

__all__ = ["describe_service"]

# Both versions have the same messages.
_PATHS: Final = tuple(
    f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo" for version in ("v1", "v1alpha")
)
_LIMIT: Final = 1 << 20
# A server that gives a file without those it imports is asked for them this many times.
_ROUNDS: Final = 8


async def describe_service(service: str, server: GrpcServer, outbound: Outbound, trace: ProbeTrace) -> Descriptors:
    """Return what a server tells of a service.

    Raises ProbeFailedError when no whole answer comes, MethodNotFoundError when the server does not know the service, and
    DescriptorError when it does not describe itself: that is no fault of what it serves.
    """
    for path in _PATHS:
        files = await _ask(path, [symbol_request(service)], server, outbound, trace)
        if files is None:
            continue
        for _ in range(_ROUNDS):
            descriptors = Descriptors(files)
            if not descriptors.missing:
                return descriptors
            questions = [file_request(name) for name in sorted(descriptors.missing)]
            try:
                files += await _ask(path, questions, server, outbound, trace) or []
            except MethodNotFoundError:
                break
        raise DescriptorError("the server's reflection is not complete: give descriptors")
    raise DescriptorError("the server offers no reflection: give descriptors")


async def _ask(
    path: str, questions: Iterable[bytes], server: GrpcServer, outbound: Outbound, trace: ProbeTrace
) -> list[bytes] | None:
    """Return the files asked for, None when the server has no reflection at this path."""
    ended = await call_unary(server, path, questions, limit=_LIMIT, outbound=outbound, trace=trace, answer=Answer())
    if ended.code == "UNIMPLEMENTED":
        return None
    if ended.code != "OK":
        raise DescriptorError(f"the server's reflection ends with {ended.code}: give descriptors")
    return reflected_files(ended.messages)
