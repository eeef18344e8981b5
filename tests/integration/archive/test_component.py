"""The archive as a process beside a real bus: what it seals, and that no crash changes it."""

from __future__ import annotations

import asyncio
import random
import re
import time
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.archive.positions import read_position
from services.archive.stream_archiver import STREAM_KINDS
from services.cli.__main__ import app
from services.core.bus import StoredMessage
from services.core.bus.names import EXCHANGES, INDICATORS, MEASUREMENTS, exchange_subject, indicator_subject
from services.core.codec import encode_summaries, indicator_to_message
from services.core.model import IndicatorKind, Register
from services.dataset.days import EvidenceDays, LogFiles, Sealer, SealingContext, manifests, verify, write_segments
from services.dataset.log import SigningKey
from services.dataset.storage import LocalStorage
from services.scorer.offline import ArchivedEvidence
from tests.support.cases.dataset import published, summaries
from tests.support.cases.scorer import SLOT, make_register, measure, put, register_on
from tests.support.components import Components, started
from tests.support.nats import Nats
from tests.support.processes import page
from tests.support.servers.shifted_archive import shift

DAY_SECONDS = 86_400
NOW = int(time.time())
SHIFT = DAY_SECONDS // 2 - NOW % DAY_SECONDS - 3 * DAY_SECONDS
"""From now to noon three days ago, so that no test begins on one day and ends on the next."""
LINKS = ("deed-tax", "deed-civil", "endpoint:portal-home")


@dataclass
class Archive:
    """An archive that runs as a process, with its dataset, its key, and the clock of its bus."""

    components: Components
    folder: Path
    register: Register

    def __post_init__(self) -> None:
        self.key_file, self.clock = self.folder / "archive.key", self.folder / "clock"
        self.key = SigningKey.generate("archive.test")
        self.key_file.write_text(self.key.text(), "utf-8")
        self.storage = LocalStorage(self.folder / "dataset")
        policy = self.register.policy
        self.days = EvidenceDays(policy.timezone, policy.grace_seconds, policy.slot_seconds)
        shift(self.clock, SHIFT)

    def start(self) -> None:
        settings = ("--archive", self.storage.address, "--archive-key", self.key_file, "--segment-seconds", 0.2)
        module = "tests.support.servers.shifted_archive"
        self.components.start("archive", *settings, module=module, args=(str(self.clock),))

    def has(self, last: int) -> bool:
        """Whether every message of each stream, each with ``last`` of them, is in segments."""
        positions = [read_position(self.storage, what.kind.name) for what in STREAM_KINDS]
        return all(found is not None and found.position.sequence == last for found in positions)

    def segments(self) -> list[str]:
        return [name for name in self.storage.names("open") if name.endswith(".parquet")]


@pytest.fixture
async def archive(nats: Nats, tmp_path: Path):
    register = await register_on(nats, make_register(tmp_path / "register", epoch=0.0))
    with started(nats, tmp_path) as components:
        yield Archive(components, tmp_path, register)


async def publish(nats: Nats, number: int) -> None:
    """Publish one batch of measurements, one of summaries and an indicator, of slots three days ago."""
    slot = (NOW + SHIFT) // SLOT - 5
    async with (
        nats.connect("prober") as prober,
        nats.connect("collector") as collector,
        nats.connect("scorer") as scorer,
    ):
        await put(prober, [measure(link, slot - number, at=0.1 + number / 1000) for link in LINKS], shard=number % 16)
        rows = [replace(row, slot_start=(slot - number) * SLOT) for row in summaries(number, 3)]
        await collector.publish(exchange_subject("xroad", number % 16), encode_summaries("xroad", rows), message_id="")
        row = published(number, as_of=(slot - number) * SLOT)
        subject = indicator_subject(row.kind.label, row.id, row.window_days)
        await scorer.publish(subject, indicator_to_message(row).SerializeToString(), message_id="")


def undisturbed(archive: Archive, streams: dict[str, list[StoredMessage]], created: dict[str, str]) -> LocalStorage:
    """What an archive that nothing disturbed makes of these messages."""
    storage = LocalStorage(archive.folder / "undisturbed")
    for what in STREAM_KINDS:
        messages = streams[what.kind.stream]
        tables = [what.rows(message, message.time) for message in messages]
        write_segments(storage, what.kind, tables, 1, messages[-1].sequence, archive.days)
    sealer = Sealer(storage, archive.key, archive.days)
    first = LogFiles(archive.storage).leaves()[0]
    ((_, manifest),) = manifests([first])
    context = SealingContext(streams=created, method_version=manifest.method_version, software=manifest.software)
    sealer.seal(manifest.day, context)
    return storage


