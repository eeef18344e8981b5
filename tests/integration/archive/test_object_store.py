"""The whole archive works on an ``s3://`` address, in a real object store."""

from __future__ import annotations

import asyncio
import re
import time
from itertools import pairwise
from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.cli.command_line import app
from services.dataset.days import LogFiles, list_segments, verify
from services.dataset.storage import open_storage
from services.dataset.tables import MEASUREMENT
from services.scorer.archived import ArchivedEvidence
from tests.support.cases.archive import LINKS, Archive, publish, sealed, streams_of, undisturbed
from tests.support.cases.scorer import SLOT, measure, put
from tests.support.nats import Nats
from tests.support.object_store import ObjectStore
from tests.support.processes import page
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow


@pytest.fixture
def address(store: ObjectStore, tmp_path: Path) -> str:
    """The test's own place in the object store, which must be running."""
    return f"s3://evidence/{tmp_path.name}"


async def command(*words: object) -> str:
    """Run a command that must succeed, and return what it prints."""
    run = await asyncio.to_thread(CliRunner().invoke, app, [str(word) for word in words])
    assert (run.exit_code, run.exception) == (0, None), run.output
    return run.output


async def test_a_dataset_in_an_object_store(archive: Archive, nats: Nats, store: ObjectStore, tmp_path: Path) -> None:
    """The archive is killed and the store is down for a while. The sealed files equal those of an undisturbed archive
    in a folder, and every command that reads the dataset finds them.
    """
    archive.start()
    for number in range(4):
        await publish(nats, number)
        archive.components.kill("archive")
        archive.start()
    streams, _ = await streams_of(nats)
    await archive.has(streams)

    store.kill_front()
    await publish(nats, 4)
    health = archive.components.metrics["archive"]
    await archive.components.until(lambda: page(health, "/health")[0] == 503, "the archive said that it cannot write")
    store.start()
    streams, created = await streams_of(nats)
    await archive.has(streams)
    await archive.components.until(lambda: page(health, "/health")[0] == 200, "the archive was healthy again")

    archive.end_of_day()
    archive.components.kill("archive")
    archive.start()
    await archive.sealed()
    assert sealed(archive.storage) == undisturbed(archive, streams, created)

    assert "is whole: 1 days" in await command("archive", "verify", archive.address, "--key", archive.public_file)
    ((_, manifest),) = LogFiles(archive.storage).manifests()
    await command("archive", "prove", manifest.day, archive.address, "--out", tmp_path)
    assert {f"{manifest.day}.json", f"{manifest.day}.tlog-proof"} <= {file.name for file in tmp_path.iterdir()}
    await command("archive", "key", "--witness", "court.test", tmp_path / "witness.key")
    witness = ("archive", "witness", archive.address, "--key", archive.public_file, "--sign", tmp_path / "witness.key")
    assert "cosigned 1 leaves" in await command(*witness, "--seen", tmp_path / "checkpoint")


async def test_numbers_are_computed_again_from_an_object_store(archive: Archive, nats: Nats) -> None:
    """An open day, and the same day once sealed, give the same numbers, from its counts and from its measurements."""
    archive.start()
    slot = int(time.time()) // SLOT
    async with nats.connect("prober") as prober:
        for number in range(40, 0, -1):
            await put(prober, [measure(link, slot - number, at=0.1) for link in LINKS])
    await archive.has((await streams_of(nats))[0])  # the archive writes each stream by itself
    archive.components.start("scorer")

    def published() -> bool:
        return len(ArchivedEvidence(archive.storage).published()) > len(LINKS)

    await archive.components.until(published, "published numbers were archived")
    same = re.compile(r"\d+ published numbers are the same, to the last bit\n")
    asked = ("score", "--archive", archive.address, "--compare")
    assert same.fullmatch(await command(*asked))
    archive.components.kill("scorer")
    streams, _ = await streams_of(nats)
    await archive.has(streams)
    archive.end_of_day()
    await archive.sealed()
    assert same.fullmatch(await command(*asked))
    assert same.fullmatch(await command(*asked, "--again"))


async def test_a_day_that_two_archives_wrote_is_sealed_once_one_has_ended(archive: Archive, nats: Nats) -> None:
    """A day with segments of both stays open, and an error says what to do. The archive that is started again reads the
    messages again, and the day is the same as that of a single archive.
    """
    archive.start()
    archive.start("--segment-seconds", "3", name="another")
    number = 0

    async def both_wrote() -> bool:
        nonlocal number
        await publish(nats, number)
        number += 1
        written = list_segments(archive.storage, MEASUREMENT)
        return any(later.first <= former.last for former, later in pairwise(written))

    await eventually(both_wrote, "both archives wrote the same messages")
    archive.end_of_day()
    await archive.components.until(lambda: "hold the same messages" in archive.components.logs(), "no day was sealed")
    archive.components.kill("another")
    archive.components.kill("archive")
    assert LogFiles(archive.storage).checkpoint() is None
    archive.start()
    await archive.sealed()
    streams, created = await streams_of(nats)
    assert verify(archive.storage, archive.key.public) == []
    assert sealed(archive.storage) == undisturbed(archive, streams, created)


def test_of_two_leaves_the_store_keeps_the_first(address: str) -> None:
    """A leaf that another archive wrote between a look at the log and the write stays. The same leaf again is no conflict."""
    storage, other = open_storage(address), open_storage(address)
    assert storage.create("log/entries/000000.json", b"first")
    assert other.create("log/entries/000000.json", b"first")
    assert not other.create("log/entries/000000.json", b"second")
    assert storage.read("log/entries/000000.json") == b"first"
