"""Publishes indicators to INDICATORS every hour and every day.

With many services this takes minutes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from itertools import islice

from services.core.bus import BoundedTaskGroup, Bus, indicator_subject
from services.core.codec import encode_indicators
from services.core.errors import BusError
from services.core.log import Logger
from services.core.model import Indicator, IndicatorKind
from services.indicator.index import Snapshot
from services.scorer.index import Scoring

INFLIGHT = 32
SHARE = 0.1  # the maximum share of the time: the index takes precedence on the bus and the processor
HOURLY = (IndicatorKind.GOVERNMENT, IndicatorKind.SECTOR, IndicatorKind.CONSUMER, IndicatorKind.PROVIDER)
DAILY = (IndicatorKind.SERVICE,)


class HistoryPublisher:
    """Sends agencies and above every hour, and services every day, in all windows.

    ``scoring`` records what has been sent. ``check`` raises BusError when this process may no longer publish.
    """

    def __init__(self, bus: Bus, scoring: Scoring, check: Callable[[], None] = lambda: None, *, log: Logger) -> None:
        self._bus = bus
        self._check = check
        self._scoring = scoring
        self._log = log
        self._sends = BoundedTaskGroup(INFLIGHT)
        self._snapshot: Snapshot | None = None
        self._offered = asyncio.Event()

    def offer(self, snapshot: Snapshot) -> None:
        """Send what is due of an index. While another one is being sent, this is left to the next index."""
        if self._snapshot is None and any(moment is not None for moment in self._due(snapshot)):
            # Leave out links and endpoints, which are most of it, so that their memory is free for the next index.
            kept = {key: columns for key, columns in snapshot.columns.items() if key[0] in (*HOURLY, *DAILY)}
            self._snapshot = replace(snapshot, columns=kept, links={})
            self._offered.set()

    async def run(self) -> None:
        """Send until cancelled. After an error the rest is due again with the next index."""
        while True:
            await self._offered.wait()
            self._offered.clear()
            if self._snapshot is not None:
                try:
                    await self._send_due(self._snapshot)
                except BusError as error:
                    self._log.warning("announcing_failed", reason=str(error))
                self._snapshot = None

    def _due(self, snapshot: Snapshot) -> tuple[int | None, int | None]:
        """Return the hour and the day of an index, each None if it has been sent."""
        manifest = self._scoring.manifest
        hour, day = snapshot.as_of // 3600, self._scoring.calendar.day_of(snapshot.end_slot).toordinal()
        return (
            hour if manifest.hour is None or hour > manifest.hour else None,
            day if manifest.day is None or day > manifest.day else None,
        )

    async def _send_due(self, snapshot: Snapshot) -> None:
        hour, day = self._due(snapshot)
        if hour is not None:
            await self._send_all(_rows(snapshot, HOURLY))
            self._scoring.history_sent(hour=hour)
        if day is not None:
            await self._send_all(_rows(snapshot, DAILY))
            self._scoring.history_sent(day=day)

    async def _send_all(self, rows: Iterator[Indicator]) -> None:
        while batch := list(islice(rows, 4 * INFLIGHT)):
            started = time.monotonic()
            payloads = encode_indicators(batch)
            await self._sends.run(
                partial(self._send, row, payload) for row, payload in zip(batch, payloads, strict=True)
            )
            await asyncio.sleep((time.monotonic() - started) * (1 / SHARE - 1))

    async def _send(self, row: Indicator, payload: bytes) -> None:
        """Send one indicator. The bus drops duplicates within two minutes."""
        name = (row.kind.label, row.id, row.window_days)
        self._check()
        message_id = "-".join(map(str, (*name, row.as_of)))
        await self._bus.publish(indicator_subject(*name), payload, message_id=message_id)


def _rows(snapshot: Snapshot, kinds: Iterable[IndicatorKind]) -> Iterator[Indicator]:
    return (row for window in snapshot.windows for kind in kinds for row in snapshot.rows(kind, window))
