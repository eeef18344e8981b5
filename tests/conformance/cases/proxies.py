"""Behaviour 28: probes over an HTTP proxy. Not a test itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.core.model.outcome import Reason
from tests.conformance.case import FAILS, PASSES, Case, Place, Stage
from tests.conformance.servers import Scene, http, leaf, secured, unserved
from tests.support.ports import free_port
from tests.support.servers.http_server import Request, answer, says
from tests.support.servers.proxy_server import proxying

__all__ = ["CASES"]

# Modules are written before any server runs, so the proxy has to listen on the port that they name.
_URL = f"http://127.0.0.1:{free_port()}"
_OURS = f"kind: http\ntls: {{ca: file:ca.pem}}\nproxy: {{url: '{_URL}'}}"
_THEIRS = f"prober: http\nhttp: {{proxy_url: '{_URL}', tls_config: {{ca_file: ca.pem}}}}"


def _over_proxy(there: Scene, credentials: str = "") -> Scene:
    @asynccontextmanager
    async def scene(place: Place) -> AsyncIterator[Stage]:
        async with there(place) as stage, proxying(credentials, int(_URL.rpartition(":")[2])):
            yield stage

    return scene


async def _forwarded(request: Request, writer: asyncio.StreamWriter) -> None:
    """Answer 200 to a request that came over the proxy without the proxy's credentials, 400 to any other."""
    right = request.header("via") == "1.1 test" and request.header("proxy-authorization") is None
    writer.write(answer(200 if right else 400))


CASES = (
    Case(28, "plain http over a proxy", _over_proxy(http(_forwarded)), _OURS, _THEIRS, Reason.OK, PASSES),
    Case(
        28,
        "https over a proxy",
        _over_proxy(secured(leaf())),
        _OURS,
        _THEIRS,
        Reason.OK,
        PASSES,
        {"earliest_expiry": 30, "status": 200},
    ),
    Case(
        28,
        "nobody there behind a proxy",
        _over_proxy(unserved()),
        _OURS,
        _THEIRS,
        Reason.SERVER_ERROR,
        FAILS,
    ),
    Case(
        28,
        "nobody there behind a tunnel",
        _over_proxy(unserved("https")),
        _OURS,
        _THEIRS,
        Reason.CONNECT_UNREACHABLE,
        FAILS,
    ),
    Case(
        28,
        "no proxy where one is named",
        http(says()),
        _OURS,
        _THEIRS,
        Reason.PROXY_FAILED,
        FAILS,
        differs="a proxy is part of the way out: what it fails at is the monitor's fault, and not the target's",
    ),
    Case(
        28,
        "a proxy that wants credentials",
        _over_proxy(http(says()), "monitor:p4ss"),
        _OURS,
        _THEIRS,
        Reason.OWN_CREDENTIAL,
        FAILS,
        differs="a credential that the monitor lacks is the monitor's fault",
    ),
)
