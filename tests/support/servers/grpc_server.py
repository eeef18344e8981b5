"""Real gRPC servers on loopback: IndicatorService, health and reflection, plain and over TLS."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import grpc
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import FileDescriptor
from grpc_health.v1 import health_pb2_grpc
from grpc_health.v1.health import aio as health
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.reflection import aio as reflection

from peyvand.v1 import indicator_service_pb2, indicator_service_pb2_grpc
from peyvand.v1.indicator_service_pb2 import GetLinkRequest, GetLinkResponse

__all__ = ["CALL", "GrpcHandler", "GrpcServer", "descriptor_set", "ends", "grpc_serving"]

SERVICE = "peyvand.v1.IndicatorService"
CALL = f"{SERVICE}/GetLink"

GrpcHandler = Callable[[GetLinkRequest, Any], Awaitable[GetLinkResponse]]


@dataclass
class GrpcServer:
    """A running server: its port, the requests with their metadata, and the reflection requests."""

    port: int
    secure: bool
    requests: list[GetLinkRequest] = field(default_factory=list)
    pairs: list[tuple[tuple[str, Any], ...]] = field(default_factory=list)
    left: list[float] = field(default_factory=list)
    described: list[str] = field(default_factory=list)

    @property
    def metadata(self) -> list[dict[str, Any]]:
        """The metadata of each request, the last value of each name."""
        return [dict(pairs) for pairs in self.pairs]

    @property
    def target(self) -> str:
        return f"{'grpcs' if self.secure else 'grpc'}://127.0.0.1:{self.port}"


def ends(code: grpc.StatusCode) -> GrpcHandler:
    """A handler that ends every call with this code."""

    async def handle(_: GetLinkRequest, context: Any) -> GetLinkResponse:
        await context.abort(code, "because of s3cr3t")
        raise AssertionError

    return handle


async def _echo(request: GetLinkRequest, _: Any) -> GetLinkResponse:
    answer = GetLinkResponse()
    answer.link.link.id = request.link
    return answer


class _Indicators(indicator_service_pb2_grpc.IndicatorServiceServicer):
    def __init__(self, server: GrpcServer, handler: GrpcHandler) -> None:
        self.server = server
        self.handler = handler

    async def GetLink(self, request: GetLinkRequest, context: Any) -> GetLinkResponse:  # noqa: N802
        self.server.requests.append(request)
        self.server.pairs.append(tuple(context.invocation_metadata()))
        self.server.left.append(context.time_remaining())
        return await self.handler(request, context)


class _Sparing(reflection.ReflectionServicer):
    """Reflection that returns the requested file without its imports."""

    async def ServerReflectionInfo(self, requests: Any, context: Any) -> Any:  # noqa: N802
        answers: Any = super().ServerReflectionInfo(requests, context)
        async for answer in answers:
            del answer.file_descriptor_response.file_descriptor_proto[1:]
            yield answer


def _describing(server: GrpcServer, version: str, *, sparing: bool) -> grpc.GenericRpcHandler:
    """Return a handler for reflection of this version. Both versions have the same messages."""
    servicer = (_Sparing if sparing else reflection.ReflectionServicer)((SERVICE, "grpc.health.v1.Health"))

    async def describe(requests: Any, context: Any) -> AsyncIterator[Any]:
        server.described.append(version)
        answers: Any = servicer.ServerReflectionInfo(requests, context)
        async for answer in answers:
            yield answer

    handler = grpc.stream_stream_rpc_method_handler(
        describe,
        request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
        response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    return grpc.method_handlers_generic_handler(
        f"grpc.reflection.{version}.ServerReflection", {"ServerReflectionInfo": handler}
    )


@asynccontextmanager
async def grpc_serving(
    handler: GrpcHandler = _echo,
    *,
    serving: Mapping[str, int] | None = None,
    reflects: str = "",
    sparing: bool = False,
    pem: Path | None = None,
    client_ca: Path | None = None,
    compression: grpc.Compression | None = None,
    port: int = 0,
) -> AsyncIterator[GrpcServer]:
    """Run a gRPC server. ``serving`` are statuses of its health check, ``reflects`` the version of its reflection."""
    listener = grpc.aio.server(compression=compression)
    if pem is None:
        port = listener.add_insecure_port(f"127.0.0.1:{port}")
    else:
        own = pem.read_bytes()
        known = client_ca.read_bytes() if client_ca else None
        port = listener.add_secure_port(
            f"127.0.0.1:{port}", grpc.ssl_server_credentials([(own, own)], known, client_ca is not None)
        )
    server = GrpcServer(port, pem is not None)
    indicator_service_pb2_grpc.add_IndicatorServiceServicer_to_server(cast(Any, _Indicators)(server, handler), listener)
    if serving is not None:
        servicer = health.HealthServicer()
        for service, status in serving.items():
            await servicer.set(service, status)
        health_pb2_grpc.add_HealthServicer_to_server(servicer, listener)
    if reflects:
        listener.add_generic_rpc_handlers((_describing(server, reflects, sparing=sparing),))
    await listener.start()
    try:
        yield server
    finally:
        await listener.stop(None)


def descriptor_set(path: Path, *, imports: bool = True) -> str:
    """Return ``file:PATH`` of the descriptors of IndicatorService, with all files that they import."""
    found: dict[str, FileDescriptor] = {}

    def collect(file: FileDescriptor) -> None:
        if file.name not in found:
            found[file.name] = file
            for dependency in file.dependencies if imports else ():
                collect(dependency)

    collect(indicator_service_pb2.DESCRIPTOR)
    files = descriptor_pb2.FileDescriptorSet()
    for file in found.values():
        file.CopyToProto(files.file.add())
    path.write_bytes(files.SerializeToString())
    return f"file:{path}"
