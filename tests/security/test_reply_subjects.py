"""No seed of the bus makes a server publish where its user may not: not by a reply subject, nor by a trace's destination.

A server publishes answers, acknowledgements and traces itself, with nobody's permissions, to subjects that the request
names. Where all users share an account, JetStream's API takes such an answer for a request.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from services.core.bus import Bus
from services.core.bus.names import (
    INDICATOR_BUCKET,
    MEASUREMENTS,
    REGISTER_BUCKET,
    SHARDS,
    STREAMS,
    exchange_subject,
    heartbeat_subject,
    indicator_subject,
    kv_subject,
    measurement_subject,
)
from services.core.bus.roles import Permissions, permissions, write_users
from services.core.bus.server import write_configuration
from services.core.errors import BusError
from tests.support.flat_users import flat_configuration
from tests.support.nats import Nats, running_nats
from tests.support.ports import free_port
from tests.support.servers.deployed_nats import Deployed, deployed, initialised

ROLES = ("register", "prober", "collector", "scorer", "archive", "api", "dump")

Connect = Callable[[str], AbstractAsyncContextManager[Bus]]
"""Connects as the user of a role; the prober is that of vantage north."""

STORED = {
    "register": kv_subject(REGISTER_BUCKET, "current"),
    "prober": measurement_subject("north", 0),
    "collector": exchange_subject("xroad", 0),
    "scorer": indicator_subject("government", "country", 28),
}
"""What is on the bus before an attack, by the role that stored it."""

SETTLE_SECONDS = 0.3

REFUSED = b"-ERR 'Authorization Violation'"

_OTHER_SHARDS = tuple(f".{shard}" for shard in range(1, SHARDS))
"""Subjects of a stream by shard are alike: the first stands for them."""

_API = ("DELETE", "PURGE", "UPDATE", "MSG.DELETE", "SNAPSHOT", "LEADER.STEPDOWN")
_GET = json.dumps({"seq": 1, "batch": 8, "next_by_subj": ">"}).encode()

REPLIES = (
    *(f"$JS.API.STREAM.{verb}.{stream}" for verb in _API for stream in STREAMS),
    "$JS.API.STREAM.CREATE.ROGUE",
    *(f"$JS.API.CONSUMER.CREATE.{stream}" for stream in STREAMS),
    "$JS.API.META.LEADER.STEPDOWN",
    "$JS.API.ACCOUNT.PURGE.BUS",
    *STORED.values(),
    measurement_subject("south", 0),
    exchange_subject("other", 0),
    heartbeat_subject("north", "ghost"),
    heartbeat_subject("south", "ghost"),
    kv_subject(REGISTER_BUCKET, "previous"),
    kv_subject(INDICATOR_BUCKET, "government"),
    "$SYS.REQ.SERVER.PING",
    "$SYS.REQ.ACCOUNT.BUS.CONNZ",
)
"""Subjects on which nobody wants to find a server's answer."""


@dataclass
class State:
    """Every stream of a bus: its configuration and when it was made, its consumers, its messages' subjects by sequence."""

    made: dict[str, tuple[str, str, int]] = field(default_factory=dict)
    messages: dict[str, dict[int, str]] = field(default_factory=dict)

    @classmethod
    async def of(cls, admin: Bus) -> State:
        """Read the state with the administrator's permissions."""
        state = cls()
        for info in await admin.jetstream.streams_info():
            name = str(info.config.name)
            with suppress(BusError):  # it was deleted meanwhile
                created, messages = (await admin.stream_state(name)).created, await admin.read(name, 1)
                state.made[name] = (created, str(info.config.as_dict()), info.state.consumer_count)
                state.messages[name] = {message.sequence: message.subject for message in messages}
        return state


