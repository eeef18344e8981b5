"""Record the publications of a run that the bus acknowledged, by a proxy between components and bus."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from services.core.bus.names import EXCHANGES, MEASUREMENTS
from tests.chaos.wire import Operation, Reader
from tests.support.ports import free_port

_CHUNK = 1 << 16
_CONNECT_SECONDS = 2.0
_TICK = 1e-6  # between two delayed writes, to keep their order
_JUDGED = (MEASUREMENTS, EXCHANGES)


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """A message that the bus acknowledged at ``time``."""

    time: float
    stream: str
    sequence: int
    subject: str
    payload: bytes
    duplicate: bool


@dataclass
class Record:
    """Everything that was acknowledged, in order."""

    acknowledged: list[Acknowledged] = field(default_factory=list)


class RecordingProxy:
    """A proxy to the bus that records what is published through it and acknowledged.

    ``upstream`` returns the address of a server. ``delay`` is the seconds by which all data is delayed.
    """

    def __init__(self, record: Record, upstream: Callable[[], tuple[str, int]]) -> None:
        self.port = free_port()
        self.delay = 0.0
        self._record = record
        self._upstream = upstream
        self._server: asyncio.Server | None = None
        self._links: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """The URL that a component uses as that of the bus."""
        return f"nats://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)

    async def stop(self) -> None:
        """Stop listening and end every connection."""
        if self._server is not None:
            self._server.close()
        for link in self._links:
            link.cancel()
        await asyncio.gather(*self._links, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = asyncio.ensure_future(self._join(reader, writer))
        self._links.add(link)
        link.add_done_callback(self._links.discard)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Join a client to the server until either ends. Then abort both connections, as when a server is killed."""
        writers = [writer]
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                upstream, server = await asyncio.open_connection(*self._upstream())
            writers.append(server)
            waiting: dict[str, Operation] = {}
            pumps = [
                asyncio.ensure_future(self._pump(reader, server, lambda one: _asked(waiting, one))),
                asyncio.ensure_future(self._pump(upstream, writer, lambda one: self._answered(waiting, one))),
            ]
            try:
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for pump in pumps:
                    pump.cancel()
                await asyncio.gather(*pumps, return_exceptions=True)
        except OSError:
            pass  # the server cannot be reached; the client finds its connection closed
        finally:
            for one in writers:
                one.transport.abort()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, noted: Callable[[Operation], None]
    ) -> None:
        operations, clock, due = Reader(), asyncio.get_running_loop(), 0.0
        while data := await reader.read(_CHUNK):
            for operation in operations.feed(data):
                noted(operation)
            due = max(due + _TICK, clock.time() + self.delay)
            if self.delay or due > clock.time() + _TICK:
                clock.call_at(due, writer.write, data)
            else:
                writer.write(data)
                await writer.drain()

    def _answered(self, waiting: dict[str, Operation], answer: Operation) -> None:
        asked = waiting.pop(answer.subject, None)
        if asked is None:
            return
        with suppress(ValueError):
            said = json.loads(answer.payload)
            if said.get("stream") in _JUDGED and "error" not in said:
                self._record.acknowledged.append(
                    Acknowledged(
                        time.time(),
                        said["stream"],
                        said["seq"],
                        asked.subject,
                        asked.payload,
                        duplicate=said.get("duplicate", False),
                    )
                )


def _asked(waiting: dict[str, Operation], one: Operation) -> None:
    if one.reply and one.subject.startswith("peyvand."):
        waiting[one.reply] = one
