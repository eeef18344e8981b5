"""Keepalive pings of callers, over a plain HTTP/2 connection."""

from __future__ import annotations

import asyncio

import h2.config
import h2.connection
import h2.events

from peyvand.v1 import indicator_pb2
from peyvand.v1 import indicator_service_pb2 as messages
from services.api import server
from tests.support.cases.api.server import served
from tests.support.waiting import DEADLINE

PINGS = 20
"""More pings than gRPC tolerates when they come too often (two)."""


class Connection:
    """One HTTP/2 connection to a gRPC server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
        self._h2.initiate_connection()

    def call(self, method: str, request: bytes) -> None:
        stream = self._h2.get_next_available_stream_id()
        headers = {":method": "POST", ":scheme": "http", ":path": method, ":authority": "api", "te": "trailers"}
        self._h2.send_headers(stream, [*headers.items(), ("content-type", "application/grpc")])
        self._h2.send_data(stream, b"\0" + len(request).to_bytes(4) + request, end_stream=True)

    def ping(self) -> None:
        self._h2.ping(bytes(8))

    def close(self) -> None:
        self._writer.close()

    async def until(self, kind: type[h2.events.Event]) -> None:
        """Read until an event of this kind arrives. Fails when the server ends the connection."""
        async with asyncio.timeout(DEADLINE):
            while True:
                self._writer.write(self._h2.data_to_send())
                await self._writer.drain()
                data = await self._reader.read(65536)
                events = self._h2.receive_data(data)
                ended = [event for event in events if isinstance(event, h2.events.ConnectionTerminated)]
                assert not ended, ended[0].additional_data
                assert data, "the server closed the connection"
                if any(isinstance(event, kind) for event in events):
                    return


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
