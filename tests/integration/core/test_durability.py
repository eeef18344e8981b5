"""A real bus is checked for settings with which it could lose acknowledged messages, and for certificates that end."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from nats.aio.msg import Msg
from nats.js.api import StorageType

from services.core.bus import bus_report, stream_configs
from services.core.bus.durability import DURABILITY_FAULTS, _of_servers, _of_streams
from services.core.bus.names import EXCHANGES, SERVERS_SUBJECT, STREAMS
from services.core.bus.streams import Streams
from services.core.errors import BusError
from tests.support.nats import Configuration, Nats, running_nats
from tests.support.servers.authority import Authority
from tests.support.servers.deployed_nats import deployed, initialised
from tests.support.waiting import DEADLINE, eventually


@pytest.fixture(autouse=True)
def _servers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let one answer be all that a report waits for; more servers could answer for five seconds."""
    monkeypatch.setattr("services.core.bus.durability._SERVERS", 1)


async def faults(server: Nats) -> dict[str, str]:
    async with server.connect("scorer") as bus:
        return dict((await bus_report(bus)).faults)


async def test_a_bus_as_it_is_set_up_is_safe(nats: Nats) -> None:
    """The embedded server has no fault, and no certificate."""
    async with nats.connect("scorer") as bus:
        report = await bus_report(bus)
    assert (report.faults, report.certificates) == ({}, {})


def end_of(pem: Path) -> float:
    """Return when the certificate in a file expires, in epoch seconds."""
    return x509.load_pem_x509_certificate(pem.read_bytes()).not_valid_after_utc.timestamp()


async def test_the_end_of_a_certificate_is_told_also_when_it_is_renewed(tmp_path: Path) -> None:
    """A connection that outlasts a renewal learns when the new certificate expires; without TLS there is none."""
    with deployed(tmp_path / "alone", "alone.conf") as server:
        nats = server.secrets / "nats"
        async with server.connect("admin") as admin, server.connect("scorer") as scorer:
            await initialised(admin)
            assert (await bus_report(scorer)).certificates == {"peyvand": end_of(nats / "server.pem")}
            renewed = Authority.make(tmp_path).server("127.0.0.1", days=(-1, 30))
            for name in ("server.pem", "server.key"):
                (nats / name).write_bytes(renewed.read_bytes())
            server.reload()
            assert (await bus_report(scorer)).certificates == {"peyvand": end_of(renewed)}
            assert scorer.connected


async def test_a_server_that_does_not_sync_is_named(tmp_path: Path) -> None:
    """A server without sync_interval: always is named, with its interval."""
    async with running_nats(
        tmp_path, change=lambda configuration: configuration["jetstream"].pop("sync_interval")
    ) as server:
        assert await faults(server) == {
            "sync": "server peyvand syncs each 120 s what it acknowledges at once: set sync_interval to always"
        }


async def test_servers_with_former_accounts_do_not_say(tmp_path: Path) -> None:
    """With accounts of an older version nobody can ask; that is reported, and the scorer's connection continues."""

    def former(configuration: Configuration) -> None:
        del configuration["accounts"]["$SYS"]
        scorer = configuration["accounts"]["scorer"]
        scorer["imports"] = [one for one in scorer["imports"] if "$SYS" not in json.dumps(one)]

    async with running_nats(tmp_path, change=former) as server:
        assert list(await faults(server)) == ["unknown"]


