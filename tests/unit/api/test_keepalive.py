"""Keepalive pings of callers, over a plain HTTP/2 connection."""

from __future__ import annotations

import asyncio

import h2.events

from peyvand.v1 import indicator_pb2
from peyvand.v1 import indicator_service_pb2 as messages
from services.api import server
from tests.support.cases.api.http2 import Connection
from tests.support.cases.api.server import served

PINGS = 20
"""More pings than gRPC tolerates when they come too often (two)."""


async def test_pings_of_a_quiet_watch_are_answered(api, monkeypatch):
    """A quiet caller may ping as often as the interval allows. Here the interval is 0, and every ping is answered."""
    monkeypatch.setattr(server, "PING_INTERVAL_MS", 0)
    async with served(api.state) as port:
        connection = Connection(*await asyncio.open_connection("127.0.0.1", port))
        request = messages.WatchIndicatorsRequest(kind=indicator_pb2.INDICATOR_KIND_GOVERNMENT)
        connection.call("/peyvand.v1.IndicatorService/WatchIndicators", request.SerializeToString())
        await connection.until(h2.events.DataReceived)
        answered = 0
        for _ in range(PINGS):
            connection.ping()
            await connection.until(h2.events.PingAckReceived)
            answered += 1
        assert answered == PINGS
        connection.close()
        api.state.hub.close()
