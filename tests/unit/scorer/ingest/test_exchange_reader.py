"""The reader of exchanges ends when it is stopped, counts summaries once that come again, and notices a restored stream."""

from __future__ import annotations

import asyncio
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from prometheus_client import CollectorRegistry

from services.core.bus import Bus, StreamCursor, exchange_subject
from services.core.codec import encode_summaries
from services.core.errors import GapError, StateError
from services.core.log import logger
from services.core.model import StreamPosition
from services.core.model.register import Register
from services.core.tasks import cancel_and_wait
from services.scorer.exchanges.database import ExchangeDatabase
from services.scorer.ingest.exchange_reader import ExchangeReader
from services.scorer.metrics import ScorerMetrics
from tests.support.cases.exchange_database import BASE, CALENDAR, DAY, NOON, opened, volume, volumes
from tests.support.cases.scoring import START, KeptStream, Stored, register, still_refresher
from tests.support.waiting import HeldCalls, eventually

__all__ = ["register"]  # the fixture


def fail() -> None:
    raise StateError("the disk is gone")


async def test_a_stop_is_heeded_although_the_volumes_cannot_be_read(
    register: Register, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cancelled reader ends, even if the check of the volumes that is under way fails."""
    with closing(ExchangeDatabase(tmp_path / "exchanges.sqlite")) as exchanges, HeldCalls(fail) as held:
        monkeypatch.setattr(exchanges, "verify", held)
        metrics = ScorerMetrics(CollectorRegistry())
        reader = ExchangeReader(exchanges, register.policy, dataset="", metrics=metrics, log=logger())
        kept = cast(Bus, KeptStream([Stored(1, START, b"")]))
        reading = asyncio.create_task(reader.run(StreamCursor(kept, "EXCHANGES", needed_from=0.0, accept=False)))
        await held.cancel(reading)
        assert reading.cancelled()


async def test_a_summary_that_is_read_late_counts_once(register: Register, tmp_path: Path) -> None:
    """A collector publishes all its summaries again, and the scorer reads that days later. It drops none before."""
    today = DAY + timedelta(days=17)
    again = Stored(2, NOON + 13 * 86_400.0, encode_summaries("xroad", [BASE]))
    bus = KeptStream([replace(again, sequence=1, time=NOON + 60.0), again], subject=exchange_subject("xroad", 0))
    with closing(opened(tmp_path / "exchanges.sqlite")) as exchanges:
        taken = StreamPosition("EXCHANGES", bus.created, 1)
        exchanges.take([(NOON + 60.0, "xroad", [BASE])], calendar=CALENDAR, position=taken)
        scoring = cast(Any, SimpleNamespace(register=register, calendar=CALENDAR))
        refresher = still_refresher(scoring, exchanges)
        await refresher._trim_volumes(today)
        metrics = ScorerMetrics(CollectorRegistry())
        reader = ExchangeReader(exchanges, register.policy, dataset="", metrics=metrics, log=logger())
        cursor = StreamCursor(cast(Bus, bus), "EXCHANGES", needed_from=0.0, accept=False)
        reading = asyncio.ensure_future(reader.run(cursor))

        async def dropped() -> bool:
            await refresher._trim_volumes(today)
            with exchanges.reading() as snapshot:
                return not snapshot.first_steps(300)

        await eventually(lambda: exchanges.position() == replace(taken, sequence=2), "all is read")
        assert volumes(exchanges) == (volume(),)
        await eventually(dropped, "the summary is dropped")
        await cancel_and_wait(reading)


async def test_a_restored_stream_is_noticed_at_a_start(register: Register, tmp_path: Path) -> None:
    """A stream that was restored from a backup, and has grown past the position since, is refused, not read on."""
    payload = encode_summaries("xroad", [BASE])
    messages = [Stored(sequence, NOON + 10.0 * sequence, payload) for sequence in (1, 2)]
    with closing(opened(tmp_path / "exchanges.sqlite")) as exchanges:
        metrics = ScorerMetrics(CollectorRegistry())
        reader = ExchangeReader(exchanges, register.policy, dataset="", metrics=metrics, log=logger())

        def reading(messages: list[Stored]) -> asyncio.Task[None]:
            bus = cast(Bus, KeptStream(messages, subject=exchange_subject("xroad", 0)))
            cursor = StreamCursor(bus, "EXCHANGES", needed_from=0.0, accept=False)
            return asyncio.create_task(reader.run(cursor))

        def taken(sequence: int) -> bool:
            position = exchanges.position()
            return position is not None and position.sequence == sequence

        before = reading(messages)
        await eventually(lambda: taken(2), "all is read")
        await cancel_and_wait(before)
        same = reading([*messages, Stored(3, NOON + 30.0, payload)])
        await eventually(lambda: taken(3), "the same stream is read on")
        await cancel_and_wait(same)
        grown = [messages[0], *(Stored(sequence, NOON + 50.0 + sequence, payload) for sequence in (2, 3, 4))]
        with pytest.raises(GapError, match="has another message 3 than the one taken in"):
            await asyncio.wait_for(reading(grown), 30)
        assert taken(3)
