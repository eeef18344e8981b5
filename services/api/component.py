"""Runs the api: serves the API services from a state that the bus feeds, reports its health, and drains."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import datetime
from math import inf
from pathlib import Path

from google.protobuf.descriptor import ServiceDescriptor
from prometheus_client import CollectorRegistry

from peyvand.v1 import indicator_service_pb2, register_service_pb2
from services.api.access import (
    UNRESTRICTED,
    AccessControl,
    Caller,
    credentials_from_settings,
    identifier_from_settings,
    revocations_from_settings,
)
from services.api.answers import EvidenceReader, FrozenRoundAnswers, HistoryReader, LinkAnswers, SealedDays
from services.api.health import HealthReporter, report_readiness
from services.api.metrics import ReadModelMetrics
from services.api.model import Feed, ReadModel, WatchHub
from services.api.rpc import Conduct, Context, IndicatorServicer, PeerLimits, RegisterServicer, RequestMetrics
from services.api.server import running_server
from services.core import metrics
from services.core.bus import INDICATOR_BUCKET, INDICATORS, Bus, StoredMessage, connect_from_settings
from services.core.errors import BusError
from services.core.log import Logger
from services.core.network import is_loopback
from services.core.runtime import Runtime
from services.core.settings import parse_address
from services.core.tasks import cancel_and_wait

_INDICATORS = indicator_service_pb2.DESCRIPTOR.services_by_name["IndicatorService"]
_REGISTER = register_service_pb2.DESCRIPTOR.services_by_name["RegisterService"]

SERVICE_NAMES = (_INDICATORS.full_name, _REGISTER.full_name)
"""The full names of the API services."""


class ServerState:
    """The state that the servicers share: the read model, its watches, and the bus once it is connected.

    Its methods raise BusError when the bus does not answer.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.model = ReadModel()
        registry.register(ReadModelMetrics(self.model))
        self.hub = WatchHub(metrics.gauge("peyvand_api_watchers", registry))
        self.bus: Bus | None = None

    async def read_value(self, key: str) -> bytes | None:
        """Return a value of bucket `indicator`; None when there is none."""
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


def api_services(
    state: ServerState, *, clock: Callable[[], float], rounds: Path | None = None, sealed: SealedDays | None = None
) -> dict[ServiceDescriptor, object]:
    """Return the servicer of every API service.

    ``clock`` returns epoch seconds, ``rounds`` is the folder of frozen rounds, and ``sealed`` has the days of the
    archive's dataset, None without an archive.
    """
    indicators = IndicatorServicer(
        state.model,
        state.hub,
        links=LinkAnswers(state.model, read=state.read_value, clock=clock),
        history=HistoryReader(state.model, state.read_stream, sealed),
        evidence=EvidenceReader(state.read_values),
    )
    return {_INDICATORS: indicators, _REGISTER: RegisterServicer(state.model, FrozenRoundAnswers(rounds))}


def call_conduct(
    state: ServerState,
    registry: CollectorRegistry,
    log: Logger,
    *,
    identify: Callable[[Context], Caller] = lambda _: UNRESTRICTED,
    peer_calls: int,
) -> Conduct:
    """Return the conduct that all calls share.

    ``identify`` returns the caller from the context of a call; ``peer_calls`` is how many calls a peer may have open.
    """
    requests = RequestMetrics(
        metrics.counter("peyvand_api_requests_total", registry),
        metrics.histogram("peyvand_api_request_seconds", registry),
    )
    return Conduct(AccessControl(state.model, identify), PeerLimits(peer_calls), requests, log)


async def main(runtime: Runtime) -> None:
    """Serve until stopped. Raises ListenError, BusError or SettingsError when it cannot."""
    settings, log = runtime.settings, runtime.log
    state, reporter = ServerState(runtime.registry), HealthReporter(SERVICE_NAMES, runtime.health)
    credentials = credentials_from_settings(settings, _reports(log, "certificate_not_renewed"))
    revocations = revocations_from_settings(settings, _reports(log, "revocations_not_renewed"))
    metrics.gauge("peyvand_api_revocations_end_timestamp_seconds", runtime.registry).set_function(
        (lambda: inf) if revocations is None else revocations.end
    )
    identify = identifier_from_settings(settings, revocations)
    rounds = Path(settings.rounds) if settings.rounds else None
    sealed = SealedDays(settings.archive) if settings.archive else None
    services = api_services(state, clock=time.time, rounds=rounds, sealed=sealed)
    conduct = call_conduct(state, runtime.registry, log, identify=identify, peer_calls=settings.peer_calls)
    reporter.report("waiting for the bus")
    if credentials is None and not is_loopback(parse_address(settings.listen)[0]):
        log.warning("open_to_all", listen=settings.listen, reason="anyone who reaches it sees every link's target")
    work = asyncio.ensure_future(_work(runtime, state, reporter))
    stopping = asyncio.ensure_future(runtime.stop.wait())
    try:
        async with running_server(settings.listen, services, conduct, reporter, credentials) as port:
            log.info("listening", port=port)
            try:
                await asyncio.wait({work, stopping}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                reporter.drain()
                state.hub.close()
    finally:
        # After the server, as calls under way may still need the bus and the sealed days.
        if sealed is not None:
            sealed.close()
        await cancel_and_wait(work, stopping)
    if not work.cancelled():
        work.result()


def _reports(log: Logger, event: str) -> Callable[[Exception], None]:
    return lambda error: log.error(event, reason=str(error))


async def _work(runtime: Runtime, state: ServerState, reporter: HealthReporter) -> None:
    async with connect_from_settings(runtime.settings, role="api", name="api") as bus:
        state.bus = bus
        runtime.watch_bus(lambda: bus.connected)
        reporting = asyncio.ensure_future(report_readiness(bus, state.model, reporter))
        try:
            await Feed(bus, state.model, state.hub, runtime.log).run()
        finally:
            reporting.cancel()
