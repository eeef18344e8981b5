"""Asks servers to describe their services (grpc/doc/server-reflection.md), each time over a fresh connection."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from google.protobuf.message import DecodeError
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest, ServerReflectionResponse

from services.prober.grpc.call import GrpcServer, call_unary
from services.prober.grpc.descriptors import DescriptorError, MethodNotFoundError, missing_imports
from services.prober.transport import Outbound, ProbeTrace

# Both versions have the same messages.
_PATHS: Final = tuple(
    f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo" for version in ("v1", "v1alpha")
)
# The bytes and files that a server may send to describe a service. APIs that import many others have some 100 files.
_REFLECTED_LIMIT: Final = 1 << 20
_MAX_FILES: Final = 256
# The number of rounds that request imported files which a server did not send along.
_ROUNDS: Final = 8
_NOT_FOUND: Final = 5


async def describe_service(
    service: str, server: GrpcServer, outbound: Outbound, trace: ProbeTrace
) -> tuple[bytes, ...]:
    """Return the files by which a server describes a service, with all their imports except well-known ones.

    Raises ProbeFailedError when no complete answer comes and MethodNotFoundError when the server does not know the
    service. Raises DescriptorError when the server does not describe itself, which is no fault of the service.
    """
    for path in _PATHS:
        files = await _request(path, [ServerReflectionRequest(file_containing_symbol=service)], server, outbound, trace)
        if files is None:
            continue
        for _ in range(_ROUNDS):
            missing = missing_imports(files)
            if not missing:
                return tuple(files)
            if len(files) + len(missing) > _MAX_FILES:
                break
            requests = [ServerReflectionRequest(file_by_filename=name) for name in sorted(missing)]
            try:
                files += await _request(path, requests, server, outbound, trace) or []
            except MethodNotFoundError:
                break
            _check_size(files)
        raise DescriptorError("the server's reflection is not complete: give descriptors")
    raise DescriptorError("the server offers no reflection: give descriptors")


async def _request(
    path: str, requests: Iterable[ServerReflectionRequest], server: GrpcServer, outbound: Outbound, trace: ProbeTrace
) -> list[bytes] | None:
    """Return the requested files, None when the server has no reflection at this path."""
    messages = [request.SerializeToString() for request in requests]
    result = await call_unary(server, path, messages, limit=_REFLECTED_LIMIT, outbound=outbound, trace=trace)
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


def reflected_files(answers: Iterable[bytes]) -> list[bytes]:
    """Return the files in answers of reflection.

    Raises MethodNotFoundError when the server does not know the service, and DescriptorError.
    """
    files: list[bytes] = []
    for data in answers:
        try:
            answer = ServerReflectionResponse.FromString(data)
        except DecodeError as error:
            raise DescriptorError("the server's reflection cannot be read") from error
        if answer.HasField("error_response"):
            if answer.error_response.error_code == _NOT_FOUND:
                raise MethodNotFoundError("the server's reflection does not know the service")
            raise DescriptorError(f"the server's reflection fails with code {answer.error_response.error_code}")
        files += answer.file_descriptor_response.file_descriptor_proto
    return files
