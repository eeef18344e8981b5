"""Every answer of an api over gRPC as bytes, for tests that search them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message

from peyvand.v1 import indicator_pb2, register_service_pb2
from peyvand.v1 import indicator_service_pb2 as asked
from tests.support.forked import ForkedProcess
from tests.support.nats import Nats
from tests.support.ports import free_port
from tests.support.waiting import DEADLINE

__all__ = ["api", "every_answer"]

_KINDS = indicator_pb2.IndicatorKind


def requests_by_method(link: str, service: str, agency: str, window: int) -> dict[str, list[Message]]:
    """Return requests by RPC: at least one for each of these entities, and some that are rejected with a message."""
    whom = {"consumer": agency, "provider": agency, "service": service, "link": link, "government": "", "sector": "x"}
    named = [(_KINDS.Value(f"INDICATOR_KIND_{kind.upper()}"), name) for kind, name in whom.items()]
    some: dict[str, Any] = {"window_days": window}
    return {
        "GetIndicator": [asked.GetIndicatorRequest(kind=kind, id=name, **some) for kind, name in named],
        "ListIndicators": [asked.ListIndicatorsRequest(kind=kind, **some) for kind, _ in named],
        "ExplainIndicator": [asked.ExplainIndicatorRequest(kind=kind, id=name, **some) for kind, name in named],
        "GetHistory": [asked.GetHistoryRequest(kind=kind, id=name, **some) for kind, name in named],
        "WatchIndicators": [asked.WatchIndicatorsRequest(kind=kind, **some) for kind, _ in named],
        "GetStructure": [asked.GetStructureRequest(**some)],
        "ListLinks": [asked.ListLinksRequest(finding=finding, **some) for finding in asked.LinkFinding.values()],
        "GetLink": [asked.GetLinkRequest(link=link, **some), asked.GetLinkRequest(link="no-such-link", **some)],
        "GetAgency": [asked.GetAgencyRequest(agency=name, links=1000, **some) for name in (agency, "no-such-agency")],
        "TabulateIndicators": [
            asked.TabulateIndicatorsRequest(attribute=attribute, **some)
            for attribute in asked.TabulatedAttribute.values()
        ],
        "GetTraffic": [asked.GetTrafficRequest(**some), asked.GetTrafficRequest(window_days=5)],
        "ListPairs": [asked.ListPairsRequest(level=level, **some) for level in asked.PairLevel.values()],
        "ListFindings": [
            asked.ListFindingsRequest(ended=True),
            asked.ListFindingsRequest(link=link),
            asked.ListFindingsRequest(agency=agency),
        ],
        "GetMonitoring": [asked.GetMonitoringRequest()],
        "GetRegister": [register_service_pb2.GetRegisterRequest()],
        "ListAgencies": [register_service_pb2.ListAgenciesRequest()],
        "ListServices": [register_service_pb2.ListServicesRequest()],
        "ListEvaluationRounds": [register_service_pb2.ListEvaluationRoundsRequest()],
        "ListFrozenRounds": [register_service_pb2.ListFrozenRoundsRequest()],
        "ListAnnouncements": [register_service_pb2.ListAnnouncementsRequest()],
        "ListObjections": [register_service_pb2.ListObjectionsRequest()],
        "ListMaintenance": [register_service_pb2.ListMaintenanceRequest()],
        "Search": [register_service_pb2.SearchRequest(query=word) for word in (agency, service, link, "a")],
    }


async def every_answer(address: str, *, link: str, service: str, agency: str, window: int) -> list[tuple[str, bytes]]:
    """Call every RPC of the api. Return the name of each call with its answer, or with its error and details."""
    requests = requests_by_method(link, service, agency, window)
    services = [
        *asked.DESCRIPTOR.services_by_name.values(),
        *register_service_pb2.DESCRIPTOR.services_by_name.values(),
    ]
    async with grpc.aio.insecure_channel(address) as channel:
        return [
            (method.name, await _answer(channel, method, request))
            for one in services
            for method in one.methods
            for request in requests[method.name]
        ]


async def _answer(channel: grpc.aio.Channel, method: MethodDescriptor, request: Message) -> bytes:
    way, body = f"/{method.containing_service.full_name}/{method.name}", request.SerializeToString()
    try:
        if method.server_streaming:
            stream: Any = channel.unary_stream(way)
            call = stream(body, timeout=DEADLINE)
            first: bytes = await call.read()
            call.cancel()
            return first
        unary: Any = channel.unary_unary(way)
        return bytes(await unary(body, timeout=DEADLINE))
    except grpc.aio.AioRpcError as error:
        return f"{error.code()} {error.details()} {error.trailing_metadata()}".encode()


@contextmanager
def api(nats: Nats, log: Path, *more: str) -> Iterator[str]:
    """Run an api process on a test's bus, with its log and ``more`` flags. Yields its address before it listens."""
    listen = f"127.0.0.1:{free_port()}"
    flags = ["--nats", nats.url, "--credentials", str(nats.credentials), "--listen", listen, *more]
    process = ForkedProcess("services.api", *flags, "--metrics", f"127.0.0.1:{free_port()}", stdout=log)
    try:
        yield listen
    finally:
        process.kill()
        process.wait()
