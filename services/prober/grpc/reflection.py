"""Asking a gRPC server to describe a service of its own (grpc/doc/server-reflection.md).

Each question is a call of its own with all that is asked at once, over a fresh connection.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from services.prober.grpc.call import GrpcServer, call_unary
from services.prober.grpc.descriptors import (
    AbsentError,
    DescriptorError,
    Descriptors,
    file_question,
    reflected,
    symbol_question,
)
from services.prober.http import Answer
from services.prober.transport import Outbound, Trail

__all__ = ["describe"]

# Both versions have the same messages.
_PATHS: Final = tuple(
    f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo" for version in ("v1", "v1alpha")
)
_LIMIT: Final = 1 << 20
# A server that gives a file without those it imports is asked for them this many times.
_ROUNDS: Final = 8


async def describe(service: str, server: GrpcServer, outbound: Outbound, trail: Trail) -> Descriptors:
    """Return what a server tells of a service.

    Raises StoppedError when no whole answer comes, AbsentError when the server does not know the service, and
    DescriptorError when it does not describe itself: that is no fault of what it serves.
    """
    for path in _PATHS:
        files = await _ask(path, [symbol_question(service)], server, outbound, trail)
        if files is None:
            continue
        for _ in range(_ROUNDS):
            descriptors = Descriptors(files)
            if not descriptors.missing:
                return descriptors
            questions = [file_question(name) for name in sorted(descriptors.missing)]
            try:
                files += await _ask(path, questions, server, outbound, trail) or []
            except AbsentError:
                break
        raise DescriptorError("the server's reflection is not complete: give descriptors")
    raise DescriptorError("the server offers no reflection: give descriptors")


async def _ask(
    path: str, questions: Iterable[bytes], server: GrpcServer, outbound: Outbound, trail: Trail
) -> list[bytes] | None:
    """Return the files asked for, None when the server has no reflection at this path."""
    ended = await call_unary(server, path, questions, limit=_LIMIT, outbound=outbound, trail=trail, answer=Answer())
    if ended.code == "UNIMPLEMENTED":
        return None
    if ended.code != "OK":
        raise DescriptorError(f"the server's reflection ends with {ended.code}: give descriptors")
    return reflected(ended.messages)
