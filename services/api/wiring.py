"""The API services put together over one picture."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import grpc
from prometheus_client import CollectorRegistry

from peyvand.v1 import indicator_service_pb2, register_service_pb2
from services.api.access.roles import EVERYTHING, Caller
from services.api.access.rules import Access
from services.api.answers.evidence import Findings
from services.api.answers.history import History
from services.api.answers.links import LinkAnswers
from services.api.metrics import Standing
from services.api.model.read_model import ReadModel
from services.api.model.watch import WatchHub
from services.api.rpc.handlers import Context, Meters, service_handlers
from services.api.rpc.indicator_service import IndicatorServicer
from services.api.rpc.register_service import RegisterServicer
from services.core import metrics
from services.core.bus import INDICATOR_BUCKET, INDICATORS, Bus, StoredMessage
from services.core.errors import BusError
from services.core.log import Logger

__all__ = ["NAMES", "Picture", "handlers"]

_INDICATORS = indicator_service_pb2.DESCRIPTOR.services_by_name["IndicatorService"]
_REGISTER = register_service_pb2.DESCRIPTOR.services_by_name["RegisterService"]

NAMES = (_INDICATORS.full_name, _REGISTER.full_name)
"""The API services by their full names."""


class Picture:
    """What the servicers share: the read model, its watchers, and the bus once there is one."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.model = ReadModel()
        registry.register(Standing(self.model))
        self.hub = WatchHub(metrics.gauge("peyvand_api_watchers", registry))
        self.bus: Bus | None = None

    async def read(self, key: str) -> bytes | None:
        """Return a value of bucket `indicator`. Raises BusError when the bus does not answer."""
        if self.bus is None:
            raise BusError(f"reading {key} failed: the bus has not answered yet")
        return await self.bus.kv_get(INDICATOR_BUCKET, key)

    async def read_all(self, pattern: str) -> dict[str, bytes]:
        """Return every value of bucket `indicator` whose key matches. Raises BusError when the bus does not answer."""
        if self.bus is None:
            raise BusError(f"reading {pattern} failed: the bus has not answered yet")
        return await self.bus.kv_all(INDICATOR_BUCKET, pattern)

    async def published(
        self, subject: str, start: int, since: datetime | None, limit: int, timeout: float
    ) -> list[StoredMessage]:
        """Return what stream INDICATORS holds of a subject. Raises BusError when the bus does not answer."""
        if self.bus is None:
            raise BusError(f"reading {subject} failed: the bus has not answered yet")
        return await self.bus.read(INDICATORS, start, pattern=subject, limit=limit, timeout=timeout, since=since)


def handlers(
    picture: Picture,
    registry: CollectorRegistry,
    log: Logger,
    *,
    clock: Callable[[], float],
    identify: Callable[[Context], Caller] = lambda _: EVERYTHING,
) -> tuple[grpc.GenericRpcHandler, ...]:
    """Return the handlers of every API service; ``clock`` is epoch seconds, ``identify`` says who makes a call."""
    access = Access(picture.model, identify)
    meters = Meters(
        metrics.counter("peyvand_api_requests_total", registry),
        metrics.histogram("peyvand_api_request_seconds", registry),
    )
    links = LinkAnswers(picture.model, read=picture.read, clock=clock)
    history = History(picture.model, picture.published)
    return (
        service_handlers(
            _INDICATORS,
            IndicatorServicer(picture.model, picture.hub, links, history, Findings(picture.read_all)),
            access,
            meters,
            log,
        ),
        service_handlers(_REGISTER, RegisterServicer(picture.model), access, meters, log),
    )
