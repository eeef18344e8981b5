"""The bus on a real nats-server: stored messages stay, forbidden requests fail."""

from __future__ import annotations

import asyncio
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from nats.errors import StaleConnectionError

from services.core.bus import MAX_ATOMIC_PUTS, Bus, connect
from services.core.bus import streams as bus_streams
from services.core.bus.names import (
    EXCHANGES,
    INDICATOR_BUCKET,
    MEASUREMENTS,
    REGISTER_BUCKET,
    exchange_subject,
    indicator_subject,
    kv_stream,
    kv_subject,
    measurement_subject,
)
from services.core.bus.roles import ROLES, load_user, write_users
from services.core.bus.server import server_configuration, write_configuration
from services.core.bus.topology import initialise_streams, stream_configs
from services.core.errors import BusError, SettingsError
from tests.support.nats import Nats, port_of
from tests.support.ports import free_port
from tests.support.waiting import DEADLINE, eventually

# One thing each role must never do, by subject.
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


async def test_a_foreign_seed_is_refused(nats, tmp_path: Path) -> None:
    """A credential the server does not know ends in one clear sentence."""
    write_users(tmp_path / "foreign")
    with pytest.raises(BusError, match="refuses the credential of role api"):
        async with connect(nats.url, role="api", credentials=tmp_path / "foreign", name="foreign"):
            pass


async def test_giving_up_leaves_no_connection_behind(nats) -> None:
    """Giving up on a server that accepts a connection but stays silent closes the connection."""
    hung_up = asyncio.get_running_loop().create_future()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        patience.reschedule(0.0)
        hung_up.set_result(await reader.read())
        writer.close()

    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as listener:
        port = listener.sockets[0].getsockname()[1]
        with pytest.raises(TimeoutError):
            async with (
                asyncio.timeout(DEADLINE) as patience,
                connect(f"nats://127.0.0.1:{port}", role="api", credentials=nats.credentials, name="test"),
            ):
                pytest.fail("nobody answered")
        async with asyncio.timeout(DEADLINE):
            assert await hung_up == b""


async def test_a_failed_reconnection_is_hung_up(nats) -> None:
    """A connection that the server ends during the handshake is closed, and the next attempt succeeds."""
    hung_up = asyncio.get_running_loop().create_future()

    async def end_at_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write_eof()
        await reader.read()
        writer.close()
        if not hung_up.done():
            hung_up.set_result(True)

    async with asyncio.timeout(DEADLINE), nats.connect("api") as bus:
        nats.kill()
        async with await asyncio.start_server(end_at_once, "127.0.0.1", nats.port):
            assert await hung_up
        nats.start()
        while not bus.connected:  # noqa: ASYNC110  # another process
            await asyncio.sleep(0.05)


async def test_a_silent_server_is_left_for_another(nats, tmp_path: Path) -> None:
    """With more unsent data than a stopped server accepts, the client switches to the other server and publishes there."""
    other = Nats(tmp_path / "other", free_port())
    text = server_configuration(
        host="127.0.0.1", port=other.port, store=other.folder / "store", users=write_users(nats.credentials),
        vantage="main", bus="xroad",
    )  # fmt: skip
    write_configuration(other.folder / "nats.conf", text)
    other.start()
    try:
        async with asyncio.timeout(DEADLINE):
            async with connect(other.url, role="admin", credentials=nats.credentials, name="test") as admin:
                await initialise_streams(admin)
            urls = f"{nats.url},{other.url}"
            async with connect(urls, role="scorer", credentials=nats.credentials, name="test") as bus:
                silent = await _stand_still(bus, {server.port: server for server in (nats, other)})
                while not bus.connected or port_of(bus) == silent.port:  # noqa: ASYNC110  # no event
                    await asyncio.sleep(0.05)
                await bus.kv_put(INDICATOR_BUCKET, "government", b"x")
                assert await bus.kv_get(INDICATOR_BUCKET, "government") == b"x"
    finally:
        other.kill()


