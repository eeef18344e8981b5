"""Connects to one api, with TLS or without."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import grpc.aio

from services.client.calls import Calls, random_pause
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


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files: certificate authorities to trust instead of the system's, and a client certificate with its key."""

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None


@asynccontextmanager
async def connect(
    address: str,
    *,
    timeout: float = TIMEOUT_SECONDS,
    tls: TlsFiles | None = None,
    pause: Callable[[], float] = random_pause,
) -> AsyncIterator[Client]:
    """Yield a client of the api at HOST:PORT or tls://HOST:PORT, whose calls may take ``timeout`` seconds each.

    ``pause`` returns the seconds to wait before an interrupted watch is restarted.

    The client connects at its first call, and reconnects when needed. Raises SettingsError when ``address`` is not
    valid or a file cannot be used.
    """
    target = address.removeprefix(_TLS)
    try:
        parse_address(target)
    except SettingsError as error:
        raise SettingsError(f"the api cannot be asked: {error}") from error
    if address.startswith(_TLS):
        channel = grpc.aio.secure_channel(target, _credentials(tls or TlsFiles()), OPTIONS)
    else:
        channel = grpc.aio.insecure_channel(target, OPTIONS)
    async with channel:
        yield Client(channel, Calls(address, timeout, pause=pause))


def _credentials(files: TlsFiles) -> grpc.ChannelCredentials:
    if (files.certificate is None) != (files.key is None):
        raise SettingsError("a certificate to show to the api needs its key: name both files")
    return grpc.ssl_channel_credentials(_read(files.ca), _read(files.key), _read(files.certificate))


def _read(path: Path | None) -> bytes | None:
    try:
        return None if path is None else path.read_bytes()
    except OSError as error:
        raise SettingsError(f"{path}, which the connection to the api needs, cannot be read: {error}") from error
