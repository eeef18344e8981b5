"""The server of /metrics and /health answers requests, and nobody can hold it."""

from __future__ import annotations

import gzip
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from http.client import HTTPConnection, HTTPResponse
from typing import Any

import pytest
from prometheus_client import Gauge
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from services.core import status_pages as pages
from services.core.metrics import GaugeFamily, PageRegistry, counter
from services.core.status_pages import serving_pages, text_page
from tests.support.ports import free_port
from tests.support.waiting import DEADLINE, until


@contextmanager
def serving(registry: PageRegistry | None = None) -> Iterator[int]:
    """Serve a registry, by default one of a gauge, and yield the port."""
    if registry is None:
        registry = PageRegistry()
        Gauge("one", "One", registry=registry).set(1)
    port = free_port()
    with serving_pages("127.0.0.1", port, registry, lambda: text_page(503, "NOT_SERVING\n")):
        yield port


def ask(port: int, path: str, method: str = "GET", **headers: str) -> tuple[HTTPResponse, bytes]:
    with closing(HTTPConnection("127.0.0.1", port, timeout=DEADLINE)) as connection:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer, answer.read()


def ended(connection: socket.socket) -> bool:
    """Return whether the server has ended a connection."""
    connection.setblocking(False)
    try:
        return not connection.recv(1 << 16)
    except BlockingIOError:
        return False
    except OSError:
        return True


def connected(port: int, said: bytes = b"") -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=DEADLINE)
    connection.sendall(said)
    return connection


def test_the_pages_are_answered() -> None:
    """Metrics are served as Prometheus asks for them, health with its status, and everything else with a pointer."""
    with serving() as port:
        answer, body = ask(port, "/metrics")
        assert (answer.status, b"one 1.0" in body) == (200, True)
        assert answer.headers["Content-Type"].startswith("text/plain; version=")
        answer, body = ask(
            port, "/metrics", Accept="application/openmetrics-text; version=1.0.0", **{"Accept-Encoding": "gzip"}
        )
        assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
        assert b"one 1.0" in gzip.decompress(body)
        for path in ("/metrics", "/metrics?name[]=one"):
            assert b"one 1.0" in ask(port, path, **{"Accept-Encoding": "gzip;q=0"})[1]
        assert b"one 1.0" not in ask(port, "/metrics?name[]=two")[1]
        assert ask(port, "/metrics", "POST")[0].status == 405
        answer, body = ask(port, "/health")
        assert (answer.status, body) == (503, b"NOT_SERVING\n")
        answer, body = ask(port, "/health", "HEAD")
        assert (answer.status, answer.headers["Content-Length"], body) == (503, "12", b"")
        assert ask(port, "/")[0].status == 404


@pytest.mark.parametrize("accept", ["text/plain; version=0.0.4", "application/openmetrics-text; version=1.0.0"])
def test_stable_series_are_written_once(accept: str) -> None:
    """A page equals that of prometheus-client in either format, which writes one series of a family, and only once."""
    registry = PageRegistry()
    counted, shown = counter("peyvand_probe_shed_total", registry), GaugeFamily("peyvand_links", registry)
    with pytest.raises(ValueError, match="Duplicated"):
        GaugeFamily("peyvand_links", registry)
    encode, content_type = choose_encoder(accept)
    made: list[str] = []

    def encoded(collector: Collector) -> bytes:
        made.extend(sample.name for metric in collector.collect() for sample in metric.samples)
        return encode(collector)

    for value in (1.5, 1e9):
        shown.show({("live",): value, ('a "quoted"\n\\ word',): 2, ("{0} %s \0000\0 نام",): float("-inf")})
        counted.inc()
        made.clear()
        for _ in range(2):
            page = registry.text(content_type, encoded)
            assert sorted(page.splitlines()) == sorted(encode(registry).splitlines())
        assert made.count("peyvand_links") == 1
    assert page.endswith(b"# EOF\n") == accept.startswith("application/openmetrics")
    assert page.count(b"# EOF") <= 1
    with serving(registry) as port:
        answer, body = ask(port, "/metrics", Accept=accept, **{"Accept-Encoding": "gzip"})
        assert (answer.headers["Content-Type"], gzip.decompress(body)) == (content_type, page)
        assert ask(port, "/metrics?name[]=peyvand_links")[1].count(b"peyvand_links{") == 3
        assert ask(port, "/metrics", "POST")[0].status == 405


@pytest.mark.parametrize(("said", "status"), [(b"hello\r\n\r\n", 400), (b"GET /" + b"a" * 20_000, 431)])
def test_what_is_no_request_is_refused(said: bytes, status: int) -> None:
    """Garbage and a head that is too long are answered with their status, and the connection ends."""
    with serving() as port, connected(port, said) as connection:
        received = b"".join(iter(lambda: connection.recv(1 << 16), b""))
        assert received.startswith(b"HTTP/1.1 %d " % status)