class Victims:
    """Other users' clients, and what reaches them."""

    def __init__(self) -> None:
        self.inboxes: dict[str, str] = {}
        self.received: list[str] = []

    async def add(self, role: str, bus: Bus, *subjects: str) -> None:
        """Listen where a role's client listens."""
        self.inboxes[role] = bus.client.new_inbox()
        for subject in (self.inboxes[role], *subjects):
            await bus.client.subscribe(subject, cb=self._take)
        await bus.client.flush()

    async def _take(self, message: Any) -> None:
        self.received.append(message.subject)


def _literal(pattern: str) -> str:
    """Return a subject that a pattern matches and that names nothing existing."""
    return pattern.replace("*", "0").replace(">", "nothing")


def _covers(pattern: str, subject: str) -> bool:
    mine, tokens = pattern.split("."), subject.split(".")
    for number, token in enumerate(mine):
        if token == ">":
            return len(tokens) > number
        if number >= len(tokens) or token not in ("*", tokens[number]):
            return False
    return len(mine) == len(tokens)


async def attack(bus: Bus, allowed: Permissions, reply: str) -> None:
    """Send every request of a role with a reply subject that is not ours, and with a trace that goes there."""
    client = bus.client
    traced = {"Nats-Trace-Dest": reply}
    for pattern in allowed.publish:
        if pattern.endswith(_OTHER_SHARDS):
            continue
        subject = _literal(pattern)
        payload = _GET if pattern.startswith("$JS.API.DIRECT.GET.") else b""
        await client.publish(subject, payload, reply=reply)
        await client.publish(subject, payload, headers=traced)
        await client.publish(subject, payload, reply=reply, headers={**traced, "Nats-Trace-Only": "true"})
    await client.flush()


async def broken(role: str, connect: Connect, *, replies: Sequence[str] = REPLIES, vantages: bool = False) -> list[str]:
    """Return the forbidden effects of a role's seed on a bus by reply subjects, others' inboxes among them.

    With ``vantages`` the bus has the users of north and south.
    """
    allowed = permissions("north", "xroad")[role]
    foreign = [reply for reply in replies if not any(_covers(pattern, reply) for pattern in allowed.publish)]
    faults: list[str] = []
    async with AsyncExitStack() as stack, asyncio.timeout(120):
        admin = await stack.enter_async_context(connect("admin"))
        await initialised(admin)
        for owner, subject in STORED.items():
            async with connect(owner) as bus:
                await bus.publish(subject, b"kept", message_id="")
        victims = Victims()
        for owner in ("admin", *ROLES):
            if owner != role:
                await victims.add(owner, await stack.enter_async_context(connect(owner)))
        if vantages:
            other = await stack.enter_async_context(connect("prober-south"))
            await victims.add("prober-south", other, heartbeat_subject("south", "*"))
        bus = await stack.enter_async_context(connect(role))
        before = await State.of(admin)
        for reply in (*foreign, *victims.inboxes.values()):
            await attack(bus, allowed, reply)
            found = await _faults(before, admin, allowed)
            if victims.received:
                found.append(f"others received {victims.received}")
                victims.received.clear()
            if found:
                faults += [f"{role} by {reply}: {fault}" for fault in found]
                await initialised(admin)
                before = await State.of(admin)
        await asyncio.sleep(SETTLE_SECONDS)
        faults += [f"{role}, afterwards: {fault}" for fault in await _faults(before, admin, allowed)]
    return faults


async def _faults(before: State, admin: Bus, allowed: Permissions) -> list[str]:
    """Return what differs from before, except messages that the role may publish."""
    now = await State.of(admin)
    streams = sorted(before.made.keys() | now.made.keys())
    faults = [f"{name} is gone, new or another" for name in streams if before.made.get(name) != now.made.get(name)]
    for name, messages in now.messages.items():
        kept = before.messages.get(name, {})
        if not kept.items() <= messages.items():
            faults.append(f"{name} lost messages")
        new = [subject for number, subject in messages.items() if number not in kept]
        if foreign := [subject for subject in new if not any(_covers(pattern, subject) for pattern in allowed.publish)]:
            faults.append(f"{name} has {foreign}")
    return faults


