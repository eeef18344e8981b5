"""An archive process on a real bus, messages for it, and the dataset that it must make of them."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from services.archive.link_days import link_days
from services.archive.stream_kinds import ARCHIVED_STREAMS
from services.core.bus import StoredMessage
from services.core.bus.names import exchange_subject, finding_subject, indicator_subject
from services.core.codec import encode_summaries, finding_to_message, indicator_to_message
from services.core.model import Register
from services.dataset.days import EvidenceDays, LogFiles, Sealer, SealingContext, write_segments
from services.dataset.log import SigningKey
from services.dataset.positions import read_position
from services.dataset.storage import LocalStorage, Storage, open_storage
from services.dataset.tables import BATCH, batch_table
from tests.support.cases.datasets.rows import found, published, summaries
from tests.support.cases.scorer import SLOT, make_register, measure, put, register_on
from tests.support.components import Components
from tests.support.nats import Nats
from tests.support.servers.shifted_archive import shift

__all__ = ["LINKS", "Archive", "publish", "sealed", "streams_of", "undisturbed"]

LINKS = ("deed-tax", "deed-civil", "endpoint:portal-home")
_NOON = 12 - time.gmtime().tm_hour
_TIMEZONE = f"Etc/GMT{-_NOON:+}" if _NOON else "Etc/GMT"
"""A time zone where it is noon now, so that no test runs past midnight."""
_TWO_DAYS = 2 * 86_400.0


@dataclass
class Archive:
    """An archive that runs as a process, with its dataset at an address, its key, and the clock of its bus."""

    components: Components
    folder: Path
    register: Register
    address: str

    def __post_init__(self) -> None:
        self.key_file, self.public_file = self.folder / "archive.key", self.folder / "archive.pub"
        self.key = SigningKey.generate("archive.test")
        self.key_file.write_text(self.key.text(), "utf-8")
        self.public_file.write_text(str(self.key.public), "utf-8")
        self.storage: Storage = open_storage(self.address)
        policy = self.register.policy
        self.days = EvidenceDays(policy.timezone, policy.grace_seconds, policy.slot_seconds)
        self._clock = self.folder / "clock"
        shift(self._clock, 0.0)

    @classmethod
    async def of(cls, nats: Nats, components: Components, folder: Path, address: str = "") -> Archive:
        """Publish a register. Return an archive for it, not yet running, in the folder or at the address."""
        register = await register_on(nats, make_register(folder / "register", timezone=_TIMEZONE))
        return cls(components, folder, register, address or str(folder / "dataset"))

    def start(self, *flags: str, name: str = "archive") -> None:
        settings = ("--archive", self.address, "--archive-key", self.key_file, "--segment-seconds", 0.2, *flags)
        module = "tests.support.servers.shifted_archive"
        self.components.start(name, *settings, module=module, args=(str(self._clock),))

    async def has(self, streams: dict[str, list[StoredMessage]]) -> None:
        """Wait until segments hold every message."""

        def all_of_them() -> bool:
            found = {what.kind.stream: read_position(self.storage, what.kind) for what in ARCHIVED_STREAMS}
            reached = {stream: one.sequence for stream, one in found.items() if one}
            expected = {stream: messages[-1].sequence for stream, messages in streams.items() if messages}
            return expected.items() <= reached.items()

        await self.components.until(all_of_them, "all rows were in segments")

    def end_of_day(self) -> None:
        """Move the clock of the bus past the end of the day."""
        shift(self._clock, _TWO_DAYS)

    def day_again(self) -> None:
        """Move the clock of the bus back into the day."""
        shift(self._clock, 0.0)

    async def sealed(self) -> None:
        """Wait until the day is sealed and its segments are gone."""

        def done() -> bool:
            return LogFiles(self.storage).checkpoint() is not None and not self.segments()

        await self.components.until(done, "the day was sealed")

    async def sealing(self) -> None:
        """Wait until the first file of the day is sealed. The dataset must be a folder."""
        await self.components.until((Path(self.address) / "sealed").exists, "a file was sealed")

    def copy(self) -> Path:
        """Copy the dataset, which must be a folder, and return the path of the copy."""
        return Path(shutil.copytree(self.address, self.folder / "copy"))

    def put_back(self, copy: Path) -> None:
        """Replace the dataset with a copy. The archive must not run."""
        shutil.rmtree(self.address)
        shutil.copytree(copy, self.address)

    def segments(self) -> list[str]:
        """Return the segments of evidence, without those of batches, which stay for one more day."""
        names = self.storage.names("open")
        return [name for name in names if name.endswith(".parquet") and not name.startswith("open/batch/")]


async def publish(nats: Nats, number: int) -> None:
    """Publish a batch of measurements, one of summaries, an indicator and a finding, all of a recent slot."""
    slot = int(time.time()) // SLOT - 5
    async with (
        nats.connect("prober") as prober,
        nats.connect("collector") as collector,
        nats.connect("scorer") as scorer,
    ):
        await put(prober, [measure(link, slot, at=0.1 + number / 1000) for link in LINKS], shard=number % 16)
        rows = [replace(row, slot_start=slot * SLOT) for row in summaries(number, 3)]
        await collector.publish(exchange_subject("xroad", number % 16), encode_summaries("xroad", rows), message_id="")
        row = published(number, as_of=slot * SLOT)
        subject = indicator_subject(row.kind.label, row.id, row.window_days)
        await scorer.publish(subject, indicator_to_message(row).SerializeToString(), message_id="")
        finding = found(number, slot * SLOT)
        subject = finding_subject(finding.kind, finding.id)
        await scorer.publish(subject, finding_to_message(finding).SerializeToString(), message_id="")


async def streams_of(nats: Nats) -> tuple[dict[str, list[StoredMessage]], dict[str, str]]:
    """Return all messages of the streams, and the time at which each stream was created."""
    streams: dict[str, list[StoredMessage]] = {}
    async with nats.connect("dump") as bus:
        for stream in (what.kind.stream for what in ARCHIVED_STREAMS):
            streams[stream] = []
            while more := await bus.read(stream, len(streams[stream]) + 1):
                streams[stream] += more
        created = {stream: (await bus.stream_state(stream)).created for stream in streams}
    return streams, created


async def seal_a_day(archive: Archive, nats: Nats) -> dict[str, bytes]:
    """Start the archive, let it seal a day of one batch, and return what it sealed."""
    archive.start()
    await publish(nats, 0)
    streams, _ = await streams_of(nats)
    await archive.has(streams)
    archive.end_of_day()
    await archive.sealed()
    return sealed(archive.storage)


def undisturbed(archive: Archive, streams: dict[str, list[StoredMessage]], created: dict[str, str]) -> dict[str, bytes]:
    """Return the files that an undisturbed archive makes of these messages."""
    storage = LocalStorage(archive.folder / "undisturbed")
    for what in ARCHIVED_STREAMS:
        messages = streams[what.kind.stream]
        tables = [what.rows([message], [message.time]) for message in messages]
        write_segments(storage, what.kind, tables, 1, messages[-1].sequence, archive.days)
        if what.batch is not None:
            batches = batch_table([what.batch(message, message.time) for message in messages])
            write_segments(storage, BATCH, [batches], 1, messages[-1].sequence, archive.days)
    sealer = Sealer(storage, archive.key, archive.days)
    ((_, manifest),) = LogFiles(archive.storage).manifests()
    context = SealingContext(
        streams=created,
        method_version=manifest.method_version,
        software=manifest.software,
        count=partial(link_days, archive.register.policy),
    )
    sealer.seal(manifest.day, context)
    return sealed(storage)


def sealed(storage: Storage) -> dict[str, bytes]:
    """Return the files that never change, by name."""
    return {name: storage.read(name) for name in storage.names() if name.startswith(("sealed/", "log/"))}
