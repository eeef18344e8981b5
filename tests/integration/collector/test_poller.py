"""Security servers polled over real HTTP and TLS, working and failing."""

from __future__ import annotations

import asyncio
import gzip
import ssl
import time
from contextlib import asynccontextmanager

import pytest
import structlog
from lxml import etree
from prometheus_client import CollectorRegistry

from services.collector.config import XroadSource
from services.collector.intake import Intake
from services.collector.ledger.executor import LedgerExecutor
from services.collector.metrics import CollectorMetrics
from services.collector.xroad.poller import ServerPoller
from tests.support.servers.authority import Authority
from tests.support.servers.http_server import answer, forever, serving
from tests.support.servers.security_server import Logbook, fault, multipart, soap
from tests.support.values.exchange_records import record as raw
from tests.support.waiting import DEADLINE

CLIENT, SERVER = "IR/GOV/1/monitor", "IR/GOV/100/ss%2F1"


def record(number, seconds, **changes):
    """One side of exchange ``number``, logged so many seconds ago."""
    logged = int(time.time()) - seconds
    named = {"monitoringDataTs": logged, "xRequestId": f"x-{number}", "messageUserId": "CANARY"}
    return raw(logged * 1000, **named | changes)


class Pulled:
    """The results of polling."""

    def __init__(self, registry, ledger, executor, lines):
        self.registry, self.ledger, self.executor, self.lines = registry, ledger, executor, lines

    async def exchanges(self):
        return (await self.executor.run(self.ledger.totals)).exchanges

    def sample(self, name, **labels):
        return self.registry.get_sample_value(name, labels)

    def failures(self):
        return [(line["failure"], line["reason"]) for line in self.lines if line["event"] == "source_failed"]


@pytest.fixture
def pulling(tmp_path):
    """Polls one source, round after round, until it has paused ``rounds`` times."""

    @asynccontextmanager
    async def pull(url, rounds=1, chance=0.0, waits=None, state="state", now=time.time, **options):
        executor, registry = LedgerExecutor(), CollectorRegistry()
        named = {"server": SERVER, "url": url, "client": CLIENT, "every": 60.0, "timeout": DEADLINE}
        source = XroadSource("ss1", **named | options)
        left = [rounds + 1]

        async def wait(seconds):
            await asyncio.sleep(0)
            if seconds and waits is not None:
                waits.append(seconds)
            if seconds or left[0] > rounds:
                left[0] -= 1
            return left[0] <= 0

        with structlog.testing.capture_logs() as lines:
            async with executor.ledger(tmp_path / f"{state}.sqlite", 300, int(time.time() * 1000)) as ledger:
                metrics, log = CollectorMetrics(registry), structlog.get_logger()
                metrics.add_source("ss1")
                intake = Intake(executor, ledger, metrics, log, lambda: int(time.time() * 1000))
                answers = asyncio.Semaphore(4)
                poller = ServerPoller(source, intake, metrics, log, answers, now=now, chance=lambda: chance, wait=wait)
                await poller.run()
                yield Pulled(registry, ledger, executor, lines)
        assert "CANARY" not in str(lines)
        assert b"CANARY" not in b"".join(path.read_bytes() for path in tmp_path.glob("*.sqlite*"))

    return pull


async def test_all_records_are_followed_to_the_end(pulling):
    """More records than an answer holds are fetched answer by answer in one round, none twice, and the position is kept."""
    book, began = Logbook([record(n, 3000 - n) for n in range(500)], limit=64), time.time()
    async with serving(book) as server:
        async with pulling(server.url(), now=lambda: began) as pulled:
            assert await pulled.exchanges() == 500
            assert pulled.sample("peyvand_exchange_records_total") == 500
            assert pulled.sample("peyvand_exchange_duplicates_total") == 0
            assert pulled.sample("peyvand_exchange_source_up", source="ss1") == 1
            position = pulled.sample("peyvand_exchange_position_timestamp_seconds", source="ss1")
            assert began - 75 < position <= began - 60
        assert len(book.asked) == 8
        assert all(later[0] > earlier[0] for earlier, later in zip(book.asked, book.asked[1:], strict=False))
        async with pulling(
            server.url(), now=lambda: began
        ) as pulled:  # a new process on the same state: nothing is old enough yet
            assert len(book.asked) == 8
            assert pulled.sample("peyvand_exchange_source_up", source="ss1") == 1
            assert pulled.sample("peyvand_exchange_position_timestamp_seconds", source="ss1") == position


