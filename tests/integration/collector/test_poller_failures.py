"""Security servers that fail in every known way: what is lost, what is logged, and when the collector retries."""

from __future__ import annotations

import asyncio
import gzip
import time

import pytest

from services.collector.config import XroadSource
from services.collector.xroad import client as xroad_client
from services.collector.xroad.client import SecurityServerClient
from tests.support.cases.sources.polling import CLIENT, SERVER, ailing, broken, pulling, record, slow
from tests.support.servers.http_server import answer, forever, serving
from tests.support.servers.security_server import Logbook, fault, multipart, soap

__all__ = ["pulling"]  # fixtures

_LARGEST = 1 << 20
"""The limit of an answer in bytes, for a test that makes many larger ones. The real limit is sixteen times as high."""


@pytest.mark.parametrize(
    ("ill", "failure", "reason"),
    [
        (
            answer(500, fault("Server.ServerProxy.AccessDenied")),
            "fault",
            "the security server answered with fault Server.ServerProxy.AccessDenied",
        ),
        (
            answer(200, fault("Server.ClientProxy.SslAuthenticationFailed")),
            "fault",
            "the security server answered with fault Server.ClientProxy.SslAuthenticationFailed",
        ),
        (
            answer(500, b"{}", {"X-Road-Error": "Server.ServerProxy.X"}),
            "fault",
            "the security server answered with fault Server.ServerProxy.X",
        ),
        (
            answer(200, fault("CANARY of somebody")),
            "fault",
            "the security server answered with fault without a readable code",
        ),
        (answer(503, b"CANARY"), "status", "it answered with HTTP status 503"),
        (answer(302, b"", {"Location": "http://127.0.0.1:1/CANARY"}), "status", "it answered with HTTP status 302"),
        (answer(302, b"", {"Location": "http://xn--/"}), "transport", "the connection broke: IDNAError"),
        (answer(302, b"", {"Location": "http://a..b/"}), "status", "it answered with HTTP status 302"),
        (answer(200, b"CANARY"), "unreadable", "the multipart answer ends before its closing boundary"),
        (answer(200, b"<a>CANARY</a>"), "unreadable", "it is a SOAP message without records"),
        (
            answer(200, gzip.compress(b"x", mtime=0), {"Content-Encoding": "gzip"}),
            "unreadable",
            "its answer is compressed, which was not requested",
        ),
        (b"CANARY\r\n\r\n", "transport", "the connection broke: RemoteProtocolError"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nCANARY",
            "transport",
            "the connection broke: RemoteProtocolError",
        ),
    ],
)
async def test_a_failure_is_reported_without_content_and_retried(pulling, ill, failure, reason):
    """Faults, statuses and broken answers are reported by kind in log and metrics; the next round gets everything."""
    book = Logbook([record(1, 100)], ill=lambda call: ill if call == 1 else None)
    async with serving(book) as server, pulling(server.url(), rounds=2) as pulled:
        assert pulled.failures() == [(failure, reason)]
        assert pulled.sample("peyvand_exchange_source_failures_total", source="ss1", failure=failure) == 1
        assert pulled.sample("peyvand_exchange_source_up", source="ss1") == 1
        assert await pulled.exchanges() == 1


async def test_a_silent_server_keeps_no_other_waiting(pulling):
    """While one server is silent, another is read, even if only one answer may be in memory."""
    answers = asyncio.Semaphore(1)

    async def poll(url):
        async with pulling(url, answers=answers, state="silent"):
            pass

    async with serving(forever) as silent, serving(Logbook([record(1, 100)])) as server:
        waiting = asyncio.create_task(poll(silent.url()))
        await silent.reaches(1)
        async with pulling(server.url(), answers=answers) as pulled:
            assert await pulled.exchanges() == 1
            assert not waiting.done()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)


async def test_no_cookie_is_kept():
    """Cookies of a security server are neither sent back nor kept."""
    sent: list[str | None] = []

    async def handler(request, writer):
        sent.append(request.header("cookie"))
        writer.write(answer(200, b"x", {"Set-Cookie": f"c{len(sent)}=1; Path=/"}))

    async with serving(handler) as server:
        source = XroadSource("ss1", server=SERVER, url=server.url(), client=CLIENT)
        async with SecurityServerClient(source) as client:
            for _ in range(3):
                await client.send(b"<a/>")
            assert client._client is not None
            assert not client._client.cookies
    assert sent == [None] * 3


async def test_an_answer_that_does_not_advance_is_a_failure(pulling):
    """A nextRecordsFrom that does not advance is a failure, and nothing of that answer is counted."""
    envelope = soap(
        "<om:getSecurityServerOperationalDataResponse><om:recordsCount>0</om:recordsCount>"
        "<om:nextRecordsFrom>1</om:nextRecordsFrom></om:getSecurityServerOperationalDataResponse>"
    )
    ill = answer(200, multipart(envelope, gzip.compress(b'{"records": []}')))
    book = Logbook(ill=lambda _: ill)
    async with serving(book) as server, pulling(server.url()) as pulled:
        assert pulled.failures() == [("unreadable", "its nextRecordsFrom does not move on")]
        assert book.calls == 1


