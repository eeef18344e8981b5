from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.core.errors import ListenError
from services.core.model.template import fill_placeholders
from services.sandbox.servers.certificates import open_authority
from services.sandbox.exchanges.data_bus import data_bus
from services.sandbox.faults.faults import Mode, Scope
from services.sandbox.faults.timeline import Span
from services.sandbox.scenario.scenario import BUS, Scenario, scenario
from services.sandbox.scenario.addresses import Wire
from services.sandbox.security_server.monitoring import Monitoring
from services.sandbox.servers.servers import Servers, Site
from services.sandbox.servers.sites import CONTROL, sites
from services.sandbox.timing import timing
from tests.support.servers.sandbox_client import Seen, ask

TIMES = timing(2)


@dataclass
class Playing:
    """Servers in a state a test sets."""

    made: Scenario
    sites: dict[str, Site]
    servers: Servers
    trust: ssl.SSLContext
    state: dict[str, Span] = field(default_factory=dict)
    answered: asyncio.Queue[tuple[str, str]] = field(default_factory=asyncio.Queue)

    def wire(self, *, tls: bool, family: str = "person") -> Wire:
        return next(wire for wire in self.made.wires if wire.tls == tls and wire.family.name == family)

    def fault(self, target: str, mode: Mode, variant: int = 0, cause: Scope = Scope.LINK) -> None:
        self.state[target] = Span(target, 0, 1, mode, cause, variant)
        self.servers.apply(0)

    async def ask(self, wire: Wire, seconds: float = 5.0) -> Seen:
        key = wire.family.key
        body = f'{{"{key}": "{wire.records[0][key]}"}}'.encode() if wire.family.method == "POST" else b""
        url = fill_placeholders(wire.target, wire.records[0])
        return await ask(url, trust=self.trust, body=body, seconds=seconds, method=wire.family.method)

    async def told(self) -> tuple[str, str]:
        """The next reply the servers told of; they tell after they wrote."""
        async with asyncio.timeout(5):
            return await self.answered.get()


@asynccontextmanager
async def playing(directory: Path, base_port: int) -> AsyncIterator[Playing]:
    """Every server of the small scenario, all well."""
    made = scenario("small", seed=1, base_port=base_port, times=TIMES)
    authority = open_authority(directory, datetime.now(UTC))
    bus = data_bus(made)
    monitoring = Monitoring(bus, time.time)
    served = sites(made, bus, authority, monitoring=monitoring.reply, clock=time.time)
    answered: asyncio.Queue[tuple[str, str]] = asyncio.Queue()

    def note(name: str, _slot: int, sent: str) -> None:
        answered.put_nowait((name, sent))

    servers = Servers(served, TIMES, clock=time.time, answered=note)
    trust = ssl.create_default_context(cafile=str(directory / "ca.pem"))
    async with servers:
        it = Playing(made, {site.name: site for site in served}, servers, trust, answered=answered)
        servers.follow(lambda _: it.state)
        yield it


@pytest.fixture
async def play(tmp_path, base_port):
    async with playing(tmp_path, base_port()) as it:
        yield it


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("family", ["person", "firm", "property"])
async def test_a_well_link_answers(play, tls, family):
    """A link in no fault answers at once, over HTTP or verified TLS, with the record asked for."""
    wire = play.wire(tls=tls, family=family)
    seen = await play.ask(wire)
    assert (seen.end, seen.status) == ("answered", 200)
    assert {name: seen.json[name] for name in wire.records[0]} == wire.records[0]
    assert seen.seconds < TIMES.latency
    assert await play.told() == (wire.link, "ok")


@pytest.mark.parametrize("tls", [False, True])
async def test_refused(play, tls):
    """A refusing link's port is closed, its neighbour's on the same address is not, and it opens again afterwards."""
    wire = play.wire(tls=tls)
    neighbour = next(each for each in play.made.wires if each.host == wire.host and each.link != wire.link)
    play.fault(wire.link, Mode.REFUSED)
    assert (await play.ask(wire)).end == "refused"
    assert (await play.ask(neighbour)).status == 200
    play.state.clear()
    play.servers.apply(1)
    assert (await play.ask(wire)).status == 200


@pytest.mark.parametrize(
    ("variant", "reason"),
    [(0, "certificate has expired"), (1, "IP address mismatch"), (2, "self-signed certificate")],
)
async def test_tls_broken(play, variant, reason):
    """A link with broken TLS is refused by a verifying client because it is expired, of another name or self-signed."""
    wire = play.wire(tls=True)
    play.fault(wire.link, Mode.TLS_BROKEN, variant)
    seen = await play.ask(wire)
    assert seen.end == "tls"
    assert reason in seen.detail
    assert play.answered.empty()


@pytest.mark.parametrize("tls", [False, True])
async def test_hung(play, tls):
    """A hung link takes the connection, and the handshake, and never answers."""
    wire = play.wire(tls=tls)
    play.fault(wire.link, Mode.HUNG)
    assert (await play.ask(wire, seconds=TIMES.timeout)).end == "hung"
    assert play.answered.empty()


@pytest.mark.parametrize("tls", [False, True])
async def test_http_5xx(play, tls):
    """A link with a server error answers with a 5xx, and blames the bus when the bus is the cause."""
    wire = play.wire(tls=tls)
    play.fault(wire.link, Mode.HTTP_5XX, 2)
    seen = await play.ask(wire)
    assert seen.status == 503
    assert "x-road-error" not in seen.headers
    play.fault(wire.link, Mode.HTTP_5XX, 2, Scope.BUS)
    seen = await play.ask(wire)
    assert seen.status == 500
    assert "x-road-error" in seen.headers