async def _stand_still(bus, servers: dict[int, Nats]) -> Nats:
    """Stop the connected server while it still has data to receive; the client notices by its pings."""
    silent = servers[bus.client.connected_url.port]
    silent.pause()
    puts = [asyncio.create_task(bus.kv_put(INDICATOR_BUCKET, f"slot.a.{n}", bytes(900_000))) for n in range(16)]
    while not bus.client._transport._io_writer.transport.get_write_buffer_size():  # noqa: ASYNC110  # no event
        await asyncio.sleep(0.01)
    await bus.client._process_op_err(StaleConnectionError())
    for put in puts:
        put.cancel()
    await asyncio.wait(puts)
    return silent


def test_a_missing_seed_names_its_path(tmp_path: Path) -> None:
    """The error names the missing file and the flag for the folder."""
    with pytest.raises(SettingsError, match=re.escape(f"missing at {tmp_path / 'api.nk'}")):
        load_user(tmp_path, "api")


def test_seeds_are_private_and_never_shown(tmp_path: Path) -> None:
    """Seeds are 0600 and absent from repr."""
    users = write_users(tmp_path / "credentials")
    for role, user in users.items():
        assert (tmp_path / "credentials" / f"{role}.nk").stat().st_mode & 0o777 == 0o600
        assert user.seed not in repr(user)
    assert write_users(tmp_path / "credentials") == users


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
    """Acknowledged messages are read in order and once after the server was killed."""
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
        next(iter(bus.client._resp_map.values())).add_done_callback(lambda _: task.cancel())
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelled()
        assert await bus.kv_get(INDICATOR_BUCKET, "government") == b"x"


async def test_followers_see_every_value_across_a_restart(nats) -> None:
    """A follower of a bucket gets current values, changes and deletions, also after a restart of the server."""
    received: asyncio.Queue[tuple[str, bytes | None]] = asyncio.Queue()

    async def follow() -> None:
        async with nats.connect("api") as bus:
            async for item in bus.kv_follow(INDICATOR_BUCKET, "consumer.*"):
                await received.put(item)

    async def put(bus, key: str, value: bytes) -> None:
        while True:
            try:
                await bus.publish(kv_subject(INDICATOR_BUCKET, key), value, message_id="", timeout=1)
            except BusError:
                continue
            return

    async with asyncio.timeout(DEADLINE), nats.connect("scorer") as bus:
        await put(bus, "consumer.a", b"1")
        await put(bus, "government", b"not followed")
        task = asyncio.create_task(follow())
        assert await received.get() == ("consumer.a", b"1")
        await put(bus, "consumer.a", b"2")
        assert await received.get() == ("consumer.a", b"2")
        nats.kill()
        nats.start()
        await put(bus, "consumer.b", b"3")
        assert await received.get() == ("consumer.b", b"3")
        await bus.kv_delete(INDICATOR_BUCKET, "consumer.a")
        item = await received.get()
        while item == ("consumer.b", b"3"):  # a put that was stored but not acknowledged was made again
            item = await received.get()
        assert item == ("consumer.a", None)
        task.cancel()


async def test_a_change_is_announced_once_stored_and_without_its_value(nats) -> None:
    """A follower's subscription receives the key and sequence of what was stored, and neither the value nor a reply subject."""
    announced: asyncio.Queue[Any] = asyncio.Queue()
    async with asyncio.timeout(20), nats.connect("scorer") as scorer, nats.connect("api") as api:
        await api.client.subscribe(kv_subject(INDICATOR_BUCKET, "consumer.*"), cb=announced.put)
        await api.client.flush()
        sequence = await scorer.kv_put(INDICATOR_BUCKET, "consumer.a", bytes(900_000))
        message = await announced.get()
        assert (message.subject, message.data, message.reply) == (kv_subject(INDICATOR_BUCKET, "consumer.a"), b"", "")
        assert message.headers["Nats-Sequence"] == str(sequence)


