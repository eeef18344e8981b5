"""A plain HTTP/2 connection to the api, for what no client of gRPC does. Not a test."""

from __future__ import annotations

import asyncio

import h2.config
import h2.connection
import h2.events
from h2.settings import SettingCodes

from tests.support.waiting import DEADLINE


class Connection:
    """One HTTP/2 connection to a gRPC server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
        self._h2.initiate_connection()

    def accept_nothing(self) -> None:
        """Let the server send headers of later calls only, as a peer does whose window is full."""
        self._h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 0})

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
