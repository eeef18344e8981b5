"""The simulated security servers follow the protocol that the collector writes and reads."""

from __future__ import annotations

import pytest

from services.collector.config import XroadSource, read_sources
from services.collector.records.answers import FaultError, ServerAnswerError, read_answer
from services.collector.records.health_data import ServiceHealth, read_health
from services.collector.records.xroad import read_side
from services.collector.xroad.requests import RecordSpan as Asked
from services.collector.xroad.requests import health_data, operational_data
from services.sandbox.directory.register_files import SOURCES, sources_file
from services.sandbox.exchanges import traffic as traffic_module
from services.sandbox.exchanges.data_bus import make_data_bus
from services.sandbox.exchanges.traffic import SimulatedTraffic
from services.sandbox.faults.faults import FaultMode, FaultScope
from services.sandbox.faults.timeline import FaultSpan, draw_server_faults
from services.sandbox.scenario.scenario import make_scenario
from services.sandbox.security_server import monitoring as monitoring_module
from services.sandbox.security_server.health_data import PERIOD
from services.sandbox.security_server.monitoring import OFFSET, OperationalMonitoring
from services.sandbox.security_server.operational_data import operational_records
from services.sandbox.servers.certificates import CA
from services.sandbox.servers.replies import ReceivedRequest
from services.sandbox.timing import slot_timing

FIRST = 400_000_000
TIMES = slot_timing(5)
BUS = make_data_bus(make_scenario("small", seed=1, base_port=7500, times=TIMES))
START = FIRST * 5


class Server:
    """One server under a stopped clock, with traffic of ``rate`` exchanges a second."""

    def __init__(self, number: int = 0, rate: float = 20.0) -> None:
        self.number, self.now = number, START + 400.0
        self.traffic = SimulatedTraffic(BUS, rate=rate, seed=1, times=TIMES, first_slot=FIRST, state=lambda _: {})
        self.monitoring = OperationalMonitoring(BUS, lambda: self.now)

    @property
    def available(self) -> int:
        """The first second without available records."""
        return int(self.now + BUS.servers[self.number].skew_ms / 1000) - OFFSET

    @property
    def name(self) -> str:
        return BUS.servers[self.number].name

    def sent(
        self, first: int, last: int, *, name: str = "", client: str = BUS.monitor, span: FaultSpan | None = None
    ) -> tuple[bytes, bytes]:
        return self.told(operational_data(client, name or self.name, Asked(first, last), "id"), span)

    def told(self, question: bytes, span: FaultSpan | None = None) -> tuple[bytes, bytes]:
        reply = self.monitoring.reply(self.number, span, ReceivedRequest(b"/", question))
        head, _, content = reply.response.partition(b"\r\n\r\n")
        return head, content

    def asked(self, first: int, last: int):
        return read_answer(self.sent(first, last)[1])

    def health(self, provider: str = ""):
        return read_health(self.told(health_data(BUS.monitor, self.name, "id", provider))[1])


def test_an_answer_draws_few_slots():
    """However much is requested, an answer draws little more than it holds, because targets in this process wait."""
    server, drawn = Server(), set[int]()

    def state(slot: int) -> dict[str, FaultSpan]:
        drawn.add(slot)
        return {}

    traffic = SimulatedTraffic(BUS, rate=20.0, seed=1, times=TIMES, first_slot=FIRST, state=state)
    server.monitoring.follow(traffic)
    assert server.asked(START + 100, START + 1000).records
    assert len(drawn) <= traffic.reach + 8


