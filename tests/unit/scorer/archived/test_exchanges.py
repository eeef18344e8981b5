"""A scorer rebuilds volumes and hours of a lost file of exchanges from a dataset and the rest of the stream."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import cast

import pytest
from prometheus_client import CollectorRegistry

from services.core.bus import Bus
from services.core.bus.names import exchange_subject
from services.core.bus.stream_cursor import StreamCursor
from services.core.codec import encode_summaries
from services.core.errors import GapError
from services.core.log import logger
from services.core.model.exchange import ExchangeSummary
from services.core.model.register import Policy, Register
from services.dataset.days import EvidenceDays, Sealer, SealingContext, write_segments
from services.dataset.log import SigningKey
from services.dataset.positions import ArchivedUpTo, write_position
from services.dataset.storage import LocalStorage
from services.dataset.tables import EXCHANGE, exchange_table
from services.indicator.calendar import Calendar
from services.scorer.exchanges.database import ExchangeDatabase
from services.scorer.ingest.exchange_reader import ExchangeReader
from services.scorer.metrics import ScorerMetrics
from tests.support.cases.scoring import START, START_OF_STREAM, KeptStream, Stored, register
from tests.support.waiting import eventually

__all__ = ["register"]

DAY, HOUR, SLOT = 86_400, 3600, 300
DAYS = 20  # longer than a summary can be replaced
MESSAGES = 12  # per segment
SUBJECT = exchange_subject("xroad", 0)


def summaries_of_days() -> list[list[ExchangeSummary]]:
    """A message every two hours with new summaries and later revisions, some of days already sealed."""
    chance = random.Random(3)
    messages = []
    for number in range(DAYS * 12):
        start = (START + number * 2 * HOUR) // SLOT * SLOT
        rows: list[ExchangeSummary] = []
        for back in (0, 0, 1, 30, 100):
            count = chance.randrange(1, 50)
            slot = start - back * 2 * HOUR
            client, revision = f"X/G/{chance.randrange(3)}/tax", number * 10 + len(rows)
            repeats = count // 3 if count % 4 else None
            service = "X/G/2/civil/status"
            rows.append(ExchangeSummary(client, service, slot, revision, count=count, ok=count // 2, repeats=repeats))
        messages.append(rows)
    return messages


@pytest.fixture(scope="module")
def messages() -> list[Stored]:
    return [
        Stored(number, START + number * 2 * HOUR + 0.5, encode_summaries("xroad", rows))
        for number, rows in enumerate(summaries_of_days(), 1)
    ]


def archived(folder: Path, policy: Policy, up_to: int) -> LocalStorage:
    """Return the dataset of the first messages."""
    storage = LocalStorage(folder)
    days = EvidenceDays(policy.timezone, policy.grace_seconds, policy.slot_seconds)
    told = summaries_of_days()[:up_to]
    tables = [
        exchange_table("xroad", rows, stored=START + number * 2 * HOUR + 0.5, sequence=number)
        for number, rows in enumerate(told, 1)
    ]
    for start in range(0, up_to, MESSAGES):
        part = tables[start : start + MESSAGES]
        write_segments(storage, EXCHANGE, part, start + 1, start + len(part), days)
    moment = START + up_to * 2 * HOUR + 0.5
    write_position(storage, EXCHANGE, ArchivedUpTo(START_OF_STREAM.stream, START_OF_STREAM.created, up_to, moment))
    sealer = Sealer(storage, SigningKey.generate("archive.example"), days)
    for day in sealer.due(moment):
        sealer.seal(day, SealingContext())
    return storage


def content(exchanges: ExchangeDatabase, policy: Policy, end: float) -> tuple[object, ...]:
    """Return the volumes of the longest window and its hours, with repeats and the exchanges that count for these."""
    calendar = Calendar.of(policy)
    list(exchanges.trim(date.fromordinal(calendar.day_of(calendar.slot_of(end)).toordinal()), 7, calendar=calendar))
    volumes = exchanges.volumes(date(2026, 1, 1), end_slot=calendar.slot_of(end), calendar=calendar)
    with exchanges.reading() as reading:
        hours = range(int(end) // HOUR - 8 * 24, int(end) // HOUR + 1)
        steps = reading.steps(range(len(reading.flows)), hours, HOUR)
        assert steps.repeats.any()
        columns = (*steps.counts, steps.repeats, steps.counted)
        flows = [(flow.client, [of[number].tolist() for of in columns]) for number, flow in enumerate(reading.flows)]
    return volumes, sorted(flows)


async def read(path: Path, policy: Policy, kept: KeptStream, dataset: str) -> tuple[object, ...]:
    """Return a scorer's content after it has read the whole stream."""
    with closing(ExchangeDatabase(path)) as exchanges:
        reader = ExchangeReader(
            exchanges, policy, dataset=dataset, metrics=ScorerMetrics(CollectorRegistry()), log=logger()
        )
        cursor = StreamCursor(cast(Bus, kept), "MEASUREMENTS", needed_from=0.0, accept=False)
        task = asyncio.ensure_future(reader.run(cursor))
        last = kept.messages[-1]
        try:
            async with asyncio.timeout(60):
                await asyncio.wait(
                    {task, asyncio.ensure_future(_taken(exchanges, last.sequence))}, return_when="FIRST_COMPLETED"
                )
        finally:
            task.cancel()
            await asyncio.wait({task})
        if not task.cancelled():
            task.result()
        return content(exchanges, policy, last.time)


async def _taken(exchanges: ExchangeDatabase, last: int) -> None:
    async def look() -> bool:
        position = exchanges.position()
        return position is not None and position.sequence == last

    await eventually(look, "the end of the stream")


@pytest.fixture
def policy(register: Register) -> Policy:
    return replace(register.policy, windows_days=(7,))


@pytest.mark.parametrize("first", [181, 150])
async def test_volumes_are_rebuilt(messages: Sequence[Stored], policy: Policy, tmp_path: Path, first: int) -> None:
    """Sealed, late and open rows count, each slot by its highest revision, even if the stream repeats them."""
    storage = archived(tmp_path / "dataset", policy, 180)
    assert {name.split("/")[1] for name in storage.names("sealed")} == {"kind=exchange", "late"}
    expected = await read(tmp_path / "whole", policy, KeptStream(messages, subject=SUBJECT), "")
    kept = KeptStream(messages, first=first, subject=SUBJECT)
    assert await read(tmp_path / "rebuilt", policy, kept, storage.address) == expected
    assert await read(tmp_path / "none", policy, kept, "") != expected


async def test_a_gap_between_dataset_and_stream_is_named(
    messages: Sequence[Stored], policy: Policy, tmp_path: Path
) -> None:
    """Messages that neither the dataset nor the stream has are reported as a gap."""
    storage = archived(tmp_path / "dataset", policy, 170)
    kept = KeptStream(messages, first=181, subject=SUBJECT)
    with pytest.raises(GapError, match="messages 171 to 180 of stream MEASUREMENTS are gone, not taken in"):
        await read(tmp_path / "rebuilt", policy, kept, storage.address)
