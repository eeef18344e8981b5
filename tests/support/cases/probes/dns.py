"""A probe of kind dns. Not a test."""

from __future__ import annotations

import pytest

from services.core.model.probe import DnsQuery, Expect
from services.prober.attempt import ProbeResult
from tests.support.servers.http_server import ask

__all__ = ["TRANSPORTS", "probe"]

TRANSPORTS = pytest.mark.parametrize("transport", ["udp", "tcp"])


async def probe(
    target: str,
    name: str = "www.tax.example",
    type_: str = "A",
    *,
    transport: str = "udp",
    recursion: bool = True,
    expect: Expect | None = None,
    **more: object,
) -> ProbeResult:
    query = DnsQuery(name, type_, transport, recursion)
    return await ask(target, expect, kind="dns", query=query, **more)  # type: ignore[arg-type]
