"""Serves gRPC reflection in version v1, and in v1alpha, which many tools still use.

Tools such as grpcurl read it instead of our files. The two versions differ only in the name of their package, and the
library has only the older one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any

from google.protobuf import descriptor_pool, text_format
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_reflection.v1alpha import reflection, reflection_pb2

_OLDER = reflection_pb2.DESCRIPTOR


def _newer() -> FileDescriptor:
    file = FileDescriptorProto()
    _OLDER.CopyToProto(file)
    text_format.Parse(str(file).replace("v1alpha", "v1"), newer := FileDescriptorProto())
    found: FileDescriptor = descriptor_pool.Default().AddSerializedFile(newer.SerializeToString())
    return found


_SERVICES: tuple[Any, ...] = tuple(file.services_by_name["ServerReflection"] for file in (_OLDER, _newer()))


def reflection_services(names: Iterable[str]) -> Iterator[tuple[Any, object]]:
    """Yield the descriptor of each reflection service with its servicer; ``names`` are those of the other services."""
    every = (*names, *(service.full_name for service in _SERVICES))
    older = reflection.aio.ReflectionServicer(every, _Descriptors())
    return zip(_SERVICES, (older, _NewerServicer(older)), strict=True)


class _Descriptors:
    """The descriptors of this process, with the files of methods, which the descriptor pool does not find by name."""

    def __init__(self) -> None:
        self._pool: Any = descriptor_pool.Default()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)

    def FindFileContainingSymbol(self, symbol: str) -> Any:  # noqa: N802  # the name is protobuf's
        """Return the file with a symbol of any kind. Raises KeyError when there is none."""
        try:
            return self._pool.FindFileContainingSymbol(symbol)
        except KeyError:
            service, _, method = symbol.rpartition(".")
            return self._pool.FindServiceByName(service).methods_by_name[method].containing_service.file


class _NewerServicer:
    """Answers as the older servicer does: the messages of both versions are the same bytes."""

    def __init__(self, older: Any) -> None:
        self._older = older

    async def server_reflection_info(self, requests: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
        """Answer one request after another."""
        read = reflection_pb2.ServerReflectionRequest.FromString
        older = (read(request.SerializeToString()) async for request in requests)
        async for answer in self._older.ServerReflectionInfo(older, context):
            yield answer