@pytest.mark.parametrize("family", ["person", "firm", "property"])
async def test_wrong_record(play, family):
    """A link with the wrong record answers in time with somebody else's."""
    wire = play.wire(tls=False, family=family)
    play.fault(wire.link, Mode.WRONG_RECORD)
    seen = await play.ask(wire)
    assert seen.status == 200
    assert seen.json[wire.family.key] != wire.records[0][wire.family.key]
    assert {name: seen.json[name] for name in wire.records[1]} == wire.records[1]


@pytest.mark.parametrize("tls", [False, True])
async def test_slow(play, tls):
    """A slow link gives the right answer after the latency limit and before the timeout."""
    wire = play.wire(tls=tls)
    play.fault(wire.link, Mode.SLOW)
    seen = await play.ask(wire)
    assert {name: seen.json[name] for name in wire.records[0]} == wire.records[0]
    assert TIMES.latency < TIMES.slow <= seen.seconds < TIMES.timeout
    assert await play.told() == (wire.link, "slow")
    assert play.answered.empty()


async def test_a_slow_answer_nobody_waits_for_is_not_logged(play):
    """When the client leaves before the slow answer is due, nothing is sent and nothing is said to be."""
    wire = play.wire(tls=False)
    play.fault(wire.link, Mode.SLOW)
    assert (await play.ask(wire, seconds=0.05)).end == "hung"
    assert (await play.ask(wire)).status == 200
    assert await play.told() == (wire.link, "slow")
    assert play.answered.empty()


async def test_stale(play):
    """A stale link gives the right record, older than its limit."""
    wire = play.wire(tls=True)
    play.fault(wire.link, Mode.STALE)
    seen = await play.ask(wire)
    assert {name: seen.json[name] for name in wire.records[0]} == wire.records[0]
    age = time.time() - datetime.fromisoformat(str(seen.json["updated"])).timestamp()
    assert age > wire.max_age_s


async def test_bus_portals_and_control_target(play):
    """The bus says it is up over TLS and fails with the bus; portals have a title; the control target always answers."""
    bus = f"https://{play.sites[BUS].host}:{play.sites[BUS].port}/status"
    assert (await ask(bus, trust=play.trust, seconds=5)).json == {"bus": "up"}
    play.fault(BUS, Mode.HTTP_5XX, cause=Scope.BUS)
    assert (await ask(bus, trust=play.trust, seconds=5)).status == 500
    portals = [each for each in play.made.endpoints if each.id != BUS]
    assert {each.target.split(":")[0] for each in portals} == {"http", "https"}
    for each in portals:
        assert b"<title>" in (await ask(each.target, trust=play.trust, seconds=5)).body
    assert (await ask(play.made.control_target, seconds=5)).status == 200
    assert CONTROL in play.sites


async def test_a_request_in_pieces_and_a_request_that_is_none(play):
    """A request that arrives byte by byte is answered; what is no HTTP, or too much of it, is cut off."""
    wire = play.wire(tls=False, family="firm")
    reader, writer = await asyncio.open_connection(wire.host, wire.port)
    number = wire.records[0]["firm_id"]
    for byte in f"POST / HTTP/1.1\r\nContent-Length: {len(number)}\r\n\r\n{number}".encode():
        writer.write(bytes([byte]))
        await writer.drain()
    async with asyncio.timeout(5):
        assert (await reader.read()).startswith(b"HTTP/1.1 200")
    writer.transport.abort()
    for nonsense in (b"\x16\x03\x01 no HTTP at all\r\n\r\n", b"GET /" + b"x" * 100_000):
        reader, writer = await asyncio.open_connection(wire.host, wire.port)
        writer.write(nonsense)
        async with asyncio.timeout(5):
            with suppress(ConnectionResetError):
                assert await reader.read() == b""
        writer.transport.abort()


async def test_a_taken_port_is_said(tmp_path, base_port):
    """An address somebody listens on is told with what to do, and nothing is left listening."""
    first = base_port()
    made = scenario("small", seed=1, base_port=first, times=TIMES)
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # what an earlier test closed is no hindrance
        taken.bind((made.wires[-1].host, made.wires[-1].port))
        taken.listen()
        where = f"{made.wires[-1].host}:{made.wires[-1].port}"
        with pytest.raises(ListenError, match=rf"cannot listen on {where}: .*choose other ports with --base-port"):
            async with playing(tmp_path, first):
                pytest.fail("it listens on a taken port")
    async with playing(tmp_path, first) as again:
        assert (await again.ask(made.wires[-1])).status == 200


async def test_stopping_ends_connections(tmp_path, base_port):
    """Leaving the servers cuts hung connections off and closes every port at once."""
    async with playing(tmp_path, base_port()) as it:
        wire = it.wire(tls=True)
        it.fault(wire.link, Mode.HUNG)
        reader, writer = await asyncio.open_connection(wire.host, wire.port, ssl=it.trust)
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        start = time.perf_counter()
    assert time.perf_counter() - start < 1.0
    async with asyncio.timeout(5):
        with suppress(ConnectionError):
            assert await reader.read() == b""
    writer.transport.abort()
    assert (await it.ask(wire)).end == "refused"
