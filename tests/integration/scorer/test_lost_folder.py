"""A scorer that lost its folder, or was away, continues from the archive's dataset and the rest of the stream."""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from services.core.bus import Bus, StoredMessage, columns_of
from services.core.bus.names import EXCHANGES, MEASUREMENTS, exchange_subject
from services.core.codec import encode_summaries, indicator_to_json
from services.core.model import ExchangeSummary, Indicator, IndicatorKind, Reason, Register
from services.dataset.days import LogFiles
from services.dataset.log import SigningKey
from services.dataset.positions import read_position
from services.dataset.storage import LocalStorage
from services.dataset.tables import EXCHANGE, MEASUREMENT
from services.indicator.admission import admit
from services.scorer.offline import score_batches
from tests.support.cases.scorer import SLOT, Scorer, blocks, make_register, measure, put, register_on
from tests.support.components import Components, started
from tests.support.nats import Nats
from tests.support.servers.shifted_archive import shift
from tests.support.waiting import eventually

DAY, HOUR = 86_400, 3600
GRACE_HOURS = 72  # so that data of earlier days counts
BATCHES = 20
LINKS = ("deed-tax", "deed-civil", "permit-tax", "endpoint:portal")
REASONS = [Reason.OK] * 4 + [Reason.STATUS, Reason.LATE, Reason.SHED]


