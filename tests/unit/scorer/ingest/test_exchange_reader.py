"""Whatever happens to the volumes, the reader of exchanges can be stopped."""

from __future__ import annotations

import asyncio
from contextlib import closing
from pathlib import Path
from typing import cast

import pytest
from prometheus_client import CollectorRegistry

from services.core.bus import Bus
from services.core.bus.stream_cursor import StreamCursor
from services.core.errors import StateError
from services.core.log import logger
from services.core.model.register import Register
from services.scorer.exchanges.database import ExchangeDatabase
from services.scorer.ingest.exchange_reader import ExchangeReader
from services.scorer.metrics import ScorerMetrics
from tests.support.cases.scoring import START, KeptStream, Stored, register
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
        await eventually(lambda: held.made, "the volumes are checked")
        reading.cancel()
        await asyncio.sleep(0)
        held.released.set()
        await eventually(reading.done, "the reader has ended")
        assert reading.cancelled()