async def test_servers_that_answer_late_are_heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers that are busy or far away have as long as for any other request before they count as silent."""
    defaults = Streams.request_all.__kwdefaults__
    assert defaults is not None
    monkeypatch.setitem(defaults, "timeout", DEADLINE)  # nothing here takes longer

    def stub(configuration: Configuration) -> None:
        bus, scorer = (configuration["accounts"][name] for name in ("BUS", "scorer"))
        bus["exports"].append({"service": "servers", "accounts": ["scorer"], "response_type": "stream"})
        scorer["imports"] = [one for one in scorer["imports"] if "$SYS" not in json.dumps(one)]
        scorer["imports"].append({"service": {"account": "BUS", "subject": "servers"}, "to": SERVERS_SUBJECT})
        (admin,) = bus["users"]
        admin["permissions"]["subscribe"]["allow"].append("servers")
        admin["permissions"]["publish"]["allow"].append("_R_.>")

    server = {"server": {"name": "n1", "ver": "2.14.6"}, "data": {"jetstream": {"config": {"sync_always": True}}}}

    async def answer(message: Msg) -> None:
        await asyncio.sleep(2.5)  # as a server does that is far away
        await message.respond(json.dumps(server).encode())

    async with running_nats(tmp_path, change=stub) as nats, nats.connect("admin") as admin:
        await admin.client.subscribe("servers", cb=answer)
        await admin.client.flush()
        assert await faults(nats) == {}


async def test_a_stream_in_memory_is_named(nats: Nats) -> None:
    """A stream that was recreated in memory is named."""
    (config,) = (one for one in stream_configs(1) if one.name == EXCHANGES)
    async with nats.connect("admin") as bus:
        await bus.jetstream.delete_stream(EXCHANGES)
        await bus.jetstream.add_stream(config.evolve(storage=StorageType.MEMORY))
    assert await faults(nats) == {
        "storage": "stream EXCHANGES is in memory, and gone when its server ends: make it anew, on disk"
    }


@pytest.mark.slow
async def test_a_cluster_says_which_copies_it_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three servers by deploy/nats have no fault. With one of them down its copies are named; with one replica the
    streams are.
    """
    monkeypatch.setattr("services.core.bus.durability._SERVERS", 3)
    with deployed(tmp_path / "cluster", "cluster.conf", 3) as servers:
        async with (
            asyncio.timeout(2 * DEADLINE),
            servers.connect("admin") as admin,
            servers.connect("scorer") as scorer,
        ):
            await initialised(admin, replicas=3)

            async def says(wanted: list[str]) -> bool:
                try:
                    return list((await bus_report(scorer)).faults) == wanted
                except BusError:
                    return False  # while another leader is elected

            assert await eventually(lambda: says([]), "all copies were current")
            end = end_of(servers.secrets / "nats" / "server.pem")
            assert (await bus_report(scorer)).certificates == dict.fromkeys(("nats-1", "nats-2", "nats-3"), end)
            servers.kill(1)
            assert await eventually(lambda: says(["copies"]), "the copies of the server that is down were named")
            servers.start(1)
            assert await eventually(lambda: says([]), "all copies were current again")
            await initialised(admin, replicas=1)
            assert await eventually(lambda: says(["replicas"]), "streams with one copy were named")


@pytest.mark.parametrize("role", ["prober", "collector", "archive", "api", "dump", "register"])
async def test_only_the_scorer_may_ask_servers(nats: Nats, role: str) -> None:
    """No role but the scorer gets an answer from the servers."""
    async with nats.connect(role) as bus:
        assert await bus.request_all("$SYS.REQ.SERVER.PING.VARZ", b"{}", most=1, timeout=0.5) == []


def test_a_cluster_is_judged_by_its_copies() -> None:
    """On a cluster a stream needs three copies, all of them current; every server must sync."""

    def info(copies: int, *current: bool) -> dict[str, Any]:
        replicas = [{"name": f"n{number}", "current": one} for number, one in enumerate(current, 2)]
        cluster = {"name": "peyvand", "leader": "n1", "replicas": replicas}
        return {"config": {"storage": "file", "num_replicas": copies}, "cluster": cluster}

    def server(name: str, config: dict[str, Any], version: str = "2.14.6") -> dict[str, Any]:
        return {"server": {"name": name, "ver": version}, "data": {"jetstream": {"config": config}}}

    whole = info(3, True, True)
    assert list(_of_streams(dict.fromkeys(STREAMS, whole))) == []
    assert dict(_of_streams({EXCHANGES: info(1)})) == {
        "replicas": "stream EXCHANGES is on 1 of the servers of a cluster: run `peyvand bus init --replicas 3`"
    }
    assert dict(_of_streams({EXCHANGES: info(3, True, False)})) == {
        "copies": "the copy of stream EXCHANGES on n3 is not current: start that server, or let it catch up"
    }
    always, seldom = {"sync_always": True}, {"sync_interval": 5_000_000_000}
    assert list(_of_servers([server("n1", always), server("n2", always)], True)) == []
    ((fault, sentence),) = _of_servers([server("n1", always), server("n2", seldom)], True)
    assert (fault, sentence[:22]) == ("sync", "server n2 syncs each 5")
    newer = [server("n1", always, "2.15.1")]
    assert list(_of_servers(newer, False)) == []
    assert dict(_of_servers(newer, True)) == {
        "version": "server n1 is nats-server 2.15.1, which may lose streams with copies at a power cut: install 2.14"
    }
    assert {fault for fault, _ in _of_servers([], True)} < set(DURABILITY_FAULTS)
