"""The gRPC server: the API services, health and reflection on one address."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import grpc
import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from services.core.errors import ListenError
from services.core.runtime import Health, parse_address

GRACE_SECONDS = 3.0
"""How long calls under way may take to finish while draining; less than runtime.DRAIN_SECONDS."""

_OPTIONS = (
    ("grpc.so_reuseport", 0),  # otherwise two servers share an address unnoticed
    # Watchers whose connection is gone are detected and dropped.
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
)


class HealthReporter:
    """Reports the same state everywhere: to gRPC health checks, overall and per API service, and on /health."""

    def __init__(self, names: Iterable[str], process: Health) -> None:
        self.servicer = health.aio.HealthServicer()
        self._names = ("", *names)
        self._process = process
        self._serving: bool | None = None
        self._draining = False

    async def report(self, serving: bool) -> None:
        """Report SERVING or NOT_SERVING, if that changed."""
        if serving is self._serving or self._draining:
            return
        self._serving = serving
        states = health_pb2.HealthCheckResponse
        for name in self._names:
            await self.servicer.set(name, states.SERVING if serving else states.NOT_SERVING)
        if serving:
            self._process.serving()
        else:
            self._process.not_serving()

    async def drain(self) -> None:
        """Report NOT_SERVING for good."""
        await self.report(serving=False)
        await self.servicer.enter_graceful_shutdown()
        self._draining = True


@asynccontextmanager
async def running_server(
    address: str,
    names: Iterable[str],
    handlers: Iterable[grpc.GenericRpcHandler],
    reporter: HealthReporter,
    credentials: grpc.ServerCredentials | None = None,
) -> AsyncIterator[int]:
    """Serve on HOST:PORT and yield the port; at the end calls under way get GRACE_SECONDS to finish.

    Without ``credentials`` nothing is encrypted. Raises ListenError when nothing can listen on the address.
    """
    parse_address(address)
    server = grpc.aio.server(options=_OPTIONS)
    server.add_generic_rpc_handlers(tuple(handlers))
    health_pb2_grpc.add_HealthServicer_to_server(reporter.servicer, server)
    reflection.enable_server_reflection((*names, health.SERVICE_NAME, reflection.SERVICE_NAME), server)
    try:
        if credentials is None:
            port = server.add_insecure_port(address)
        else:
            port = server.add_secure_port(address, credentials)
    except RuntimeError as error:
        raise ListenError(
            f"the api cannot listen on {address}: another process may; stop it or choose another address with --listen"
        ) from error
    await server.start()
    try:
        yield port
    finally:
        await server.stop(GRACE_SECONDS)