async def test_another_server_under_the_same_id_is_read_from_its_beginning(pulling):
    """A source that names another server or provider is read from its history on, and nothing counts twice.

    The former one is read on from where it stopped, and so is a server with another URL.
    """
    began = time.time()
    ours, theirs = (Logbook([record(f"{name}{n}", 3000 - n) for n in range(20)]) for name in "ab")
    async with serving(ours) as server, serving(ours) as moved, serving(theirs) as other:
        async with pulling(server.url()) as pulled:
            assert await pulled.exchanges() == 20
        async with pulling(other.url(), server="IR/GOV/200/ss") as pulled:
            assert await pulled.exchanges() == 40
            assert pulled.sample("peyvand_exchange_duplicates_total") == 0
        async with pulling(server.url(), provider="IR/GOV/200") as pulled:
            assert await pulled.exchanges() == 40
            assert pulled.sample("peyvand_exchange_duplicates_total") == 20
        asked = len(ours.asked)
        async with pulling(moved.url(), behind=0) as pulled:
            assert await pulled.exchanges() == 40
            assert pulled.sample("peyvand_exchange_duplicates_total") == 0
        assert all(first > began - 100 for first, _ in ours.asked[asked:])


async def test_records_before_the_first_request_open_no_slot(pulling):
    """A side that was logged within `history`, of an exchange before it, opens no slot that was published completely.

    What the first request skipped does not change where it began.
    """
    records, began = [record(n, 3000 - n) for n in range(100)], time.time()
    late = raw((int(began) - 8000) * 1000, monitoringDataTs=int(began) - 2900, xRequestId="late")
    first = int(began) - 4000
    for bad in ([], [first]):
        book = Logbook([*records, late])
        asking = {"now": lambda: began, "history": began - first, "state": str(bad)}
        ill = ailing(book, bad, broken(lambda packed: packed[:-12]))
        async with serving(ill) as server, pulling(server.url(), **asking) as pulled:
            assert await pulled.exchanges() == 100
            assert pulled.sample("peyvand_exchange_expired_total") == 1
            assert pulled.sample("peyvand_exchange_skipped_seconds_total", source="ss1") == len(bad)


async def test_a_position_is_that_of_one_server(pulling):
    """A source that names another server under the same id reads that one from its history on."""
    book = Logbook([record(n, 3000 - n) for n in range(20)])
    async with serving(book) as server:
        async with pulling(server.url()) as pulled:
            assert await pulled.exchanges() == 20
        async with pulling(server.url(), server="IR/GOV/200/ss") as pulled:
            assert pulled.sample("peyvand_exchange_duplicates_total") == 20


async def test_a_quiet_server_is_read_up_to_now(pulling):
    """A server without records counts as read up to the end of the request; its newest exchange is as old as the
    collector.
    """
    began = time.time()
    async with serving(Logbook()) as server, pulling(server.url(), rounds=2) as pulled:
        assert (
            began - 75 < pulled.sample("peyvand_exchange_position_timestamp_seconds", source="ss1") <= time.time() - 60
        )
        assert began - 1 < pulled.sample("peyvand_exchange_newest_timestamp_seconds", source="ss1") <= time.time()


async def test_many_records_of_one_second_are_not_lost(pulling):
    """A second with more records than fit in an answer is given completely, and reading goes on after it."""
    book = Logbook([record(n, 500) for n in range(50)] + [record(n, 400) for n in range(50, 60)], limit=20)
    async with serving(book) as server, pulling(server.url()) as pulled:
        assert await pulled.exchanges() == 60


async def test_a_request_is_a_message_of_the_protocol(pulling):
    """The request names the client, the service of the server's owner, the server by its code, an id and the version."""
    book = Logbook()
    async with serving(book) as server, pulling(server.url()):
        pass
    [envelope] = book.headers
    header = envelope.find("{*}Header")
    assert header is not None

    def parts(name):
        return [child.text for child in header.iterfind(f"{{http://x-road.eu/xsd/xroad.xsd}}{name}/*")]

    assert parts("client") == ["IR", "GOV", "1", "monitor"]
    assert parts("service") == ["IR", "GOV", "100", "getSecurityServerOperationalData"]
    assert parts("securityServer") == ["IR", "GOV", "100", "ss/1"]
    assert len(header.findtext("{*}id", "")) == 36
    assert header.findtext("{*}protocolVersion") == "4.0"
    assert envelope.find(".//{*}searchCriteria/{*}client") is None