def test_reading_all_servers_draws_each_slot_once(monkeypatch):
    """With limits as of 300 exchanges a second, in slots of minutes, servers read in turn make no slot drawn again."""
    scale = 60
    monkeypatch.setattr(traffic_module, "_KEPT_EXCHANGES", traffic_module._KEPT_EXCHANGES // scale)
    monkeypatch.setattr(monitoring_module, "_MOST_EXCHANGES", monitoring_module._MOST_EXCHANGES // scale)
    drawn: list[int] = []

    def state(slot: int) -> dict[str, FaultSpan]:
        drawn.append(slot)
        return {}

    times, first = slot_timing(60), START // 60
    traffic = SimulatedTraffic(BUS, rate=300.0 / scale, seed=1, times=times, first_slot=first, state=state)
    for slot in range(first, first + 33):  # the log of exchanges is ahead
        traffic.of(slot)
    drawn.clear()
    servers = [Server(number) for number in range(len(BUS.servers))]
    for server in servers:
        server.now = START + 30 * 60.0
        server.monitoring.follow(traffic)
    servers[0].health()
    positions = dict.fromkeys(range(len(servers)), START - 3600)
    while positions:
        for number, position in list(positions.items()):
            following = servers[number].asked(position, START + 3600).next_records_from
            assert following is not None
            positions[number] = following
            if following == servers[number].available:
                del positions[number]
    assert len(drawn) == len(set(drawn)) > 30


def test_an_answer_has_few_records_even_of_long_slots():
    """With many exchanges in slots of a minute, an answer has at most 10,000 records, as real servers' by default."""
    times = slot_timing(60)
    traffic = SimulatedTraffic(BUS, rate=300.0, seed=1, times=times, first_slot=START // 60, state=lambda _: {})
    for number in range(len(BUS.servers)):
        server = Server(number)
        server.monitoring.follow(traffic)
        answer = server.asked(START, START + 300)
        assert 1_000 < len(answer.records) <= 10_000
        assert answer.next_records_from is not None


@pytest.mark.parametrize("number", range(len(BUS.servers)))
def test_following_it_gives_every_record_once(number):
    """Following nextRecordsFrom gives every available record once, in answers of bounded size."""
    server = Server(number, rate=5.0)
    server.monitoring.follow(server.traffic)
    first, found, answers = START - 3600, [], 0
    while True:
        answer = server.asked(first, START + 1000)
        found += answer.records
        answers += 1
        assert answer.next_records_from is not None
        if answer.next_records_from == server.available:
            break
        assert answer.next_records_from > first
        first = answer.next_records_from
    logged = operational_records(server.traffic, number, START - 10, server.available - 1)
    assert found == [read_side(record) for record in logged]
    assert answers > 3


def test_all_that_was_asked_for_needs_no_more():
    """An answer with all records of past seconds has no next second."""
    server = Server(rate=1.0)
    server.monitoring.follow(server.traffic)
    assert server.asked(START, START + 10).next_records_from is None


def test_nothing_is_given_of_what_has_not_passed():
    """Future seconds and reversed spans are rejected."""
    server = Server()
    server.monitoring.follow(server.traffic)
    for first, last in ((server.available, server.available + 5), (START + 9, START + 8)):
        with pytest.raises(FaultError) as caught:
            server.asked(first, last)
        assert caught.value.code == "Client.InvalidRequest"


def test_before_the_run_there_is_nothing():
    """A server without traffic yet answers without records."""
    server = Server()
    answer = server.asked(START, START + 1000)
    assert (answer.records, answer.next_records_from) == ([], server.available)


def test_a_question_to_another_server_is_refused():
    """A server answers only for itself."""
    with pytest.raises(FaultError) as caught:
        read_answer(Server().sent(START, START + 10, name=BUS.servers[1].name)[1])
    assert caught.value.code == "Server.ServerProxy.UnknownService"


def served(number: int) -> list[str]:
    """Return the subsystems whose services are called behind a server."""
    return sorted({route.provider for route in BUS.routes if route.provider_server == number and route.weight > 0})


def test_records_are_given_to_whom_they_belong():
    """A server's owner sees as much as its monitoring subsystem. Another client sees only its own side."""
    server = Server(rate=20.0)
    server.monitoring.follow(server.traffic)
    logged = operational_records(server.traffic, 0, START, START + 10)
    assert logged
    for sees_all in (BUS.monitor, BUS.servers[0].owner):
        answer = read_answer(server.sent(START, START + 10, client=sees_all)[1])
        assert answer.records == [read_side(record) for record in logged]
    asker = served(0)[0]
    answer = read_answer(server.sent(START, START + 10, client=asker)[1])
    expected = [
        record
        for record in map(read_side, logged)
        if asker == (record.parties.provider if record.producer else record.parties.client)
    ]
    assert answer.records == expected
    assert 0 < len(expected) < len(logged)
    assert read_answer(server.sent(START, START + 10, client="SANDBOX/COM/1/nobody")[1]).records == []


def test_records_of_one_provider_can_be_asked_for():
    """With a client among the criteria, only records of that provider's services are returned."""
    server = Server(rate=20.0)
    server.monitoring.follow(server.traffic)
    provider = served(0)[0]
    question = operational_data(BUS.monitor, server.name, Asked(START, START + 10), "id", provider)
    given = read_answer(server.told(question)[1]).records
    every = [read_side(record) for record in operational_records(server.traffic, 0, START, START + 10)]
    assert given == [record for record in every if record.parties.provider == provider]
    assert 0 < len(given) < len(every)


def test_health_data_count_what_was_asked_of_the_services_behind_it():
    """Requests of the last period count once by service. Services without requests have zero and no duration."""
    server = Server(number=1, rate=40.0)
    server.monitoring.follow(server.traffic)
    now = server.available + OFFSET
    took: dict[str, list[int]] = {
        route.service: [] for route in BUS.routes if route.provider in served(1) and route.weight
    }
    failed = dict.fromkeys(took, 0)
    for slot in range(FIRST, FIRST + 100):
        for one in server.traffic.of(slot):
            view = one.producer
            if view is None or view.server != 1 or not now - PERIOD <= view.logged[0] < now:
                continue
            if one.fault or (one.status or 0) >= 400:
                failed[one.route.service] += 1
            else:
                took[one.route.service].append(view.stamps[3] - view.stamps[0])
    found = server.health()
    assert found.period_seconds == PERIOD
    assert {one.name: one for one in found.services} == {
        name: ServiceHealth(name, len(spent), failed[name], sum(spent) / len(spent) if spent else None)
        for name, spent in took.items()
    }
    assert sum(map(len, took.values())) > 100
    for provider in served(1):
        some = server.health(provider)
        assert some.services == tuple(one for one in found.services if one.name.startswith(f"{provider}/"))
    quiet = Server(number=1, rate=0.0)
    quiet.monitoring.follow(quiet.traffic)
    assert {(one.succeeded, one.failed, one.mean_ms) for one in quiet.health().services} == {(0, 0, None)}


def test_before_the_run_there_are_no_health_data():
    """A server whose monitoring has not started returns a fault."""
    with pytest.raises(FaultError, match=r"Server\.InternalError"):
        Server().health()


@pytest.mark.parametrize("body", [b"", b"<", b"<a/>", b"\xff\xfe", b"no xml"])
def test_what_is_no_question_gets_a_fault(body):
    """Any other request gets a SOAP fault with status 500."""
    reply = Server().monitoring.reply(0, None, ReceivedRequest(b"/", body))
    assert reply.response.startswith(b"HTTP/1.1 500 ")
    with pytest.raises(ServerAnswerError, match=r"fault Client\.InvalidRequest"):
        read_answer(reply.response.partition(b"\r\n\r\n")[2])


def test_an_ailing_server_says_so():
    """A failing server answers with a SOAP fault. About one in twelve fails in a slot, and none without faults."""
    head, content = Server().sent(
        START, START + 10, span=FaultSpan("ss1", FIRST, FIRST + 1, FaultMode.HTTP_5XX, FaultScope.LINK, 1)
    )
    assert head.startswith(b"HTTP/1.1 500 ")
    with pytest.raises(FaultError, match="AccessDenied"):
        read_answer(content)
    ill = [
        span
        for turn in range(500)
        for span in draw_server_faults([server.id for server in BUS.servers], 1, FIRST + turn, turn, 1.0).values()
    ]
    assert 0.06 < len(ill) / (500 * len(BUS.servers)) < 0.10
    assert {span.mode for span in ill} == {FaultMode.REFUSED, FaultMode.HUNG, FaultMode.HTTP_5XX, FaultMode.SLOW}
    assert not draw_server_faults([server.id for server in BUS.servers], 1, FIRST, 0, 0.0)


@pytest.mark.parametrize("slot", [2, 5, 300])
def test_the_collector_reads_the_list_of_sources(tmp_path, slot):
    """sources.yaml names every security server over TLS, queried once a slot and at least once a minute. The first one
    is also queried for its counts.
    """
    (tmp_path / CA).write_text("")
    path = tmp_path / SOURCES
    path.write_text(sources_file(BUS, slot_timing(slot), 7500))
    sources = read_sources(path)
    assert [source.id for source in sources] == [*(server.id for server in BUS.servers), "ss1-health"]
    assert [source.id for source in sources if isinstance(source, XroadSource) and source.health] == ["ss1-health"]
    for source, server in zip(sources, (*BUS.servers, BUS.servers[0]), strict=True):
        assert isinstance(source, XroadSource)
        assert (source.server, source.url) == (server.name, f"https://{server.host}:7500/")
        assert (source.every, source.behind) == (min(slot, 60), OFFSET)