@pytest.mark.parametrize("said", [b"", b"GET /metrics HTTP/1.1\r\nHost: a\r\n"])
def test_a_request_that_does_not_arrive_is_not_waited_for(monkeypatch: pytest.MonkeyPatch, said: bytes) -> None:
    """A connection that is silent, or stops within its request, is ended."""
    monkeypatch.setattr(pages, "REQUEST_SECONDS", 0.05)
    with serving() as port, connected(port, said) as connection:
        until(lambda: ended(connection), "it is ended")
        assert ended(connection)


def test_a_request_that_trickles_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte now and then does not keep a connection open: the time is that of the whole request."""
    monkeypatch.setattr(pages, "REQUEST_SECONDS", 0.2)
    with serving() as port, connected(port, b"GET /metrics HTTP/1.1\r\n") as connection:

        def over() -> bool:
            try:
                connection.sendall(b"A")
            except OSError:
                return True
            return ended(connection)

        until(over, "it is ended")
        assert over()


def test_an_answer_that_nobody_reads_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection of a client that does not read its answer is ended, and the unsent rest is dropped."""
    monkeypatch.setattr(pages, "ANSWER_SECONDS", 0.05)
    more_than_the_system_holds, asked = bytes(64 << 20), threading.Event()
    servers: list[pages._Server] = []

    class Seen(pages._Server):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            servers.append(self)

    def health() -> pages.Answer:
        asked.set()
        return 200, [], more_than_the_system_holds

    monkeypatch.setattr(pages, "_Server", Seen)
    port = free_port()
    with (
        serving_pages("127.0.0.1", port, PageRegistry(), health),
        connected(port, b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n") as connection,
    ):
        assert asked.wait(DEADLINE)
        until(lambda: not servers[0]._open, "it is ended")
        received = 0
        with suppress(ConnectionError):
            while part := connection.recv(1 << 16):
                received += len(part)
        assert received < len(more_than_the_system_holds)


class Slow(Collector):
    """A gauge that waits until ``go`` is set."""

    def __init__(self) -> None:
        self.go, self.asked = threading.Event(), threading.Event()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        self.asked.set()
        self.go.wait(DEADLINE)
        yield GaugeMetricFamily("one", "One", value=1)


def test_connections_are_bounded_and_the_oldest_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limit the oldest silent connections are ended, never one being answered, and none takes a thread."""
    monkeypatch.setattr(pages, "MAX_CONNECTIONS", 8)
    registry, slow = PageRegistry(), Slow()
    slow.go.set()
    registry.register(slow)
    with serving(registry) as port, ExitStack() as stack:
        slow.go.clear()
        slow.asked.clear()
        scraping = stack.enter_context(connected(port, b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n"))
        assert slow.asked.wait(DEADLINE)
        threads = threading.active_count()
        silent = [stack.enter_context(connected(port)) for _ in range(40)]
        until(lambda: sum(map(ended, silent)) == 33, "all but seven are ended")
        assert [ended(one) for one in silent] == 33 * [True] + 7 * [False]
        assert ask(port, "/health")[0].status == 503
        assert threading.active_count() == threads
        slow.go.set()
        assert b"one 1.0" in b"".join(iter(lambda: scraping.recv(1 << 16), b""))


def test_nothing_is_left_when_it_ends() -> None:
    """At the end connections are closed, the thread is gone, and the address is free again."""
    threads, port = threading.active_count(), free_port()
    for _ in range(2):
        with serving_pages("127.0.0.1", port, PageRegistry(), lambda: text_page(200, "")):
            silent = connected(port)
            assert ask(port, "/metrics")[0].status == 200
        with silent:
            assert silent.recv(1) == b""
    assert threading.active_count() == threads


@pytest.mark.parametrize(
    "header", ["gzip", "br, GZIP", "gzip;q=0.001", "deflate;q=0, gzip; q=1.0", "gzip ;q=0.5, *;q=0"]
)
def test_gzip_is_accepted_where_it_is_named(header: str) -> None:
    """A client that names gzip takes it, with any weight but 0."""
    assert pages.accepts_gzip(header)


@pytest.mark.parametrize("header", ["", "identity", "br, gzip;q=0", "gzip; q=0.000", "GZIP;Q=0", "xgzip", "*;q=0"])
def test_gzip_is_not_sent_otherwise(header: str) -> None:
    """A client that does not name gzip, or with the weight 0, gets none."""
    assert not pages.accepts_gzip(header)