async def test_values_with_a_time_to_live_go_by_themselves(nats) -> None:
    """A key put for a second is gone afterwards, without a tombstone."""
    async with nats.connect("scorer") as bus, nats.connect("api") as api:

        async def is_there() -> bool:
            await bus.kv_put(INDICATOR_BUCKET, "slot.a.1", b"x", ttl=1)
            return await api.kv_get(INDICATOR_BUCKET, "slot.a.1") == b"x"

        async def is_gone() -> bool:
            return await api.kv_get(INDICATOR_BUCKET, "slot.a.1") is None

        await eventually(is_there, "the value is read within its second")
        await eventually(is_gone, "the value has gone")
        assert await api.kv_all(INDICATOR_BUCKET) == {}


async def test_of_several_claims_one_succeeds(nats) -> None:
    """A claim fails while another value is there, in either order, and succeeds once that was deleted or has expired."""
    async with nats.connect("scorer") as one, nats.connect("scorer") as two:

        async def claim(bus: Bus, value: bytes, *, ttl: float = 60) -> bytes:
            try:
                return await bus.kv_claim(INDICATOR_BUCKET, "lease", value, ttl=ttl)
            except BusError as error:
                assert "wrong last sequence" in str(error)  # noqa: PT017  # either may be the faster one
                return b""

        for _ in range(20):
            answers = {await claim(one, b"1"), *await asyncio.gather(claim(one, b"1"), claim(two, b"2"))}
            assert b"1" in answers
            assert await claim(two, b"2") == b"1"
            await one.kv_delete(INDICATOR_BUCKET, "lease")
            first, second = await asyncio.gather(claim(one, b"1"), claim(two, b"2"))
            assert (first == b"1") != (second == b"2")
            await one.kv_delete(INDICATOR_BUCKET, "lease")
        assert await claim(one, b"1", ttl=1) == b"1"

        async def expired() -> bool:
            return await claim(two, b"2") == b"2"

        await eventually(expired, "the claim has expired")


def test_the_configuration_is_one_the_server_accepts(nats) -> None:
    """nats-server accepts the configuration that we write."""
    from services.core.bus.server import find_server  # noqa: PLC0415

    command = [find_server(), "-t", "-c", str(nats.folder / "nats.conf")]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0


async def test_values_are_put_together_or_not_at_all(nats) -> None:
    """Values put together are read and followed like single ones, expire, and are all absent when one is refused."""
    values = {f"slot.a.{number}": bytes([number]) * 5000 for number in range(MAX_ATOMIC_PUTS)}
    async with nats.connect("scorer") as bus, nats.connect("api") as api:
        await bus.kv_put_all(INDICATOR_BUCKET, values)
        assert await api.kv_all(INDICATOR_BUCKET, "slot.a.*") == values
        async with asyncio.timeout(DEADLINE):
            async for key, value in api.kv_follow(INDICATOR_BUCKET, "slot.a.*"):
                if key == list(values)[-1]:
                    assert value == values[key]
                    break
        await bus.kv_put_all(INDICATOR_BUCKET, values, ttl=1)
        await bus.kv_put_all(INDICATOR_BUCKET, {"slot.b.1": b"one", "slot.b.2": b"two"})
        with pytest.raises(BusError, match="maximum payload exceeded"):
            await bus.kv_put_all(INDICATOR_BUCKET, {"slot.b.1": b"new", "slot.c.1": bytes(2 << 20), "slot.c.2": b""})
        with pytest.raises(BusError, match="not acknowledged"):
            await bus.kv_put_all(INDICATOR_BUCKET, {f"slot.c.{number}": b"x" for number in range(1001)})
        async with asyncio.timeout(DEADLINE):
            while await api.kv_all(INDICATOR_BUCKET) != {"slot.b.1": b"one", "slot.b.2": b"two"}:  # noqa: ASYNC110  # another process
                await asyncio.sleep(0.1)


