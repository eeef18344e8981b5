"""The simulated security servers speak the protocol: asked and read by the collector's own writer and reader."""

from __future__ import annotations

import pytest

from services.collector.answer import AnswerError, FaultError, read_answer
from services.collector.asking import Span as Asked
from services.collector.asking import operational_data
from services.collector.record import read_side
from services.collector.sources import XroadSource, read_sources
from services.sandbox.faults import Mode, Scope
from services.sandbox.logbook import records
from services.sandbox.monitoring import OFFSET, Monitoring, ailing
from services.sandbox.parties import data_bus
from services.sandbox.register_files import CA, SOURCES, sources_file
from services.sandbox.replies import Request
from services.sandbox.scenario import scenario
from services.sandbox.timeline import Span
from services.sandbox.timing import timing
from services.sandbox.traffic import Traffic

FIRST = 400_000_000
TIMES = timing(5)
BUS = data_bus(scenario("small", seed=1, base_port=7500, times=TIMES))
START = FIRST * 5


class Server:
    """One server under a clock that stands; its traffic is ``rate`` exchanges a second."""

    def __init__(self, number: int = 0, rate: float = 20.0) -> None:
        self.number, self.now = number, START + 400.0
        self.traffic = Traffic(BUS, rate=rate, seed=1, times=TIMES, first_slot=FIRST, state=lambda _: {})
        self.monitoring = Monitoring(BUS, lambda: self.now)

    @property
    def available(self) -> int:
        """The first second not given yet."""
        return int(self.now + BUS.servers[self.number].skew_ms / 1000) - OFFSET

    def sent(self, first: int, last: int, *, name: str = "", span: Span | None = None) -> tuple[bytes, bytes]:
        body = operational_data(BUS.monitor, name or BUS.servers[self.number].name, Asked(first, last), "id")
        reply = self.monitoring.reply(self.number, span, Request(b"/", body))
        head, _, content = reply.response.partition(b"\r\n\r\n")
        return head, content

    def asked(self, first: int, last: int):
        return read_answer(self.sent(first, last)[1])


@pytest.mark.parametrize("number", range(len(BUS.servers)))
def test_following_it_gives_every_record_once(number):
    """Whoever follows nextRecordsFrom gets every record that can be given, each once, in answers of bounded size."""
    server = Server(number)
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
    logged = records(server.traffic, number, START - 10, server.available - 1)
    assert found == [read_side(record) for record in logged]
    assert answers > 3


def test_all_that_was_asked_for_needs_no_more():
    """An answer with all the records of seconds that have passed names no second to go on from."""
    server = Server(rate=1.0)
    server.monitoring.follow(server.traffic)
    assert server.asked(START, START + 10).next_records_from is None


def test_nothing_is_given_of_what_has_not_passed():
    """Seconds that are yet to come, or end before they begin, are refused, whatever is known of them."""
    server = Server()
    server.monitoring.follow(server.traffic)
    for first, last in ((server.available, server.available + 5), (START + 9, START + 8)):
        with pytest.raises(FaultError) as caught:
            server.asked(first, last)
        assert caught.value.code == "Client.InvalidRequest"


def test_before_the_run_there_is_nothing():
    """A server that has no traffic yet answers without records."""
    server = Server()
    answer = server.asked(START, START + 1000)
    assert (answer.records, answer.next_records_from) == ([], server.available)


def test_a_question_to_another_server_is_refused():
    """A server answers for itself alone."""
    with pytest.raises(FaultError) as caught:
        read_answer(Server().sent(START, START + 10, name=BUS.servers[1].name)[1])
    assert caught.value.code == "Server.ServerProxy.UnknownService"


@pytest.mark.parametrize("body", [b"", b"<", b"<a/>", b"\xff\xfe", b"no xml"])
def test_what_is_no_question_gets_a_fault(body):
    """Whatever is sent is answered, by a SOAP fault with status 500."""
    reply = Server().monitoring.reply(0, None, Request(b"/", body))
    assert reply.response.startswith(b"HTTP/1.1 500 ")
    with pytest.raises(AnswerError, match=r"fault Client\.InvalidRequest"):
        read_answer(reply.response.partition(b"\r\n\r\n")[2])


def test_an_ailing_server_says_so():
    """A server that fails answers with a SOAP fault; about one in twelve is ill in a slot, none with faults turned off."""
    head, content = Server().sent(START, START + 10, span=Span("ss1", FIRST, FIRST + 1, Mode.HTTP_5XX, Scope.LINK, 1))
    assert head.startswith(b"HTTP/1.1 500 ")
    with pytest.raises(FaultError, match="AccessDenied"):
        read_answer(content)
    ill = [span for turn in range(500) for span in ailing(BUS, 1, FIRST + turn, turn, 1.0).values()]
    assert 0.06 < len(ill) / (500 * len(BUS.servers)) < 0.10
    assert {span.mode for span in ill} == {Mode.REFUSED, Mode.HUNG, Mode.HTTP_5XX, Mode.SLOW}
    assert not ailing(BUS, 1, FIRST, 0, 0.0)


@pytest.mark.parametrize("slot", [2, 5, 300])
def test_the_collector_reads_the_list_of_sources(tmp_path, slot):
    """sources.yaml names every security server, over TLS, asked once a slot and not more rarely than once a minute."""
    (tmp_path / CA).write_text("")
    path = tmp_path / SOURCES
    path.write_text(sources_file(BUS, timing(slot), 7500))
    sources = read_sources(path)
    assert [source.id for source in sources] == [server.id for server in BUS.servers]
    for source, server in zip(sources, BUS.servers, strict=True):
        assert isinstance(source, XroadSource)
        assert (source.server, source.url) == (server.name, f"https://{server.host}:7500/")
        assert (source.every, source.behind) == (min(slot, 60), OFFSET)
