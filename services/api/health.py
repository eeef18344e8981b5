"""Says whether the api serves: to gRPC health checks, overall and per API service, and on /health."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from typing import Any

from grpc_health.v1 import health_pb2

from services.api.errors import UnknownEntityError
from services.api.model import ReadModel
from services.core.bus import Bus
from services.core.runtime import ENDING, Health

LOST_SECONDS = 10.0
"""How long the bus may be gone before the api reports NOT_SERVING: longer than a restart of the bus takes."""

_POLL_SECONDS = 0.2
_SERVING_POLLS = 10  # polls this many times less often while it serves, as each poll wakes the process up

_MESSAGES: Any = health_pb2  # its types lack List
_States = health_pb2.HealthCheckResponse


class HealthReporter:
    """Reports the same state everywhere, and is the servicer of gRPC's health service.

    gRPC's own servicer changes a state only after every watcher has taken the one before.
    """

    def __init__(self, names: Iterable[str], process: Health) -> None:
        self._names = frozenset(("", *names))
        self._process = process
        self._why: str | None = None
        self._changed = asyncio.Event()

    def report(self, why: str = "") -> None:
        """Report SERVING or, with a reason ``why``, NOT_SERVING, if that changed."""
        if self._why in (why, ENDING):
            return
        self._why = why
        if why:
            self._process.not_serving(why)
        else:
            self._process.serving()
        self._changed.set()
        self._changed = asyncio.Event()

    def drain(self) -> None:
        """Report NOT_SERVING for good."""
        self.report(ENDING)

    async def check(self, request: health_pb2.HealthCheckRequest, _: object) -> health_pb2.HealthCheckResponse:
        """Return the state. Raises RequestError for a name that is none of the services."""
        if request.service not in self._names:
            raise UnknownEntityError("SERVICE_UNKNOWN", f"the api has no service {request.service}: ask for another")
        return self._answer(request.service)

    async def list(self, _: object, __: object) -> Any:
        """Return the state of every service."""
        return _MESSAGES.HealthListResponse(statuses={name: self._answer(name) for name in self._names})

    async def watch(
        self, request: health_pb2.HealthCheckRequest, _: object
    ) -> AsyncIterator[health_pb2.HealthCheckResponse]:
        """Yield the state, and each later one; a slow watcher skips those that were replaced meanwhile."""
        sent: health_pb2.HealthCheckResponse | None = None
        while True:
            changed, answer = self._changed, self._answer(request.service)
            if answer != sent:
                yield answer
                sent = answer
            await changed.wait()

    def _answer(self, name: str) -> health_pb2.HealthCheckResponse:
        if name not in self._names:
            return _States(status=_States.SERVICE_UNKNOWN)
        return _States(status=_States.SERVING if self._why == "" else _States.NOT_SERVING)


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


async def report_readiness(bus: Bus, model: ReadModel, reporter: HealthReporter) -> None:
    """Report whether the api is ready, until cancelled."""
    readiness = Readiness()
    while True:
        fed = bus.connected and bus.following
        serving = readiness.update(complete=model.complete, fed=fed, now=time.monotonic())
        why = "waiting for a register and its index" if fed else "the bus cannot be read"
        reporter.report("" if serving else why)
        await asyncio.sleep(_POLL_SECONDS * (_SERVING_POLLS if serving else 1))
