"""Security servers polled over real HTTP and TLS, working and failing."""

from __future__ import annotations

import ssl
import time

import pytest

from tests.support.cases.sources.polling import ailing, broken, pulling, record
from tests.support.servers.authority import Authority
from tests.support.servers.http_server import answer, serving
from tests.support.servers.security_server import Logbook, fault, soap
from tests.support.values.exchange_records import record as raw

__all__ = ["pulling"]  # fixtures


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
    """A source that names another server or provider is read from the start of its history, and nothing counts twice.
    Reading of the former one continues where it stopped, and so does reading of a server with another URL.
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
    """A side that was logged within `history`, but is of an exchange before it, opens no slot that was published
    completely. Seconds that the first request skipped do not change where it began.
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


async def test_a_quiet_server_is_read_up_to_now(pulling):
    """A server without records counts as read up to the end of the request; its newest exchange has the time of the
    collector's startup.
    """
    began = time.time()
    async with serving(Logbook()) as server, pulling(server.url(), rounds=2) as pulled:
        assert (
            began - 75 < pulled.sample("peyvand_exchange_position_timestamp_seconds", source="ss1") <= time.time() - 60
        )
        assert began - 1 < pulled.sample("peyvand_exchange_newest_timestamp_seconds", source="ss1") <= time.time()


async def test_many_records_of_one_second_are_not_lost(pulling):
    """A second with more records than fit in an answer is read completely, and reading continues after it."""
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
    """If a source names a provider, only records and counts of that provider's services are requested."""
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


@pytest.mark.parametrize("status", [200, 500])
async def test_a_fault_has_the_certificate_read_again(pulling, tmp_path, status):
    """A server refuses a certificate that it does not know by a fault. The next round uses the one that replaced it."""
    ours = Authority.make(tmp_path)
    authority, context = ours.reference.removeprefix("file:"), ours.context("ss1.test")
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(authority)
    (certificate, key), renewed = ours.client(), ours.client(name="renewed")
    book = Logbook([record(1, 100)])

    async def handler(request, writer):
        if "renewed" in str(writer.get_extra_info("peercert")):
            await book(request, writer)
            return
        writer.write(answer(status, fault("Server.ClientProxy.SslAuthenticationFailed")))
        for file, new in zip((certificate, key), renewed, strict=True):
            file.write_bytes(new.read_bytes())

    whole = {"authority": authority, "server_name": "ss1.test", "certificate": certificate, "key": key}
    async with serving(handler, tls=context) as server, pulling(server.url(), rounds=2, **whole) as pulled:
        assert [failure for failure, _ in pulled.failures()] == ["fault"]
        assert await pulled.exchanges() == 1


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