@pytest.fixture
async def embedded(tmp_path: Path) -> AsyncIterator[Connect]:
    """The server that `peyvand up` embeds."""
    async with running_nats(tmp_path / "nats", vantage="north") as server:
        yield server.connect


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Connect]:
    """A server by deploy/nats/alone.conf with two vantages."""
    with deployed(tmp_path / "alone", "alone.conf") as servers:
        yield connecting(servers)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Connect]:
    """Three servers by deploy/nats/cluster.conf with two vantages."""
    with deployed(tmp_path / "cluster", "cluster.conf", 3) as servers:
        yield connecting(servers)


def connecting(servers: Deployed) -> Connect:
    """Return how to connect as the user of a role; for role prober it is the user of vantage north."""
    users = {"prober": "prober-north", "collector": "collector-xroad"}

    def connect(role: str) -> AbstractAsyncContextManager[Bus]:
        return servers.connect(users.get(role, role), role.partition("-")[0])

    return connect


@pytest.fixture
def flat(tmp_path: Path) -> Iterator[Connect]:
    """A server on which all users share an account."""
    server = Nats(tmp_path / "flat", free_port())
    users = write_users(server.credentials)
    text = flat_configuration(port=server.port, store=server.folder / "store", users=users, vantage="north")
    write_configuration(server.folder / "nats.conf", text)
    server.start()
    try:
        yield server.connect
    finally:
        server.kill()


@pytest.mark.parametrize("role", ROLES)
async def test_no_seed_reaches_further_by_a_reply_subject_embedded(embedded: Connect, role: str) -> None:
    """On the embedded server no answer goes where its requester may not publish."""
    assert await broken(role, embedded) == []


@pytest.mark.parametrize("role", ROLES)
async def test_no_seed_reaches_further_by_a_reply_subject_deployed(alone: Connect, role: str) -> None:
    """On a server by deploy/nats/alone.conf no answer goes where its requester may not publish."""
    assert await broken(role, alone, vantages=True) == []


@pytest.mark.slow
@pytest.mark.parametrize("role", ["prober", "scorer"])
async def test_no_seed_reaches_further_by_a_reply_subject_in_a_cluster(cluster: Connect, role: str) -> None:
    """Answers that pass from one server to another by deploy/nats/cluster.conf stay with their requester as well."""
    assert await broken(role, cluster, vantages=True) == []


@pytest.mark.parametrize("role", ROLES)
async def test_the_attacks_succeed_where_users_share_an_account(flat: Connect, role: str) -> None:
    """The attacks above are real: with all users in one account each role purges and deletes, and writes to others' inboxes."""
    purge, delete = (f"$JS.API.STREAM.{verb}.{MEASUREMENTS}" for verb in ("PURGE", "DELETE"))
    faults = "\n".join(await broken(role, flat, replies=(purge, delete)))
    assert f"{role} by {purge}: {MEASUREMENTS} lost messages" in faults
    assert f"{role} by {delete}: {MEASUREMENTS} is gone" in faults
    assert "others received" in faults


async def test_nobody_connects_without_a_seed_embedded(embedded: Connect) -> None:
    """The embedded server refuses a client without a credential: none falls into an account of everybody's."""
    assert await _answer_without_a_seed(embedded) == REFUSED


async def test_nobody_connects_without_a_seed_deployed(alone: Connect) -> None:
    """A server by deploy/nats/alone.conf refuses a client without a credential, whose certificate check passed."""
    assert await _answer_without_a_seed(alone) == REFUSED


async def _answer_without_a_seed(connect: Connect) -> bytes:
    """Return the last line that the server says to a client without a credential, before it ends the connection."""
    async with asyncio.timeout(20), connect("admin") as bus:
        url = bus.client.connected_url
        assert url is not None
        reader, writer = await asyncio.open_connection(url.hostname, url.port, ssl=bus.client.options.get("tls"))
        try:
            writer.write(b"CONNECT {}\r\nPING\r\n")
            return (await reader.read()).splitlines()[-1]
        finally:
            writer.close()
