"""A segment that is damaged or gone before its day is sealed is read again from the stream, or named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from services.dataset.days import LogFiles, verify
from tests.support.cases.archive import LINKS, Archive, publish, sealed, streams_of, undisturbed
from tests.support.nats import Nats
from tests.support.waiting import eventually

DAMAGES: dict[str, Callable[[bytes], bytes] | None] = {
    "removed": None,
    "emptied": lambda _content: b"",
    "truncated": lambda content: content[: len(content) // 2],
    "zeroed": lambda content: bytes(len(content)),
    "flipped": lambda content: content[:40] + bytes([content[40] ^ 16]) + content[41:],
}


def harm(archive: Archive, name: str, damage: str) -> None:
    changed = DAMAGES[damage]
    if changed is None:
        archive.storage.remove(name)
    else:
        archive.storage.write(name, changed(archive.storage.read(name)))


@pytest.mark.slow
@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("kind", ["measurement", "batch"])
async def test_a_damaged_segment_is_read_again(archive: Archive, nats: Nats, damage: str, kind: str) -> None:
    """After the next startup the archive seals the same files as an undisturbed one."""
    archive.start()
    for number in range(3):
        await publish(nats, number)
        streams, created = await streams_of(nats)
        await archive.has(streams)
    archive.components.kill("archive")
    names = [name for name in archive.storage.names(f"open/{kind}") if name.endswith(".parquet")]
    harm(archive, names[0], damage)

    archive.start()

    def read_again() -> bool:
        found = {name for name in archive.storage.names(f"open/{kind}") if name.endswith(".parquet")}
        return bool(found) and found.isdisjoint(names)

    await archive.components.until(read_again, "the messages of the segment, and those after them, were read again")
    await archive.has(streams)
    archive.end_of_day()
    await archive.sealed()
    assert verify(archive.storage, archive.key.public) == []
    assert sealed(archive.storage) == undisturbed(archive, streams, created)


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["removed", "truncated"])
@pytest.mark.parametrize("kind", ["measurement", "batch"])
async def test_damage_to_a_running_archive_is_noticed_when_the_day_is_sealed(
    archive: Archive, nats: Nats, kind: str, damage: str
) -> None:
    """Without a restart, the day is read again from the stream and sealed as by an undisturbed archive."""
    archive.start()
    for number in range(3):
        await publish(nats, number)
        streams, created = await streams_of(nats)
        await archive.has(streams)
    names = [name for name in archive.storage.names(f"open/{kind}") if name.endswith(".parquet")]
    harm(archive, names[0], damage)
    archive.end_of_day()
    await archive.sealed()
    assert verify(archive.storage, archive.key.public) == []
    assert sealed(archive.storage) == undisturbed(archive, streams, created)


@pytest.mark.slow
async def test_a_segment_that_nothing_holds_any_more_is_named(archive: Archive, nats: Nats, tmp_path: Path) -> None:
    """If the stream no longer has a segment's messages, the archive ends with a sentence that names them."""
    archive.start()
    await publish(nats, 0)
    streams, _ = await streams_of(nats)
    await archive.has(streams)
    archive.components.kill("archive")
    (name,) = [name for name in archive.storage.names("open/measurement") if name.endswith(".parquet")]
    archive.storage.remove(name)
    async with nats.connect("admin") as bus:
        await bus.jetstream.purge_stream("MEASUREMENTS")

    archive.start()
    process = archive.components.running["archive"]
    await eventually(lambda: process.poll() is not None, "the archive ended")
    assert "of stream MEASUREMENTS are gone, not taken in" in (tmp_path / "archive.log").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("running", [False, True])
async def test_a_damaged_segment_that_nothing_holds_any_more_is_a_gap(
    archive: Archive, nats: Nats, *, running: bool
) -> None:
    """Once its gap is accepted, the day is sealed without its messages, with one sentence, and the others stay."""
    archive.start("--accept-gap", "yes")
    for number in range(3):
        await publish(nats, number)
        streams, _ = await streams_of(nats)
        await archive.has(streams)
    if not running:
        archive.components.kill("archive")
    names = [name for name in archive.storage.names("open/measurement") if name.endswith(".parquet")]
    damaged = archive.storage.read(names[1])[:-40]
    archive.storage.write(names[1], damaged)
    async with nats.connect("admin") as bus:
        await bus.jetstream.purge_stream("MEASUREMENTS")
    if not running:
        archive.start("--accept-gap", "yes")
    archive.end_of_day()
    await archive.sealed()
    assert verify(archive.storage, archive.key.public) == []
    ((_, manifest),) = LogFiles(archive.storage).manifests()
    (gap,) = manifest.gaps
    assert gap.startswith("messages 2 to 3 of stream MEASUREMENTS, stored from ")
    assert sum(file.rows for file in manifest.files if file.kind == "measurement") == 2 * len(LINKS)
    assert archive.storage.read(f"{names[1]}.damaged") == damaged


@pytest.mark.slow
async def test_a_position_with_a_flipped_bit_is_named(archive: Archive, nats: Nats, tmp_path: Path) -> None:
    """The archive does not take it for a loss of the bus. It waits until the position is removed, and reads again."""
    archive.start()
    await publish(nats, 0)
    streams, _ = await streams_of(nats)
    await archive.has(streams)
    archive.components.kill("archive")
    for number in range(1, 4):
        await publish(nats, number)
    streams, created = await streams_of(nats)
    position = "open/measurement.json"
    content = archive.storage.read(position)
    assert b'"sequence":1,' in content
    archive.storage.write(position, content.replace(b'"sequence":1,', b'"sequence":3,'))

    archive.start()
    named = f"{position} in {archive.storage.address} is damaged; remove it"
    await archive.components.until(lambda: named in (tmp_path / "archive.log").read_text(), "the archive names it")
    archive.storage.remove(position)
    await archive.has(streams)
    archive.end_of_day()
    await archive.sealed()
    assert verify(archive.storage, archive.key.public) == []
    assert sealed(archive.storage) == undisturbed(archive, streams, created)
