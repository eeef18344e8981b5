"""The archive process seals days, and its dataset is enough to compute the index again."""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import replace
from pathlib import Path

from typer.testing import CliRunner, Result

from services.cli.command_line import app
from services.core.bus.names import MEASUREMENTS
from services.core.bus.topology import initialise_streams
from services.core.model import Indicator, IndicatorKind
from services.dataset.days import LogFiles, list_segments, verify
from services.dataset.positions import read_position, write_position
from services.dataset.storage import LocalStorage
from services.dataset.tables import MEASUREMENT
from services.scorer.archived import ArchivedEvidence
from tests.support.cases.archive import LINKS, Archive, publish, seal_a_day, sealed, streams_of, undisturbed
from tests.support.cases.scorer import SLOT, measure, put, register_on
from tests.support.nats import Nats
from tests.support.processes import page
from tests.support.waiting import DEADLINE


async def test_a_day_is_sealed_once_it_is_over(archive: Archive, nats: Nats) -> None:
    """Evidence waits in segments until its day accepts no more; then it is sealed with the register that was in force."""
    archive.start()
    for number in range(6):
        await publish(nats, number)
    streams, created = await streams_of(nats)
    await archive.has(streams)
    assert archive.storage.names("sealed") == []
    archive.end_of_day()
    await archive.sealed()
    assert verify(archive.storage, archive.key.public) == []
    versions = f"{archive.register.register_version}.{archive.register.probe_version}"
    assert archive.storage.names("register") == [f"register/{versions}.json.zst"]
    assert sealed(archive.storage) == undisturbed(archive, streams, created)
    assert page(archive.components.metrics["archive"], "/health")[0] == 200


async def test_what_was_published_is_computed_again(archive: Archive, nats: Nats) -> None:
    """The dataset alone gives every number of the index that a scorer published, and the command says so. Where the
    dataset does not have all their measurements yet, the command says that instead.
    """
    archive.start()
    slot = int(time.time()) // SLOT
    async with nats.connect("prober") as prober:
        for number in range(40, 0, -1):
            await put(prober, [measure(link, slot - number, at=0.1) for link in LINKS])
    await archive.has((await streams_of(nats))[0])  # the archive writes each stream by itself
    archive.components.start("scorer")

    def published() -> list[Indicator]:
        return ArchivedEvidence(archive.storage).published()

    await archive.components.until(lambda: len(published()) > len(LINKS), "published numbers were archived")
    run = await _compared(archive.address)
    assert (run.exit_code, run.exception) == (0, None)
    assert re.fullmatch(r"\d+ published numbers are the same, to the last bit\n", run.output)
    assert IndicatorKind.GOVERNMENT in {row.kind for row in published()}
    copy = LocalStorage(archive.copy())
    segment, position = list_segments(copy, MEASUREMENT)[-1], read_position(copy, MEASUREMENT)
    assert position is not None
    copy.remove(segment.name)
    write_position(copy, MEASUREMENT, replace(position, sequence=segment.first - 1))
    run = await _compared(copy.address)
    assert str(run.exception) == (
        f"these numbers count messages up to 40 of stream MEASUREMENTS, and {copy.address} has them up to "
        f"{segment.first - 1}: wait until the archive has written them, or give an earlier time with --at"
    )


async def _compared(address: str) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, app, ["score", "--archive", address, "--compare"])


async def test_more_grace_puts_no_row_into_a_sealed_day(archive: Archive, nats: Nats, tmp_path: Path) -> None:
    """When a register gives more grace to a sealed day, new rows for that day are kept as late, also after a restart."""
    before = await seal_a_day(archive, nats)
    policy = tmp_path / "register" / "policy.yaml"
    policy.write_text(policy.read_text("utf-8").replace("grace_hours: 24", "grace_hours: 168"), "utf-8")
    await register_on(nats, tmp_path / "register")
    await archive.components.until(lambda: len(archive.storage.names("register")) == 2, "the register was kept")
    await _publish_and_restart(archive, nats)
    late = [name for name in archive.segments() if name.startswith("open/late/measurement/")]
    assert len(late) == 2
    assert sealed(archive.storage) == before


async def test_a_sealed_day_stays_as_it_is_when_the_clock_steps_back(archive: Archive, nats: Nats) -> None:
    """When the bus's clock steps back into a sealed day, the rows that it stores then are late, also after a restart."""
    before = await seal_a_day(archive, nats)
    archive.day_again()
    await _publish_and_restart(archive, nats)
    kinds = {name.split("/")[1] for name in archive.segments()}
    assert kinds == {"late", "finding"}  # a finding has the time at which it was stored, which is after the sealed day
    assert sealed(archive.storage) == before


async def test_what_was_taken_in_stays_when_a_stream_begins_again(archive: Archive, nats: Nats) -> None:
    """A recreated stream reuses its numbers. The archive refuses it until that is accepted, and then keeps the evidence
    that the stream no longer has beside the new evidence.
    """
    archive.start()
    for number in range(4):
        await publish(nats, number)
    streams, _ = await streams_of(nats)
    await archive.has(streams)
    archive.components.kill("archive")
    async with nats.connect("admin") as admin:
        await admin.jetstream.delete_stream(MEASUREMENTS)
        await initialise_streams(admin)
    for number in range(4, 6):
        await publish(nats, number)
    archive.start()
    refused = archive.components.running.pop("archive")
    assert await asyncio.to_thread(refused.wait, DEADLINE) == 1
    assert "was created anew" in archive.components.logs()
    archive.start("--accept-gap", "yes")
    later, _ = await streams_of(nats)
    assert later[MEASUREMENTS][-1].sequence < streams[MEASUREMENTS][-1].sequence
    await archive.components.until(lambda: _position(archive) == later[MEASUREMENTS][-1].sequence, "it went on")
    archive.components.kill("archive")
    archive.start("--accept-gap", "yes")
    archive.end_of_day()
    await archive.sealed()
    assert verify(archive.storage, archive.key.public) == []
    ((_, manifest),) = LogFiles(archive.storage).manifests()
    assert sum(file.rows for file in manifest.files if file.kind == "measurement") == 6 * len(LINKS)
    (gap,) = manifest.gaps
    assert gap.startswith("messages from 5 on of stream MEASUREMENTS, stored from ")


async def test_a_dataset_has_one_archive(archive: Archive) -> None:
    """A second archive on the same folder is refused, also with a state folder of its own."""
    archive.start()
    serving = archive.components.metrics["archive"]
    await archive.components.until(lambda: page(serving, "/health")[0] == 200, "the archive served")
    settings = ("--archive", archive.address, "--archive-key", archive.key_file)
    archive.components.start("second", *settings, module="services.archive")
    second = archive.components.running.pop("second")
    assert await asyncio.to_thread(second.wait, DEADLINE) == 1
    assert f"an archive runs on {archive.address}: stop it first" in archive.components.logs()


def _position(archive: Archive) -> int:
    found = read_position(archive.storage, MEASUREMENT)
    return found.sequence if found else 0


async def _publish_and_restart(archive: Archive, nats: Nats) -> None:
    """Twice: publish more, wait until it is archived, and restart the archive with a kill."""
    for number in (1, 2):
        await publish(nats, number)
        streams, _ = await streams_of(nats)
        await archive.has(streams)
        archive.components.kill("archive")
        archive.start()
