"""The servers of the sandbox, healthy and in every fault."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.core.errors import ListenError
from services.core.model.template import fill_placeholders
from services.sandbox.exchanges.data_bus import make_data_bus
from services.sandbox.faults.faults import FaultMode, FaultScope
from services.sandbox.faults.timeline import FaultSpan
from services.sandbox.scenario.addresses import ServedLink
from services.sandbox.scenario.scenario import BUS, Scenario, make_scenario
from services.sandbox.security_server.monitoring import OperationalMonitoring
from services.sandbox.servers.certificates import open_authority
from services.sandbox.servers.servers import Servers, Site
from services.sandbox.servers.sites import CONTROL, addresses, make_sites
from services.sandbox.timing import slot_timing
from tests.support.patient_loop import monotonic, wall_time
from tests.support.servers.sandbox_client import Seen, ask
from tests.support.waiting import DEADLINE

TIMES = slot_timing(2)


@dataclass
class Playing:
    """Servers in a state that the test sets."""

    made: Scenario
    sites: dict[str, Site]
    servers: Servers
    trust: ssl.SSLContext
    state: dict[str, FaultSpan] = field(default_factory=dict)
    answered: asyncio.Queue[tuple[str, str]] = field(default_factory=asyncio.Queue)

    def served(self, *, tls: bool, family: str = "person") -> ServedLink:
        return next(served for served in self.made.served_links if served.tls == tls and served.family.name == family)

    def fault(self, target: str, mode: FaultMode, variant: int = 0, cause: FaultScope = FaultScope.LINK) -> None:
        self.state[target] = FaultSpan(target, 0, 1, mode, cause, variant)
        self.servers.apply(0)

    async def ask(self, served: ServedLink, seconds: float = DEADLINE) -> Seen:
        key = served.family.key
        body = f'{{"{key}": "{served.records[0][key]}"}}'.encode() if served.family.method == "POST" else b""
        url = fill_placeholders(served.target, served.records[0])
        return await ask(url, trust=self.trust, body=body, seconds=seconds, method=served.family.method)

    async def told(self) -> tuple[str, str]:
        """Return the next reply that the servers report; they report after they have written it."""
        async with asyncio.timeout(DEADLINE):
            return await self.answered.get()


@asynccontextmanager
async def playing(directory: Path, base_port: int) -> AsyncIterator[Playing]:
    """Run every server of the small scenario, all healthy."""
    made = make_scenario("small", seed=1, base_port=base_port, times=TIMES)
    authority = open_authority(directory, datetime.now(UTC))
    bus = make_data_bus(made)
    monitoring = OperationalMonitoring(bus, wall_time)
    served = make_sites(made, bus, authority, monitoring=monitoring.reply, clock=wall_time)
    answered: asyncio.Queue[tuple[str, str]] = asyncio.Queue()

    def note(name: str, _slot: int, sent: str) -> None:
        answered.put_nowait((name, sent))

    servers = Servers(served, TIMES, clock=wall_time, answered=note, failed=lambda *_: None)
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
    """A link without a fault answers at once, over HTTP or verified TLS, with the requested record."""
    served = play.served(tls=tls, family=family)
    seen = await play.ask(served)
    assert (seen.end, seen.status) == ("answered", 200)
    assert {name: seen.json[name] for name in served.records[0]} == served.records[0]
    assert seen.seconds < TIMES.latency
    assert await play.told() == (served.link, "ok")


@pytest.mark.parametrize("tls", [False, True])
async def test_refused(play, tls):
    """A refusing link's port is closed, its neighbour's on the same address is not, and it opens again afterwards."""
    served = play.served(tls=tls)
    neighbour = next(each for each in play.made.served_links if each.host == served.host and each.link != served.link)
    play.fault(served.link, FaultMode.REFUSED)
    assert (await play.ask(served)).end == "refused"
    assert (await play.ask(neighbour)).status == 200
    play.state.clear()
    play.servers.apply(1)
    assert (await play.ask(served)).status == 200


@pytest.mark.parametrize(
    ("variant", "reason"),
    [(0, "certificate has expired"), (1, "IP address mismatch"), (2, "self-signed certificate")],
)
async def test_tls_broken(play, variant, reason):
    """A link with broken TLS is refused by a verifying client because it is expired, of another name or self-signed."""
    served = play.served(tls=True)
    play.fault(served.link, FaultMode.TLS_BROKEN, variant)
    seen = await play.ask(served)
    assert seen.end == "tls"
    assert reason in seen.detail
    assert play.answered.empty()


@pytest.mark.parametrize("tls", [False, True])
async def test_hung(play, tls):
    """A hung link accepts the connection and the handshake, and never answers."""
    served = play.served(tls=tls)
    play.fault(served.link, FaultMode.HUNG)
    assert (await play.ask(served, seconds=TIMES.timeout)).end == "hung"
    assert play.answered.empty()


@pytest.mark.parametrize("tls", [False, True])
async def test_http_5xx(play, tls):
    """A link with a server error answers with a 5xx, and blames the bus when the bus is the cause."""
    served = play.served(tls=tls)
    play.fault(served.link, FaultMode.HTTP_5XX, 2)
    seen = await play.ask(served)
    assert seen.status == 503
    assert "x-road-error" not in seen.headers
    play.fault(served.link, FaultMode.HTTP_5XX, 2, FaultScope.BUS)
    seen = await play.ask(served)
    assert seen.status == 500
    assert "x-road-error" in seen.headers


@pytest.mark.parametrize("family", ["person", "firm", "property"])
async def test_wrong_record(play, family):
    """A link with the wrong record answers in time with another person's record."""
    served = play.served(tls=False, family=family)
    play.fault(served.link, FaultMode.WRONG_RECORD)
    seen = await play.ask(served)
    assert seen.status == 200
    assert seen.json[served.family.key] != served.records[0][served.family.key]
    assert {name: seen.json[name] for name in served.records[1]} == served.records[1]


