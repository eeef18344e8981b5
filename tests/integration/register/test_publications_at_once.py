"""Several processes that publish the register on a real bus at the same time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from services.cli import register_publisher
from services.core.bus.names import REGISTER_BUCKET, kv_stream, kv_subject
from services.core.errors import BusError
from services.core.model import Register
from services.register.bus import publish
from services.register.bus.publish import publish_register, read_before, republish_if_lost
from services.register.directory.load import load_register, read_directory
from tests.support.cases.registers.published import register_in_force
from tests.support.registers import write_register
from tests.support.waiting import eventually


async def test_two_publications_at_once_leave_one_whole(nats: Any, tmp_path: Path) -> None:
    """Of two registers that are published at the same moment, one is in force with all its chunks."""
    versions = _registers(tmp_path, 3)
    async with nats.connect("register") as one, nats.connect("register") as two:
        for turn in range(6):
            first, second = versions[turn % 3], versions[(turn + 1) % 3]
            await asyncio.gather(
                publish_register(one, first, now=float(turn)), publish_register(two, second, now=float(turn))
            )
            assert await register_in_force(one) in (first, second)
        assert await one.kv_get(REGISTER_BUCKET, "publishing") is None


async def test_a_long_publication_stays_alone(nats: Any, tmp_path: Path, monkeypatch: Any) -> None:
    """A publication renews its lock as long as it lasts, and another one waits for its end."""
    monkeypatch.setattr(publish, "_RENEWAL_SECONDS", 0.5)
    first, second = _registers(tmp_path, 2)
    async with nats.connect("register") as one, nats.connect("register") as two, nats.connect("admin") as admin:
        held = _hold_chunks(one, monkeypatch)
        slow = asyncio.create_task(publish_register(one, first, now=1.0))
        await held.reached.wait()
        begun = await _stored(admin)
        other = asyncio.create_task(publish_register(two, second, now=2.0))

        async def renewed() -> bool:
            return await _stored(admin) > begun

        await eventually(renewed, what="the lock was renewed")
        assert not other.done()
        held.released.set()
        assert await slow
        assert await other
        assert await register_in_force(one) == second


async def test_a_publication_that_stood_still_changes_nothing(nats: Any, tmp_path: Path, monkeypatch: Any) -> None:
    """A publication that stood still fails if another process has published meanwhile, and the newer register stays."""
    monkeypatch.setattr(publish, "_LOCK_SECONDS", 1.0)
    first, second = _registers(tmp_path, 2)
    async with nats.connect("register") as one, nats.connect("register") as two:
        held = _hold_chunks(one, monkeypatch)
        slow = asyncio.create_task(publish_register(one, first, now=1.0))
        await held.reached.wait()
        monkeypatch.undo()
        assert await publish_register(two, second, now=2.0)
        held.released.set()
        with pytest.raises(BusError, match="another process may have published: publish it again"):
            await slow
        assert await register_in_force(one) == second
        assert await publish_register(one, first, now=3.0)
        assert await register_in_force(one) == first


async def test_a_publication_that_stood_still_removes_no_chunks(nats: Any, tmp_path: Path, monkeypatch: Any) -> None:
    """When another process publishes before old chunks are removed, all of its own stay."""
    monkeypatch.setattr(publish, "_LOCK_SECONDS", 1.0)
    first, second = _registers(tmp_path, 2)
    async with nats.connect("register") as one, nats.connect("register") as two:
        keys_of = one.kv_keys

        async def after_another(bucket: str, pattern: str) -> set[str]:
            monkeypatch.undo()
            assert await publish_register(two, second, now=2.0)
            return set(await keys_of(bucket, pattern))

        monkeypatch.setattr(one, "kv_keys", after_another)
        assert await publish_register(one, first, now=1.0)
        assert await register_in_force(two) == second


async def test_a_watcher_waits_for_a_publication_before_it_compares(
    nats: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    """A watcher whose register is replaced while it waits for the lock leaves the newer register in force."""
    first, second = _registers(tmp_path, 2)
    async with nats.connect("register") as one, nats.connect("register") as two:
        assert await publish_register(one, first, now=1.0)
        held, asked, last_of = _hold_chunks(two, monkeypatch), asyncio.Event(), one.kv_last

        async def asking(bucket: str, key: str) -> Any:
            asked.set()
            return await last_of(bucket, key)

        monkeypatch.setattr(one, "kv_last", asking)
        newer = asyncio.create_task(publish_register(two, second, now=2.0))
        await held.reached.wait()
        watching = asyncio.create_task(republish_if_lost(one, first, now=3.0))
        await asked.wait()
        held.released.set()
        assert await newer
        assert not await watching
        assert await register_in_force(one) == second


async def test_a_register_is_put_in_force_only_after_the_one_that_it_was_checked_against(
    nats: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    """If another register comes into force after the check, a register is refused, unless it is that one."""
    later, other = (
        write_register(tmp_path / day, policy_yaml=("epoch: 2026-01-01", f"epoch: 2026-01-{day}"))
        for day in ("02", "03")
    )
    async with nats.connect("register") as one, nats.connect("register") as two:
        assert await publish_register(two, *_registers(tmp_path, 1), now=1.0)

        async def read_and_overtaken(bus: Any) -> Any:
            found = await read_before(bus)
            await publish_register(two, load_register(later), now=2.0)
            return found

        monkeypatch.setattr(register_publisher, "read_before", read_and_overtaken)
        assert await register_publisher._publish_once(one, later, read_directory(later)) == load_register(later)
        assert await publish_register(two, *_registers(tmp_path, 1), now=3.0)
        with pytest.raises(BusError, match="another register came into force meanwhile"):
            await register_publisher._publish_once(one, other, read_directory(other))
        assert await register_in_force(two) == load_register(later)


def _registers(folder: Path, count: int) -> list[Register]:
    return [
        load_register(write_register(folder / str(number), links_csv=(",0.99,2", f",0.99,{number}")))
        for number in range(3, 3 + count)
    ]


@dataclass
class _Held:
    """Events: a chunk is about to be put, and it may be put."""

    reached: asyncio.Event
    released: asyncio.Event


def _hold_chunks(bus: Any, monkeypatch: Any) -> _Held:
    held, put = _Held(asyncio.Event(), asyncio.Event()), bus.kv_put

    async def waiting(bucket: str, key: str, value: bytes) -> None:
        held.reached.set()
        await held.released.wait()
        await put(bucket, key, value)

    monkeypatch.setattr(bus, "kv_put", waiting)
    return held


async def _stored(admin: Any) -> float:
    """Return when the lock was stored, in epoch seconds."""
    lock = await admin.jetstream.get_last_msg(kv_stream(REGISTER_BUCKET), kv_subject(REGISTER_BUCKET, "publishing"))
    return float(lock.time.timestamp())