@dataclass
class System:
    """A bus with a scorer and an archive whose clock a test can shift, so that days are sealed within seconds."""

    nats: Nats
    components: Components
    scorer: Scorer
    register: Register
    folder: Path
    prober: Bus
    collector: Bus
    api: Bus
    chance: random.Random
    exchanged: set[int] = field(default_factory=set)

    @property
    def storage(self) -> LocalStorage:
        return LocalStorage(self.folder / "dataset")

    async def bring(self, *, seconds: int, batches: int) -> int:
        """Bring measurements and exchanges of the last ``seconds``, some twice; return the last message of
        MEASUREMENTS.
        """
        now, sequence = int(time.time()), 0
        for _ in range(batches):
            moments = [now - self.chance.randrange(10, seconds) for _ in range(20)]
            rows = [
                measure(self.chance.choice(LINKS), moment // SLOT, self.chance.choice(REASONS)) for moment in moments
            ]
            for _ in range(self.chance.choice((1, 1, 2))):
                sequence = await put(self.prober, rows)
            summaries = [
                ExchangeSummary(
                    "tax-office", "customs/tax-clearance/imports", moment // SLOT * SLOT, now, count=3, ok=2
                )
                for moment in moments
            ]
            self.exchanged |= {one.slot_start for one in summaries}
            payload = encode_summaries("xroad", summaries)
            await self.collector.publish(exchange_subject("xroad", 2), payload, message_id="")
        return sequence

    def archives(self, sequence: int, exchanged: int) -> bool:
        """Return whether everything up to these messages of both streams is in the dataset."""
        positions = read_position(self.storage, MEASUREMENT), read_position(self.storage, EXCHANGE)
        return [one.sequence for one in positions if one] == [sequence, exchanged]

    async def published(self, sequence: int) -> list[Indicator]:
        """Return every indicator once all are of exactly this message and one moment."""

        async def look() -> list[Indicator] | None:
            found = await blocks(self.api)
            rows = [row for block in found.values() for row in block.indicators] if "government" in found else []
            if len({row.as_of for row in rows}) != 1 or {row.evidence_sequence for row in rows} != {sequence}:
                return None
            return rows

        return await eventually(look, lambda: f"an index up to message {sequence}\n{self.components.logs()}")

    async def published_volumes(self) -> None:
        """Wait until the volumes are those of all summaries. They are read apart from measurements and may come later."""
        expected, found = {("tax-office", "customs", 3 * len(self.exchanged))}, set[tuple[str, str, int]]()

        async def look() -> bool:
            read = (await blocks(self.api)).values()
            found.clear()
            found.update((one.consumer, one.provider, one.count) for block in read for one in block.exchanges)
            return found == expected

        await eventually(look, lambda: f"{expected}, but {found}\n{self.components.logs()}")


@asynccontextmanager
async def running(nats: Nats, folder: Path, scorer: Scorer) -> AsyncIterator[System]:
    grace = ("grace_hours: 24", f"grace_hours: {GRACE_HOURS}")
    directory = make_register(folder / "register", epoch=time.time() - 3 * DAY, policy_yaml=grace)
    register = await register_on(nats, directory)
    key = folder / "archive.key"
    key.write_text(SigningKey.generate("archive.test").text(), "utf-8")
    shift(folder / "clock", 0.0)
    with started(nats, folder) as components:
        async with nats.connect("prober") as prober, nats.connect("collector") as collector, nats.connect("api") as api:
            system = System(nats, components, scorer, register, folder, prober, collector, api, random.Random(8))
            settings = ("--archive", system.storage.address, "--archive-key", key, "--segment-seconds", 0.2)
            module = "tests.support.servers.shifted_archive"
            components.start("archive", *settings, module=module, args=(str(folder / "clock"),))
            yield system


def scored(register: Register, messages: list[StoredMessage], published: list[Indicator]) -> list[Indicator]:
    """Return the same indicators, scored from all messages that there were."""
    batches = [admit(columns_of(one), stored=one.time, policy=register.policy).columns for one in messages]
    as_of = published[0].as_of
    snapshot = score_batches(register, batches, at=as_of, evidence_sequence=messages[-1].sequence)
    rows = (row for kind in IndicatorKind for days in snapshot.windows for row in snapshot.rows(kind, days))
    names = {(row.kind, row.id) for row in published}
    return [row for row in rows if (row.kind, row.id) in names]


def lines(rows: list[Indicator]) -> list[str]:
    return sorted(map(indicator_to_json, rows))


@pytest.mark.slow
async def test_a_scorer_that_lost_its_folder_publishes_the_same(nats: Nats, tmp_path: Path, scorer: Scorer) -> None:
    """Some days are sealed and gone from the stream, others are open. After the loss the scorer publishes what all
    messages give, to the last bit, and the same exchanges. It keeps what it restored.
    """
    async with running(nats, tmp_path, scorer) as system:
        scorer.start()
        # From noon two days ago, so that two days can be sealed at any time of today.
        sequence = await system.bring(seconds=int(time.time()) % DAY + 3 * DAY // 2, batches=BATCHES)
        await system.published(sequence)
        await system.published_volumes()
        await system.components.until(lambda: system.archives(sequence, BATCHES), "everything was archived")
        async with nats.connect("dump") as dump:
            messages = await dump.read(MEASUREMENTS, 1)
        today = int(time.time()) // DAY * DAY
        shift(tmp_path / "clock", today + GRACE_HOURS * HOUR + 60 - time.time())
        await system.components.until(lambda: len(LogFiles(system.storage).manifests()) >= 2, "days were sealed")
        shift(tmp_path / "clock", 0.0)

        assert await scorer.stop() == (0, "")
        shutil.rmtree(scorer.data)
        async with nats.connect("admin") as admin:
            for stream in (MEASUREMENTS, EXCHANGES):
                await admin.jetstream.purge_stream(stream)
        sequence = await put(system.prober, [measure(link, int(time.time()) // SLOT - 9) for link in LINKS])
        scorer.start("--archive", system.storage.address)
        published = await system.published(sequence)
        assert {"evidence_restored", "summaries_restored"} <= set(scorer.events())
        async with nats.connect("dump") as dump:
            messages += await dump.read(MEASUREMENTS, sequence)
        assert lines(published) == lines(scored(system.register, messages, published))
        await system.published_volumes()
        assert await scorer.stop() == (0, "")
        scorer.start("--archive", system.storage.address)
        sequence = await put(system.prober, [measure(link, int(time.time()) // SLOT - 9) for link in LINKS])
        assert len(await system.published(sequence)) == len(published)
        assert scorer.events().count("evidence_restored") == 1


async def test_a_scorer_that_was_away_for_too_long_publishes_the_same(
    nats: Nats, tmp_path: Path, scorer: Scorer
) -> None:
    """A scorer whose next messages the stream has lost takes them from the dataset, and publishes what all give."""
    async with running(nats, tmp_path, scorer) as system:
        scorer.start()
        await system.published(await system.bring(seconds=HOUR, batches=3))
        assert await scorer.stop() == (0, "")
        sequence = await system.bring(seconds=DAY, batches=BATCHES)
        await system.components.until(lambda: system.archives(sequence, 3 + BATCHES), "everything was archived")
        async with nats.connect("dump") as dump:
            messages = await dump.read(MEASUREMENTS, 1)
        async with nats.connect("admin") as admin:
            await admin.jetstream.purge_stream(MEASUREMENTS)
        sequence = await put(system.prober, [measure(link, int(time.time()) // SLOT - 9) for link in LINKS])
        scorer.start("--archive", system.storage.address)
        published = await system.published(sequence)
        assert "evidence_restored" in scorer.events()
        async with nats.connect("dump") as dump:
            messages += await dump.read(MEASUREMENTS, sequence)
        assert lines(published) == lines(scored(system.register, messages, published))