@pytest.mark.parametrize(("health", "criteria"), [(False, "searchCriteria"), (True, "filterCriteria")])
async def test_records_of_one_provider_can_be_requested(pulling, health, criteria):
    """If a source names a provider, records and counts of its services alone are requested."""
    book = Logbook(health=HEALTH)
    async with serving(book) as server, pulling(server.url(), provider="IR/GOV/100/a%2Fb", health=health):
        pass
    [envelope] = book.headers
    party = envelope.find(f".//{{http://x-road.eu/xsd/op-monitoring.xsd}}{criteria}/{{*}}client")
    assert party is not None
    assert [child.text for child in party] == ["IR", "GOV", "100", "a/b"]


@pytest.mark.parametrize("behind", [300, -300])
@pytest.mark.parametrize("too_early", ["Client.InvalidRequest", "client.invalid_request"])
async def test_a_clock_that_differs_loses_nothing(pulling, behind, too_early):
    """A server whose clock is five minutes off is read as far as it can answer, without a failure and without a gap,
    with fault codes of both generations.
    """
    logged = [record(n, 3000 - n + max(0, behind)) for n in range(100)]
    book = Logbook(logged, limit=30, behind=behind, too_early=too_early)
    async with serving(book) as server, pulling(server.url(), rounds=2) as pulled:
        assert await pulled.exchanges() == 100
        assert pulled.failures()[1:] == []
        assert pulled.sample("peyvand_exchange_source_failures_total", source="ss1", failure="status") == 0


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


def broken(change):
    """An answer of one record with something changed."""
    envelope = soap(
        "<om:getSecurityServerOperationalDataResponse><om:recordsCount>1</om:recordsCount>"
        "</om:getSecurityServerOperationalDataResponse>"
    )
    return answer(200, multipart(envelope, change(gzip.compress(b'{"records": [{}]}'))))


def ailing(book, bad, ill):
    """A server whose answers fail if they hold any of these seconds."""

    async def answers(request, writer):
        envelope = etree.fromstring(request.body)
        first, last = (int(envelope.findtext(f".//{{*}}{name}", "")) for name in ("recordsFrom", "recordsTo"))
        if any(first <= second <= last for second in bad):
            book.calls += 1
            writer.write(ill)
        else:
            await book(request, writer)

    return answers


@pytest.mark.parametrize("together", [1, 3])
@pytest.mark.parametrize(
    "ill",
    [
        broken(lambda packed: packed[:-12]),
        broken(lambda _: gzip.compress(b'{"records": []}')),
        answer(200, b"-" * ((16 << 20) + 1)),
    ],
    ids=["gzip", "count", "large"],
)
async def test_a_bad_second_blocks_nothing_else(pulling, ill, together):
    """An unreadable answer is narrowed down to its seconds, which are skipped, counted and named; the rest is read at
    once.
    """
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
    """While no answer is readable, or only every other one, no second is skipped; then everything is read."""
    book = Logbook([record(n, 3000 - n) for n in range(100)], limit=10)
    book.ill = lambda call: answer(200, b"<html/>") if ill(call) else None
    async with serving(book) as server, pulling(server.url(), rounds=40) as pulled:
        assert await pulled.exchanges() == 100
        assert pulled.sample("peyvand_exchange_skipped_seconds_total", source="ss1") == 0
        assert pulled.sample("peyvand_exchange_source_failures_total", source="ss1", failure="unreadable") > 0


async def test_retries_back_off(pulling):
    """Pauses double with each failure up to a quarter of an hour; success makes them short again."""
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