@pytest.mark.parametrize("tls", [False, True])
async def test_slow(play, tls):
    """A slow link gives the right answer after the latency limit and before the timeout."""
    served = play.served(tls=tls)
    play.fault(served.link, FaultMode.SLOW)
    seen = await play.ask(served)
    assert {name: seen.json[name] for name in served.records[0]} == served.records[0]
    assert TIMES.latency < TIMES.slow <= seen.seconds < TIMES.timeout
    assert await play.told() == (served.link, "slow")
    assert play.answered.empty()


async def test_a_slow_answer_nobody_waits_for_is_not_logged(play):
    """If the client leaves before the slow answer is due, nothing is sent and nothing is logged as sent."""
    served = play.served(tls=False)
    play.fault(served.link, FaultMode.SLOW)
    assert (await play.ask(served, seconds=0.05)).end == "hung"
    assert (await play.ask(served)).status == 200
    assert await play.told() == (served.link, "slow")
    assert play.answered.empty()


async def test_stale(play):
    """A stale link gives the right record, older than its limit."""
    served = play.served(tls=True)
    play.fault(served.link, FaultMode.STALE)
    seen = await play.ask(served)
    assert {name: seen.json[name] for name in served.records[0]} == served.records[0]
    age = wall_time() - datetime.fromisoformat(str(seen.json["updated"])).timestamp()
    assert age > served.max_age_s


async def test_bus_portals_and_control_target(play):
    """The bus says it is up over TLS and fails with the bus; portals have a title; the control target always answers."""
    bus = f"https://{play.sites[BUS].host}:{play.sites[BUS].port}/status"
    assert (await ask(bus, trust=play.trust, seconds=DEADLINE)).json == {"bus": "up"}
    play.fault(BUS, FaultMode.HTTP_5XX, cause=FaultScope.BUS)
    assert (await ask(bus, trust=play.trust, seconds=DEADLINE)).status == 500
    portals = [each for each in play.made.endpoints if each.id != BUS]
    assert {each.target.split(":")[0] for each in portals} == {"http", "https"}
    for each in portals:
        assert b"<title>" in (await ask(each.target, trust=play.trust, seconds=DEADLINE)).body
    assert (await ask(play.made.control_target, seconds=DEADLINE)).status == 200
    assert CONTROL in play.sites


async def test_a_request_in_pieces_and_a_request_that_is_none(play):
    """A request that arrives byte by byte is answered; one that is not HTTP or is too long is cut off."""
    served = play.served(tls=False, family="firm")
    reader, writer = await asyncio.open_connection(served.host, served.port)
    number = served.records[0]["firm_id"]
    for byte in f"POST / HTTP/1.1\r\nContent-Length: {len(number)}\r\n\r\n{number}".encode():
        writer.write(bytes([byte]))
        await writer.drain()
    async with asyncio.timeout(DEADLINE):
        assert (await reader.read()).startswith(b"HTTP/1.1 200")
    writer.transport.abort()
    for nonsense in (b"\x16\x03\x01 no HTTP at all\r\n\r\n", b"GET /" + b"x" * 100_000):
        reader, writer = await asyncio.open_connection(served.host, served.port)
        writer.write(nonsense)
        async with asyncio.timeout(DEADLINE):
            with suppress(ConnectionResetError):
                assert await reader.read() == b""
        writer.transport.abort()


async def test_a_taken_port_is_said(tmp_path, base_port):
    """A taken address is named with what to do, and no server is left listening."""
    first = base_port()
    made = make_scenario("small", seed=1, base_port=first, times=TIMES)
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port that an earlier test closed is no obstacle
        taken.bind((made.served_links[-1].host, made.served_links[-1].port))
        taken.listen()
        where = f"{made.served_links[-1].host}:{made.served_links[-1].port}"
        with pytest.raises(ListenError, match=rf"cannot listen on {where}: .*choose other ports with --base-port"):
            async with playing(tmp_path, first):
                pytest.fail("it listens on a taken port")
    async with playing(tmp_path, first) as again:
        assert (await again.ask(made.served_links[-1])).status == 200


async def test_every_address_is_checked_before_startup(play):
    """The addresses that `peyvand up` checks before it starts anything are those at which the sites listen."""
    checked = addresses(play.made, make_data_bus(play.made))
    assert sorted(checked) == sorted((site.host, site.port) for site in play.sites.values())


async def test_stopping_ends_connections(tmp_path, base_port):
    """Stopping the servers cuts hung connections off and closes every port at once."""
    async with playing(tmp_path, base_port()) as it:
        served = it.served(tls=True)
        it.fault(served.link, FaultMode.HUNG)
        reader, writer = await asyncio.open_connection(served.host, served.port, ssl=it.trust)
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        start = monotonic()
    assert monotonic() - start < 1.0
    async with asyncio.timeout(DEADLINE):
        with suppress(ConnectionError):
            assert await reader.read() == b""
    writer.transport.abort()
    assert (await it.ask(served)).end == "refused"
