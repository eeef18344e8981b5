"""Methods of gRPC services as descriptors describe them: JSON to the message that is asked, the answer's message to JSON.

The one module of the prober that speaks protobuf: messages of other parties' services are known only by descriptors.
JSON is protobuf's own mapping with field names as in the .proto file, fields without presence always there: 64-bit
numbers are texts, bytes are base64.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from types import ModuleType
from typing import Final

import orjson
from google.protobuf import (
    any_pb2,
    api_pb2,
    descriptor_pb2,
    duration_pb2,
    empty_pb2,
    field_mask_pb2,
    source_context_pb2,
    struct_pb2,
    timestamp_pb2,
    type_pb2,
    wrappers_pb2,
)
from google.protobuf.descriptor_pool import Default, DescriptorPool
from google.protobuf.json_format import Error, MessageToDict, Parse
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest, ServerReflectionResponse

from services.prober.errors import UnusableError

__all__ = [
    "HEALTH_CHECK",
    "DescriptorError",
    "Descriptors",
    "GrpcAnswerError",
    "GrpcMethod",
    "MethodNotFoundError",
    "file_request",
    "read_descriptor_set",
    "reflected_files",
    "symbol_request",
]

_NOT_FOUND: Final = 5
_MODULES: tuple[ModuleType, ...] = (
    any_pb2,
    api_pb2,
    descriptor_pb2,
    duration_pb2,
    empty_pb2,
    field_mask_pb2,
    source_context_pb2,
    struct_pb2,
    timestamp_pb2,
    type_pb2,
    wrappers_pb2,
)
_WELL_KNOWN: Final[Mapping[str, descriptor_pb2.FileDescriptorProto]] = {
    module.DESCRIPTOR.name: descriptor_pb2.FileDescriptorProto.FromString(module.DESCRIPTOR.serialized_pb)
    for module in _MODULES
}
_FIELD = re.compile(r'no field named "(\w+)"|[Ff]ailed to parse (\w+) field')


class DescriptorError(UnusableError):
    """Descriptors, a method or a request that cannot be used; the message holds no values."""


class MethodNotFoundError(DescriptorError):
    """The descriptors have no such method."""


class GrpcAnswerError(ValueError):
    """An answer that is not a message of its type."""


@dataclass(frozen=True, slots=True)
class GrpcMethod:
    """A unary method: its path in HTTP/2, and the types of what is asked and answered."""

    path: str
    input: type[Message] = field(repr=False)
    output: type[Message] = field(repr=False)
    pool: DescriptorPool = field(repr=False, default_factory=Default)

    def request(self, text: str) -> bytes:
        """Return the message that a JSON text says, empty for an empty one. Raises DescriptorError."""
        message, name = self.input(), self.input.DESCRIPTOR.full_name
        try:
            Parse(text or "{}", message, descriptor_pool=self.pool)
            return message.SerializeToString()
        except (Error, DecodeError, TypeError, ValueError) as error:
            # What protobuf says may hold values, which may be personal; the names of an object's fields are none.
            found = _FIELD.search(str(error)) if text.lstrip().startswith("{") else None
            where = f": its field `{found[1] or found[2]}`" if found else ""
            raise DescriptorError(f"the body is not JSON that fits {name}{where}") from error

    def answer(self, data: bytes) -> bytes:
        """Return a message of the answer as JSON. Raises AnswerError."""
        name = self.output.DESCRIPTOR.full_name
        message = self.output()
        try:
            message.ParseFromString(data)
        except DecodeError as error:
            raise GrpcAnswerError(f"the answer is not a {name}") from error
        try:
            return orjson.dumps(
                MessageToDict(
                    message,
                    preserving_proto_field_name=True,
                    always_print_fields_with_no_presence=True,
                    descriptor_pool=self.pool,
                )
            )
        except (Error, TypeError, ValueError, KeyError, AttributeError) as error:
            raise GrpcAnswerError(f"the answer holds in {name} what has no form in JSON") from error


HEALTH_CHECK: Final = GrpcMethod("/grpc.health.v1.Health/Check", HealthCheckRequest, HealthCheckResponse)
"""The health check of every gRPC server; its request is ``{"service": …}``, its answer ``{"status": …}``."""


class Descriptors:
    """The services and messages of .proto files, each serialized as FileDescriptorProto, in any order.

    The well-known types of protobuf need not be among them. Raises DescriptorError.
    """

    def __init__(self, files: Iterable[bytes]) -> None:
        protos = {proto.name: proto for proto in map(_read_file, files)}
        missing: set[str] = set()
        asked = [name for proto in protos.values() for name in proto.dependency]
        while asked:
            name = asked.pop()
            if name in protos:
                continue
            if name in _WELL_KNOWN:
                protos[name] = _WELL_KNOWN[name]
                asked += protos[name].dependency
            else:
                missing.add(name)
        #: Files that are imported and not there.
        self.missing = frozenset(missing)
        self._pool = DescriptorPool() if missing else _pool(protos)

    def method(self, call: str) -> GrpcMethod:
        """Return the method called ``package.Service/Method``. Raises MethodNotFoundError, and DescriptorError when it streams."""
        if self.missing:
            raise DescriptorError(f"the descriptors lack {min(self.missing)}, which they import")
        service, _, name = call.partition("/")
        try:
            method = self._pool.FindServiceByName(service).methods_by_name[name]
        except KeyError as error:
            raise MethodNotFoundError(f"the descriptors have no method {call}") from error
        if method.client_streaming or method.server_streaming:
            raise DescriptorError(f"{call} is a streaming method: only unary ones can be probed")
        return GrpcMethod(
            f"/{call}", GetMessageClass(method.input_type), GetMessageClass(method.output_type), self._pool
        )


def _pool(protos: Mapping[str, descriptor_pb2.FileDescriptorProto]) -> DescriptorPool:
    pool = DescriptorPool()
    try:
        for name in TopologicalSorter({name: proto.dependency for name, proto in protos.items()}).static_order():
            pool.AddSerializedFile(protos[name].SerializeToString())
    except (CycleError, TypeError, ValueError) as error:
        raise DescriptorError("the descriptors do not fit together") from error
    return pool


def _read_file(data: bytes) -> descriptor_pb2.FileDescriptorProto:
    try:
        return descriptor_pb2.FileDescriptorProto.FromString(data)
    except DecodeError as error:
        raise DescriptorError("the descriptors cannot be read") from error


def read_descriptor_set(data: bytes) -> Descriptors:
    """Read a FileDescriptorSet, as `protoc --include_imports --descriptor_set_out` writes it. Raises DescriptorError."""
    try:
        files = descriptor_pb2.FileDescriptorSet.FromString(data).file
    except DecodeError as error:
        raise DescriptorError("the file is not a descriptor set") from error
    return Descriptors(file.SerializeToString() for file in files)


def symbol_request(symbol: str) -> bytes:
    """Return the message that asks server reflection for the file that declares a symbol, and what it imports."""
    return ServerReflectionRequest(file_containing_symbol=symbol).SerializeToString()


def file_request(name: str) -> bytes:
    """Return the message that asks server reflection for a file."""
    return ServerReflectionRequest(file_by_filename=name).SerializeToString()


def reflected_files(answers: Iterable[bytes]) -> list[bytes]:
    """Return the files in the answers of server reflection. Raises MethodNotFoundError when it knows none, DescriptorError."""
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