async def test_an_answer_without_end_is_cut(pulling):
    """An answer is read up to the limit only, and its attachment decompressed up to its limit."""

    async def floods(_, writer):
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"-" * 65536)
            await writer.drain()

    bomb = gzip.compress(bytes(80 << 20))
    envelope = soap("<om:getSecurityServerOperationalDataResponse/>")
    book = Logbook(ill=lambda _: answer(200, multipart(envelope, bomb)))
    async with serving(book) as server, pulling(server.url()) as pulled:
        assert set(pulled.failures()) == {("unreadable", "its attachment is larger than 64 MiB")}
    async with serving(floods) as server, pulling(server.url()) as pulled:
        assert set(pulled.failures()) == {("too_large", "its answer is larger than 16777216 bytes")}


async def test_a_refused_connection_is_reported(pulling, port):
    """A refused connection is a failure of transport."""
    async with pulling(f"http://127.0.0.1:{port()}/") as pulled:
        assert pulled.failures() == [("transport", "no connection to it can be made")]


async def test_tls_goes_both_ways(pulling, tmp_path):
    """With our certificate and its authority the server is read; without either the handshake fails with a message."""
    ours = Authority.make(tmp_path)
    context = ours.context("ss1.test")
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(ours.reference.removeprefix("file:"))
    certificate, key = ours.client()
    whole = {
        "authority": ours.reference.removeprefix("file:"),
        "server_name": "ss1.test",
        "certificate": certificate,
        "key": key,
    }
    book = Logbook([record(1, 100)])
    async with serving(book, tls=context) as server:
        async with pulling(server.url(), **whole) as pulled:
            assert pulled.failures() == []
            assert await pulled.exchanges() == 1
        for without in ("authority", "server_name", "certificate"):
            less = {name: value for name, value in whole.items() if name != without}
            async with pulling(server.url(), state=without, **less) as pulled:
                [(failure, _)] = pulled.failures()
                assert failure == ("transport" if without == "certificate" else "tls")
        async with pulling(server.url(), state="key", **whole | {"key": tmp_path / "missing"}) as pulled:
            assert pulled.failures() == [("tls", "the authority, our certificate or its key cannot be used")]


HEALTH = """<om:getSecurityServerHealthDataResponse><om:monitoringStartupTimestamp>1</om:monitoringStartupTimestamp>
<om:statisticsPeriodSeconds>600</om:statisticsPeriodSeconds><om:servicesEvents>
<om:serviceEvents><om:service id:objectType="SERVICE"><id:xRoadInstance>IR</id:xRoadInstance><id:memberClass>GOV</id:memberClass>
<id:memberCode>100</id:memberCode><id:subsystemCode>a/b</id:subsystemCode><id:serviceCode>person</id:serviceCode>
<id:serviceVersion>v1</id:serviceVersion></om:service><om:lastPeriodStatistics>
<om:successfulRequestCount>12</om:successfulRequestCount><om:unsuccessfulRequestCount>3</om:unsuccessfulRequestCount>
<om:requestAverageDuration>42.5</om:requestAverageDuration></om:lastPeriodStatistics></om:serviceEvents>
</om:servicesEvents></om:getSecurityServerHealthDataResponse>"""


async def test_health_data_are_shown_where_records_are_not_shared(pulling):
    """Counts and mean duration per service are shown, and removed with the service; a bad answer is reported."""
    service = {"source": "ss1", "service": "IR/GOV/100/a%2Fb/person"}
    empty = "<om:getSecurityServerHealthDataResponse><om:statisticsPeriodSeconds>600</om:statisticsPeriodSeconds></om:getSecurityServerHealthDataResponse>"
    book = Logbook(health=HEALTH)
    async with serving(book) as server:
        async with pulling(server.url(), health=True) as pulled:
            assert pulled.sample("peyvand_exchange_health_requests", **service, result="succeeded") == 12
            assert pulled.sample("peyvand_exchange_health_requests", **service, result="failed") == 3
            assert pulled.sample("peyvand_exchange_health_duration_seconds", **service) == 0.0425
        book.ill = lambda call: answer(200, soap(empty)) if call == 3 else None
        async with pulling(server.url(), rounds=2, health=True) as pulled:
            assert pulled.sample("peyvand_exchange_health_requests", **service, result="succeeded") is None
            assert pulled.sample("peyvand_exchange_health_duration_seconds", **service) is None
        book.health = HEALTH.replace("12", "CANARY")
        async with pulling(server.url(), health=True) as pulled:
            assert pulled.failures() == [("unreadable", "successfulRequestCount must be a whole number")]
