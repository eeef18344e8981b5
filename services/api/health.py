"""Says whether the api serves: to gRPC health checks, overall and per API service, and on /health."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any

from grpc_health.v1 import health_pb2

from services.api.errors import UnknownEntityError
from services.core.runtime import ENDING, Health

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
