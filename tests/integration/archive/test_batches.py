"""The archive process reports batches that were lost or inserted on their way to it."""

from __future__ import annotations

import asyncio
import time

import pytest
from typer.testing import CliRunner

from services.cli.command_line import app
from services.core.bus.names import MEASUREMENTS, measurement_subject
from services.core.codec import ChainPlace, encode_measurements
from services.core.model import Reason
from services.dataset.days import LogFiles
from services.dataset.positions import read_position
from services.dataset.tables import MEASUREMENT
from tests.support.cases.archive import LINKS, Archive
from tests.support.cases.scorer import SLOT, measure
from tests.support.nats import Nats
from tests.support.processes import page
from tests.support.waiting import DEADLINE

MISSING_ONE = 'peyvand_archive_missing_messages{kind="measurement"} 1.0\n'


class Chain:
    """The batches of one run of prober p1."""

    def __init__(self, run: bytes, slot: int) -> None:
        self.run, self._slot, self._place = run, slot, ChainPlace(run, 1)

    def encode(self, place: ChainPlace | None = None, reason: Reason = Reason.OK) -> bytes:
        """Return the next batch, or one with another place."""
        if place is not None:
            return encode_measurements([measure(LINKS[0], self._slot, reason)], place)
        payload = encode_measurements([measure(LINKS[0], self._slot - self._place.number)], self._place)
        self._place = self._place.next(payload)
        return payload


def taken(archive: Archive) -> int:
    """Return the sequence of the last message of measurements in segments."""
    found = read_position(archive.storage, MEASUREMENT)
    return found.sequence if found else 0


async def test_what_was_lost_or_inserted_is_in_the_manifest(archive: Archive, nats: Nats) -> None:
    """One batch of a prober is deleted and one is delivered twice. A second process with the prober's seed sends one
    with a used number, and a run of its own. The prober restarts. The manifest lists each of these although the archive
    is killed in between, `archive verify` names it, and /metrics counts it.
    """
    slot = int(time.time()) // SLOT - 5
    one, other, following = (Chain(letter * 16, slot) for letter in (b"1", b"2", b"3"))
    batches = [one.encode() for _ in range(6)]
    forged = one.encode(ChainPlace(one.run, 5), reason=Reason.SHED)
    async with nats.connect("prober") as prober, nats.connect("admin") as admin:

        async def send(*payloads: bytes) -> int:
            return [
                await prober.publish(measurement_subject("main", 0), payload, message_id="") for payload in payloads
            ][-1]

        deleted = await send(*batches[:3])
        await admin.jetstream.delete_msg(MEASUREMENTS, deleted)
        await send(batches[3], batches[3])
        archive.start()
        last = await send(forged, other.encode(), *batches[4:])
        await archive.components.until(lambda: taken(archive) == last, "all rows were in segments")
        assert MISSING_ONE in page(archive.components.metrics["archive"], "/metrics")[1]
        archive.components.kill("archive")
        last = await send(following.encode(), following.encode())
        archive.start()
        await archive.components.until(lambda: taken(archive) == last, "all rows were in segments")
        assert MISSING_ONE in page(archive.components.metrics["archive"], "/metrics")[1]
    archive.end_of_day()
    await archive.sealed()
    ((_, manifest),) = LogFiles(archive.storage).manifests()
    (gap,) = manifest.gaps
    assert gap.startswith(f"messages {deleted} to {deleted} of stream MEASUREMENTS, stored from ")
    assert manifest.runs is not None
    found = {bytes.fromhex(run.run)[:1]: run for run in manifest.runs}
    assert {key: (run.batches, run.repeated) for key, run in found.items()} == {
        b"1": (6, 1),
        b"2": (1, 0),
        b"3": (2, 0),
    }
    faults = {key: {name: count for name, count in run.faults().items() if count} for key, run in found.items()}
    assert faults == {b"1": {"missing": 1, "forked": 1, "broken": 1}, b"2": {"parallel": 1}, b"3": {}}
    assert (found[b"1"].holes, found[b"1"].forks, found[b"1"].breaks) == (((3, 3),), (5,), (5,))
    run = await asyncio.to_thread(CliRunner().invoke, app, ["archive", "verify", archive.address])
    assert (run.exit_code, run.exception) == (0, None)
    assert f"{manifest.day}: {gap}\n" in run.output
    assert f"{manifest.day}: run {one.run.hex()} of prober 'p1' at vantage 'main': 1 missing (3); " in run.output
    address = archive.components.metrics["archive"]

    def counted() -> bool:
        text = page(address, "/metrics")[1]
        return 'peyvand_archive_batch_faults{fault="forked",vantage="main"} 1.0' in text and MISSING_ONE not in text

    await archive.components.until(counted, "faults were counted")
    archive.components.kill("archive")
    archive.start()
    await archive.components.until(counted, "faults were counted after a restart")


async def test_a_purge_stops_the_archive(archive: Archive, nats: Nats) -> None:
    """A long run of deleted messages stops the archive with one sentence until an operator accepts the gap."""
    chain = Chain(b"1" * 16, int(time.time()) // SLOT - 5)
    async with nats.connect("prober") as prober, nats.connect("admin") as admin:
        for number in range(1, 14):
            await prober.publish(measurement_subject("main", number % 2), chain.encode(), message_id="")
        for number in range(2, 13):
            await admin.jetstream.delete_msg(MEASUREMENTS, number)
    archive.start()
    stopped = archive.components.running.pop("archive")
    assert await asyncio.to_thread(stopped.wait, DEADLINE) == 1
    assert "messages 2 to 12 of stream MEASUREMENTS are gone, not taken in" in archive.components.logs()
    archive.start("--accept-gap", "yes")
    await archive.components.until(lambda: taken(archive) == 13, "it went on")
    archive.end_of_day()
    await archive.sealed()
    ((_, manifest),) = LogFiles(archive.storage).manifests()
    (gap,) = manifest.gaps
    assert gap.startswith("messages 2 to 12 of stream MEASUREMENTS, stored from ")


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ({"deleted": [3, 4, 5]}, True),
        ({"deleted": [3, 5]}, False),  # a replica lacked a message that the stream holds
        ({"deleted": [3, 4, 5], "lost": {"msgs": [4], "bytes": 80}}, False),  # a damaged file
        ({}, False),
    ],
)
async def test_only_what_was_deleted_by_request_counts_as_deleted(
    nats: Nats, monkeypatch: pytest.MonkeyPatch, state: dict[str, object], said: bool
) -> None:
    """Messages that the stream does not list as deleted, or lists as lost too, do not count as deleted."""
    async with nats.connect("archive") as bus:

        async def answer(*_: object) -> dict[str, object]:
            return {"state": state}

        monkeypatch.setattr(bus, "request_api", answer)
        assert await bus.were_deleted(MEASUREMENTS, 3, 5) is said
