"""Runs the console: serves pages over HTTP with figures from the api, reports its health, and drains."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import uvicorn

from services.client import TlsFiles, connect
from services.console.queries import EditionFeed, read_export
from services.console.web import BoundedProtocol, Provider, Settled, make_app
from services.core import metrics
from services.core.errors import ListenError, SettingsError, reason_of
from services.core.network import is_loopback, listening
from services.core.runtime import ENDING, Runtime
from services.core.settings import Settings, parse_address
from services.core.tasks import cancel_and_wait

_GRACE_SECONDS = 3
"""How long requests under way may take while draining; less than runtime.DRAIN_SECONDS."""

_POLL_SECONDS = 0.2
_SHORTEST_KEY = 32
_IDLE_SECONDS = 30
_MOST_CONNECTIONS = 2000


async def main(runtime: Runtime) -> None:
    """Serve until stopped. Raises ListenError or SettingsError when it cannot."""
    settings = runtime.settings
    host, _ = parse_address(settings.console)
    if settings.audience == "open" and not is_loopback(host):
        raise SettingsError(
            f"the console would show every link's target to anyone who reaches {settings.console}: "
            "listen on loopback, or set --audience to public or signed"
        )
    settled = _settled(settings)
    if settled.open_data is not None and read_export(settled.open_data) is None:
        runtime.log.warning("no_open_data", folder=settings.open_data)
    files = TlsFiles(
        *(Path(name) if name else None for name in (settings.api_ca, settings.api_certificate, settings.api_key))
    )
    not_renewed = partial(runtime.log.error, "certificate_not_renewed")
    async with connect(settings.api, tls=files, not_renewed=lambda error: not_renewed(reason=str(error))) as api:
        # Pages name services only to readers who may see them; the api decides who may.
        naming = api.on_behalf_of("auditor") if settings.audience == "signed" else api
        feed = EditionFeed(api, naming, runtime.log, time.monotonic)
        metrics.gauge("peyvand_console_api_connected", runtime.registry).set_function(lambda: feed.away_seconds == 0)
        app = make_app(settled, api, feed, runtime.registry, runtime.log, time.monotonic)
        with _listening(settings.console) as listener:
            server = Server(
                uvicorn.Config(
                    app,
                    http=BoundedProtocol,
                    log_config=None,
                    access_log=False,
                    server_header=False,
                    lifespan="off",
                    proxy_headers=False,
                    timeout_keep_alive=_IDLE_SECONDS,
                    timeout_graceful_shutdown=_GRACE_SECONDS,
                    limit_concurrency=_MOST_CONNECTIONS,
                )
            )
            following = asyncio.ensure_future(feed.run())
            reporting = asyncio.ensure_future(_report_health(runtime, feed))
            stopping = asyncio.ensure_future(_stop(runtime, server))
            serving = asyncio.ensure_future(server.serve(sockets=[listener]))
            runtime.log.info("listening", address=settings.console)
            try:
                ended, _ = await asyncio.wait({serving, following}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                await cancel_and_wait(serving, following, reporting, stopping)
            for task in ended:
                task.result()


def _settled(settings: Settings) -> Settled:
    """Return the operator's decisions. Raises SettingsError when a part is missing."""
    base = (settings.console_url or f"http://{settings.console}").rstrip("/")
    provider, key = None, ""
    if settings.audience == "signed":
        needed = ("console_url", "oidc_issuer", "oidc_client", "oidc_secret", "session_key")
        missing = [f"--{name.replace('_', '-')}" for name in needed if not getattr(settings, name)]
        if missing:
            raise SettingsError(f"--audience signed needs {', '.join(missing)} as well")
        provider = Provider(
            settings.oidc_issuer, settings.oidc_client, _secret(settings.oidc_secret), settings.oidc_claim
        )
        key = _secret(settings.session_key)
        if len(key) < _SHORTEST_KEY:
            raise SettingsError(
                f"the key in {settings.session_key} has less than {_SHORTEST_KEY} characters: make a longer one"
            )
    rounds = Path(settings.rounds) if settings.rounds else None
    open_data = Path(settings.open_data) if settings.open_data else None
    return Settled(settings.audience, base, settings.grafana.rstrip("/"), rounds, provider, key, open_data)


def _secret(path: str) -> str:
    try:
        return Path(path).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"the secret in {path} cannot be read: {reason_of(error)}") from error


class Server(uvicorn.Server):
    """A server that leaves signals to the runtime."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals as they are."""
        yield


async def _stop(runtime: Runtime, server: uvicorn.Server) -> None:
    await runtime.stop.wait()
    runtime.health.not_serving(ENDING)
    server.should_exit = True


async def _report_health(runtime: Runtime, feed: EditionFeed) -> None:
    """Say whether figures can be shown until the console is to stop: from then on it drains."""
    while not runtime.stop.is_set():
        if feed.edition is not None and feed.away_seconds == 0:
            runtime.health.serving()
        else:
            runtime.health.not_serving("the api does not answer")
        await asyncio.sleep(_POLL_SECONDS)


@contextmanager
def _listening(address: str) -> Iterator[socket.socket]:
    host, port = parse_address(address)
    try:
        listener = listening(host, port, backlog=1024)
    except OSError as error:
        raise ListenError(
            f"the console cannot listen on {address}: {error.strerror}; choose another address with --console"
        ) from error
    with listener:
        yield listener
