"""Converts JSON to the request messages of gRPC methods, and answer messages to JSON, by descriptors.

The messages of other parties' services are known only by descriptors. JSON is protobuf's own mapping, with field names
as in the .proto file. Fields without presence are always written, 64-bit numbers are texts, and bytes are base64.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from importlib import import_module
from pkgutil import iter_modules
from typing import Final

import google.protobuf
import orjson
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from google.protobuf.descriptor_pool import Default, DescriptorPool
from google.protobuf.json_format import Error, MessageToDict, Parse
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from services.prober.grpc.answer_cost import decoded_at_once
from services.prober.secrets import UnusableError

_WELL_KNOWN: Final[Mapping[str, FileDescriptorProto]] = {
    descriptor.name: FileDescriptorProto.FromString(descriptor.serialized_pb)
    for descriptor in (
        import_module(f"google.protobuf.{module.name}").DESCRIPTOR
        for module in iter_modules(google.protobuf.__path__)
        if module.name.endswith("_pb2")
    )
}
_FIELD = re.compile(r'no field named "(\w+)"|[Ff]ailed to parse (\w+) field')


class DescriptorError(UnusableError):
    """Descriptors or a method that cannot be used; the message holds no values."""


class MethodNotFoundError(DescriptorError):
    """The descriptors, or the server's reflection, lack the method."""


class GrpcAnswerError(ValueError):
    """An answer that is not a message of its type."""


@dataclass(frozen=True, slots=True)
class GrpcMethod:
    """A unary method: its path in HTTP/2, the types of request and answer, and the files that describe it.

    Answers of up to ``at_once`` bytes are decoded in the loop.
    """

    path: str
    input: type[Message] = field(repr=False)
    output: type[Message] = field(repr=False)
    pool: DescriptorPool = field(repr=False, default_factory=Default)
    files: tuple[bytes, ...] = field(repr=False, default=())
    at_once: int = field(init=False)

    def __post_init__(self) -> None:
        """Estimate what decoding an answer costs."""
        object.__setattr__(self, "at_once", decoded_at_once(self.output))

    def request(self, text: str) -> bytes:
        """Return the message that a JSON text describes, an empty message for no text. Raises UnusableError."""
        message, name = self.input(), self.input.DESCRIPTOR.full_name
        try:
            Parse(text or "{}", message, descriptor_pool=self.pool)
            return message.SerializeToString()
        except (Error, DecodeError, TypeError, ValueError) as error:
            # The library's text may hold values, which may be personal data. The names of fields are not.
            match = _FIELD.search(str(error)) if text.lstrip().startswith("{") else None
            where = f": its field `{match[1] or match[2]}`" if match else ""
            raise UnusableError(f"the body is not JSON that fits {name}{where}") from error

    def answer(self, data: bytes) -> bytes:
        """Return a message of the answer as JSON. Raises GrpcAnswerError."""
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
        except (Error, TypeError, ValueError, KeyError, AttributeError, RecursionError) as error:
            raise GrpcAnswerError(f"the answer's {name} cannot be expressed in JSON") from error


HEALTH_CHECK: Final = GrpcMethod(
    "/grpc.health.v1.Health/Check",
    HealthCheckRequest,
    HealthCheckResponse,
    files=(HealthCheckResponse.DESCRIPTOR.file.serialized_pb,),
)
"""The health check of every gRPC server; its request is ``{"service": …}``, its answer ``{"status": …}``."""


class Descriptors:
    """The services of .proto files. Each file is serialised as FileDescriptorProto; their order does not matter.

    The well-known types of protobuf may be missing. Raises DescriptorError.
    """

    def __init__(self, files: Iterable[bytes]) -> None:
        self._files = tuple(files)
        self._methods: dict[str, GrpcMethod] = {}
        protos = {proto.name: proto for proto in map(_read_file, self._files)}
        #: Files that are imported but missing.
        self.missing = set[str]()
        imported = [name for proto in protos.values() for name in proto.dependency]
        while imported:
            name = imported.pop()
            if name in protos:
                continue
            if name in _WELL_KNOWN:
                protos[name] = _WELL_KNOWN[name]
                imported += protos[name].dependency
            else:
                self.missing.add(name)
        self._pool = DescriptorPool() if self.missing else _pool(protos)

    def method(self, call: str) -> GrpcMethod:
        """Return the method ``package.Service/Method``.

        Raises MethodNotFoundError, and DescriptorError for a streaming method.
        """
        if call not in self._methods:
            self._methods[call] = self._method(call)
        return self._methods[call]

    def _method(self, call: str) -> GrpcMethod:
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
            f"/{call}", GetMessageClass(method.input_type), GetMessageClass(method.output_type), self._pool, self._files
        )


def _pool(protos: Mapping[str, FileDescriptorProto]) -> DescriptorPool:
    pool = DescriptorPool()
    try:
        for name in TopologicalSorter({name: proto.dependency for name, proto in protos.items()}).static_order():
            pool.AddSerializedFile(protos[name].SerializeToString())
    except (CycleError, TypeError, ValueError) as error:
        raise DescriptorError("the descriptors do not fit together") from error
    return pool


def _read_file(data: bytes) -> FileDescriptorProto:
    try:
        return FileDescriptorProto.FromString(data)
    except DecodeError as error:
        raise DescriptorError("the descriptors cannot be read") from error


def missing_imports(files: Iterable[bytes]) -> frozenset[str]:
    """Return the names of the imports of these files, except themselves and well-known ones. Raises DescriptorError."""
    protos = list(map(_read_file, files))
    named = {name for proto in protos for name in proto.dependency}
    return frozenset(named - {proto.name for proto in protos} - _WELL_KNOWN.keys())


def read_descriptor_set(data: bytes) -> Descriptors:
    """Read a FileDescriptorSet as `protoc --include_imports --descriptor_set_out` writes it. Raises DescriptorError."""
    try:
        files = FileDescriptorSet.FromString(data).file
    except DecodeError as error:
        raise DescriptorError("the file is not a descriptor set") from error
    return Descriptors(file.SerializeToString() for file in files)
