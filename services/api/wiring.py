"""The API services over one state."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import grpc
from prometheus_client import CollectorRegistry

from peyvand.v1 import indicator_service_pb2, register_service_pb2
from services.api.access import UNRESTRICTED, AccessControl, Caller
from services.api.answers import EvidenceReader, HistoryReader, LinkAnswers
from services.api.metrics import ReadModelMetrics
from services.api.model import ReadModel, WatchHub
from services.api.rpc import Context, IndicatorServicer, RegisterServicer, RequestMetrics, service_handlers
from services.core import metrics
from services.core.bus import INDICATOR_BUCKET, INDICATORS, Bus, StoredMessage
from services.core.errors import BusError
from services.core.log import Logger

_INDICATORS = indicator_service_pb2.DESCRIPTOR.services_by_name["IndicatorService"]
_REGISTER = register_service_pb2.DESCRIPTOR.services_by_name["RegisterService"]

SERVICE_NAMES = (_INDICATORS.full_name, _REGISTER.full_name)
"""The full names of the API services."""


class ServerState:
    """What the servicers share: the read model, its watches, and the bus once it is connected.

    Its methods raise BusError when the bus does not answer.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.model = ReadModel()
        registry.register(ReadModelMetrics(self.model))
        self.hub = WatchHub(metrics.gauge("peyvand_api_watchers", registry))
        self.bus: Bus | None = None

    async def read_value(self, key: str) -> bytes | None:
        """Return a value of bucket `indicator`, None where there is none."""
        return await self._connected(key).kv_get(INDICATOR_BUCKET, key)

    async def read_values(self, pattern: str) -> dict[str, bytes]:
        """Return every value of bucket `indicator` whose key matches."""
        return await self._connected(pattern).kv_all(INDICATOR_BUCKET, pattern)

    async def read_stream(
        self, subject: str, start: int, since: datetime | None, limit: int, timeout: float
    ) -> list[StoredMessage]:
        """Return messages of a subject from stream INDICATORS."""
        bus = self._connected(subject)
        return await bus.read(INDICATORS, start, pattern=subject, limit=limit, timeout=timeout, since=since)

    def _connected(self, name: str) -> Bus:
        if self.bus is None:
            raise BusError(f"reading {name} failed: the bus has not answered yet")
        return self.bus


def handlers(
    state: ServerState,
    registry: CollectorRegistry,
    log: Logger,
    *,
    clock: Callable[[], float],
    identify: Callable[[Context], Caller] = lambda _: UNRESTRICTED,
) -> tuple[grpc.GenericRpcHandler, ...]:
    """Return the handlers of every API service.

    ``clock`` is in epoch seconds, ``identify`` returns the caller from the context of a call.
    """
    access = AccessControl(state.model, identify)
    requests = RequestMetrics(
        metrics.counter("peyvand_api_requests_total", registry),
        metrics.histogram("peyvand_api_request_seconds", registry),
    )
    indicators = IndicatorServicer(
        state.model,
        state.hub,
        links=LinkAnswers(state.model, read=state.read_value, clock=clock),
        history=HistoryReader(state.model, state.read_stream),
        evidence=EvidenceReader(state.read_values),
    )
    return (
        service_handlers(_INDICATORS, indicators, access, requests, log),
        service_handlers(_REGISTER, RegisterServicer(state.model), access, requests, log),
    )