async def test_ending_without_a_server_is_no_failure(nats) -> None:
    """Closing while the server is gone reports the unsent messages and nothing else."""
    async with nats.connect("scorer") as bus:
        nats.kill()
        async with asyncio.timeout(DEADLINE):
            while bus.connected:  # noqa: ASYNC110  # the library beneath has no event for it
                await asyncio.sleep(0.01)
        subject = indicator_subject("service", "title-deed", 7)
        with pytest.raises(BusError, match="not acknowledged"):
            await bus.publish(subject, bytes(1000), message_id="1", timeout=0.5)


async def test_a_bucket_made_anew_is_followed_from_its_beginning(nats) -> None:
    """After a bucket was created again, its follower gets every value, although its sequences are lower than before."""
    async with (
        asyncio.timeout(DEADLINE),
        nats.connect("admin") as admin,
        nats.connect("scorer") as scorer,
        nats.connect("api") as api,
    ):
        for number in range(5):
            await scorer.kv_put(INDICATOR_BUCKET, "consumer.a", b"%d" % number)
        follower = api.kv_follow(INDICATOR_BUCKET, "consumer.*")
        assert await anext(follower) == ("consumer.a", b"4")
        assert api.following
        following = asyncio.ensure_future(anext(follower))
        await admin.jetstream.delete_stream(kv_stream(INDICATOR_BUCKET))
        while api.following:  # noqa: ASYNC110  # another process
            await asyncio.sleep(0.05)
        await initialise_streams(admin)
        while not api.following:  # noqa: ASYNC110  # another process
            await asyncio.sleep(0.05)
        await scorer.kv_put(INDICATOR_BUCKET, "consumer.a", b"new")
        await scorer.kv_put(INDICATOR_BUCKET, "consumer.b", b"new")
        assert await following == ("consumer.a", b"new")
        assert await anext(follower) == ("consumer.b", b"new")
        await follower.aclose()


async def test_a_new_bucket_is_found_without_a_sign_of_it(nats, monkeypatch) -> None:
    """A follower that gets no signal from a bucket created again finds its values by polling."""
    monkeypatch.setattr(bus_streams, "_RECHECK_SECONDS", 0.1)
    monkeypatch.setattr(bus_streams, "_POLL_SECONDS", 0.1)
    async with (
        asyncio.timeout(DEADLINE),
        nats.connect("admin") as admin,
        nats.connect("scorer") as scorer,
        nats.connect("api") as api,
    ):
        for number in range(5):
            await scorer.kv_put(INDICATOR_BUCKET, "government", b"%d" % number)
        follower = api.kv_follow(INDICATOR_BUCKET, "government")
        assert await anext(follower) == ("government", b"4")
        (signs,) = (some for some in api.client._subs.values() if some.subject.startswith("$KV."))
        monkeypatch.setattr(signs, "_cb", _ignore)
        await admin.jetstream.delete_stream(kv_stream(INDICATOR_BUCKET))
        await initialise_streams(admin)
        await scorer.kv_put(INDICATOR_BUCKET, "government", b"new")
        assert await anext(follower) == ("government", b"new")
        await follower.aclose()


async def test_a_follower_reads_once_it_is_connected_again(nats, monkeypatch) -> None:
    """What was stored while a follower was not connected, without a signal to it, is read as soon as it is."""
    monkeypatch.setattr(bus_streams, "_POLL_SECONDS", 10 * DEADLINE)
    async with asyncio.timeout(DEADLINE), nats.connect("scorer") as scorer, nats.connect("api") as api:
        await scorer.kv_put(INDICATOR_BUCKET, "government", b"old")
        follower = api.kv_follow(INDICATOR_BUCKET, "government")
        assert await anext(follower) == ("government", b"old")
        (signs,) = (some for some in api.client._subs.values() if some.subject.startswith("$KV."))
        monkeypatch.setattr(signs, "_cb", _ignore)
        following = asyncio.create_task(anext(follower))
        await api.kv_get(INDICATOR_BUCKET, "government")  # by then the follower has found nothing more, and waits
        await scorer.kv_put(INDICATOR_BUCKET, "government", b"new")
        await api.client._process_op_err(StaleConnectionError())
        assert await following == ("government", b"new")
        await follower.aclose()


async def _ignore(_) -> None:
    pass
