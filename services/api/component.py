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
from services.api.health import HealthReporter
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


LOST_SECONDS = 10.0
"""How long the bus may be gone before the api reports NOT_SERVING: longer than a restart of the bus takes."""

_POLL_SECONDS = 0.2
_SERVING_POLLS = 10  # polls this many times less often while it serves, as each poll wakes the process up


class Readiness:
    """Ready means that the register and the government's indicators exist, and that the bus delivers newer ones.

    While the bus is gone, or has lost the buckets that are followed, the api answers from memory, every number with its
    ``as_of``. After LOST_SECONDS it is no longer ready, so that callers that have a choice use another api.
    """

    def __init__(self) -> None:
        self._lost_since: float | None = None

    def update(self, *, complete: bool, fed: bool, now: float) -> bool:
        """Return whether the api is ready; ``now`` is in seconds of one clock."""
        if fed:
            self._lost_since = None
        elif self._lost_since is None:
            self._lost_since = now
        return complete and (self._lost_since is None or now - self._lost_since <= LOST_SECONDS)


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
        reporting = asyncio.ensure_future(_report_health(bus, state.model, reporter))
        try:
            await Feed(bus, state.model, state.hub, runtime.log).run()
        finally:
            reporting.cancel()


async def _report_health(bus: Bus, model: ReadModel, reporter: HealthReporter) -> None:
    readiness = Readiness()
    while True:
        fed = bus.connected and bus.following
        serving = readiness.update(complete=model.complete, fed=fed, now=time.monotonic())
        why = "waiting for a register and its index" if fed else "the bus cannot be read"
        reporter.report("" if serving else why)
        await asyncio.sleep(_POLL_SECONDS * (_SERVING_POLLS if serving else 1))
