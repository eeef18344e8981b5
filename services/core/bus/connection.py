"""Connecting to the bus in one role, by its URLs, with TLS between hosts (docs/design.md §5.2)."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from math import inf
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from services.core.bus.buckets import Bus
from services.core.bus.client import PatchedNatsClient, ReplyInbox
from services.core.bus.encryption import BusEncryption
from services.core.bus.messages import error_text
from services.core.bus.roles import inbox_prefix, load_user
from services.core.bus.server import too_old
from services.core.bus.streams import RETRY_SECONDS
from services.core.errors import BusError, SettingsError
from services.core.log import logger
from services.core.network import UNRESOLVED, is_unresolved
from services.core.settings import Settings
from services.core.tasks import cancel_and_wait


def parse_urls(urls: str) -> list[str]:
    """Return the URLs of the bus's servers, separated by commas in ``urls``. Raises SettingsError for anything else."""
    addresses = [url.strip() for url in urls.split(",") if url.strip()]
    schemes = {_scheme(url) for url in addresses}
    if not addresses or not schemes <= {"nats", "tls"}:
        raise SettingsError(f"--nats {urls!r} must be nats://HOST:PORT or tls://HOST:PORT, several separated by commas")
    if len(schemes) > 1:
        raise SettingsError(f"--nats {urls!r} mixes nats:// and tls://: either all servers are encrypted or none is")
    return addresses


def _scheme(url: str) -> str:
    """Return the scheme of a URL, as written, if it names a host and no impossible port; otherwise an empty string."""
    try:
        parts = urlsplit(url)
        sound = parts.hostname and parts.port != 0
    except ValueError:
        return ""
    return url.partition(":")[0] if sound else ""  # nats-py knows no TLS://


_NO_FILES = BusEncryption()

_REPEAT_SECONDS = 60.0
"""How often a reason is logged again. A connection is tried several times a second, for as long as the bus is away."""


def connect_from_settings(
    settings: Settings, *, role: str, name: str, on_unresolved: Callable[[str], object] = lambda _: None
) -> AbstractAsyncContextManager[Bus]:
    """Connect as ``role`` to the bus that the settings name; see `connect`."""
    return connect(
        settings.nats,
        role=role,
        credentials=settings.credentials,
        name=name,
        encryption=BusEncryption(settings.nats_ca, settings.nats_certificate, settings.nats_key),
        on_unresolved=on_unresolved,
    )


@asynccontextmanager
async def connect(
    urls: str,
    *,
    role: str,
    credentials: Path,
    name: str,
    encryption: BusEncryption = _NO_FILES,
    on_unresolved: Callable[[str], object] = lambda _: None,
) -> AsyncIterator[Bus]:
    """Connect as ``role`` to a server, or to any of several separated by commas; wait until one answers.

    While it waits, ``on_unresolved`` is called with the name of each host that cannot be resolved.

    Raises BusError when a server refuses the credential or is too old, or the certificates of all servers fail. Raises
    SettingsError when the credential or a file of ``encryption`` is missing.
    """
    user = load_user(credentials, role)
    addresses = parse_urls(urls)
    # The handshake comes first, so that nobody on the path can strip it.
    encrypted = addresses[0].startswith("tls://")
    options = {"tls": encryption.context(), "tls_handshake_first": True} if encrypted else {}
    log = logger().bind(bus=urls)

    tell = _each_minute(lambda reason: log.warning("bus_error", reason=reason))
    refusal: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    untrusted = 0

    async def on_error(error: Exception) -> None:
        nonlocal untrusted
        untrusted += isinstance(error, ssl.SSLCertVerificationError)
        if not refusal.done():
            if "authorization" in str(error).lower():
                refusal.set_result(f"{urls} refuses the credential of role {role}: use the one its configuration names")
            elif untrusted >= len(addresses):
                refusal.set_result(
                    f"no certificate of {urls} can be trusted: {error}; name their authority with --nats-ca"
                )
        tell(_reason(error, client.tried, on_unresolved))
        client.abort_handshake()

    async def on_disconnected() -> None:
        if not closing:
            log.warning("bus_disconnected")

    async def on_reconnected() -> None:
        log.info("bus_reconnected")
        if bus is not None:
            bus.wake_followers()

    client = PatchedNatsClient()
    closing = False
    bus: Bus | None = None
    connecting: asyncio.Future[None] = asyncio.ensure_future(
        client.connect(
            addresses,
            name=name,
            nkeys_seed_str=user.seed,
            inbox_prefix=inbox_prefix(user.public_key),
            max_reconnect_attempts=-1,
            reconnect_time_wait=RETRY_SECONDS,  # type: ignore[arg-type]  # it is passed to asyncio.sleep, which takes a float
            connect_timeout=2,
            ping_interval=5,
            error_cb=on_error,
            disconnected_cb=on_disconnected,
            reconnected_cb=on_reconnected,
            **options,  # type: ignore[arg-type]  # two options of different types
        )
    )
    outcomes: set[asyncio.Future[Any]] = {connecting, refusal}
    try:
        # The client retries forever even when it is refused, so waiting for it alone would never end.
        try:
            await asyncio.wait(outcomes, return_when=asyncio.FIRST_COMPLETED)
        finally:
            # Python 3.11 loses a cancellation in the iteration of the loop that makes the connection.
            await cancel_and_wait(connecting)
        if refusal.done():
            raise BusError(refusal.result())
        connecting.result()
        _check_version(client, urls)
        bus = Bus(client, role, await ReplyInbox.subscribed(client))
        yield bus
    finally:
        closing = True
        await client.leave()


def _reason(error: Exception, host: str, on_unresolved: Callable[[str], object]) -> str:
    """Return why a server of a host did not answer. If the host cannot be resolved, call ``on_unresolved``."""
    if not is_unresolved(error):
        return error_text(error)
    on_unresolved(host)
    return f"{host} {UNRESOLVED}"


def _each_minute(log: Callable[[str], None]) -> Callable[[str], None]:
    """Return a function that logs a reason unless it was logged within the last minute. Reasons are few."""
    said: dict[str, float] = {}

    def tell(reason: str) -> None:
        now = time.monotonic()
        if now - said.get(reason, -inf) >= _REPEAT_SECONDS:
            said[reason] = now
            log(reason)

    return tell


def _check_version(client: PatchedNatsClient, urls: str) -> None:
    version = client.connected_server_version
    if reason := too_old(f"{version.major}.{version.minor}.{version.patch}"):
        raise BusError(f"the bus at {urls} {reason}")
