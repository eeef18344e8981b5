"""A site with sessions, forms and tokens, and journeys through it. Not a test."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from urllib.parse import parse_qs, urlsplit

import structlog

from services.core.model.probe import (
    Capture,
    Probe,
    Step,
)
from services.core.model.register import Egress
from services.prober.attempt import ProbeResult, ProbeRunner
from services.prober.kinds.kind import ProbeEnvironment
from services.prober.transport.addresses import Outbound
from services.prober.transport.egress import EgressRules
from services.prober.transport.resolver import Resolver
from tests.support.servers.http_server import LOOPBACK, Request, Server, answer, assignment

__all__ = ["ASK", "LOGIN", "SECRET", "a_step", "paths", "site", "travel"]

SECRET = "tok+en/with=signs&more"


async def site(request: Request, writer: asyncio.StreamWriter) -> None:
    """A citizen service: log in, follow a redirect with a cookie, request with a token, fetch the document."""
    parts = urlsplit(request.path)
    cookies = request.header("cookie") or ""
    if parts.path == "/login":
        writer.write(answer(302, b"", {"Location": "/home", "Set-Cookie": "session=abc; Path=/"}))
    elif parts.path == "/home" and "session=abc" in cookies:
        page = json.dumps({"token": SECRET, "number": 17, "open": True, "nothing": None, "list": [1]}).encode()
        writer.write(answer(200, page, {"Set-Cookie": "seen=yes", "X-Order": "order-5", "Content-Type": "text/json"}))
    elif parts.path == "/ask" and "session=abc" in cookies and parse_qs(parts.query).get("token") == [SECRET]:
        writer.write(answer(200, b"<paper><id>9</id><code> p-1 </code></paper>"))
    elif parts.path == "/paper/p-1" and "seen=yes" in cookies:
        writer.write(answer(200, b'{"order": 17, "updated": 1000000000}'))
    elif parts.path == "/free":
        writer.write(answer(200, b"cookies: " + cookies.encode()))
    else:
        writer.write(answer(403))


def a_step(name: str, target: str, capture: Mapping[str, Capture] | None = None, **definition: object) -> Step:
    probe = Probe(name, "http", **{"timeout": 3.0, **definition})  # type: ignore[arg-type]
    return Step(probe, target, capture or {})


LOGIN = a_step(
    "login",
    "${target}/login?user=${person}",
    {"token": Capture(json="$.token", encode="url"), "number": Capture(json="$.number")},
)
ASK = a_step("ask", "${target}/ask?token=${token}", {"code": Capture(xpath="//code")})


async def travel(
    target: str,
    *steps: Step,
    timeout: float = 5.0,
    egress: Egress = LOOPBACK,
    latency: float = 2.0,
    max_age: float | None = None,
    resolver: Resolver | None = None,
) -> ProbeResult:
    environment = ProbeEnvironment(Outbound(egress=EgressRules(egress), resolver=resolver or Resolver()))
    definition = Probe("test", "journey", steps=steps, timeout=timeout)
    try:
        attempts = ProbeRunner(environment, structlog.get_logger())
        item = assignment(target, definition, params={"person": "0000000000"}, latency=latency, max_age=max_age)
        return await attempts.probe(item)
    finally:
        await environment.close()


def paths(server: Server) -> list[str]:
    return [urlsplit(request.path).path for request in server.requests]
