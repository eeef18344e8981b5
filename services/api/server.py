"""Runs the gRPC server: the API services, health and reflection on one address."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
from google.protobuf.descriptor import ServiceDescriptor
from grpc_health.v1 import health_pb2

from services.api.health import HealthReporter
from services.api.rpc import Conduct, reflection_services, service_handlers
from services.core.errors import ListenError
from services.core.settings import parse_address

GRACE_SECONDS = 3.0
"""How long calls under way may take to finish while draining; less than runtime.DRAIN_SECONDS."""

MAX_REQUEST_BYTES = 64 << 10
"""A watch of 1,000 ids of the greatest length takes 65,000 bytes; no other request takes more."""

MAX_CONNECTIONS = 500
"""Connections at once. Each may have as many streams as a peer may have calls."""

HANDSHAKE_SECONDS = 10.0
"""How long a new connection may take for TLS and the first frame of HTTP/2."""

IDLE_SECONDS = 300.0
"""How long a connection may be without a call; clients connect again when they need it."""

AGE_SECONDS = 3600.0
"""How long a connection may exist: the next one detects a certificate that is no longer valid."""

PING_INTERVAL_MS = 10_000
"""How often a caller may ping without data in between: clients send keepalive pings while a watch is quiet."""

SHARES = 10
"""How many peers may use all their calls at once; beyond that, all callers are refused."""

_AGE_GRACE_SECONDS = 60.0  # that calls of a connection beyond its age have to finish
_PENDING_STREAMS = 10_000  # streams that wait for the event loop, 18 KiB each; one more, of any caller, is cancelled


def _options(peer_calls: int) -> tuple[tuple[str, int], ...]:
    return (
        ("grpc.so_reuseport", 0),  # otherwise two servers share an address unnoticed
        # Watchers whose connection is gone are detected and dropped.
        ("grpc.keepalive_time_ms", 60_000),
        ("grpc.keepalive_timeout_ms", 20_000),
        ("grpc.http2.min_ping_interval_without_data_ms", PING_INTERVAL_MS),
        ("grpc.max_receive_message_length", MAX_REQUEST_BYTES),
        ("grpc.max_allowed_incoming_connections", MAX_CONNECTIONS),
        ("grpc.server_handshake_timeout_ms", int(HANDSHAKE_SECONDS * 1000)),
        ("grpc.max_connection_idle_ms", int(IDLE_SECONDS * 1000)),
        ("grpc.max_connection_age_ms", int(AGE_SECONDS * 1000)),
        ("grpc.max_connection_age_grace_ms", int(_AGE_GRACE_SECONDS * 1000)),
        # A stream that the client resets counts until the server is done with it (ADR 68). gRPC also limits the streams
        # that wait on all connections together, by default to 1,000 to 3,000; beyond that it cancels everybody's calls.
        ("grpc.max_concurrent_streams", peer_calls),
        ("grpc.server.max_pending_requests", _PENDING_STREAMS),
        ("grpc.server.max_pending_requests_hard_limit", _PENDING_STREAMS),
    )


_HEALTH: Any = health_pb2.DESCRIPTOR.services_by_name["Health"]


@asynccontextmanager
async def running_server(
    address: str,
    services: Mapping[ServiceDescriptor, object],
    conduct: Conduct,
    reporter: HealthReporter,
    credentials: grpc.ServerCredentials | None = None,
) -> AsyncIterator[int]:
    """Serve ``services``, each by its servicer, on HOST:PORT and yield the port.

    At the end, calls get GRACE_SECONDS to finish. Without ``credentials`` nothing is encrypted. Raises ListenError when
    the server cannot listen on the address, SettingsError when it is not an address.
    """
    parse_address(address)
    served = [*services.items(), (_HEALTH, reporter)]
    served += reflection_services([service.full_name for service, _ in served])
    calls = conduct.limits.most
    server = grpc.aio.server(options=_options(calls), maximum_concurrent_rpcs=SHARES * calls)
    server.add_generic_rpc_handlers([service_handlers(*one, conduct) for one in served])
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