@pytest.mark.parametrize("together", [1, 3])
@pytest.mark.parametrize(
    "ill",
    [
        broken(lambda packed: packed[:-12]),
        broken(lambda _: gzip.compress(b'{"records": []}')),
        answer(200, b"-" * (_LARGEST + 1)),
    ],
    ids=["gzip", "count", "large"],
)
async def test_a_bad_second_blocks_nothing_else(pulling, monkeypatch, ill, together):
    """An unreadable answer is narrowed down to its seconds, which are skipped, counted and named; the rest is read at
    once.
    """
    monkeypatch.setattr(xroad_client, "LARGEST_ANSWER", _LARGEST)
    records, began = [record(n, 3000 - n) for n in range(100)], time.time()
    book, bad = Logbook(records, limit=30), [records[50 + n]["monitoringDataTs"] for n in range(together)]
    async with serving(ailing(book, bad, ill)) as server, pulling(server.url()) as pulled:
        assert await pulled.exchanges() == 100 - together
        assert pulled.sample("peyvand_exchange_records_total") == 100 - together
        assert pulled.sample("peyvand_exchange_skipped_seconds_total", source="ss1") == together
        assert [line["second"] for line in pulled.lines if line["event"] == "second_skipped"] == bad
        assert pulled.sample("peyvand_exchange_source_up", source="ss1") == 1
        assert pulled.sample("peyvand_exchange_position_timestamp_seconds", source="ss1") > began - 90
        assert book.calls < 150


@pytest.mark.parametrize(
    "ill", [lambda call: call <= 60, lambda call: call % 2, lambda call: call % 2 == 0], ids=["long", "odd", "even"]
)
async def test_a_failing_server_loses_nothing(pulling, ill):
    """While no answer is readable, or only every other one, no second is skipped; afterwards everything is read."""
    book = Logbook([record(n, 3000 - n) for n in range(100)], limit=10)
    book.ill = lambda call: answer(200, b"<html/>") if ill(call) else None
    async with serving(book) as server, pulling(server.url(), rounds=40) as pulled:
        assert await pulled.exchanges() == 100
        assert pulled.sample("peyvand_exchange_skipped_seconds_total", source="ss1") == 0
        assert pulled.sample("peyvand_exchange_source_failures_total", source="ss1", failure="unreadable") > 0


async def test_retries_back_off(pulling):
    """Pauses double with each failure up to a quarter of an hour; a success makes them short again."""
    waits: list[float] = []
    book = Logbook(ill=lambda call: answer(503) if call <= 6 else None)
    async with serving(book) as server, pulling(server.url(), rounds=7, chance=0.5, waits=waits) as pulled:
        assert waits == [1.0, 120, 240, 480, 900, 900, 900, 60]
        assert [line["failures"] for line in pulled.lines if line["event"] == "source_failed"] == [1, 2, 3, 4, 5, 6]


async def test_a_slow_server_is_given_up_at_the_deadline(pulling):
    """A server that does not answer, and one that never stops, are given up at the deadline."""

    async def drips(_, writer):
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"-")
            await writer.drain()
            await asyncio.sleep(0.01)

    for handler in (forever, drips):
        async with serving(handler) as server, pulling(server.url(), timeout=0.3) as pulled:
            assert pulled.failures() == [("timeout", "it did not answer within 0.3 s")]


async def test_a_server_over_a_slow_line_is_read_in_parts(pulling):
    """When so many records do not come in time, half as many seconds are requested next; in the end all are read."""
    book = Logbook([record(n, 100 + 30 * n) for n in range(100)])
    async with (
        serving(slow(book, 1000)) as server,
        pulling(server.url(), rounds=20, timeout=0.5, history=4000.0) as pulled,
    ):
        assert await pulled.exchanges() == 100
        assert pulled.sample("peyvand_exchange_source_failures_total", source="ss1", failure="timeout") >= 2
        assert pulled.sample("peyvand_exchange_skipped_seconds_total", source="ss1") == 0


async def test_an_answer_without_end_is_cut(pulling):
    """An answer is read up to the limit only, and its attachment decompressed up to its limit."""

    async def floods(_, writer):
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"-" * 65536)
            await writer.drain()

    # An unreadable span is requested again in halves. The last minute is not read, so this span has two seconds.
    bomb = gzip.compress(bytes(65 << 20), 1)
    envelope = soap("<om:getSecurityServerOperationalDataResponse/>")
    book = Logbook(ill=lambda _: answer(200, multipart(envelope, bomb)))
    async with serving(book) as server, pulling(server.url(), history=62.0) as pulled:
        assert set(pulled.failures()) == {("unreadable", "its attachment is larger than 64 MiB")}
    async with serving(floods) as server, pulling(server.url(), history=62.0) as pulled:
        assert set(pulled.failures()) == {("too_large", "its answer is larger than 16777216 bytes")}


async def test_a_refused_connection_is_reported(pulling, port):
    """A refused connection is reported as a transport failure."""
    async with pulling(f"http://127.0.0.1:{port()}/") as pulled:
        assert pulled.failures() == [("transport", "no connection to it can be made")]
