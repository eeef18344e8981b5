"""The bus on a real nats-server: stored messages stay, forbidden requests fail."""

from __future__ import annotations

import asyncio
import subprocess

import pytest

from services.core.bus.names import (
    EXCHANGES,
    INDICATOR_BUCKET,
    MEASUREMENTS,
    REGISTER_BUCKET,
    exchange_subject,
    indicator_subject,
    kv_subject,
    measurement_subject,
)
from services.core.bus.roles import ROLES
from services.core.bus.topology import initialise_streams, stream_configs
from services.core.errors import BusError
from tests.support.waiting import DEADLINE

# A subject on which each role must never publish.
FORBIDDEN = {
    "admin": measurement_subject("main", 0),
    "register": measurement_subject("main", 0),
    "prober": measurement_subject("other-vantage", 0),
    "collector": exchange_subject("other-bus", 0),
    "scorer": measurement_subject("main", 0),
    "archive": measurement_subject("main", 0),
    "api": kv_subject(INDICATOR_BUCKET, "government"),
    "dump": exchange_subject("xroad", 0),
}
ALLOWED = {
    "register": kv_subject(REGISTER_BUCKET, "current"),
    "prober": measurement_subject("main", 0),
    "collector": exchange_subject("xroad", 0),
    "scorer": indicator_subject("government", "g", 28),
}


@pytest.mark.parametrize("role", ROLES)
async def test_each_role_is_refused_what_is_not_its_own(nats, role: str) -> None:
    """A role cannot publish outside its subjects, and nothing is stored."""
    async with nats.connect(role) as bus:
        with pytest.raises(BusError, match="not acknowledged"):
            await bus.publish(FORBIDDEN[role], b"x", message_id="x", timeout=0.5)
    async with nats.connect("dump") as bus:
        for stream in (MEASUREMENTS, EXCHANGES):
            assert (await bus.stream_state(stream)).last == 0


@pytest.mark.parametrize("role", sorted(ALLOWED))
async def test_each_role_may_do_its_own(nats, role: str) -> None:
    """The requests refused above succeed for the right role, so the stream exists and only permission was missing."""
    async with nats.connect(role) as bus:
        assert await bus.publish(ALLOWED[role], b"x", message_id="x") == 1


@pytest.mark.parametrize("role", [role for role in ROLES if role != "admin"])
async def test_nobody_but_admin_creates_a_jetstream_consumer(nats, role: str) -> None:
    """Every role but admin is refused a JetStream consumer, which could deliver to any subject."""
    async with nats.connect(role) as bus:
        with pytest.raises(BusError, match="no answer in time"):
            await bus._request(f"$JS.API.CONSUMER.CREATE.{MEASUREMENTS}", b"{}", "creating", timeout=0.5)


async def test_init_twice_changes_nothing(nats) -> None:
    """`bus init` is idempotent and every stream is synced to disk."""
    async with nats.connect("prober") as bus:
        await bus.publish(measurement_subject("main", 0), b"kept", message_id="kept")
    async with nats.connect("admin") as bus:
        await initialise_streams(bus)
        names = {info.config.name for info in await bus.jetstream.streams_info()}
    assert names == {config.name for config in stream_configs(1)}
    async with nats.connect("dump") as bus:
        assert [m.data for m in await bus.read(MEASUREMENTS, 1)] == [b"kept"]
    assert '"sync_interval": "always"' in (nats.folder / "nats.conf").read_text()


async def test_acknowledged_messages_survive_kill_9(nats) -> None:
    """After the server is killed, acknowledged messages are read once and in order."""
    async with nats.connect("prober") as prober, nats.connect("scorer") as scorer:
        for i in range(50):
            await prober.publish(measurement_subject("main", i % 16), b"%d" % i, message_id=str(i))
        nats.kill()
        nats.start()
        async with asyncio.timeout(DEADLINE):
            while True:
                try:
                    messages = await scorer.read(MEASUREMENTS, 1, timeout=1)
                    break
                except BusError:
                    continue
        assert [m.data for m in messages] == [b"%d" % i for i in range(50)]
        assert await prober.publish(measurement_subject("main", 0), b"49", message_id="49") == 50
        assert [m.sequence for m in await scorer.read(MEASUREMENTS, 49, limit=1)] == [49]


async def test_what_comes_too_late_reaches_no_later_read(nats) -> None:
    """A reply to a read that timed out or was cancelled does not reach a later read."""
    async with nats.connect("prober") as prober, nats.connect("scorer") as bus:
        for number in range(4):
            await prober.publish(measurement_subject("main", 0), b"%d" % number, message_id="")
        nats.pause()
        with pytest.raises(BusError, match="no answer in time"):
            await bus.read(MEASUREMENTS, 1, limit=1, timeout=0.1)
        given_up = asyncio.create_task(bus.read(MEASUREMENTS, 2, limit=1))
        reads = [asyncio.create_task(bus.read(MEASUREMENTS, start, limit=1, timeout=DEADLINE)) for start in (3, 4)]
        await asyncio.sleep(0)  # all three begin
        assert len(bus._replies._waiting) == 3
        given_up.cancel()
        with pytest.raises(asyncio.CancelledError):
            await given_up
        nats.resume()
        assert [[m.data for m in await read] for read in reads] == [[b"2"], [b"3"]]
        assert bus._replies._waiting == {}


async def test_a_cancellation_that_comes_with_the_acknowledgement_is_heard(nats) -> None:
    """A cancellation in the same iteration of the event loop as the reply is not lost."""
    async with asyncio.timeout(DEADLINE), nats.connect("scorer") as bus:
        task = asyncio.create_task(bus.kv_put(INDICATOR_BUCKET, "government", b"x"))
        while not bus.client._resp_map:  # noqa: ASYNC110  # a turn of the loop is what is waited for
            await asyncio.sleep(0)
        heard: list[bool] = []
        next(iter(bus.client._resp_map.values())).add_done_callback(lambda _: heard.append(task.cancel()))
        await asyncio.wait({task})
        assert [task.cancelled()] == heard  # since Python 3.12 the task has ended by then
        assert await bus.kv_get(INDICATOR_BUCKET, "government") == b"x"


def test_the_configuration_is_one_the_server_accepts(nats) -> None:
    """nats-server accepts the configuration that we write."""
    from services.core.bus.server import find_server  # noqa: PLC0415

    command = [find_server(), "-t", "-c", str(nats.folder / "nats.conf")]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
