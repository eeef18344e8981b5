"""No header of a message stops those who read its stream, or ends their connection."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from math import inf
from unittest.mock import AsyncMock

import pytest

from services.cli.evidence_files import print_stream
from services.core.bus import EXCHANGES, MEASUREMENTS, Bus
from services.core.bus.names import exchange_subject, heartbeat_subject, measurement_subject
from services.core.bus.stream_cursor import StreamCursor
from services.core.errors import BusError
from services.core.settings import Settings
from tests.support.cases.scorer import measure, now_slot, put
from tests.support.nats import Nats
from tests.support.waiting import DEADLINE, eventually

HEADERS = (
    b"NATS/1.0\r\nStatus: 204\r\n\r\n",
    b"NATS/1.0\r\nStatus: 404\r\nDescription: Message Not Found\r\n\r\n",
    b"NATS/1.0\r\nStatus: 500\r\n\r\n",
    b"NATS/1.0 204 EOB\r\n\r\n",
    b"NATS/1.0 503\r\nA: b\r\n\r\n",
    b"NATS/1.0 \xff\xfe\xfd\r\n\r\n",
    b"NATS/1.0 \xff\xfe\xfd\r\nA: b\r\n\r\n",
    b"NATS/1.0 204 \xff\xfe\r\nA: b\r\n\r\n",
    b"NATS/1.0\r\n\xff\xfe: \xfd\r\n\r\n",
    b"NATS/1.0\r\nNats-Sequence: 9999\r\nNats-Subject: other\r\nNats-Time-Stamp: never\r\n\r\n",
    b"NATS/1.0\r\n\r\nA",
    b"NATS/1.0\r\nA: b",
    b"\r\n\r\n",
    b"x",
    b"NATS/1.0",
)


async def publish_raw(bus: Bus, subject: str, headers: bytes) -> None:
    """Publish a message with headers that no client makes."""
    command = f"HPUB {subject} {len(headers)} {len(headers) + 1}\r\n".encode() + headers + b"x\r\n"
    await bus.client._send_command(command)
    await bus.client.flush()


@pytest.mark.parametrize(
    ("role", "stream", "subject"),
    [
        ("prober", MEASUREMENTS, measurement_subject("main", 0)),
        ("collector", EXCHANGES, exchange_subject("xroad", 0)),
    ],
)
async def test_what_follows_hostile_headers_is_read(nats: Nats, role: str, stream: str, subject: str) -> None:
    """A cursor returns each message with such headers and the one after them, over the same connection."""
    async with asyncio.timeout(DEADLINE), nats.connect(role) as bus, nats.connect("archive") as reader:
        cursor = StreamCursor(reader, stream, needed_from=-inf, accept=False)
        position = await cursor.resume(None)
        for headers in HEADERS:
            await publish_raw(bus, subject, headers)
            last = await bus.publish(subject, b"good", message_id="")
            messages = await cursor.read(position, limit=500, now=time.monotonic())
            assert [(message.sequence, message.subject) for message in messages] == [
                (last - 1, subject),
                (last, subject),
            ]
            assert messages[-1].data == b"good"
            position = replace(position, sequence=last)
        assert last == 2 * len(HEADERS)
        assert reader.client.stats["reconnects"] == 0


async def test_heartbeats_with_hostile_headers_end_no_connection(nats: Nats) -> None:
    """Another prober of the vantage hears each of them and what follows."""
    subject = heartbeat_subject("main", "ghost")
    heard: list[bytes] = []
    async with asyncio.timeout(DEADLINE), nats.connect("prober") as bus, nats.connect("prober") as other:

        async def listen() -> None:
            async for data in other.listen(subject):
                heard.append(data)  # noqa: PERF401  # as they come

        async def hears() -> bool:
            await bus.send(subject, b"ready")
            return bool(heard)

        async def heard_all() -> bool:
            return heard[-1] == b"last"

        listener = asyncio.create_task(listen())
        await eventually(hears, "the other prober listens")
        for headers in HEADERS:
            await publish_raw(bus, subject, headers)
        await bus.send(subject, b"last")
        await eventually(heard_all, "the last heartbeat")
        assert heard.count(b"x") == len(HEADERS)
        assert other.client.stats["reconnects"] == 0
        listener.cancel()


def settings_of(nats: Nats) -> Settings:
    """Return the settings of a command that reads from this bus."""
    return Settings(nats=nats.url, credentials=nats.credentials)


async def test_a_dump_goes_on_after_hostile_headers(nats: Nats, capsys: pytest.CaptureFixture[str]) -> None:
    """The measurement after such a message is printed, and the message is named as left out."""
    async with nats.connect("prober") as prober:
        await publish_raw(prober, measurement_subject("main", 0), HEADERS[0])
        await put(prober, [measure("deed-tax", now_slot() - 2)])
    await print_stream("measurements", settings_of(nats), since="", until="")
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 1
    assert "message 1 of MEASUREMENTS is left out" in err


async def test_a_dump_that_reads_nothing_fails(nats: Nats, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the bus returns nothing before the last message, a dump ends with a sentence; where it was deleted, it is whole."""
    async with nats.connect("prober") as prober:
        for slot in range(3):
            await put(prober, [measure("deed-tax", now_slot() - 2 - slot)])
    with monkeypatch.context() as patch:
        patch.setattr(Bus, "read", AsyncMock(return_value=[]))
        with pytest.raises(BusError, match="MEASUREMENTS ended before message 1"):
            await print_stream("measurements", settings_of(nats), since="", until="")
    async with nats.connect("admin") as admin:
        await admin.jetstream.delete_msg(MEASUREMENTS, 3)
    await print_stream("measurements", settings_of(nats), since="", until="")
