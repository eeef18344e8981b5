"""Reflection for tools, in both of its versions."""

from __future__ import annotations

import grpc
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_reflection.v1alpha import reflection_pb2

from services.api.component import SERVICE_NAMES
from tests.support.waiting import DEADLINE

VERSIONS = ("v1", "v1alpha")


@pytest.fixture(params=VERSIONS)
async def ask(api, request):
    """Ask one version of the service; the messages are the same bytes in both."""
    call = api.channel.stream_stream(
        f"/grpc.reflection.{request.param}.ServerReflection/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )(timeout=DEADLINE)

    async def answer(**question):
        await call.write(reflection_pb2.ServerReflectionRequest(**question))
        return await call.read()

    yield answer
    await call.done_writing()
    assert await call.code() is grpc.StatusCode.OK


async def test_every_service_is_listed(ask):
    """The list has the api's services, health and both versions of reflection."""
    listed = (await ask(list_services="*")).list_services_response.service
    reflections = {f"grpc.reflection.{version}.ServerReflection" for version in VERSIONS}
    assert {one.name for one in listed} == {*SERVICE_NAMES, "grpc.health.v1.Health", *reflections}


@pytest.mark.parametrize(
    ("symbol", "file"),
    [
        ("peyvand.v1.IndicatorService", "peyvand/v1/indicator_service.proto"),
        ("peyvand.v1.IndicatorService.GetLink", "peyvand/v1/indicator_service.proto"),
        ("peyvand.v1.Indicator", "peyvand/v1/indicator.proto"),
        ("peyvand.v1.Indicator.point", "peyvand/v1/indicator.proto"),
        ("peyvand.v1.OUTCOME_OK", "peyvand/v1/outcome.proto"),
        ("grpc.reflection.v1.ServerReflection", "grpc_reflection/v1/reflection.proto"),
        ("grpc.reflection.v1alpha.ServerReflection", "grpc_reflection/v1alpha/reflection.proto"),
    ],
)
async def test_a_symbol_of_every_kind_is_found(ask, symbol, file):
    """Services, methods, messages, fields and values of enums are found by their names, with the file that has them."""
    answer = await ask(file_containing_symbol=symbol)
    first = FileDescriptorProto.FromString(answer.file_descriptor_response.file_descriptor_proto[0])
    assert first.name == file
    assert answer.original_request.file_containing_symbol == symbol


@pytest.mark.parametrize("symbol", ["peyvand.v1.IndicatorService.Nothing", "peyvand.v1.Nothing.GetLink", "nothing", ""])
async def test_what_is_not_there_is_not_found(ask, symbol):
    """An unknown name is answered with NOT_FOUND, and the stream continues."""
    for _ in range(2):
        answer = await ask(file_containing_symbol=symbol)
        assert answer.error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0]
