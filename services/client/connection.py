"""Connects to one api, with TLS or without."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import cast

import grpc
import grpc.aio

from services.client.calls import Calls, random_pause
from services.client.certificates import RenewedChannel, TlsFiles
from services.client.client import Client
from services.core.errors import SettingsError
from services.core.settings import parse_address

TIMEOUT_SECONDS = 2.0
"""The timeout of a call: answers from memory take milliseconds, and a reader of a page waits no longer."""

_TLS = "tls://"

OPTIONS = (
    # Ignore the HTTP proxy that the environment may name: the api is on this machine or this network.
    ("grpc.enable_http_proxy", 0),
    # Reconnect soon to an api that was unavailable; by default gRPC waits up to two minutes.
    ("grpc.max_reconnect_backoff_ms", 2_000),
    # Let a watch notice that its connection is lost. The api allows a ping every 10 s.
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
)
"""Options of every channel."""


@asynccontextmanager
async def connect(
    address: str,
    *,
    timeout: float = TIMEOUT_SECONDS,
    tls: TlsFiles | None = None,
    pause: Callable[[], float] = random_pause,
    not_renewed: Callable[[Exception], None] = lambda _: None,
) -> AsyncIterator[Client]:
    """Yield a client of the api at HOST:PORT or tls://HOST:PORT, whose calls may take ``timeout`` seconds each.

    ``pause`` returns the seconds to wait before an interrupted watch is restarted. Files of ``tls`` are read again when they
    change; ``not_renewed`` is called, once per reason, while changed ones cannot be used.

    The client connects at its first call, and reconnects when needed. Raises SettingsError when ``address`` is not
    valid or a file cannot be used.
    """
    target = address.removeprefix(_TLS)
    try:
        parse_address(target)
    except SettingsError as error:
        raise SettingsError(f"the api cannot be asked: {error}") from error
    channel: grpc.aio.Channel | RenewedChannel
    if address.startswith(_TLS) and tls is not None and tls.paths:
        channel = RenewedChannel(tls, lambda shown: grpc.aio.secure_channel(target, shown, OPTIONS), not_renewed)
    elif address.startswith(_TLS):
        channel = grpc.aio.secure_channel(target, grpc.ssl_channel_credentials(), OPTIONS)
    else:
        channel = grpc.aio.insecure_channel(target, OPTIONS)
    try:
        yield Client(cast(grpc.aio.Channel, channel), Calls(address, timeout, pause=pause))
    finally:
        await channel.close()
