"""The register on a real bus: published, followed, and refused when damaged."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from services.cli.__main__ import main
from services.core.bus.messages import StoredMessage
from services.core.bus.names import REGISTER_BUCKET, kv_stream
from services.core.codec import decode_manifest, encode_manifest
from services.core.errors import BusError
from services.core.model import Register
from services.core.tasks import cancel_and_wait
from services.register.bus.chunks import split_register
from services.register.bus.publish import publish_register, republish_if_lost
from services.register.bus.read import (
    CURRENT_KEY,
    REMOVED_KEY,
    UnverifiedError,
    follow_register,
    read_publications,
)
from services.register.directory.load import load_register
from tests.support.cases.registers.published import CHANGES, followed, register_in_force
from tests.support.registers import write_register
from tests.support.waiting import DEADLINE, eventually


async def test_what_is_published_is_fetched(nats: Any, tmp_path: Path) -> None:
    """A prober reads exactly what was published; publishing it again changes nothing; before, there is no register."""
    register = load_register(write_register(tmp_path / "register"))
    async with nats.connect("register") as writer, nats.connect("prober") as reader:
        assert await reader.kv_get(REGISTER_BUCKET, CURRENT_KEY) is None
        assert await publish_register(writer, register, now=1_700_000_000.0)
        assert await register_in_force(reader) == register
        assert not await publish_register(writer, register, now=1_700_000_001.0)
        payload = await reader.kv_get(REGISTER_BUCKET, CURRENT_KEY)
        assert decode_manifest(payload).published == 1_700_000_000.0


async def test_who_published_what_and_why_is_kept(nats: Any, tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    """The log lists every register that was put in force, newest first; one published twice or repaired is listed once."""
    versions = [
        load_register(write_register(tmp_path / str(number), links_csv=(",0.99,2", f",0.99,{number}")))
        for number in (3, 4)
    ]
    async with nats.connect("register") as bus:
        assert await read_publications(bus) == ()
        await publish_register(bus, versions[0], now=1_700_000_000.0, by="Sara", why="the first")
        await publish_register(bus, versions[1], now=1_700_000_060.0)
        await publish_register(bus, versions[1], now=1_700_000_120.0, by="nobody")
        lost = split_register(versions[1])
        await bus.kv_delete(REGISTER_BUCKET, next(iter(lost)).key)
        await republish_if_lost(bus, versions[1], now=1_700_000_180.0)
        publications = await read_publications(bus)
    assert [(entry.published, entry.by, entry.why) for entry in publications] == [
        (1_700_000_060.0, "", ""),
        (1_700_000_000.0, "Sara", "the first"),
    ]
    assert [entry.register_version for entry in publications] == [
        entry.register_version for entry in reversed(versions)
    ]
    command = ["peyvand", "register", "log", "--nats", nats.url, "--credentials", str(nats.credentials)]
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(SystemExit) as ended:
        await asyncio.to_thread(main)
    assert ended.value.code == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if "2023-11-14" in line]
    assert [row[-1] for row in rows] == ["-", "first"]


async def test_chunks_are_kept_for_two_versions(nats: Any, tmp_path: Path) -> None:
    """After each publication the bucket holds only the chunks of the version in force, the previous one and removed rows."""
    versions = [
        load_register(write_register(tmp_path / str(number), links_csv=(",0.99,2", f",0.99,{number}")))
        for number in (3, 4, 5)
    ]
    async with nats.connect("register") as bus:
        keys = []
        for number, register in enumerate(versions):
            await publish_register(bus, register, now=float(number))
            keys.append(await _chunks_of(bus, CURRENT_KEY))
        assert set(await bus.kv_all(REGISTER_BUCKET, "chunk.>")) == keys[1] | keys[2] | await _chunks_of(
            bus, REMOVED_KEY
        )
        assert keys[0] - keys[1] - keys[2]
        assert await register_in_force(bus) == versions[2]


async def test_chunks_of_an_interrupted_publication_are_removed(nats: Any, tmp_path: Path) -> None:
    """The next publication removes chunks that no manifest names; those of both versions stay, also after a
    repair.
    """
    versions = [
        load_register(write_register(tmp_path / str(number), links_csv=(",0.99,2", f",0.99,{number}")))
        for number in (3, 4)
    ]
    async with nats.connect("register") as bus:
        await publish_register(bus, versions[0], now=0.0)
        await bus.kv_put(REGISTER_BUCKET, "chunk.left", b"{}")
        await publish_register(bus, versions[1], now=1.0)
        named = {chunk.key for register in versions for chunk in split_register(register)}
        named |= await _chunks_of(bus, REMOVED_KEY)
        assert set(await bus.kv_all(REGISTER_BUCKET, "chunk.>")) == named
        await bus.kv_delete(REGISTER_BUCKET, next(iter(split_register(versions[1]))).key)
        await bus.kv_put(REGISTER_BUCKET, "chunk.left", b"{}")
        assert await publish_register(bus, versions[1], now=2.0)
        assert set(await bus.kv_all(REGISTER_BUCKET, "chunk.>")) == named
        assert await register_in_force(bus) == versions[1]


async def _chunks_of(bus: Any, key: str) -> set[str]:
    return {chunk.key for chunk in decode_manifest(await bus.kv_get(REGISTER_BUCKET, key)).chunks}


async def test_a_replica_that_lags_behind_decides_nothing(nats: Any, tmp_path: Path, monkeypatch: Any) -> None:
    """A register that the bus has lost is published whole, although a replica still shows the old values."""
    register = load_register(write_register(tmp_path / "register"))
    async with nats.connect("register") as bus, nats.connect("prober") as reader, nats.connect("admin") as admin:
        await publish_register(bus, register, now=0.0)
        shown = bus.kv_last
        keys = ["current", *(chunk.key for chunk in split_register(register))]
        before = {key: await shown(REGISTER_BUCKET, key) for key in keys}
        await admin.jetstream.purge_stream(kv_stream(REGISTER_BUCKET))

        async def lagging(bucket: str, key: str) -> StoredMessage | None:
            return before[key] if key in before else await shown(bucket, key)

        monkeypatch.setattr(bus, "kv_last", lagging)
        assert await publish_register(bus, register, now=1.0)
        assert not await publish_register(bus, register, now=2.0)
        assert await register_in_force(reader) == register


async def test_a_wrong_chunk_is_refused(nats: Any, tmp_path: Path, monkeypatch: Any) -> None:
    """A damaged or missing chunk is refused; publishing again repairs it."""
    monkeypatch.setattr("services.register.bus.read._ATTEMPTS", 1)
    async with nats.connect("register") as bus:
        await publish_register(bus, load_register(write_register(tmp_path)), now=0.0)
        chunk = decode_manifest(await bus.kv_get(REGISTER_BUCKET, CURRENT_KEY)).chunks[1]
        await bus.kv_put(REGISTER_BUCKET, chunk.key, b"{}")
        with pytest.raises(BusError, match=f"{chunk.key} of the register in force has another hash"):
            await register_in_force(bus)
        await bus.kv_delete(REGISTER_BUCKET, chunk.key)
        with pytest.raises(BusError, match=f"the register in force lacks {chunk.key}"):
            await register_in_force(bus)
        register = load_register(tmp_path)
        assert await publish_register(bus, register, now=1.0)
        assert await register_in_force(bus) == register


async def test_a_wrong_manifest_is_refused(nats: Any, tmp_path: Path) -> None:
    """A manifest without one of its chunks has another hash; random bytes are no manifest."""
    async with nats.connect("register") as bus:
        await publish_register(bus, load_register(write_register(tmp_path)), now=0.0)
        manifest = decode_manifest(await bus.kv_get(REGISTER_BUCKET, CURRENT_KEY))
        shorter = replace(manifest, chunks=manifest.chunks[:-1])
        await bus.kv_put(REGISTER_BUCKET, CURRENT_KEY, encode_manifest(shorter))
        with pytest.raises(UnverifiedError, match="the manifest of the register in force has another hash"):
            await register_in_force(bus)
        await bus.kv_put(REGISTER_BUCKET, CURRENT_KEY, b"\xff\xff")
        with pytest.raises(UnverifiedError, match="cannot be read"):
            await register_in_force(bus)


async def test_followers_get_each_version(nats: Any, tmp_path: Path) -> None:
    """A follower waits for the first register, gets each new one, and keeps the one in force when a bad one follows."""
    first, second = (
        load_register(write_register(tmp_path / "1")),
        load_register(write_register(tmp_path / "2", links_csv=CHANGES)),
    )
    third = load_register(write_register(tmp_path / "3", links_csv=(",0.99,2", ",0.99,5")))
    async with asyncio.timeout(DEADLINE), nats.connect("register") as writer, nats.connect("scorer") as reader:
        versions = followed(reader)
        waiting = asyncio.ensure_future(anext(versions))
        await publish_register(writer, first, now=0.0)
        assert await waiting == first
        await publish_register(writer, second, now=1.0)
        assert await anext(versions) == second
        next_one = asyncio.ensure_future(anext(versions))
        with capture_logs() as logs:
            await writer.kv_put(REGISTER_BUCKET, CURRENT_KEY, b"\xff\xff")
            await eventually(lambda: any(entry["event"] == "register_refused" for entry in logs), "the refusal")
        assert not next_one.done()
        await publish_register(writer, third, now=2.0)
        assert await next_one == third
        await versions.aclose()


async def test_a_register_that_was_read_is_not_kept(nats: Any, tmp_path: Path) -> None:
    """Its reader alone decides how long it stays in memory."""
    register = load_register(write_register(tmp_path / "register", links_csv=(",0.99,2", ",0.99,7")))
    version = register.register_version

    def kept() -> bool:
        gc.collect()
        return any(isinstance(one, Register) and one.register_version == version for one in gc.get_objects())

    async with nats.connect("register") as bus:
        await publish_register(bus, register, now=0.0)
        versions = follow_register(bus)
        register = await anext(versions)
        assert register.register_version == version
        del register
        waiting = asyncio.ensure_future(anext(versions))
        await eventually(lambda: not kept(), "the register was freed")
        assert not kept()
        await cancel_and_wait(waiting)


async def test_followers_wait_for_a_replica_that_lags(nats: Any, tmp_path: Path, monkeypatch: Any) -> None:
    """A new version is read although a replica lacks one of its chunks at first."""
    first, second = (
        load_register(write_register(tmp_path / "1")),
        load_register(write_register(tmp_path / "2", links_csv=CHANGES)),
    )
    async with asyncio.timeout(DEADLINE), nats.connect("register") as writer, nats.connect("scorer") as reader:
        await publish_register(writer, first, now=0.0)
        versions = followed(reader)
        assert await anext(versions) == first
        answers: dict[str, list[Any]] = {"chunk": [None] * 3}
        monkeypatch.setattr(reader, "kv_get", _first(answers, reader.kv_get))
        await publish_register(writer, second, now=1.0)
        assert await anext(versions) == second
        assert not answers["chunk"]
        await versions.aclose()


async def test_an_older_manifest_supersedes_nothing(nats: Any, tmp_path: Path, monkeypatch: Any) -> None:
    """A bad manifest is refused although a replica still has the previous one; a follower survives missing answers."""
    first, second = (
        load_register(write_register(tmp_path / "1")),
        load_register(write_register(tmp_path / "2", links_csv=CHANGES)),
    )
    monkeypatch.setattr("services.register.bus.read._ATTEMPTS", 1)
    async with asyncio.timeout(DEADLINE), nats.connect("register") as writer, nats.connect("scorer") as reader:
        await publish_register(writer, first, now=0.0)
        before = await writer.kv_get(REGISTER_BUCKET, CURRENT_KEY)
        versions = followed(reader)
        assert await anext(versions) == first
        answers = {"chunk": [None], CURRENT_KEY: [BusError("no answer in time"), before]}
        monkeypatch.setattr(reader, "kv_get", _first(answers, reader.kv_get))
        next_one = asyncio.ensure_future(anext(versions))
        with capture_logs() as logs:
            await publish_register(writer, second, now=1.0)
            await eventually(
                lambda: next_one.done() or any(entry["event"] == "register_refused" for entry in logs), "the refusal"
            )
        assert not next_one.done()
        await writer.kv_put(REGISTER_BUCKET, CURRENT_KEY, await writer.kv_get(REGISTER_BUCKET, CURRENT_KEY))
        assert await next_one == second
        await versions.aclose()


def _first(answers: dict[str, list[Any]], then: Callable[..., Any]) -> Callable[..., Any]:
    """Return a kv_get that gives these answers for each kind of key before it reads the bus."""

    async def kv_get(bucket: str, key: str, **options: bool) -> bytes | None:
        if not (some := answers.get(key.partition(".")[0])):
            return await then(bucket, key, **options)
        if isinstance(answer := some.pop(0), Exception):
            raise answer
        return answer

    return kv_get


async def test_followers_survive_the_server(nats: Any, tmp_path: Path) -> None:
    """A register published after a restart of the server reaches earlier followers."""
    first, second = (
        load_register(write_register(tmp_path / "1")),
        load_register(write_register(tmp_path / "2", links_csv=CHANGES)),
    )
    async with asyncio.timeout(DEADLINE), nats.connect("register") as writer, nats.connect("scorer") as reader:
        await publish_register(writer, first, now=0.0)
        versions = followed(reader)
        assert await anext(versions) == first
        nats.kill()
        nats.start()
        while True:
            try:
                await publish_register(writer, second, now=1.0)
                break
            except BusError:
                await asyncio.sleep(0.05)
        assert await anext(versions) == second
        await versions.aclose()