async def stored(nats: Nats) -> tuple[dict[str, list[StoredMessage]], dict[str, str]]:
    """All messages of the streams, by the clock of the archive's bus, and when the streams were created."""
    async with nats.connect("dump") as bus:
        streams = {stream: await bus.read(stream, 1) for stream in (MEASUREMENTS, EXCHANGES, INDICATORS)}
        created = {stream: (await bus.stream_state(stream)).created for stream in streams}
    shifted = {
        stream: [StoredMessage(m.sequence, m.subject, m.data, m.time + SHIFT) for m in messages]
        for stream, messages in streams.items()
    }
    return shifted, created


def sealed(storage: LocalStorage) -> dict[str, bytes]:
    return {name: storage.read(name) for name in storage.names() if name.startswith(("sealed/", "log/"))}


async def sealing(archive: Archive) -> None:
    """Let the day pass, and wait until it is sealed."""
    shift(archive.clock, 0.0)
    await archive.components.until(lambda: archive.storage.names("sealed"), "a day was sealed")
    await archive.components.until(lambda: LogFiles(archive.storage).checkpoint() is not None, "the log was signed")


async def test_a_day_is_sealed_once_it_is_over(archive: Archive, nats: Nats) -> None:
    """Evidence waits in segments until its day takes no more, then it is sealed, with the register that was in force."""
    archive.start()
    for number in range(6):
        await publish(nats, number)
    await archive.components.until(lambda: archive.has(6), "all rows were on disk")
    assert archive.storage.names("sealed") == []
    await sealing(archive)
    assert verify(archive.storage, archive.key.public) == []
    versions = f"{archive.register.register_version}.{archive.register.probe_version}"
    assert archive.storage.names("register") == [f"register/{versions}.json.zst"]
    streams, created = await stored(nats)
    assert sealed(archive.storage) == sealed(undisturbed(archive, streams, created))
    assert page(archive.components.metrics["archive"], "/health")[0] == 200


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1])
async def test_no_crash_changes_what_is_sealed(archive: Archive, nats: Nats, seed: int) -> None:
    """The archive is killed ten times at random moments, the bus once, while messages come in and while it seals: the files
    are those of an undisturbed run.
    """
    chance = random.Random(seed)
    archive.start()
    for number in range(10):
        await publish(nats, number)
        await asyncio.sleep(chance.uniform(0.0, 0.6))
        archive.components.kill("archive")
        if number == 5:
            nats.kill()
            nats.start()
        archive.start()
    await archive.components.until(lambda: archive.has(10), "all rows were on disk")
    shift(archive.clock, 0.0)
    for _ in range(3):
        await asyncio.sleep(chance.uniform(0.0, 0.5))
        archive.components.kill("archive")
        archive.start()
    await sealing(archive)
    await archive.components.until(lambda: not archive.segments(), "the segments were gone")
    assert verify(archive.storage, archive.key.public) == []
    streams, created = await stored(nats)
    assert sealed(archive.storage) == sealed(undisturbed(archive, streams, created))


async def test_what_was_published_is_computed_again(nats: Nats, tmp_path: Path) -> None:
    """A scorer beside the archive publishes an index; the dataset alone gives every number of it, and says so."""
    register = await register_on(nats, make_register(tmp_path / "register"))
    with started(nats, tmp_path) as components:
        archive = Archive(components, tmp_path, register)
        shift(archive.clock, 0.0)
        archive.start()
        slot = int(time.time()) // SLOT
        async with nats.connect("prober") as prober:
            for number in range(40, 0, -1):
                await put(prober, [measure(link, slot - number, at=0.1) for link in LINKS])
        archive.components.start("scorer")
        published = ArchivedEvidence(archive.storage).published
        await archive.components.until(lambda: len(published()) > len(LINKS), "published numbers were archived")
        run = await asyncio.to_thread(
            CliRunner().invoke, app, ["score", "--archive", archive.storage.address, "--compare"]
        )
        assert (run.exit_code, run.exception) == (0, None)
        assert re.fullmatch(r"\d+ published numbers are the same, to the last bit\n", run.output)
        assert IndicatorKind.GOVERNMENT in {row.kind for row in published()}
